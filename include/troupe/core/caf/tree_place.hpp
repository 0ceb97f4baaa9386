#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "caf/fwd.hpp"
#include "caf/string_view.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/problem.hpp"

/// Where one is in the tree of a message: see core/caf/message_tree.hpp for its form.
namespace troupe::detail {

/// What has begun in a tree and has not ended.
enum class tree_part : std::uint8_t { object, field, list, map, pair };

/// Returns ".name", or nothing without a name.
inline std::string member_step(std::string_view name) {
  return name.empty() ? std::string{} : "." + std::string{name};
}

/// Returns the name of alternative `index` of a variant: that of its type.
inline std::string alternative_of(caf::span<const caf::type_id_t> types, std::size_t index) {
  auto name = index < types.size() ? caf::query_type_name(types[index]) : caf::string_view{};
  return name.empty() ? std::to_string(index) : std::string{name.begin(), name.end()};
}

/// Puts the place of what is read or written now, as ".shape.circle[2]", between `root` and `why`.
template <class Parts>
problem at_place(std::string root, const Parts& open, problem why) {
  for (auto& each : open)
    root += each.step();
  return {why.code, root + ": " + why.detail};
}

} // namespace troupe::detail
