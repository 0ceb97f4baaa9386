#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::router {

/// How a call to an agent of another node has ended.
enum class call_end : std::uint8_t {
  /// The agent has answered, and not with an error.
  answered,
  /// There was no link to its node, and none could be made.
  unreachable,
  timed_out,
};

namespace detail {

/// Which ends of calls the cluster hears of: failures in a row, and the first answer after them. An
/// error that an agent answers with is neither. Of one agent the first `at_once` failures are told,
/// then one in each `again_after`; of all agents together no more than `most_told` failures in that
/// time, as each costs the cluster an entry of its log.
///
/// Knows at most `max_doubted` agents, and forgets those of which nothing has failed for
/// `forget_after`; failures of further ones are not told. Thread-safe; calls nothing while it is
/// locked. Cost: O(log n); of an answer while no agent is doubted one load.
class call_outcomes {
public:
  /// Called on the thread that brings the end of the call; must not block.
  using teller = std::function<void(const node_id& node, const agent_id& agent, call_end how)>;

  static constexpr std::uint32_t at_once = 3;
  static constexpr duration again_after = std::chrono::seconds{1};
  static constexpr std::uint32_t most_told = 100;
  static constexpr std::size_t max_doubted = 1'000;
  static constexpr duration forget_after = std::chrono::minutes{5};

  explicit call_outcomes(teller tell) : tell_(std::move(tell)) {}

  /// @pre `how` is no answer; `now` is that of one clock.
  void failed(time_point now, const node_id& node, const agent_id& agent, call_end how) {
    if (tell_ && is_to_be_told(now, {node, agent}))
      tell_(node, agent, how);
  }

  void answered(const node_id& node, const agent_id& agent) {
    if (count_.load(std::memory_order_relaxed) == 0)
      return;
    {
      std::lock_guard guard{mutex_};
      if (doubted_.erase({node, agent}) == 0)
        return;
      count_.store(doubted_.size(), std::memory_order_relaxed);
    }
    tell_(node, agent, call_end::answered);
  }

  /// Agents of which a failure was told, and no answer since.
  [[nodiscard]] std::size_t doubted() const {
    return count_.load(std::memory_order_relaxed);
  }

private:
  /// Since its last answer.
  struct failures {
    std::uint32_t told = 0;
    time_point told_at{};
    time_point last{};
  };

  bool is_to_be_told(time_point now, std::pair<node_id, agent_id> whom) {
    std::lock_guard guard{mutex_};
    if (now - begun_ >= again_after) {
      begun_ = now;
      told_ = 0;
    }
    auto found = doubted_.find(whom);
    if (found != doubted_.end())
      found->second.last = now;
    if (told_ == most_told)
      return false;
    if (found == doubted_.end()) {
      if (doubted_.size() == max_doubted && !make_room(now))
        return false;
      found = doubted_.emplace(std::move(whom), failures{}).first;
      count_.store(doubted_.size(), std::memory_order_relaxed);
    }
    auto& each = found->second;
    each.last = now;
    if (each.told >= at_once && now - each.told_at < again_after)
      return false;
    each.told = std::min(each.told + 1, at_once);
    each.told_at = now;
    ++told_;
    return true;
  }

  bool make_room(time_point now) {
    if (looked_ && now - looked_at_ < again_after)
      return false; // it costs O(n)
    looked_ = true;
    looked_at_ = now;
    return std::erase_if(doubted_,
                         [now](const auto& each) { return now - each.second.last >= forget_after; })
           > 0;
  }

  const teller tell_;
  std::atomic<std::size_t> count_{0};
  std::mutex mutex_;
  /// By node and agent.
  std::map<std::pair<node_id, agent_id>, failures> doubted_;
  /// Failures told since.
  time_point begun_{};
  std::uint32_t told_ = 0;
  bool looked_ = false;
  time_point looked_at_{};
};

} // namespace detail
} // namespace troupe::router
