#pragma once

#include <chrono>
#include <cstdint>

#include "troupe/sim/scenarios/scenario.hpp"

namespace troupe::test {

/// Returns a world of 3 or 5 nodes in which things go wrong now and then, or all the time.
inline sim::scenario_options varied_world(std::uint64_t seed, duration span) {
  sim::scenario_options made;
  made.seed = seed;
  made.nodes = static_cast<std::uint32_t>(3 + 2 * (seed % 2));
  made.span = span;
  made.what = seed % 3 == 0 ? sim::rough() : sim::storm();
  if (seed % 4 == 2)
    made.session_term = std::chrono::milliseconds{700};
  return made;
}

/// Returns a world in which messages come very late, or twice, often.
inline sim::scenario_options world_of_short_sessions(std::uint64_t seed, duration span) {
  auto made = varied_world(seed, span);
  made.what.duplication = made.what.straggler = 50'000;
  made.what.straggler_delay = std::chrono::seconds{seed % 2 == 0 ? 2 : 15};
  return made;
}

/// Returns a world of 5 to 7 nodes in which most of the time somebody leads.
inline sim::scenario_options world_of_seats(std::uint64_t seed, duration span) {
  auto made = varied_world(seed, span);
  made.nodes = static_cast<std::uint32_t>(5 + seed % 3);
  made.what = seed % 4 == 0 ? sim::storm() : sim::rough();
  made.churn = std::chrono::milliseconds{seed % 8 < 4 ? 700 : 200};
  return made;
}

/// Returns a world of 4 or 5 whole nodes, each third of which has no data folder.
inline sim::scenario_options world_of_nodes(std::uint64_t seed, duration span) {
  auto made = varied_world(seed, span);
  made.nodes = static_cast<std::uint32_t>(4 + seed % 2);
  return made;
}

/// Returns a world of 2 to 4 routers. What goes over their links is lost with these only.
inline sim::scenario_options world_of_inboxes(std::uint64_t seed) {
  sim::scenario_options made;
  made.seed = seed;
  made.nodes = static_cast<std::uint32_t>(2 + seed % 3);
  made.span = std::chrono::seconds{2};
  made.what = {};
  return made;
}

/// Returns a world of two nodes that restart more or less often.
inline sim::scenario_options world_of_channels(std::uint64_t seed, duration span) {
  auto made = world_of_short_sessions(seed, span);
  if (seed % 3 == 1)
    made.what.kill_every = {};
  return made;
}

/// The same as varied_world(), and how often members change and leaders are struck.
inline sim::scenario_options varied_group(std::uint64_t seed, duration span) {
  auto made = varied_world(seed, span);
  made.churn = std::chrono::milliseconds{seed % 4 < 2 ? 700 : 100};
  if (seed % 2 == 1)
    made.strike = std::chrono::milliseconds{300};
  return made;
}

} // namespace troupe::test
