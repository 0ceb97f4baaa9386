#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// The hand-overs of leadership that are under way: to nodes that somebody has chosen, and to any,
/// as this node is about to end. Part of `seats`. Cost of a call: O(n).
class hand_overs {
public:
  /// For a hand-over to whichever node the group chooses.
  static constexpr node_id any_node{};

  struct transfer {
    /// The open question; zero: none.
    request_id open = 0;
    /// When it is asked again.
    std::optional<time_point> again{};
  };

  /// The group is asked for one to that node, by the question `id`; all zero: to any.
  void ask(const node_id& node, request_id id) {
    transfers_[node] = {id};
  }

  void drop(const node_id& node) {
    transfers_.erase(node);
  }

  void clear() {
    transfers_.clear();
  }

  /// Keeps that of this node, and those to nodes of which `is_wanted` is true.
  template <class IsWanted>
  void keep(IsWanted is_wanted) {
    std::erase_if(transfers_, [&](auto& each) {
      return each.first != any_node && !is_wanted(each.first)
             && planted_flaw != flaw::hand_over_repeated;
    });
  }

  /// The group has answered the question `id`. Returns whether this node's own hand-over cannot be
  /// made.
  bool is_in_vain(request_id id, const problem& why, time_point now) {
    auto found
      = std::ranges::find_if(transfers_, [id](auto& each) { return each.second.open == id; });
    if (found == transfers_.end())
      return false;
    if (why.code == errc::busy || planted_flaw == flaw::hand_over_repeated) {
      found->second = {0, now + ask_again_after}; // another one is under way, and may fail
      return false;
    }
    auto is_own = found->first == any_node;
    transfers_.erase(found);
    return is_own && why;
  }

  /// To which nodes one is to be asked for again.
  std::vector<node_id> take_due(time_point now) {
    std::vector<node_id> found;
    for (auto& [node, each] : transfers_)
      if (each.again && *each.again <= now) {
        each.again.reset();
        found.push_back(node);
      }
    return found;
  }

  /// By node; all zero: to any.
  [[nodiscard]] const std::map<node_id, transfer>& all() const {
    return transfers_;
  }

  // -- this node ends ------------------------------------------------------------------------

  /// Somebody waits for this node to hand over. Returns whether it is the first.
  bool wait(request_id asker, time_point now) {
    leaving_.push_back(asker);
    if (leaving_.size() > 1)
      return false;
    leave_at_ = now + within;
    return true;
  }

  /// How many wait.
  [[nodiscard]] std::size_t waiting() const {
    return leaving_.size();
  }

  [[nodiscard]] bool has_waited(time_point now) const {
    return !leaving_.empty() && leave_at_ <= now;
  }

  /// This node's own is over. Returns who has waited for it.
  std::vector<request_id> end() {
    transfers_.erase(any_node);
    return std::exchange(leaving_, {});
  }

  // ------------------------------------------------------------------------------------------

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    if (!leaving_.empty())
      next = leave_at_;
    for (auto& [node, each] : transfers_)
      if (each.again)
        next = std::min(next.value_or(*each.again), *each.again);
    return next;
  }

  /// What is wrong with its state, in words; empty if all is well.
  [[nodiscard]] std::vector<std::string> flaws(request_id last_id) const {
    std::vector<std::string> found;
    for (auto& [node, each] : transfers_) {
      if ((each.open == 0) != each.again.has_value())
        found.push_back("a transfer waits for nothing: " + to_string(node));
      if (each.open > last_id)
        found.push_back("a transfer has a number that was not given: " + to_string(node));
      if (node == any_node && leaving_.empty())
        found.push_back("nobody waits for the transfer to any node");
    }
    return found;
  }

private:
  static constexpr duration within = std::chrono::seconds{3};
  static constexpr duration ask_again_after = std::chrono::milliseconds{50};

  std::map<node_id, transfer> transfers_;
  std::vector<request_id> leaving_;
  time_point leave_at_{};
};

} // namespace troupe::cluster
