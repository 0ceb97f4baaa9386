#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_addr.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/result.hpp"
#include "caf/stateful_actor.hpp"
#include "caf/system_messages.hpp"
#include "caf/typed_response_promise.hpp"
#include "troupe/cluster/claims.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/liveness.hpp"
#include "troupe/cluster/registry_copy.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/shell.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/host/watcher.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/peer_links.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/node/service_request.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/router/router.hpp"
#include "troupe/scheduler/messages.hpp"

namespace troupe::cluster {

/// What a member has to know.
struct member_setup {
  std::string id;
  std::string name;
  boot_number boot = 0;
  duration lost_after{};
  duration heartbeat_every{};
  /// How often unhealthy agents are pinged.
  duration check_every{};
  registry_client registry;
  names_client names;
  scheduler_client scheduler;
  router::router_access router;
  node_log log;
  /// The router knows all that the registry knew when it was asked.
  std::function<void()> caught_up;
  /// Calls what it is given with what this node knows of its cluster, on any thread.
  std::function<void(std::function<void(const node_view&)>)> show{};
  /// Of the copy of the registry.
  registry::registry_options bounds{};
  /// A link to a node is up, or down.
  std::function<void(const net::link_ptr&)> linked = [](const net::link_ptr&) {};
  std::function<void(const std::string& node)> unlinked = [](const std::string&) {};
  /// What the registry says of a node: where it is, or that it has left.
  std::function<void(const registry::record&)> node_is = [](const registry::record&) {};
  std::function<void(const std::string& node)> node_left = [](const std::string&) {};
  /// The services have heard of a later life of this node: keep this boot, then call go_on_as().
  std::function<void(boot_number)> risen = [](boot_number) {};
};

/// Speaks for one node in the cluster: says who it is and what agents it has; follows what the
/// others say, so that the router finds them; makes links when there is something to send. Where
/// the services of the cluster are it also says who is alive.
class member_state {
public:
  static inline const char* name = "troupe.member";

  member_state(caf::event_based_actor* self, member_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      links_(self, setup_.router, nodes_),
      copy_(setup_.bounds),
      claims_(self, this,
              {setup_.id, setup_.boot, {.heartbeat_every = setup_.heartbeat_every}, self->id()}),
      liveness_(self, this,
                {nodes_, {.lost_after = setup_.lost_after, .check_every = setup_.check_every}}) {
    self_->set_down_handler([this](const caf::down_msg& gone) {
      if (auto found = guarded_.extract(gone.source))
        setup_.log.fail("service " + found.mapped() + " ended: " + to_string(gone.reason)
                        + "; restart the node");
    });
  }

  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {
      [this](const show_node&) { return show(); },
      [this](const registry::find_records& what) { return copy_.table().answer(what); },
      [this](const registry::get_record& what) { return copy_.table().answer(what); },
      [this](const registry::count_records& what) { return copy_.table().answer(what); },
    };
  }

  /// Begins to follow the registry; `gate` outlives this actor.
  void start(net::gate* gate) {
    links_.start(gate);
    watcher_.emplace(self_->system(), setup_.registry, registry::watch_records{},
                     [this, home = caf::weak_actor_ptr{self_->ctrl()}](
                       const result<registry::record_changes>& news) {
                       if (news)
                         run_on(home, [this, what = *news] { follow(what); });
                     });
    claims_.step(claims::begin{});
  }

  /// The services are on this node from here on. What it knows of the other nodes goes into
  /// `registry` if that is a new one (else null), so that nobody misses what was there before;
  /// then calls `done`.
  void lead(const caf::strong_actor_ptr& registry, std::function<void()> done) {
    is_leading_ = true;
    liveness::lead begun;
    copy_.for_each([&](const registry::record_view& each) {
      auto& key = each.value.key;
      if (key.kind == registry::record_kind::node && key.owner != setup_.id)
        begun.known.emplace_back(key.owner, each.value.boot);
    });
    liveness_.step(std::move(begun));
    if (registry)
      tell_all(registry, std::move(done));
    else
      done();
  }

  /// The services are elsewhere from here on.
  void follow() {
    is_leading_ = false;
    liveness_.step(liveness::follow{});
  }

  /// The registry can be reached, or again: says everything anew.
  void bound() {
    claims_.step(claims::bound{});
  }

  /// This node goes on as that boot, which its folder has: somebody has heard of an earlier one.
  void go_on_as(boot_number now) {
    claims_.step(claims::risen{now});
  }

  /// Says so if one of these services of this node ends while the node goes on.
  void guard(const std::map<std::string, caf::strong_actor_ptr>& services) {
    for (auto& [called, handle] : services) {
      guarded_[handle->address()] = called;
      self_->monitor(handle);
    }
  }

  // -- records -----------------------------------------------------------------------

  /// Says something about this node or one of its services.
  void put(registry::record what) {
    claims_.step(claims::put{std::move(what)});
  }

  /// Registers the agent `who` and calls `done` once the cluster knows it. Ids that end with
  /// "@" and the name of the node are its own and need no claim. Returns a number for
  /// give_up_agent().
  request_id add_agent(const std::string& id, const caf::actor_addr& who, const agent_options& how,
                       done_handler done) {
    registry::record made;
    made.key = {registry::record_kind::agent, id, setup_.id};
    made.capabilities = how.capabilities;
    made.groups = how.groups;
    made.metadata = how.metadata;
    made.registered = read_calendar();
    auto at = id.rfind('@');
    if (at != std::string::npos && id.substr(at + 1) != setup_.name) {
      done({errc::bad_argument, "agent id '" + id.substr(0, 64)
                                  + "' names another node; "
                                    "end it with @"
                                  + setup_.name + " or leave out the @"});
      return 0;
    }
    auto is_claimed = how.unique && at == std::string::npos;
    if (!is_claimed)
      made.key.name = unclaimed(id);
    if (!how.unique && at == std::string::npos)
      made.capabilities.insert(id); // several may have it
    auto number = ++last_asker_;
    if (is_claimed)
      named_[id] = {number, who, how.on_name_taken};
    askers_.emplace(number, [this, id, number, done = std::move(done)](const problem& why) {
      if (why)
        forget_named(id, number);
      done(why);
    });
    claims_.step(claims::add{std::move(made), is_claimed}, number);
    return number;
  }

  /// Nobody waits for that add_agent() any more: takes back what it has done, or yet does. By now
  /// another agent may have the id; that one stays.
  void give_up_agent(const std::string& id, request_id number) {
    if (number == 0)
      return;
    forget_named(id, number);
    claims_.step(claims::remove{id}, number);
  }

  /// Says that this node is in maintenance, or no longer is, and has its workers get nothing new.
  /// Calls `done` once registry and scheduler have heard it.
  void maintain(bool on, done_handler done) {
    auto self = book().find(registry::record_kind::node, setup_.name);
    if (!self)
      return done({}); // it says so when it begins to speak
    auto heard = once_all(2, std::move(done));
    self->status = on ? registry::record_status::maintenance : registry::record_status::active;
    step(claims::put{std::move(*self)}, heard);
    maintain_workers({}, on, heard);
  }

  void remove_agent(const std::string& id) {
    setup_.router.run([id](router::router_state& state) { state.remove_agent(id); });
    agent_ended(id);
  }

  /// The router hands nothing to it any more. It may have another agent of that id already.
  void agent_ended(const std::string& id) {
    named_.erase(id);
    claims_.step(claims::remove{id});
  }

  /// Takes back all that this node ever said, for good. Calls `done` once all services have
  /// heard it, with the first problem.
  void leave(done_handler done) {
    auto heard = once_all(2, std::move(done));
    step(claims::leave{}, heard);
    ask_service(self_, setup_.scheduler, scheduler::worker_lost{setup_.id, book().boot(), {}},
                [heard](const auto& answer) { heard(answer ? problem{} : answer.error()); });
  }

  // -- links -------------------------------------------------------------------------

  void link_up(const net::link_ptr& which) {
    if (!links_.up(which))
      return;
    liveness_.step(liveness::link_up{to_string(which->peer().node), which->peer().boot});
    setup_.linked(which);
  }

  void link_down(const net::link_ptr& which, const std::string& why) {
    if (!links_.down(which))
      return;
    auto node = to_string(which->peer().node);
    liveness_.step(liveness::link_down{node, which->peer().boot, why});
    setup_.unlinked(node);
  }

  [[nodiscard]] const known_nodes& nodes() const {
    return nodes_;
  }

  [[nodiscard]] peer_links& links() {
    return links_;
  }

  /// Stops to follow; part of the end of the node.
  void stop() {
    watcher_.reset();
    self_->quit();
  }

private:
  friend class shell<claims, member_state>;
  friend class shell<liveness, member_state>;

  /// As the registry wants names that nobody claimed: with the id of their node.
  [[nodiscard]] std::string unclaimed(const std::string& agent) const {
    return agent + '@' + setup_.id;
  }

  /// What routers know of an agent.
  static router::location place_of(const registry::record& what) {
    auto& [kind, full, owner] = what.key;
    auto agent = what.token == 0 && full.ends_with('@' + owner)
                   ? full.substr(0, full.size() - owner.size() - 1)
                   : full;
    return {std::move(agent), owner, what.capabilities, what.groups, what.load, false};
  }

  /// Page by page: the workers of this node behind `after`.
  void maintain_workers(scheduler::worker_id after, bool on, const done_handler& done) {
    ask_service(
      self_, setup_.scheduler, scheduler::list_workers{.after = after},
      [this, on, done](const result<scheduler::worker_list>& answer) {
        if (!answer)
          return done(answer.error());
        if (answer->workers.empty())
          return done({});
        auto heard = once_all(answer->workers.size() + 1,
                              [=, this, last = answer->workers.back()](const problem& why) {
                                if (why && why.code != errc::not_found)
                                  return done(why);
                                maintain_workers(last.worker, on, done);
                              });
        heard({});
        for (auto& each : answer->workers)
          if (each.owner != setup_.id)
            heard({});
          else
            ask_service(self_, setup_.scheduler, scheduler::set_maintenance{each.worker, on},
                        [heard](const auto& set) { heard(set ? problem{} : set.error()); });
      });
  }

  // -- names ---------------------------------------------------------------------------

  [[nodiscard]] const registry::own_records& book() const {
    return claims_.machine().book();
  }

  /// `done` is kept until the claims say how it ended.
  void step(claims::event what, done_handler done) {
    auto id = ++last_asker_;
    askers_.emplace(id, std::move(done));
    claims_.step(std::move(what), id);
  }

  void perform(claims::ask& what) {
    auto send = [&]<class Words>(const Words& words) {
      constexpr bool is_registry
        = std::is_same_v<
            Words,
            registry::
              put_records> || std::is_same_v<Words, registry::heartbeat> || std::is_same_v<Words, registry::find_owner>;
      auto answer = [this, id = what.id](const result<typename Words::result>& heard) {
        claims_.step(claims::heard<typename Words::result>{heard}, id);
      };
      if constexpr (is_registry)
        ask_service(self_, setup_.registry, words, answer);
      else
        ask_service(self_, setup_.names, words, answer);
    };
    std::visit(send, what.what);
  }

  void perform(claims::done& what) {
    if (auto found = askers_.extract(what.id))
      found.mapped()(what.why);
  }

  void perform(claims::show& what) {
    show(what.what, false);
  }

  void perform(claims::hide& what) {
    setup_.router.run([where = place_of(what.what)](router::router_state& state) {
      state.places().remove(where.agent, where.node);
    });
  }

  void perform(claims::rise& what) {
    setup_.risen(what.boot);
  }

  void perform(claims::warn& what) {
    setup_.log.warn(what.text);
  }

  void perform(claims::complain& what) {
    setup_.log.complain(what.topic, what.detail);
  }

  void perform(claims::settle& what) {
    setup_.log.settle(what.topic);
  }

  /// The agent gets nothing more from here on, and is told.
  void perform(claims::lost_name& what) {
    auto found = named_.find(what.name);
    if (found == named_.end() || found->second.number != what.added)
      return;
    auto agent = std::move(named_.extract(found).mapped());
    setup_.router.run(
      [id = what.name, why = what.why, who = agent.who,
       is_told = static_cast<bool>(agent.on_name_taken)](router::router_state& state) {
        auto gone = state.remove_agent(id, who);
        if (gone && !is_told)
          gone->enqueue(nullptr, caf::make_message_id(),
                        caf::make_message(caf::exit_msg{gone->address(), to_error(why)}), nullptr);
      });
    if (agent.on_name_taken)
      agent.on_name_taken(what.why);
  }

  void forget_named(const std::string& id, request_id number) {
    if (auto found = named_.find(id); found != named_.end() && found->second.number == number)
      named_.erase(found);
  }

  /// Whether this node is in maintenance. What others show of it may be worse than that.
  [[nodiscard]] bool rests() const {
    auto self = book().find(registry::record_kind::node, setup_.name);
    return self && self->status == registry::record_status::maintenance;
  }

  /// Agents of this node are found here before the registry has told of them.
  void show(const registry::record& what, bool rests) {
    auto where = place_of(what);
    where.rests = rests;
    setup_.router.run([where = std::move(where)](router::router_state& state) mutable {
      state.places().put(std::move(where));
    });
  }

  // -- what others say -----------------------------------------------------------------

  void follow(const registry::record_changes& news) {
    keep(news);
    if (news.complete)
      snapshot_.emplace();
    for (auto& each : news.changes) {
      auto& value = each.what.value;
      auto shown = registry::is_shown(each.kind);
      if (snapshot_)
        snapshot_->note(each.what, shown);
      if (shown && value.key.owner == setup_.id)
        claims_.step(claims::shown{value});
      if (value.key.kind == registry::record_kind::node) {
        follow_node(each.what, shown);
        if (each.kind == registry::change_kind::removed)
          setup_.node_left(value.key.owner);
        if (each.kind == registry::change_kind::lost)
          liveness_.step(liveness::forgotten{value.key.owner});
        if (is_leading_ && each.kind == registry::change_kind::removed)
          setup_.log("node " + value.key.name + " has left");
        if (each.kind == registry::change_kind::removed)
          liveness_.step(liveness::left{value.key.owner});
      }
      if (value.key.kind != registry::record_kind::agent)
        continue;
      if (shown && !each.what.healthy)
        liveness_.step(liveness::ill{value.key, place_of(value).agent});
      else
        liveness_.step(liveness::well{value.key});
      if (auto own = book().find(value.key.kind, value.key.name); own && own->token != 0)
        follow_claim(each, shown);
      if (value.key.owner != setup_.id)
        follow_agent(value, shown, each.what.status);
      else if (auto own = book().find(value.key.kind, value.key.name))
        show(*own, rests());
    }
    if (snapshot_ && !news.rest)
      forget_all_but(*std::exchange(snapshot_, std::nullopt));
    if (!news.more)
      setup_.caught_up();
  }

  /// What a snapshot of the registry has shown so far. It comes in pages: until the last one
  /// all that was known before is found, too.
  struct shown_records {
    std::set<registry::record_key> keys;
    std::set<std::string> nodes;
    /// Agents, each with its node.
    std::set<std::pair<std::string, std::string>> places;

    void note(const registry::record_view& what, bool shown) {
      auto& key = what.value.key;
      auto change = [shown](auto& among, const auto& each) {
        if (shown)
          among.insert(each);
        else
          among.erase(each);
      };
      change(keys, key);
      if (key.kind == registry::record_kind::node)
        change(nodes, key.owner);
      else if (key.kind == registry::record_kind::agent)
        change(places, std::pair{place_of(what.value).agent, key.owner});
    }
  };

  void forget_all_but(shown_records those) {
    nodes_.remove_if([&](const std::string& id) { return !those.nodes.contains(id); });
    liveness_.step(liveness::listed{std::move(those.keys)});
    setup_.router.run([places = std::move(those.places)](router::router_state& state) {
      state.places().keep_others(places);
    });
  }

  /// What is said of the name of an agent of this node.
  void follow_claim(const registry::change& news, bool shown) {
    auto& value = news.what.value;
    auto is_taken = news.kind == registry::change_kind::taken;
    if (value.key.owner == setup_.id ? is_taken : shown)
      claims_.step(claims::seen{value.key.name, value.key.owner, value.token, is_taken,
                                nodes_.name_of(value.key.owner)});
  }

  void follow_node(const registry::record_view& what, bool shown) {
    if (!shown)
      return nodes_.remove(what.value.key.owner);
    nodes_.put(what);
    setup_.node_is(what.value);
    look_at_name(what);
  }

  /// Commands that name a node cannot tell two of one name apart.
  void look_at_name(const registry::record_view& what) {
    auto& key = what.value.key;
    if (key.name != setup_.name || key.owner == setup_.id
        || what.liveness != registry::record_status::active)
      return;
    if (namesakes_.size() >= max_namesakes || !namesakes_.insert(key.owner).second)
      return;
    setup_.log.warn("node " + key.owner.substr(0, 8) + " is called '" + key.name
                    + "' as well; give one of the two another --name, or commands that name it may "
                      "mean either");
  }

  /// An agent in maintenance gets messages, but no work that another one could do.
  void follow_agent(const registry::record& what, bool shown, registry::record_status status) {
    auto where = place_of(what);
    where.rests = status == registry::record_status::maintenance;
    auto is_found = shown && (where.rests || status == registry::record_status::active);
    setup_.router.run([where = std::move(where), is_found](router::router_state& state) mutable {
      if (is_found)
        state.places().put(std::move(where));
      else
        state.places().remove(where.agent, where.node);
    });
  }

  // -- what this node knows --------------------------------------------------------------

  void keep(const registry::record_changes& news) {
    constexpr const char* not_kept = "what the registry tells is not kept here";
    auto why = copy_.take(time_point{self_->clock().now().time_since_epoch()}, news);
    if (why)
      setup_.log.complain(not_kept, why.detail);
    else if (news.complete)
      setup_.log.settle(not_kept);
  }

  caf::result<node_view> show() {
    auto promise = self_->make_response_promise<node_view>();
    setup_.show([home = caf::weak_actor_ptr{self_->ctrl()}, promise](const node_view& seen) {
      run_on(home, [promise, seen]() mutable { promise.deliver(seen); });
    });
    return promise;
  }

  // -- the part of the leader ------------------------------------------------------------

  /// Tells a new registry what the last one knew of other nodes, and what this node says: whoever
  /// asks the new one finds all that the last one had. What nodes say themselves is newer, or the
  /// same.
  void tell_all(const caf::strong_actor_ptr& registry, std::function<void()> done) {
    auto to = std::make_shared<registry_client>(self_->system());
    to->set_target(registry);
    std::vector<registry::put_records> pages;
    std::map<std::string, boot_number> lost;
    auto add = [&](const registry::record& what) {
      if (pages.empty() || pages.back().records.size() == page)
        pages.emplace_back();
      pages.back().records.push_back(what);
    };
    for (auto& each : book().all())
      add(each);
    copy_.for_each([&](const registry::record_view& each) {
      auto& owner = each.value.key.owner;
      if (owner == setup_.id)
        return;
      add(each.value);
      if (each.liveness == registry::record_status::disconnected)
        lost[owner] = std::max(lost[owner], each.value.boot);
    });
    auto heard = once_all(pages.size() + 1, [this, to, lost, done](const problem& why) {
      if (why)
        setup_.log.warn("the new registry did not take all that was known: " + why.detail);
      for (auto& [node, boot] : lost)
        tell_service(*to, registry::verdict{node, boot, registry::record_status::disconnected});
      done();
    });
    for (auto& each : pages)
      ask_service(self_, *to, each,
                  [heard](const auto& answer) { heard(answer ? problem{} : answer.error()); });
    heard({});
  }

  void perform(liveness::ask& what) {
    ask_service(self_, setup_.registry, registry::find_owner{what.node},
                [this, id = what.id](const result<registry::owner_view>& heard) {
                  liveness_.step(liveness::heard{heard}, id);
                });
  }

  void perform(liveness::judge& what) {
    tell_service(setup_.registry, what.what);
  }

  void perform(liveness::give_up& what) {
    tell_service(setup_.scheduler, scheduler::worker_lost{what.node, what.boot, {}});
  }

  void perform(liveness::free_names& what) {
    tell_service(setup_.names, registry::names::owner_gone{what.node, what.boot});
  }

  void perform(liveness::ping& what) {
    auto there = router_of(what.node);
    if (!there)
      return liveness_.step(liveness::pong{false}, what.id);
    compat::relay(
      self_, there, what.wait, caf::make_message(router::envelope{what.agent, compat::ping()}),
      [this, id = what.id](const caf::message&) { liveness_.step(liveness::pong{true}, id); },
      [this, id = what.id](const caf::error&) { liveness_.step(liveness::pong{false}, id); });
  }

  void perform(liveness::recovered& what) {
    tell_service(setup_.registry,
                 registry::report_outcome{what.what, registry::call_outcome::succeeded});
  }

  void perform(liveness::warn& what) {
    setup_.log.warn(what.text);
  }

  /// Null if there is no link.
  caf::strong_actor_ptr router_of(const std::string& node) const {
    if (node == setup_.id)
      return caf::actor_cast<caf::strong_actor_ptr>(setup_.router.handle());
    return links_.entry_point(node);
  }

  caf::event_based_actor* self_;
  member_setup setup_;
  known_nodes nodes_;
  /// Other nodes of this name, of which the log says each once.
  std::set<std::string> namesakes_;
  peer_links links_;
  /// What the registry has told, for the next one and for those who ask while there is none.
  registry_copy copy_;
  shell<claims, member_state> claims_;
  std::map<request_id, done_handler> askers_;
  request_id last_asker_ = 0;
  std::optional<host::watcher<registry::registry_protocol, registry::watch_records>> watcher_;
  std::map<caf::actor_addr, std::string> guarded_;
  /// Of the registry, while its pages come in.
  std::optional<shown_records> snapshot_;
  /// An agent whose name is claimed.
  struct named_agent {
    request_id number = 0; // of its add_agent()
    caf::actor_addr who;
    std::function<void(const problem&)> on_name_taken;
  };

  std::map<std::string, named_agent> named_;
  /// Where the services are.
  bool is_leading_ = false;
  shell<liveness, member_state> liveness_;

  static constexpr std::size_t page = 500;
  static constexpr std::size_t max_namesakes = 16;
};

} // namespace troupe::cluster
