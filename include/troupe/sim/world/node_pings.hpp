#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/liveness.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/world/node_messages.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// The agents of a simulated node that do not answer, and the pings to agents of other nodes.
template <class Process>
class node_pings {
public:
  /// `here` outlives this.
  explicit node_pings(environment<Process>& here) : here_(here) {}

  node_pings(const node_pings&) = delete;
  node_pings& operator=(const node_pings&) = delete;

  void fall_silent(const agent_id& agent) {
    silent_.insert(agent);
  }

  void speak_again(const agent_id& agent) {
    silent_.erase(agent);
  }

  void all_speak_again() {
    silent_.clear();
  }

  [[nodiscard]] bool is_silent(const agent_id& agent) const {
    return silent_.contains(agent);
  }

  void send(process_id where, const cluster::liveness::ping& what) {
    open_.emplace(what.id, here_.now() + what.wait);
    here_.send(where, node_ping{here_.life(), what.id, what.agent});
  }

  void hear(process_id from, const node_ping& what) const {
    if (!is_silent(what.agent))
      here_.send(from, node_pong{what.life, what.number});
  }

  /// Returns whether it is the answer to an open ping, which it ends.
  [[nodiscard]] bool hear(const node_pong& what) {
    return what.life == here_.life() && open_.erase(what.number) > 0;
  }

  /// Returns those that have no answer in time, and ends them.
  [[nodiscard]] std::vector<request_id> take_unanswered() {
    std::vector<request_id> found;
    for (auto& [number, due] : open_)
      if (due <= here_.now())
        found.push_back(number);
    for (auto number : found)
      open_.erase(number);
    return found;
  }

  /// @param no_later than this
  [[nodiscard]] time_point next_deadline(time_point no_later) const {
    for (auto& [number, due] : open_)
      no_later = std::min(no_later, due);
    return no_later;
  }

private:
  environment<Process>& here_;
  std::set<agent_id> silent_;
  std::map<request_id, time_point> open_;
};

} // namespace troupe::sim
