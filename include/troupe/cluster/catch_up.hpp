#pragma once

#include <optional>
#include <set>
#include <utility>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Decides when all is here that others knew when this node joined them: when the first comparison
/// with another member has ended, and the records of all members that it has shown have come, or
/// `within` is over. Where this node leads, at once. Part of `node_core`.
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
    until_ = now + within_;
  }

  /// The records of that member have come, or it is not there any more.
  void await_no_more(const node_id& member) {
    awaited_.erase(member);
  }

  void tick(time_point now) {
    if (until_ && *until_ <= now)
      awaited_.clear();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return until_;
  }

  /// Returns true once: all is here from now on.
  [[nodiscard]] bool ends(bool leads) {
    if (is_over_ || !(leads || (has_compared_ && awaited_.empty())))
      return false;
    is_over_ = true;
    until_.reset();
    awaited_.clear();
    return true;
  }

private:
  const duration within_;
  bool has_compared_ = false;
  bool is_over_ = false;
  /// Members whose records it waits for until then.
  std::set<node_id> awaited_;
  std::optional<time_point> until_;
};

} // namespace troupe::cluster
