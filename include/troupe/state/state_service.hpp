#pragma once

#include <cstdint>

#include "caf/actor_system.hpp"
#include "caf/telemetry/counter.hpp"
#include "caf/telemetry/metric_registry.hpp"
#include "troupe/host/service.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/state/messages.hpp"
#include "troupe/state/state_table.hpp"

namespace troupe::state {

/// Tells a host how to put a state_table on the network. Spawn it with
/// `host::spawn<state_service>(sys, options)`; pass a host to make it durable.
///
/// Metric: troupe.state-expired, values whose time ran out.
class state_service : public host::service<state_table, state_commands, state_queries> {
public:
  using options = state_options;

  static constexpr const char* name = "troupe.state";
  static constexpr bool steps_are_brief = true;

  explicit state_service(caf::actor_system& sys)
    : service(sys),
      expired_(sys.metrics().counter_singleton("troupe", "state-expired",
                                               "Values whose time ran out.", "1", true)) {}

  static event opening(const state_options& bounds, std::uint64_t revision_floor) {
    return configure{bounds, revision_floor};
  }

  void carry_out(const expired&) {
    expired_->inc();
  }

private:
  caf::telemetry::int_counter* expired_;
};

} // namespace troupe::state
