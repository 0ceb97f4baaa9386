#include <catch2/catch_test_macros.hpp>

#include "support/worlds.hpp"
#include "troupe/sim/scenarios/raft_scenario.hpp"

namespace raft_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  auto made = test::varied_group(seed, 30s);
  made.nodes = static_cast<std::uint32_t>(3 + seed % 3);
  return made;
}

} // namespace

TEST_CASE("a Raft group is safe under all faults and live after them", "[property]") {
  test::for_each_world<sim::raft_scenario>(
    with_seed, [](auto&, auto& found) { REQUIRE(found.committed > 10); });
}

TEST_CASE("one seed is one run", "[property]") {
  test::check_replay<sim::raft_scenario>(with_seed(7));
}

} // namespace raft_property
