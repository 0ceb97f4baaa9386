#include <catch2/catch_test_macros.hpp>

#include "support/worlds.hpp"
#include "troupe/sim/scenarios/node_scenario.hpp"

namespace node_property {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

sim::scenario_options with_seed(std::uint64_t seed) {
  return test::world_of_nodes(seed, 20s);
}

} // namespace

TEST_CASE("some time after the last fault nodes see each other and show what the others say, and "
          "each name has one holder",
          "[property]") {
  std::uint64_t answers = 0;
  std::uint64_t given_up = 0;
  std::uint64_t freed = 0;
  std::uint64_t rises = 0;
  std::uint64_t deaths = 0;
  std::uint64_t outlived_links = 0;
  std::uint64_t relayed = 0;
  std::uint64_t terms = 0;
  std::uint64_t promoted = 0;
  std::uint64_t begun = 0;
  test::for_each_world<sim::node_scenario>(with_seed, [&](auto& world, auto& found) {
    answers += found.answers;
    given_up += world.record().given_up;
    freed += world.record().names_freed;
    rises += world.record().rises;
    deaths += world.record().deaths;
    outlived_links += world.record().outlived_links;
    relayed += world.record().relayed;
    terms += world.record().leaders.size();
    promoted += world.record().promoted;
    begun += world.record().tasks.begun();
  });
  CHECK(answers > 50);
  if (test::given_seed())
    return; // one world need not see everything
  CHECK(given_up > test::in_200_worlds(10));
  CHECK(freed > test::in_200_worlds(10));
  constexpr auto enough = std::uint64_t{200};
  if (test::simulated_worlds >= enough) {
    // A node starts with an older disk in few of them, and in some of those says anything by then.
    for (std::uint64_t seed = 0; rises == 0 && seed < 3 * enough; ++seed) {
      sim::node_scenario world{with_seed(seed)};
      REQUIRE(world.run().violations.empty());
      rises = world.record().rises;
    }
    CHECK(rises > 0);
  }
  CHECK(deaths > test::in_200_worlds(10));
  CHECK(outlived_links > test::in_200_worlds(10)); // or links would decide
  CHECK(relayed > test::in_200_worlds(10));
  CHECK(terms > 10 * test::simulated_worlds / 4); // leadership moves
  CHECK(promoted > test::simulated_worlds);
  CHECK(begun > 10 * test::simulated_worlds);
}

TEST_CASE("one seed of the node scenario is one run", "[property]") {
  test::check_replay<sim::node_scenario>(with_seed(2));
}

} // namespace node_property
