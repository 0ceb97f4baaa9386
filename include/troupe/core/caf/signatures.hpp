#pragma once

#include <set>
#include <string>

#include "caf/actor.hpp"
#include "caf/actor_system.hpp"

namespace troupe {

/// Returns the signatures of a typed actor, as CAF writes them; empty for caf::actor, which takes
/// any message.
template <class Handle>
std::set<std::string> signatures_of(const caf::actor_system& sys) {
  return sys.message_types<Handle>();
}

template <>
inline std::set<std::string> signatures_of<caf::actor>(const caf::actor_system&) {
  return {};
}

} // namespace troupe
