#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "troupe/core/inspection.hpp"

/// The names that JSON and MessagePack use where our binary form has a number.
namespace troupe::detail {

/// The result of field() in a form with names.
template <class T>
struct named_field {
  std::string_view name;
  T& value;
};

/// Whether a map with keys of this type is written as an object.
template <class Key>
inline constexpr bool is_name = shape_of<Key> == shape::text || shape_of<Key> == shape::spelled;

/// Returns the name of alternative `Index`: the `json_name` of its type, else the
/// index itself.
template <class Variant, std::size_t Index>
std::string alternative_name() {
  using alternative = std::variant_alternative_t<Index, Variant>;
  if constexpr (requires { std::string_view{alternative::json_name}; })
    return std::string{alternative::json_name};
  else
    return std::to_string(Index);
}

/// Returns the names of all alternatives, in their order.
template <class Variant>
auto alternative_names() {
  return []<std::size_t... Is>(std::index_sequence<Is...>) {
    return std::array<std::string, sizeof...(Is)>{alternative_name<Variant, Is>()...};
  }
  (std::make_index_sequence<std::variant_size_v<Variant>>{});
}

/// Returns the value that is called `name`.
template <named_enum T>
std::optional<T> find_named(std::string_view name) {
  using number = std::underlying_type_t<T>;
  for (number each = 0;; ++each) {
    std::string_view found = name_of(static_cast<T>(each));
    if (found == "unknown")
      return std::nullopt;
    if (found == name)
      return static_cast<T>(each);
    if (each == std::numeric_limits<number>::max())
      return std::nullopt;
  }
}

} // namespace troupe::detail
