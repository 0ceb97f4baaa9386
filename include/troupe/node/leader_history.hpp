#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// Who leads a cluster by what one node hears, since when nobody does, and how often that has
/// changed. Machine.
class leader_history {
public:
  /// The node starts at `now` and knows nobody that leads.
  explicit leader_history(time_point now) : leaderless_since_(now) {}

  /// `who` leads from `now` on; empty: nobody that is known.
  void leads(time_point now, const std::string& who) {
    if (who.empty() && !leader_.empty())
      leaderless_since_ = now;
    if (!who.empty() && who != leader_ && std::exchange(has_begun_, true))
      ++changes_;
    leader_ = who;
  }

  /// Empty while none is known.
  [[nodiscard]] const std::string& leader() const {
    return leader_;
  }

  /// Zero while there is one.
  [[nodiscard]] duration leaderless_for(time_point now) const {
    return leader_.empty() ? std::max(now - leaderless_since_, duration::zero()) : duration::zero();
  }

  /// How often one came to lead after the first that was heard of, the same one again included.
  [[nodiscard]] std::uint64_t changes() const {
    return changes_;
  }

private:
  std::string leader_;
  time_point leaderless_since_;
  bool has_begun_ = false;
  std::uint64_t changes_ = 0;
};

} // namespace troupe::cluster
