#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "troupe/cluster/member_view.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/departure_report.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/host/client.hpp"
#include "troupe/lock/auto_renew_lock.hpp"
#include "troupe/node/agent_functions.hpp"
#include "troupe/node/configure.hpp"
#include "troupe/node/init.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/peer.hpp"
#include "troupe/node/singleton.hpp"
#include "troupe/node/voters_client.hpp"
#include "troupe/router/router_client.hpp"
#include "troupe/security/types.hpp"
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

using cluster::agent_change;
using cluster::agent_options;
using cluster::leave_options;
using cluster::node_options;
using cluster::singleton_options;
using router::message_id;
using router::message_options;
using router::message_priority;
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
/// The destructor stops the node. On a thread of the node's own actor system (in a handler, in a
/// function of an agent, in a coroutine that awaited an answer) it returns at once: the node stops
/// in the background and keeps its port and data folder until it has stopped. The end of the
/// process waits for that, up to 5 s. A blocking task handler must not destroy the node of its
/// worker.
///
/// It must end before main() returns: do not keep it in a static variable, because CAF has ended
/// what it needs of the main thread by then.
///
/// Movable while no other thread uses it. A moved-from node may only be assigned to or destroyed.
/// Watchers must end before their node. Clients, runs, workers and held locks may outlive it: their
/// calls then end with withdrawn, its workers have ended, and its locks are lost.
///
/// Thread-safe otherwise. Calls that return a result block, so do not call them inside an actor:
/// use async_request() or an agent_handle() there.
class node {
public:
  /// Starts a node with an actor system of its own, or in `sys`, whose configuration was passed to
  /// configure(), and waits until it has joined, up to node_options::wait_joined. Register message
  /// types of the program with init() before. Errors: in_use (the port, the data folder), damaged
  /// or incompatible (the data folder), bad_argument (an address, the name, a certificate in the
  /// data folder), unreachable (an unknown host name), conflict (node_options::bootstrap although
  /// there is a cluster), and those of wait_joined(), except for a voter: it starts without the
  /// others, because they may wait for it.
  TROUPE_COMPILED static result<node> start(node_options options = {},
                                            caf::actor_system* sys = nullptr);

  TROUPE_COMPILED node(node&& other) noexcept;

  /// Stops the node that this object was before.
  TROUPE_COMPILED node& operator=(node&& other) noexcept;

  TROUPE_COMPILED ~node();

  /// Stops the node: its agents and services end and its links close. The cluster expects it back,
  /// so it keeps its vote. If it leads, another voter becomes leader first (up to 3 s). It counts
  /// as lost after node_options::lost_after.
  TROUPE_COMPILED void stop();

  /// Leaves the cluster permanently: once the messages of class confirm and once are delivered that
  /// it has accepted (see leave_options::deliver_within), another node takes its place as a voter,
  /// or, if it has no vote, one that leads has answered it, then its workers end, its vote, agents,
  /// names and workers are removed, and it stops. What it accepts meanwhile is delivered as long as
  /// its workers take to end and 5 s. Returns what it has delivered and what it leaves behind. Its
  /// data folder is free once this object is gone. If others have asked it to leave
  /// (node_options::on_leave_asked), it goes on with that: messages keep it no more. Drain workers
  /// before, or other workers run their tasks again. Errors: in_use (it alone hosts the services of
  /// its cluster, no node can take its place as a voter, or messages are not delivered: these need
  /// leave_options::force; or too few of the other voters are there, even with force), no_quorum
  /// (there is no leader in reach; not with force), timed_out (the leader did not answer and may
  /// remove the vote later), limit_reached (too many changes are under way). After these the node
  /// goes on. Also in_use while another thread has it leave, which then ends it; cancelled (it has
  /// stopped, or is stopped before anything but the vote is removed), outcome_unknown (it is
  /// stopped while that is). Errors of the services are returned as well; the node has stopped
  /// then.
  TROUPE_COMPILED result<departure_report> leave(const leave_options& how = {});

  /// Returns a line with which one machine that has no certificate can join this cluster
  /// (node_options::token), or one client log in (`troupe login`), as `troupe ca invite` prints it.
  /// For the node that has founded the cluster, which has its CA. Whoever has the line can use it,
  /// once, until it expires: keep it out of logs. Errors: not_found (another node has the CA),
  /// bad_argument (an invalid name or time, or insecure links), storage_full.
  [[nodiscard]] TROUPE_COMPILED result<std::string> invite(const security::invitation_options& how
                                                           = {});

  // -- who it is ---------------------------------------------------------------------

  [[nodiscard]] TROUPE_COMPILED const std::string& name() const;

  [[nodiscard]] TROUPE_COMPILED const node_id& id() const;

  /// Number of its starts with its data folder; higher if the cluster knows of later starts than
  /// the folder does (it was restored from a copy).
  [[nodiscard]] TROUPE_COMPILED boot_number boot() const;

  /// The port that it listens on.
  [[nodiscard]] TROUPE_COMPILED std::uint16_t port() const;

  /// Shows and changes the voters of its cluster. Must not outlive this node.
  [[nodiscard]] TROUPE_COMPILED cluster::voters_client voters();

  /// Whether it hosts the services of its cluster: as leader of the voters, or in memory.
  [[nodiscard]] TROUPE_COMPILED bool is_host() const;

  [[nodiscard]] caf::actor_system& system() {
    return *system_;
  }

  /// Waits up to `wait` until the node can reach the services of the cluster and knows the nodes
  /// and agents that were there before it. Errors: timed_out (with the reason), no_quorum (too few
  /// voters are there), cancelled (this node has stopped).
  TROUPE_COMPILED result<void> wait_joined(duration wait);

  /// Waits up to `wait` until the node can reach the services of the cluster, and does not wait for
  /// what it is told of nodes and agents: where many nodes start at once, that takes far longer.
  /// What is asked of it meanwhile waits for that, all but send(): that refuses with not_found what
  /// is for agents of which this node has not heard. Errors: as wait_joined().
  TROUPE_COMPILED result<void> wait_for_services(duration wait);

  /// Starts or ends maintenance. In maintenance the node shows the status `maintenance` and its
  /// workers finish their tasks but get no new ones; its agents still get messages. Kept in the
  /// data folder over restarts. Errors: those of the services (the change is kept and sent to them
  /// once they answer), storage_full or cancelled (this node has stopped): nothing has changed;
  /// cancelled (the opposite was asked for meanwhile, and counts); outcome_unknown (it was stopped
  /// meanwhile).
  TROUPE_COMPILED result<void> maintain(bool on = true);

  // -- agents ------------------------------------------------------------------------

  /// Registers an actor as the agent `id` (UTF-8, 1 to 255 bytes) and waits until the cluster knows
  /// it. The agent is removed when its actor ends. When a node with an actor system of its own
  /// stops, it ends its agents: they handle the messages in their mailboxes, within
  /// node_options::agents_end_within. Other actors of that system must end before the node; it
  /// waits for them a few seconds only. In an actor system that was passed to start(), actors that
  /// were passed to add_agent() go on. An id that ends with "@" and the name of this node belongs
  /// to this node and needs no claim; such an id, and one that is not unique, has at most 190
  /// bytes. Errors: name_taken, bad_argument, limit_reached, too_large, unreachable (a unique name
  /// needs the cluster).
  TROUPE_COMPILED result<void> add_agent(const agent_id& id, const caf::strong_actor_ptr& actor,
                                         const agent_options& how = {});

  template <class Handle>
  requires requires(const Handle& actor) {
    caf::actor_cast<caf::strong_actor_ptr>(actor);
  }
  result<void> add_agent(const agent_id& id, const Handle& actor, const agent_options& how = {}) {
    return add_agent(id, caf::actor_cast<caf::strong_actor_ptr>(actor), how);
  }

  /// Makes an agent from functions, one for each type of message. The answer is what the function
  /// returns: a value, a result<T>, or a pending<T>, which is answered later, while other messages
  /// are handled. A function may take an agent_context& first, to act as its agent, and a const
  /// message_info& first or behind that, to see who sent the message. They run one at a time. The
  /// agent ends with the node, by remove_agent(), or by agent_context::quit(). A function that
  /// throws ends it as well: the caller gets errc::failed with the text of the exception, and
  /// node_options::log a line.
  template <class... Functions>
  requires(sizeof...(Functions) > 0) result<void> agent(const agent_id& id,
                                                        const agent_options& how,
                                                        Functions... functions) {
    if (auto why = detail::check_agent_types<Functions...>())
      return why;
    if (auto why = detail::check_store<Functions...>(how.once != nullptr))
      return why;
    auto made = system_->spawn(
      [functions..., begin = agent_begin(id, how)](caf::event_based_actor* self) -> caf::behavior {
        return detail::agent_behavior(begin(self), functions...);
      });
    return adopt_agent(id, made, how, (detail::takes_info<Functions> || ...));
  }

  template <class Function, class... Functions>
  requires(!std::is_same_v<std::decay_t<Function>, agent_options>) result<void> agent(
    const agent_id& id, Function first, Functions... others) {
    return agent(id, agent_options{}, std::move(first), std::move(others)...);
  }

  /// The same for a typed agent: `Type` is a caf::typed_actor and the functions are exactly its
  /// handlers, so that find<Type>() finds it. Include caf/typed_event_based_actor.hpp.
  template <class Type, class... Functions>
  requires requires {
    typename Type::behavior_type;
  }
  result<void> agent(const agent_id& id, const agent_options& how, Functions... functions) {
    static_assert(!(detail::takes_info<Functions> || ...),
                  "a typed agent cannot take message_info; leave out the type of the agent");
    if (auto why = detail::check_agent_types<Functions...>())
      return why;
    if (auto why = detail::check_store<Functions...>(how.once != nullptr, true))
      return why;
    auto made = system_->spawn([functions..., begin = agent_begin(id, how)](
                                 typename Type::pointer self) -> typename Type::behavior_type {
      auto context = begin(self);
      return {detail::agent_function(context, functions)...};
    });
    return adopt_agent(id, caf::actor_cast<caf::actor>(made), how, false);
  }

  template <class Type, class Function, class... Functions>
  requires requires {
    typename Type::behavior_type;
  } &&(!std::is_same_v<std::decay_t<Function>, agent_options>)
    result<void> agent(const agent_id& id, Function first, Functions... others) {
    return agent<Type>(id, agent_options{}, std::move(first), std::move(others)...);
  }

  /// Offers to run a singleton: an agent made of functions as by agent(), of which at most one runs
  /// in the cluster. Other nodes offer it under the same id; one of them runs it while it holds the
  /// lock `singleton/ID`. After a kill or a cut it runs elsewhere within singleton_options::ttl; a
  /// node that is cut off from a majority ends it before that, see singleton_options::margin, and
  /// one that was stopped for longer handles no further message. Each time it begins with copies of
  /// the functions as they are now, so keep what must outlive it in the shared state. Does not
  /// block, and does not wait for the cluster: node_options::log says why it does not run. Errors:
  /// bad_argument (the id, of more than 245 bytes or otherwise, a time, a type), cancelled (this
  /// node has stopped). Source: the cluster singleton of Akka.
  template <class... Functions>
  requires(sizeof...(Functions) > 0) result<cluster::singleton> singleton(
    const agent_id& id, const singleton_options& how, Functions... functions) {
    if (auto why = detail::check_agent_types<Functions...>())
      return why;
    if (auto why = detail::check_store<Functions...>(how.agent.once != nullptr))
      return why;
    return offer_singleton(
      id, how,
      [sys = system_, functions..., begin = agent_begin(id, how.agent)](std::function<bool()> may) {
        return sys->spawn(
          [functions..., begin, may](caf::event_based_actor* self) -> caf::behavior {
            auto context = begin(self);
            context->run_while(may);
            return detail::agent_behavior(context, functions...);
          });
      },
      (detail::takes_info<Functions> || ...));
  }

  template <class Function, class... Functions>
  requires(!std::is_same_v<std::decay_t<Function>, singleton_options>)
    result<cluster::singleton> singleton(const agent_id& id, Function first, Functions... others) {
    return singleton(id, singleton_options{}, std::move(first), std::move(others)...);
  }

  /// Changes the capabilities, groups, metadata or load of an agent of this node, and waits until
  /// the cluster knows it; not for one whose name is still being claimed, which begins so. Messages
  /// that are on their way go where they were sent. Its functions use agent_context::update(), as
  /// this blocks. Errors: not_found (this node has no such agent),
  /// bad_argument, limit_reached, too_large (nothing has changed), unreachable or timed_out (this
  /// node has it, and says it again).
  TROUPE_COMPILED result<void> update_agent(const agent_id& id, const agent_change& how);

  /// Removes an agent. An actor made by agent() ends; an actor that was passed to add_agent() goes
  /// on.
  TROUPE_COMPILED void remove_agent(const agent_id& id);

  // -- messages ----------------------------------------------------------------------

  /// Sends `what` to one or many agents, at most once; with `how.delivery` confirm to one agent
  /// until that has handled it, with once so that it has one effect there. Does not block, but for
  /// the disk where `how.durability` is synced: use async_send() for that in an actor or a handler.
  /// Reports whether the message was sent, or accepted, not whether it arrived: messages().post()
  /// waits for that. Errors: not_found (no such agent is known), limit_reached (too many bytes wait
  /// for its node, see router_options::max_waiting_bytes: retry with backoff; if there are many,
  /// some of them get nothing), too_large, bad_argument (a value that cannot be written, or invalid
  /// options), expired (a ttl of zero or less), cancelled (this node is stopping).
  template <class... Ts>
  result<void> send(const router::recipients& to, message_options how, Ts&&... what) {
    must_be_sendable<Ts...>();
    if (auto why = check_types<Ts...>())
      return why;
    return send_message(to, std::move(how), caf::make_message(std::forward<Ts>(what)...));
  }

  /// The same without options; broadcast(), request() and async_request() take them, too: as
  /// `message_options{.ttl = 5s}` or `{.ttl = 5s}` in front of what is sent.
  template <class... Ts>
  requires router::without_options<Ts...> result<void> send(const router::recipients& to,
                                                            Ts&&... what) {
    must_be_sendable<Ts...>();
    if (auto why = check_types<Ts...>())
      return why;
    return send_message(to, caf::make_message(std::forward<Ts>(what)...));
  }

  /// The same without a thread that waits for the disk: what comes back is ready once the message
  /// was sent, or accepted as `how` says. Further errors: storage_full (nothing was accepted; make
  /// space), damaged (the disk; perhaps it was accepted).
  template <class... Ts>
  pending<void> async_send(const router::recipients& to, message_options how, Ts&&... what) {
    must_be_sendable<Ts...>();
    promise<void> made;
    auto answer = made.answer();
    if (auto why = check_types<Ts...>())
      made.set(why);
    else
      send_message(to, std::move(how), caf::make_message(std::forward<Ts>(what)...), made);
    return answer;
  }

  /// Sends `what` to many agents and reports to how many.
  template <class... Ts>
  result<router::send_report> broadcast(router::recipients to, message_options how, Ts&&... what) {
    return messages_.broadcast(std::move(to), std::move(how), std::forward<Ts>(what)...);
  }

  template <class... Ts>
  requires router::without_options<Ts...> result<router::send_report>
  broadcast(router::recipients to, Ts&&... what) {
    return broadcast(std::move(to), message_options{}, std::forward<Ts>(what)...);
  }

  /// Sends `what` to one agent and waits up to `wait` (at most router::longest_wait) for its answer
  /// of type Result, which may be void. Errors: not_found, unreachable or limit_reached (nothing
  /// was sent; see message_options::wait_for_room), too_large (nothing was sent, or the answer is
  /// too large), bad_argument (invalid options), expired (its ttl ran out before the agent could
  /// get it), outcome_unknown (the link was lost before the answer, or too many bytes of answers
  /// wait for it), timed_out, and failed with the agent's own text.
  template <class Result, class... Ts>
  result<Result> request(router::recipients to, duration wait, message_options how, Ts&&... what) {
    return messages_.request<Result>(std::move(to), wait, std::move(how),
                                     std::forward<Ts>(what)...);
  }

  template <class Result, class... Ts>
  requires router::without_options<Ts...> result<Result> request(router::recipients to,
                                                                 duration wait, Ts&&... what) {
    return request<Result>(std::move(to), wait, message_options{}, std::forward<Ts>(what)...);
  }

  /// The same without blocking. Use the result to wait(), as a std::future, with a handler, or with
  /// co_await (include troupe/await.hpp). If the answer is already there, then() runs the handler
  /// at once, in the calling thread, and lets its exceptions through. Otherwise an actor of this
  /// node runs it; such handlers run one at a time, must not block, and their exceptions are logged
  /// to node_options::log. Errors: those of request(), limit_reached (router::caller::max_open
  /// requests are open), cancelled (this node has stopped).
  template <class Result, class... Ts>
  pending<Result> async_request(router::recipients to, duration wait, message_options how,
                                Ts&&... what) {
    return messages_.async_request<Result>(std::move(to), wait, std::move(how),
                                           std::forward<Ts>(what)...);
  }

  template <class Result, class... Ts>
  requires router::without_options<Ts...> pending<Result>
  async_request(router::recipients to, duration wait, Ts&&... what) {
    return async_request<Result>(std::move(to), wait, message_options{}, std::forward<Ts>(what)...);
  }

  /// Returns an actor that forwards to the agent `id`, wherever it runs when a message comes: for
  /// send() and request() of CAF's actors. See router_client::agent_handle().
  template <class Handle = caf::actor>
  [[nodiscard]] Handle agent_handle(agent_id id, duration longest
                                                 = router::router_client::longest_request) const {
    return messages_.agent_handle<Handle>(std::move(id), longest);
  }

  /// Returns the handle of an agent, for messages at the speed of CAF. Valid until the link to its
  /// node is lost, and keeps that link open when idle; afterwards messages are lost and requests
  /// time out. Nothing bounds what is sent on it: a loop of sends fills the memory of both
  /// processes, delays all else on the link, and may close that. See router_client::find(). Handles
  /// inside messages do not keep a link open: send ids of agents instead. If Handle is a
  /// caf::typed_actor, the agent must have its signatures, see agent<Type>(). Errors: those of
  /// request(); wrong_type (it lacks a signature).
  template <class Handle = caf::actor>
  result<Handle> find(agent_id id, duration wait = default_wait) {
    return messages_.find<Handle>(std::move(id), wait);
  }

  /// The client that send(), broadcast(), request() and find() use; it also has post(), which waits
  /// until a message is handed over.
  [[nodiscard]] const router::router_client& messages() const {
    return messages_;
  }

  /// The router, for actors: takes router::dispatch. Send it as a request to hear of a refusal.
  [[nodiscard]] const caf::actor& router() const {
    return messages_.router();
  }

  /// The other members of the cluster, as this node sees them; also without a leader. At most
  /// cluster::node_view::max_members (1,000). Blocks for a moment. Errors: cancelled (this node has
  /// stopped), timed_out (it is overloaded).
  TROUPE_COMPILED result<std::vector<cluster::member_view>> members();

  /// Another node, by its name or id, for spawn_at(). Makes a link if there is none. Errors:
  /// not_found, unreachable.
  TROUPE_COMPILED result<peer> find_peer(const std::string& name, duration wait = default_wait);

  // -- services of the cluster -----------------------------------------------------------

  [[nodiscard]] TROUPE_COMPILED lock::lock_client locks();

  /// Holds a lock of the cluster for the lifetime of the result; see lock::auto_renew_lock.
  result<lock::auto_renew_lock> hold(const std::string& name, const lock::hold_options& how = {},
                                     lock::lost_handler on_lost = {}) {
    return lock::auto_renew_lock::hold(*system_, locks(), name, how, std::move(on_lost));
  }

  /// The shared state: values under keys. Each call of the client waits up to `wait`.
  [[nodiscard]] TROUPE_COMPILED state::state_client state(duration wait = default_wait);

  /// Submits workflows and follows them: see troupe/scheduler/workflow_client.hpp. Each call of the
  /// client waits up to `wait` for an answer.
  [[nodiscard]] TROUPE_COMPILED scheduler::workflow_client workflows(duration wait = default_wait);

  /// The nodes and agents of the cluster: see troupe/registry/registry_client.hpp. Each call of the
  /// client waits up to `wait`.
  [[nodiscard]] TROUPE_COMPILED registry::registry_client registry(duration wait = default_wait);

  /// A client of the service `name` that programs have added (see service_options::add), on any
  /// node. `Service` is its trait, or the host::protocol of it. Retries over changes of leader
  /// within the time of each call. All clients of one name share their sessions. May outlive this
  /// node. Errors, beside those of host::client: not_found (the leader's program lacks the
  /// service), unreachable (its rules threw there; earlier requests end with outcome_unknown),
  /// wrong_type (another type has this name, or the leader's program is older and does not know the
  /// request).
  template <class Service>
  [[nodiscard]] host::client<host::protocol_of<Service>> service(const std::string& name) {
    return host::client<host::protocol_of<Service>>{own_service(name)};
  }

  /// Runs tasks of the cluster's scheduler in this process until the worker ends, including tasks
  /// that agents do, see cluster::agent_tasks(). If the scheduler refuses the worker, it retries
  /// and logs that to node_options::log; call scheduler::check(options) before to avoid it.
  [[nodiscard]] TROUPE_COMPILED scheduler::worker work(const scheduler::worker_options& options,
                                                       scheduler::task_handlers handlers);

  /// The same without handlers: runs only tasks that agents do.
  [[nodiscard]] TROUPE_COMPILED scheduler::worker work(const scheduler::worker_options& options);

  [[nodiscard]] TROUPE_COMPILED scheduler::worker work();

  static constexpr duration default_wait = router::router_client::default_wait;

private:
  struct inside;

  TROUPE_COMPILED node(std::unique_ptr<inside> made);

  /// Returns a function that gives boot(), also after the end of this node.
  [[nodiscard]] TROUPE_COMPILED std::function<boot_number()> present_boot() const;

  [[nodiscard]] TROUPE_COMPILED std::shared_ptr<host::detail::service_caller>
  own_service(const std::string& name);

  TROUPE_COMPILED result<void> send_message(const router::recipients& to, const caf::message& what);

  TROUPE_COMPILED void send_message(const router::recipients& to, message_options how,
                                    const caf::message& what, const promise<void>& done);

  TROUPE_COMPILED result<void> send_message(const router::recipients& to, message_options how,
                                            const caf::message& what);

  /// Returns a function with which the actor of an agent begins; valid also after the end of this
  /// node.
  [[nodiscard]] TROUPE_COMPILED
    std::function<std::shared_ptr<agent_context>(caf::scheduled_actor* self)>
    agent_begin(const agent_id& id, const agent_options& registered) const;

  TROUPE_COMPILED result<void> adopt_agent(const agent_id& id, const caf::actor& agent,
                                           const agent_options& how, bool takes_info);

  TROUPE_COMPILED result<void> add_agent(const agent_id& id, const caf::strong_actor_ptr& actor,
                                         const agent_options& how, bool takes_info);

  TROUPE_COMPILED result<cluster::singleton> offer_singleton(const agent_id& id,
                                                             const singleton_options& how,
                                                             cluster::singleton_maker make,
                                                             bool takes_info);

  std::unique_ptr<inside> inside_;
  // What the templates above need of it.
  caf::actor_system* system_;
  router::router_client messages_;
};

} // namespace troupe

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/node.ipp"
#endif
