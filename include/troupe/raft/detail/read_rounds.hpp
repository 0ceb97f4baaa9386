#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// Reads that wait until their leader knows that it was still leader when they arrived (thesis
/// 6.4). All reads that arrive during one round of heartbeats share the next. Reads that may wait
/// begin none.
class read_rounds {
public:
  struct read {
    request_id id = 0;
    /// Commit index when the read arrived. It may be answered once that is applied.
    log_index index = 0;
    /// Confirmed when a majority has answered this round or a later one.
    std::uint64_t round = 0;
  };

  void add(request_id id, log_index index, std::uint64_t round, bool may_wait) {
    reads_.push_back({id, index, round});
    if (!may_wait)
      hurried_ = round;
  }

  [[nodiscard]] std::size_t size() const {
    return reads_.size();
  }

  /// Whether a read that may not wait wants a later round than this one.
  [[nodiscard]] bool want_more_than(std::uint64_t round) const {
    return hurried_ > round;
  }

  /// Removes and returns the reads that a majority's answers to `round` confirm.
  std::vector<read> confirm(std::uint64_t round) {
    std::vector<read> done;
    while (!reads_.empty() && reads_.front().round <= round) {
      done.push_back(reads_.front());
      reads_.pop_front();
    }
    return done;
  }

  std::vector<read> take_all() {
    return confirm(max_number);
  }

private:
  std::deque<read> reads_;
  /// The last round that a read wants which may not wait.
  std::uint64_t hurried_ = 0;
};

} // namespace troupe::raft::detail
