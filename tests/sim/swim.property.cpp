#include <catch2/catch_test_macros.hpp>

#include "support/seeds.hpp"
#include "support/worlds.hpp"
#include "troupe/sim/scenarios/swim_measure.hpp"
#include "troupe/sim/scenarios/swim_scenario.hpp"

namespace swim_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  auto made = test::varied_world(seed, 30s);
  made.nodes += seed % 8;
  return made;
}

} // namespace

TEST_CASE("some time after the last fault members show each other as they are", "[property]") {
  std::uint64_t deaths = 0;
  test::for_each_world<sim::swim_scenario>(with_seed,
                                           [&](auto&, auto& found) { deaths += found.deaths; });
  CHECK(deaths > test::in_200_worlds(10));
}

TEST_CASE("a death is found as soon as the theory says, and known to all", "[property]") {
  sim::swim_measure_options how;
  how.nodes = 200;
  how.killed = 10;
  how.seed = test::given_seed().value_or(1);
  auto found = sim::swim_measure{how}.run();
  REQUIRE(found.first_detections.size() == 10);
  std::uint64_t sum = 0;
  for (auto each : found.first_detections) {
    CHECK(each <= 2 * how.nodes - 1); // as in a round of one member each
    sum += each;
  }
  CHECK(sum >= 10); // e / (e - 1) = 1.58 each, on average
  CHECK(sum <= 22);
  CHECK(found.unaware == 0);
  CHECK(found.false_suspicions == 0);
}

TEST_CASE("members that get to no message hurt the others ten times less than without doubt",
          "[property]") {
  sim::swim_measure_options how;
  how.nodes = 60;
  how.killed = 0;
  how.starved = 6;
  how.seed = test::given_seed().value_or(1);
  auto careful = sim::swim_measure{how}.run();
  how.swim = how.swim.without_lifeguard();
  auto plain = sim::swim_measure{how}.run();
  CHECK(plain.false_deaths >= 10);
  CHECK(plain.false_deaths >= 10 * careful.false_deaths);
}

TEST_CASE("one seed of the swim scenario is one run", "[property]") {
  test::check_replay<sim::swim_scenario>(with_seed(2));
}

} // namespace swim_property
