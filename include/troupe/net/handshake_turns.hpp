#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "troupe/net/types.hpp"

namespace troupe::net {

/// Whose turn it is among the connections of strangers that have something to do: a handshake costs
/// about a millisecond of the thread of links, and it is a stranger who begins it. So a few of them
/// go on at a time; the others are ready again at the next poll, before which come alarms, dials
/// and greetings.
///
/// They take turns in rounds, by their numbers. A connection made during a round waits for the next
/// one: strangers who come all the time would keep the earlier ones from their turns otherwise.
/// Not thread-safe.
class handshake_turns {
public:
  /// About 10 ms, which a heartbeat or an alarm can wait.
  static constexpr std::size_t max_in_a_turn = 8;

  /// Returns who goes on, at least one if `ready` is not empty. A turn ends with its round.
  /// @pre `ready` is sorted, each is in there once. Cost: O(log n)
  [[nodiscard]] std::vector<connection_id> take(const std::vector<connection_id>& ready) {
    if (ready.empty())
      return {};
    auto first = std::ranges::upper_bound(ready, last_);
    if (first == ready.end() || *first > end_of_round_) {
      first = ready.begin();
      end_of_round_ = ready.back();
    }
    auto behind = std::ranges::upper_bound(first, ready.end(), end_of_round_);
    auto count = std::min<std::ptrdiff_t>(behind - first, max_in_a_turn);
    std::vector<connection_id> taken{first, first + count};
    last_ = taken.back();
    return taken;
  }

private:
  connection_id last_ = 0;
  connection_id end_of_round_ = 0;
};

} // namespace troupe::net
