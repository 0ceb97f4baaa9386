#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <string>
#include <string_view>

#include "troupe/core/ids.hpp"

namespace troupe::sim {

/// Returns an id for a node that a world or a test calls `name`. Ids sort as these names do.
inline node_id node_named(std::string_view name) {
  assert(name.size() < node_id::size);
  node_id made;
  std::ranges::transform(name, made.bytes.begin(),
                         [](char each) { return static_cast<std::byte>(each); });
  return made;
}

/// Returns the name from which node_named() made that id, of any other id its digits; empty for no
/// node.
inline std::string name_of(const node_id& node) {
  auto is_letter = [](std::byte each) { return each > std::byte{' '} && each <= std::byte{'~'}; };
  auto end = std::ranges::find_if_not(node.bytes, is_letter);
  if (std::any_of(end, node.bytes.end(), [](std::byte each) { return each != std::byte{}; }))
    return to_string(node);
  std::string name;
  std::for_each(node.bytes.begin(), end,
                [&](std::byte each) { name += std::to_integer<char>(each); });
  return name;
}

} // namespace troupe::sim
