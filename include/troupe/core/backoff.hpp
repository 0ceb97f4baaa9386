#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "troupe/core/fields.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"

namespace troupe {

/// How long to wait before the next try: the one retry policy of all parts.
///
/// The bound doubles with each try, from `first` up to `max`; the delay is drawn evenly from zero
/// to the bound, so that callers that failed together do not retry together. Source: Brooker,
/// "Exponential backoff and jitter" (2015), "full jitter".
struct backoff {
  duration first = std::chrono::seconds{1};
  duration max = std::chrono::seconds{30}; // beyond it users ask whether we hang

  friend bool operator==(const backoff&, const backoff&) = default;

  /// Returns the delay after try number `failed` (counted from one) has failed. Integers only, so
  /// that every replica draws the same. Zero if `first` is zero.
  [[nodiscard]] duration delay(std::uint32_t failed, random_source& random) const {
    auto bound = std::max(first, duration::zero());
    for (std::uint32_t round = 1; round < failed && bound < max; ++round)
      bound = bound > max / 2 ? max : bound * 2;
    bound = std::min(bound, std::max(max, duration::zero()));
    return duration{
      static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound.count()) + 1))};
  }

  TROUPE_FIELDS(backoff, first, max);
};

} // namespace troupe
