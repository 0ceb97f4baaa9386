#pragma once

#include <chrono>
#include <cstdint>

#include "troupe/platform/calendar.hpp"

namespace troupe::host::detail {

/// Returns a number above all tokens and revisions of a lost history: the calendar time in
/// microseconds, as tokens and revisions rise by one, more slowly than that.
inline std::uint64_t calendar_floor() {
  auto since = read_calendar().time_since_epoch();
  return static_cast<std::uint64_t>(
    std::chrono::duration_cast<std::chrono::microseconds>(since).count());
}

} // namespace troupe::host::detail
