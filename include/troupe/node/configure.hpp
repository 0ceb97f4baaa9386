#pragma once

#include "caf/actor_system_config.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/registry/name_service.hpp"
#include "troupe/registry/registry_service.hpp"
#include "troupe/scheduler/scheduler_service.hpp"
#include "troupe/state/state_service.hpp"

namespace troupe {

/// Makes a configuration fit for nodes: what links need, and the services that others may
/// spawn here. For those who hand their own actor_system to a node.
inline void configure(caf::actor_system_config& cfg) {
  net::configure_links(cfg);
  host::add_service<lock::lock_service>(cfg);
  host::add_service<registry::registry_service>(cfg);
  host::add_service<registry::name_service>(cfg);
  host::add_service<scheduler::scheduler_service>(cfg);
  host::add_service<state::state_service>(cfg);
}

/// A configuration as configure() makes it.
class node_config : public caf::actor_system_config {
public:
  node_config() {
    configure(*this);
  }
};

} // namespace troupe
