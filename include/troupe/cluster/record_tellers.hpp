#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "troupe/core/ids.hpp"

namespace troupe::cluster {

/// Which member is asked for the records of a node. Part of `record_pull`.
///
/// - One that has a link: at every other try the node itself, or else who has told of the change;
///   in between, or if neither has a link, the others that have one in turn.
/// - Each fourth try, and if nobody has a link, one of the two that takes a link first; not while
///   no link may be made: then the next try for which one may be.
/// - Never this node, and none that is distrusted; the node itself only while it is there.
///
/// Not thread-safe. Cost of `choose`: O(n) in the links.
class record_tellers {
public:
  /// A node that is asked about.
  struct subject {
    const node_id& node;
    bool is_here = true;
    /// Who has told of it last.
    const node_id& told_by;
    const std::set<node_id>& distrusted;
    /// Tries that brought nothing.
    std::uint32_t vain = 0;
    /// Whether a link may be made for it, if anybody has one.
    bool may_dial = true;
    /// None might when its turn came.
    bool has_missed = false;
  };

  explicit record_tellers(const node_id& self) : self_(self) {}

  void link_up(const node_id& who) {
    links_.insert(who);
  }

  void link_down(const node_id& who) {
    links_.erase(who);
  }

  [[nodiscard]] bool is_linked(const node_id& who) const {
    return links_.contains(who);
  }

  /// Members that have a link.
  [[nodiscard]] std::size_t linked() const {
    return links_.size();
  }

  /// Whether its turn has come to be asked about with a link that is made for it.
  [[nodiscard]] bool is_to_dial(const subject& what) const {
    return (what.has_missed || what.vain % 4 == 3) && !far_of(what).empty();
  }

  [[nodiscard]] node_id choose(const subject& what) const {
    auto may_tell = [&](const node_id& who) { return this->may_tell(who, what); };
    std::optional<node_id> best;
    for (auto& who : {what.node, what.told_by})
      if (may_tell(who) && links_.contains(who) && !best)
        best = who;
    auto far = far_of(what);
    if (what.may_dial && is_to_dial(what))
      return far[what.vain / 4 % far.size()];
    auto turn = far.empty() ? what.vain : what.vain - (what.vain + 1) / 4; // of those with a link
    auto other = other_than(what.told_by, best ? turn / 2 : turn,
                            [&](const node_id& who) { return may_tell(who) && who != best; });
    if (best && (turn % 2 == 0 || !other))
      return *best;
    if (other)
      return *other;
    return far.empty() ? what.node : far[what.vain % far.size()];
  }

private:
  [[nodiscard]] bool may_tell(const node_id& who, const subject& what) const {
    return who != self_ && (who != what.node || what.is_here) && !what.distrusted.contains(who);
  }

  /// Those of the two that may tell and have no link.
  [[nodiscard]] std::vector<node_id> far_of(const subject& what) const {
    std::vector<node_id> far;
    for (auto& who : {what.node, what.told_by})
      if (may_tell(who, what) && !links_.contains(who) && std::ranges::find(far, who) == far.end())
        far.push_back(who);
    return far;
  }

  /// The `turn`-th of those with a link, counted from the one behind `told_by`.
  template <class Condition>
  [[nodiscard]] std::optional<node_id> other_than(const node_id& told_by, std::size_t turn,
                                                  Condition may_tell) const {
    auto next = links_.upper_bound(told_by);
    auto take = [&]() -> const node_id& {
      if (next == links_.end())
        next = links_.begin();
      return *next++;
    };
    for (auto skip = links_.empty() ? 0 : turn % links_.size(); skip > 0; --skip)
      take();
    for (auto rest = links_.size(); rest > 0; --rest)
      if (auto& who = take(); may_tell(who))
        return who;
    return std::nullopt;
  }

  const node_id self_;
  std::set<node_id> links_;
};

} // namespace troupe::cluster
