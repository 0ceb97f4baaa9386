#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "chaos/history.hpp"
#include "troupe/sim/laws/history.hpp"

/// Checks the numbers that the service of `troupe chaos` has given.
namespace cli::chaos {

/// How many numbers were given, according to one call.
struct sight {
  std::int64_t call = 0;
  std::int64_t end = 0;
  std::uint64_t number = 0;
  bool takes = false;
};

/// The answered calls, in the order of their answers. Reports answers that are not numbers.
inline std::vector<sight> answered(const troupe::sim::history& lines, findings& found) {
  std::vector<sight> result;
  for (auto& each : lines.operations()) {
    if (each.what.how != troupe::sim::outcome::ok || !each.end)
      continue;
    sight seen{each.what.call, *each.end, 0, each.what.verb == "take"};
    auto text = each.what.result.value_or("");
    auto read = std::from_chars(text.data(), text.data() + text.size(), seen.number);
    if (text.empty() || read.ec != std::errc{} || read.ptr != text.data() + text.size())
      found.violations.push_back(each.what.verb + " gave '" + text + "', which is no number");
    else
      result.push_back(seen);
  }
  std::ranges::sort(result, {}, &sight::end);
  return result;
}

/// Checks the verbs take and count: each take adds one, once, at some moment between its call and
/// its answer; a take with unknown outcome at most once, at any time after its call.
inline void check_numbers(const troupe::sim::history& lines, findings& found) {
  auto seen = answered(lines, found);
  std::set<std::uint64_t> given;
  for (auto& each : seen)
    if (each.takes && !given.insert(each.number).second)
      found.violations.push_back("number " + std::to_string(each.number) + " was given twice");

  // Lower bound: the calls that had ended before this one began.
  auto by_call = seen;
  std::ranges::sort(by_call, {}, &sight::call);
  std::uint64_t before = 0;
  for (auto over = seen.begin(); auto& each : by_call) {
    for (; over != seen.end() && over->end < each.call; ++over)
      before = std::max(before, over->number);
    if (each.number < before + (each.takes ? 1 : 0))
      found.violations.push_back((each.takes ? "number " : "a count of ")
                                 + std::to_string(each.number) + " came after number "
                                 + std::to_string(before));
  }

  // Upper bound: the calls that had begun when it was answered, as nothing is done twice.
  std::vector<std::int64_t> begun;
  for (auto& each : lines.operations())
    if (each.what.verb == "take" && each.what.how != troupe::sim::outcome::fail)
      begun.push_back(each.what.call);
  std::ranges::sort(begun);
  for (auto& each : seen) {
    auto most = std::ranges::upper_bound(begun, each.end) - begun.begin();
    if (each.number > static_cast<std::uint64_t>(most))
      found.violations.push_back("number " + std::to_string(each.number) + " was there when only "
                                 + std::to_string(most) + " had been asked for");
  }
}

} // namespace cli::chaos
