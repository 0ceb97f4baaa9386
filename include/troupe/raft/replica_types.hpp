#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/checksum.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft {

/// Events, effects and status of a replica. Used as members of `replica`.
struct replica_types {
  // -- events ---------------------------------------------------------------------

  /// Founds a group with this replica as its only member. Refused unless the log is empty.
  struct found_group {
    std::string contact;
  };

  struct received {
    member_id from;
    message what;
  };

  /// Appends these commands to the log, one entry each, all or none.
  struct propose {
    std::vector<std::string> commands;
  };

  /// Answered by read_at once a majority has confirmed that this replica is still leader.
  struct read {
    /// It begins no round of heartbeats, and waits for the next one: options::heartbeat at most.
    bool may_wait = false;
  };

  struct add_learner {
    member_id seat;
    std::string contact;
  };

  /// Makes a learner a voter. Refused with busy unless it has acknowledged to this leader the
  /// configuration that has it as a member, and has nearly all entries.
  struct promote {
    member_id seat;
  };

  struct remove {
    member_id seat;
  };

  /// Changes the address of a member.
  struct move {
    member_id seat;
    std::string contact;
  };

  /// Adds a name to configuration::kept_out and, if forced, to configuration::forced_out. Of a name
  /// that is kept out already it changes whether that is forced.
  struct keep_out {
    std::string name;
    bool forced = false;
  };

  /// Removes a name from configuration::kept_out and configuration::forced_out.
  struct let_in {
    std::string name;
  };

  /// Appends the configuration again, unchanged. A member that acknowledges it is reachable, and
  /// its disk takes entries.
  struct confirm_members {};

  /// Gives this replica a new member id, which its disk has synced, because it may have lost
  /// entries that it acknowledged under the old one. It does not lead, stand for election or vote
  /// until the group has made the new id a voter.
  struct change_seat {
    member_id seat;
  };

  /// Hands leadership over to `to`; if that is zero, to the voter with the longest log.
  struct transfer {
    member_id to;
  };

  /// The write of this number is synced.
  struct written {
    std::uint64_t number = 0;
  };

  /// The current write failed, and no part of it is on the disk. It is repeated after a rest.
  struct not_written {
    problem why;
  };

  /// A snapshot up to `index` is synced, so the log before it is no longer needed.
  struct compacted {
    log_index index = 0;
  };

  /// The answer to load_snapshot. Constructing it computes the checksum.
  struct loaded {
    explicit loaded(snapshot from) : what(std::move(from)), sum(crc32c(*what.bytes)) {}

    snapshot what;
    std::uint32_t sum;
  };

  /// The link to this member is lost, with all messages that were on the way.
  struct lost_link {
    member_id seat;
  };

  /// A link to this member was established.
  struct found_link {
    member_id seat;
  };

  /// Replaces options::about. Ignored if it is too large.
  struct say_about {
    std::string about;
  };

  using event = std::variant<found_group, received, propose, read, add_learner, promote, remove,
                             move, transfer, written, not_written, compacted, loaded, lost_link,
                             keep_out, let_in, change_seat, found_link, confirm_members, say_about>;

  // -- effects --------------------------------------------------------------------

  struct send {
    member_id to;
    message what;
  };

  /// Write all this atomically, sync it, then step `written`.
  struct write {
    std::uint64_t number = 0;
    std::optional<ballot> vote;
    /// Replaces the whole log and all older snapshots.
    std::optional<snapshot> base;
    /// Entries from here on are replaced by `entries`.
    log_index first = 0;
    std::vector<entry> entries;
    /// Entries up to here are committed. At most the last index written.
    log_index committed = 0;
  };

  /// Entries up to here are committed, and there is nothing else to write: store it for
  /// stored_state::committed, without sync. At most once per heartbeat.
  struct note_commit {
    log_index index = 0;
  };

  /// Apply these entries. Each comes once, in order.
  struct committed {
    std::vector<entry> entries;
  };

  /// Replace the state by this snapshot. The next committed entries follow it.
  struct installed {
    snapshot what;
  };

  /// The commands are in the log from `first` on, in this term. They take effect when committed.
  /// If entries of another term are committed in their place, they never will.
  struct proposed {
    request_id id = 0;
    log_index first = 0;
    term_number term = 0;
  };

  struct refused {
    request_id id = 0;
    problem why;
    /// The leader to ask instead; zero if unknown.
    member_id leader;
  };

  /// Answer this read from a state that has applied all entries up to `index`.
  struct read_at {
    request_id id = 0;
    log_index index = 0;
  };

  struct changed_role {
    role now = role::follower;
    term_number term = 0;
    member_id leader;
    /// Reason in words, for logs.
    std::string cause;
  };

  /// `cause` when a leader becomes follower after a transfer.
  static constexpr const char* handed_over = "it has handed over, as it was asked to";

  /// A member needs the newest snapshot: step `loaded`.
  struct load_snapshot {};

  /// Member `seat` had synced entries up to `synced`, and its log now ends at `found`: remove it.
  /// Until then it gets no entries, its acknowledgements do not count, and it confirms no reads.
  /// Repeated with each of its answers.
  ///
  /// Or `seat` is this replica, the only voter by its log, although others have committed entries
  /// without it or have elected a leader: step `change_seat`. Until then it takes no entries and
  /// does not lead. Repeated with each message that shows it.
  struct forgot {
    member_id seat;
    log_index synced = 0;
    log_index found = 0;
  };

  /// On a leader: options::about of another member, when first received and when it changes.
  struct told_about {
    member_id seat;
    std::string about;
  };

  /// A leader without other members has dropped its entries from `first` on, because the disk
  /// refused to write them. No other replica has them.
  struct taken_back {
    log_index first = 0;
    problem why;
  };

  /// An invalid message, which was dropped.
  struct ignored {
    member_id from;
    problem why;
    /// It contradicts entries that are committed here, or shows that committed ones are missing.
    bool contradicts = false;
  };

  using effects = std::vector<
    std::variant<send, write, note_commit, committed, installed, proposed, refused, read_at,
                 changed_role, load_snapshot, forgot, told_about, taken_back, ignored>>;

  // -- what can be seen ---------------------------------------------------------------

  struct member_status {
    member_id seat;
    member who;
    /// Zero for a member that has lost entries; see `forgot`.
    log_index match = 0;
    duration silent_for{};
    bool by_snapshot = false;
    /// Whether it has acknowledged the latest configuration.
    bool knows_members = false;
  };

  struct status {
    member_id self;
    role now = role::follower;
    term_number term = 0;
    member_id leader;
    log_index first = 0;
    log_index last = 0;
    log_index synced = 0;
    log_index commit = 0;
    configuration members;
    /// On the leader only.
    std::vector<member_status> others;
    /// Time since this leader appended the configuration; nothing if an earlier leader did.
    std::optional<duration> members_for;
    /// Of the last entry.
    term_number last_term = 0;
  };
};

} // namespace troupe::raft
