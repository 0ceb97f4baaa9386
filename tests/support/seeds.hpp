#pragma once

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "troupe/core/random.hpp"

namespace troupe::test {

using troupe::random_source;

/// What a test of many seconds may run under a sanitizer, which makes it many times slower.
#ifdef TROUPE_SANITIZED
inline constexpr std::uint64_t simulated_worlds = 20;
#else
inline constexpr std::uint64_t simulated_worlds = 200;
#endif

/// What `count` events in 200 worlds come to in the worlds that this build runs.
constexpr std::uint64_t in_200_worlds(std::uint64_t count) {
  return count * simulated_worlds / 200;
}

/// TROUPE_SEED, by which a test is replayed; nothing if it is not set.
inline std::optional<std::uint64_t> given_seed() {
  const char* chosen = std::getenv("TROUPE_SEED");
  return chosen != nullptr ? std::optional<std::uint64_t>{std::stoull(chosen)} : std::nullopt;
}

/// Runs `body` for `count` seeds, times TROUPE_SOAK if that is set. A failure prints the
/// command that replays it.
template <class Body>
void for_each_seed(std::uint64_t count, Body body) {
  std::uint64_t first = 0;
  if (const char* factor = std::getenv("TROUPE_SOAK"))
    count *= std::stoull(factor);
  if (auto chosen = given_seed()) {
    first = *chosen;
    count = 1;
  }
  for (auto seed = first; seed < first + count; ++seed) {
    INFO("replay with TROUPE_SEED=" << seed);
    body(random_source{seed});
  }
}

} // namespace troupe::test
