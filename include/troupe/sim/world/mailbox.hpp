#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <utility>

#include "troupe/core/time.hpp"

namespace troupe::sim {

/// A queue from one thread of a simulated process to another. Each message arrives in order, after
/// a delay given by faults. Messages on the way are lost when the process is killed. Belongs to its
/// process. Unbounded: limits are up to the sender.
template <class Home, class What>
class mailbox {
public:
  mailbox(Home& here, std::function<void(What&)> hear) : here_(here), hear_(std::move(hear)) {}

  mailbox(const mailbox&) = delete;
  mailbox& operator=(const mailbox&) = delete;

  void put(What what) {
    under_way_.push_back(std::move(what));
    auto now = here_.now();
    due_ = std::max(due_, now + here_.handover());
    here_.after(due_ - now, [this] {
      auto first = std::move(under_way_.front());
      under_way_.pop_front();
      hear_(first);
    });
  }

private:
  Home& here_;
  std::function<void(What&)> hear_;
  std::deque<What> under_way_;
  time_point due_{}; // of the last message
};

} // namespace troupe::sim
