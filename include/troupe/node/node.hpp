#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "troupe/lock/auto_renew_lock.hpp"
#include "troupe/node/cluster_access.hpp"
#include "troupe/node/configure.hpp"
#include "troupe/node/identity.hpp"
#include "troupe/node/init.hpp"
#include "troupe/node/member.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/node/services.hpp"
#include "troupe/node/spawn.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/state/state_client.hpp"

namespace troupe {

using cluster::agent_options;
using cluster::node_options;

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
  /// bad_argument (an address), unreachable (a host name that is not known).
  static result<std::unique_ptr<node>> start(node_options options = {},
                                             caf::actor_system* sys = nullptr) {
    auto data = cluster::data_folder::open(options.data);
    if (!data)
      return data.error();
    std::unique_ptr<node> made{new node(std::move(options), std::move(*data), sys)};
    if (auto why = made->set_up(); why.code != errc::none)
      return why;
    return made;
  }

  node(const node&) = delete;
  node& operator=(const node&) = delete;

  ~node() {
    stop();
  }

  /// Stops: agents and services end, links close, the process is expected back. The
  /// cluster takes it for lost after node_options::lost_after.
  void stop() {
    if (stopped_.exchange(true))
      return;
    {
      std::lock_guard guard{mutex_};
      for (auto& each : agents_)
        caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
      agents_.clear();
    }
    end<cluster::member_state>(member_, [](cluster::member_state& state) { state.stop(); });
    end<cluster::access_state>(access_, [](cluster::access_state& state) { state.stop(); });
    if (gate_)
      gate_->stop();
    clients_.reset();
    if (services_)
      services_->stop();
    if (router_)
      caf::anon_send_exit(router_->handle(), caf::exit_reason::user_shutdown);
    router_.reset();
    own_system_.reset();
    gate_.reset();
  }

  /// Leaves for good: takes back all that it said, then stops. Errors: those of the
  /// registry; the node has stopped all the same.
  problem leave() {
    auto why = wait_for([this](std::function<void(problem)> done) {
      run_on_state<cluster::member_state>(
        member_,
        [done = std::move(done)](cluster::member_state& state) { state.leave(std::move(done)); });
    });
    stop();
    return why;
  }

  // -- who it is ---------------------------------------------------------------------

  [[nodiscard]] const std::string& name() const {
    return options_.name;
  }

  [[nodiscard]] const cluster::identity& self() const {
    return data_.self();
  }

  /// The port that it listens at.
  [[nodiscard]] std::uint16_t port() const {
    return port_;
  }

  /// Whether it hosts the services of its cluster.
  [[nodiscard]] bool is_host() const {
    return services_.has_value();
  }

  [[nodiscard]] caf::actor_system& system() {
    return *system_;
  }

  /// Waits up to `wait` until the services of the cluster are in reach.
  [[nodiscard]] bool wait_joined(duration wait) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, wait, [this] { return joined_; });
  }

  // -- agents ------------------------------------------------------------------------

  /// Registers an actor as the agent `id` (UTF-8, 1 to 255 bytes) and waits until the cluster
  /// knows it. It is taken back when the actor ends. Errors: name_taken, bad_argument,
  /// limit_reached, unreachable (a unique name needs the cluster).
  problem add_agent(const std::string& id, const caf::strong_actor_ptr& actor,
                    const agent_options& how = {}) {
    auto why = on_router<problem>(
      [id, actor](router::router_state& state) { return state.add_agent(id, actor); });
    if (why.code != errc::none)
      return why;
    why = wait_for([&](std::function<void(problem)> done) {
      run_on_state<cluster::member_state>(
        member_, [id, how, done = std::move(done)](cluster::member_state& state) {
          state.add_agent(id, how, std::move(done));
        });
    });
    if (why.code != errc::none)
      remove_agent(id);
    return why;
  }

  template <class Handle>
  requires requires(const Handle& actor) {
    caf::actor_cast<caf::strong_actor_ptr>(actor);
  }
  problem add_agent(const std::string& id, const Handle& actor, const agent_options& how = {}) {
    return add_agent(id, caf::actor_cast<caf::strong_actor_ptr>(actor), how);
  }

  /// Makes an agent of functions, one for each message that it understands; what one returns
  /// is the answer. It ends with the node.
  template <class... Functions>
  requires(sizeof...(Functions) > 0) problem
    agent(const std::string& id, const agent_options& how, Functions... functions) {
    auto made = system_->spawn(
      [functions...](caf::event_based_actor*) -> caf::behavior { return {functions...}; });
    {
      std::lock_guard guard{mutex_};
      agents_.push_back(made);
    }
    auto why = add_agent(id, caf::actor_cast<caf::strong_actor_ptr>(made), how);
    if (why.code != errc::none)
      caf::anon_send_exit(made, caf::exit_reason::user_shutdown);
    return why;
  }

  template <class Function, class... Functions>
  requires(!std::is_same_v<std::decay_t<Function>, agent_options>) problem
    agent(const std::string& id, Function first, Functions... others) {
    return agent(id, agent_options{}, std::move(first), std::move(others)...);
  }

  void remove_agent(const std::string& id) {
    run_on_state<cluster::member_state>(
      member_, [id](cluster::member_state& state) { state.remove_agent(id); });
  }

  // -- messages ----------------------------------------------------------------------

  /// Sends `what` to one or many; at most once, without word of what became of it.
  template <class... Ts>
  void send(router::recipients to, Ts&&... what) {
    caf::anon_send(
      router_->handle(),
      router::dispatch{
        std::move(to), {}, default_wait, caf::make_message(std::forward<Ts>(what)...)});
  }

  /// Sends `what` to many and says to how many.
  template <class... Ts>
  result<router::send_report> broadcast(router::recipients to, Ts&&... what) {
    return request<router::send_report>(std::move(to), default_wait, std::forward<Ts>(what)...);
  }

  /// Sends `what` to one agent and waits up to `wait` for its answer, a Result. Errors:
  /// not_found, unreachable (nothing was sent), outcome_unknown (the link was lost before the
  /// answer), timed_out, limit_reached; failed with the agent's own words for its errors.
  template <class Result, class... Ts>
  result<Result> request(router::recipients to, duration wait, Ts&&... what) {
    return ask_router<Result>(
      wait,
      router::dispatch{std::move(to), {}, wait, caf::make_message(std::forward<Ts>(what)...)});
  }

  /// Returns the handle of an agent, for messages at the speed of CAF. It is good as long
  /// as the link to its node; messages after that are lost, requests run into their
  /// time-out. Errors as request().
  template <class Handle = caf::actor>
  result<Handle> find(const std::string& id, duration wait = default_wait) {
    auto found = ask_router<caf::strong_actor_ptr>(wait, router::resolve_agent{id, wait});
    if (!found)
      return found.error();
    return caf::actor_cast<Handle>(*found);
  }

  /// The router, for actors: takes router::dispatch.
  [[nodiscard]] const caf::actor& router() const {
    return router_->handle();
  }

  /// Another node as a place to spawn services on, by the name or id it is registered with.
  /// Makes a link if there is none. Errors: not_found, unreachable.
  result<peer> find_peer(const std::string& name, duration wait = default_wait) {
    auto entry = wait_for_result<caf::strong_actor_ptr>(
      [&](std::function<void(result<caf::strong_actor_ptr>)> done) {
        run_on_state<cluster::member_state>(
          member_, [name, done = std::move(done)](cluster::member_state& state) mutable {
            state.find_entry(name, std::move(done));
          });
      },
      wait);
    if (!entry)
      return entry.error();
    return peer{system_, (*entry)->node(),
                caf::actor_cast<caf::strong_actor_ptr>(router_->handle())};
  }

  // -- services of the cluster -----------------------------------------------------------

  [[nodiscard]] lock::lock_client locks() {
    return lock::lock_client{clients_->locks};
  }

  /// Holds a lock of the cluster until its end; see lock::auto_renew_lock.
  result<lock::auto_renew_lock> hold(const std::string& name, const lock::hold_options& how = {},
                                     lock::lost_handler on_lost = {}) {
    return lock::auto_renew_lock::hold(*system_, locks(), name, how, std::move(on_lost));
  }

  [[nodiscard]] const cluster::registry_client& registry() const {
    return clients_->registry;
  }

  [[nodiscard]] const cluster::scheduler_client& scheduler() const {
    return clients_->scheduler;
  }

  [[nodiscard]] state::state_client state() {
    return state::state_client{*system_, clients_->state};
  }

  /// Runs tasks of the cluster's scheduler in this process until the worker ends.
  [[nodiscard]] scheduler::worker work(const scheduler::worker_options& options = {},
                                       scheduler::task_handlers handlers = {}) {
    return scheduler::worker{*system_, clients_->scheduler, to_string(self().id), self().boot,
                             options,  std::move(handlers)};
  }

  static constexpr duration default_wait = std::chrono::seconds{10};

private:
  node(node_options options, cluster::data_folder data, caf::actor_system* sys)
    : options_(std::move(options)), data_(std::move(data)) {
    if (options_.name.empty())
      options_.name = to_string(data_.self().id).substr(0, 8);
    if (!options_.log)
      options_.log = [](const std::string&) {};
    if (sys == nullptr)
      own_system_ = std::make_unique<own_system>();
    system_ = sys != nullptr ? sys : &own_system_->system;
  }

  struct own_system {
    node_config config;
    caf::actor_system system{config};
  };

  // -- start ---------------------------------------------------------------------------

  problem set_up() {
    clients_ = std::make_unique<cluster::service_clients>(*system_);
    auto id = to_string(data_.self().id);
    auto member = std::make_shared<caf::weak_actor_ptr>();
    router::router_events asks;
    asks.link_wanted = [member](const std::string& where) {
      run_on_member(*member, [where](cluster::member_state& state) { state.link_wanted(where); });
    };
    asks.agent_ended = [member](const std::string& agent) {
      run_on_member(*member, [agent](cluster::member_state& state) { state.remove_agent(agent); });
    };
    router_.emplace(*system_, id, options_.router, std::move(asks));
    auto founds = is_founder();
    member_ = system_->spawn<caf::stateful_actor<cluster::member_state>>(
      cluster::member_setup{id, data_.self().boot, founds, options_.lost_after,
                            options_.services.registry.heartbeat_every, clients_->registry,
                            clients_->names, clients_->scheduler, *router_, options_.log});
    *member = caf::actor_cast<caf::weak_actor_ptr>(member_);
    if (!founds)
      access_ = system_->spawn<caf::stateful_actor<cluster::access_state>>(
        cluster::access_options{addresses(), options_.retry}, access_events());
    if (auto why = open_gate(); why.code != errc::none)
      return why;
    run_on_state<cluster::member_state>(
      member_, [gate = gate_.get()](cluster::member_state& state) { state.start(gate); });
    say_who_i_am();
    if (founds)
      return host_services();
    run_on_state<cluster::access_state>(
      access_, [gate = gate_.get()](cluster::access_state& state) { state.start(gate); });
    return {};
  }

  /// Founds, or goes on as, the cluster's host.
  [[nodiscard]] bool is_founder() const {
    auto& self = data_.self();
    if (self.cluster != cluster_id{})
      return self.host;
    return options_.join.empty() || options_.bootstrap;
  }

  [[nodiscard]] std::vector<net::address> addresses() const {
    auto result = options_.join;
    for (auto& each : data_.self().met)
      if (auto known = net::address::from_string(each);
          known && std::ranges::find(result, *known) == result.end())
        result.push_back(*known);
    return result;
  }

  problem open_gate() {
    net::hello self;
    self.cluster = data_.self().cluster;
    self.node = data_.self().id;
    self.boot = data_.self().boot;
    net::link_events events;
    events.on_up = [this](const net::link_ptr& which) {
      on_member([which](cluster::member_state& state) { state.link_up(which); });
    };
    events.on_down = [this](const net::link_ptr& which, const std::string& why) {
      on_member([which, why](cluster::member_state& state) { state.link_down(which, why); });
      if (access_)
        run_on_state<cluster::access_state>(
          access_,
          [number = which->number()](cluster::access_state& state) { state.link_down(number); });
    };
    auto made = net::gate::start(*system_, std::move(self),
                                 caf::actor_cast<caf::strong_actor_ptr>(router_->handle()),
                                 std::move(events), options_.links);
    if (!made)
      return made.error();
    gate_ = std::move(*made);
    auto where = net::resolve(options_.listen);
    if (!where)
      return where.error();
    auto port = gate_->listen(where->front());
    if (!port)
      return port.error();
    port_ = *port;
    return {};
  }

  problem host_services() {
    auto started = cluster::hosted_services::start(*system_, data_, options_.services);
    if (!started)
      return started.error();
    services_ = std::move(*started);
    auto cluster = data_.self().cluster;
    if (cluster == cluster_id{}) {
      cluster = random_id<cluster_id>();
      if (auto why = data_.belong_to(cluster, true, {}); why.code != errc::none)
        return why;
      gate_->found(cluster);
    }
    set_services(services_->handles(), {});
    bound(services_->handles());
    return {};
  }

  void say_who_i_am() {
    auto where = options_.advertise.value_or(net::address{options_.listen.host, port_});
    registry::record self;
    self.key = {registry::record_kind::node, options_.name, {}};
    self.endpoints = {{where.host, where.port != 0 ? where.port : port_}};
    self.metadata["release"] = to_string(library_version);
    on_member([self](cluster::member_state& state) { state.put(self); });
  }

  // -- what happens ----------------------------------------------------------------------

  cluster::access_events access_events() {
    return {[this](const std::map<std::string, caf::strong_actor_ptr>& found,
                   const net::address& where, const caf::strong_actor_ptr&) {
              if (!found.empty())
                remember(where);
              set_services({}, found.empty() ? std::string{} : to_string(where));
              bound(found);
            },
            [this](const problem& why) {
              if (std::exchange(last_complaint_, why.detail) != why.detail)
                options_.log("no way to the cluster yet: " + why.detail);
            }};
  }

  /// Tells the router where the services are, for those who ask this node.
  void set_services(const std::map<std::string, caf::strong_actor_ptr>& here,
                    const std::string& elsewhere) {
    router_->run([here, elsewhere](router::router_state& state) {
      for (auto* each : cluster::cluster_services) {
        auto found = here.find(each);
        state.set_service(each, {found != here.end() ? found->second : nullptr, elsewhere});
      }
    });
  }

  /// Runs on the access actor, or in start().
  void bound(const std::map<std::string, caf::strong_actor_ptr>& found) {
    clients_->bind(found);
    std::lock_guard guard{mutex_};
    joined_ = !found.empty();
    changed_.notify_all();
    if (!joined_)
      return;
    last_complaint_.clear();
    on_member([](cluster::member_state& state) { state.bound(); });
  }

  /// Keeps what the next start needs, when it is new.
  void remember(const net::address& where) {
    auto cluster = gate_->self().cluster;
    auto place = to_string(where);
    auto& self = data_.self();
    if (self.cluster == cluster && std::ranges::find(self.met, place) != self.met.end())
      return;
    if (auto why = data_.belong_to(cluster, false, {place}); why.code != errc::none)
      options_.log(why.detail);
  }

  // -- jobs --------------------------------------------------------------------------

  template <class Job>
  static void run_on_member(const caf::weak_actor_ptr& where, Job job) {
    if (auto there = where.lock())
      run_on_state<cluster::member_state>(caf::actor_cast<caf::actor>(there), std::move(job));
  }

  template <class Job>
  void on_member(Job job) {
    run_on_state<cluster::member_state>(member_, std::move(job));
  }

  /// Runs `job` on the router and waits for what it returns.
  template <class Result, class Job>
  Result on_router(Job job) {
    auto promise = std::make_shared<std::promise<Result>>();
    auto answer = promise->get_future();
    router_->run([promise, job = std::move(job)](router::router_state& state) {
      promise->set_value(job(state));
    });
    return answer.get();
  }

  /// Waits until what `begin` was given is called.
  template <class Begin>
  static problem wait_for(Begin begin) {
    auto promise = std::make_shared<std::promise<problem>>();
    auto answer = promise->get_future();
    begin([promise](problem why) { promise->set_value(std::move(why)); });
    if (answer.wait_for(default_wait * 3) != std::future_status::ready)
      return {errc::timed_out, "the node gave no answer in time; it is stopping, or overloaded"};
    return answer.get();
  }

  template <class Value, class Begin>
  static result<Value> wait_for_result(Begin begin, duration wait) {
    auto promise = std::make_shared<std::promise<result<Value>>>();
    auto answer = promise->get_future();
    begin([promise](result<Value> value) { promise->set_value(std::move(value)); });
    if (answer.wait_for(wait) != std::future_status::ready)
      return problem{errc::timed_out, "no answer in time; retry, or wait longer"};
    return answer.get();
  }

  template <class Result, class Question>
  result<Result> ask_router(duration wait, Question what) {
    caf::scoped_actor self{*system_};
    result<Result> answer{problem{errc::timed_out, "no answer in time"}};
    // The router itself ends what takes too long, with better words.
    self->request(router_->handle(), wait + std::chrono::seconds{1}, std::move(what))
      .receive([&](Result& value) { answer = std::move(value); },
               [&](const caf::error& why) { answer = to_problem(why); });
    return answer;
  }

  /// Lets an actor end by itself and waits until it is gone.
  template <class State, class Job>
  void end(caf::actor& which, Job job) {
    if (!which)
      return;
    caf::scoped_actor self{*system_};
    self->monitor(which);
    run_on_state<State>(which, std::move(job));
    self->receive([](const caf::down_msg&) {});
    which = nullptr;
  }

  node_options options_;
  cluster::data_folder data_;
  std::unique_ptr<own_system> own_system_;
  caf::actor_system* system_ = nullptr;
  std::unique_ptr<cluster::service_clients> clients_;
  std::optional<router::router_access> router_;
  caf::actor member_;
  caf::actor access_;
  std::unique_ptr<net::gate> gate_;
  std::optional<cluster::hosted_services> services_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopped_ = false;
  std::string last_complaint_; // the access actor's only
  std::mutex mutex_;
  std::condition_variable changed_;
  bool joined_ = false;
  std::vector<caf::actor> agents_;
};

} // namespace troupe
