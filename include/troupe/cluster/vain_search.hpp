#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>
#include <vector>

#include "troupe/core/problem.hpp"
#include "troupe/net/address.hpp"

namespace troupe::cluster {

/// What a search for the services has come to while it finds none: which nodes do not lead to them,
/// what one that answers (the contact) says of the quorum, and who refuses this node. The contact
/// may be cut off from a majority that others reach, and another node may take what one refuses: so
/// each word counts once enough nodes have been tried. Part of a machine. Cost of a call: O(n).
class vain_search {
public:
  /// Of many addresses so many are tried before the word of one node counts.
  static constexpr std::size_t enough_tried = 5;

  explicit vain_search(std::size_t max_tried) : max_tried_(std::max(max_tried, enough_tried)) {}

  /// This node was asked, or gave no link because of `why`. Beyond the limit it is not noted: then
  /// enough have been tried anyway.
  void tried(const net::address& where, const problem& why) {
    if (tried_.size() < max_tried_)
      tried_.insert(where);
    if (why.code == errc::denied)
      refusal_ = why;
  }

  [[nodiscard]] bool has_tried(const net::address& where) const {
    return tried_.contains(where);
  }

  /// What the contact says of the quorum; errc::none: nothing, or there is no contact. Returns
  /// whether it says it for the first time.
  bool hear(const problem& why) {
    return !std::exchange(heard_, why) && heard_;
  }

  /// The services are found.
  void forget() {
    tried_.clear();
    refusal_ = {};
    heard_ = {};
  }

  /// Why there is no quorum, by the word of the contact.
  [[nodiscard]] problem no_quorum(const std::vector<net::address>& all) const {
    return is_over(all) ? heard_ : problem{};
  }

  /// The last `denied`. A contact without a majority may be a member that is revoked itself.
  [[nodiscard]] problem denied(const std::vector<net::address>& all, bool has_contact) const {
    return is_over(all) && (!has_contact || heard_) ? refusal_ : problem{};
  }

  [[nodiscard]] bool hears_anything() const {
    return static_cast<bool>(heard_);
  }

  [[nodiscard]] std::size_t size() const {
    return tried_.size();
  }

  /// Enough nodes have been tried, and at least one.
  [[nodiscard]] bool is_over(const std::vector<net::address>& all) const {
    auto has_tried = [this](auto& each) { return tried_.contains(each); };
    return tried_.size() >= enough_tried
           || (!tried_.empty() && std::ranges::all_of(all, has_tried));
  }

private:
  std::size_t max_tried_;
  std::set<net::address> tried_;
  problem heard_;
  problem refusal_;
};

} // namespace troupe::cluster
