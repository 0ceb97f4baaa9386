#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caf/actor_addr.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/node_id.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/problem.hpp"

namespace troupe::router::detail {

/// The actors that a router hands messages to, by their ids as agents. The router watches each,
/// so that it hears of its end and calls end_of(). One actor may have several ids.
///
/// Thread-safe; add() and remove() are for the router's own actor, `self`. Calls nothing while
/// it is locked.
class agent_table {
public:
  struct entry {
    /// Null: there is no such agent.
    caf::strong_actor_ptr handle;
    /// Whether it gets a message_info in front of each message.
    bool takes_info = false;

    explicit operator bool() const {
      return handle != nullptr;
    }
  };

  /// Returns limit_reached or name_taken.
  [[nodiscard]] problem add(caf::event_based_actor* self, const agent_id& id,
                            const caf::strong_actor_ptr& agent, std::size_t most,
                            bool takes_info = false) {
    auto is_first = false;
    {
      std::lock_guard guard{mutex_};
      if (by_id_.contains(id))
        return {errc::name_taken,
                "there is an agent '" + id.text() + "' here already; take another id"};
      if (by_id_.size() >= most)
        return {errc::limit_reached, std::to_string(by_id_.size())
                                       + " agents are registered here; use another node or raise "
                                         "router_options::max_agents"};
      by_id_.emplace(id, entry{agent, takes_info});
      auto& ids = ids_[agent->address()];
      ids.insert(id);
      is_first = ids.size() == 1;
    }
    if (is_first)
      self->monitor(agent);
    return {};
  }

  /// Returns the agent that had this id, null if there was none.
  caf::strong_actor_ptr remove(caf::event_based_actor* self, const agent_id& id) {
    caf::strong_actor_ptr agent;
    {
      std::lock_guard guard{mutex_};
      auto found = by_id_.extract(id);
      if (!found)
        return nullptr;
      agent = std::move(found.mapped().handle);
      auto who = ids_.find(agent->address());
      who->second.erase(id);
      if (!who->second.empty())
        return agent;
      ids_.erase(who);
    }
    self->demonitor(agent->address());
    return agent;
  }

  /// Takes out an actor that has ended and returns the ids that it had.
  std::set<agent_id> end_of(const caf::actor_addr& who) {
    std::vector<caf::strong_actor_ptr> gone; // let go of when the lock is
    std::lock_guard guard{mutex_};
    auto found = ids_.extract(who);
    if (!found)
      return {};
    for (auto& id : found.mapped())
      gone.push_back(std::move(by_id_.extract(id).mapped().handle));
    return std::move(found.mapped());
  }

  [[nodiscard]] entry find(const agent_id& id) const {
    return find(std::string_view{id.text()});
  }

  /// The agent whose id has this text, as in recipients.
  [[nodiscard]] entry find(std::string_view id) const {
    std::lock_guard guard{mutex_};
    auto found = by_id_.find(id);
    return found != by_id_.end() ? found->second : entry{};
  }

  /// Returns the id of this actor, `wanted` if it is one of several; empty if it is no agent.
  [[nodiscard]] agent_id id_of(const caf::actor_addr& who, const agent_id& wanted) const {
    std::lock_guard guard{mutex_};
    auto found = ids_.find(who);
    if (found == ids_.end())
      return {};
    return found->second.contains(wanted) ? wanted : *found->second.begin();
  }

  [[nodiscard]] std::vector<caf::strong_actor_ptr> all() const {
    std::lock_guard guard{mutex_};
    std::vector<caf::strong_actor_ptr> result;
    result.reserve(by_id_.size());
    for (auto& [id, agent] : by_id_)
      result.push_back(agent.handle);
    return result;
  }

  /// Returns the ids of those that live in the process `where`.
  [[nodiscard]] std::vector<agent_id> ids_on(const caf::node_id& where) const {
    std::lock_guard guard{mutex_};
    std::vector<agent_id> result;
    for (auto& [id, agent] : by_id_)
      if (agent.handle->node() == where)
        result.push_back(id);
    return result;
  }

  /// Lets go of all; they are watched until the router ends.
  void clear() {
    std::map<agent_id, entry, std::less<>> gone;
    std::lock_guard guard{mutex_};
    gone.swap(by_id_);
    ids_.clear();
  }

  [[nodiscard]] std::size_t size() const {
    std::lock_guard guard{mutex_};
    return by_id_.size();
  }

private:
  mutable std::mutex mutex_;
  std::map<agent_id, entry, std::less<>> by_id_;
  std::map<caf::actor_addr, std::set<agent_id>> ids_;
};

} // namespace troupe::router::detail
