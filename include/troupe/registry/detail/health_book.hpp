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
/// answer make a record unhealthy. A success or a passed check makes it healthy; so does time,
/// until the next failure.
class health_book {
public:
  void judge(time_point now, entry& what, call_outcome outcome, const registry_options& options) {
    switch (outcome) {
      case call_outcome::succeeded:
        clear(what);
        break;
      case call_outcome::failed: // it answered, so it is reachable
        break;
      case call_outcome::unreachable:
      case call_outcome::timed_out:
        if (what.failures < std::numeric_limits<std::uint32_t>::max())
          ++what.failures;
        if (options.unhealthy_after > 0 && what.failures >= options.unhealthy_after)
          condemn(now, what, options);
        break;
      case call_outcome::condemned:
        what.failures = std::max(what.failures, options.unhealthy_after);
        condemn(now, what, options);
        break;
    }
  }

  /// Resets `what` to healthy.
  void clear(entry& what) {
    disarm(what);
    what.failures = 0;
    what.healthy = true;
    what.chance_at.reset();
    what.check_at.reset();
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

  /// Handles the alarm of `what`: makes it healthy until the next failure and returns false, or
  /// returns true if it is to be checked.
  bool settle(time_point now, entry& what, const registry_options& options) {
    if (what.chance_at && *what.chance_at <= now) {
      clear(what);
      what.failures = std::max<std::uint32_t>(options.unhealthy_after, 1) - 1;
      return false;
    }
    disarm(what);
    what.check_at = after(now, options.check_every);
    arm(what);
    return true;
  }

  void arm(const entry& what) {
    if (auto when = alarm_of(what))
      alarms_.emplace(*when, what.key());
  }

private:
  void condemn(time_point now, entry& what, const registry_options& options) {
    disarm(what);
    if (std::exchange(what.healthy, false))
      what.check_at = after(now, options.check_every);
    what.chance_at = after(now, options.unhealthy_for);
    arm(what);
  }

  void disarm(const entry& what) {
    if (auto when = alarm_of(what))
      alarms_.erase({*when, what.key()});
  }

  static std::optional<time_point> alarm_of(const entry& what) {
    if (!what.chance_at || !what.check_at)
      return what.chance_at ? what.chance_at : what.check_at;
    return std::min(what.chance_at, what.check_at);
  }

  static std::optional<time_point> after(time_point now, duration span) {
    return span > duration::zero() ? std::optional{now + span} : std::nullopt;
  }

  std::set<std::pair<time_point, record_key>> alarms_;
};

} // namespace troupe::registry::detail
