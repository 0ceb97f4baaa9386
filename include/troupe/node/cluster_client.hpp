#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor.hpp"
#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/core/caf/wait.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/pending.hpp"
#include "troupe/lock/auto_renew_lock.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/own_system.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/node/voters_client.hpp"
#include "troupe/router/router_client.hpp"
#include "troupe/state/state_client.hpp"

namespace troupe::registry {

class registry_client; // include troupe/registry/registry_client.hpp

} // namespace troupe::registry

namespace troupe::scheduler {

class workflow_client; // include troupe/scheduler/workflow_client.hpp

} // namespace troupe::scheduler

namespace troupe {

/// A light client of a cluster: no member, nothing that others could find. For tools and for
/// programs that only ask: it sends messages and uses the services as a node does, without agents,
/// workers and data of its own. It asks the first node that answers, and the one where the services
/// are once that is found; messages to agents go through either. A link to a node that only showed
/// the way to the services, and carried nothing else, is closed after link_options::idle_after.
/// Thread-safe; calls block. It may be destroyed on any thread but those of its own actor system,
/// as in a handler of one of its answers. Watchers must end before it. Clients, runs and held locks
/// may outlive it: their calls then end with withdrawn, and its locks are lost.
///
/// What needs the services waits for them, within its time, while a majority of the voters may
/// elect a leader. Once the node that was asked has missed a majority for 2 s, such calls end with
/// no_quorum, which names who is missing, or outcome_unknown where they may have been carried out.
class cluster_client {
public:
  /// Connects to the cluster that the node at one of `addresses` belongs to, as soon as one
  /// answers. Waits up to `wait`; `links` bounds its links. `identity` is the folder with this
  /// client's key and certificates (`troupe login` and `troupe ca issue` make it). It may be empty
  /// only with link_options::insecure. Errors: unreachable, timed_out, incompatible,
  /// bad_argument (no troupe node, a name that is not known, or a certificate that is refused),
  /// with the last thing that went wrong; timed_out only if no address gave a reason. Those of
  /// security::credentials::load().
  static result<std::unique_ptr<cluster_client>>
  connect(std::vector<net::address> addresses, duration wait = std::chrono::seconds{5},
          const net::link_options& links = {}, const std::filesystem::path& identity = {});

  cluster_client(const cluster_client&) = delete;
  cluster_client& operator=(const cluster_client&) = delete;

  ~cluster_client();

  // -- services of the cluster: see the same calls of node ---------------------------------

  [[nodiscard]] lock::lock_client locks();

  /// Holds a lock of the cluster for the lifetime of the result; see lock::auto_renew_lock.
  result<lock::auto_renew_lock> hold(const std::string& name, const lock::hold_options& how = {},
                                     lock::lost_handler on_lost = {}) {
    return lock::auto_renew_lock::hold(system_, locks(), name, how, std::move(on_lost));
  }

  [[nodiscard]] state::state_client state(duration wait = default_wait);

  /// Submits workflows and follows them: see troupe/scheduler/workflow_client.hpp. Each call of the
  /// client waits up to `wait` for an answer.
  [[nodiscard]] scheduler::workflow_client workflows(duration wait = std::chrono::seconds{30});

  /// The nodes and agents of the cluster: see troupe/registry/registry_client.hpp.
  [[nodiscard]] registry::registry_client registry(duration wait = default_wait);

  /// A client of the service `name` that programs of the cluster bring: see node::service().
  template <class Service>
  [[nodiscard]] host::client<host::protocol_of<Service>> service(const std::string& name) {
    return host::client<host::protocol_of<Service>>{clients_->get(name)};
  }

  /// What the clients above are made of: for requests that they have no call for.
  [[nodiscard]] cluster::service_clients& services() {
    return *clients_;
  }

  static constexpr duration default_wait = router::router_client::default_wait;

  // -- the cluster -------------------------------------------------------------------------

  [[nodiscard]] caf::actor_system& system() {
    return system_;
  }

  /// The node that it asks, as people write its address: where the services are, or while they
  /// are not found any one that answers.
  [[nodiscard]] std::string address() const {
    std::lock_guard guard{mutex_};
    return to_string(entry_ ? address_ : contact_address_);
  }

  /// Waits up to `wait` until the services are found. Errors: no_quorum (at once where no majority
  /// of the voters is reached), unreachable, timed_out.
  result<void> await_services(duration wait);

  /// Asks a node what it knows of its cluster, whoever leads: the one that address() names. Errors:
  /// unreachable, timed_out.
  result<cluster::node_view> look(duration wait);

  /// Asks that node's copy of the registry, which has what the registry said last: find_records,
  /// get_record or count_records. Errors: unreachable, timed_out.
  template <class Question>
  result<typename Question::result> ask_copy(const Question& what, duration wait) {
    return ask_node<typename Question::result>(wait, what);
  }

  /// Whether it is linked to a cluster that keeps its services on a group of voters.
  [[nodiscard]] bool has_voters() const {
    std::lock_guard guard{mutex_};
    return voters_ != nullptr;
  }

  /// Shows and changes the voters. No longer than this client.
  [[nodiscard]] cluster::voters_client voters() {
    return {system_,
            [this] {
              std::lock_guard guard{mutex_};
              return voters_;
            },
            [this] {
              std::lock_guard guard{mutex_};
              return has_no_voters_ ? cluster::voters_client::no_voters() : why_;
            }};
  }

  // -- messages ----------------------------------------------------------------------------

  /// Sends a message to agents through the node and waits up to `wait` for the answer, a Result
  /// (a router::send_report from many). Errors as node::request().
  template <class Result, class... Ts>
  result<Result> request(router::recipients to, duration wait, Ts&&... what) {
    return messages().request<Result>(std::move(to), wait, std::forward<Ts>(what)...);
  }

  /// The same without blocking: see node::async_request(). What a handler throws ends the program.
  template <class Result, class... Ts>
  pending<Result> async_request(router::recipients to, duration wait, Ts&&... what) {
    return messages().async_request<Result>(std::move(to), wait, std::forward<Ts>(what)...);
  }

  /// Sends a message to agents through the node, and waits up to `wait` until it is handed over;
  /// see router_client::post().
  template <class... Ts>
  result<router::send_report> send(router::recipients to, duration wait, Ts&&... what) {
    return messages().post(std::move(to), wait, std::forward<Ts>(what)...);
  }

  /// Sends a message to many agents through the node and reports to how many.
  template <class... Ts>
  result<router::send_report> broadcast(router::recipients to, Ts&&... what) {
    return messages().broadcast(std::move(to), std::forward<Ts>(what)...);
  }

  /// The client that these calls use. It sends through the node that address() names now, so take a
  /// new one after that has changed.
  [[nodiscard]] router::router_client messages() {
    std::lock_guard guard{mutex_};
    // A node that carries a request may be asked for nothing else, and its link stays all the same.
    if (!entry_ && contact_)
      kept_.insert(contact_link_);
    return messages_.through(entry_ ? entry_ : contact_);
  }

  /// Makes a link to one node of the cluster, for what only that can answer, or gives the one
  /// that there is. It lasts no longer than this client. Waits up to `wait`. Errors: those of
  /// connect().
  result<net::link_ptr> link_to(const net::address& where, duration wait);

  /// Returns how many links there are, those included that are not up yet or ending.
  [[nodiscard]] std::size_t links() const {
    return gate_->links();
  }

private:
  struct config : caf::actor_system_config {
    config();
  };

  cluster_client();

  /// The actor that answers what a node knows, of the node that address() names.
  result<caf::actor> knowledge(std::chrono::steady_clock::time_point deadline);

  template <class Answer, class Question>
  result<Answer> ask_node(duration wait, const Question& what) {
    auto deadline = std::chrono::steady_clock::now() + wait;
    auto there = knowledge(deadline);
    if (!there)
      return there.error();
    return ask<Answer>(*there, deadline, what);
  }

  template <class Answer, class Question>
  result<Answer> ask(const caf::actor& whom, std::chrono::steady_clock::time_point deadline,
                     const Question& what) {
    caf::scoped_actor self{system_};
    return ask_and_wait<Answer>(self, whom, deadline - std::chrono::steady_clock::now(), what);
  }

  /// The program uses this link: it does not rest any more. Returns false if it is closed
  /// already, then when it has ended: the next one is new.
  bool keep(net::connection_id link, std::chrono::steady_clock::time_point deadline);

  void close_idle(const net::link_ptr& which);

  /// A try has failed; none: it has not. One of several addresses may be silent: that takes the
  /// place of a reason that another gave only once all were tried since, so that connect() says the
  /// same in whichever order they are given. Under the lock.
  void note_failure(const problem& why);

  problem start(std::vector<net::address> addresses, duration wait,
                const net::link_options& options, const std::filesystem::path& identity);

  // In this order: the gate outlives the system, the clients do not.
  std::unique_ptr<net::gate> gate_;
  std::unique_ptr<cluster::own_system<config>> own_system_;
  caf::actor_system& system_;
  std::optional<cluster::service_clients> clients_;
  /// Without a router; see messages().
  router::router_client messages_;
  caf::actor access_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  problem last_problem_;
  /// How many of the last tries in turn ended without a word.
  std::size_t silences_ = 0;
  /// How many of the last tries in turn have failed for good, of so many addresses.
  std::size_t hopeless_ = 0;
  std::size_t addresses_ = 1;
  /// Where the services are; null while they are not found.
  caf::strong_actor_ptr entry_;
  net::address address_;
  /// Of the node that answers, whether or not it knows that; null while none does.
  caf::strong_actor_ptr contact_;
  net::address contact_address_;
  net::connection_id contact_link_ = 0;
  /// no_quorum while it says so.
  problem why_;
  caf::strong_actor_ptr voters_;
  bool has_no_voters_ = false;
  /// Links that the program asked for.
  std::set<net::connection_id> kept_;
  /// Idle links that have not ended yet.
  std::set<net::connection_id> closing_;
};

} // namespace troupe

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/cluster_client.ipp"
#endif
