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
#include <utility>
#include <vector>

#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/stateful_actor.hpp"
#include "caf/system_messages.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/worker_thread.hpp"
#include "troupe/host/client.hpp"
#include "troupe/host/watcher.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/health_checker.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/router/router.hpp"
#include "troupe/scheduler/messages.hpp"

namespace troupe::cluster {

/// What a member has to know.
struct member_setup {
  std::string id;
  std::string name;
  boot_number boot = 0;
  bool is_host = false;
  duration lost_after{};
  duration heartbeat_every{};
  /// How often unhealthy agents are pinged.
  duration check_every{};
  registry_client registry;
  names_client names;
  scheduler_client scheduler;
  router::router_access router;
  std::function<void(const std::string&)> log;
  /// The router knows all that the registry knew when it was asked.
  std::function<void()> caught_up;
};

/// Speaks for one node in the cluster: says who it is and what agents it has, again
/// whenever the registry may have forgotten; follows what the others say, so that the
/// router finds them; makes links when there is something to send. On the host of the
/// cluster it also declares nodes lost whose link stays away.
class member_state {
public:
  static inline const char* name = "troupe.member";

  using done_handler = std::function<void(problem)>;

  /// In the metadata of nodes without a data folder.
  static constexpr const char* fleeting_mark = "fleeting";

  member_state(caf::event_based_actor* self, member_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      own_(setup_.id, setup_.boot),
      timers_(self),
      health_(self, setup_.registry, [this](const std::string& node) { return router_of(node); }) {
    self_->set_down_handler([this](const caf::down_msg& gone) {
      if (auto found = guarded_.extract(gone.source))
        setup_.log("service " + found.mapped() + " ended: " + to_string(gone.reason)
                   + "; restart the node");
    });
  }

  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {[](caf::ok_atom) {}}; // lives on the actions that arrive
  }

  /// Begins to follow the registry; `gate` outlives this actor.
  void start(net::gate* gate) {
    gate_ = gate;
    watcher_.emplace(self_->system(), setup_.registry, registry::watch_records{},
                     [this, home = caf::weak_actor_ptr{self_->ctrl()}](
                       const result<registry::record_changes>& news) {
                       if (news)
                         run_on(home, [this, what = *news] { follow(what); });
                     });
    beat();
    if (setup_.is_host && setup_.check_every > duration::zero())
      check_health();
  }

  /// The registry can be reached, or again: says everything anew.
  void bound() {
    announce_all();
    claim_again();
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
    announce({own_.put(std::move(what))});
  }

  /// Registers an agent and calls `done` once the cluster knows it. Ids that end with
  /// "@" and the name of the node are its own and need no claim.
  void add_agent(const std::string& id, const agent_options& how, done_handler done) {
    registry::record made;
    made.key = {registry::record_kind::agent, id, setup_.id};
    made.capabilities = how.capabilities;
    made.groups = how.groups;
    made.metadata = how.metadata;
    made.registered = now_utc();
    if (how.on_name_taken)
      on_name_taken_[id] = how.on_name_taken;
    auto at = id.rfind('@');
    if (at != std::string::npos && id.substr(at + 1) != setup_.name)
      return done({errc::bad_argument, "agent id '" + id.substr(0, 64)
                                         + "' names another node; "
                                           "end it with @"
                                         + setup_.name + " or leave out the @"});
    if (how.unique && at == std::string::npos)
      return claim(id, {std::move(made), std::move(done)});
    made.key.name = unclaimed(id);
    if (at == std::string::npos)
      made.capabilities.insert(id); // several may have it
    show(made);
    announce({own_.put(std::move(made))}, std::move(done));
  }

  void remove_agent(const std::string& id) {
    setup_.router.run([id, node = setup_.id](router::router_state& state) {
      state.remove_agent(id);
      state.places().remove(id, node);
    });
    on_name_taken_.erase(id);
    claiming_.erase(id);
    auto gone = own_.remove(registry::record_kind::agent, id);
    if (!gone)
      gone = own_.remove(registry::record_kind::agent, unclaimed(id));
    if (gone) {
      announce({*gone});
      if (gone->token != 0)
        release({id});
    }
  }

  /// Takes back all that this node ever said, for good. Calls `done` once all services have
  /// heard it, with the first problem.
  void leave(done_handler done) {
    std::vector<registry::record> gone;
    std::vector<std::string> names;
    for (auto& each : own_.all())
      if (auto removed = own_.remove(each.key.kind, each.key.name)) {
        if (removed->token != 0)
          names.push_back(removed->key.name);
        gone.push_back(std::move(*removed));
      }
    auto heard = once_all(3, std::move(done));
    release(std::move(names), heard);
    ask(setup_.scheduler, scheduler::worker_lost{setup_.id, setup_.boot, {}},
        [heard](const auto& answer) { heard(answer ? problem{} : answer.error()); });
    announce(std::move(gone), heard);
  }

  // -- links -------------------------------------------------------------------------

  void link_up(const net::link_ptr& which) {
    auto& peer = which->peer();
    if (peer.as == net::role::client)
      return; // asks, and is not asked
    auto id = to_string(peer.node);
    links_[id] = which;
    setup_.router.run([id, number = which->number(),
                       entry = which->entry_point()](router::router_state& state) mutable {
      if (entry)
        state.link_up(id, number, std::move(entry));
    });
    if (!setup_.is_host)
      return;
    left_.erase(id);
    if (auto pending = lost_timers_.extract(id))
      timers_.cancel(pending.mapped());
    judge(id, peer.boot, registry::record_status::active);
  }

  void link_down(const net::link_ptr& which, const std::string& why) {
    auto& peer = which->peer();
    auto id = to_string(peer.node);
    auto found = links_.find(id);
    if (found == links_.end() || found->second->number() != which->number())
      return; // another link has taken its place
    links_.erase(found);
    setup_.router.run(
      [id, number = which->number()](router::router_state& state) { state.link_down(id, number); });
    if (!setup_.is_host || left_.erase(id) > 0)
      return;
    setup_.log("link to node " + called(id) + " lost (" + why + "); its work goes to others in "
               + to_string(setup_.lost_after) + " unless it comes back");
    lost_timers_[id] = timers_.after(setup_.lost_after, [this, id, boot = peer.boot] {
      lost_timers_.erase(id);
      declare_lost(id, boot);
    });
  }

  /// The router has something for `node`.
  void link_wanted(const std::string& node) {
    dial(node, [this, node](const result<net::link_ptr>& got) {
      if (!got)
        setup_.router.run(
          [node, why = got.error()](router::router_state& state) { state.link_failed(node, why); });
    });
  }

  /// Neither side uses the link: it is made again for the next message.
  void link_idle(const std::string& node, net::connection_id number) {
    if (auto found = links_.find(node); found != links_.end() && found->second->number() == number)
      found->second->close("idle");
  }

  /// Gives the entry point of a node, by its name or id, with a link if there is none. The
  /// link then stays until it is lost.
  void find_entry(const std::string& called,
                  std::function<void(result<caf::strong_actor_ptr>)> done) {
    auto found = std::ranges::find_if(
      nodes_, [&](auto& each) { return each.first == called || each.second.name == called; });
    if (found == nodes_.end())
      return done(problem{errc::not_found, "no node '" + called.substr(0, 64)
                                             + "' is known; check its name, or wait until it has "
                                               "joined"});
    auto here = [home = caf::weak_actor_ptr{self_->ctrl()},
                 done = std::move(done)](result<caf::strong_actor_ptr> got) {
      run_on(home, [done, got = std::move(got)] { done(got); });
    };
    setup_.router.run(
      [node = found->first, here](router::router_state& state) { state.reach(node, here); });
  }

  /// Stops to follow; part of the end of the node.
  void stop() {
    watcher_.reset();
    self_->quit();
  }

private:
  struct unclaimed_agent {
    registry::record what;
    done_handler done;
  };

  struct known_node {
    std::string name;
    std::vector<registry::endpoint> endpoints;
    /// It has no data folder: once it has ended, nobody comes back under its id.
    bool is_fleeting = false;
  };

  static wall_time now_utc() {
    return wall_time{
      std::chrono::duration_cast<duration>(std::chrono::system_clock::now().time_since_epoch())};
  }

  /// As the registry wants names that nobody claimed: with the id of their node.
  [[nodiscard]] std::string unclaimed(const std::string& agent) const {
    return agent + '@' + setup_.id;
  }

  /// What routers know of an agent.
  static router::location place_of(const registry::record& what) {
    auto& [kind, name, owner] = what.key;
    auto agent = what.token == 0 && name.ends_with('@' + owner)
                   ? name.substr(0, name.size() - owner.size() - 1)
                   : name;
    return {std::move(agent), owner, what.capabilities, what.groups, what.load};
  }

  /// For people.
  [[nodiscard]] std::string called(const std::string& node) const {
    auto found = nodes_.find(node);
    return found != nodes_.end() && !found->second.name.empty() ? found->second.name
                                                                : node.substr(0, 8);
  }

  /// Makes a link to a node that is known; `done` gets it on this actor.
  void dial(const std::string& node, std::function<void(const result<net::link_ptr>&)> done) {
    auto found = nodes_.find(node);
    auto who = node_id::from_string(node);
    if (found == nodes_.end() || found->second.endpoints.empty() || !who)
      return done(problem{errc::unreachable, "the address of node " + called(node)
                                               + " is not known; retry once it is registered"});
    auto& where = found->second.endpoints.front();
    auto tell
      = [done = std::move(done), home = caf::weak_actor_ptr{self_->ctrl()}](
          result<net::link_ptr> got) { run_on(home, [done, got = std::move(got)] { done(got); }); };
    resolver_.run([gate = gate_, address = net::address{where.host, where.port}, who = *who, tell] {
      auto endpoints = net::resolve(address);
      if (endpoints)
        gate->dial(std::move(*endpoints), who, tell);
      else
        tell(endpoints.error());
    });
  }

  /// Asks a service; `then` gets the answer on this actor, if it still lives.
  template <class Client, class Request, class Then>
  void ask(Client& service, const Request& what, Then then) {
    service.async(
      what, answer_within,
      [home = caf::weak_actor_ptr{self_->ctrl()}, then](result<typename Request::result> answer) {
        run_on(home, [then, answer = std::move(answer)] { then(answer); });
      });
  }

  /// Returns a handler that calls `done`, with the first problem, when it is called for the
  /// last of `count` times.
  static done_handler once_all(std::size_t count, done_handler done) {
    struct tally {
      std::size_t missing;
      problem first;
      done_handler done;
    };
    auto shared = std::make_shared<tally>(tally{count, {}, std::move(done)});
    return [shared](problem why) {
      if (shared->first.code == errc::none)
        shared->first = std::move(why);
      if (--shared->missing == 0)
        shared->done(shared->first);
    };
  }

  // -- what this node says -------------------------------------------------------------

  void announce(std::vector<registry::record> what, done_handler done = {}) {
    if (!done)
      done = [this](const problem& why) { log_refusal(why); };
    if (what.empty())
      return done({});
    constexpr std::size_t page = 500;
    auto tell = once_all((what.size() + page - 1) / page, std::move(done));
    for (std::size_t first = 0; first < what.size(); first += page) {
      auto last = std::min(first + page, what.size());
      auto at
        = [&](std::size_t index) { return what.begin() + static_cast<std::ptrdiff_t>(index); };
      setup_.registry.async(
        registry::put_records{{at(first), at(last)}}, answer_within,
        [this, tell,
         home = caf::weak_actor_ptr{self_->ctrl()}](result<registry::put_report> answer) {
          run_on(home, [this, tell, answer = std::move(answer)] { announced(answer, tell); });
        });
    }
  }

  /// What was taken back has no need to be said again once a registry has heard it all.
  void announce_all() {
    announce(own_.all(), [this, boot = own_.boot(), version = own_.version()](const problem& why) {
      if (why.code == errc::none && boot == own_.boot())
        own_.confirm(version);
      log_refusal(why);
    });
  }

  void log_refusal(const problem& why) {
    if (why.code != errc::none && why.code != errc::unreachable)
      setup_.log("the registry did not take a record: " + why.detail);
  }

  void announced(const result<registry::put_report>& answer, const done_handler& tell) {
    if (answer && answer->clashing > 0)
      setup_.log("another live process has this node's identity; stop one of the two, data "
                 "folders must not be copied");
    if (answer && answer->stale > 0)
      rise();
    tell(answer ? problem{} : answer.error());
  }

  /// The registry may have heard of a later life of this node: if so, goes above it.
  void rise() {
    if (std::exchange(rising_, true))
      return;
    ask(setup_.registry, registry::find_owner{setup_.id},
        [this](const result<registry::owner_view>& found) {
          rising_ = false;
          if (found && own_.rise_above(*found))
            speak_anew();
        });
  }

  /// The same, for what the service of names has heard.
  void rise_over_names() {
    if (std::exchange(rising_, true))
      return;
    ask(setup_.names, registry::names::list_claims{setup_.id, {}, 1},
        [this](const result<registry::names::claim_page>& found) {
          rising_ = false;
          if (!found || found->claimed.empty() || found->claimed.front().boot <= own_.boot())
            return;
          own_.rise_above(found->claimed.front().boot);
          speak_anew();
        });
  }

  void speak_anew() {
    setup_.log("this node's identity was heard of with a later start (is its data folder restored "
               "or copied?); it goes on as start "
               + std::to_string(own_.boot()));
    announce_all();
    claim_again();
  }

  void beat() {
    ask(setup_.registry, registry::heartbeat{setup_.id, own_.boot()},
        [this](const result<registry::owner_view>& answer) {
          if (answer)
            return;
          if (answer.error().code == errc::not_found)
            announce_all(); // it has forgotten
          else if (answer.error().code == errc::conflict)
            rise();
        });
    timers_.after(setup_.heartbeat_every, [this] { beat(); });
  }

  // -- names ---------------------------------------------------------------------------

  void claim(const std::string& id, unclaimed_agent what) {
    claiming_.insert(id);
    auto shared = std::make_shared<unclaimed_agent>(std::move(what));
    ask(setup_.names, registry::names::claim{{id}, setup_.id, own_.boot()},
        [this, id, shared](const result<registry::names::claims>& answer) {
          auto wanted = claiming_.erase(id) > 0;
          if (!answer) {
            on_name_taken_.erase(id);
            if (answer.error().code == errc::conflict)
              rise_over_names();
            else if (answer.error().code != errc::name_taken)
              release({id}); // it may have been granted
            return shared->done(answer.error());
          }
          if (!wanted) {
            release({id});
            return shared->done({errc::withdrawn, "agent '" + id
                                                    + "' ended before the cluster "
                                                      "knew it"});
          }
          shared->what.token = answer->claimed.front().token;
          show(shared->what);
          announce({own_.put(std::move(shared->what))}, std::move(shared->done));
        });
  }

  /// The service of names may have forgotten, or this is a new boot: whoever had a name
  /// keeps it, unless another was faster.
  void claim_again() {
    std::vector<std::string> names;
    for (auto& each : own_.all())
      if (each.token != 0 && !each.removed)
        names.push_back(each.key.name);
    for (std::size_t first = 0; first < names.size(); first += max_claims) {
      auto last = std::min(first + max_claims, names.size());
      claim_again({names.begin() + static_cast<std::ptrdiff_t>(first),
                   names.begin() + static_cast<std::ptrdiff_t>(last)});
    }
  }

  void claim_again(const std::vector<std::string>& names) {
    ask(setup_.names, registry::names::claim{names, setup_.id, own_.boot()},
        [this, names](const result<registry::names::claims>& answer) {
          if (answer)
            return keep_tokens(answer->claimed);
          if (answer.error().code == errc::conflict)
            return rise_over_names();
          if (answer.error().code != errc::name_taken)
            return setup_.log("names could not be claimed anew: " + answer.error().detail);
          if (names.size() == 1)
            return lose_name(names.front(), answer.error());
          for (auto& each : names) // all or none: see which it was
            claim_again(std::vector{each});
        });
  }

  /// Records carry the tokens of their claims.
  void keep_tokens(const std::vector<registry::names::name_claim>& claims) {
    std::vector<registry::record> changed;
    for (auto& each : claims) {
      auto known = own_.find(registry::record_kind::agent, each.name);
      if (!known || known->token == each.token)
        continue;
      known->token = each.token;
      changed.push_back(own_.put(std::move(*known)));
    }
    announce(std::move(changed));
  }

  /// Another has a newer claim: the agent gets nothing more from here on, and is told.
  void lose_name(const std::string& id, const problem& why) {
    setup_.log("agent '" + id + "' has lost its name: " + why.detail);
    auto told = on_name_taken_.extract(id);
    setup_.router.run([id, why, is_told = static_cast<bool>(told),
                       node = setup_.id](router::router_state& state) {
      auto agent = state.remove_agent(id);
      state.places().remove(id, node);
      if (agent && !is_told)
        agent->enqueue(nullptr, caf::make_message_id(),
                       caf::make_message(caf::exit_msg{agent->address(), to_error(why)}), nullptr);
    });
    if (auto gone = own_.remove(registry::record_kind::agent, id))
      announce({*gone});
    if (told)
      told.mapped()(why);
  }

  void release(
    std::vector<std::string> names, done_handler done = [](const problem&) {}) {
    if (names.empty())
      return done({});
    auto tell = once_all((names.size() + max_claims - 1) / max_claims, std::move(done));
    for (std::size_t first = 0; first < names.size(); first += max_claims) {
      auto last = std::min(first + max_claims, names.size());
      ask(setup_.names,
          registry::names::release{{names.begin() + static_cast<std::ptrdiff_t>(first),
                                    names.begin() + static_cast<std::ptrdiff_t>(last)},
                                   setup_.id,
                                   own_.boot()},
          [tell](const auto& answer) { tell(answer ? problem{} : answer.error()); });
    }
  }

  /// Agents of this node are found here before the registry has told of them.
  void show(const registry::record& what) {
    setup_.router.run([where = place_of(what)](router::router_state& state) mutable {
      state.places().put(std::move(where));
    });
  }

  // -- what others say -----------------------------------------------------------------

  void follow(const registry::record_changes& news) {
    if (news.complete) {
      nodes_.clear();
      health_.clear();
      setup_.router.run([](router::router_state& state) { state.places().clear(); });
      for (auto& each : own_.all())
        if (each.key.kind == registry::record_kind::agent && !each.removed)
          show(each);
    }
    for (auto& each : news.changes) {
      auto& value = each.what.value;
      auto shown = registry::is_shown(each.kind);
      if (value.key.kind == registry::record_kind::node) {
        follow_node(value, shown);
        if (setup_.is_host && each.kind == registry::change_kind::lost)
          settle_lost(value.key.owner);
        if (setup_.is_host && each.kind == registry::change_kind::removed)
          follow_leave(value);
      }
      if (value.key.kind != registry::record_kind::agent)
        continue;
      if (shown && !each.what.healthy)
        health_.add(value.key, place_of(value).agent);
      else
        health_.remove(value.key);
      if (auto lost = own_name_lost(each); !lost.empty())
        lose_name(value.key.name, {errc::name_taken, std::move(lost)});
      else if (value.key.owner != setup_.id)
        follow_agent(value, shown && each.what.status == registry::record_status::active);
    }
    if (!news.more)
      setup_.caught_up();
  }

  /// Returns who has the name of an agent of this node now, for people; empty if that is
  /// no news.
  [[nodiscard]] std::string own_name_lost(const registry::change& news) const {
    auto& value = news.what.value;
    auto own = own_.find(registry::record_kind::agent, value.key.name);
    if (!own || own->token == 0)
      return {};
    if (value.key.owner == setup_.id)
      return news.kind == registry::change_kind::taken && value.token == own->token
               ? "another node has a newer claim to '" + value.key.name + "'"
               : std::string{};
    return registry::is_shown(news.kind) && value.token > own->token
             ? "node " + called(value.key.owner) + " has a newer claim to '" + value.key.name + "'"
             : std::string{};
  }

  void follow_node(const registry::record& what, bool shown) {
    if (!shown)
      nodes_.erase(what.key.owner);
    else
      nodes_[what.key.owner]
        = {what.key.name, what.endpoints, what.metadata.contains(fleeting_mark)};
  }

  void follow_agent(const registry::record& what, bool shown) {
    setup_.router.run([where = place_of(what), shown](router::router_state& state) mutable {
      if (shown)
        state.places().put(std::move(where));
      else
        state.places().remove(where.agent, where.node);
    });
  }

  // -- the host's part -------------------------------------------------------------------

  void check_health() {
    health_.check();
    timers_.after(setup_.check_every, [this] { check_health(); });
  }

  /// Null if there is no link.
  caf::strong_actor_ptr router_of(const std::string& node) const {
    if (node == setup_.id)
      return caf::actor_cast<caf::strong_actor_ptr>(setup_.router.handle());
    auto link = links_.find(node);
    return link != links_.end() ? link->second->entry_point() : nullptr;
  }

  /// Its link will end, or has ended already: that is no loss.
  void follow_leave(const registry::record& what) {
    setup_.log("node " + what.key.name + " has left");
    auto& id = what.key.owner;
    if (links_.contains(id))
      left_.insert(id);
    if (auto pending = lost_timers_.extract(id))
      timers_.cancel(pending.mapped());
  }

  /// Passes a verdict on the latest life of a node that the registry knows: it may have
  /// gone above the one it greeted with.
  void judge(const std::string& node, boot_number boot, registry::record_status liveness) {
    ask(setup_.registry, registry::find_owner{node},
        [this, node, boot, liveness](const result<registry::owner_view>& heard) {
          auto is_linked = links_.contains(node);
          if (is_linked != (liveness == registry::record_status::active))
            return; // late
          auto latest = heard ? std::max(heard->boot, boot) : boot;
          setup_.registry.async(registry::verdict{node, latest, liveness}, answer_within,
                                [](const auto&) {});
          auto known = nodes_.find(node);
          if (!is_linked && known != nodes_.end() && known->second.is_fleeting)
            free_names(node, latest);
        });
  }

  /// The registry has nothing of `node` any more: if it was forgotten, its names are free.
  void settle_lost(const std::string& node) {
    ask(setup_.registry, registry::find_owner{node},
        [this, node](const result<registry::owner_view>& heard) {
          if (heard && heard->over)
            free_names(node, heard->boot);
        });
  }

  /// A node that is there all the same claims them again, or loses them.
  void free_names(const std::string& node, boot_number boot) {
    setup_.names.async(registry::names::owner_gone{node, boot}, answer_within, [](const auto&) {});
  }

  void declare_lost(const std::string& node, boot_number boot) {
    setup_.log("node " + called(node) + " is lost; its tasks run elsewhere");
    judge(node, boot, registry::record_status::disconnected);
    setup_.scheduler.async(scheduler::worker_lost{node, boot, {}}, answer_within,
                           [](const auto&) {});
  }

  static constexpr duration answer_within = std::chrono::seconds{10};
  /// As name_options::max_batch.
  static constexpr std::size_t max_claims = 1'000;

  caf::event_based_actor* self_;
  member_setup setup_;
  registry::own_records own_;
  timer_queue<caf::event_based_actor> timers_;
  net::gate* gate_ = nullptr;
  std::optional<host::watcher<registry::registry_protocol, registry::watch_records>> watcher_;
  std::map<caf::actor_addr, std::string> guarded_;
  /// Of agents that want to be told.
  std::map<std::string, std::function<void(const problem&)>> on_name_taken_;
  /// Claims under way whose agents still live.
  std::set<std::string> claiming_;
  std::map<std::string, known_node> nodes_;
  std::map<std::string, net::link_ptr> links_;
  std::map<std::string, timer_queue<caf::event_based_actor>::id> lost_timers_;
  /// Nodes that have left and are linked yet.
  std::set<std::string> left_;
  health_checker health_;
  bool rising_ = false;
  worker_thread resolver_;
};

} // namespace troupe::cluster
