#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/inbox_report.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Bounds the messages of class confirm that a node has accepted and that have not ended, so that
/// whoever sends one hears at once that it is refused: one agent leaves room for others, and so
/// does a client, whatever agents its messages are for.
///
/// Thread-safe.
class confirm_room {
public:
  explicit confirm_room(const router_options& options) : options_(options) {}

  /// Whose message it is, unless of this node; all zero: of one that is not known.
  using client = std::optional<node_id>;

  /// Returns why there is no room for another one; errc::none: it is taken.
  [[nodiscard]] problem take(const agent_id& agent, std::size_t bytes, const client& by = {}) {
    std::lock_guard guard{mutex_};
    if (is_closed_) {
      ++refused_;
      return accepts_no_more();
    }
    auto its = of(agents_, agent);
    auto of_client = by ? of(clients_, *by) : usage{};
    auto free = options_.max_confirms - std::min<std::size_t>(options_.max_confirms, messages_);
    auto free_bytes
      = options_.max_confirm_bytes - std::min<std::size_t>(options_.max_confirm_bytes, bytes_);
    auto has_room
      = messages_ == 0
        || (may_take(its, free, free_bytes, bytes) && may_take(of_client, free, free_bytes, bytes));
    if (!has_room) {
      ++refused_;
      return too_many_confirms(agent, its.messages, messages_, bytes_);
    }
    add(agent, bytes, by);
    return {};
  }

  /// No other one is taken: the node ends.
  void close() {
    std::lock_guard guard{mutex_};
    is_closed_ = true;
  }

  /// How many of those that were taken have not ended.
  [[nodiscard]] std::size_t size() const {
    std::lock_guard guard{mutex_};
    return messages_;
  }

  /// Of one that was accepted by an earlier start: it is taken whether there is room or not.
  void take_again(const agent_id& agent, std::size_t bytes, const client& by) {
    std::lock_guard guard{mutex_};
    add(agent, bytes, by);
  }

  /// So many that were taken so, of these bytes together, have ended.
  void give_back(const agent_id& agent, std::size_t bytes, const client& by = {},
                 std::size_t messages = 1) {
    std::lock_guard guard{mutex_};
    drop(agents_, agent, bytes, messages);
    if (by)
      drop(clients_, *by, bytes, messages);
    bytes_ -= bytes;
    messages_ -= messages;
  }

  /// Adds what is there for the agents from `first` on, at most so many of them.
  void add_to(std::map<agent_id, inbox_report>& all, const agent_id& first,
              std::size_t most) const {
    std::lock_guard guard{mutex_};
    for (auto each = agents_.lower_bound(first); each != agents_.end() && most > 0;
         ++each, --most) {
      auto& made = all[each->first];
      made.accepted = each->second.messages;
      made.accepted_bytes = each->second.bytes;
    }
  }

  void add_to(router_statistics& sum) const {
    std::lock_guard guard{mutex_};
    sum.confirms += static_cast<std::uint32_t>(messages_);
    sum.refused += refused_;
  }

private:
  struct usage {
    std::size_t messages = 0;
    std::size_t bytes = 0;

    void add(std::size_t more) {
      ++messages;
      bytes += more;
    }
  };

  template <class Key>
  using usages = std::map<Key, usage>;

  /// @pre locked
  void add(const agent_id& agent, std::size_t bytes, const client& by) {
    agents_[agent].add(bytes);
    if (by)
      clients_[*by].add(bytes);
    ++messages_;
    bytes_ += bytes;
  }

  template <class Key>
  static usage of(const usages<Key>& all, const Key& which) {
    auto found = all.find(which);
    return found != all.end() ? found->second : usage{};
  }

  template <class Key>
  static void drop(usages<Key>& all, const Key& which, std::size_t bytes, std::size_t messages) {
    auto found = all.find(which);
    found->second.bytes -= bytes;
    found->second.messages -= messages;
    if (found->second.messages == 0)
      all.erase(found);
  }

  static bool may_take(const usage& its, std::size_t free, std::size_t free_bytes,
                       std::size_t bytes) {
    return shares<int>::may_take(its.messages, free)
           && shares<int>::may_take(its.bytes, free_bytes, bytes);
  }

  const router_options options_;
  mutable std::mutex mutex_;
  usages<agent_id> agents_;
  usages<node_id> clients_;
  std::size_t messages_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t refused_ = 0;
  bool is_closed_ = false;
};

} // namespace troupe::router::detail
