#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"
#include "troupe/testing/network_path.hpp"

namespace troupe::testing::detail {

/// One direction between two hosts.
struct lane {
  using time_point = std::chrono::steady_clock::time_point;

  /// Beyond it a narrow path drops datagrams instead of delaying them.
  static constexpr duration max_datagram_wait = std::chrono::seconds{1};

  network_path how;
  /// When the last byte that was taken leaves, at bytes_per_second.
  time_point free{};
  std::uint64_t passed_bytes = 0;
  std::uint64_t passed_datagrams = 0;

  /// Takes bytes of a connection, and returns when they arrive.
  time_point take_bytes(std::size_t count, time_point now, random_source& dice) {
    auto leaves = std::max(now, free);
    if (how.bytes_per_second != 0) {
      leaves += std::chrono::nanoseconds{static_cast<std::uint64_t>(count) * 1'000'000'000
                                         / how.bytes_per_second};
      free = leaves;
    }
    auto jitter = how.jitter > duration::zero() ? duration{static_cast<std::int64_t>(
                    dice.below(static_cast<std::uint64_t>(how.jitter.count())))}
                                                : duration::zero();
    return leaves + how.delay + jitter;
  }

  /// The same for a datagram of so many bytes; nothing if it is dropped.
  std::optional<time_point> take_datagram(std::size_t bytes, time_point now, random_source& dice) {
    if (how.cut || is_lost(dice))
      return std::nullopt;
    if (how.bytes_per_second != 0 && free - now > max_datagram_wait)
      return std::nullopt;
    return take_bytes(bytes, now, dice);
  }

private:
  [[nodiscard]] bool is_lost(random_source& dice) const {
    constexpr auto parts = std::uint64_t{1} << 53U; // as many as a double can tell apart
    return how.loss > 0
           && static_cast<double>(dice.below(parts)) < how.loss * static_cast<double>(parts);
  }
};

/// By the hosts at its ends: from, to. References stay valid.
using lanes = std::map<std::pair<std::string, std::string>, lane>;

} // namespace troupe::testing::detail
