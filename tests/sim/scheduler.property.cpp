#include <catch2/catch_test_macros.hpp>

#include "support/worlds.hpp"
#include "troupe/sim/scenarios/scheduler_scenario.hpp"

namespace scheduler_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  return test::varied_world(seed, 20s);
}

} // namespace

TEST_CASE("a replicated scheduler records each task once under all faults", "[property]") {
  std::uint64_t executions = 0;
  std::uint64_t stopped = 0;
  std::uint64_t busy = 0;
  std::uint64_t drained = 0;
  std::size_t tasks = 0;
  test::for_each_world<sim::scheduler_scenario>(with_seed, [&](auto& world, auto&) {
    executions += world.record().executions;
    stopped += world.record().stopped;
    busy += world.record().busy;
    drained += world.record().drained;
    tasks += world.record().taken.size();
  });
  CHECK(tasks > 50);
  CHECK(executions >= tasks); // some ran again, and one result counted
  CHECK(stopped > 0);
  CHECK(busy > 0);
  CHECK(drained > 0);
}

TEST_CASE("one seed of the scheduler scenario is one run", "[property]") {
  test::check_replay<sim::scheduler_scenario>(with_seed(2));
}

} // namespace scheduler_property
