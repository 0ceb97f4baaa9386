#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>

#include "troupe/core/ids.hpp"
#include "troupe/net/types.hpp"

namespace troupe::net {

/// The bytes that all links of a node hold in memory for one purpose. When they exceed the bound,
/// the largest link of the user whose links hold most gives way: otherwise many peers, each within
/// the bound of its own link, would fill the memory, and one with many links would have those of
/// others closed.
///
/// For any thread. Cost: O(log n) in links; O(n log n) each time that a link gives way.
class byte_budget {
public:
  explicit byte_budget(std::size_t most) : most_(most) {}

  /// `which`, a link of `user`, holds `bytes` from now on. Returns the link to close, if there is
  /// one. A link that was returned does not count any more.
  std::optional<connection_id> hold(connection_id which, const node_id& user, std::size_t bytes) {
    std::lock_guard guard{mutex_};
    auto& held = held_[which];
    if (held.gives_way)
      return std::nullopt;
    all_ += bytes;
    all_ -= held.bytes;
    held.bytes = bytes;
    held.user = user;
    if (all_ <= most_)
      return std::nullopt;
    auto& [largest, its] = largest_of(largest_user());
    all_ -= its.bytes;
    its.bytes = 0;
    its.gives_way = true;
    return largest;
  }

  /// The link is gone.
  void release(connection_id which) {
    std::lock_guard guard{mutex_};
    if (auto found = held_.extract(which))
      all_ -= found.mapped().bytes;
  }

  /// The bytes of all links that have not given way.
  [[nodiscard]] std::size_t all() const {
    std::lock_guard guard{mutex_};
    return all_;
  }

private:
  struct share {
    std::size_t bytes = 0;
    bool gives_way = false;
    node_id user{};
  };

  using shares = std::map<connection_id, share>;

  [[nodiscard]] node_id largest_user() const {
    std::map<node_id, std::size_t> all;
    for (auto& [link, each] : held_)
      all[each.user] += each.bytes;
    return std::ranges::max_element(all, {}, [](auto& each) { return each.second; })->first;
  }

  shares::value_type& largest_of(const node_id& user) {
    return *std::ranges::max_element(
      held_, {}, [&](auto& each) { return each.second.user == user ? each.second.bytes : 0; });
  }

  const std::size_t most_;
  mutable std::mutex mutex_;
  shares held_;
  std::size_t all_ = 0;
};

/// The budgets of one node.
struct link_budgets {
  /// Bytes that wait to be written.
  byte_budget queued;
  /// Bytes of long payloads that have arrived in part.
  byte_budget collected;
};

/// What one link holds of a budget. Tells the budget in steps, because that takes a lock.
class budget_share {
public:
  static constexpr std::size_t step = 64U << 10U;

  /// Of a link of `user`. `of` must outlive it.
  budget_share(byte_budget& of, connection_id which, const node_id& user)
    : of_(of), which_(which), user_(user) {}
  budget_share(const budget_share&) = delete;
  budget_share& operator=(const budget_share&) = delete;

  ~budget_share() {
    of_.release(which_);
  }

  /// As byte_budget::hold().
  std::optional<connection_id> hold(std::size_t bytes) {
    auto steps = bytes / step;
    if (steps == told_)
      return std::nullopt;
    told_ = steps;
    return of_.hold(which_, user_, bytes);
  }

private:
  byte_budget& of_;
  connection_id which_;
  node_id user_;
  std::size_t told_ = 0;
};

} // namespace troupe::net
