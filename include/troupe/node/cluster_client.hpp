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

/// A light client of a cluster, for tools and for programs that only ask. It is not a member and
/// others cannot find it: it sends messages and uses the services as a node does, but has no
/// agents, no workers and no data. It asks the first node that answers, then the leader once that
/// is found; messages to agents go through either. A link to a node that only showed the way to the
/// leader is closed after link_options::idle_after.
///
/// Thread-safe; calls block. It must not be destroyed on a thread of its own actor system, such as
/// in a handler of one of its answers. Watchers must end before it. Clients, runs and held locks
/// may outlive it: their calls then end with withdrawn, and its locks are lost.
///
/// A call that needs a leader waits for an election, within its time. Once the asked node has
/// reached no majority of the voters for 2 s, such calls end with no_quorum, which names the
/// missing voters, or with outcome_unknown if they may have been carried out. Once its certificate
/// is refused, because it was revoked or has expired, all calls end with denied, which says why,
/// watchers hear of it, and no call succeeds any more.
class cluster_client {
public:
  /// Connects to the cluster through the first of `addresses` that answers. Waits up to `wait`;
  /// `links` bounds its links. `identity` is the folder with this client's key and certificates,
  /// which `troupe login` and `troupe ca issue` make; it may be empty only with
  /// link_options::insecure. Errors, each with the last failure: unreachable, incompatible,
  /// bad_argument (no address, what answers is not a troupe node of this cluster, or a host name is
  /// not known), denied (the certificate of this client is refused), timed_out (no address gave a
  /// reason); and those of security::credentials::load().
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

  /// The nodes and agents of the cluster, as the node at address() knows them, also without a
  /// leader: see troupe/registry/registry_client.hpp.
  [[nodiscard]] registry::registry_client registry(duration wait = default_wait);

  /// A client of the service `name` that programs of the cluster have added: see node::service().
  template <class Service>
  [[nodiscard]] host::client<host::protocol_of<Service>> service(const std::string& name) {
    return host::client<host::protocol_of<Service>>{clients_->get(name)};
  }

  /// The clients behind those above, for requests that have no call there.
  [[nodiscard]] cluster::service_clients& services() {
    return *clients_;
  }

  static constexpr duration default_wait = router::router_client::default_wait;

  // -- the cluster -------------------------------------------------------------------------

  [[nodiscard]] caf::actor_system& system() {
    return system_;
  }

  /// The address of the node that it asks: the leader, or any node that answers while there is no
  /// leader.
  [[nodiscard]] std::string address() const {
    std::lock_guard guard{mutex_};
    return to_string(entry_ ? address_ : contact_address_);
  }

  /// Waits up to `wait` for a leader. Errors: no_quorum (at once if no majority of the voters is
  /// reached), denied (at once), unreachable, timed_out.
  result<void> await_services(duration wait);

  /// Asks the node at address() what it knows of its cluster, also without a leader. Errors:
  /// unreachable, timed_out, denied (at once).
  result<cluster::node_view> look(duration wait);

  /// Asks the node at `where` the same, over a link of its own. Errors: those of connect() and of
  /// look().
  result<cluster::node_view> look_at(const net::address& where, duration wait);

  /// Whether it has found a cluster that keeps its services on a group of voters.
  [[nodiscard]] bool has_voters() const {
    std::lock_guard guard{mutex_};
    return voters_ != nullptr;
  }

  /// Shows and changes the voters. Must not outlive this client.
  [[nodiscard]] cluster::voters_client voters() {
    return {system_,
            [this] {
              std::lock_guard guard{mutex_};
              return voters_;
            },
            [this] {
              std::lock_guard guard{mutex_};
              if (denied_)
                return denied_;
              return has_no_voters_ ? cluster::voters_client::no_voters() : why_;
            }};
  }

  // -- messages ----------------------------------------------------------------------------

  /// Sends a message to one agent through the node at address() and waits up to `wait` for its
  /// answer. Errors: those of node::request().
  template <class Result, class... Ts>
  result<Result> request(router::recipients to, duration wait, router::message_options how,
                         Ts&&... what) {
    return messages().request<Result>(std::move(to), wait, std::move(how),
                                      std::forward<Ts>(what)...);
  }

  /// The same without options; the other calls take them, too: see node::send().
  template <class Result, class... Ts>
  requires router::without_options<Ts...> result<Result> request(router::recipients to,
                                                                 duration wait, Ts&&... what) {
    return request<Result>(std::move(to), wait, router::message_options{},
                           std::forward<Ts>(what)...);
  }

  /// The same without blocking: see node::async_request(). An exception of a handler ends the
  /// program.
  template <class Result, class... Ts>
  pending<Result> async_request(router::recipients to, duration wait, router::message_options how,
                                Ts&&... what) {
    return messages().async_request<Result>(std::move(to), wait, std::move(how),
                                            std::forward<Ts>(what)...);
  }

  template <class Result, class... Ts>
  requires router::without_options<Ts...> pending<Result>
  async_request(router::recipients to, duration wait, Ts&&... what) {
    return async_request<Result>(std::move(to), wait, router::message_options{},
                                 std::forward<Ts>(what)...);
  }

  /// Sends a message to agents and waits up to `wait` until it has been handed over: see
  /// router_client::post().
  template <class... Ts>
  result<router::send_report> send(router::recipients to, duration wait,
                                   router::message_options how, Ts&&... what) {
    return messages().post(std::move(to), wait, std::move(how), std::forward<Ts>(what)...);
  }

  template <class... Ts>
  requires router::without_options<Ts...> result<router::send_report>
  send(router::recipients to, duration wait, Ts&&... what) {
    return send(std::move(to), wait, router::message_options{}, std::forward<Ts>(what)...);
  }

  /// Sends a message to many agents and reports to how many.
  template <class... Ts>
  result<router::send_report> broadcast(router::recipients to, router::message_options how,
                                        Ts&&... what) {
    return messages().broadcast(std::move(to), std::move(how), std::forward<Ts>(what)...);
  }

  template <class... Ts>
  requires router::without_options<Ts...> result<router::send_report>
  broadcast(router::recipients to, Ts&&... what) {
    return broadcast(std::move(to), router::message_options{}, std::forward<Ts>(what)...);
  }

  /// The client that these calls use. It sends through the node that address() names now: get a new
  /// one after that has changed.
  [[nodiscard]] router::router_client messages() {
    std::lock_guard guard{mutex_};
    // A node that carries a request may be asked for nothing else, and its link stays all the same.
    if (!entry_ && contact_)
      kept_.insert(contact_link_);
    return messages_.through(entry_ ? entry_ : contact_);
  }

  /// Returns the link to one node of the cluster, for requests that only this node can answer;
  /// makes it if there is none, within `wait`. It ends with this client. Errors: those of
  /// connect().
  result<net::link_ptr> link_to(const net::address& where, duration wait);

  /// Returns how many links there are, including those that are not up yet or are ending.
  [[nodiscard]] std::size_t links() const {
    return gate_->links();
  }

private:
  struct config : caf::actor_system_config {
    config();
  };

  cluster_client();

  /// The node of that router answers for the registry from now on.
  void know_by(const caf::strong_actor_ptr& entry);

  /// The actor that answers what a node knows, of the node that address() names.
  result<caf::actor> knowledge(std::chrono::steady_clock::time_point deadline);
  /// The same at the node with this entry point; null if that has ended.
  result<caf::actor> knowledge(const caf::strong_actor_ptr& entry,
                               std::chrono::steady_clock::time_point deadline);

  template <class Answer, class Question>
  result<Answer> ask(const caf::actor& whom, std::chrono::steady_clock::time_point deadline,
                     const Question& what) {
    caf::scoped_actor self{system_};
    return ask_and_wait<Answer>(self, whom, deadline - std::chrono::steady_clock::now(), what);
  }

  /// The program uses this link, so it is not closed when idle any more. If it is closing already,
  /// waits until it has ended and returns false: dial again.
  bool keep(net::connection_id link, std::chrono::steady_clock::time_point deadline);

  void close_idle(const net::link_ptr& which);

  /// Notes the outcome of a try; errc::none: it succeeded. A silent address replaces the reason of
  /// another one only once all addresses were silent in turn, so that connect() returns the same
  /// error for any order of the addresses. Under the lock.
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
  /// How many tries in a row, up to the last one, got no answer.
  std::size_t silences_ = 0;
  /// How many tries in a row, up to the last one, have failed with what no retry mends; and the
  /// number of addresses.
  std::size_t hopeless_ = 0;
  std::size_t addresses_ = 1;
  /// The leader; null while it is not known.
  caf::strong_actor_ptr entry_;
  net::address address_;
  /// A node that answers, which may not know the leader; null while there is none.
  caf::strong_actor_ptr contact_;
  net::address contact_address_;
  net::connection_id contact_link_ = 0;
  /// no_quorum while this node says so; denied while no node takes this client's certificate.
  problem why_;
  problem denied_;
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
