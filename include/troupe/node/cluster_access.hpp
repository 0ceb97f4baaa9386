#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/backoff.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/worker_thread.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/service_names.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::cluster {

/// How to find the services of a cluster.
struct access_options {
  /// Nodes to ask, in turn.
  std::vector<net::address> addresses;
  backoff retry{std::chrono::milliseconds{100}, std::chrono::seconds{2}};
  /// A link to a node that only showed the way is no longer needed after so long; zero: that is
  /// not for the access to say, routers at both ends decide (see router::idle_links).
  duration idle_after{};
};

/// Whom to tell. All are called on the actor of the access; none may block.
struct access_events {
  /// The services are reached through these handles now, at that node with that router;
  /// none: they are out of reach.
  std::function<void(const std::map<std::string, caf::strong_actor_ptr>&, const net::address&,
                     const caf::strong_actor_ptr&)>
    bound;
  /// A try has failed; there will be others.
  std::function<void(const problem&)> failed;
  /// The link has shown the way, and nobody used it since for access_options::idle_after.
  std::function<void(const net::link_ptr&)> idle{};
};

/// Keeps the way to the services of a cluster: dials one node after the other until one
/// is there, asks it where the services are, goes there, and begins again when that link is
/// lost. For nodes that host none, and for light clients.
class access_state {
public:
  static inline const char* name = "troupe.access";

  access_state(caf::event_based_actor* self, access_options options, access_events events)
    : self_(self),
      options_(std::move(options)),
      events_(std::move(events)),
      timers_(self),
      random_(self->id()) {}

  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {[](caf::ok_atom) {}}; // lives on the actions that arrive
  }

  /// Begins; `gate` outlives this actor.
  void start(net::gate* gate) {
    gate_ = gate;
    dial_next();
  }

  /// A link has ended.
  void link_down(net::connection_id number) {
    if (number != link_)
      return;
    link_ = 0;
    events_.bound({}, {}, {});
    dial_next();
  }

  /// Part of the end of the node.
  void stop() {
    self_->quit();
  }

  /// Looks for the services here, too, from now on.
  void add_address(net::address where) {
    if (std::ranges::find(options_.addresses, where) == options_.addresses.end())
      options_.addresses.push_back(std::move(where));
  }

private:
  void dial_next() {
    if (options_.addresses.empty())
      return;
    dial(options_.addresses[turn_++ % options_.addresses.size()]);
  }

  /// Names are resolved in a thread, as that blocks.
  void dial(const net::address& where) {
    auto home = caf::weak_actor_ptr{self_->ctrl()};
    auto done = [this, home, where](result<net::link_ptr> got) {
      run_on(home, [this, where, got = std::move(got)] {
        if (got)
          ask(*got, where);
        else
          again(got.error());
      });
    };
    resolver_.run([gate = gate_, where, done] {
      auto found = net::resolve(where);
      if (found)
        gate->dial(std::move(*found), std::nullopt, done);
      else
        done(found.error());
    });
  }

  void again(const problem& why) {
    events_.failed(why);
    timers_.after(options_.retry.delay(std::min(++failures_, 10U), random_), [this] {
      if (link_ == 0)
        dial_next();
    });
  }

  /// Asks the node at the other end of `link` for the first service; the others are there,
  /// too.
  void ask(const net::link_ptr& link, const net::address& where) {
    auto entry = link->entry_point();
    if (!entry)
      return again({errc::unreachable, to_string(where) + " closed the link at once"});
    if (auto resting = resting_.extract(link->number()))
      timers_.cancel(resting.mapped());
    self_
      ->request(caf::actor_cast<caf::actor>(entry), answer_within,
                router::find_service{cluster_services.front()})
      .then(
        [this, link, where](const router::service_place& place) {
          if (place.handle)
            return bind(link, where, 0, {});
          auto there = net::address::from_string(place.address);
          if (!there || *there == where)
            return again({errc::unreachable, to_string(where) + " does not know the services"});
          rest(link);
          dial(*there);
        },
        [this](const caf::error& why) { again(to_problem(why)); });
  }

  /// The way goes on from the node at the other end of `link`.
  void rest(const net::link_ptr& link) {
    if (options_.idle_after <= duration::zero())
      return;
    resting_[link->number()] = timers_.after(options_.idle_after, [this, link] {
      resting_.erase(link->number());
      events_.idle(link);
    });
  }

  void bind(const net::link_ptr& link, const net::address& where, std::size_t next,
            std::map<std::string, caf::strong_actor_ptr> found) {
    if (next == cluster_services.size()) {
      failures_ = 0;
      link_ = link->number();
      add_address(where);
      if (!link->reason().empty())
        return link_down(link_); // it ended while we asked
      return events_.bound(found, where, link->entry_point());
    }
    auto service = cluster_services[next];
    self_
      ->request(caf::actor_cast<caf::actor>(link->entry_point()), answer_within,
                router::find_service{service})
      .then(
        [this, link, where, next, service,
         found = std::move(found)](const router::service_place& place) mutable {
          found[service] = place.handle;
          bind(link, where, next + 1, std::move(found));
        },
        [this](const caf::error& why) { again(to_problem(why)); });
  }

  static constexpr duration answer_within = std::chrono::seconds{3};

  caf::event_based_actor* self_;
  access_options options_;
  access_events events_;
  timer_queue<caf::event_based_actor> timers_;
  random_source random_;
  std::uint32_t failures_ = 0;
  net::gate* gate_ = nullptr;
  std::size_t turn_ = 0;
  /// The link that leads to the services; zero while there is none.
  net::connection_id link_ = 0;
  /// Links that only showed the way, with the ends of their rest.
  std::map<net::connection_id, timer_queue<caf::event_based_actor>::id> resting_;
  worker_thread resolver_;
};

} // namespace troupe::cluster
