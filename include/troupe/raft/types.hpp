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

#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/ids.hpp"
#include "troupe/raft/options.hpp"

/// Vocabulary of consensus: what stands in the log, what replicas send each other, what
/// they ask of their host. Terms are those of Ongaro, "Consensus: bridging theory and
/// practice", Stanford 2014 (the thesis), unless said otherwise.
namespace troupe::raft {

/// Neither is ever reached by counting; a message that says so is refused.
inline constexpr std::uint64_t max_number = std::uint64_t{1} << 62U;

/// A message of a term that is further above one's own is refused: taken, a single one of the
/// highest term would end the group, as terms never go back and none could follow. A group that
/// is honest does not count so far while a member is away: each term takes an election, each
/// election a majority that writes it down, and sixteen of them a second, without a pause, take
/// eight years; the first election of a start takes up to max_first_step of it. The member itself
/// counts on only with a majority (pre-vote).
inline constexpr term_number max_term_jump = term_number{1} << 32U;

/// The largest options::first_step.
inline constexpr std::uint32_t max_first_step = 65'536;

/// Names that a configuration keeps out, and the bytes of each.
inline constexpr std::size_t max_kept_out = 64;
inline constexpr std::size_t max_kept_out_bytes = 256;

// -- the log ------------------------------------------------------------------------

/// A replica as the others know it.
struct member {
  /// Counts for majorities; else it is a learner, which only receives.
  bool votes = false;
  /// For the transport, opaque here: where to find it.
  std::string contact;

  friend bool operator==(const member&, const member&) = default;
};

/// Who is in the group. In force from the moment it stands in a log (thesis 4.1).
struct configuration {
  std::map<seat_id, member> members;
  /// For the host, opaque here: whom it does not add by itself.
  std::set<std::string> kept_out{};
  /// How often a member was made a voter since the group was founded: of two logs of one group the
  /// one with less is older.
  std::uint64_t promotions = 0;

  [[nodiscard]] std::set<seat_id> voters() const {
    std::set<seat_id> found;
    for (auto& [seat, who] : members)
      if (who.votes)
        found.insert(found.end(), seat);
    return found;
  }

  [[nodiscard]] bool votes(seat_id seat) const {
    auto found = members.find(seat);
    return found != members.end() && found->second.votes;
  }

  friend bool operator==(const configuration&, const configuration&) = default;
};

/// The first entry of each term: lets a new leader commit what it inherited (thesis 3.6.2).
struct no_op {
  friend bool operator==(const no_op&, const no_op&) = default;
};

/// One line of the log. A command is bytes that mean nothing here.
struct entry {
  log_index index = 0;
  term_number term = 0;
  /// Stamped by the leader; never below the entry before.
  group_time at{};
  std::variant<no_op, std::string, configuration> what;

  friend bool operator==(const entry&, const entry&) = default;
};

/// What an entry costs in a message or in memory, nearly.
inline std::size_t size_of(const entry& line) {
  constexpr std::size_t fixed = 64;
  if (auto* bytes = std::get_if<std::string>(&line.what))
    return fixed + bytes->size();
  std::size_t size = fixed;
  if (auto* members = std::get_if<configuration>(&line.what))
    for (auto& [seat, who] : members->members)
      size += fixed + who.contact.size();
  if (auto* members = std::get_if<configuration>(&line.what))
    for (auto& each : members->kept_out)
      size += fixed + each.size();
  return size;
}

/// Who this replica voted for in its latest term. Synced before anybody hears of it.
struct ballot {
  term_number term = 0;
  seat_id vote;

  friend bool operator==(const ballot&, const ballot&) = default;
};

/// Where a snapshot stands in the log.
struct snapshot_header {
  log_index index = 0;
  term_number term = 0;
  group_time at{};
  configuration members;

  friend bool operator==(const snapshot_header&, const snapshot_header&) = default;
};

/// The state after entry `header.index`; its bytes mean nothing here.
struct snapshot {
  snapshot_header header;
  std::shared_ptr<const std::string> bytes;
};

/// What a disk gives back at the start.
struct stored_state {
  ballot last_ballot;
  /// The header of the newest snapshot; its index is zero if there is none.
  snapshot_header base;
  /// Without gap, from base.index + 1 or below.
  std::vector<entry> entries;
  /// Entries up to here were known to be committed when the process ended, or some time before.
  log_index committed = 0;
  /// The group's time was not below this when the process ended.
  group_time marked{};
};

// -- what replicas say to each other ---------------------------------------------------

/// Asks for a vote, or, as a trial, whether there would be one (pre-vote, thesis 9.6). A
/// trial changes nothing at the one who is asked.
struct vote_request {
  log_index last_index = 0;
  term_number last_term = 0;
  bool trial = false;
  /// The leader itself wants this election (thesis 3.10).
  bool forced = false;
  /// What is known to be committed where the vote is wanted.
  log_index commit_index = 0;
  term_number commit_term = 0;

  friend bool operator==(const vote_request&, const vote_request&) = default;
};

struct vote_answer {
  bool trial = false;
  bool granted = false;
  /// One of the two disks has lost what it had synced: this vote is not to be had.
  bool astray = false;

  friend bool operator==(const vote_answer&, const vote_answer&) = default;
};

/// Entries to put behind `previous`; without entries it is a heartbeat.
struct append {
  log_index previous_index = 0;
  term_number previous_term = 0;
  log_index commit = 0;
  /// The group's time at the leader.
  group_time now{};
  /// Counts the leader's heartbeats; the answer gives it back, so that the leader knows
  /// when it still led (thesis 6.4).
  std::uint64_t round = 0;
  std::vector<entry> entries;
  /// Where the leader's log ends; zero: not said.
  log_index last_index = 0;
  /// The leader needs nobody's vote.
  bool alone = false;
  /// configuration::promotions of what it leads.
  std::uint64_t promotions = 0;

  friend bool operator==(const append&, const append&) = default;
};

/// Accepted: all up to `index` is synced here and is as the leader has it. Refused: here is
/// no entry `index` as the leader has it; try at `hint_index` or, if the leader has another
/// term than `hint_term` there, before all entries of later terms than that.
struct append_answer {
  bool accepted = false;
  log_index index = 0;
  log_index hint_index = 0;
  term_number hint_term = 0;
  std::uint64_t round = 0;
  /// Where the log of this replica ends.
  log_index last_index = 0;
  /// options::about of this replica; with answers to heartbeats only.
  std::string about{};

  friend bool operator==(const append_answer&, const append_answer&) = default;
};

/// A piece of a snapshot, from byte `offset` of `size`.
struct snapshot_part {
  snapshot_header header;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  /// CRC-32C of all bytes.
  std::uint32_t sum = 0;
  std::string bytes;

  friend bool operator==(const snapshot_part&, const snapshot_part&) = default;
};

/// Go on at byte `offset` of the snapshot at `index`.
struct snapshot_answer {
  log_index index = 0;
  std::uint64_t offset = 0;

  friend bool operator==(const snapshot_answer&, const snapshot_answer&) = default;
};

/// Stand for election at once: the leader hands over (thesis 3.10).
struct take_over {
  friend bool operator==(const take_over&, const take_over&) = default;
};

/// One message. The number of an alternative goes over the wire: new ones at the end.
struct message {
  /// The sender's term; of a trial vote the term that would be.
  term_number term = 0;
  std::variant<vote_request, vote_answer, append, append_answer, snapshot_part, snapshot_answer,
               take_over>
    body;

  friend bool operator==(const message&, const message&) = default;
};

// -- roles ------------------------------------------------------------------------------

enum class role : std::uint8_t {
  follower = 0,
  /// Asks whether it would be elected.
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

// -- inspection ---------------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, member& x) {
  return f.object(x).fields(f.field("votes", x.votes), f.field("contact", x.contact));
}

template <class Inspector>
bool inspect(Inspector& f, configuration& x) {
  return f.object(x).fields(f.field("members", x.members), f.field("kept_out", x.kept_out),
                            f.field("promotions", x.promotions));
}

template <class Inspector>
bool inspect(Inspector& f, no_op& x) {
  return f.object(x).fields();
}

template <class Inspector>
bool inspect(Inspector& f, entry& x) {
  return f.object(x).fields(f.field("index", x.index), f.field("term", x.term), f.field("at", x.at),
                            f.field("what", x.what));
}

template <class Inspector>
bool inspect(Inspector& f, ballot& x) {
  return f.object(x).fields(f.field("term", x.term), f.field("vote", x.vote));
}

template <class Inspector>
bool inspect(Inspector& f, snapshot_header& x) {
  return f.object(x).fields(f.field("index", x.index), f.field("term", x.term), f.field("at", x.at),
                            f.field("members", x.members));
}

template <class Inspector>
bool inspect(Inspector& f, vote_request& x) {
  return f.object(x).fields(f.field("last_index", x.last_index), f.field("last_term", x.last_term),
                            f.field("trial", x.trial), f.field("forced", x.forced),
                            f.field("commit_index", x.commit_index),
                            f.field("commit_term", x.commit_term));
}

template <class Inspector>
bool inspect(Inspector& f, vote_answer& x) {
  return f.object(x).fields(f.field("trial", x.trial), f.field("granted", x.granted),
                            f.field("astray", x.astray));
}

template <class Inspector>
bool inspect(Inspector& f, append& x) {
  return f.object(x).fields(f.field("previous_index", x.previous_index),
                            f.field("previous_term", x.previous_term), f.field("commit", x.commit),
                            f.field("now", x.now), f.field("round", x.round),
                            f.field("entries", x.entries), f.field("last_index", x.last_index),
                            f.field("alone", x.alone), f.field("promotions", x.promotions));
}

template <class Inspector>
bool inspect(Inspector& f, append_answer& x) {
  return f.object(x).fields(f.field("accepted", x.accepted), f.field("index", x.index),
                            f.field("hint_index", x.hint_index), f.field("hint_term", x.hint_term),
                            f.field("round", x.round), f.field("last_index", x.last_index),
                            f.field("about", x.about));
}

template <class Inspector>
bool inspect(Inspector& f, snapshot_part& x) {
  return f.object(x).fields(f.field("header", x.header), f.field("offset", x.offset),
                            f.field("size", x.size), f.field("sum", x.sum),
                            f.field("bytes", x.bytes));
}

template <class Inspector>
bool inspect(Inspector& f, snapshot_answer& x) {
  return f.object(x).fields(f.field("index", x.index), f.field("offset", x.offset));
}

template <class Inspector>
bool inspect(Inspector& f, take_over& x) {
  return f.object(x).fields();
}

template <class Inspector>
bool inspect(Inspector& f, message& x) {
  return f.object(x).fields(f.field("term", x.term), f.field("body", x.body));
}

} // namespace troupe::raft
