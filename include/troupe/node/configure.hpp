#pragma once

#include "caf/actor_system_config.hpp"
#include "troupe/core/compiled.hpp"

namespace troupe {

/// Prepares the configuration of an actor system that is passed to node::start(): adds what links
/// need and the services that other nodes may spawn here.
TROUPE_COMPILED void configure(caf::actor_system_config& cfg);

/// A configuration that configure() has prepared.
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
