#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_addr.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/message_handler.hpp"
#include "caf/result.hpp"
#include "caf/system_messages.hpp"
#include "caf/typed_response_promise.hpp"
#include "troupe/cluster/agent_change.hpp"
#include "troupe/cluster/claims.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/liveness.hpp"
#include "troupe/cluster/node_core.hpp"
#include "troupe/cluster/record_exchange.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/shell.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/core/owner_id.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/peer_links.hpp"
#include "troupe/node/registry_reader.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/node/service_request.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/registry/local_records.hpp"
#include "troupe/router/router_access.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/scheduler/worker_maintenance.hpp"

namespace troupe::cluster {

/// What a member has to know, and whom it tells. All are called on its actor; none may block.
struct member_setup {
  node_id id;
  std::string name;
  boot_number boot = 0;
  /// It has no data folder.
  bool is_fleeting = false;
  duration lost_after{};
  /// How often unhealthy agents are pinged.
  duration check_every{};
  names_client names;
  scheduler_client scheduler;
  router::router_access router;
  node_log log;
  /// The router knows all that others knew when this node joined them.
  std::function<void()> caught_up;
  /// Calls what it is given with what this node knows of its cluster, on any thread.
  std::function<void(std::function<void(const node_view&)>)> show{};
  /// Who asks what this node knows.
  node_finder nodes{};
  /// Of what it knows of others.
  registry::registry_options bounds{};
  /// Shows what it knows of others to this process.
  std::shared_ptr<registry::local_records> records = std::make_shared<registry::local_records>();
  /// See node_core_options, as the next one.
  duration forget_after{};
  std::uint64_t revision_floor = 0;
  /// Says from here on that the records of this node are these.
  std::function<void(const registry::records_head&)> restate = [](const registry::records_head&) {};
  /// Asks that member, and gives the answer to answered().
  std::function<void(const record_exchange::ask&)> ask_member = [](const record_exchange::ask&) {};
  /// A member knows something later of another one.
  std::function<void(const record_exchange::learned&)> learned
    = [](const record_exchange::learned&) {};
  /// See node_core::presence.
  std::function<void(const known_nodes::presence&)> seen = [](const known_nodes::presence&) {};
  /// A link to a node is up, or down.
  std::function<void(const net::link_ptr&)> linked = [](const net::link_ptr&) {};
  std::function<void(const node_id&)> unlinked = [](const node_id&) {};
  /// What a node says of itself: where it is, or that it has left.
  std::function<void(const node_id&, const registry::record&)> node_is
    = [](const node_id&, const registry::record&) {};
  std::function<void(const node_id&, boot_number)> node_left = [](const node_id&, boot_number) {};
  /// The members show a node alive, or suspect it; or show it dead or stopped, or have forgotten
  /// it.
  std::function<void(const node_id&, bool is_there)> shows = [](const node_id&, bool) {};
  /// The identities of these nodes are revoked, and no others.
  std::function<void(const std::set<node_id>&)> revoked = [](const std::set<node_id>&) {};
  /// Others have heard of a later life of this node: keep this boot, then call go_on_as().
  std::function<void(boot_number)> risen = [](boot_number) {};
};

/// Speaks for one node in the cluster: carries out what its `node_core` decides, so that the router
/// finds the agents of all nodes, and makes links when there is something to send. Part of a
/// node_shell.
class member_part {
public:
  member_part(caf::event_based_actor* self, member_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      core_(self, this,
            node_core_options{
              .node = setup_.id,
              .name = setup_.name,
              .boot = setup_.boot,
              .claims = {.is_fleeting = setup_.is_fleeting},
              .liveness = {.lost_after = setup_.lost_after, .check_every = setup_.check_every},
              .table = setup_.bounds,
              .revision_floor = setup_.revision_floor,
              .forget_after = setup_.forget_after}),
      reader_(self, core_.machine().table(), setup_.nodes),
      workers_(self, this, setup_.id),
      links_(self, setup_.router, nodes()) {
    reader_.await_all();
    self_->set_down_handler([this](const caf::down_msg& gone) {
      if (auto found = guarded_.extract(gone.source))
        setup_.log.fail("service " + found.mapped() + " ended: " + to_string(gone.reason)
                        + "; restart the node");
    });
  }

  member_part(const member_part&) = delete;
  member_part& operator=(const member_part&) = delete;

  ~member_part() {
    setup_.records->show(nullptr);
  }

  /// For what others ask it.
  caf::message_handler handlers() {
    return {
      [this](const show_node&) { return show(); },
      [this](const registry::get_record& what) { return answer(what); },
      [this](const registry::find_records& what) { return answer(what); },
      [this](const registry::find_owner& what) { return answer(what); },
      [this](const registry::count_records& what) { return answer(what); },
      [this](const registry::watch_records& what) { return answer(what); },
    };
  }

  /// `gate` outlives this actor.
  void start(net::gate* gate) {
    links_.start(gate);
  }

  /// The services are on this node from here on; see node_core::lead.
  void lead(bool is_alone) {
    core_.step(node_core::lead{is_alone});
  }

  /// The services are elsewhere from here on.
  void follow() {
    core_.step(node_core::follow{});
  }

  /// The services can be reached, or again.
  void bound() {
    if (!std::exchange(was_bound_, true))
      reader_.finds_others();
    core_.step(claims::bound{});
  }

  /// This node goes on as that boot, which its folder has: somebody has heard of an earlier one.
  void go_on_as(boot_number now) {
    for (auto& [version, each] : std::exchange(unsaid_, {}))
      each({});
    core_.step(claims::risen{now});
  }

  /// See node_core::expelled.
  void expel(cluster::node_core::expelled what) {
    setup_.revoked(what.nodes);
    core_.step(std::move(what));
  }

  // -- members -----------------------------------------------------------------------

  /// What the members say.
  void hear(node_core::event what) {
    if (auto* shown = std::get_if<node_core::member_is>(&what))
      setup_.shows(shown->who, member_standings::is_there(shown->is));
    else if (auto* gone = std::get_if<node_core::member_forgotten>(&what))
      setup_.shows(gone->who, false);
    core_.step(std::move(what));
  }

  /// What this node has said of itself, as all know it from here on.
  void spoke(const signed_statement& what) {
    core_.step(record_exchange::spoke{what});
  }

  /// Says to members at once what has changed of what this node says. Calls `done` once it has.
  void say_all(done_handler done) {
    unsaid_.emplace(book().version(), std::move(done));
    core_.step(record_exchange::hurry{});
  }

  /// Calls `done` with what this node knows of what others ask for.
  void ask_records(std::vector<record_wish> what,
                   std::function<void(std::vector<told_records>)> done) {
    auto number = ++last_asker_;
    wishers_.emplace(number, std::move(done));
    core_.step(record_exchange::asked{std::move(what)}, number);
  }

  /// The answer to an ask_member of that id.
  void answered(request_id id, std::optional<std::vector<told_records>> what) {
    core_.step(record_exchange::answered{std::move(what)}, id);
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
    core_.step(claims::put{std::move(what)});
  }

  /// Its replica of the group has ended. Its process goes on, and people should hear of it.
  void replica_ended() {
    auto own = book().find(registry::record_kind::node, setup_.name);
    if (!own)
      return;
    own->metadata[known_nodes::ended_mark] = "yes";
    put(*std::move(own));
  }

  /// Registers the agent `who` and calls `done` once this node has its name and says so. Ids that
  /// end with
  /// "@" and the name of the node are its own and need no claim. Returns a number for
  /// give_up_agent().
  request_id add_agent(const agent_id& id, const caf::actor_addr& who, const agent_options& how,
                       done_handler done) {
    registry::record made;
    made.key.name = id.text();
    made.capabilities = how.capabilities;
    made.groups = how.groups;
    made.metadata = how.metadata;
    made.registered = read_calendar();
    auto number = ++last_asker_;
    if (how.unique)
      named_[id] = {number, who, how.on_name_taken};
    askers_.emplace(number, [this, id, number, done = std::move(done)](const problem& why) {
      if (why)
        forget_named(id, number);
      done(why);
    });
    core_.step(node_core::add_agent{std::move(made), how.unique}, number);
    return number;
  }

  /// Nobody waits for that add_agent() any more: takes back what it has done, or yet does. By now
  /// another agent may have the id; that one stays.
  void give_up_agent(const agent_id& id, request_id number) {
    forget_named(id, number);
    core_.step(claims::remove{id}, number);
  }

  /// Says that this node is in maintenance, or no longer is, and has its workers get nothing new.
  /// Calls `done` once the scheduler has heard it.
  void maintain(bool on, done_handler done) {
    if (!book().find(registry::record_kind::node, setup_.name))
      return done({}); // it says so when it begins to speak
    auto heard = once_all(2, std::move(done));
    step_then(node_core::maintain{on}, heard);
    askers_.emplace(++last_asker_, heard);
    workers_.step(scheduler::worker_maintenance::want{on}, last_asker_);
  }

  /// Changes an agent of this node and calls `done` once it says so.
  void update_agent(const agent_id& id, const agent_change& how, done_handler done) {
    step_then(node_core::update_agent{id, how}, std::move(done));
  }

  void remove_agent(const agent_id& id) {
    setup_.router.run([id](router::router_state& state) { state.remove_agent(id); });
    agent_ended(id);
  }

  /// The router hands nothing to it any more. It may have another agent of that id already.
  void agent_ended(const agent_id& id) {
    named_.erase(id);
    core_.step(claims::remove{id});
  }

  /// So a call of somebody on this node to an agent of another one has ended.
  void call_ended(const node_id& node, const agent_id& agent, registry::call_outcome how) {
    core_.step(node_core::call_ended{node, agent, how});
  }

  /// Takes back all that this node ever said, for good. Calls `done` once the services have heard
  /// it, and it is what members get to hear, with the first problem. `in_vain`: it is known that
  /// nobody leads, and so that the services will not hear it.
  void leave(done_handler done, bool in_vain = false) {
    leaves_in_vain_ = in_vain;
    auto heard = once_all(3, std::move(done));
    step_then(claims::leave{}, heard);
    say_all(heard);
    ask_service(
      self_, setup_.scheduler, scheduler::worker_lost{setup_.id, book().boot(), {}},
      [heard](const auto& answer) { heard(answer ? problem{} : answer.error()); }, in_vain);
  }

  // -- links -------------------------------------------------------------------------

  void link_up(const net::link_ptr& which) {
    if (!links_.up(which))
      return;
    core_.step(liveness::link_up{which->peer().node, which->peer().boot});
    setup_.linked(which);
  }

  void link_down(const net::link_ptr& which, const std::string& why) {
    if (!links_.down(which))
      return;
    auto& peer = which->peer();
    core_.step(liveness::link_down{peer.node, peer.boot, why});
    setup_.unlinked(peer.node);
  }

  [[nodiscard]] const known_nodes& nodes() const {
    return core_.machine().nodes();
  }

  [[nodiscard]] peer_links& links() {
    return links_;
  }

  /// Part of the end of the actor.
  void stop() {
    reader_.stop();
  }

private:
  friend class shell<node_core, member_part>;
  friend class shell<scheduler::worker_maintenance, member_part>;

  /// As of now.
  template <class Question>
  caf::result<typename Question::result> answer(const Question& what) {
    core_.tick();
    return reader_.answer(what);
  }

  // -- its workers -----------------------------------------------------------------------

  void perform(const scheduler::worker_maintenance::list& what) {
    ask_service(self_, setup_.scheduler, scheduler::list_workers{.after = what.after},
                [this, id = what.id](const result<scheduler::worker_list>& answer) {
                  workers_.step(scheduler::worker_maintenance::listed{answer}, id);
                });
  }

  void perform(const scheduler::worker_maintenance::tell& what) {
    ask_service(self_, setup_.scheduler, scheduler::set_maintenance{what.worker, what.on},
                [this, id = what.id](const auto& answer) {
                  workers_.step(scheduler::worker_maintenance::told{answer.error_or({})}, id);
                });
  }

  void perform(scheduler::worker_maintenance::done& what) {
    if (auto found = askers_.extract(what.id))
      found.mapped()(what.why);
  }

  // -- names ---------------------------------------------------------------------------

  [[nodiscard]] const registry::own_records& book() const {
    return core_.machine().book();
  }

  [[nodiscard]] std::unique_lock<std::mutex> lock(const node_core&) const {
    return setup_.records->lock();
  }

  void stepped(const node_core& core) {
    reader_.look();
    while (!unsaid_.empty() && unsaid_.begin()->first <= core.said_version())
      unsaid_.extract(unsaid_.begin()).mapped()({});
  }

  /// `done` is kept until the core says how it ended.
  void step_then(node_core::event what, done_handler done) {
    auto id = ++last_asker_;
    askers_.emplace(id, std::move(done));
    core_.step(std::move(what), id);
  }

  void perform(claims::ask& what) {
    auto send = [&]<class Words>(const Words& words) {
      ask_service(
        self_, setup_.names, words,
        [this, id = what.id](const result<typename Words::result>& heard) {
          core_.step(claims::heard<typename Words::result>{heard}, id);
        },
        leaves_in_vain_);
    };
    troupe::visit(send, what.what);
  }

  void perform(claims::done& what) {
    if (auto found = askers_.extract(what.id))
      found.mapped()(what.why);
  }

  void perform(claims::rise& what) {
    setup_.risen(what.boot);
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
      if (auto thrown = guarded([&] { agent.on_name_taken(what.why); }))
        setup_.log.warn("on_name_taken of agent " + what.name.text() + " threw: " + thrown.detail);
  }

  void forget_named(const agent_id& id, request_id number) {
    if (auto found = named_.find(id); found != named_.end() && found->second.number == number)
      named_.erase(found);
  }

  // -- who is found ------------------------------------------------------------------------

  void perform(node_core::found& what) {
    auto& said = what.what;
    router::location where{std::move(what.id),
                           what.node,
                           std::move(said.capabilities),
                           std::move(said.groups),
                           said.load,
                           what.rests,
                           what.ill};
    setup_.router.run([where = std::move(where)](router::router_state& state) mutable {
      state.found(std::move(where));
    });
  }

  void perform(const node_core::gone& what) {
    setup_.router.run([agent = what.id, node = what.node, returns = what.returns](
                        router::router_state& state) { state.gone(agent, node, returns); });
  }

  void perform(node_core::found_only& what) {
    setup_.router.run([places = std::move(what.agents)](router::router_state& state) {
      state.places().keep_others(places);
    });
  }

  void perform(const node_core::node_is& what) {
    setup_.node_is(what.node, what.what);
  }

  void perform(const node_core::node_left& what) {
    setup_.node_left(what.node, what.boot);
  }

  void perform(const node_core::presence& what) {
    setup_.seen(what);
  }

  void perform(const node_core::caught_up&) {
    reader_.knows_all();
    setup_.records->show(&core_.machine().table()); // until now, who looks asks the reader
    setup_.caught_up();
  }

  template <class Words>
  requires requires(const node_log& log, const Words& what) {
    log.perform(what);
  }
  void perform(const Words& what) {
    setup_.log.perform(what);
  }

  // -- what this node knows --------------------------------------------------------------

  caf::result<node_view> show() {
    constexpr std::size_t most = 1'000;
    if (shown_to_.size() >= most)
      return to_error({errc::busy, std::to_string(most)
                                     + " questions what this node knows wait for an answer; retry "
                                       "with backoff"});
    auto promise = self_->make_response_promise<node_view>();
    // It stays here: CAF counts who has it without a lock.
    auto number = ++last_asker_;
    shown_to_.emplace(number, promise);
    setup_.show([this, home = caf::weak_actor_ptr{self_->ctrl()}, number](const node_view& seen) {
      run_on(home, [this, number, seen] {
        if (auto found = shown_to_.extract(number))
          found.mapped().deliver(seen);
      });
    });
    return promise;
  }

  // -- the part of the leader ------------------------------------------------------------

  void perform(liveness::list_names& what) {
    ask_service(self_, setup_.names, what.what,
                [this, id = what.id](const result<registry::names::claim_page>& heard) {
                  core_.step(liveness::names_listed{heard}, id);
                });
  }

  void perform(liveness::list_workers& what) {
    ask_service(self_, setup_.scheduler,
                scheduler::list_workers{scheduler::worker_id{what.above}, what.limit},
                [this, id = what.id](const result<scheduler::worker_list>& heard) {
                  if (!heard)
                    return core_.step(liveness::workers_listed{heard.error()}, id);
                  std::vector<liveness::worker> found;
                  for (auto& each : heard->workers)
                    found.push_back({each.worker.value, each.owner, each.boot,
                                     each.state == scheduler::worker_state::silent});
                  core_.step(liveness::workers_listed{std::move(found)}, id);
                });
  }

  void perform(liveness::give_up& what) {
    tell_service(setup_.scheduler, scheduler::worker_lost{what.owner, what.boot, {}});
  }

  void perform(liveness::free_names& what) {
    tell_service(setup_.names, registry::names::owner_gone{what.owner, what.boot});
  }

  void perform(liveness::ping& what) {
    auto there = router_of(what.node);
    if (!there)
      return core_.step(liveness::pong{false}, what.id);
    compat::relay(
      self_, there, what.wait, caf::make_message(router::envelope{what.agent, compat::ping()}),
      [this, id = what.id](const caf::message&) { core_.step(liveness::pong{true}, id); },
      [this, id = what.id](const caf::error&) { core_.step(liveness::pong{false}, id); });
  }

  // -- the records of others -------------------------------------------------------------

  void perform(const record_exchange::restate& what) {
    setup_.restate(what.what);
  }

  void perform(const record_exchange::ask& what) {
    setup_.ask_member(what);
  }

  void perform(record_exchange::reply& what) {
    if (auto found = wishers_.extract(what.id))
      found.mapped()(std::move(what.what));
  }

  void perform(const record_exchange::learned& what) {
    setup_.learned(what);
  }

  /// Null if there is no link.
  caf::strong_actor_ptr router_of(const node_id& node) const {
    if (node == setup_.id)
      return caf::actor_cast<caf::strong_actor_ptr>(setup_.router.handle());
    return links_.entry_point(node);
  }

  caf::event_based_actor* self_;
  member_setup setup_;
  shell<node_core, member_part> core_;
  registry_reader reader_;
  bool was_bound_ = false;
  shell<scheduler::worker_maintenance, member_part> workers_;
  peer_links links_;
  std::map<request_id, done_handler> askers_;
  /// Who has asked what this node knows.
  std::map<request_id, caf::typed_response_promise<node_view>> shown_to_;
  bool leaves_in_vain_ = false;
  request_id last_asker_ = 0;
  std::map<caf::actor_addr, std::string> guarded_;
  /// Who has asked what this node knows of the records of others.
  std::map<request_id, std::function<void(std::vector<told_records>)>> wishers_;
  /// Who waits until members are told what this node says up to that version.
  std::multimap<std::uint64_t, done_handler> unsaid_;
  /// An agent whose name is claimed.
  struct named_agent {
    request_id number = 0; // of its add_agent()
    caf::actor_addr who;
    std::function<void(const problem&)> on_name_taken;
  };

  std::map<agent_id, named_agent> named_;
};

} // namespace troupe::cluster
