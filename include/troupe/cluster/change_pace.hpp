#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "troupe/core/backoff.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Bounds how often the members of a group change: at most max_changes within `span`. Whatever
/// makes the changes undo each other, they cost a bounded share of the log.
///
/// A change that the group refuses, as while an earlier one is not committed, is proposed again
/// after a rest of 50 to 100 ms; when it is refused again and again, after up to 1.05 s. The rest
/// ends when the members change, or who leads them.
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
    accept();
  }

  // -- refusals ------------------------------------------------------------------------------

  /// The group has refused a change at `now`.
  void refuse(time_point now, random_source& random) {
    rests_until_ = now + least_rest + again.delay(++refused_, random);
  }

  /// The group may accept the next change.
  void accept() {
    refused_ = 0;
    rests_until_ = time_point::min();
  }

  /// No change is to be proposed before this time.
  [[nodiscard]] time_point rests_until() const {
    return rests_until_;
  }

private:
  static constexpr duration least_rest = std::chrono::milliseconds{50};
  static constexpr backoff again{std::chrono::milliseconds{50}, std::chrono::seconds{1}};

  std::deque<time_point> made_; // the latest max_changes
  /// In a row.
  std::uint32_t refused_ = 0;
  time_point rests_until_ = time_point::min();
};

} // namespace troupe::cluster
