#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "troupe/core/ids.hpp"
#include "troupe/core/owner_id.hpp"
#include "troupe/sim/world/named_nodes.hpp"

namespace troupe::test {

using sim::name_of;
using sim::node_named;

/// `"a"_node`
inline node_id operator""_node(const char* name, std::size_t size) {
  return node_named({name, size});
}

/// `"a"_owner`: what is of a program that is no node.
inline owner_id operator""_owner(const char* text, std::size_t size) {
  return owner_id{std::string{text, size}};
}

/// As name_of(), of a text that has the id of a node; of another one, that.
inline std::string short_name(const std::string& id) {
  auto node = node_id::from_string(id);
  return node ? name_of(*node) : id;
}

/// Returns the name of a record, "echo@n1", with the id of the node in place of its short name.
/// Other names stay as they are.
inline std::string with_whole_id(const std::string& name) {
  auto at = name.find('@');
  return at == std::string::npos
           ? name
           : name.substr(0, at + 1) + to_string(node_named(name.substr(at + 1)));
}

/// Returns `text` with short names in place of the ids of nodes.
inline std::string with_short_names(std::string text) {
  constexpr auto digits = 2 * node_id::size;
  for (std::size_t place = 0; place + digits <= text.size(); ++place)
    if (auto node = node_id::from_string(std::string_view{text}.substr(place, digits)))
      text.replace(place, digits, name_of(*node));
  return text;
}

} // namespace troupe::test
