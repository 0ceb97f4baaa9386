#pragma once

#include <cstdint>

#include "caf/actor_system.hpp"
#include "caf/telemetry/counter.hpp"
#include "caf/telemetry/metric_registry.hpp"
#include "troupe/host/service.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/registry/record_table.hpp"

namespace troupe::registry {

/// Lets a host put a record_table on the network. A host in memory is enough, because nodes put
/// their records again where they are missing.
///
/// Metrics: troupe.registry-names-lost, records whose name went to a newer claim;
/// troupe.registry-checks-due, health checks that were due. The nodes act on both, by the table
/// that they follow: see cluster::member_state.
class registry_service : public host::service<record_table, registry_commands, registry_queries> {
public:
  using options = registry_options;

  static constexpr const char* name = "troupe.registry";

  explicit registry_service(caf::actor_system& sys)
    : service(sys),
      names_lost_(sys.metrics().counter_singleton(
        "troupe", "registry-names-lost", "Records whose name went to a newer claim.", "1", true)),
      checks_due_(sys.metrics().counter_singleton("troupe", "registry-checks-due",
                                                  "Health checks that were due.", "1", true)) {}

  static event opening(const registry_options& bounds, std::uint64_t revision_floor) {
    return configure{bounds, revision_floor};
  }

  void carry_out(const name_lost&) {
    names_lost_->inc();
  }

  void carry_out(const check_health&) {
    checks_due_->inc();
  }

private:
  caf::telemetry::int_counter* names_lost_;
  caf::telemetry::int_counter* checks_due_;
};

} // namespace troupe::registry
