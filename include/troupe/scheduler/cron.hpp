#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"

namespace troupe::scheduler {

/// A set of minutes in UTC, written as in crontab(5): minute, hour, day of the month, month and
/// day of the week. Each is `*`, a number, a name, a range `a-b`, one of these with `/step`, or
/// a list of these. Or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. If both days are
/// given (neither begins with `*`), a day that matches one of them is enough.
/// Source: IEEE Std 1003.1, crontab, with the ranges, steps and names of Vixie cron.
class cron_expression {
public:
  /// Errors: bad_argument, with the field that cannot be read, or if the date never comes.
  static result<cron_expression> parse(std::string_view text) {
    for (auto& [name, meaning] : names_of_expressions)
      if (text == name)
        return parse(meaning);
    cron_expression made;
    auto rest = text;
    std::array<std::string_view, fields.size()> parts;
    for (auto& part : parts)
      part = cut_word(rest);
    if (parts.back().empty() || !cut_word(rest).empty())
      return problem{errc::bad_argument,
                     "a cron expression has 5 fields (minute hour day month weekday) or is one of "
                     "@hourly @daily @weekly @monthly @yearly"};
    for (std::size_t index = 0; index < fields.size(); ++index) {
      auto found = parse_field(parts[index], fields[index]);
      if (!found)
        return problem{errc::bad_argument, std::string{fields[index].name} + " is not within "
                                             + std::to_string(fields[index].low) + " to "
                                             + std::to_string(fields[index].high)
                                             + ", a range, a step or a list of these"};
      made.allowed_[index] = *found;
      made.any_[index] = parts[index].front() == '*';
    }
    if ((made.allowed_[weekday] & 0x80U) != 0) // Sunday is 0 and 7
      made.allowed_[weekday] |= 1U;
    if (!made.next_after(wall_time{}))
      return problem{errc::bad_argument,
                     "day and month give a date that never comes; give one that exists"};
    return made;
  }

  /// Returns the first matching minute after `from`; nothing if there is none within nine
  /// years, more than the longest gap between two 29 Februaries. Cost: O(days until then).
  [[nodiscard]] std::optional<wall_time> next_after(wall_time from) const {
    using namespace std::chrono;
    auto start = floor<minutes>(from.time_since_epoch()) + minutes{1};
    auto first = floor<days>(start);
    constexpr auto longest = days{366 * 9};
    for (auto date = first; date <= first + longest; date += days{1}) {
      if (!is_meant(date))
        continue;
      auto earliest = date == first ? start - first : minutes{0};
      for (auto at = earliest; at < days{1}; ++at)
        if (allows(hour, static_cast<std::uint64_t>(at / hours{1}))
            && allows(minute, static_cast<std::uint64_t>(at % hours{1} / minutes{1})))
          return wall_time{date + at};
    }
    return std::nullopt;
  }

private:
  enum field_index : std::size_t { minute, hour, day, month, weekday };

  struct field {
    std::string_view name;
    std::uint32_t low;
    std::uint32_t high;
    /// Names of three letters each; the first is that of `low`.
    std::string_view names;
  };

  static constexpr std::array<field, 5> fields{
    {{"minute", 0, 59, ""},
     {"hour", 0, 23, ""},
     {"day", 1, 31, ""},
     {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
     {"weekday", 0, 7, "sunmontuewedthufrisat"}}};

  static constexpr std::array<std::pair<std::string_view, std::string_view>, 5>
    names_of_expressions{{{"@hourly", "0 * * * *"},
                          {"@daily", "0 0 * * *"},
                          {"@weekly", "0 0 * * 0"},
                          {"@monthly", "0 0 1 * *"},
                          {"@yearly", "0 0 1 1 *"}}};

  [[nodiscard]] bool allows(field_index which, std::uint64_t value) const {
    return ((allowed_[which] >> value) & 1U) != 0;
  }

  [[nodiscard]] bool is_meant(std::chrono::days since_epoch) const {
    using namespace std::chrono;
    sys_days date{since_epoch};
    year_month_day parts{date};
    if (!allows(month, static_cast<unsigned>(parts.month())))
      return false;
    auto day_good = allows(day, static_cast<unsigned>(parts.day()));
    auto weekday_good = allows(weekday, std::chrono::weekday{date}.c_encoding());
    return any_[day] || any_[weekday] ? day_good && weekday_good : day_good || weekday_good;
  }

  // -- reading -----------------------------------------------------------------------

  static std::string_view cut_word(std::string_view& rest) {
    auto begin = std::min(rest.find_first_not_of(" \t"), rest.size());
    auto end = std::min(rest.find_first_of(" \t", begin), rest.size());
    auto word = rest.substr(begin, end - begin);
    rest.remove_prefix(end);
    return word;
  }

  /// Returns the set of numbers in `text`, as bits.
  static std::optional<std::uint64_t> parse_field(std::string_view text, const field& which) {
    std::uint64_t result = 0;
    for (auto more = true; more;) {
      auto comma = text.find(',');
      more = comma != std::string_view::npos;
      auto part = parse_part(text.substr(0, comma), which);
      if (!part)
        return std::nullopt;
      result |= *part;
      if (more)
        text.remove_prefix(comma + 1);
    }
    return result;
  }

  static std::optional<std::uint64_t> parse_part(std::string_view text, const field& which) {
    std::uint32_t step = 1;
    auto slash = text.find('/');
    if (slash != std::string_view::npos) {
      auto found = parse_number(text.substr(slash + 1));
      if (!found || *found == 0)
        return std::nullopt;
      step = *found;
      text = text.substr(0, slash);
    }
    auto low = std::optional{which.low};
    auto high = std::optional{which.high};
    if (text != "*") {
      auto dash = text.find('-');
      low = parse_value(text.substr(0, dash), which);
      if (dash != std::string_view::npos)
        high = parse_value(text.substr(dash + 1), which);
      else if (slash == std::string_view::npos)
        high = low;
    }
    if (!low || !high || *low > *high)
      return std::nullopt;
    std::uint64_t result = 0;
    for (auto value = *low; value <= *high; value += std::min(step, which.high + 1))
      result |= std::uint64_t{1} << value;
    return result;
  }

  static std::optional<std::uint32_t> parse_value(std::string_view text, const field& which) {
    constexpr std::size_t letters = 3;
    if (text.size() == letters)
      for (std::size_t at = 0; at < which.names.size(); at += letters)
        if (std::ranges::equal(which.names.substr(at, letters), text,
                               [](char name, char given) { return name == (given | ' '); }))
          return which.low + static_cast<std::uint32_t>(at / letters);
    auto number = parse_number(text);
    return number && *number >= which.low && *number <= which.high ? number : std::nullopt;
  }

  static std::optional<std::uint32_t> parse_number(std::string_view text) {
    std::uint32_t result = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), result);
    if (fault != std::errc{} || end != text.data() + text.size())
      return std::nullopt;
    return result;
  }

  /// For each field the numbers it allows, as bits.
  std::array<std::uint64_t, fields.size()> allowed_{};
  /// For each field whether it began with a star.
  std::array<bool, fields.size()> any_{};
};

/// Returns the minute of `moment` as ISO 8601 writes it: 2026-11-20T03:00Z.
inline std::string minute_of(wall_time moment) {
  using namespace std::chrono;
  auto date = floor<days>(moment.time_since_epoch());
  auto at = floor<minutes>(moment.time_since_epoch()) - date;
  year_month_day parts{sys_days{date}};
  auto two = [](auto value) {
    auto text = std::to_string(static_cast<unsigned>(value));
    return text.size() < 2 ? "0" + text : text;
  };
  return std::to_string(static_cast<int>(parts.year())) + "-"
         + two(static_cast<unsigned>(parts.month())) + "-" + two(static_cast<unsigned>(parts.day()))
         + "T" + two(at / hours{1}) + ":" + two(at % hours{1} / minutes{1}) + "Z";
}

} // namespace troupe::scheduler
