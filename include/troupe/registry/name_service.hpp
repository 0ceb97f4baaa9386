#pragma once

#include <cstdint>

#include "caf/actor_system.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/registry/name_table.hpp"

namespace troupe::registry {

/// What a host has to know of names to put a name_table on the network. Wants a durable
/// host: whoever lost its claims gives a name to two.
class name_service {
public:
  using machine = name_table;
  using options = names::name_options;
  using commands = names_commands;
  using queries = names_queries;
  using handle = names_actor;

  static constexpr const char* name = "troupe.names";

  explicit name_service(caf::actor_system&) {}

  static names::event opening(const options& bounds, std::uint64_t token_floor) {
    return names::configure{bounds, token_floor};
  }

  static const names::claims& result_of(const names::granted& answer) {
    return answer.value;
  }

  static const names::freed& result_of(const names::released& answer) {
    return answer.value;
  }

  static caf::error result_of(const names::refused& answer) {
    return to_error(answer.why);
  }
};

} // namespace troupe::registry
