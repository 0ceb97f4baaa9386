#pragma once

#include <chrono>
#include <cstdint>

#include "troupe/core/time.hpp"

namespace troupe::host {

/// What one host keeps in memory and how often it saves. Not state: no option changes the effect
/// of a record.
struct core_options {
  /// Requests that wait for the disk; more are refused.
  std::uint32_t max_queued = 100'000;
  /// Records that are written and synced together.
  std::uint32_t max_batch = 4'096;
  /// Records between two snapshots; bounds the journal and the replay.
  std::uint32_t snapshot_every = 10'000;
  /// A session that is silent for this long ends, up to a quarter later.
  duration session_term = std::chrono::minutes{1};
};

} // namespace troupe::host
