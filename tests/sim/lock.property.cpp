#include <catch2/catch_test_macros.hpp>

#include "support/seeds.hpp"
#include "troupe/sim/lock_scenario.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  sim::scenario_options made;
  made.seed = seed;
  made.nodes = static_cast<std::uint32_t>(3 + 2 * (seed % 2));
  made.span = 30s;
  if (seed % 3 != 0)
    made.what = sim::storm();
  return made;
}

} // namespace

TEST_CASE("a replicated lock service is linearizable under all faults", "[property]") {
  std::uint64_t answers = 0;
  test::for_each_seed(test::simulated_worlds, [&](random_source random) {
    auto found = sim::lock_scenario{with_seed(random.seed())}.run();
    for (auto& each : found.violations)
      UNSCOPED_INFO(each);
    REQUIRE(found.violations.empty());
    answers += found.answers;
  });
  CHECK(answers > 100);
}

TEST_CASE("one seed of the lock scenario is one run", "[property]") {
  auto first = sim::lock_scenario{with_seed(3)}.run();
  CHECK(sim::lock_scenario{with_seed(3)}.run().trace == first.trace);
}
