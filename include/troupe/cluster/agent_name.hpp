#pragma once

#include <string>

#include "troupe/registry/record.hpp"

namespace troupe::cluster {

/// The name of the record of an agent that has claimed no name: the registry tells agents of
/// several nodes apart by it.
inline std::string unclaimed_name(const std::string& agent, const std::string& node) {
  return agent + '@' + node;
}

/// The id of the agent that a record is of. Names that nobody has claimed end with the id of their
/// node in the registry.
inline std::string agent_of(const registry::record& what) {
  auto& [kind, full, owner] = what.key;
  return what.token == 0 && full.ends_with('@' + owner)
           ? full.substr(0, full.size() - owner.size() - 1)
           : full;
}

} // namespace troupe::cluster
