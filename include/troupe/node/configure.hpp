#pragma once

#include "caf/actor_system_config.hpp"
#include "troupe/core/compiled.hpp"

namespace troupe {

/// Makes a configuration fit for nodes: what links need, and the services that others may
/// spawn here. For those who hand their own actor_system to a node.
TROUPE_COMPILED void configure(caf::actor_system_config& cfg);

/// A configuration as configure() makes it.
class node_config : public caf::actor_system_config {
public:
  node_config() {
    configure(*this);
  }
};

} // namespace troupe

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/services.ipp"
#endif
