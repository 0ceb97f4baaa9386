#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>

#include "support/worlds.hpp"
#include "troupe/sim/scenarios/channel_scenario.hpp"

namespace channel_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  return test::world_of_channels(seed, 30s);
}

} // namespace

TEST_CASE(
  "whatever is lost, doubled and reordered and whoever restarts, each message is handled in "
  "order, once in a life of its receiver, or its sender hears why not",
  "[property]") {
  std::uint64_t told = 0;
  test::for_each_world<sim::channel_scenario>(with_seed,
                                              [&](auto&, auto& found) { told += found.answers; });
  CHECK(told > test::simulated_worlds * 50);
}

TEST_CASE("one seed of the channel scenario is one run", "[property]") {
  test::check_replay<sim::channel_scenario>(with_seed(3));
}

} // namespace channel_property
