#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

#include "troupe/core/time.hpp"

namespace troupe::raft {

/// A place in the log; counts from one, zero is before the first entry.
using log_index = std::uint64_t;

/// Counts elections. At most one replica leads in a term.
using term_number = std::uint64_t;

/// A replica's place in the group: random, made with its log and kept with it. A disk that
/// was emptied, copied or restored has lost its seat, and with it its vote. Zero: nobody.
struct seat_id {
  std::uint64_t value = 0;

  friend auto operator<=>(const seat_id&, const seat_id&) = default;
};

/// The time of the group: zero at its birth; the leader tells it, and it never runs back,
/// whoever leads. The machines that the group runs see it as theirs.
struct group_clock {
  using duration = troupe::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<group_clock, duration>;
  static constexpr bool is_steady = true;
};

using group_time = group_clock::time_point;

template <class Inspector>
bool inspect(Inspector& f, seat_id& x) {
  return f.object(x).fields(f.field("value", x.value));
}

} // namespace troupe::raft
