#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>

#include "support/worlds.hpp"
#include "troupe/sim/scenarios/session_scenario.hpp"

namespace session_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  return test::world_of_short_sessions(seed, 15s);
}

} // namespace

TEST_CASE("whatever clients come and go, no command is carried out twice", "[property]") {
  std::uint64_t answers = 0;
  test::for_each_world<sim::session_scenario>(
    with_seed, [&](auto&, auto& found) { answers += found.answers; });
  CHECK(answers > 1'000);
}

TEST_CASE("one seed of the session scenario is one run", "[property]") {
  test::check_replay<sim::session_scenario>(with_seed(3));
}

} // namespace session_property
