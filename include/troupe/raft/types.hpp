#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/fields.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/ids.hpp"
#include "troupe/raft/options.hpp"

/// Vocabulary of consensus: log entries, stored state and messages between replicas. Terms
/// are those of Ongaro, "Consensus: bridging theory and practice", Stanford 2014 (the
/// thesis), unless said otherwise.
namespace troupe::raft {

/// Bound of terms and indexes, which no group reaches by counting. Messages with numbers from
/// here on are refused.
inline constexpr std::uint64_t max_number = std::uint64_t{1} << 62U;

/// Messages with a term further above the receiver's are refused. Otherwise one message with the
/// highest term would end the group, because terms never go back and no later term could follow. A
/// correct group does not count this far while a member is away: each term takes an election, which
/// a majority writes to disk, and at sixteen elections a second it would take eight years. The
/// first election after a start uses up to max_first_step of it. The absent member itself advances
/// its term only with a majority (pre-vote).
inline constexpr term_number max_term_jump = term_number{1} << 32U;

/// The largest options::first_step.
inline constexpr std::uint32_t max_first_step = 65'536;

/// Number of names in configuration::kept_out, and the bytes of each.
inline constexpr std::size_t max_kept_out = 64;
inline constexpr std::size_t max_kept_out_bytes = 256;

// -- the log ------------------------------------------------------------------------

/// A member of the group.
struct member {
  /// A voter counts for majorities; otherwise it is a learner, which only receives entries.
  bool votes = false;
  /// Its address for the transport; opaque here.
  std::string contact;

  friend bool operator==(const member&, const member&) = default;

  TROUPE_FIELDS(member, votes, contact);
};

/// The members of the group. In force as soon as it is in the log, committed or not (thesis 4.1).
struct configuration {
  std::map<member_id, member> members;
  /// Names that the host does not add automatically; opaque here.
  std::set<std::string> kept_out{};
  /// How often a member was made a voter since the group was founded. Of two logs of one group, the
  /// one with the lower number is older.
  std::uint64_t promotions = 0;
  /// Those of kept_out whose removal is forced. A replica of an older release drops them, so that
  /// under it, and from its copy of this entry, they count as not forced.
  std::set<std::string> forced_out{};

  [[nodiscard]] std::set<member_id> voters() const {
    std::set<member_id> found;
    for (auto& [seat, who] : members)
      if (who.votes)
        found.insert(found.end(), seat);
    return found;
  }

  [[nodiscard]] bool votes(member_id seat) const {
    auto found = members.find(seat);
    return found != members.end() && found->second.votes;
  }

  friend bool operator==(const configuration&, const configuration&) = default;

  TROUPE_FIELDS(configuration, members, kept_out, promotions, forced_out);
};

/// The first entry of each term: lets a new leader commit the entries that it inherited (thesis
/// 3.6.2).
struct no_op {
  friend bool operator==(const no_op&, const no_op&) = default;

  TROUPE_FIELDS(no_op);
};

/// One log entry. A command is a string of opaque bytes.
struct entry {
  log_index index = 0;
  term_number term = 0;
  /// Stamped by the leader; never below the entry before.
  group_time at{};
  std::variant<no_op, std::string, configuration> what;

  friend bool operator==(const entry&, const entry&) = default;

  TROUPE_FIELDS(entry, index, term, at, what);
};

/// Approximate bytes of an entry in a message or in memory.
inline std::size_t size_of(const entry& line) {
  constexpr std::size_t fixed = 64;
  if (auto* bytes = std::get_if<std::string>(&line.what))
    return fixed + bytes->size();
  std::size_t size = fixed;
  if (auto* members = std::get_if<configuration>(&line.what))
    for (auto& [seat, who] : members->members)
      size += fixed + who.contact.size();
  if (auto* members = std::get_if<configuration>(&line.what))
    for (auto* names : {&members->kept_out, &members->forced_out})
      for (auto& each : *names)
        size += fixed + each.size();
  return size;
}

/// This replica's vote in its latest term. Synced before it is sent.
struct ballot {
  term_number term = 0;
  member_id vote;

  friend bool operator==(const ballot&, const ballot&) = default;

  TROUPE_FIELDS(ballot, term, vote);
};

/// Position of a snapshot in the log.
struct snapshot_header {
  log_index index = 0;
  term_number term = 0;
  group_time at{};
  configuration members;

  friend bool operator==(const snapshot_header&, const snapshot_header&) = default;

  TROUPE_FIELDS(snapshot_header, index, term, at, members);
};

/// The state after entry `header.index`. The bytes are opaque here.
struct snapshot {
  snapshot_header header;
  std::shared_ptr<const std::string> bytes;
};

/// What the disk has at the start.
struct stored_state {
  ballot last_ballot;
  /// The header of the newest snapshot; its index is zero if there is none.
  snapshot_header base;
  /// Entries without a gap, from base.index + 1 or below.
  std::vector<entry> entries;
  /// Entries up to here were known to be committed when the process ended, or some time before.
  log_index committed = 0;
  /// The group's time was not below this when the process ended.
  group_time marked{};
};

// -- what replicas say to each other ---------------------------------------------------

/// Asks for a vote, or, as a trial, whether the voter would grant one (pre-vote, thesis 9.6). A
/// trial changes no state of the voter.
struct vote_request {
  log_index last_index = 0;
  term_number last_term = 0;
  bool trial = false;
  /// The leader itself wants this election (thesis 3.10).
  bool forced = false;
  /// The candidate's commit index, and the term of the entry there.
  log_index commit_index = 0;
  term_number commit_term = 0;

  friend bool operator==(const vote_request&, const vote_request&) = default;

  TROUPE_FIELDS(vote_request, last_index, last_term, trial, forced, commit_index, commit_term);
};

struct vote_answer {
  bool trial = false;
  bool granted = false;
  /// Refused because the disk of one of the two replicas has lost entries that it had synced.
  bool astray = false;

  friend bool operator==(const vote_answer&, const vote_answer&) = default;

  TROUPE_FIELDS(vote_answer, trial, granted, astray);
};

/// Entries that follow entry `previous_index`. Without entries it is a heartbeat.
struct append {
  log_index previous_index = 0;
  term_number previous_term = 0;
  log_index commit = 0;
  /// The group's time at the leader.
  group_time now{};
  /// Counts the leader's heartbeats. The answer returns it, so that the leader knows when it was
  /// still leader (thesis 6.4).
  std::uint64_t round = 0;
  std::vector<entry> entries;
  /// Last index of the leader's log; zero if not given.
  log_index last_index = 0;
  /// The leader is the only voter.
  bool alone = false;
  /// configuration::promotions at the leader.
  std::uint64_t promotions = 0;

  friend bool operator==(const append&, const append&) = default;

  TROUPE_FIELDS(append, previous_index, previous_term, commit, now, round, entries, last_index,
                alone, promotions);
};

/// Accepted: entries up to `index` are synced here and equal to the leader's. Refused: entry
/// `index` is missing here or differs. The leader tries at `hint_index` next or, if it has another
/// term than `hint_term` there, before all its entries of later terms than that.
struct append_answer {
  bool accepted = false;
  log_index index = 0;
  log_index hint_index = 0;
  term_number hint_term = 0;
  std::uint64_t round = 0;
  /// Last index of this replica's log.
  log_index last_index = 0;
  /// options::about of this replica; only in answers to heartbeats.
  std::string about{};

  friend bool operator==(const append_answer&, const append_answer&) = default;

  TROUPE_FIELDS(append_answer, accepted, index, hint_index, hint_term, round, last_index, about);
};

/// A part of a snapshot, from byte `offset` of `size`.
struct snapshot_part {
  snapshot_header header;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  /// CRC-32C of all bytes.
  std::uint32_t sum = 0;
  std::string bytes;

  friend bool operator==(const snapshot_part&, const snapshot_part&) = default;

  TROUPE_FIELDS(snapshot_part, header, offset, size, sum, bytes);
};

/// Asks for the snapshot at `index` from byte `offset` on.
struct snapshot_answer {
  log_index index = 0;
  std::uint64_t offset = 0;

  friend bool operator==(const snapshot_answer&, const snapshot_answer&) = default;

  TROUPE_FIELDS(snapshot_answer, index, offset);
};

/// Tells a voter to stand for election at once: the leader hands over (thesis 3.10).
struct take_over {
  friend bool operator==(const take_over&, const take_over&) = default;

  TROUPE_FIELDS(take_over);
};

/// One message. The index of an alternative goes over the wire: append at the end.
struct message {
  /// The sender's term; for a trial, the term of the vote that would follow.
  term_number term = 0;
  std::variant<vote_request, vote_answer, append, append_answer, snapshot_part, snapshot_answer,
               take_over>
    body;

  friend bool operator==(const message&, const message&) = default;

  TROUPE_FIELDS(message, term, body);
};

// -- roles ------------------------------------------------------------------------------

enum class role : std::uint8_t {
  follower = 0,
  /// Asks whether it would win an election (pre-vote).
  pre_candidate = 1,
  candidate = 2,
  leader = 3,
};

constexpr const char* name_of(role which) noexcept {
  switch (which) {
    case role::follower:
      return "follower";
    case role::pre_candidate:
      return "pre_candidate";
    case role::candidate:
      return "candidate";
    case role::leader:
      return "leader";
  }
  return "unknown";
}

// -- options ----------------------------------------------------------------------------

} // namespace troupe::raft
