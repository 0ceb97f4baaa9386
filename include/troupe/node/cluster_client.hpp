#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor.hpp"
#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/node/voters_client.hpp"
#include "troupe/router/router_client.hpp"

namespace troupe {

/// A light client of a cluster: one link, no member, nothing that others could find. For
/// tools and for programs that only ask. A link to a node that only showed the way to the
/// services is closed after link_options::idle_after. Thread-safe; calls block.
class cluster_client {
public:
  /// Connects to the cluster that the node at one of `addresses` belongs to. Waits up to
  /// `wait`; `links` bounds its links. Errors: unreachable, timed_out, incompatible, bad_argument
  /// (no troupe node, or a name that is not known), with the last thing that went wrong.
  static result<std::unique_ptr<cluster_client>> connect(std::vector<net::address> addresses,
                                                         duration wait = std::chrono::seconds{5},
                                                         const net::link_options& links = {});

  cluster_client(const cluster_client&) = delete;
  cluster_client& operator=(const cluster_client&) = delete;

  ~cluster_client();

  [[nodiscard]] cluster::service_clients& services() {
    return clients_;
  }

  [[nodiscard]] caf::actor_system& system() {
    return system_;
  }

  /// The node that it is linked to, as people write its address.
  [[nodiscard]] std::string address() const {
    std::lock_guard guard{mutex_};
    return to_string(address_);
  }

  /// Whether it is linked to a cluster that keeps its services on a group of voters.
  [[nodiscard]] bool has_voters() const {
    std::lock_guard guard{mutex_};
    return voters_ != nullptr;
  }

  /// Shows and changes the voters. No longer than this client.
  [[nodiscard]] cluster::voters_client voters() {
    return {system_, [this] {
              std::lock_guard guard{mutex_};
              return voters_;
            }};
  }

  /// Sends a message to agents through the node and waits up to `wait` for the answer, a Result
  /// (a router::send_report from many). Errors as node::request().
  template <class Result, class... Ts>
  result<Result> request(router::recipients to, duration wait, Ts&&... what) {
    return through().request<Result>(std::move(to), wait, std::forward<Ts>(what)...);
  }

  /// Sends a message to agents through the node, and waits up to `wait` until it is handed over;
  /// see router_client::post().
  template <class... Ts>
  result<router::send_report> send(router::recipients to, duration wait, Ts&&... what) {
    return through().post(std::move(to), wait, std::forward<Ts>(what)...);
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

  [[nodiscard]] router::router_client through() {
    std::lock_guard guard{mutex_};
    return {system_, entry_};
  }

  /// The program uses this link: it does not rest any more. Returns false if it is closed
  /// already, then when it has ended: the next one is new.
  bool keep(net::connection_id link, std::chrono::steady_clock::time_point deadline);

  void close_idle(const net::link_ptr& which);

  problem start(std::vector<net::address> addresses, const net::link_options& options);

  // In this order: the gate outlives the system, the clients do not.
  std::unique_ptr<net::gate> gate_;
  config config_;
  caf::actor_system system_{config_};
  cluster::service_clients clients_;
  caf::actor access_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool connected_ = false;
  problem last_problem_;
  net::address address_;
  caf::strong_actor_ptr entry_;
  caf::strong_actor_ptr voters_;
  /// Links that the program asked for.
  std::set<net::connection_id> kept_;
  /// Idle links that have not ended yet.
  std::set<net::connection_id> closing_;
};

} // namespace troupe

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/cluster_client.ipp"
#endif
