#pragma once

#include <cstddef>
#include <string>

#include "troupe/core/ids.hpp"
#include "troupe/sim/world/named_nodes.hpp"

namespace troupe::test {

using sim::name_of;
using sim::node_named;

/// `"a"_node`
inline node_id operator""_node(const char* name, std::size_t size) {
  return node_named({name, size});
}

/// As name_of(), of a text that has the id of a node; of another one, that.
inline std::string short_name(const std::string& id) {
  auto node = node_id::from_string(id);
  return node ? name_of(*node) : id;
}

} // namespace troupe::test
