#pragma once

#include <chrono>
#include <cstdint>

#include "troupe/core/calendar.hpp"

namespace troupe::host::detail {

/// Returns a number above all tokens and revisions that a past which nobody remembers has given:
/// those rise by one, more slowly than microseconds.
inline std::uint64_t calendar_floor() {
  auto since = read_calendar().time_since_epoch();
  return static_cast<std::uint64_t>(
    std::chrono::duration_cast<std::chrono::microseconds>(since).count());
}

} // namespace troupe::host::detail
