#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <compare>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "troupe/core/hex.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/utf8.hpp"

namespace troupe {

/// As many bytes as a name or a digest has, of a type of their own for each `Tag`.
/// For people, in JSON and as keys they are hex digits. All zero stands for none.
template <class Tag, std::size_t Size>
struct fixed_bytes {
  static constexpr std::size_t size = Size;

  std::array<std::byte, Size> bytes{};

  friend auto operator<=>(const fixed_bytes&, const fixed_bytes&) = default;

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

  template <class Inspector>
  friend bool inspect(Inspector& f, fixed_bytes& x) {
    return f.object(x).fields(f.field("bytes", x.bytes));
  }
};

} // namespace troupe
