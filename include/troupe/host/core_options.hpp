#pragma once

#include <chrono>
#include <cstdint>

#include "troupe/core/time.hpp"

namespace troupe::host {

/// What one host keeps in memory and how often it saves. Not state: none of
/// this changes what a record does.
struct core_options {
  /// Requests that wait for the disk; whatever comes beyond is refused.
  std::uint32_t max_queued = 100'000;
  /// Records written and synced as one.
  std::uint32_t max_batch = 4'096;
  /// A snapshot after so many records; bounds the journal and the replay.
  std::uint32_t snapshot_every = 10'000;
  /// A session that is silent for so long ends, up to a quarter later.
  duration session_term = std::chrono::minutes{1};
};

} // namespace troupe::host
