// Runs a scenario with a flaw planted (see core/flaw.hpp) until a law is found broken:
//
//   TROUPE_SCENARIO=node TROUPE_FLAW=link_decides sim_tests "a planted flaw is found"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "support/varied_world.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/sim/scenarios/channel_scenario.hpp"
#include "troupe/sim/scenarios/inbox_scenario.hpp"
#include "troupe/sim/scenarios/lease_scenario.hpp"
#include "troupe/sim/scenarios/lock_scenario.hpp"
#include "troupe/sim/scenarios/node_scenario.hpp"
#include "troupe/sim/scenarios/raft_scenario.hpp"
#include "troupe/sim/scenarios/scheduler_scenario.hpp"
#include "troupe/sim/scenarios/seats_scenario.hpp"
#include "troupe/sim/scenarios/session_scenario.hpp"
#include "troupe/sim/scenarios/state_scenario.hpp"
#include "troupe/sim/scenarios/swim_scenario.hpp"

namespace hunt {

namespace {

using namespace troupe;

template <class Scenario>
std::vector<std::string> violations_of(const sim::scenario_options& how) {
  return Scenario{how}.run().violations;
}

using scenario = std::vector<std::string> (*)(const sim::scenario_options&);

scenario scenario_of(std::string_view name) {
  if (name == "raft")
    return violations_of<sim::raft_scenario>;
  if (name == "lock")
    return violations_of<sim::lock_scenario>;
  if (name == "lease")
    return violations_of<sim::lease_scenario>;
  if (name == "state")
    return violations_of<sim::state_scenario>;
  if (name == "session")
    return violations_of<sim::session_scenario>;
  if (name == "scheduler")
    return violations_of<sim::scheduler_scenario>;
  if (name == "node")
    return violations_of<sim::node_scenario>;
  if (name == "swim")
    return violations_of<sim::swim_scenario>;
  if (name == "seats")
    return violations_of<sim::seats_scenario>;
  if (name == "inbox")
    return violations_of<sim::inbox_scenario>;
  if (name == "channel")
    return violations_of<sim::channel_scenario>;
  return nullptr;
}

sim::scenario_options world_of(std::string_view name, std::uint64_t seed) {
  constexpr auto span = std::chrono::seconds{30};
  if (name == "inbox")
    return test::world_of_inboxes(seed);
  if (name == "session")
    return test::world_of_short_sessions(seed, span);
  if (name == "node")
    return test::world_of_nodes(seed, std::chrono::seconds{20});
  if (name == "channel")
    return test::world_of_channels(seed, span);
  return name == "seats" ? test::world_of_seats(seed, span) : test::varied_group(seed, span);
}

std::string word(const char* variable) {
  auto* found = std::getenv(variable);
  return found == nullptr ? "" : found;
}

} // namespace

TEST_CASE("a planted flaw is found", "[.]") {
  constexpr std::uint64_t seeds = 400;
  auto name = word("TROUPE_SCENARIO");
  auto run = scenario_of(name);
  planted_flaw = flaw_of(word("TROUPE_FLAW"));
  INFO("TROUPE_SCENARIO and TROUPE_FLAW name what to look for");
  REQUIRE(run != nullptr);
  REQUIRE(planted_flaw != flaw::none);
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    auto found = run(world_of(name, seed));
    if (found.empty())
      continue;
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), found.front().c_str());
    return;
  }
  FAIL("no law was broken");
}

} // namespace hunt
