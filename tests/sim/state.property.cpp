#include <catch2/catch_test_macros.hpp>

#include "support/worlds.hpp"
#include "troupe/sim/scenarios/state_scenario.hpp"

namespace state_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  return test::varied_world(seed, 20s);
}

} // namespace

TEST_CASE("strong state is linearizable under all faults, also where calendars are set back",
          "[property]") {
  std::uint64_t answers = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t expiries = 0;
  std::uint64_t taken_as_seen = 0;
  std::uint64_t late = 0;
  test::for_each_world<sim::state_scenario>(with_seed, [&](auto& world, auto& found) {
    answers += found.answers;
    conflicts += world.record().conflicts;
    expiries += world.record().expiries;
    taken_as_seen += world.record().taken_as_seen;
    late += world.record().late;
  });
  CHECK(answers > 100);
  CHECK(conflicts > test::in_200_worlds(10));
  CHECK(expiries > test::in_200_worlds(10));
  CHECK(taken_as_seen > test::in_200_worlds(10));
  CHECK(late > test::in_200_worlds(10));
}

TEST_CASE("one seed of the state scenario is one run", "[property]") {
  test::check_replay<sim::state_scenario>(with_seed(4));
}

} // namespace state_property
