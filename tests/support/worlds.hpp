#pragma once

#include <catch2/catch_test_macros.hpp>

#include <cstdint>

#include "support/seeds.hpp"
#include "support/varied_world.hpp"

namespace troupe::test {

/// Runs the Scenario in `simulated_worlds` worlds, each made as `how(seed)` says. All laws must
/// hold in each; then `look(scenario, report)` is called.
template <class Scenario, class How, class Look>
void for_each_world(How how, Look look) {
  for_each_seed(simulated_worlds, [&](random_source random) {
    Scenario world{how(random.seed())};
    auto found = world.run();
    for (auto& each : found.violations)
      UNSCOPED_INFO(each);
    REQUIRE(found.violations.empty());
    look(world, found);
  });
}

/// One seed is one run, to the last event; another seed is another.
template <class Scenario>
void check_replay(const sim::scenario_options& how) {
  auto first = Scenario{how}.run();
  auto second = Scenario{how}.run();
  CHECK(first.trace == second.trace);
  CHECK(first.events == second.events);
  auto other = how;
  ++other.seed;
  CHECK(Scenario{other}.run().trace != first.trace);
}

} // namespace troupe::test
