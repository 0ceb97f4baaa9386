#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/net/resolver.hpp"
#include "troupe/router/router_access.hpp"

namespace troupe::cluster {

/// The links of a node to the others, at most one to each: makes them when the router has
/// something to send, and tells it when they come and go. Part of an actor, and used on it only.
class peer_links {
public:
  /// `nodes` outlives this.
  peer_links(caf::event_based_actor* self, router::router_access router, const known_nodes& nodes)
    : self_(self), router_(std::move(router)), nodes_(nodes) {}

  /// Links can be made; `gate` outlives the actor.
  void start(net::gate* gate) {
    gate_ = gate;
  }

  /// A link is up. Returns whether it is one to a node: clients ask, and are not asked.
  bool up(const net::link_ptr& which) {
    auto& peer = which->peer();
    if (peer.as == net::role::client)
      return false;
    links_[peer.node] = which;
    router_.run([id = peer.node, number = which->number(),
                 entry = which->entry_point()](router::router_state& state) mutable {
      if (entry)
        state.link_up(id, number, std::move(entry));
      else
        state.link_missed(id);
    });
    return true;
  }

  /// A link has ended. Returns whether its node has no other now.
  bool down(const net::link_ptr& which) {
    auto id = which->peer().node;
    auto found = links_.find(id);
    if (found == links_.end() || found->second->number() != which->number())
      return false; // another link has taken its place
    links_.erase(found);
    router_.run(
      [id, number = which->number()](router::router_state& state) { state.link_down(id, number); });
    return true;
  }

  /// The router has something for `node`.
  void want(const node_id& node) {
    dial(node, [this, node](const result<net::link_ptr>& got) {
      if (!got)
        router_.run(
          [node, why = got.error()](router::router_state& state) { state.link_failed(node, why); });
    });
  }

  /// Neither side uses the link: it is made again for the next message.
  void close_idle(const node_id& node, net::connection_id number) {
    if (auto found = links_.find(node); found != links_.end() && found->second->number() == number)
      found->second->close("idle", net::end_cause::idle);
  }

  /// Makes a link to a node that the registry need not know, unless there is one. A failure is
  /// not told: ask again.
  void reach(const node_id& node, const std::string& address) {
    auto where = net::address::from_string(address);
    if (!where || node == node_id{} || links_.contains(node) || !reached_for_.insert(node).second)
      return;
    dial(*where, node, [this, node](const result<net::link_ptr>&) { reached_for_.erase(node); });
  }

  /// Returns the router of a linked node, null if there is no link.
  [[nodiscard]] caf::strong_actor_ptr entry_point(const node_id& node) const {
    auto link = links_.find(node);
    return link != links_.end() ? link->second->entry_point() : nullptr;
  }

  /// Gives the entry point of a node, by its name or id, with a link if there is none, which stays
  /// until it is lost.
  void find_entry(const std::string& called,
                  std::function<void(result<caf::strong_actor_ptr>)> done) {
    auto found = nodes_.find(called);
    if (!found)
      return done(problem{errc::not_found, "no node '" + called.substr(0, 64)
                                             + "' is known; check its name, or wait until it has "
                                               "joined"});
    find_entry(*found, std::move(done), true);
  }

  /// The same of a node by its id. If it `holds` the link, that stays until it is lost; else as
  /// long as it is used.
  void find_entry(const node_id& node, std::function<void(result<caf::strong_actor_ptr>)> done,
                  bool holds) {
    auto here = [home = caf::weak_actor_ptr{self_->ctrl()},
                 done = std::move(done)](result<caf::strong_actor_ptr> got) {
      run_on(home, [done, got = std::move(got)] { done(got); });
    };
    router_.run(
      [node, here, holds](router::router_state& state) { state.reach(node, here, holds); });
  }

private:
  /// Makes a link to a node that is known; `done` gets it on the actor.
  void dial(const node_id& node, std::function<void(const result<net::link_ptr>&)> done) {
    auto where = nodes_.address_of(node);
    if (!where)
      return done(problem{errc::unreachable, "the address of node " + nodes_.name_of(node)
                                               + " is not known; retry once it is registered"});
    dial(*where, node, std::move(done));
  }

  void dial(const net::address& where, const node_id& who,
            std::function<void(const result<net::link_ptr>&)> done) {
    auto home = caf::weak_actor_ptr{self_->ctrl()};
    auto tell = [done = std::move(done), home](result<net::link_ptr> got) {
      run_on(home, [done, got = std::move(got)] { done(got); });
    };
    resolver_.find(where, [this, who, home, tell](const net::resolver::endpoints& found) {
      if (!found)
        return tell(found.error());
      run_on(home, [this, who, tell, there = *found] { gate_->dial(there, who, tell); });
    });
  }

  caf::event_based_actor* self_;
  router::router_access router_;
  const known_nodes& nodes_;
  net::gate* gate_ = nullptr;
  std::map<node_id, net::link_ptr> links_;
  std::set<node_id> reached_for_;
  net::resolver resolver_;
};

} // namespace troupe::cluster
