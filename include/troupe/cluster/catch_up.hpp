#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Decides when all is here that others knew when this node joined them: when the first comparison
/// with another member has ended, and the records of all members that it has shown have come, or
/// `within` is over. A node that leads and is the only one in its group has nobody to wait for; any
/// other that leads waits for `within` at most, from then on, also for the comparison. Part of
/// `node_core`.
///
/// Machine. Not thread-safe. Cost of a call: O(log n).
class catch_up {
public:
  explicit catch_up(duration within) : within_(within) {}

  /// The first comparison has ended, or cannot be; later ones do not count. The records of
  /// `missing` have not come.
  /// @pre `now` never goes backwards.
  void compared(time_point now, std::set<node_id> missing) {
    if (std::exchange(has_compared_, true) || is_over_)
      return;
    awaited_ = std::move(missing);
    until_ = std::min(until_.value_or(now + within_), now + within_);
  }

  /// This node leads from here on.
  void leads(time_point now, bool is_alone) {
    if (is_over_)
      return;
    if (is_alone || planted_flaw == flaw::leader_knows_all)
      is_due_ = true;
    else if (!until_)
      until_ = now + within_;
  }

  /// Another node does.
  void follows() {
    if (!has_compared_)
      until_.reset();
  }

  /// The records of that member have come, or it is not there any more.
  void await_no_more(const node_id& member) {
    awaited_.erase(member);
  }

  void tick(time_point now) {
    if (until_ && *until_ <= now)
      is_due_ = true;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return is_due_ ? std::nullopt : until_;
  }

  /// Returns true once: all is here from now on.
  [[nodiscard]] bool ends() {
    if (is_over_ || !(is_due_ || (has_compared_ && awaited_.empty())))
      return false;
    is_over_ = true;
    until_.reset();
    awaited_.clear();
    return true;
  }

private:
  const duration within_;
  bool has_compared_ = false;
  /// It waits for nobody any more.
  bool is_due_ = false;
  bool is_over_ = false;
  /// Members whose records it waits for until then.
  std::set<node_id> awaited_;
  std::optional<time_point> until_;
};

} // namespace troupe::cluster
