#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Bounds how often the members of a group change: at most max_changes within `span`. Whatever
/// makes the changes undo each other, they cost a bounded share of the log.
class change_pace {
public:
  /// Enough for the birth of a group of seven that all move at once.
  static constexpr std::size_t max_changes = 20;
  static constexpr duration span = std::chrono::seconds{10};

  /// Returns whether a change may be made at `now`.
  [[nodiscard]] bool is_free(time_point now) const {
    return made_.size() < max_changes || made_.front() + span <= now;
  }

  /// A change was made at `now`, which never goes back.
  void count(time_point now) {
    made_.push_back(now);
    if (made_.size() > max_changes)
      made_.pop_front();
  }

private:
  std::deque<time_point> made_; // the latest max_changes
};

} // namespace troupe::cluster
