#pragma once

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli.hpp"
#include "settings.hpp"

/// Checks for values of options: each returns an error text, or an empty one.
namespace cli {

/// Rejects an empty word, which an unset variable of a script gives.
inline CLI::Validator given(const std::string& what) {
  auto check = [what](const std::string& text) {
    return text.empty() ? "the word is empty; give " + what : std::string{};
  };
  return {check, ""};
}

/// Accepts numbers in this range only: not "nan", which would pass any comparison, nor "0x2", which
/// the parser might accept.
inline CLI::Validator number_in(std::uint32_t low, std::uint32_t high) {
  auto check = [low, high](const std::string& text) {
    double number = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    auto is_one
      = fault == std::errc{} && end == text.data() + text.size() && number >= low && number <= high;
    return is_one ? std::string{}
                  : "'" + text + "' is not a number from " + std::to_string(low) + " to "
                      + std::to_string(high) + "; write it as 0, 0.5 or 1";
  };
  return {check, ""};
}

/// Accepts whole numbers in this range only: not "010", which would be 8 to the parser.
inline CLI::Validator count_in(std::uint32_t low, std::uint32_t high) {
  auto check = [low, high](const std::string& text) {
    std::uint32_t number = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    auto is_whole
      = !text.empty() && end == text.data() + text.size() && (text == "0" || text[0] != '0');
    auto is_too_large
      = is_whole
        && (fault == std::errc::result_out_of_range || (fault == std::errc{} && number > high));
    if (is_whole && fault == std::errc{} && number >= low && number <= high)
      return std::string{};
    return "'" + text + "' is not a whole number from " + std::to_string(low) + " to "
           + std::to_string(high)
           + (is_too_large ? "; give at most " + std::to_string(high)
              : is_whole
                ? "; give at least " + std::to_string(low)
                : "; write it as " + std::to_string(std::clamp<std::uint32_t>(4, low, high)));
  };
  return {check, ""};
}

/// Rejects an empty word, which an unset variable of a script gives, and "-", which means standard
/// output to other programs.
inline std::string is_file_to_write(const std::string& text) {
  return text.empty() || text == "-" ? "'" + text + "' is no file; give a file, or leave it out"
                                     : std::string{};
}

/// Accepts spans in this range only, and converts them to plain seconds. `reason` is added to the
/// error, and may be empty.
inline CLI::Validator span_in(std::chrono::milliseconds low, std::chrono::milliseconds high,
                              const std::string& reason = {}) {
  auto convert = [low, high, reason](std::string& text) {
    auto span = to_duration(text, {});
    if (!span || *span < low || *span > high)
      return "'" + text + "' is not a span from " + shortest_span(low) + " to "
             + shortest_span(high) + reason
             + (!span         ? "; write it as 500ms, 10s, 2m, 1h or plain seconds"
                : *span < low ? "; it is too short"
                              : "; it is too long");
    auto whole = std::chrono::floor<std::chrono::seconds>(*span);
    text = whole == *span ? std::to_string(whole.count()) : json(seconds(*span)).dump();
    return std::string{};
  };
  return {convert, ""};
}

/// As span_in(), for what takes whole seconds. Rejects "010".
inline CLI::Validator whole_seconds_in(std::chrono::seconds low, std::chrono::seconds high,
                                       const std::string& reason = {}) {
  auto convert = [low, high, reason](std::string& text) {
    auto span = to_duration(text, {});
    auto whole = span ? std::chrono::floor<std::chrono::seconds>(*span) : std::chrono::seconds{};
    auto is_octal = text.size() > 1 && text[0] == '0' && text.find_first_of("0123456789", 1) == 1;
    if (!span || is_octal || whole != *span || whole < low || whole > high)
      return "'" + text + "' is not a whole number of seconds from " + shortest_span(low) + " to "
             + shortest_span(high) + reason + "; write it as 10s, 2m, 1h or plain seconds";
    text = std::to_string(whole.count());
    return std::string{};
  };
  return {convert, ""};
}

/// Rejects what to_duration() cannot read.
inline std::string is_span(const std::string& text) {
  auto span = to_duration(text, {});
  return span ? std::string{} : span.error().detail;
}

/// Rejects what to_duration() cannot read, other than "never".
inline std::string is_span_or_never(const std::string& text) {
  auto span = to_duration(text, {});
  return text == "never" || span ? std::string{} : span.error().detail + ", or give never";
}

/// Rejects what is not empty and no HOST:PORT.
inline std::string is_address(const std::string& text) {
  auto read = troupe::net::address::from_string(text);
  return text.empty() || read ? std::string{} : read.error().detail;
}

/// As is_address(), and rejects port 0, which only --listen knows.
inline std::string is_address_to_dial(const std::string& text) {
  auto read = troupe::net::address::from_string(text);
  return read && read->port == 0
           ? "'" + text
               + "' has port 0, where no node can be reached; give the port that the node has, as "
                 "it says at its start"
           : is_address(text);
}

/// Rejects a label without a name or a value.
inline std::string is_label(const std::string& text) {
  auto end = text.find('=');
  return end != 0 && end != std::string::npos ? std::string{}
                                              : "'" + text + "' is no label; give NAME=VALUE";
}

/// Rejects "010", which would be run 8, and "-1".
inline std::string is_run(const std::string& text) {
  auto is_one = !text.empty() && text.size() < 20 && text[0] != '0'
                && text.find_first_not_of("0123456789") == std::string::npos;
  return is_one ? std::string{}
                : "'" + text + "' is not the number of a run; troupe workflows shows them";
}

/// The words in braces, as fixed_values() expects them.
inline std::string in_braces(const std::vector<std::string>& words) {
  std::string all;
  for (auto& each : words)
    all += (all.empty() ? "{" : ",") + each;
  return all + '}';
}

/// Accepts any word; shell completion offers these.
inline CLI::Validator often(const std::vector<std::string>& words) {
  return {[](const std::string&) { return std::string{}; }, in_braces(words)};
}

/// Accepts only these words; the error names them, and the nearest one if it is close. Shell
/// completion offers them, see fixed_values().
inline CLI::Validator one_of(const std::vector<std::string>& known) {
  auto check = [known](const std::string& text) {
    if (std::ranges::find(known, text) != known.end())
      return std::string{};
    auto all = "'" + text + "' is none of ";
    for (auto& each : known)
      all += each + (&each == &known.back() ? "; " : ", ");
    auto close = close_to(text, known);
    return all + (close ? "the nearest one is " + *close : "give one of these");
  };
  return {check, in_braces(known)};
}

/// Rejects "010", which would be 8, "-1", and a number that is too large, which would become
/// another seed.
inline std::string is_seed(const std::string& text) {
  std::uint64_t seed = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seed);
  auto is_one
    = fault == std::errc{} && end == text.data() + text.size() && (text == "0" || text[0] != '0');
  return is_one ? std::string{}
                : "'" + text + "' is no seed; give a number from 0 to 18446744073709551615";
}

/// Number of bytes in a unit: "MB", "MiB", in upper or lower case; none if it is not known.
inline std::optional<std::uint64_t> bytes_in(std::string unit) {
  for (auto& each : unit)
    each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
  if (unit.empty() || unit == "b")
    return 1;
  constexpr std::string_view letters = "kmgtpe";
  auto power = letters.find(unit[0]);
  auto rest = unit.substr(1);
  auto is_binary = rest == "i" || rest == "ib";
  if (power == std::string_view::npos || (!is_binary && !rest.empty() && rest != "b"))
    return {};
  std::uint64_t bytes = 1;
  for (std::size_t step = 0; step <= power; ++step)
    bytes *= is_binary ? 1'024 : 1'000;
  return bytes;
}

/// Converts a size to a number of bytes.
inline CLI::Validator in_bytes() {
  auto convert = [](std::string& text) {
    std::uint64_t number = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    unit.erase(0, std::min(unit.find_first_not_of(' '), unit.size()));
    auto bytes = bytes_in(unit);
    constexpr std::uint64_t most = std::uint64_t{15} << 60U;
    if (fault != std::errc{} || !bytes || number > most / *bytes || (text[0] == '0' && number > 0))
      return "'" + text
             + "' is not a size up to 15EiB; write it as 512MB, 16GiB or a whole number of bytes";
    text = std::to_string(number * *bytes);
    return std::string{};
  };
  return {convert, ""};
}

} // namespace cli
