#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// Returns two lower-case digits for each byte.
inline std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (auto each : bytes) {
    text += digits[std::to_integer<std::size_t>(each >> 4U)];
    text += digits[std::to_integer<std::size_t>(each & std::byte{0xf})];
  }
  return text;
}

/// Decodes what to_hex() wrote; accepts upper-case digits, too. Returns nothing for any other text.
inline std::optional<std::vector<std::byte>> from_hex(std::string_view text) {
  auto value_of = [](char digit) -> std::uint32_t {
    if (digit >= '0' && digit <= '9')
      return static_cast<std::uint32_t>(digit - '0');
    if (digit >= 'a' && digit <= 'f')
      return static_cast<std::uint32_t>(digit - 'a') + 10;
    if (digit >= 'A' && digit <= 'F')
      return static_cast<std::uint32_t>(digit - 'A') + 10;
    return 16;
  };
  if (text.size() % 2 != 0)
    return std::nullopt;
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t at = 0; at < text.size(); at += 2) {
    auto high = value_of(text[at]);
    auto low = value_of(text[at + 1]);
    if (high > 15 || low > 15)
      return std::nullopt;
    bytes.push_back(static_cast<std::byte>(high << 4U | low));
  }
  return bytes;
}

} // namespace troupe
