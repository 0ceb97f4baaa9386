#pragma once

#include <cstddef>
#include <map>

#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"

namespace troupe::cluster {

/// The questions of other nodes whose answers are not made yet: so many of one node, because one
/// that asks without end would keep the others from their answers.
///
/// Not thread-safe. Cost of a call: O(log n).
class open_questions {
public:
  /// Of one node. One that goes by the rules has fewer.
  static constexpr std::size_t max_of_one = 8;

  /// Whether that node may ask another one now.
  [[nodiscard]] bool has_room(const node_id& peer) const {
    auto found = count_.find(peer);
    return found == count_.end() || found->second < max_of_one;
  }

  /// It has asked one. Returns the number of it, which is not 0 and never given again.
  /// @pre has_room(peer)
  request_id begin(const node_id& peer) {
    ++count_[peer];
    peers_.emplace(++last_, peer);
    return last_;
  }

  /// That one is answered. Idempotent.
  void end(request_id which) {
    auto ended = peers_.extract(which);
    if (!ended)
      return;
    auto count = count_.find(ended.mapped());
    if (--count->second == 0)
      count_.erase(count);
  }

  /// How many are open, of all nodes.
  [[nodiscard]] std::size_t size() const {
    return peers_.size();
  }

private:
  std::map<request_id, node_id> peers_;
  std::map<node_id, std::size_t> count_;
  request_id last_ = 0;
};

} // namespace troupe::cluster
