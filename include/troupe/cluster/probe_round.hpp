#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "troupe/cluster/known_member.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/random.hpp"

namespace troupe::cluster {

/// The members in an order that is drawn anew for each round: each comes once in a round, so the
/// time until it comes again is bounded. Refers to entries of a known_members, which must be
/// removed here first. Bounded by the number of members. Not thread-safe.
/// Source: Das, Gupta, Motivala, "SWIM", DSN 2002, section 4.3.
class probe_round {
public:
  using entry = known_members::value_type;

  /// @pre `random` outlives this
  explicit probe_round(random_source& random) : random_(random) {}

  /// Puts a new member somewhere into the rest of this round.
  void join(const entry& who) {
    order_.push_back(&who);
    auto first = std::min(position_, order_.size() - 1);
    std::swap(order_[first + random_.below(order_.size() - first)], order_.back());
  }

  /// Removes a member. Cost: O(n).
  void drop(const node_id& who) {
    auto found = std::ranges::find(order_, who, [](const entry* each) { return each->first; });
    if (found == order_.end())
      return;
    auto place = static_cast<std::size_t>(found - order_.begin());
    order_.erase(found);
    position_ -= place < position_ ? 1 : 0;
  }

  /// Returns the next member that `fits`; null if none does. Cost: O(n) where few fit.
  template <class Fits>
  const entry* next(Fits fits) {
    for (auto rest = order_.size(); rest > 0; --rest) {
      if (position_ >= order_.size()) {
        for (auto left = order_.size(); left > 1; --left)
          std::swap(order_[left - 1], order_[random_.below(left)]);
        position_ = 0;
      }
      if (auto* each = order_[position_++]; fits(*each))
        return each;
    }
    return nullptr;
  }

  /// Returns up to `count` members that fit, beginning at a random place of the round.
  /// Cost: O(n) where few fit.
  template <class Fits>
  std::vector<const entry*> some(std::size_t count, Fits fits) {
    std::vector<const entry*> found;
    auto size = order_.size();
    if (size == 0)
      return found;
    auto first = random_.below(size);
    for (std::size_t step = 0; step < size && found.size() < count; ++step)
      if (auto* each = order_[(first + step) % size]; fits(*each))
        found.push_back(each);
    return found;
  }

  [[nodiscard]] std::size_t size() const {
    return order_.size();
  }

private:
  random_source& random_;
  std::vector<const entry*> order_;
  /// What comes next.
  std::size_t position_ = 0;
};

} // namespace troupe::cluster
