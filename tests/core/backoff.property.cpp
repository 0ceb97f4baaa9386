#include "troupe/core/backoff.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

#include "support/seeds.hpp"

namespace backoff_property {

using namespace std::literals;
using namespace troupe;

namespace {

backoff any_policy(random_source& random) {
  return {duration{static_cast<std::int64_t>(random.next() >> (1 + random.below(63)))},
          duration{static_cast<std::int64_t>(random.next() >> (1 + random.below(63)))}};
}

/// The most that a delay can be, by repeated doubling in wide numbers.
duration bound_of(const backoff& policy, std::uint32_t failed) {
  auto bound = static_cast<long double>(policy.first.count());
  for (std::uint32_t round = 1; round < failed && bound < 1e19L; ++round)
    bound *= 2;
  return bound >= static_cast<long double>(policy.max.count())
           ? policy.max
           : duration{static_cast<std::int64_t>(bound)};
}

} // namespace

TEST_CASE("a delay never exceeds its doubled bound, nor the maximum", "[core][backoff]") {
  test::for_each_seed(2'000, [](random_source random) {
    auto policy = any_policy(random);
    auto failed = static_cast<std::uint32_t>(1 + (random.next() >> random.below(64)) % 100);
    auto delay = policy.delay(failed, random);
    CHECK(delay >= 0s);
    CHECK(delay <= bound_of(policy, failed));
  });
}

TEST_CASE("delays fill the whole of their range, as failures go on", "[core][backoff]") {
  backoff policy{100ms, 5s};
  random_source random{1};
  for (std::uint32_t failed = 1; failed <= 8; ++failed) {
    auto longest = duration{};
    auto shortest = duration::max();
    for (int count = 0; count < 500; ++count) {
      auto delay = policy.delay(failed, random);
      longest = std::max(longest, delay);
      shortest = std::min(shortest, delay);
    }
    auto bound = std::min<duration>(100ms * (1 << (failed - 1)), 5s);
    CHECK(longest > bound * 9 / 10);
    CHECK(shortest < bound / 10);
  }
}

TEST_CASE("equal seeds wait alike", "[core][backoff]") {
  test::for_each_seed(200, [](random_source random) {
    auto policy = any_policy(random);
    auto twin = random;
    for (std::uint32_t failed = 1; failed < 10; ++failed)
      CHECK(policy.delay(failed, random) == policy.delay(failed, twin));
  });
}

TEST_CASE("a policy of nothing waits for nothing", "[core][backoff]") {
  random_source random{1};
  CHECK(backoff{0s, 1s}.delay(5, random) == 0s);
  CHECK(backoff{1s, 0s}.delay(5, random) == 0s);
  CHECK(backoff{-1s, 1s}.delay(5, random) == 0s);
  CHECK(backoff{1s, -1s}.delay(5, random) == 0s);
}

TEST_CASE("no count of failures is too large", "[core][backoff]") {
  random_source random{1};
  backoff longest{duration::max(), duration::max()};
  CHECK(longest.delay(std::numeric_limits<std::uint32_t>::max(), random) >= 0s);
  CHECK(backoff{}.delay(std::numeric_limits<std::uint32_t>::max(), random) <= 30s);
  CHECK(backoff{}.delay(0, random) <= 1s);
}

} // namespace backoff_property
