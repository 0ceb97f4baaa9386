#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "troupe/core/time.hpp"
#include "troupe/sim/world/faults.hpp"

namespace troupe::sim {

/// Options of one run of a scenario.
struct scenario_options {
  /// Nodes of the world, without clients.
  std::uint32_t nodes = 5;
  /// The same seed gives the same run.
  std::uint64_t seed = 0;
  /// Virtual time with faults. After it all faults end, and the group has to make progress.
  duration span = std::chrono::seconds{60};
  /// Kinds and frequency of faults.
  faults what = rough();
  /// Mean time between changes of the members by an operator.
  duration churn = std::chrono::milliseconds{700};
  /// Mean time between faults of the leader: it is killed, isolated with one follower for a moment
  /// (so that entries reach few members), removed, or its disk is full. Zero: never.
  duration strike{};
  /// Term of clients' sessions, in scenarios of services (see host::core_options). A short one ends
  /// sessions in use, so that clients may not learn the outcome of a request.
  duration session_term = std::chrono::minutes{1};
};

/// Result of a run.
struct scenario_report {
  std::vector<std::string> violations;
  /// Hash of all events, see world::trace().
  std::uint64_t trace = 0;
  std::uint64_t events = 0;
  /// Requests that were answered.
  std::uint64_t answers = 0;
};

} // namespace troupe::sim
