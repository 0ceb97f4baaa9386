#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <variant>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// Largest options::about, in bytes.
inline constexpr std::size_t max_about = 16'384;

/// Returns `how`.
/// @throws std::invalid_argument with the option that is outside its bounds
inline options checked(const options& how) {
  auto demand = [](bool holds, const char* sentence) {
    if (!holds)
      throw std::invalid_argument{sentence};
  };
  demand(how.heartbeat >= std::chrono::milliseconds{1}, "raft: heartbeat must be 1 ms or more");
  demand(how.election_timeout >= 3 * how.heartbeat && how.election_timeout <= std::chrono::hours{1},
         "raft: election_timeout must be three heartbeats or more, and at most an hour");
  demand(how.tell_commits_within >= duration::zero(),
         "raft: tell_commits_within must not be negative");
  demand(how.max_message_entries > 0 && how.max_message_bytes > 0 && how.max_in_flight > 0
           && how.max_uncommitted > 0 && how.max_uncommitted_bytes > 0 && how.max_command_bytes > 0
           && how.max_reads > 0 && how.max_members > 0,
         "raft: bounds must be 1 or more");
  demand(how.first_step > 0 && how.first_step <= max_first_step,
         "raft: first_step must be from 1 to 65,536");
  demand(how.lead_alone_after >= duration::zero() && how.lead_alone_after <= std::chrono::hours{1},
         "raft: lead_alone_after must be from 0 to an hour");
  demand(how.max_snapshot_bytes <= std::numeric_limits<std::uint32_t>::max(),
         "raft: max_snapshot_bytes must be less than 4 GiB");
  demand(how.about.size() <= max_about, "raft: about must not have more than 16384 bytes");
  return how;
}

inline problem wrong(std::string what) {
  return {errc::bad_argument, std::move(what) + "; the sender is broken or no replica"};
}

/// Whether a time of a group is possible: not negative, and below 146 years.
inline bool is_time(group_time at) {
  constexpr auto longest = static_cast<duration::rep>(max_number);
  return at >= group_time{} && at.time_since_epoch().count() < longest;
}

inline problem check_entries(const append& what, term_number term) {
  auto index = what.previous_index;
  auto last = what.previous_term;
  for (auto& line : what.entries) {
    if (line.index != ++index)
      return wrong("entry " + std::to_string(line.index) + " stands where " + std::to_string(index)
                   + " belongs");
    if (line.term < last || line.term > term || !is_time(line.at))
      return wrong("entry " + std::to_string(line.index) + " is of term "
                   + std::to_string(line.term));
    last = line.term;
  }
  return {};
}

/// Returns why a message is invalid for every receiver, errc::none if it is not.
inline problem check(const message& what, const options& how) {
  auto too_large = [](std::uint64_t number) { return number >= max_number; };
  if (what.term == 0 || too_large(what.term))
    return wrong("a message of term " + std::to_string(what.term));
  return troupe::visit(
    overloaded{
      [&](const vote_request& body) -> problem {
        if (too_large(body.last_index) || body.last_term > what.term)
          return wrong("a log that ends at " + std::to_string(body.last_index));
        if (body.commit_index > body.last_index || body.commit_term > body.last_term)
          return wrong("entry " + std::to_string(body.commit_index)
                       + " committed in a log that ends at " + std::to_string(body.last_index));
        return {};
      },
      [&](const append& body) -> problem {
        if (too_large(body.previous_index) || too_large(body.commit) || too_large(body.round)
            || too_large(body.last_index) || body.previous_term > what.term || !is_time(body.now))
          return wrong("entries behind " + std::to_string(body.previous_index));
        return check_entries(body, what.term);
      },
      [&](const append_answer& body) -> problem {
        if (too_large(body.index) || too_large(body.hint_index) || too_large(body.last_index))
          return wrong("an answer about entry " + std::to_string(body.index));
        if (body.about.size() > max_about)
          return wrong(std::to_string(body.about.size()) + " bytes about itself");
        return {};
      },
      [&](const snapshot_part& body) -> problem {
        if (too_large(body.header.index) || body.header.index == 0 || body.header.term > what.term
            || !is_time(body.header.at))
          return wrong("a snapshot at entry " + std::to_string(body.header.index));
        if (body.size > how.max_snapshot_bytes)
          return {errc::too_large, "a snapshot of " + std::to_string(body.size)
                                     + " bytes; raise raft::options::max_snapshot_bytes"};
        if (body.offset > body.size || body.bytes.size() > body.size - body.offset)
          return wrong("a part of a snapshot that ends behind it");
        return {};
      },
      [](const auto&) { return problem{}; },
    },
    what.body);
}

/// Returns why the term of a message is invalid for a replica in the term `mine`. A replica without
/// a term takes that of the leader which adds it, however high it is.
inline problem check_term(const message& what, term_number mine) {
  auto is_first = mine == 0
                  && (std::holds_alternative<append>(what.body)
                      || std::holds_alternative<snapshot_part>(what.body));
  if (is_first || what.term <= mine || what.term - mine <= max_term_jump)
    return {};
  return {errc::limit_reached,
          "a message of term " + std::to_string(what.term) + ", while this replica is in term "
            + std::to_string(mine)
            + ": no group holds so many elections; look for a sender that is broken or no replica. "
              "If it is this node that has been away for years, move its log away, and it comes "
              "back as a new member"};
}

} // namespace troupe::raft::detail
