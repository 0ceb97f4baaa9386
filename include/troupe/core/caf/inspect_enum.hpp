#pragma once

#include <string_view>
#include <type_traits>

namespace troupe {

/// Carries an enum that has a name_of() through CAF's binary form as its number; a
/// number without a name is refused. Call it from the `inspect` that messages.hpp
/// gives to the enum. Our own forms need no `inspect` of an enum.
template <class Inspector, class Enum>
bool inspect_enum(Inspector& f, Enum& x) {
  using number = std::underlying_type_t<Enum>;
  auto get = [&x] { return static_cast<number>(x); };
  auto set = [&x](number value) {
    x = static_cast<Enum>(value);
    return std::string_view{name_of(x)} != "unknown";
  };
  return f.apply(get, set);
}

} // namespace troupe
