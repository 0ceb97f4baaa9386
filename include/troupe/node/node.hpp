#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/lock/auto_renew_lock.hpp"
#include "troupe/node/configure.hpp"
#include "troupe/node/init.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/peer.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/node/voters_client.hpp"
#include "troupe/router/router_client.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/state/state_client.hpp"

namespace troupe {

using cluster::agent_options;
using cluster::leave_options;
using cluster::node_options;
using router::to_agent;
using router::to_all;
using router::to_any;
using router::to_everyone;
using router::to_group;

/// One process in a cluster: has agents, finds those of others, sends them messages, takes
/// locks, shares state, submits workflows and runs their tasks.
///
///     troupe::init();
///     auto me = troupe::node::start({.join = {{"127.0.0.1", 6767}}});
///     (*me)->agent("echo", [](const std::string& text) { return text; });
///     auto answer = (*me)->request<std::string>(to_agent("echo"), 1s, "hello"s);
///
/// Thread-safe. Calls that return a result or a problem block, so they must not be made
/// from inside an actor: send router::dispatch messages to router() from there.
class node {
public:
  /// Starts a node with an actor system of its own, or in `sys`, whose configuration went
  /// through configure(). Returns once it takes links; see wait_joined() for more. Errors:
  /// in_use (the port, the data folder), damaged and incompatible (the data folder),
  /// bad_argument (an address, the name), unreachable (a host name that is not known).
  TROUPE_COMPILED static result<std::unique_ptr<node>> start(node_options options = {},
                                                             caf::actor_system* sys = nullptr);

  node(const node&) = delete;
  node& operator=(const node&) = delete;

  TROUPE_COMPILED ~node();

  /// Stops: agents and services end, links close, the process is expected back and keeps its
  /// vote. If it leads, another node does first (up to 3 s). The cluster takes it for lost
  /// after node_options::lost_after.
  TROUPE_COMPILED void stop();

  /// Leaves for good: gives up its vote, once another node has taken its place, takes back its
  /// agents, their names, its workers and all else that it said, then stops. Errors: in_use (it
  /// hosts the services of its cluster alone, or nobody could take its place among the voters,
  /// which needs leave_options::force; or, also with that, too few of the other voters are there),
  /// no_quorum (nobody leads; not with force), timed_out (the leader said nothing, and may take
  /// the vote later), limit_reached (too many changes are under way); the node goes on after these.
  /// Those of the services (the node has stopped all the same).
  TROUPE_COMPILED problem leave(const leave_options& how = {});

  // -- who it is ---------------------------------------------------------------------

  [[nodiscard]] TROUPE_COMPILED const std::string& name() const;

  [[nodiscard]] TROUPE_COMPILED const node_id& id() const;

  /// How often it has started with its data folder; more, if the cluster has heard of later starts
  /// than the folder knows of (it was restored).
  [[nodiscard]] TROUPE_COMPILED boot_number boot() const;

  /// The port that it listens at.
  [[nodiscard]] TROUPE_COMPILED std::uint16_t port() const;

  /// Shows and changes which nodes keep the services of its cluster. No longer than this node.
  [[nodiscard]] TROUPE_COMPILED cluster::voters_client voters();

  /// Whether the services of its cluster are on it: it leads those that keep them, or has them
  /// in its memory.
  [[nodiscard]] TROUPE_COMPILED bool is_host() const;

  [[nodiscard]] caf::actor_system& system() {
    return *system_;
  }

  /// Waits up to `wait` until the services of the cluster are in reach and this node knows
  /// who was there before it.
  [[nodiscard]] TROUPE_COMPILED bool wait_joined(duration wait);

  /// Starts or ends maintenance: while it lasts the node shows `maintenance`, its workers get no
  /// new tasks and finish those that they have; its agents get messages as ever. A data folder
  /// remembers it over restarts. Errors: those of the services (the node remembers it all the same,
  /// and says it when they are back), storage_full and cancelled, which is that the node has
  /// stopped (nothing has changed), outcome_unknown (it was stopped meanwhile).
  TROUPE_COMPILED problem maintain(bool on = true);

  // -- agents ------------------------------------------------------------------------

  /// Registers an actor as the agent `id` (UTF-8, 1 to 255 bytes) and waits until the cluster
  /// knows it. It is taken back when the actor ends. A node with an actor system of its own
  /// ends all its agents when it stops: they finish what is in their mailboxes, within
  /// node_options::agents_end_within. That system waits for other actors no longer than a few
  /// seconds: whoever spawns others in system(), or takes agents back with remove_agent(), ends
  /// them first. In an
  /// actor system that was given to start(), actors given here go on. An id that ends with "@" and
  /// the name of this node is this node's own and needs no claim. Errors: name_taken, bad_argument,
  /// limit_reached, unreachable (a unique name needs the cluster).
  TROUPE_COMPILED problem add_agent(const std::string& id, const caf::strong_actor_ptr& actor,
                                    const agent_options& how = {});

  template <class Handle>
  requires requires(const Handle& actor) {
    caf::actor_cast<caf::strong_actor_ptr>(actor);
  }
  problem add_agent(const std::string& id, const Handle& actor, const agent_options& how = {}) {
    return add_agent(id, caf::actor_cast<caf::strong_actor_ptr>(actor), how);
  }

  /// Makes an agent of functions, one for each message that it understands; what one returns
  /// is the answer. It ends with the node and with remove_agent(). A function that throws ends it,
  /// too: whoever asked gets errc::failed with what was thrown, and node_options::log a line.
  template <class... Functions>
  requires(sizeof...(Functions) > 0) problem
    agent(const std::string& id, const agent_options& how, Functions... functions) {
    auto made = system_->spawn(
      [functions..., on_throw = ends_agent(id)](caf::event_based_actor* self) -> caf::behavior {
        self->set_exception_handler(on_throw);
        return {functions...};
      });
    return adopt_agent(id, made, how);
  }

  template <class Function, class... Functions>
  requires(!std::is_same_v<std::decay_t<Function>, agent_options>) problem
    agent(const std::string& id, Function first, Functions... others) {
    return agent(id, agent_options{}, std::move(first), std::move(others)...);
  }

  /// Takes an agent back. One that agent() made ends; an actor that was given to add_agent() goes
  /// on.
  TROUPE_COMPILED void remove_agent(const std::string& id);

  // -- messages ----------------------------------------------------------------------

  /// Sends `what` to one or many; at most once. Does not block: whether it goes out is known at
  /// once, what becomes of it then nobody says. Errors: not_found (no such agent is known),
  /// limit_reached (too much waits for its node, see router_options::max_waiting_bytes: wait and
  /// retry; of many: some of them get nothing), too_large, bad_argument (a value that cannot be
  /// written), cancelled (this node is stopping).
  template <class... Ts>
  problem send(const router::recipients& to, Ts&&... what) {
    return send_message(to, caf::make_message(std::forward<Ts>(what)...));
  }

  /// Sends `what` to many and says to how many.
  template <class... Ts>
  result<router::send_report> broadcast(router::recipients to, Ts&&... what) {
    return messages_.broadcast(std::move(to), std::forward<Ts>(what)...);
  }

  /// Sends `what` to one agent and waits up to `wait` for its answer, a Result. Errors:
  /// not_found, unreachable, limit_reached (nothing was sent), too_large (nothing was sent; or the
  /// answer is), outcome_unknown (the link was lost before the answer, or too many bytes of answers
  /// wait for it), timed_out; failed with the agent's own words for its errors.
  template <class Result, class... Ts>
  result<Result> request(router::recipients to, duration wait, Ts&&... what) {
    return messages_.request<Result>(std::move(to), wait, std::forward<Ts>(what)...);
  }

  /// Returns the handle of an agent, for messages at the speed of CAF. It is good as long
  /// as the link to its node, which is not closed for idleness any more; messages after that
  /// are lost, requests run into their time-out. Handles that come in messages do not hold
  /// the link: send the ids of agents instead. Errors as request().
  template <class Handle = caf::actor>
  result<Handle> find(const std::string& id, duration wait = default_wait) {
    return messages_.find<Handle>(id, wait);
  }

  /// The router, for actors: takes router::dispatch. As a request it is answered when it is
  /// refused, as a plain message nobody hears of that.
  [[nodiscard]] const caf::actor& router() const {
    return messages_.router();
  }

  /// Another node as a place to spawn services on, by the name or id it is registered with.
  /// Makes a link if there is none. Errors: not_found, unreachable.
  TROUPE_COMPILED result<peer> find_peer(const std::string& name, duration wait = default_wait);

  // -- services of the cluster -----------------------------------------------------------

  [[nodiscard]] lock::lock_client locks() {
    return lock::lock_client{clients_.locks};
  }

  /// Holds a lock of the cluster until its end; see lock::auto_renew_lock.
  result<lock::auto_renew_lock> hold(const std::string& name, const lock::hold_options& how = {},
                                     lock::lost_handler on_lost = {}) {
    return lock::auto_renew_lock::hold(*system_, locks(), name, how, std::move(on_lost));
  }

  [[nodiscard]] cluster::registry_client& registry() {
    return clients_.registry;
  }

  [[nodiscard]] cluster::scheduler_client& scheduler() {
    return clients_.scheduler;
  }

  [[nodiscard]] state::state_client state() {
    return state::state_client{*system_, clients_.state};
  }

  /// Runs tasks of the cluster's scheduler in this process until the worker ends; also
  /// those that agents do, see cluster::agent_tasks(). One that the scheduler refuses goes on to
  /// try and is named in node_options::log; ask scheduler::check(options) before.
  [[nodiscard]] TROUPE_COMPILED scheduler::worker
  work(const scheduler::worker_options& options = {}, scheduler::task_handlers handlers = {});

  static constexpr duration default_wait = router::router_client::default_wait;

private:
  struct inside;

  TROUPE_COMPILED node(std::unique_ptr<inside> made);

  /// Gives boot() also after the end of this node.
  [[nodiscard]] TROUPE_COMPILED std::function<boot_number()> present_boot() const;

  TROUPE_COMPILED problem send_message(const router::recipients& to, const caf::message& what);

  /// For the functions of an agent: what they throw ends it.
  [[nodiscard]] TROUPE_COMPILED std::function<caf::error(std::exception_ptr&)>
  ends_agent(const std::string& id) const;

  TROUPE_COMPILED problem adopt_agent(const std::string& id, const caf::actor& agent,
                                      const agent_options& how);

  std::unique_ptr<inside> inside_;
  // What the templates above need of it.
  caf::actor_system* system_;
  cluster::service_clients clients_;
  std::shared_ptr<const std::atomic<bool>> in_maintenance_;
  router::router_client messages_;
};

} // namespace troupe

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/node.ipp"
#endif
