#pragma once

#include <chrono>

#include "troupe/core/time.hpp"

namespace troupe {

/// Returns the wall time of this computer, which may be set back at any time. For hosts only:
/// machines get the time as an event.
inline wall_time read_calendar() {
  auto since = std::chrono::system_clock::now().time_since_epoch();
  return wall_time{std::chrono::duration_cast<duration>(since)};
}

} // namespace troupe
