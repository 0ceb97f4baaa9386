#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "troupe/cluster/known_member.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/random.hpp"

namespace troupe::cluster {

/// Whose turn it is to be told news: the members in an order that is drawn once, so none is told
/// again before all others have been. In a cluster of a few more members than each rumour is told
/// times, each member that tells it thus leaves out few, and hardly anybody is left out by all;
/// drawn anew each time, one rumour in some ten thousand missed a member. Each member has an order
/// of its own. Refers to entries of a known_members, which must be removed here first. Bounded by
/// the number of members. Not thread-safe.
class news_turns {
public:
  using entry = known_members::value_type;

  /// @pre `random` outlives this
  explicit news_turns(random_source& random) : random_(random) {}

  /// Puts a new member somewhere into the order.
  void join(const entry& who) {
    order_.push_back(&who);
    std::swap(order_[random_.below(order_.size())], order_.back());
  }

  /// Removes a member. Cost: O(n).
  void drop(const node_id& who) {
    auto found = std::ranges::find(order_, who, [](const entry* each) { return each->first; });
    if (found == order_.end())
      return;
    next_ -= static_cast<std::size_t>(found - order_.begin()) < next_ ? 1 : 0;
    order_.erase(found);
  }

  /// Returns the next up to `count` members that fit. Cost: O(n) where few fit.
  template <class Fits>
  std::vector<const entry*> take(std::size_t count, Fits fits) {
    std::vector<const entry*> found;
    for (auto rest = order_.size(); rest > 0 && found.size() < count; --rest) {
      next_ = next_ < order_.size() ? next_ : 0;
      if (auto* each = order_[next_++]; fits(*each))
        found.push_back(each);
    }
    return found;
  }

  [[nodiscard]] std::size_t size() const {
    return order_.size();
  }

private:
  random_source& random_;
  std::vector<const entry*> order_;
  /// Who comes next.
  std::size_t next_ = 0;
};

} // namespace troupe::cluster
