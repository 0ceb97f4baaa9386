#pragma once

#include <chrono>

#include "troupe/core/time.hpp"

namespace troupe {

/// What the calendar of this machine says, which may be set back at any time. For hosts: machines
/// are told the time.
inline wall_time read_calendar() {
  auto since = std::chrono::system_clock::now().time_since_epoch();
  return wall_time{std::chrono::duration_cast<duration>(since)};
}

} // namespace troupe
