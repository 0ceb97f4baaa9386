#pragma once

#include <cstddef>
#include <string_view>

namespace troupe {

/// Returns whether `text` is well-formed UTF-8: no overlong forms, no surrogates, nothing
/// above U+10FFFF. Names from outside must be UTF-8, because JSON cannot represent others. Cost:
/// one pass. Source: The Unicode Standard, table 3-7.
constexpr bool is_utf8(std::string_view text) {
  std::size_t position = 0;
  auto follows = [&](unsigned low, unsigned high) {
    if (position >= text.size())
      return false;
    auto byte = static_cast<unsigned char>(text[position++]);
    return byte >= low && byte <= high;
  };
  auto tail = [&] { return follows(0x80, 0xbf); };
  while (position < text.size()) {
    auto lead = static_cast<unsigned char>(text[position++]);
    if (lead < 0x80)
      continue;
    bool good = false;
    if (lead >= 0xc2 && lead <= 0xdf)
      good = tail();
    else if (lead == 0xe0)
      good = follows(0xa0, 0xbf) && tail();
    else if (lead == 0xed)
      good = follows(0x80, 0x9f) && tail();
    else if (lead >= 0xe1 && lead <= 0xef)
      good = tail() && tail();
    else if (lead == 0xf0)
      good = follows(0x90, 0xbf) && tail() && tail();
    else if (lead >= 0xf1 && lead <= 0xf3)
      good = tail() && tail() && tail();
    else if (lead == 0xf4)
      good = follows(0x80, 0x8f) && tail() && tail();
    if (!good)
      return false;
  }
  return true;
}

/// Returns as much of the start of `text` as fits into `max_bytes` without cutting a
/// character in two.
/// @pre is_utf8(text)
constexpr std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes)
    return text;
  while (max_bytes > 0 && (static_cast<unsigned char>(text[max_bytes]) & 0xc0U) == 0x80)
    --max_bytes;
  return text.substr(0, max_bytes);
}

static_assert(is_utf8("z\xc3\xbcrich") && !is_utf8("z\xfcrich"));

} // namespace troupe
