#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

namespace detail {

inline constexpr std::string_view base64_digits
  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

} // namespace detail

/// Returns `bytes` as text, padded. Source: RFC 4648, section 4.
inline std::string to_base64(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    auto group = bytes.subspan(at, std::min<std::size_t>(3, bytes.size() - at));
    std::uint32_t bits = 0;
    for (std::size_t each = 0; each < 3; ++each)
      bits = (bits << 8U) | (each < group.size() ? std::to_integer<std::uint32_t>(group[each]) : 0);
    for (std::size_t digit = 0; digit < 4; ++digit)
      text
        += digit <= group.size() ? detail::base64_digits[(bits >> (18 - 6 * digit)) & 0x3fU] : '=';
  }
  return text;
}

/// Decodes what to_base64() wrote. Returns nothing for any other form, so that no two texts decode
/// to the same bytes.
inline std::optional<std::vector<std::byte>> from_base64(std::string_view text) {
  if (text.size() % 4 != 0)
    return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
    ++padding;
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  std::size_t count = 0;
  for (auto letter : text.substr(0, text.size() - padding)) {
    auto digit = detail::base64_digits.find(letter);
    if (digit == std::string_view::npos)
      return std::nullopt;
    bits = (bits << 6U) | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<std::byte>((bits >> count) & 0xffU));
    }
  }
  if ((bits & ((1U << count) - 1)) != 0)
    return std::nullopt; // unused bits are not zero
  return bytes;
}

} // namespace troupe
