#include <catch2/catch_test_macros.hpp>

#include "support/seeds.hpp"
#include "troupe/sim/lease_scenario.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  sim::scenario_options made;
  made.seed = seed;
  made.nodes = static_cast<std::uint32_t>(3 + 2 * (seed % 2));
  made.span = 20s;
  made.what = seed % 3 == 0 ? sim::rough() : sim::storm();
  return made;
}

} // namespace

TEST_CASE("a lease lasts its time under all faults, and who oversleeps is fenced off",
          "[property]") {
  std::uint64_t written = 0;
  std::uint64_t fenced_off = 0;
  test::for_each_seed(test::simulated_worlds, [&](random_source random) {
    sim::lease_scenario world{with_seed(random.seed())};
    auto found = world.run();
    for (auto& each : found.violations)
      UNSCOPED_INFO(each);
    REQUIRE(found.violations.empty());
    written += world.record().written;
    fenced_off += world.record().fenced_off;
  });
  CHECK(written > 100);
  CHECK(fenced_off > 10); // else nobody overslept, and nothing was tried
}

TEST_CASE("one seed of the lease scenario is one run", "[property]") {
  auto first = sim::lease_scenario{with_seed(5)}.run();
  CHECK(sim::lease_scenario{with_seed(5)}.run().trace == first.trace);
}
