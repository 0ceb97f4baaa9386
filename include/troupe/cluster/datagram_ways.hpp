#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>

#include "troupe/core/ids.hpp"

namespace troupe::cluster {

/// Whether datagrams get lost between this node and some members, of each of which that is said, or
/// none of any member comes here: then that is said once.
///
/// Not thread-safe. Cost of a call: O(1).
class datagram_ways {
public:
  /// So many members have to answer over links alone before, without a datagram of any member
  /// meanwhile. Those before the last one have a line each.
  static constexpr std::size_t many = 3;

  enum class news : std::uint8_t { none, of_one, of_all };

  /// That member answers over its link alone. Returns what to say of that.
  [[nodiscard]] news lost(const node_id& to) {
    if (is_cut_off_)
      return news::none;
    silent_.insert(to);
    if (silent_.size() < many)
      return news::of_one;
    silent_.clear();
    is_cut_off_ = true;
    return news::of_all;
  }

  /// A datagram of a member has come. Returns whether `of_all` is over.
  [[nodiscard]] bool heard() {
    silent_.clear();
    return std::exchange(is_cut_off_, false);
  }

private:
  /// Since a datagram has come: fewer than `many`.
  std::set<node_id> silent_;
  bool is_cut_off_ = false;
};

} // namespace troupe::cluster
