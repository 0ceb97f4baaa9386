#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iosfwd>
#include <string>

#include "troupe/core/time.hpp"

namespace troupe {

/// The severity of a log line.
enum class log_level : std::uint8_t {
  /// Normal operation.
  info = 0,
  /// Something is wrong and may recover by itself.
  warning = 1,
  /// Something stays wrong until an operator acts.
  error = 2,
};

constexpr const char* name_of(log_level which) noexcept {
  switch (which) {
    case log_level::info:
      return "info";
    case log_level::warning:
      return "warning";
    case log_level::error:
      return "error";
  }
  return "unknown";
}

/// A log line of a node, for its operator.
struct log_line {
  wall_time at{};
  log_level level = log_level::info;
  /// The name of the node.
  std::string node;
  std::string text;
};

/// Returns `moment` in UTC in the form of RFC 3339, cut to milliseconds:
/// "2026-11-21T15:04:05.678Z".
inline std::string to_rfc3339(wall_time moment) {
  using namespace std::chrono;
  auto since = floor<milliseconds>(moment.time_since_epoch());
  auto date = sys_days{floor<days>(since)};
  year_month_day parts{date};
  hh_mm_ss time{since - duration_cast<milliseconds>(date.time_since_epoch())};
  char text[40];
  std::snprintf(text, sizeof(text), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", int{parts.year()},
                unsigned{parts.month()}, unsigned{parts.day()},
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()),
                static_cast<int>(time.subseconds().count()));
  return text;
}

/// Returns the line as it is logged: "2026-11-21T15:04:05.678Z warning n1: text".
inline std::string to_string(const log_line& line) {
  return to_rfc3339(line.at) + ' ' + name_of(line.level) + ' ' + line.node + ": " + line.text;
}

/// Prints it as to_string() returns it. A template, so that this header need not include `ostream`.
template <class Char, class Traits>
std::basic_ostream<Char, Traits>& operator<<(std::basic_ostream<Char, Traits>& out,
                                             const log_line& line) {
  return out << to_string(line).c_str();
}

} // namespace troupe
