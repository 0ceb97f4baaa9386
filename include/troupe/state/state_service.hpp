#pragma once

#include <cstdint>

#include "caf/actor_system.hpp"
#include "caf/telemetry/counter.hpp"
#include "caf/telemetry/metric_registry.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/state/messages.hpp"
#include "troupe/state/state_table.hpp"

namespace troupe::state {

/// What a host has to know of replicated state to put a state_table on the network. Spawn it
/// with `host::spawn<state_service>(sys, options)`, give a host to make it durable.
///
/// Metric: troupe.state-expired, values whose time ran out.
class state_service {
public:
  using machine = state_table;
  using options = state_options;
  using commands = state_commands;
  using queries = state_queries;
  using handle = state_actor;

  static constexpr const char* name = "troupe.state";

  explicit state_service(caf::actor_system& sys)
    : expired_(sys.metrics().counter_singleton("troupe", "state-expired",
                                               "Values whose time ran out.", "1", true)) {}

  static event opening(const state_options& bounds, std::uint64_t revision_floor) {
    return configure{bounds, revision_floor};
  }

  static const written& result_of(const accepted& answer) {
    return answer.value;
  }

  static caf::error result_of(const refused& answer) {
    return to_error(answer.why);
  }

  void carry_out(const expired&) {
    expired_->inc();
  }

private:
  caf::telemetry::int_counter* expired_;
};

} // namespace troupe::state
