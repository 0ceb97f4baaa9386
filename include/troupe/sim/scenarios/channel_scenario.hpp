#pragma once

#include <chrono>
#include <utility>

#include "troupe/sim/scenarios/scenario.hpp"
#include "troupe/sim/world/channel_process.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// Two nodes that send to each other's agents, and are killed and paused, over a network that
/// loses, doubles and reorders what they send.
class channel_scenario {
public:
  explicit channel_scenario(const scenario_options& how)
    : options_(how), world_(how.seed, 2, how.what) {}

  scenario_report run() {
    world_.start_all();
    world_.begin_faults();
    world_.run_until(options_.span);
    world_.end_faults();
    auto& shared = world_.setting();
    shared.is_over = true;
    auto is_done = [&] {
      for (process_id each = 0; each < 2; ++each)
        if (world_.at(each) == nullptr || !world_.at(each)->is_idle())
          return false;
      return true;
    };
    if (!world_.run_until(options_.span + time_to_end, is_done))
      shared.laws.check_end(shared.found);
    return {shared.found.violations, world_.trace(), world_.events(), shared.laws.told()};
  }

private:
  /// Seconds for each message of the slow agent.
  static constexpr duration time_to_end = std::chrono::minutes{20};

  scenario_options options_;
  world<channel_process> world_;
};

} // namespace troupe::sim
