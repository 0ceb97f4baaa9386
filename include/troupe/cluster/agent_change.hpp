#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "troupe/registry/record.hpp"

namespace troupe::cluster {

/// What changes of an agent while it runs. What is not named here stays as it is. Each change goes
/// to all nodes, once for each call: a load that changes all the time is better told once a second.
struct agent_change {
  std::set<std::string> add_capabilities{};
  std::set<std::string> remove_capabilities{};
  std::set<std::string> add_groups{};
  std::set<std::string> remove_groups{};
  /// Without a value: the key is taken away.
  std::map<std::string, std::optional<std::string>> metadata{};
  /// In a unit that all agents of a capability share: a message to any of them goes to one of those
  /// that have the least. At first zero.
  std::optional<std::uint32_t> load{};
};

/// Returns `what` after the change. What is both added and removed is not there.
inline registry::record changed(registry::record what, const agent_change& how) {
  auto change = [](auto& names, const auto& added, const auto& removed) {
    names.insert(added.begin(), added.end());
    for (auto& each : removed)
      names.erase(each);
  };
  change(what.capabilities, how.add_capabilities, how.remove_capabilities);
  change(what.groups, how.add_groups, how.remove_groups);
  for (auto& [name, text] : how.metadata)
    if (text)
      what.metadata.insert_or_assign(name, *text);
    else
      what.metadata.erase(name);
  what.load = how.load.value_or(what.load);
  return what;
}

} // namespace troupe::cluster
