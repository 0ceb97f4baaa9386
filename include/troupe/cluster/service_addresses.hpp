#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/finder_types.hpp"
#include "troupe/net/address.hpp"

namespace troupe::cluster {

/// The addresses of nodes that may know where the services are, without that of this node. Part of
/// `finder`. Cost of a call: O(n).
class service_addresses {
public:
  /// Further ones than `max_addresses` are not learned.
  service_addresses(std::vector<net::address> given, std::size_t max_addresses)
    : all_(std::move(given)), max_addresses_(max_addresses) {}

  /// Where this node takes links itself.
  void self_is(const std::optional<net::address>& self) {
    self_ = self;
    if (self_)
      std::erase(all_, *self_);
  }

  /// Those that are no addresses are ignored.
  void learn(const std::vector<std::string>& addresses) {
    for (auto& each : addresses)
      if (auto where = net::address::from_string(each))
        learn(*where);
  }

  void learn(const net::address& where) {
    if (all_.size() < max_addresses_ && where != self_
        && std::ranges::find(all_, where) == all_.end())
      all_.push_back(where);
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

  [[nodiscard]] const std::vector<net::address>& all() const {
    return all_;
  }

private:
  std::vector<net::address> all_;
  std::size_t max_addresses_;
  std::optional<net::address> self_;
};

} // namespace troupe::cluster
