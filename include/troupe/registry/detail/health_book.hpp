#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "troupe/registry/detail/record_index.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::registry::detail {

/// Keeps the health of records by the outcomes of calls. Too many consecutive calls without an
/// answer make a record unhealthy. An answer makes it healthy; so does time, until the next
/// failure.
class health_book {
public:
  void judge(time_point now, entry& what, call_outcome outcome, const registry_options& options) {
    switch (outcome) {
      case call_outcome::succeeded:
        clear(what);
        break;
      case call_outcome::unreachable:
      case call_outcome::timed_out:
        if (what.failures < std::numeric_limits<std::uint32_t>::max())
          ++what.failures;
        if (options.unhealthy_after > 0 && what.failures >= options.unhealthy_after)
          condemn(now, what, options);
        break;
    }
  }

  /// Resets `what` to healthy.
  void clear(entry& what) {
    disarm(what);
    what.failures = 0;
    what.healthy = true;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return alarms_.empty() ? std::nullopt : std::optional{alarms_.begin()->first};
  }

  /// Returns the record that is due next.
  /// @pre next_deadline()
  [[nodiscard]] const record_key& next() const {
    assert(!alarms_.empty());
    return alarms_.begin()->second;
  }

  /// Makes `what`, which is due, healthy until the next failure.
  void give_chance(entry& what, const registry_options& options) {
    clear(what);
    what.failures = std::max<std::uint32_t>(options.unhealthy_after, 1) - 1;
  }

private:
  void condemn(time_point now, entry& what, const registry_options& options) {
    disarm(what);
    what.healthy = false;
    if (options.unhealthy_for <= duration::zero())
      return;
    what.chance_at = now + options.unhealthy_for;
    alarms_.emplace(*what.chance_at, what.key());
  }

  void disarm(entry& what) {
    if (what.chance_at)
      alarms_.erase({*std::exchange(what.chance_at, std::nullopt), what.key()});
  }

  std::set<std::pair<time_point, record_key>> alarms_;
};

} // namespace troupe::registry::detail
