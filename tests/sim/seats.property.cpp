#include <catch2/catch_test_macros.hpp>

#include "support/worlds.hpp"
#include "troupe/sim/scenarios/seats_scenario.hpp"

namespace seats_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  return test::world_of_seats(seed, 30s);
}

} // namespace

TEST_CASE("a group keeps its voters and what it has committed while nodes come, go and lose disks",
          "[property]") {
  std::uint64_t made = 0;
  std::uint64_t promoted = 0;
  std::uint64_t lost = 0;
  std::uint64_t put_back = 0;
  std::uint64_t renewed = 0;
  std::uint64_t replaced = 0;
  test::for_each_world<sim::seats_scenario>(with_seed, [&](auto& world, auto& found) {
    made += world.record().made;
    promoted += world.record().promoted;
    lost += world.record().lost;
    put_back += world.record().put_back;
    renewed += world.record().renewed;
    replaced += world.record().replaced;
    REQUIRE(found.answers > 0);
  });
  CHECK(made > test::in_200_worlds(3));
  if (test::given_seed())
    return; // one world need not see everything
  CHECK(promoted > test::in_200_worlds(50));
  CHECK(lost > test::in_200_worlds(5));
  CHECK(put_back > test::in_200_worlds(5));
  CHECK(renewed > 0);
  CHECK(replaced > test::in_200_worlds(5));
}

TEST_CASE("one seed of the seats scenario is one run", "[property]") {
  test::check_replay<sim::seats_scenario>(with_seed(2));
}

} // namespace seats_property
