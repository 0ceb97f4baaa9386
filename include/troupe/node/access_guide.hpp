#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "troupe/cluster/service_names.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::cluster {

/// A second node that is asked where the services are, and answers when they have moved. A node
/// that hangs says nothing: its silence tells so only after a while, while the others have long
/// elected another one. Costs a link, and a message every other second.
class access_guide {
public:
  struct setup {
    caf::event_based_actor* self = nullptr;
    /// Makes a link to a node, or finds the one there is, and calls back on the actor.
    std::function<void(const net::address&, std::function<void(const result<net::link_ptr>&)>)>
      dial;
    /// The services are there, by what the guide says.
    std::function<void(const net::address&)> moved;
    /// A link is not needed any more.
    std::function<void(const net::link_ptr&)> rest;
  };

  explicit access_guide(setup how) : how_(std::move(how)), timers_(how_.self) {}

  /// Has a guide from here on: the first of `nodes` that can be reached and is not `host`, where
  /// the services are.
  void keep(std::vector<net::address> nodes, const net::address& host) {
    nodes_ = std::move(nodes);
    host_ = host;
    if (link_ && link_->reason().empty() && where_ != host_)
      return;
    next_ = 0;
    find();
  }

  [[nodiscard]] bool has_one() const {
    return link_ != nullptr;
  }

  /// Its link; null while there is no guide.
  [[nodiscard]] const net::link_ptr& link() const {
    return link_;
  }

  [[nodiscard]] const net::address& where() const {
    return where_;
  }

  [[nodiscard]] bool uses(net::connection_id link) const {
    return link_ && link_->number() == link;
  }

  /// The services do not move, or are here.
  void let_go() {
    ++turn_;
    if (auto gone = std::exchange(link_, nullptr))
      how_.rest(gone);
  }

private:
  static constexpr duration check_every = std::chrono::seconds{2};
  static constexpr duration patience = std::chrono::seconds{1};
  /// Until another one is tried.
  static constexpr duration rest = std::chrono::seconds{5};

  void find() {
    let_go();
    for (std::size_t tries = 0; tries < nodes_.size(); ++tries)
      if (auto& next = nodes_[next_++ % nodes_.size()]; next != host_)
        return dial(next);
  }

  void dial(const net::address& where) {
    how_.dial(where, [this, turn = turn_, where](const result<net::link_ptr>& got) {
      if (turn != turn_)
        return got ? how_.rest(*got) : void();
      if (!got || !(*got)->entry_point())
        return find_later();
      link_ = *got;
      where_ = where;
      watch(0);
    });
  }

  void find_later() {
    let_go();
    timers_.after(rest, [this, turn = turn_] {
      if (turn == turn_)
        find();
    });
  }

  /// Answers come when there is news since `revision`, or none for a while.
  void watch(std::uint64_t revision) {
    auto entry = link_->entry_point();
    if (!entry)
      return find_later();
    how_.self
      ->request(caf::actor_cast<caf::actor>(entry), check_every + patience,
                router::find_service{cluster_services.front(), revision, check_every})
      .then(
        [this, turn = turn_, revision](const router::service_place& place) {
          if (turn != turn_)
            return;
          auto there = place.handle ? where_ : net::address::from_string(place.address);
          if (place.revision != revision && there && *there != host_)
            how_.moved(*there);
          if (turn == turn_)
            watch(place.revision);
        },
        [this, turn = turn_](const caf::error&) {
          if (turn == turn_)
            find_later();
        });
  }

  setup how_;
  timer_queue<caf::event_based_actor> timers_;
  std::vector<net::address> nodes_;
  net::address host_;
  std::uint64_t turn_ = 0; // what is begun in an earlier one is of no use
  std::size_t next_ = 0;
  net::link_ptr link_;
  net::address where_;
};

} // namespace troupe::cluster
