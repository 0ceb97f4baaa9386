#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <compare>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "troupe/core/fields.hpp"
#include "troupe/core/hex.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/utf8.hpp"

namespace troupe {

/// A fixed number of bytes, such as an id or a digest; each `Tag` makes a type of its own. For
/// people, in JSON and as keys they are hex digits. All zero means not set.
template <class Tag, std::size_t Size>
struct fixed_bytes {
  static constexpr std::size_t size = Size;

  std::array<std::byte, Size> bytes{};

  // Not defaulted: gcc 12 makes a loop over single bytes of that.
  friend constexpr bool operator==(const fixed_bytes& left, const fixed_bytes& right) {
    return std::is_constant_evaluated() ? left.bytes == right.bytes
                                        : std::memcmp(&left.bytes, &right.bytes, Size) == 0;
  }

  friend constexpr std::strong_ordering operator<=>(const fixed_bytes& left,
                                                    const fixed_bytes& right) {
    return std::is_constant_evaluated() ? left.bytes <=> right.bytes
                                        : std::memcmp(&left.bytes, &right.bytes, Size) <=> 0;
  }

  /// Returns the bytes in `source`.
  /// @pre source.size() == size
  static fixed_bytes from(std::span<const std::byte> source) {
    assert(source.size() == Size);
    fixed_bytes made;
    std::ranges::copy(source.template first<Size>(), made.bytes.begin());
    return made;
  }

  /// Reads what to_string() wrote.
  static result<fixed_bytes> from_string(std::string_view text) {
    auto read = text.size() == 2 * Size ? from_hex(text) : std::nullopt;
    if (!read)
      return problem{errc::bad_argument,
                     "expected " + std::to_string(2 * Size) + " hex digits, found "
                       + std::to_string(text.size()) + " bytes"
                       + (is_utf8(text) ? " \"" + std::string{utf8_prefix(text, 80)} + "\"" : "")};
    return from(*read);
  }

  friend std::string to_string(const fixed_bytes& x) {
    return to_hex(x.bytes);
  }

  TROUPE_FIELDS(fixed_bytes, bytes);
};

} // namespace troupe
