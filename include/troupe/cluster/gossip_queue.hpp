#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/ids.hpp"

namespace troupe::cluster {

/// Rumours that a member passes on, each so many times: those that were told least first, of these
/// the newest. One rumour for each node: a later one takes the place of the one before. Bounded by
/// the number of nodes. Not thread-safe. Cost: O(log n) for each rumour.
/// Source: Das, Gupta, Motivala, "SWIM", DSN 2002, section 4.1.
class gossip_queue {
public:
  void put(const rumour& what) {
    auto& node = subject_of(what);
    drop(node);
    auto size = to_bytes(what).size();
    auto place = order{0, std::numeric_limits<std::uint64_t>::max() - ++last_, node};
    items_.emplace(node, item{what, size, place});
    order_.insert(place);
  }

  void drop(const node_id& node) {
    auto found = items_.find(node);
    if (found == items_.end())
      return;
    order_.erase(found->second.place);
    items_.erase(found);
  }

  /// Adds to `mail` what fits into `room` bytes and is not in it. What was taken `limit` times is
  /// told no more.
  void take(std::size_t room, std::uint32_t limit, std::vector<rumour>& mail) {
    std::vector<order> taken;
    for (auto& place : order_) {
      if (room < least_size)
        break;
      auto& each = items_.at(std::get<node_id>(place));
      if (std::ranges::find(mail, each.what) == mail.end()) {
        if (each.size > room)
          continue;
        room -= each.size;
        mail.push_back(each.what);
      }
      taken.push_back(place);
    }
    for (auto& place : taken) {
      order_.erase(place);
      auto found = items_.find(std::get<node_id>(place));
      if (++std::get<std::uint32_t>(found->second.place) >= limit)
        items_.erase(found);
      else
        order_.insert(found->second.place);
    }
  }

  [[nodiscard]] bool empty() const {
    return items_.empty();
  }

  [[nodiscard]] std::size_t size() const {
    return items_.size();
  }

private:
  /// How often it was told, from new to old.
  using order = std::tuple<std::uint32_t, std::uint64_t, node_id>;

  struct item {
    rumour what;
    std::size_t size = 0;
    order place;
  };

  /// No rumour is smaller.
  static constexpr std::size_t least_size = 64;

  std::map<node_id, item> items_;
  std::set<order> order_;
  std::uint64_t last_ = 0;
};

} // namespace troupe::cluster
