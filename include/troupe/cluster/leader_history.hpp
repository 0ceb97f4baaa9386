#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

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
    leader_ = who;
    if (who.empty() || who == last_)
      return;
    if (!last_.empty())
      ++changes_;
    last_ = who;
  }

  /// Empty while none is known.
  [[nodiscard]] const std::string& leader() const {
    return leader_;
  }

  /// Zero while there is one.
  [[nodiscard]] duration leaderless_for(time_point now) const {
    return leader_.empty() ? std::max(now - leaderless_since_, duration::zero()) : duration::zero();
  }

  /// How often another one came to lead than the last that was heard of.
  [[nodiscard]] std::uint64_t changes() const {
    return changes_;
  }

private:
  std::string leader_;
  time_point leaderless_since_;
  /// Who led last.
  std::string last_;
  std::uint64_t changes_ = 0;
};

} // namespace troupe::cluster
