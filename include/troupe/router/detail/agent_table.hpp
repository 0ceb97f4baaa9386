#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "caf/actor_addr.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "troupe/core/problem.hpp"

namespace troupe::router::detail {

/// The actors that a router hands messages to, by their ids as agents. Watches each, so that
/// the router hears of its end and calls end_of(). One actor may have several ids.
class agent_table {
public:
  explicit agent_table(caf::event_based_actor* self) : self_(self) {}

  /// Returns limit_reached or name_taken.
  [[nodiscard]] problem add(const std::string& id, const caf::strong_actor_ptr& agent,
                            std::size_t most) {
    if (by_id_.contains(id))
      return {errc::name_taken, "there is an agent '" + id + "' here already; take another id"};
    if (by_id_.size() >= most)
      return {errc::limit_reached, std::to_string(by_id_.size())
                                     + " agents are registered here; use another node or raise "
                                       "router_options::max_agents"};
    by_id_.emplace(id, agent);
    auto& ids = ids_[agent->address()];
    if (ids.insert(id); ids.size() == 1)
      self_->monitor(agent);
    return {};
  }

  /// Returns the agent that had this id, null if there was none.
  caf::strong_actor_ptr remove(const std::string& id) {
    auto found = by_id_.extract(id);
    if (!found)
      return nullptr;
    auto who = ids_.find(found.mapped()->address());
    who->second.erase(id);
    if (who->second.empty()) {
      self_->demonitor(who->first);
      ids_.erase(who);
    }
    return std::move(found.mapped());
  }

  /// Takes out an actor that has ended and returns the ids that it had.
  std::set<std::string> end_of(const caf::actor_addr& who) {
    auto found = ids_.extract(who);
    if (!found)
      return {};
    for (auto& id : found.mapped())
      by_id_.erase(id);
    return std::move(found.mapped());
  }

  /// Returns null if there is none of that id.
  [[nodiscard]] const caf::strong_actor_ptr* find(std::string_view id) const {
    auto found = by_id_.find(id);
    return found != by_id_.end() ? &found->second : nullptr;
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (auto& [id, agent] : by_id_)
      visit(agent);
  }

  [[nodiscard]] std::size_t size() const {
    return by_id_.size();
  }

private:
  caf::event_based_actor* self_;
  std::map<std::string, caf::strong_actor_ptr, std::less<>> by_id_;
  std::map<caf::actor_addr, std::set<std::string>> ids_;
};

} // namespace troupe::router::detail
