#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "troupe/cluster/known_member.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/random.hpp"

namespace troupe::cluster {

/// When the order of members is drawn.
enum class turns_drawn : std::uint8_t { once, each_round };

/// The members in an order that is drawn: each comes once in a round. Each node has orders of its
/// own. Refers to entries of a known_members, which must be removed here first. Bounded by the
/// number of members. Not thread-safe.
///
/// Who is pinged next is drawn anew for each round; the time until a member comes again is bounded
/// all the same. Whom to tell news is drawn once: in a cluster of a few more members than each
/// rumour is told times, each member that tells it thus leaves out few, and hardly anybody is left
/// out by all; drawn anew each time, one rumour in some ten thousand missed a member.
/// Source: Das, Gupta, Motivala, "SWIM", DSN 2002, section 4.3.
class member_turns {
public:
  using entry = known_members::value_type;

  /// @pre `random` outlives this
  member_turns(random_source& random, turns_drawn when) : random_(random), drawn_(when) {}

  /// Puts a new member somewhere into the order; into the rest of this round if another one is
  /// drawn for the next.
  void join(const entry& who) {
    order_.push_back(&who);
    auto first = drawn_ == turns_drawn::once ? 0 : std::min(position_, order_.size() - 1);
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
    auto rest = order_.size();
    return next_of(rest, fits);
  }

  /// Returns the next up to `count` members that fit. None is among them twice if the order is
  /// drawn once. Cost: O(n) where few fit.
  template <class Fits>
  std::vector<const entry*> take(std::size_t count, Fits fits) {
    std::vector<const entry*> found;
    for (auto rest = order_.size(); found.size() < count;) {
      auto* each = next_of(rest, fits);
      if (each == nullptr)
        break;
      found.push_back(each);
    }
    return found;
  }

  /// Returns up to `count` members that fit, beginning at a random place of the round. They keep
  /// their turns. Cost: O(n) where few fit.
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
  /// The next that fits of the next `rest` members.
  template <class Fits>
  const entry* next_of(std::size_t& rest, Fits& fits) {
    for (; rest > 0; --rest) {
      if (position_ >= order_.size())
        begin_round();
      if (auto* each = order_[position_++]; fits(*each)) {
        --rest;
        return each;
      }
    }
    return nullptr;
  }

  void begin_round() {
    position_ = 0;
    if (drawn_ == turns_drawn::each_round)
      for (auto left = order_.size(); left > 1; --left)
        std::swap(order_[left - 1], order_[random_.below(left)]);
  }

  random_source& random_;
  const turns_drawn drawn_;
  std::vector<const entry*> order_;
  /// What comes next.
  std::size_t position_ = 0;
};

} // namespace troupe::cluster
