#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "troupe/core/result.hpp"

namespace troupe {

/// The JSON of values of a type with an `inspect`: `write(value)` and `read(text)`. Defined in
/// troupe/core/json.hpp; include that to write or read values of your own types.
template <class T>
struct json_text;

/// Returns text as it is, any other value as JSON.
template <class T>
result<std::string> to_text_of(const T& value) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>)
    return std::string{std::string_view{value}};
  else
    return json_text<T>::write(value);
}

/// The inverse of to_text_of().
template <class T>
result<T> from_text_of(std::string_view text) {
  if constexpr (std::is_same_v<T, std::string>)
    return std::string{text};
  else
    return json_text<T>::read(text);
}

} // namespace troupe
