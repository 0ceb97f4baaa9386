#ifndef TROUPE_NODE_IMPL_LEAVE_IPP
#define TROUPE_NODE_IMPL_LEAVE_IPP

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "caf/abstract_actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_registry.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/answer_path.hpp"
#include "troupe/node/cluster_access.hpp"
#include "troupe/node/impl/inside.ipp"
#include "troupe/node/member.hpp"
#include "troupe/node/membership_keeper.hpp"
#include "troupe/node/trust_keeper.hpp"
#include "troupe/router/router.hpp"

/// How a node leaves its cluster, and ends.
namespace troupe {

inline problem node::inside::leave_group(const leave_options& how) {
  return group_ ? group_->leave(voters(), has_leader(), how) : problem{};
}

inline problem node::inside::refuse_to_leave(const std::string& name, bool is_host,
                                             const leave_options& how) {
  if (!is_host || how.force)
    return {};
  return {errc::in_use, "node " + name
                          + " hosts the services of its cluster, and no other node can take "
                            "them over yet; stop it to start it again later, or force it to "
                            "leave (leave_options::force)"};
}

inline void node::inside::stop() {
  if (stopped_.exchange(true))
    return;
  {
    std::lock_guard guard{mutex_}; // nobody begins to wait in between
    changed_.notify_all();
  }
  if (group_)
    group_->own_seat().hand_over();
  end<cluster::membership_keeper>(keeper_, [](cluster::membership_keeper& state) { state.stop(); });
  if (swim_)
    swim_->stop(); // while there are links, whose ends would be news
  swim_.reset();
  // Before the agents: their ends are not news, the node is expected back with them.
  end<cluster::member_state>(member_, [](cluster::member_state& state) { state.stop(); });
  end<cluster::access_state>(access_, [](cluster::access_state& state) { state.stop(); });
  end<cluster::trust_keeper>(trust_, [](cluster::trust_keeper& state) { state.stop(); });
  // Before the agents, too: whoever waits for one hears that the link is lost, not that the
  // agent was not there.
  if (!services_are_here())
    clients_->close(); // while there are links
  if (gate_)
    gate_->stop();
  end_agents();
  clients_->close();
  if (services_)
    services_->stop();
  group_.reset();
  {
    std::lock_guard guard{mutex_};
    voters_ = nullptr;
  }
  router_has_ended_ = true; // other threads may be sending: it goes with this object
  if (router_) {
    end_answer_path();
    caf::anon_send_exit(router_->handle(), caf::exit_reason::user_shutdown);
  }
}

inline void node::inside::end_agents() {
  auto made = agents_->take();
  for (auto& [id, each] : made)
    caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
  if (!own_system_ || !router_)
    return;
  router_->run([](router::router_state& state) { state.end_agents(); });
  std::vector<std::string> left;
  auto have_ended = [&] {
    left = on_router<std::vector<std::string>>(
      [](router::router_state& state) { return state.agents_left(); }, {}, {"of a busy router"});
    return left.empty();
  };
  auto in_time = wait_until(have_ended, options_.agents_end_within);
  for (auto& [id, each] : made)
    router::kill_next(caf::actor_cast<caf::strong_actor_ptr>(each));
  if (in_time)
    return;
  router_->run([](router::router_state& state) { state.kill_agents(); });
  log_.warn("the node stops: " + listed(left) + " did not end within "
            + troupe::to_string(options_.agents_end_within)
            + " (node_options::agents_end_within); what waited for them is dropped");
}

inline void node::inside::end_answer_path() {
  auto& registry = system_->registry();
  if (registry.get<caf::actor>(answer_path::name) == router_->handle())
    registry.erase(answer_path::name);
}

inline void node::inside::end_system() {
  if (!own_system_)
    return;
  end_actors();
  cluster::own_system<node_config>::end(std::move(own_system_));
}

inline void node::inside::end_actors() {
  auto& registry = system_->registry();
  auto is_empty = [&] { return registry.running() == 0; };
  if (wait_until(is_empty, longest_end))
    return;
  auto left = registry.running();
  for (caf::actor_id id = 1; id <= system_->latest_actor_id(); ++id) // all that peers know of
    if (auto found = registry.get(id); found && is_counted(found))
      router::kill_next(found);
  if (!wait_until(is_empty, longest_end))
    system_->await_actors_before_shutdown(false);
  log_.warn("the node stops: " + std::to_string(left)
            + " actors that nobody ended were ended with it");
}

inline bool node::inside::is_counted(const caf::strong_actor_ptr& which) {
  return caf::actor_cast<caf::abstract_actor*>(which)->getf(
    caf::abstract_actor::is_registered_flag);
}

inline std::string node::inside::listed(const std::vector<std::string>& agents) {
  constexpr std::size_t max_shown = 5;
  auto result = std::to_string(agents.size()) + (agents.size() == 1 ? " agent (" : " agents (");
  for (std::size_t each = 0; each < std::min(agents.size(), max_shown); ++each)
    result += (each > 0 ? ", '" : "'") + agents[each].substr(0, 64) + "'";
  return result + (agents.size() > max_shown ? ", …)" : ")");
}

} // namespace troupe

#endif
