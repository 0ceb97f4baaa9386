#pragma once

#include <cstdint>

#include "caf/actor_system.hpp"
#include "troupe/host/service.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/registry/name_table.hpp"

namespace troupe::registry {

/// Lets a host put a name_table on the network. Needs a durable host: a table that lost its
/// claims would give one name to two nodes.
class name_service : public host::service<name_table, names_commands, names_queries> {
public:
  using options = names::name_options;

  static constexpr const char* name = "troupe.names";

  using service::service;

  static names::event opening(const options& bounds, std::uint64_t token_floor) {
    return names::configure{bounds, token_floor, token_floor != 0};
  }
};

} // namespace troupe::registry
