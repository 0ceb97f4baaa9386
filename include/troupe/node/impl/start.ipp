#ifndef TROUPE_NODE_IMPL_START_IPP
#define TROUPE_NODE_IMPL_START_IPP

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <ios>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/actor_registry.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/cluster/datagram_log.hpp"
#include "troupe/cluster/departure.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/core/caf/answer_path.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/access_part.hpp"
#include "troupe/node/datagram_metrics.hpp"
#include "troupe/node/founding.hpp"
#include "troupe/node/impl/inside.ipp"
#include "troupe/node/join_desk.hpp"
#include "troupe/node/leader_hint.hpp"
#include "troupe/node/link_rules.hpp"
#include "troupe/node/member_part.hpp"
#include "troupe/node/membership_part.hpp"
#include "troupe/node/node_shell.hpp"
#include "troupe/node/swim_thread.hpp"
#include "troupe/node/trust_part.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/router/router_access.hpp"

/// How a node starts and joins its cluster.
namespace troupe {

inline problem node::inside::set_up() {
  if (auto why = open_membership_log())
    return why;
  auto shell = std::make_shared<caf::weak_actor_ptr>();
  router::router_events asks;
  asks.link_wanted = [shell](const node_id& where) {
    run_on_member(*shell, [where](cluster::member_part& state) { state.links().want(where); });
  };
  asks.agent_ended = [shell](const agent_id& agent) {
    run_on_member(*shell, [agent](cluster::member_part& state) { state.agent_ended(agent); });
  };
  asks.called = [shell](const node_id& node, const agent_id& agent, router::call_end how) {
    run_on_member(*shell, [node, agent, how](cluster::member_part& state) {
      state.call_ended(node, agent,
                       how == router::call_end::answered    ? registry::call_outcome::succeeded
                       : how == router::call_end::timed_out ? registry::call_outcome::timed_out
                                                            : registry::call_outcome::unreachable);
    });
  };
  if (data_.is_durable())
    if (auto why = open_group())
      return why;
  auto in_memory = is_founder() && !group_;
  // By value: in an actor system of somebody else the router may outlive this node.
  asks.leave = [this, shell, in_memory, name = options_.name,
                ends = static_cast<bool>(options_.on_leave_asked)](
                 bool force, duration deliver_within, const kept_messages& kept,
                 departure_handler done) {
    if (!ends)
      return done(problem{errc::failed, "the program of node " + name
                                          + " does not end when asked to; end it where it runs"});
    auto there = shell->lock();
    if (!there)
      return done(
        problem{errc::cancelled, "this node ends already; see troupe status whether it has left"});
    auto made = wish_to_leave({force, deliver_within}, in_memory, kept);
    run_on(there,
           [this, made = std::move(made), done = std::move(done)] { ask_to_leave(made, done); });
  };
  asks.departure_heard = [unheard = unheard_reports_] { unheard->heard(); };
  asks.maintain = [this, shell](bool on, done_handler done) {
    if (auto there = shell->lock()) // as long as that lives, so does this
      run_on(there, [this, on, done = std::move(done)] { maintain(on, done); });
    else
      done({errc::cancelled, "this node has stopped"});
  };
  asks.link_idle = [shell](const node_id& where, net::connection_id number) {
    run_on_member(*shell, [where, number](cluster::member_part& state) {
      state.links().close_idle(where, number);
    });
  };
  // What the node that leads knows of the others it knows by their links.
  router_.emplace(
    *system_, data_.self().id, options_.router, std::move(asks),
    router::idle_options{.idle_after = options_.links.idle_after,
                         .link_timeout = options_.links.table.link_timeout,
                         .keeps_all = in_memory},
    [peers = peers_](const caf::strong_actor_ptr& from) { return peers->peer_of(from); },
    data_.self().boot);
  router_->run([](router::router_state& router) { router.await_all(); });
  if (auto why = open_outbox())
    return why;
  system_->registry().put(answer_path::name,
                          caf::actor_cast<caf::strong_actor_ptr>(router_->handle()));
  begin_shell();
  *shell = caf::actor_cast<caf::weak_actor_ptr>(shell_);
  prepare_founding();
  if (auto why = open_gate())
    return why;
  auto founds = is_founder();
  if (founds)
    if (auto why = look_for_cluster())
      return why;
  on_member([gate = gate_.get()](cluster::member_part& state) { state.start(gate); });
  on_trust([gate = gate_.get()](cluster::trust_part& state) { state.start(gate); });
  begin_membership();
  say_who_i_am(in_memory);
  if (group_)
    if (auto why = take_seat())
      return why;
  if (founds)
    if (auto why = group_ ? found_group() : host_services())
      return why;
  if (!founds && founding_)
    return begin_founding();
  start_search();
  if (founds)
    await_lead();
  return {};
}

inline void node::inside::begin_shell() {
  auto board = std::make_shared<cluster::hint_board>(*router_, group_ != nullptr);
  cluster::node_setup how{.member = member_setup(), .membership = membership_setup()};
  if (credentials_)
    how.trust = trust_setup();
  if (group_) {
    how.voters = group_->voters(options_);
    how.here = [this] { return group_->here(); };
  }
  how.finder = {.addresses = addresses(),
                .retry = options_.retry,
                .check_at_rest = std::chrono::seconds{30},
                .has_guide = false};
  how.access = access_events(std::move(board));
  shell_ = system_->spawn<caf::stateful_actor<cluster::node_shell>>(std::move(how));
  say_where(cluster::knowledge_name);
  say_where(cluster::membership_name);
  if (credentials_)
    say_where(cluster::trust_name);
  clients_->know_by(caf::actor_cast<caf::strong_actor_ptr>(shell_));
  clients_->on_doubt([shell = shell_] {
    cluster::run_on_part<cluster::access_part>(
      shell, [](cluster::access_part& access) { access.doubt(); });
  });
}

inline cluster::trust_setup node::inside::trust_setup() const {
  cluster::trust_setup made{data_.path(), credentials_, peers_, log_};
  if (options_.on_revoked)
    made.lost = options_.on_revoked;
  return made;
}

inline problem node::inside::open_outbox() {
  if (!data_.is_durable())
    return {};
  auto file = std::make_unique<router::detail::outbox_file>(data_.path() / outbox_name);
  auto kept = file->load();
  if (!kept)
    return of_outbox(std::move(kept).error());
  auto last = kept->empty() ? 0 : kept->back().place;
  auto keeper = std::make_shared<router::detail::outbox_keeper>(
    std::move(file), last, std::chrono::milliseconds{10},
    [log = log_](const problem& why) { log.follow("messages cannot be kept on the disk", why); });
  router_->run([log = log_, keeper = std::move(keeper),
                kept = *std::move(kept)](router::router_state& router) mutable {
    auto [known, unread] = router.go_on_with(std::move(keeper), std::move(kept));
    if (known > 0)
      log("goes on with " + std::to_string(known) + (known == 1 ? " message" : " messages")
          + " that it had accepted before");
    if (auto dead = router.statistics().dead_letters; dead > 0)
      log("has " + std::to_string(dead) + (dead == 1 ? " dead letter" : " dead letters")
          + " of messages that it had accepted before");
    if (!unread.empty())
      log.warn(std::to_string(unread.size())
               + " of the messages that it had accepted before cannot be delivered, and stay in "
               + std::string{outbox_name} + ": " + unread.front().detail);
  });
  return {};
}

inline problem node::inside::of_file(problem why, const std::string& name,
                                     const std::string& after) {
  auto& said = why.detail;
  if (auto advice = said.find("restore a backup"); advice != std::string::npos) {
    said.resize(said.rfind("; ", advice));
    said += "; move it and all files beside it whose names begin with " + name + " away" + after;
  }
  return why;
}

inline problem node::inside::of_outbox(problem why) {
  return of_file(std::move(why), outbox_name,
                 ", as no backup has them: the messages in them are not delivered then");
}

inline problem node::inside::open_membership_log() {
  if (options_.membership_log.empty())
    return {};
  membership_file_.open(options_.membership_log, std::ios::app);
  if (!membership_file_)
    return {errc::failed, "the membership log " + options_.membership_log.string()
                            + " cannot be written; make sure that its folder exists"};
  membership_log_.emplace(membership_file_, options_.name);
  return {};
}

inline cluster::membership_setup node::inside::membership_setup() const {
  cluster::membership_setup made;
  made.key = data_.key().public_half();
  made.credentials = credentials_;
  made.peers = peers_;
  made.log = log_;
  return made;
}

inline cluster::sealed_swim_setup node::inside::life_among_members() const {
  auto agreement = security::key_agreement::make();
  auto salt = random_id<security::boot_salt>();
  cluster::offer_of_life offers{
    data_.self().id, data_.self().boot, {agreement.public_half(), salt}};
  return {data_.key().public_half(),
          data_.self().boot,
          agreement,
          salt,
          data_.key().sign(cluster::to_be_signed(offers)),
          credentials_ ? credentials_->own_certificate() : std::string{},
          options_.membership};
}

inline void node::inside::begin_membership() {
  auto where = own_address();
  if (auto port = datagrams_.front().local().port(); port != port_)
    where.port = port;
  swim_ = std::make_unique<cluster::swim_thread>(
    life_among_members(), random_seed(), data_.key(), std::move(datagrams_), to_string(where),
    [shell = shell_,
     log = membership_log_ ? &*membership_log_ : nullptr](cluster::sealed_swim::effects all) {
      auto now = time_point{std::chrono::steady_clock::now().time_since_epoch()};
      for (auto& what : all)
        if (auto* seen = std::get_if<cluster::swim::shows>(&what);
            seen != nullptr && log != nullptr)
          log->write(now, *seen);
      cluster::run_on_part<cluster::membership_part>(
        shell,
        [all = std::move(all)](cluster::membership_part& state) mutable { state.perform(all); });
    },
    [log = log_,
     metrics = cluster::datagram_metrics{*system_}](const cluster::datagram_log::report& what) {
      metrics.dropped(what.more);
      for (auto& line : what.lines)
        troupe::visit([&log](auto& each) { log.perform(each); }, line);
    });
  on_membership([thread = swim_.get()](cluster::membership_part& state) { state.start(thread); });
}

inline problem node::inside::wait_until(progress what, duration wait, const std::stop_token& stop) {
  std::stop_callback wakes{stop, [this] {
                             std::lock_guard guard{mutex_};
                             changed_.notify_all();
                           }};
  std::unique_lock guard{mutex_};
  auto is_over = [&] {
    auto is_enough = caught_up_ || what == progress::has_services;
    return (joined_ && is_enough) || stopped_ || stop.stop_requested() || dispute_.lost();
  };
  auto in_time = changed_.wait_for(guard, std::min(wait, longest_span), is_over);
  if (stop.stop_requested())
    return {errc::cancelled, "node " + options_.name + " was asked to stop before it had joined"};
  if (stopped_)
    return {errc::cancelled, "this node has stopped"};
  if (auto& twin = dispute_.lost())
    return {errc::in_use, "node " + options_.name + " (" + to_string(data_.self().id)
                            + ") cannot join its cluster: " + twin->detail};
  if (in_time)
    return {};
  if (why_)
    return why_;
  auto text = "node " + options_.name + " has not joined its cluster within " + in_words(wait);
  if (joined_)
    return {errc::timed_out, text + ": it is still told who is there; wait longer"};
  return {errc::timed_out, text + (no_way_ ? ": " + no_way_.detail : "")
                             + "; start a node there, name others to join, or wait longer "
                               "(node_options::join, wait_joined)"};
}

inline problem node::inside::note_try(const problem& how) {
  std::lock_guard guard{mutex_};
  dispute_.tried(time_point{std::chrono::steady_clock::now().time_since_epoch()}, how);
  no_way_ = dispute_.reason_of(how);
  changed_.notify_all();
  return no_way_;
}

inline cluster::member_setup node::inside::member_setup() {
  cluster::member_setup made{data_.self().id,
                             options_.name,
                             data_.self().boot,
                             !data_.is_durable(),
                             options_.lost_after,
                             options_.services.registry.check_every,
                             clients_->names,
                             clients_->scheduler,
                             *router_,
                             log_,
                             [this] {
                               router_->run(
                                 [](router::router_state& router) { router.knows_all(); });
                               std::lock_guard guard{mutex_};
                               caught_up_ = true;
                               changed_.notify_all();
                             }};
  made.risen = [this](boot_number boot) { on_shell([this, boot] { rise_above(boot - 1); }); };
  made.show
    = [this](std::function<void(const cluster::node_view&)> then) { show(std::move(then)); };
  made.nodes = finder();
  made.bounds = options_.services.registry;
  made.records = records_;
  made.forget_after = options_.membership.keep_gone;
  made.revision_floor = random_seed() >> 12U; // exact in JSON
  return made;
}

inline void node::inside::say_where(const char* called) {
  router_->run(
    [called, handle = caf::actor_cast<caf::strong_actor_ptr>(shell_)](router::router_state& state) {
      state.set_service(called, {handle, {}});
    });
}

inline std::vector<net::address> node::inside::addresses() const {
  auto result = options_.join;
  for (auto& each : data_.self().met)
    if (auto known = net::address::from_string(each);
        known && std::ranges::find(result, *known) == result.end())
      result.push_back(*known);
  return result;
}

inline problem node::inside::open_gate() {
  net::hello self;
  self.cluster = data_.self().cluster;
  self.node = data_.self().id;
  self.boot = data_.self().boot;
  net::link_events events;
  events.on_up = [this](const net::link_ptr& which) {
    if (auto entry = which->entry_point())
      router_->answer_over(which->number(), std::move(entry));
    on_member([which](cluster::member_part& state) { state.link_up(which); });
    on_trust([which](cluster::trust_part& state) { state.link_up(which); });
    on_membership([which](cluster::membership_part& state) { state.link_up(which); });
  };
  events.on_down = [this](const net::link_ptr& which, const std::string& why) {
    router_->answer_no_more_over(which->number());
    on_member([which, why](cluster::member_part& state) { state.link_down(which, why); });
    on_trust([which](cluster::trust_part& state) { state.link_down(which); });
    on_membership([which](cluster::membership_part& state) { state.link_down(which); });
    on_access([number = which->number()](cluster::access_part& state) { state.link_down(number); });
  };
  events.on_silent = [this](const net::link_ptr& which) {
    on_membership([which](cluster::membership_part& state) { state.link_silent(*which); });
  };
  events.on_outlived
    = [this](boot_number heard) { on_shell([this, heard] { rise_above(heard); }); };
  events.on_dropped = [log = log_](const net::link_ptr& which, const std::string& why) {
    auto who = which->who(); // by name or kind: ids of clients are new each time
    auto whose = who.name.empty() ? "a " + std::string{name_of(who.as)} : "'" + who.name + "'";
    log.complain("messages of " + whose + " are dropped", why);
  };
  events.on_refused = [log = log_](const std::string& line) { log.warn(line); };
  if (credentials_) {
    auto certified = credentials_->self();
    log_("links are encrypted; the certificate of " + certified.name + " is valid until "
         + to_rfc3339(certified.valid_until));
    if (certified.name != options_.name)
      log_.warn("this node is called '" + options_.name + "', and its certificate says '"
                + certified.name
                + "', by which it is revoked and renewed; leave node_options::name out, or have "
                  "one issued with that name");
  }
  for (auto& each : data_.warnings())
    log_.warn(each);
  // What the router sends goes on only as far as the link has room.
  events.on_full = [this](const net::link_ptr& which) { tell_router(which, true); };
  events.on_drained = [this](const net::link_ptr& which) { tell_router(which, false); };
  auto made = net::gate::start(*system_, std::move(self),
                               caf::actor_cast<caf::strong_actor_ptr>(router_->handle()),
                               std::move(events), options_.links,
                               {credentials_, cluster::link_rules(options_.services), peers_,
                                options_.allow_spawn, open_desk(), founders_desk()});
  if (!made)
    return made.error();
  gate_ = std::move(*made);
  for (auto& each : listeners_.refused)
    log_.warn("no links at one address of " + options_.listen.host + ": " + each.detail);
  port_ = listeners_.port;
  for (auto& each : listeners_.sockets)
    kept_listeners_.push_back(net::duplicate(each));
  for (auto& each : listeners_.sockets)
    if (auto accepts = gate_->listen(std::move(each)); !accepts)
      return accepts.error();
  return {};
}

inline net::join_desk node::inside::open_desk() {
  if (!credentials_)
    return {};
  auto find = [this](security::issuer_id issuer, auto done) {
    on_member([digits = to_string(issuer), done](cluster::member_part& state) {
      done(state.nodes().address_of_prefix(digits));
    });
  };
  desk_.emplace(ca_, data_.self().id, std::move(find), log_);
  return
    [this](net::join_inquiry what, auto done) { desk_->ask(std::move(what), std::move(done)); };
}

inline net::founders_desk node::inside::founders_desk() const {
  if (!founding_)
    return {};
  return [founding = founding_](net::founding_inquiry what, auto done) {
    founding->hear(std::move(what), std::move(done));
  };
}

inline void node::inside::say_who_i_am(bool is_host) {
  auto where = own_address();
  registry::record self;
  self.key = {registry::record_kind::node, options_.name, {}};
  self.endpoints = {{where.host, where.port}};
  self.metadata["release"] = to_string(library_version);
  if (!data_.is_durable())
    self.metadata[cluster::known_nodes::fleeting_mark] = "yes";
  self.metadata["role"] = is_host ? "host" : "member";
  if (data_.self().maintenance)
    self.status = registry::record_status::maintenance;
  on_member([self](cluster::member_part& state) { state.put(self); });
}

} // namespace troupe

#endif
