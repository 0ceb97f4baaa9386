#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/core/flaw.hpp"

namespace troupe::router {

/// How much of an agent each tenant gets while others wait as well, relative to these. Who is not
/// named has 1.
using tenant_weights = std::map<std::string, std::uint32_t, std::less<>>;

struct waiting_amount {
  std::size_t messages = 0;
  std::size_t bytes = 0;
};

/// What waits at one priority, by tenant: they take turns, in each of which so many of a tenant go
/// as its weight says; of one tenant what came first goes first. Messages without a tenant are
/// those of one more. Where one tenant waits alone, it gets all.
///
/// Tenants are what senders say, so that a line has `max_tenants` of them at most, and beyond these
/// the ones that have a weight: what comes for more waits with the messages without a tenant, and
/// so does all for tenants of which nothing waits elsewhere until the last of these has gone: none
/// of them passes itself. A tenant for which nothing waits takes no memory, and keeps no turn for
/// later.
///
/// An Entry has its size in `bytes`. Part of a machine. Not thread-safe. Cost: O(log n) in the
/// tenants that wait; O(n) for take_oldest().
///
/// Source: Shreedhar and Varghese, "Efficient fair queueing using deficit round-robin", SIGCOMM
/// 1995, with messages for bytes, as an agent works by messages.
template <class Entry>
class tenant_line {
public:
  static constexpr std::size_t max_tenants = 256;

  /// `weights` outlive this.
  explicit tenant_line(const tenant_weights& weights) : weights_(weights) {}

  tenant_line(const tenant_line&) = delete;
  tenant_line& operator=(const tenant_line&) = delete;

  [[nodiscard]] bool empty() const {
    return turns_.empty();
  }

  void push(std::string_view tenant, Entry what) {
    auto found = queues_.find(tenant);
    if (found == queues_.end())
      found = begin(is_guest(tenant) ? std::string_view{} : tenant);
    auto& to = found->second;
    to.bytes += what.bytes;
    to.entries.push_back(std::move(what));
    if (found->first != tenant)
      guests_ = to.entries.size();
  }

  /// Takes out what goes next. There is something.
  [[nodiscard]] Entry take_next() {
    auto from = turns_.front();
    auto& it = from->second;
    auto result = take(from);
    --it.left;
    if (it.entries.empty()) {
      turns_.pop_front();
      queues_.erase(from);
    } else if (it.left == 0 && planted_flaw != flaw::turn_kept) {
      it.left = it.weight;
      turns_.pop_front();
      turns_.push_back(from);
    }
    return result;
  }

  /// Takes out the oldest of the tenant that has most of these for its weight. There is something.
  [[nodiscard]] Entry take_oldest(std::size_t waiting_amount::*of_these) {
    auto has_less = [of_these](const turn& one, const turn& other) {
      return one->second.amount().*of_these * other->second.weight
             < other->second.amount().*of_these * one->second.weight;
    };
    auto from = std::ranges::max_element(turns_, has_less);
    auto result = take(*from);
    if ((*from)->second.entries.empty()) {
      queues_.erase(*from);
      turns_.erase(from);
    }
    return result;
  }

  /// Adds what waits of that tenant; where it would wait with others, what waits of all of them.
  void add_to(waiting_amount& sum, std::string_view tenant) const {
    auto found = queues_.find(tenant);
    if (found == queues_.end() && is_guest(tenant))
      found = queues_.find(std::string_view{});
    if (found == queues_.end())
      return;
    auto amount = found->second.amount();
    sum.messages += amount.messages;
    sum.bytes += amount.bytes;
  }

private:
  struct queue {
    std::deque<Entry> entries{};
    std::size_t bytes = 0;
    std::uint32_t weight = 1;
    /// So many go before the next tenant has its turn.
    std::uint32_t left = 1;

    [[nodiscard]] waiting_amount amount() const {
      return {entries.size(), bytes};
    }
  };
  using queues = std::map<std::string, queue, std::less<>>;
  using turn = typename queues::iterator;

  /// Whether a tenant of which nothing waits elsewhere is to wait with what has none.
  [[nodiscard]] bool is_guest(std::string_view tenant) const {
    return (guests_ > 0 || queues_.size() >= max_tenants) && !weights_.contains(tenant);
  }

  turn begin(std::string_view tenant) {
    auto known = weights_.find(tenant);
    auto weight = known != weights_.end() ? std::max(known->second, std::uint32_t{1}) : 1;
    auto [made, is_new] = queues_.try_emplace(std::string{tenant});
    if (is_new) {
      made->second.weight = made->second.left = weight;
      turns_.push_back(made);
    }
    return made;
  }

  Entry take(turn which) {
    auto& [tenant, from] = *which;
    auto result = std::move(from.entries.front());
    from.entries.pop_front();
    from.bytes -= result.bytes;
    if (tenant.empty() && guests_ > 0)
      --guests_;
    return result;
  }

  const tenant_weights& weights_;
  queues queues_;
  /// All of them, the next one first.
  std::deque<turn> turns_;
  /// So many of what waits without a tenant go until the last one that has one is gone.
  std::size_t guests_ = 0;
};

} // namespace troupe::router
