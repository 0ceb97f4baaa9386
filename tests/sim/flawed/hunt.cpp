// Runs a scenario with a flaw planted (see core/flaw.hpp) until a law is found broken. Exits with 0
// if one was, with 1 if all seeds passed, with 2 if it was not told what to look for.
//
// Usage: hunt SCENARIO FLAW [SEEDS [FIRST]]

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "support/varied_world.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/sim/scenarios/lease_scenario.hpp"
#include "troupe/sim/scenarios/lock_scenario.hpp"
#include "troupe/sim/scenarios/node_scenario.hpp"
#include "troupe/sim/scenarios/raft_scenario.hpp"
#include "troupe/sim/scenarios/scheduler_scenario.hpp"
#include "troupe/sim/scenarios/seats_scenario.hpp"
#include "troupe/sim/scenarios/session_scenario.hpp"
#include "troupe/sim/scenarios/state_scenario.hpp"
#include "troupe/sim/scenarios/swim_scenario.hpp"

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
  return nullptr;
}

sim::scenario_options world_of(std::string_view name, std::uint64_t seed) {
  constexpr auto span = std::chrono::seconds{30};
  if (name == "session")
    return test::world_of_short_sessions(seed, span);
  if (name == "node")
    return test::world_of_nodes(seed, std::chrono::seconds{20});
  return name == "seats" ? test::world_of_seats(seed, span) : test::varied_group(seed, span);
}

} // namespace

int main(int count, char** words) {
  auto run = scenario_of(count > 1 ? words[1] : "");
  planted_flaw = flaw_of(count > 2 ? words[2] : "");
  if (!run || planted_flaw == flaw::none) {
    std::printf("give the name of a scenario and that of a flaw\n");
    return 2;
  }
  auto seeds = count > 3 ? std::stoull(words[3]) : 200;
  auto first = count > 4 ? std::stoull(words[4]) : 0;
  for (auto seed = first; seed < first + seeds; ++seed) {
    auto found = run(world_of(words[1], seed));
    if (found.empty())
      continue;
    std::printf("seed %llu: %s\n", seed, found.front().c_str());
    return 0;
  }
  std::printf("%llu seeds passed\n", seeds);
  return 1;
}
