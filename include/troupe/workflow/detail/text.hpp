#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "troupe/core/time.hpp"
#include "troupe/core/utf8.hpp"

/// Text for error sentences, which may quote untrusted names.
namespace troupe::workflow::detail {

/// Returns whether `text`, which is UTF-8, has control characters for a terminal.
inline bool controls_terminal(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto byte = static_cast<unsigned char>(text[at]);
    auto next = at + 1 < text.size() ? static_cast<unsigned char>(text[at + 1]) : 0U;
    if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next < 0xa0)) // C0, DEL, C1
      return true;
  }
  return false;
}

/// Returns whether `text` is safe to print on a terminal and to write as JSON.
inline bool is_printable(std::string_view text) {
  return is_utf8(text) && !controls_terminal(text);
}

/// Returns `text` in quotes: its first 60 bytes. If these are not printable, "?" replaces each byte
/// that is not printable ASCII.
inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t enough = 60; // the sentence stays readable
  std::string shown{utf8_prefix(text, enough)};
  auto rest = shown.size() < text.size() ? "…\"" : "\"";
  if (!is_printable(shown))
    for (auto& byte : shown)
      if (auto code = static_cast<unsigned char>(byte); code < 0x20 || code > 0x7e)
        byte = '?';
  return "\"" + shown + rest;
}

/// Returns the position of a task in its file or list: `tasks[3] ("align")`.
inline std::string place_of(std::size_t position, std::string_view id) {
  return "tasks[" + std::to_string(position) + "] (" + in_quotes(id) + ")";
}

/// Returns `span` in seconds, exact, without zeros at the end: "12.015".
inline std::string seconds_text(duration span) {
  constexpr std::uint64_t second = 1'000'000'000;
  auto count = static_cast<std::uint64_t>(span.count());
  auto size = span.count() < 0 ? 0 - count : count;
  auto result = (span.count() < 0 ? "-" : "") + std::to_string(size / second);
  if (auto rest = size % second; rest != 0) {
    auto digits = std::to_string(second + rest).substr(1);
    result += "." + digits.substr(0, digits.find_last_not_of('0') + 1);
  }
  return result;
}

/// How many entries of a long list are shown at its beginning, and as many at its end.
inline constexpr std::size_t shown_entries = 10;

/// Joins `text_of(number)` for the numbers below `count`; the middle of a long list is only
/// counted.
template <class TextOf>
std::string join_shortened(std::size_t count, const std::string& between, TextOf text_of) {
  std::string result;
  for (std::size_t at = 0; at < count; ++at) {
    if (at == shown_entries && count > 2 * shown_entries) {
      result += between + "… (" + std::to_string(count - 2 * shown_entries) + " more)";
      at = count - shown_entries;
    }
    result += (at == 0 ? "" : between) + text_of(at);
  }
  return result;
}

} // namespace troupe::workflow::detail
