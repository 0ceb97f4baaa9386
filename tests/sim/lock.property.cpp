#include <catch2/catch_test_macros.hpp>

#include "support/worlds.hpp"
#include "troupe/sim/scenarios/lock_scenario.hpp"

namespace lock_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  return test::varied_world(seed, 30s);
}

} // namespace

TEST_CASE("a replicated lock service is linearizable under all faults", "[property]") {
  std::uint64_t answers = 0;
  test::for_each_world<sim::lock_scenario>(with_seed,
                                           [&](auto&, auto& found) { answers += found.answers; });
  CHECK(answers > 100);
}

TEST_CASE("one seed of the lock scenario is one run", "[property]") {
  test::check_replay<sim::lock_scenario>(with_seed(3));
}

} // namespace lock_property
