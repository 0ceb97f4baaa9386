#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>

#include "troupe/cluster/swim_options.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// log2(x) in units of 1/65536, rounded down.
/// @pre x > 0
constexpr std::uint64_t log2_of(std::uint64_t x) {
  std::uint64_t whole = 0;
  while (x >> whole > 1)
    ++whole;
  auto result = whole << 16U;
  // The part behind the point, bit by bit: squaring doubles a logarithm.
  auto rest = whole > 31 ? x >> (whole - 31) : x << (31 - whole);
  for (auto bit = std::uint64_t{1} << 15U; bit > 0; bit >>= 1U) {
    rest = rest * rest >> 31U;
    if (rest >> 32U == 0)
      continue;
    rest >>= 1U;
    result += bit;
  }
  return result;
}

/// `span` times log10(x), but no less than `span`.
constexpr duration times_log10(duration span, std::size_t x) {
  constexpr std::uint64_t log2_of_10 = log2_of(10);
  auto log = log2_of(std::max<std::uint64_t>(x, 10));
  return duration{span.count() / 1'000 * static_cast<std::int64_t>(log * 1'000 / log2_of_10)};
}

/// How long a suspect has to contradict: long while one member suspects it, which may be at fault
/// itself, and less with each that agrees.
/// Source: Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More Accurate Failure
/// Detection", DSN-W 2018, section IV-B.
class suspicion {
public:
  suspicion(time_point began, const node_id& by) : began_(began) {
    accusers_.insert(by);
  }

  /// Returns whether that was news: one of the first `accusers` to agree.
  bool agree(const node_id& by, const swim_options& how) {
    return accusers_.size() <= how.accusers && accusers_.insert(by).second;
  }

  /// How many have agreed.
  [[nodiscard]] std::size_t agreed() const {
    return accusers_.size() - 1;
  }

  /// When it is over among so many `members`, this one and the suspect included.
  [[nodiscard]] time_point end(const swim_options& how, std::size_t members) const {
    auto least = times_log10(how.period * how.least_suspicion, members);
    auto longest = least * std::max<std::uint32_t>(how.longest_suspicion, 1);
    auto expected = std::min(how.accusers, members > 2 ? members - 2 : 0);
    auto heard = std::min(agreed(), expected);
    if (expected == 0)
      return began_ + least;
    auto share = static_cast<std::int64_t>(log2_of(heard + 1) * 1'000 / log2_of(expected + 1));
    return began_ + longest - (longest - least) / 1'000 * share;
  }

  /// This member has slept, and could not hear it contradict.
  void lengthen(duration span) {
    began_ += span;
  }

private:
  time_point began_;
  std::set<node_id> accusers_;
};

} // namespace troupe::cluster
