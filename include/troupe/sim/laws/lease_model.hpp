#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "troupe/sim/laws/history.hpp"

namespace troupe::sim {

/// A lock with leases: acquire ttl -> token; release token; renew token ttl. Another client may
/// hold it once the previous lease could have ended, and not before. Tokens of one key strictly
/// rise.
///
/// A lease lasts its ttl by the service's clock, and longer if leaders change. So it cannot have
/// ended before its ttl, on the fastest clock, has passed since the request. How long it lasts at
/// most is unknown.
struct lease_model {
  /// The fewest nanoseconds in which a second may pass on a clock.
  std::int64_t shortest_second = 1'000'000'000;

  struct state {
    /// Nothing: free. Zero: held under a token that no client saw.
    std::optional<std::uint64_t> holder;
    /// It may be free from this time on.
    std::int64_t ends = 0;
    std::uint64_t last = 0;

    friend auto operator<=>(const state&, const state&) = default;
  };

  /// Returns the shortest time that a lease of `ttl` nanoseconds lasts.
  [[nodiscard]] std::int64_t shortest(std::int64_t ttl) const {
    constexpr std::int64_t second = 1'000'000'000;
    return ttl / second * shortest_second + ttl % second * shortest_second / second;
  }

  [[nodiscard]] std::optional<state> apply(const state& now, const operation& line) const {
    auto& what = line.what;
    auto end = line.end.value_or(std::numeric_limits<std::int64_t>::max());
    auto may_be_over = !now.holder || end >= now.ends;
    auto is_holder = now.holder && std::to_string(*now.holder) == what.argument;
    auto asked = detail::number_in<std::int64_t>(what.second);
    if (!asked)
      return std::nullopt;
    auto with_lease = [&](std::uint64_t token) {
      return state{token, what.call + shortest(*asked), std::max(token, now.last)};
    };
    if (what.verb == "acquire")
      switch (what.how) {
        case outcome::fail:
          return now.holder ? std::optional{now} : std::nullopt;
        case outcome::unknown:
          return may_be_over ? std::optional{state{0, what.call, now.last}} : std::nullopt;
        case outcome::ok: {
          auto token = detail::number_in<std::uint64_t>(what.result).value_or(0);
          return may_be_over && token > now.last ? std::optional{with_lease(token)} : std::nullopt;
        }
      }
    if (what.verb != "release" && what.verb != "renew")
      return std::nullopt;
    switch (what.how) {
      case outcome::fail:
        return !is_holder || may_be_over ? std::optional{now} : std::nullopt;
      case outcome::unknown:
        if (!is_holder)
          return now;
        break;
      case outcome::ok:
        if (!is_holder)
          return std::nullopt;
    }
    if (what.verb == "release")
      return state{std::nullopt, 0, now.last};
    return with_lease(*now.holder);
  }
};

} // namespace troupe::sim
