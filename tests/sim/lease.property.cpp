#include <catch2/catch_test_macros.hpp>

#include "support/worlds.hpp"
#include "troupe/sim/scenarios/lease_scenario.hpp"

namespace lease_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  return test::varied_world(seed, 20s);
}

} // namespace

TEST_CASE("a lease lasts its time under all faults, and who oversleeps is fenced off",
          "[property]") {
  std::uint64_t written = 0;
  std::uint64_t fenced_off = 0;
  test::for_each_world<sim::lease_scenario>(with_seed, [&](auto& world, auto&) {
    written += world.record().written;
    fenced_off += world.record().fenced_off;
  });
  CHECK(written > 100);
  CHECK(fenced_off > test::in_200_worlds(10)); // else nobody overslept, and nothing was tried
}

TEST_CASE("one seed of the lease scenario is one run", "[property]") {
  test::check_replay<sim::lease_scenario>(with_seed(5));
}

} // namespace lease_property
