#pragma once

#include <string>
#include <string_view>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/registry/record.hpp"

/// How the record of an agent is called. One that has claimed its id is called by that. One that
/// has not is called "id@owner", by which the registry tells agents of several nodes apart.
namespace troupe::registry {

/// Returns whether `name` contains its node ("echo@n1"). Such names need no claim and cannot be
/// claimed.
constexpr bool is_own_name(std::string_view name) {
  return name.find('@') != std::string_view::npos;
}

/// Whether an agent can claim that id.
inline bool may_be_claimed(const agent_id& id) {
  return !check(id) && !is_own_name(id.text());
}

/// The name of the record of an agent that has claimed no name.
inline std::string unclaimed_name(const agent_id& agent, const node_id& owner) {
  return agent.text() + '@' + to_string(owner);
}

/// Whether it is such a name, of a node with the id `owner`.
inline bool is_unclaimed_name(std::string_view name, const node_id& owner) {
  constexpr auto digits = 2 * node_id::size;
  return name.size() > digits + 1 && name[name.size() - digits - 1] == '@'
         && name.ends_with(to_string(owner));
}

/// The id of the agent that a record is of.
inline agent_id agent_of(const record& what) {
  auto& [kind, name, owner] = what.key;
  return what.token == 0 && is_unclaimed_name(name, owner)
           ? agent_id{std::string_view{name}.substr(0, name.rfind('@'))}
           : agent_id{name};
}

} // namespace troupe::registry
