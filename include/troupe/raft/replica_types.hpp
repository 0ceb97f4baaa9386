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

/// What a replica is told, what it wants done, and what can be seen of it. Users know these
/// as members of `replica`.
struct replica_types {
  // -- events ---------------------------------------------------------------------

  /// Makes a group of this replica alone. Refused unless the log is empty.
  struct found_group {
    std::string contact;
  };

  struct received {
    seat_id from;
    message what;
  };

  /// Put these commands into the log, one entry each, all or none.
  struct propose {
    std::vector<std::string> commands;
  };

  /// Answered by read_at once this replica is known to lead still.
  struct read {};

  struct add_learner {
    seat_id seat;
    std::string contact;
  };

  /// A learner that has caught up becomes a voter: one that has acknowledged to this leader that it
  /// is a member, and has nearly all entries.
  struct promote {
    seat_id seat;
  };

  struct remove {
    seat_id seat;
  };

  /// Where a member is found from now on.
  struct move {
    seat_id seat;
    std::string contact;
  };

  /// Adds a name to configuration::kept_out.
  struct keep_out {
    std::string name;
  };

  /// Takes it from there.
  struct let_in {
    std::string name;
  };

  /// Writes the members down once more, as they are: who acknowledges that is there, and its disk
  /// takes entries.
  struct confirm_members {};

  /// This replica has another seat from here on, which its disk has synced: what its old one
  /// acknowledged it may have lost. It leads, stands and votes no more until the group has made
  /// the new seat a voter.
  struct change_seat {
    seat_id seat;
  };

  /// Hands leadership over; nobody in particular: whoever has the longest log.
  struct transfer {
    seat_id to;
  };

  /// The write of this number is synced.
  struct written {
    std::uint64_t number = 0;
  };

  /// It is not, nor any part of it; it comes again after a rest.
  struct not_written {
    problem why;
  };

  /// A snapshot up to `index` is synced, so that the log before it is not needed.
  struct compacted {
    log_index index = 0;
  };

  /// What was asked by load_snapshot. Cost of making it: that of the checksum.
  struct loaded {
    explicit loaded(snapshot from) : what(std::move(from)), sum(crc32c(*what.bytes)) {}

    snapshot what;
    std::uint32_t sum;
  };

  /// The link to this member is gone, with whatever was on the way.
  struct lost_link {
    seat_id seat;
  };

  /// There is a link to this member, again or for the first time.
  struct found_link {
    seat_id seat;
  };

  using event = std::variant<found_group, received, propose, read, add_learner, promote, remove,
                             move, transfer, written, not_written, compacted, loaded, lost_link,
                             keep_out, let_in, change_seat, found_link, confirm_members>;

  // -- effects --------------------------------------------------------------------

  struct send {
    seat_id to;
    message what;
  };

  /// Write all this as one, sync it, then step `written`.
  struct write {
    std::uint64_t number = 0;
    std::optional<ballot> vote;
    /// Takes the place of the whole log and of every older snapshot.
    std::optional<snapshot> base;
    /// Entries from here on are replaced by `entries`.
    log_index first = 0;
    std::vector<entry> entries;
    /// Entries up to here are committed; none is behind the last one written.
    log_index committed = 0;
  };

  /// Nothing is to be written, and meanwhile entries up to here are committed: keep it for
  /// stored_state::committed, unsynced. At most one in each heartbeat.
  struct note_commit {
    log_index index = 0;
  };

  /// Apply these; each entry comes once, in order.
  struct committed {
    std::vector<entry> entries;
  };

  /// The state is this now; what is committed next follows it.
  struct installed {
    snapshot what;
  };

  /// The commands are entries from `first` on, of this term. They count once they are
  /// committed; entries of another term in their place say that they never will.
  struct proposed {
    request_id id = 0;
    log_index first = 0;
    term_number term = 0;
  };

  struct refused {
    request_id id = 0;
    problem why;
    /// Who may do better; nobody if that is not known.
    seat_id leader;
  };

  /// A state with all up to `index` applied answers this read.
  struct read_at {
    request_id id = 0;
    log_index index = 0;
  };

  struct changed_role {
    role now = role::follower;
    term_number term = 0;
    seat_id leader;
    /// For people.
    std::string cause;
  };

  /// The cause where a leader follows because it was asked to.
  static constexpr const char* handed_over = "it has handed over, as it was asked to";

  /// A member needs the newest snapshot: step `loaded`.
  struct load_snapshot {};

  /// This member had synced entries that it has no more: take its seat away. Until then it gets
  /// no entries, none count as had by it, and it confirms no reads. Again with each of its answers.
  ///
  /// Or this replica itself, which by its log needs nobody's vote: others have committed something
  /// without it, or have elected a leader. Step `change_seat`; until then it takes nothing and
  /// leads nothing. Again with each message that shows it.
  struct forgot {
    seat_id seat;
    log_index synced = 0;
    log_index found = 0;
  };

  /// To a leader, of another member: what its options::about says. Again when it has changed.
  struct told_about {
    seat_id seat;
    std::string about;
  };

  /// A leader without other members has taken back its entries from here on: the disk has no
  /// room for them, and nobody has seen them.
  struct taken_back {
    log_index first = 0;
    problem why;
  };

  /// A message that no replica sends; dropped.
  struct ignored {
    seat_id from;
    problem why;
    /// It contradicts what is committed here, or shows that something is missing here.
    bool contradicts = false;
  };

  using effects = std::vector<
    std::variant<send, write, note_commit, committed, installed, proposed, refused, read_at,
                 changed_role, load_snapshot, forgot, told_about, taken_back, ignored>>;

  // -- what can be seen ---------------------------------------------------------------

  struct member_status {
    seat_id seat;
    member who;
    /// Zero for one that has forgotten entries, see `forgot`.
    log_index match = 0;
    duration silent_for{};
    bool by_snapshot = false;
    /// Whether it has acknowledged the latest configuration, and so that it is a member.
    bool knows_members = false;
  };

  struct status {
    seat_id self;
    role now = role::follower;
    term_number term = 0;
    seat_id leader;
    log_index first = 0;
    log_index last = 0;
    log_index synced = 0;
    log_index commit = 0;
    configuration members;
    /// Of the leader only.
    std::vector<member_status> others;
    /// How long ago this leader has put the members into the log; nothing: an earlier one did.
    std::optional<duration> members_for;
  };
};

} // namespace troupe::raft
