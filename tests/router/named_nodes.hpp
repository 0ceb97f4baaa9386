#pragma once

#include <algorithm>
#include <cassert>
#include <string>
#include <string_view>

#include "troupe/core/ids.hpp"

namespace troupe::test {

/// Returns an id for a node that a test calls `name`. Ids sort as these names do.
inline node_id node_named(std::string_view name) {
  assert(name.size() < node_id::size);
  node_id made;
  std::ranges::transform(name, made.bytes.begin(),
                         [](char each) { return static_cast<std::byte>(each); });
  return made;
}

/// Returns what the test calls that node; empty for no node.
inline std::string name_of(const node_id& node) {
  std::string name;
  for (auto each : node.bytes)
    if (each != std::byte{})
      name += std::to_integer<char>(each);
  return name;
}

} // namespace troupe::test
