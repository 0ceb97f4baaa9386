#include <catch2/catch_test_macros.hpp>

#include "support/seeds.hpp"
#include "troupe/sim/state_scenario.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  sim::scenario_options made;
  made.seed = seed;
  made.nodes = static_cast<std::uint32_t>(3 + 2 * (seed % 2));
  made.span = 20s;
  made.what = seed % 3 == 0 ? sim::rough() : sim::storm();
  return made;
}

} // namespace

TEST_CASE("strong state is linearizable under all faults, also where calendars are set back",
          "[property]") {
  std::uint64_t answers = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t expiries = 0;
  test::for_each_seed(test::simulated_worlds, [&](random_source random) {
    sim::state_scenario world{with_seed(random.seed())};
    auto found = world.run();
    for (auto& each : found.violations)
      UNSCOPED_INFO(each);
    REQUIRE(found.violations.empty());
    answers += found.answers;
    conflicts += world.record().conflicts;
    expiries += world.record().expiries;
  });
  CHECK(answers > 100);
  CHECK(conflicts > 10);
  CHECK(expiries > 10);
}

TEST_CASE("one seed of the state scenario is one run", "[property]") {
  auto first = sim::state_scenario{with_seed(4)}.run();
  CHECK(sim::state_scenario{with_seed(4)}.run().trace == first.trace);
}
