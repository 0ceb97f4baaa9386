#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>

#include "troupe/net/types.hpp"

namespace troupe::net {

/// The bytes that all links of a node hold in memory for one purpose. When they exceed the bound,
/// the link that holds most gives way: otherwise many peers, each within the bound of its own link,
/// would fill the memory.
///
/// For any thread. Cost: O(log n) in links; O(n) each time that a link gives way.
class byte_budget {
public:
  explicit byte_budget(std::size_t most) : most_(most) {}

  /// `which` holds `bytes` from now on. Returns the link to close, if there is one. A link that was
  /// returned does not count any more.
  std::optional<connection_id> hold(connection_id which, std::size_t bytes) {
    std::lock_guard guard{mutex_};
    auto& held = held_[which];
    if (held.gives_way)
      return std::nullopt;
    all_ += bytes;
    all_ -= held.bytes;
    held.bytes = bytes;
    if (all_ <= most_)
      return std::nullopt;
    auto largest = std::ranges::max_element(
      held_, {}, [](auto& each) { return each.second.gives_way ? 0 : each.second.bytes; });
    all_ -= largest->second.bytes;
    largest->second = {0, true};
    return largest->first;
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
  };

  const std::size_t most_;
  mutable std::mutex mutex_;
  std::map<connection_id, share> held_;
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

  /// `of` must outlive it.
  budget_share(byte_budget& of, connection_id which) : of_(of), which_(which) {}
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
    return of_.hold(which_, bytes);
  }

private:
  byte_budget& of_;
  connection_id which_;
  std::size_t told_ = 0;
};

} // namespace troupe::net
