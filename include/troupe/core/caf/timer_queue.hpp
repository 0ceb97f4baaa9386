#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/time.hpp"

namespace troupe {

/// Jobs that an actor runs later, in the order of their times, on one deadline_timer. Part of the
/// actor's state, used by that actor only.
template <class Self>
class timer_queue {
public:
  using id = std::uint64_t;

  explicit timer_queue(Self* self) : self_(self) {}

  /// Runs `job` after `span`, unless cancelled before. O(log n).
  id after(duration span, std::function<void()> job) {
    auto when = self_->clock().now() + span;
    auto made = ++last_;
    jobs_.emplace(key{when, made}, std::move(job));
    times_.emplace(made, when);
    arm();
    return made;
  }

  /// Harmless if the job has run already.
  void cancel(id which) {
    auto found = times_.extract(which);
    if (found)
      jobs_.erase(key{found.mapped(), which});
  }

private:
  using key = std::pair<caf::actor_clock::time_point, id>;

  void arm() {
    if (!jobs_.empty())
      timer_.arm(self_, jobs_.begin()->first.first, [this] { run(); });
  }

  void run() {
    auto now = self_->clock().now();
    while (!jobs_.empty() && jobs_.begin()->first.first <= now) {
      auto next = jobs_.extract(jobs_.begin());
      times_.erase(next.key().second);
      next.mapped()();
    }
    arm();
  }

  Self* self_;
  std::map<key, std::function<void()>> jobs_;
  std::map<id, caf::actor_clock::time_point> times_;
  id last_ = 0;
  deadline_timer timer_;
};

} // namespace troupe
