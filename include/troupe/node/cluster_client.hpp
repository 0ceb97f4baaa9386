#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "troupe/core/entropy.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/cluster_access.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/node/voters_client.hpp"
#include "troupe/router/messages.hpp"
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
                                                         const net::link_options& links = {}) {
    std::unique_ptr<cluster_client> made{new cluster_client};
    if (auto why = made->start(std::move(addresses), links); why.code != errc::none)
      return why;
    std::unique_lock guard{made->mutex_};
    auto& here = *made;
    auto decided = [&here] { return here.connected_ || !may_come_right(here.last_problem_.code); };
    if (!here.changed_.wait_for(guard, wait, decided) || !here.connected_) {
      auto why
        = here.last_problem_.code != errc::none
            ? here.last_problem_
            : problem{errc::timed_out, "no answer in time; see that a troupe node listens there, "
                                       "or wait longer"};
      guard.unlock();
      return why;
    }
    guard.unlock();
    return made;
  }

  cluster_client(const cluster_client&) = delete;
  cluster_client& operator=(const cluster_client&) = delete;

  ~cluster_client() {
    if (access_) {
      caf::scoped_actor self{system_};
      self->monitor(access_);
      run_on_state<cluster::access_state>(access_,
                                          [](cluster::access_state& state) { state.stop(); });
      self->receive([](const caf::down_msg&) {});
      access_ = nullptr;
    }
    if (gate_)
      gate_->stop();
    entry_ = voters_ = nullptr;
  }

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
  result<net::link_ptr> link_to(const net::address& where, duration wait) {
    auto endpoints = net::resolve(where);
    if (!endpoints)
      return endpoints.error();
    auto deadline = std::chrono::steady_clock::now() + wait;
    for (;;) {
      auto promise = std::make_shared<std::promise<result<net::link_ptr>>>();
      auto answer = promise->get_future();
      gate_->dial(*endpoints, std::nullopt,
                  [promise](result<net::link_ptr> got) { promise->set_value(std::move(got)); });
      if (answer.wait_until(deadline) != std::future_status::ready)
        return problem{errc::timed_out, to_string(where) + " made no link in time; wait longer"};
      auto got = answer.get();
      if (!got || keep((*got)->number(), deadline))
        return got;
    }
  }

  /// Returns how many links there are, those included that are not up yet or ending.
  [[nodiscard]] std::size_t links() const {
    return gate_->links();
  }

private:
  struct config : caf::actor_system_config {
    config() {
      net::configure_links(*this);
      set("caf.scheduler.max-threads", 2);
    }
  };

  cluster_client() : clients_(system_) {}

  /// Another try may do better: the node may be starting.
  static bool may_come_right(errc code) {
    return code != errc::bad_argument && code != errc::incompatible;
  }

  [[nodiscard]] router::router_client through() {
    std::lock_guard guard{mutex_};
    return {system_, entry_};
  }

  /// The program uses this link: it does not rest any more. Returns false if it is closed
  /// already, then when it has ended: the next one is new.
  bool keep(net::connection_id link, std::chrono::steady_clock::time_point deadline) {
    std::unique_lock guard{mutex_};
    if (!closing_.contains(link)) {
      kept_.insert(link);
      return true;
    }
    changed_.wait_until(guard, deadline, [&] { return !closing_.contains(link); });
    return false;
  }

  void close_idle(const net::link_ptr& which) {
    std::lock_guard guard{mutex_};
    if (kept_.contains(which->number()) || !which->reason().empty())
      return;
    closing_.insert(which->number());
    which->close("idle");
  }

  problem start(std::vector<net::address> addresses, const net::link_options& options) {
    cluster::access_options how{.addresses = std::move(addresses),
                                .idle_after = options.idle_after};
    cluster::access_events events{[this](const cluster::service_binding& place) {
                                    clients_.bind(place.handles);
                                    auto voters = place.handles.find(cluster::voters_name);
                                    std::lock_guard guard{mutex_};
                                    connected_ = !place.handles.empty();
                                    voters_
                                      = voters != place.handles.end() ? voters->second : nullptr;
                                    address_ = place.where;
                                    entry_ = place.entry;
                                    changed_.notify_all();
                                  },
                                  [this](const problem& why) {
                                    std::lock_guard guard{mutex_};
                                    last_problem_ = why;
                                    changed_.notify_all();
                                  },
                                  [this](const net::link_ptr& which) { close_idle(which); }};
    access_ = system_.spawn<caf::stateful_actor<cluster::access_state>>(std::move(how),
                                                                        std::move(events));
    net::hello self;
    self.as = net::role::client;
    self.node = random_id<node_id>();
    self.boot = 1;
    net::link_events links;
    links.on_down = [this](const net::link_ptr& which, const std::string&) {
      {
        std::lock_guard guard{mutex_};
        kept_.erase(which->number());
        closing_.erase(which->number());
        changed_.notify_all();
      }
      run_on_state<cluster::access_state>(
        access_,
        [number = which->number()](cluster::access_state& state) { state.link_down(number); });
    };
    auto made = net::gate::start(system_, std::move(self), nullptr, std::move(links), options);
    if (!made)
      return made.error();
    gate_ = std::move(*made);
    run_on_state<cluster::access_state>(
      access_, [gate = gate_.get()](cluster::access_state& state) { state.start(gate); });
    return {};
  }

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
