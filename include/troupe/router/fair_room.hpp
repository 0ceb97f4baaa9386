#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/shares.hpp"

namespace troupe::router {

/// Decides whether a router takes one more message for agents of another node, so that none of
/// these takes all the room there is.
///
/// As long as three quarters of it are enough, whoever sends has it. The last quarter is shared: an
/// agent may have more of it while it has less than is free. So one that is flooded gets seven
/// eighths of all at most, and leaves room for others. It is refused messages then until half of
/// the room has been sent, so that who retries finds room for more than one message. Where nothing
/// waits, a message of any size is taken.
///
/// Cost: two comparisons while less than three quarters are in use; else O(log n) in the agents
/// that have some of the last quarter.
class fair_room {
public:
  explicit fair_room(std::size_t max_bytes)
    : max_bytes_(max_bytes), quiet_bytes_(max_bytes - max_bytes / 4) {}

  /// Takes a message of `bytes`, or returns false if too much waits. `to` is the agent; empty:
  /// several, which count as one more.
  [[nodiscard]] bool take(const agent_id& to, std::size_t bytes) {
    if (!shared_.empty() || bytes > quiet_bytes_ - std::min(quiet_bytes_, waiting_))
      if (!take_share(planted_flaw != flaw::room_unshared ? to : agent_id{}, bytes))
        return false;
    waiting_ += bytes;
    return true;
  }

  /// So much of what was taken waits no more.
  void drop(std::size_t bytes) {
    waiting_ -= std::min(waiting_, bytes);
    if (shared_.empty())
      return;
    gone_ += bytes;
    if (gone_ < max_bytes_ / 2 || waiting_ > quiet_bytes_)
      return;
    shared_.clear();
    gone_ = 0;
  }

  [[nodiscard]] std::size_t waiting_bytes() const {
    return waiting_;
  }

private:
  /// Of an agent that was refused its next message.
  static constexpr std::size_t has_all = std::numeric_limits<std::size_t>::max();

  bool take_share(const agent_id& to, std::size_t bytes) {
    if (waiting_ == 0)
      return true;
    auto found = shared_.find(to);
    auto has = found != shared_.end() ? found->second : 0;
    if (has == has_all)
      return false;
    if (bytes <= quiet_bytes_ - std::min(quiet_bytes_, waiting_))
      return true;
    auto free = max_bytes_ - std::min(max_bytes_, waiting_);
    if (shares<int>::may_take(has, free, bytes)) {
      shared_[to] = has + bytes;
      return true;
    }
    if (has > 0)
      found->second = has_all;
    return false;
  }

  std::size_t max_bytes_;
  std::size_t quiet_bytes_;
  std::size_t waiting_ = 0;
  /// What agents have got of the last quarter, since this was empty.
  std::map<agent_id, std::size_t> shared_;
  /// What was sent since then.
  std::size_t gone_ = 0;
};

} // namespace troupe::router
