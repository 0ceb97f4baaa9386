#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

#include "troupe/core/fields.hpp"
#include "troupe/core/time.hpp"

namespace troupe::raft {

/// A position in the log. Counts from one; zero is before the first entry.
using log_index = std::uint64_t;

/// Counts elections. At most one replica leads in a term.
using term_number = std::uint64_t;

/// Member id of a replica: random, created with its log and stored with it. A replica whose disk
/// was emptied, or restored from a copy, may not vote under its old id again. Zero: no replica.
struct member_id {
  std::uint64_t value = 0;

  friend auto operator<=>(const member_id&, const member_id&) = default;

  TROUPE_FIELDS(member_id, value);
};

/// The time of the group: zero when it is founded. The leader sets it, and it never goes back,
/// also when the leader changes. It is the clock of the machines that the group runs.
struct group_clock {
  using duration = troupe::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<group_clock, duration>;
  static constexpr bool is_steady = true;
};

using group_time = group_clock::time_point;

} // namespace troupe::raft
