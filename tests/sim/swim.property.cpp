#include <catch2/catch_test_macros.hpp>

#include "support/worlds.hpp"
#include "troupe/sim/scenarios/swim_scenario.hpp"

namespace swim_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  return test::varied_world(seed, 30s);
}

} // namespace

TEST_CASE("some time after the last fault members show each other as they are", "[property]") {
  std::uint64_t deaths = 0;
  test::for_each_world<sim::swim_scenario>(with_seed,
                                           [&](auto&, auto& found) { deaths += found.deaths; });
  CHECK(deaths > 10);
}

TEST_CASE("one seed of the swim scenario is one run", "[property]") {
  test::check_replay<sim::swim_scenario>(with_seed(2));
}

} // namespace swim_property
