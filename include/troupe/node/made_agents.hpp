#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "caf/abstract_actor.hpp"
#include "caf/actor.hpp"
#include "troupe/core/agent_id.hpp"

namespace troupe::cluster {

/// Agents made of functions, until they end.
class made_agents : public std::enable_shared_from_this<made_agents> {
public:
  using agents = std::multimap<agent_id, caf::actor>;

  /// One whose name is not given yet may be a second one of it.
  void add(const agent_id& id, const caf::actor& agent) {
    {
      std::lock_guard guard{mutex_};
      all_.emplace(id, agent);
    }
    agent->attach_functor([all = weak_from_this(), id, which = agent.id()] {
      if (auto there = all.lock())
        there->erase(id, which);
    });
  }

  agents take() {
    std::lock_guard guard{mutex_};
    return std::exchange(all_, {});
  }

  agents take(const agent_id& id) {
    std::lock_guard guard{mutex_};
    agents result;
    while (auto found = all_.extract(id))
      result.insert(std::move(found));
    return result;
  }

private:
  void erase(const agent_id& id, caf::actor_id which) {
    agents::node_type last; // goes when the lock is free
    std::lock_guard guard{mutex_};
    auto [begin, end] = all_.equal_range(id);
    auto found = std::find_if(begin, end, [&](auto& each) { return each.second.id() == which; });
    if (found != end)
      last = all_.extract(found);
  }

  std::mutex mutex_;
  agents all_;
};

} // namespace troupe::cluster
