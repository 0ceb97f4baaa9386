#pragma once

#include <chrono>

#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// When a node asks for the cards that it misses: once no further one was missed for `span`, and
/// after `max_spans` of them anyway. Where many nodes start at once, their joining comes first:
/// what cards cost each of n nodes grows with n.
///
/// Not thread-safe. Cost of a call: O(1).
class card_pause {
public:
  static constexpr duration span = std::chrono::milliseconds{250};
  static constexpr int max_spans = 12;

  /// A further card is missed. Returns whether a pause begins, see ends().
  bool misses() {
    if (spans_ > 0) {
      has_grown_ = true;
      return false;
    }
    spans_ = 1;
    return true;
  }

  /// To be called `span` after the pause has begun. Returns whether the cards are to be asked for
  /// now; if not, it is to be called `span` later again.
  bool ends() {
    if (has_grown_ && spans_ < max_spans) {
      has_grown_ = false;
      ++spans_;
      return false;
    }
    has_grown_ = false;
    spans_ = 0;
    return true;
  }

private:
  /// 0: there is no pause.
  int spans_ = 0;
  bool has_grown_ = false;
};

} // namespace troupe::cluster
