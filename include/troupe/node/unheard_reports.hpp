#pragma once

#include <atomic>
#include <cstddef>

namespace troupe::cluster {

/// How many of those who asked a node to leave have not said yet that they have its report: their
/// links end with the node. That one has it anybody may say at any time who may have the node
/// leave: one for whom no report is on its way counts for nothing. Thread-safe.
class unheard_reports {
public:
  /// Before the report goes.
  void add() {
    ++count_;
  }

  void heard() {
    for (auto left = count_.load(); left > 0;)
      if (count_.compare_exchange_weak(left, left - 1))
        return;
  }

  [[nodiscard]] bool empty() const {
    return count_ == 0;
  }

private:
  std::atomic<std::size_t> count_ = 0;
};

} // namespace troupe::cluster
