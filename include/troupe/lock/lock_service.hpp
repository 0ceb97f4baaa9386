#pragma once

#include <cstdint>

#include "caf/actor_system.hpp"
#include "caf/telemetry/counter.hpp"
#include "caf/telemetry/metric_registry.hpp"
#include "troupe/host/service.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/lock/lock_table.hpp"
#include "troupe/lock/messages.hpp"

namespace troupe::lock {

/// Tells a host how to put a lock_table on the network. Spawn it with
/// `host::spawn<lock_service>(sys, options)`; pass a host to make it durable.
///
/// Metric: troupe.lock-expired, leases that ran out while held.
class lock_service : public host::service<lock_table, lock_commands, lock_queries> {
public:
  using options = lock_options;

  static constexpr const char* name = "troupe.lock";
  static constexpr bool steps_are_brief = true;

  explicit lock_service(caf::actor_system& sys)
    : service(sys),
      expired_(sys.metrics().counter_singleton("troupe", "lock-expired",
                                               "Leases that ran out while held.", "1", true)) {}

  static event opening(const lock_options& bounds, std::uint64_t token_floor) {
    return configure{bounds, token_floor};
  }

  void carry_out(const expired&) {
    expired_->inc();
  }

private:
  caf::telemetry::int_counter* expired_;
};

} // namespace troupe::lock
