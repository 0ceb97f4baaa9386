#pragma once

#include <cstdint>
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
#include "troupe/host/client.hpp"
#include "troupe/lock/auto_renew_lock.hpp"
#include "troupe/node/agent_functions.hpp"
#include "troupe/node/configure.hpp"
#include "troupe/node/init.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/peer.hpp"
#include "troupe/node/voters_client.hpp"
#include "troupe/router/router_client.hpp"
#include "troupe/state/state_client.hpp"

namespace troupe::registry {

class registry_client; // include troupe/registry/registry_client.hpp

} // namespace troupe::registry

namespace troupe::scheduler {

class task_handlers;   // include troupe/scheduler/worker.hpp
class worker;          // include troupe/scheduler/worker.hpp
struct worker_options; // include troupe/scheduler/worker.hpp
class workflow_client; // include troupe/scheduler/workflow_client.hpp

} // namespace troupe::scheduler

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
///     auto me = troupe::node::start({.join = {{"127.0.0.1", 6767}}});
///     me->agent("echo", [](const std::string& text) { return text; }).value();
///     auto answer = me->request<std::string>(to_agent("echo"), 1s, "hello"s);
///
/// It stops when this object ends. On a thread of the node's own actor system (in a handler, in a
/// function of an agent, in a coroutine that awaited an answer) the destructor returns at once: the
/// node stops in the background, and its port and data folder are in use until then. The end of the
/// process waits for that, up to 5 s. A blocking task handler must not destroy the node of its
/// worker.
///
/// May be moved, while nobody uses it; what was moved from may
/// only be assigned to, and ends without effect. Watchers that it gave must end before it. Clients,
/// runs, workers and held locks may outlive it: their calls end with withdrawn then, its workers
/// have ended, and its locks are lost.
///
/// Thread-safe otherwise. Calls that return a result block, so they must not be made
/// from inside an actor: use async_request() or an agent_handle() there.
class node {
public:
  /// Starts a node with an actor system of its own, or in `sys`, whose configuration went
  /// through configure(), and waits until it has joined, up to node_options::wait_joined. Messages
  /// of one's own types need init() before. Errors: in_use (the port, the data folder), damaged and
  /// incompatible (the data folder), bad_argument (an address, the name), unreachable (a host name
  /// that is not known), conflict (node_options::bootstrap where there is a cluster); those of
  /// wait_joined(), but not of a voter: others wait for it, so it starts all the same.
  TROUPE_COMPILED static result<node> start(node_options options = {},
                                            caf::actor_system* sys = nullptr);

  TROUPE_COMPILED node(node&& other) noexcept;

  /// Stops the one that was here.
  TROUPE_COMPILED node& operator=(node&& other) noexcept;

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
  TROUPE_COMPILED result<void> leave(const leave_options& how = {});

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
  /// who was there before it, agents included. Errors: timed_out, with why nobody was reached;
  /// no_quorum (too few voters are there); cancelled (it has stopped).
  TROUPE_COMPILED result<void> wait_joined(duration wait);

  /// Starts or ends maintenance: while it lasts the node shows `maintenance`, its workers get no
  /// new tasks and finish those that they have; its agents get messages as ever. A data folder
  /// remembers it over restarts. Errors: those of the services (the node remembers it all the same,
  /// and says it when they are back), storage_full and cancelled, which is that the node has
  /// stopped (nothing has changed), outcome_unknown (it was stopped meanwhile).
  TROUPE_COMPILED result<void> maintain(bool on = true);

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
  TROUPE_COMPILED result<void> add_agent(const std::string& id, const caf::strong_actor_ptr& actor,
                                         const agent_options& how = {});

  template <class Handle>
  requires requires(const Handle& actor) {
    caf::actor_cast<caf::strong_actor_ptr>(actor);
  }
  result<void> add_agent(const std::string& id, const Handle& actor,
                         const agent_options& how = {}) {
    return add_agent(id, caf::actor_cast<caf::strong_actor_ptr>(actor), how);
  }

  /// Makes an agent of functions, one for each message that it understands. What one returns is the
  /// answer: a value, a result<T>, or a pending<T>, which answers later; others are handled
  /// meanwhile. One whose first parameter is an agent_context& has a hand on its agent. All of them
  /// run one after the other. It ends with the node, with remove_agent() and with
  /// agent_context::quit(). A function that throws ends it, too: whoever asked gets errc::failed
  /// with what was thrown, and node_options::log a line.
  template <class... Functions>
  requires(sizeof...(Functions) > 0) result<void> agent(const std::string& id,
                                                        const agent_options& how,
                                                        Functions... functions) {
    if (auto why = detail::check_agent_types<Functions...>())
      return why;
    auto made = system_->spawn(
      [functions..., begin = agent_begin(id)](caf::event_based_actor* self) -> caf::behavior {
        auto context = begin(self);
        return {detail::agent_function(context, functions)...};
      });
    return adopt_agent(id, made, how);
  }

  template <class Function, class... Functions>
  requires(!std::is_same_v<std::decay_t<Function>, agent_options>) result<void> agent(
    const std::string& id, Function first, Functions... others) {
    return agent(id, agent_options{}, std::move(first), std::move(others)...);
  }

  /// The same for an agent that says what it takes: `Type` is a caf::typed_actor, its functions are
  /// just those of that, and find<Type>() finds it. Include caf/typed_event_based_actor.hpp.
  template <class Type, class... Functions>
  requires requires {
    typename Type::behavior_type;
  }
  result<void> agent(const std::string& id, const agent_options& how, Functions... functions) {
    if (auto why = detail::check_agent_types<Functions...>())
      return why;
    auto made = system_->spawn([functions..., begin = agent_begin(id)](
                                 typename Type::pointer self) -> typename Type::behavior_type {
      auto context = begin(self);
      return {detail::agent_function(context, functions)...};
    });
    return adopt_agent(id, caf::actor_cast<caf::actor>(made), how);
  }

  template <class Type, class Function, class... Functions>
  requires requires {
    typename Type::behavior_type;
  } &&(!std::is_same_v<std::decay_t<Function>, agent_options>)
    result<void> agent(const std::string& id, Function first, Functions... others) {
    return agent<Type>(id, agent_options{}, std::move(first), std::move(others)...);
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
  result<void> send(const router::recipients& to, Ts&&... what) {
    if (auto why = check_types<Ts...>())
      return why;
    return send_message(to, caf::make_message(std::forward<Ts>(what)...));
  }

  /// Sends `what` to many and says to how many.
  template <class... Ts>
  result<router::send_report> broadcast(router::recipients to, Ts&&... what) {
    return messages_.broadcast(std::move(to), std::forward<Ts>(what)...);
  }

  /// Sends `what` to one agent and waits up to `wait` (at most router::longest_wait) for its
  /// answer, a Result; void for one that has none. Errors:
  /// not_found, unreachable, limit_reached (nothing was sent), too_large (nothing was sent; or the
  /// answer is), outcome_unknown (the link was lost before the answer, or too many bytes of answers
  /// wait for it), timed_out; failed with the agent's own words for its errors.
  template <class Result, class... Ts>
  result<Result> request(router::recipients to, duration wait, Ts&&... what) {
    return messages_.request<Result>(std::move(to), wait, std::forward<Ts>(what)...);
  }

  /// The same without a thread that waits. What comes back has the answer later: for wait(), as a
  /// std::future, for a handler, or for co_await (include troupe/await.hpp). Where the
  /// answer is here already, a handler runs at once, on the thread that calls then(), which gets
  /// what it throws; else on an actor of this node, one after the other, so it must not block, and
  /// node_options::log has what it throws. Errors: as request(); limit_reached
  /// (router::caller::max_open requests wait already), cancelled (this node has stopped).
  template <class Result, class... Ts>
  pending<Result> async_request(router::recipients to, duration wait, Ts&&... what) {
    return messages_.async_request<Result>(std::move(to), wait, std::forward<Ts>(what)...);
  }

  /// Returns an actor that stands for the agent `id`, wherever that is when a message comes: for
  /// actors, as send() and request() of CAF. See router_client::agent_handle().
  template <class Handle = caf::actor>
  [[nodiscard]] Handle
  agent_handle(std::string id, duration longest = router::router_client::longest_request) const {
    return messages_.agent_handle<Handle>(std::move(id), longest);
  }

  /// Returns the handle of an agent, for messages at the speed of CAF. It is good as long
  /// as the link to its node, which is not closed for idleness any more; messages after that
  /// are lost, requests run into their time-out. Handles that come in messages do not hold
  /// the link: send the ids of agents instead. With a caf::typed_actor the agent must say that it
  /// takes its messages, see agent<Type>(). Errors: as request(); wrong_type (it does not).
  template <class Handle = caf::actor>
  result<Handle> find(const std::string& id, duration wait = default_wait) {
    return messages_.find<Handle>(id, wait);
  }

  /// What send(), broadcast(), request() and find() go through; also post(), which waits until a
  /// message is handed over.
  [[nodiscard]] const router::router_client& messages() const {
    return messages_;
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

  [[nodiscard]] TROUPE_COMPILED lock::lock_client locks();

  /// Holds a lock of the cluster until its end; see lock::auto_renew_lock.
  result<lock::auto_renew_lock> hold(const std::string& name, const lock::hold_options& how = {},
                                     lock::lost_handler on_lost = {}) {
    return lock::auto_renew_lock::hold(*system_, locks(), name, how, std::move(on_lost));
  }

  /// Keeps values under keys. Each call of it waits up to `wait`.
  [[nodiscard]] TROUPE_COMPILED state::state_client state(duration wait = default_wait);

  /// Submits workflows and follows them: see troupe/scheduler/workflow_client.hpp. Each call of it
  /// waits up to `wait` for an answer.
  [[nodiscard]] TROUPE_COMPILED scheduler::workflow_client workflows(duration wait = default_wait);

  /// Who is there: see troupe/registry/registry_client.hpp. Each call of it waits up to `wait`.
  [[nodiscard]] TROUPE_COMPILED registry::registry_client registry(duration wait = default_wait);

  /// A client of the service `name` that programs of this cluster bring (see service_options::add),
  /// from any node; `Service` is its trait, or the host::protocol of that. Rides through changes of
  /// leader within the time of each call; all clients of one name share their sessions. May outlive
  /// this node. Errors beside those of host::client: not_found (the node that leads does not have
  /// it), unreachable (it has stopped there, as its rules threw; what was asked before that is
  /// outcome_unknown), wrong_type (it does not know the request: another type has that name, or the
  /// node that leads has an older release of the program).
  template <class Service>
  [[nodiscard]] host::client<host::protocol_of<Service>> service(const std::string& name) {
    return host::client<host::protocol_of<Service>>{own_service(name)};
  }

  /// Runs tasks of the cluster's scheduler in this process until the worker ends; also
  /// those that agents do, see cluster::agent_tasks(). One that the scheduler refuses goes on to
  /// try and is named in node_options::log; ask scheduler::check(options) before.
  [[nodiscard]] TROUPE_COMPILED scheduler::worker work(const scheduler::worker_options& options,
                                                       scheduler::task_handlers handlers);

  /// The same without handlers, so that it runs what agents do.
  [[nodiscard]] TROUPE_COMPILED scheduler::worker work(const scheduler::worker_options& options);

  [[nodiscard]] TROUPE_COMPILED scheduler::worker work();

  static constexpr duration default_wait = router::router_client::default_wait;

private:
  struct inside;

  TROUPE_COMPILED node(std::unique_ptr<inside> made);

  /// Gives boot() also after the end of this node.
  [[nodiscard]] TROUPE_COMPILED std::function<boot_number()> present_boot() const;

  [[nodiscard]] TROUPE_COMPILED std::shared_ptr<host::detail::service_caller>
  own_service(const std::string& name);

  TROUPE_COMPILED result<void> send_message(const router::recipients& to, const caf::message& what);

  /// What the actor of an agent begins with. Good also after the end of this node.
  [[nodiscard]] TROUPE_COMPILED
    std::function<std::shared_ptr<agent_context>(caf::scheduled_actor* self)>
    agent_begin(const std::string& id) const;

  TROUPE_COMPILED result<void> adopt_agent(const std::string& id, const caf::actor& agent,
                                           const agent_options& how);

  std::unique_ptr<inside> inside_;
  // What the templates above need of it.
  caf::actor_system* system_;
  router::router_client messages_;
};

} // namespace troupe

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/node.ipp"
#endif
