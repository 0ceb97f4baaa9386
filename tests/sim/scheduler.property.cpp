#include <catch2/catch_test_macros.hpp>

#include "support/seeds.hpp"
#include "troupe/sim/scheduler_scenario.hpp"

using namespace troupe;
using namespace std::chrono_literals;

TEST_CASE("a replicated scheduler records each task once under all faults", "[property]") {
  std::uint64_t executions = 0;
  std::size_t tasks = 0;
  test::for_each_seed(test::simulated_worlds, [&](random_source random) {
    auto seed = random.seed();
    sim::scenario_options how;
    how.seed = seed;
    how.nodes = static_cast<std::uint32_t>(3 + 2 * (seed % 2));
    how.span = 20s;
    if (seed % 3 != 0)
      how.what = sim::storm();
    sim::scheduler_scenario world{how};
    auto found = world.run();
    for (auto& each : found.violations)
      UNSCOPED_INFO(each);
    REQUIRE(found.violations.empty());
    executions += world.record().executions;
    tasks += world.record().taken.size();
  });
  CHECK(tasks > 50);
  CHECK(executions >= tasks); // some ran again, and one result counted
}
