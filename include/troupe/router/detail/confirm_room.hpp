#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Bounds the messages of class confirm that a node has accepted and that have not ended, so that
/// whoever sends one hears at once that it is refused: one agent leaves room for others.
///
/// Thread-safe.
class confirm_room {
public:
  explicit confirm_room(const router_options& options) : options_(options) {}

  /// Returns why there is no room for another one; errc::none: it is taken.
  [[nodiscard]] problem take(const agent_id& agent, std::size_t bytes) {
    std::lock_guard guard{mutex_};
    auto& its = agents_[agent];
    auto free = options_.max_confirms - std::min<std::size_t>(options_.max_confirms, messages_);
    auto free_bytes
      = options_.max_confirm_bytes - std::min<std::size_t>(options_.max_confirm_bytes, bytes_);
    auto has_room = messages_ == 0
                    || (shares<agent_id>::may_take(its.messages, free)
                        && shares<agent_id>::may_take(its.bytes, free_bytes, bytes));
    if (!has_room) {
      auto why = too_many_confirms(agent, its.messages, messages_, bytes_);
      if (its.messages == 0)
        agents_.erase(agent);
      ++refused_;
      return why;
    }
    ++its.messages;
    its.bytes += bytes;
    ++messages_;
    bytes_ += bytes;
    return {};
  }

  void give_back(const agent_id& agent, std::size_t bytes) {
    std::lock_guard guard{mutex_};
    auto found = agents_.find(agent);
    found->second.bytes -= bytes;
    bytes_ -= bytes;
    --messages_;
    if (--found->second.messages == 0)
      agents_.erase(found);
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
  };

  const router_options options_;
  mutable std::mutex mutex_;
  std::map<agent_id, usage> agents_;
  std::size_t messages_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t refused_ = 0;
};

} // namespace troupe::router::detail
