#pragma once

#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "troupe/core/ids.hpp"

namespace troupe::cluster {

/// The nodes whose cards are wanted, by the peer that is asked for them: one question to a peer at
/// a time, about some of them. Of peers to which a link has to be made first, one at a time: where
/// many nodes start at once, each would make links to most others. They take turns: one of which
/// more and more is wanted does not keep others from being asked.
///
/// Bounded: about `max_of_one` wait at a peer. Further ones are dropped, as one member can tell of
/// strangers without end; they are wanted again when somebody else tells of them, or with a later
/// comparison. Not thread-safe. Cost: O(log n) for each node.
class card_wishes {
public:
  /// Nodes of one question; an answer has about 50 KiB.
  static constexpr std::size_t max_at_once = 50;
  static constexpr std::size_t max_of_one = 1'000;

  /// `peer` is to be asked about `whom`, and if it does not know, `otherwise` is: which may be
  /// `peer`.
  void want(const node_id& peer, const node_id& whom, const node_id& otherwise) {
    if (add(peer, whom) && otherwise != peer)
      second_choice_.insert_or_assign(whom, otherwise);
  }

  /// All peers at which something waits, or that are asked.
  [[nodiscard]] std::vector<node_id> peers() const {
    std::vector<node_id> found;
    found.reserve(peers_.size());
    for (auto& [peer, each] : peers_)
      found.push_back(peer);
    return found;
  }

  /// Nothing waits, and nobody is asked.
  [[nodiscard]] bool empty() const {
    return peers_.empty();
  }

  /// The card of that node has come: nobody else is to be asked for it.
  void came(const node_id& whom) {
    second_choice_.erase(whom);
    for (auto each = peers_.begin(); each != peers_.end();) {
      auto& [about, is_asked] = each->second;
      about.erase(whom);
      each = about.empty() && !is_asked ? peers_.erase(each) : std::next(each);
    }
  }

  /// Returns what to ask that peer for now, and then call end(). Empty: nothing.
  std::vector<node_id> next(const node_id& peer, bool is_linked = true) {
    std::vector<node_id> wanted;
    auto found = peers_.find(peer);
    if (found == peers_.end() || found->second.is_asked || (!is_linked && dialled_))
      return wanted;
    if (!is_linked)
      dialled_ = peer;
    auto& about = found->second.about;
    while (!about.empty() && wanted.size() < max_at_once)
      wanted.push_back(about.extract(about.begin()).value());
    found->second.is_asked = true;
    return wanted;
  }

  /// That peer was asked for those, and does not know the `missing` ones. Returns whom to ask next,
  /// in this order.
  std::vector<node_id> end(const node_id& peer, const std::vector<node_id>& wanted,
                           const std::set<node_id>& missing) {
    std::set<node_id> next;
    for (auto& each : wanted) {
      auto other = second_choice_.extract(each);
      if (other && missing.contains(each) && add(other.mapped(), each))
        next.insert(other.mapped());
    }
    if (dialled_ == peer) {
      dialled_.reset();
      for (auto& [other, each] : peers_)
        if (!each.is_asked)
          next.insert(other);
    }
    if (auto found = peers_.find(peer); found != peers_.end()) {
      found->second.is_asked = false;
      if (found->second.about.empty())
        peers_.erase(found);
      else
        next.insert(peer);
    }
    auto behind = next.upper_bound(peer);
    std::vector<node_id> in_turn{behind, next.end()};
    in_turn.insert(in_turn.end(), next.begin(), behind);
    return in_turn;
  }

  /// Nodes that wait, or of which is remembered whom else to ask.
  [[nodiscard]] std::size_t size() const {
    auto sum = second_choice_.size();
    for (auto& [peer, each] : peers_)
      sum += each.about.size();
    return sum;
  }

private:
  struct wishes {
    std::set<node_id> about;
    bool is_asked = false;
  };

  /// Returns whether it waits there now.
  bool add(const node_id& peer, const node_id& whom) {
    auto found = peers_.find(peer);
    if (found == peers_.end())
      found = peers_.emplace(peer, wishes{}).first;
    auto& about = found->second.about;
    if (about.size() >= max_of_one && !about.contains(whom))
      return false;
    about.insert(whom);
    return true;
  }

  std::map<node_id, wishes> peers_;
  /// The peer without a link that is asked.
  std::optional<node_id> dialled_;
  /// Who spoke of a node, if somebody else is asked for its card first.
  std::map<node_id, node_id> second_choice_;
};

} // namespace troupe::cluster
