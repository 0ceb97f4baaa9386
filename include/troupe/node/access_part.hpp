#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "troupe/cluster/finder.hpp"
#include "troupe/cluster/handle_table.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/shell.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/net/resolver.hpp"
#include "troupe/node/leader_hint.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::cluster {

/// Where the services of a cluster are.
struct service_binding {
  /// By their names; empty: they are out of reach.
  std::map<std::string, caf::strong_actor_ptr> handles;
  /// How far they have come, for those of which that is known.
  std::map<std::string, request_id> records{};
  /// The node that they are on, and its router.
  net::address where;
  caf::strong_actor_ptr entry;
  /// Nodes that may know where they are when that one is gone.
  std::vector<net::address> others;
  /// That node is this one.
  bool is_here = false;
  /// They are on a group of voters, not in the memory of one node.
  bool has_voters = true;
};

/// Whom to tell. All are called on the actor; none may block.
struct access_events {
  /// The services are reached like this from now on.
  std::function<void(const service_binding&)> bound;
  /// A try has failed; there will be others. errc::none: one has led to the services, which are
  /// where they were.
  std::function<void(const finder::failed&)> failed;
  /// See finder::close.
  std::function<void(const net::link_ptr&)> idle = [](const net::link_ptr&) {};
  /// See finder::met; null: finder::parted.
  std::function<void(const net::link_ptr&, const net::address&)> met
    = [](const net::link_ptr&, const net::address&) {};
  /// See finder::without_quorum.
  std::function<void(const finder::without_quorum&)> without_quorum
    = [](const finder::without_quorum&) {};
  /// See finder::refused.
  std::function<void(const problem&)> refused = [](const problem&) {};
  /// What to tell those who ask this node.
  std::function<void(const leader_hint&)> hint = [](const leader_hint&) {};
};

/// The way to the services of a cluster: carries out what a `finder` decides. Every node has one in
/// its node_shell, and every light client has a client_access.
class access_part {
public:
  access_part(caf::event_based_actor* self, finder_options options, access_events events)
    : self_(self),
      events_(std::move(events)),
      finder_(self, this, std::move(options), self->id(),
              time_point{self->clock().now().time_since_epoch()}) {}

  access_part(const access_part&) = delete;
  access_part& operator=(const access_part&) = delete;

  /// Begins; `gate` outlives this actor. `self` is where this node takes links itself.
  void start(net::gate* gate, const std::optional<net::address>& self = std::nullopt) {
    gate_ = gate;
    finder_.step(finder::start{self});
  }

  /// A link has ended.
  void link_down(net::connection_id number) {
    if (links_.erase(number) != 0)
      finder_.step(finder::link_down{number});
  }

  /// The services are on this node since this turn (see voters_setup::lead).
  void lead_here(std::uint64_t turn, service_binding how) {
    here_ = std::move(how);
    finder_.step(finder::lead{turn});
  }

  /// They are elsewhere since this turn, at `where`; empty: that is not known.
  void follow(std::uint64_t turn, const std::string& where) {
    auto there = net::address::from_string(where);
    finder_.step(finder::follow{turn, there ? std::optional{*there} : std::nullopt});
  }

  /// These are the nodes with a seat in the group.
  void know(std::vector<std::string> others) {
    finder_.step(finder::learned{others});
    hint_.others = std::move(others);
    tell();
  }

  /// See finder::seated.
  void seated(bool votes) {
    finder_.step(finder::seated{votes});
  }

  /// See finder::present.
  void see(finder::present what) {
    finder_.step(what);
  }

  /// See finder::seat_says.
  void seat_says(problem why) {
    finder_.step(finder::seat_says{std::move(why)});
  }

  [[nodiscard]] bool votes() const {
    return finder_.machine().votes();
  }

  /// See finder::doubt.
  void doubt() {
    finder_.step(finder::doubt{});
  }

  /// Members say that this node may be gone, or its link is silent.
  void doubt(const node_id& which) {
    for (auto& [number, link] : links_)
      if (link->peer().node == which)
        finder_.step(finder::doubt{number});
  }

  /// Puts down who leads, since when there is no leader, how often that has changed, why there is
  /// no quorum, and which links are relayed. `own` is the address of this node.
  void show(node_view& seen, const std::string& own) const {
    auto& leaders = finder_.machine().leaders();
    seen.leader = hint_.here.empty() ? hint_.elsewhere : own;
    seen.leaderless_for = leaders.leaderless_for(finder_.now());
    seen.changes_of_leader = leaders.changes();
    seen.why = hint_.why;
    if (!relayed_by_)
      return;
    for (auto& [number, link] : links_)
      if (link->is_relayed())
        for (auto& each : seen.links)
          if (each.node == to_string(link->peer().node))
            each.via = to_string(*relayed_by_);
  }

  /// Calls `done` with the actor that answers for a node under that name, if that answers.
  void find_service(const caf::strong_actor_ptr& entry, const char* called,
                    std::function<void(const caf::strong_actor_ptr&)> done) {
    constexpr duration within = std::chrono::seconds{10};
    self_->request(caf::actor_cast<caf::actor>(entry), within, router::find_service{called})
      .then([done = std::move(done)](const router::service_place& place) { done(place.handle); },
            [](const caf::error&) {});
  }

private:
  friend class shell<finder, access_part>;

  // -- dials and questions -----------------------------------------------------------------

  void perform(const finder::dial& what) {
    auto& at = what.through ? *what.through : what.where;
    auto home = caf::weak_actor_ptr{self_->ctrl()};
    auto done = [home, this, id = what.id, where = what.where](result<net::link_ptr> got) {
      run_on(home, [this, id, where, got = std::move(got)] { dialled(id, where, got); });
    };
    resolver_.find(at, [home, this, what, done](const net::resolver::endpoints& found) {
      if (!found)
        return done(found.error());
      run_on(home, [this, what, done, there = *found] {
        finder_.step(finder::resolved{}, what.id);
        if (what.through)
          gate_->dial_through(there, what.where, done);
        else
          gate_->dial(there, std::nullopt, done);
      });
    });
  }

  /// on_down comes later for a link that has no reason to end yet.
  void dialled(request_id id, const net::address& where, const result<net::link_ptr>& got) {
    if (!got)
      return finder_.step(finder::dialled{got.error()}, id);
    auto& link = *got;
    if (!link->entry_point() || !link->reason().empty())
      return finder_.step(
        finder::dialled{problem{errc::unreachable, to_string(where) + " closed the link at once"}},
        id);
    links_[link->number()] = link;
    finder_.step(finder::dialled{link->number(), link->is_relayed()}, id);
  }

  void perform(const finder::ask& what) {
    auto entry = links_.at(what.link)->entry_point();
    if (!entry)
      return; // the link has ended, as is heard next
    self_
      ->request(caf::actor_cast<caf::actor>(entry), what.within,
                router::find_service{cluster_services.front(), what.known, what.wait})
      .then([this, id = what.id](const router::service_place& place) { heard(id, place); },
            [this, id = what.id](const caf::error& why) {
              finder_.step(finder::heard{to_problem(why)}, id);
            });
  }

  void heard(request_id id, const router::service_place& place) {
    whereabouts what{.handle = actors_.number_of(place.handle),
                     .address = place.address,
                     .others = place.others,
                     .revision = place.revision,
                     .why = place.why,
                     .records = place.records};
    for (auto& [called, each] : place.all)
      what.all[called] = actors_.number_of(each);
    finder_.step(finder::heard{std::move(what)}, id);
    actors_.forget_unbound();
  }

  // -- where the services are --------------------------------------------------------------

  void perform(const finder::bind& what) {
    auto& how = what.how;
    service_binding found{.handles = {},
                          .records = how.records,
                          .where = how.where,
                          .entry = links_.at(how.link)->entry_point(),
                          .others = how.others,
                          .is_here = false,
                          .has_voters = how.has_voters};
    for (auto& [called, number] : how.handles)
      found.handles[called] = actors_.actor_of(number);
    actors_.bind(how.handles);
    events_.bound(found);
  }

  /// For nodes that reach this one, and not that place.
  void relay_to(const std::optional<net::address>& where) {
    relays_to_ = where;
    if (gate_ == nullptr)
      return; // it leads before it takes links
    if (!where)
      return gate_->relay_to({}, {});
    auto home = caf::weak_actor_ptr{self_->ctrl()};
    resolver_.find(*where, [home, this, there = *where](const net::resolver::endpoints& found) {
      if (found)
        run_on(home, [this, there, at = *found] {
          if (relays_to_ == there)
            gate_->relay_to(there, at);
        });
    });
  }

  void tell() const {
    auto told = hint_;
    if (relayed_by_)
      told.others.insert(told.others.begin(), to_string(*relayed_by_));
    events_.hint(told);
  }

  void perform(const finder::bind_here&) {
    actors_.bind({});
    relay_to({});
    relayed_by_.reset();
    hint_.here = here_.handles;
    hint_.elsewhere.clear();
    tell();
    events_.bound(here_);
  }

  void perform(const finder::unbind&) {
    actors_.bind({});
    relay_to({});
    events_.bound({});
  }

  void perform(const finder::point& what) {
    hint_.here.clear();
    hint_.elsewhere = what.where ? to_string(*what.where) : std::string{};
    relayed_by_ = what.relayed_by;
    relay_to(what.relays ? what.where : std::nullopt);
    tell();
  }

  void perform(const finder::without_quorum& what) {
    hint_.why = what.why;
    tell();
    events_.without_quorum(what);
  }

  // -- what users hear ---------------------------------------------------------------------

  void perform(const finder::met& what) {
    events_.met(links_.at(what.link), what.where);
  }

  void perform(const finder::parted&) {
    events_.met(nullptr, {});
  }

  void perform(const finder::close& what) {
    if (auto found = links_.find(what.link); found != links_.end())
      events_.idle(found->second);
  }

  void perform(const finder::failed& what) {
    events_.failed(what);
  }

  void perform(const finder::settled&) {
    events_.failed({});
  }

  void perform(const finder::refused& what) {
    events_.refused(what.why);
  }

  caf::event_based_actor* self_;
  access_events events_;
  net::gate* gate_ = nullptr;
  net::resolver resolver_;
  /// All that were dialled here and are up.
  std::map<net::connection_id, net::link_ptr> links_;
  /// Those in answers.
  handle_table<caf::strong_actor_ptr> actors_;
  /// What this node has when it leads.
  service_binding here_;
  leader_hint hint_;
  /// Where this node relays others to, and who relays it there.
  std::optional<net::address> relays_to_;
  std::optional<net::address> relayed_by_;
  shell<finder, access_part> finder_;
};

/// The same as an actor of its own: that of a light client.
class client_access : public access_part {
public:
  static inline const char* name = "troupe.access";

  client_access(caf::event_based_actor* self, finder_options options, access_events events)
    : access_part(self, std::move(options), std::move(events)), self_(self) {}

  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {[](caf::ok_atom) {}}; // lives on the actions that arrive
  }

  void stop() {
    self_->quit();
  }

private:
  caf::event_based_actor* self_;
};

} // namespace troupe::cluster
