#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/finder_types.hpp"
#include "troupe/core/errc.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/net/address.hpp"

namespace troupe::cluster {

/// The addresses of nodes that may know where the services are, without that of this node. Part of
/// `finder`. Cost of a call: O(n).
class service_addresses {
public:
  /// Of more than `max_addresses` those are kept that were given, then those of which somebody has
  /// told last: nodes may get other addresses, and a list of former ones would lead nowhere.
  service_addresses(std::vector<net::address> given, std::size_t max_addresses)
    : all_(std::move(given)), max_addresses_(max_addresses) {}

  /// Where this node takes links itself.
  void self_is(const std::optional<net::address>& self) {
    self_ = self;
    if (!self_)
      return;
    std::erase(all_, *self_);
    learned_.erase(*self_);
  }

  /// Those that are no addresses are ignored.
  void learn(const std::vector<std::string>& addresses) {
    ++turn_;
    for (auto& each : addresses)
      if (auto where = net::address::from_string(each))
        note(*where);
  }

  void learn(const net::address& where) {
    ++turn_;
    note(where);
  }

  /// Where a node says that the services are. That they are here this node knows first: a node that
  /// says so speaks of an earlier time.
  [[nodiscard]] std::optional<net::address> way_to(const whereabouts& what) const {
    auto there = net::address::from_string(what.address);
    if (!there || *there == self_)
      return std::nullopt;
    return *there;
  }

  /// The same, where `by` has said so, which may have them itself.
  [[nodiscard]] std::optional<net::address> place_by(const net::address& by,
                                                     const whereabouts& what) const {
    return what.handle != 0 ? std::optional{by} : way_to(what);
  }

  /// What came of a dial there; errc::none: a link.
  void judge(const net::address& where, const problem& why) {
    if (why.code == errc::bad_argument) // it has another CA, or is of another cluster
      strange_.insert(where);
    else if (!why)
      strange_.erase(where);
    std::erase_if(strange_,
                  [&](auto& each) { return std::ranges::find(all_, each) == all_.end(); });
  }

  [[nodiscard]] const std::vector<net::address>& all() const {
    return all_;
  }

  /// Those of which to tell others, and the next start of this node: not where another cluster has
  /// answered last. That is asked again all the same, as it may have been an error of people.
  [[nodiscard]] std::vector<net::address> vouched() const {
    auto found = all_;
    std::erase_if(found, [&](auto& each) { return strange_.contains(each); });
    return found;
  }

private:
  void note(const net::address& where) {
    strange_.erase(where); // members tell of it
    auto is_known = std::ranges::find(all_, where) != all_.end();
    if (where == self_ || (is_known && !learned_.contains(where)))
      return; // it was given
    if (!is_known && all_.size() < max_addresses_)
      all_.push_back(where);
    else if (!is_known && !replace_oldest(where))
      return;
    learned_[where] = turn_;
  }

  /// Returns false if all were given, or told of just now.
  bool replace_oldest(const net::address& by) {
    auto oldest = std::ranges::min_element(learned_, {}, [](auto& each) { return each.second; });
    if (oldest == learned_.end() || oldest->second == turn_)
      return false;
    *std::ranges::find(all_, oldest->first) = by;
    learned_.erase(oldest);
    return true;
  }

  std::vector<net::address> all_;
  std::size_t max_addresses_;
  /// Those where another cluster has answered last.
  std::set<net::address> strange_;
  /// Those that were not given, and in which turn each was told of last.
  std::map<net::address, std::uint64_t> learned_;
  std::uint64_t turn_ = 0;
  std::optional<net::address> self_;
};

} // namespace troupe::cluster
