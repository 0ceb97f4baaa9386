#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli.hpp"
#include "settings.hpp"

/// Checks for values of options: each returns an error text, or an empty one.
namespace cli {

inline bool is_digits(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

/// Rejects "nan" and "inf", which would pass any range check.
inline std::string is_number(const std::string& text) {
  auto is_one = text.find_first_not_of("0123456789.eE+-") == std::string::npos;
  return is_one ? std::string{} : "'" + text + "' is not a number; write it as 2.5";
}

/// Rejects an empty word, which an unset variable of a script gives, and "-", which means standard
/// output to other programs.
inline std::string is_file_to_write(const std::string& text) {
  return text.empty() || text == "-" ? "'" + text + "' is no file; give a file, or leave it out"
                                     : std::string{};
}

/// Converts a duration with a unit to plain seconds, for the checks after it.
inline CLI::Validator in_seconds() {
  auto convert = [](std::string& text) {
    if (text.empty() || text.find_last_of("smh") != text.size() - 1)
      return std::string{};
    auto span = to_duration(text, {});
    if (!span)
      return "'" + text + "' is no duration; give one such as 500ms, 10s, 2m or plain seconds";
    auto whole = std::chrono::floor<std::chrono::seconds>(*span);
    text = whole == *span ? std::to_string(whole.count()) : json(seconds(*span)).dump();
    return std::string{};
  };
  return {convert, ""};
}

/// Bounded, because the history is kept in memory and checked at the end.
inline std::string is_chaos_span(const std::string& text) {
  unsigned seconds = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  auto is_one = fault == std::errc{} && end == text.data() + text.size() && text[0] != '0';
  if (is_one && seconds >= 10 && seconds <= 1'800)
    return {};
  return "'" + text
         + "' is no number of seconds from 10 to 1800; the history of a run is kept in memory, so "
           "for longer tests start several runs with different seeds";
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

/// Rejects "010", which would be 8, and "" and "-1".
inline std::string is_count(const std::string& text) {
  auto is_one = text == "0" || (text.size() < 10 && text[0] != '0' && is_digits(text));
  return is_one ? std::string{} : "'" + text + "' is not a number; write it as 0, 4 or 16";
}

/// Rejects "0x2" and "nan", which the parser might accept as numbers.
inline std::string is_amount(const std::string& text) {
  auto point = text.find('.');
  auto is_one = text.size() < 10 && is_digits(text.substr(0, point))
                && (point == std::string::npos || is_digits(text.substr(point + 1)));
  return is_one ? std::string{} : "'" + text + "' is not a number; write it as 0, 4 or 2.5";
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

/// Rejects "-5", which would become a huge number, and "0x5" and "010".
inline std::string is_size(const std::string& text) {
  auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  auto is_one = digits > 0 && (digits == 1 || text[0] != '0')
                && text.find_first_of("xX") == std::string::npos;
  return is_one ? std::string{} : "'" + text + "' is no size; write it as 512MB or 16GiB";
}

} // namespace cli
