#include <catch2/catch_test_macros.hpp>

#include "support/seeds.hpp"
#include "troupe/sim/raft_scenario.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  sim::scenario_options made;
  made.seed = seed;
  made.nodes = static_cast<std::uint32_t>(3 + seed % 3);
  made.span = 30s;
  if (seed % 3 != 0)
    made.what = sim::storm();
  if (seed % 4 < 2)
    made.churn = 100ms;
  if (seed % 2 == 1)
    made.strike = 300ms;
  return made;
}

} // namespace

TEST_CASE("a Raft group is safe under all faults and live after them", "[property]") {
  test::for_each_seed(test::simulated_worlds, [](random_source random) {
    auto found = sim::raft_scenario{with_seed(random.seed())}.run();
    for (auto& each : found.violations)
      UNSCOPED_INFO(each);
    REQUIRE(found.violations.empty());
    REQUIRE(found.committed > 10);
  });
}

TEST_CASE("one seed is one run", "[property]") {
  auto first = sim::raft_scenario{with_seed(7)}.run();
  auto second = sim::raft_scenario{with_seed(7)}.run();
  CHECK(first.trace == second.trace);
  CHECK(first.events == second.events);
  CHECK(sim::raft_scenario{with_seed(8)}.run().trace != first.trace);
}
