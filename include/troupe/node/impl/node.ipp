#ifndef TROUPE_NODE_IMPL_NODE_IPP
#define TROUPE_NODE_IMPL_NODE_IPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "caf/abstract_actor.hpp"
#include "caf/actor_registry.hpp"
#include "caf/send.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/membership_log.hpp"
#include "troupe/core/caf/answer_path.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/print_to_stderr.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/guarded.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/core/secret.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/net/listeners.hpp"
#include "troupe/node/agent_tasks.hpp"
#include "troupe/node/check_options.hpp"
#include "troupe/node/cluster_access.hpp"
#include "troupe/node/group_part.hpp"
#include "troupe/node/identity.hpp"
#include "troupe/node/join_desk.hpp"
#include "troupe/node/leader_hint.hpp"
#include "troupe/node/link_rules.hpp"
#include "troupe/node/made_agents.hpp"
#include "troupe/node/member.hpp"
#include "troupe/node/membership_keeper.hpp"
#include "troupe/node/node.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/own_authority.hpp"
#include "troupe/node/own_system.hpp"
#include "troupe/node/proofs.hpp"
#include "troupe/node/services.hpp"
#include "troupe/node/swim_thread.hpp"
#include "troupe/node/trust_keeper.hpp"
#include "troupe/node/undertaker.hpp"
#include "troupe/node/voters_client.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/registry/registry_client.hpp"
#include "troupe/router/router.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/scheduler/workflow_client.hpp"

namespace troupe {

/// All that a node is made of; its parts are wired in set_up().
struct node::inside {
  inside(node_options given, cluster::data_folder folder, net::listeners opened,
         std::vector<net::datagram_socket> datagrams, net::credentials_ptr proofs,
         std::optional<security::authority> ca, caf::actor_system* sys)
    : options_(std::move(given)),
      data_(std::move(folder)),
      listeners_(std::move(opened)),
      datagrams_(std::move(datagrams)),
      credentials_(std::move(proofs)),
      ca_(data_.path(), data_.self().id, std::move(ca)),
      boot_(std::make_shared<std::atomic<boot_number>>(data_.self().boot)) {
    if (options_.name.empty())
      options_.name
        = credentials_ ? credentials_->self().name : to_string(data_.self().id).substr(0, 8);
    log_ = {options_.name, options_.log};
    if (sys == nullptr) {
      own_system_ = std::make_unique<cluster::own_system<node_config>>();
      print_to_stderr(own_system_->system());
    }
    *in_maintenance_ = data_.self().maintenance;
    system_ = sys != nullptr ? sys : &own_system_->system();
    host::client_options how;
    how.doubt_after = {}; // the access looks after the host at rest, too
    how.on_throw = warn_of_throw();
    clients_.emplace(*system_, how);
  }

  ~inside() {
    stop();
    router_.reset();
    clients_.reset();
    member_ = access_ = trust_ = keeper_ = nullptr;
    end_system(); // before the gate
  }

  [[nodiscard]] std::function<void(const problem&)> warn_of_throw() const {
    return
      [log = log_](const problem& why) { log.warn("a handler of an answer threw: " + why.detail); };
  }

  [[nodiscard]] node_finder finder() const {
    return [peers = peers_, process = system_->node(),
            own = std::make_shared<const std::string>(to_string(data_.self().id))](
             const caf::strong_actor_ptr& from) -> shared_node_id {
      return from && from->node() == process ? own : peers->id_of(from);
    };
  }

  // -- start and stop --------------------------------------------------------------------

  problem set_up() {
    if (auto why = open_membership_log())
      return why;
    auto id = to_string(data_.self().id);
    auto member = std::make_shared<caf::weak_actor_ptr>();
    router::router_events asks;
    asks.link_wanted = [member](const std::string& where) {
      run_on_member(*member, [where](cluster::member_state& state) { state.links().want(where); });
    };
    asks.agent_ended = [member](const std::string& agent) {
      run_on_member(*member, [agent](cluster::member_state& state) { state.agent_ended(agent); });
    };
    asks.called
      = [member](const std::string& node, const std::string& agent, router::call_end how) {
          run_on_member(*member, [node, agent, how](cluster::member_state& state) {
            state.call_ended(node, agent,
                             how == router::call_end::answered ? registry::call_outcome::succeeded
                             : how == router::call_end::timed_out
                               ? registry::call_outcome::timed_out
                               : registry::call_outcome::unreachable);
          });
        };
    if (data_.is_durable())
      if (auto why = open_group())
        return why;
    auto in_memory = is_founder() && !group_;
    // By value: in an actor system of somebody else the router may outlive this node.
    asks.may_leave = [tell = options_.on_leave_asked, name = options_.name, in_memory](bool force) {
      return tell ? refuse_to_leave(name, in_memory, {force})
                  : problem{errc::failed, "the program of node " + name
                                            + " does not end when asked to; end it where it runs"};
    };
    asks.leave = [tell = options_.on_leave_asked, is_told = false](bool force) mutable {
      if (!std::exchange(is_told, true))
        tell({force});
    };
    auto access = std::make_shared<caf::weak_actor_ptr>();
    asks.maintain = [this, access](bool on, done_handler done) {
      if (auto there = access->lock()) // as long as that lives, so does this
        run_on(there, [this, on, done = std::move(done)] { maintain(on, done); });
      else
        done({errc::cancelled, "this node has stopped"});
    };
    asks.link_idle = [member](const std::string& where, net::connection_id number) {
      run_on_member(*member, [where, number](cluster::member_state& state) {
        state.links().close_idle(where, number);
      });
    };
    // What the node that leads knows of the others it knows by their links.
    router_.emplace(
      *system_, id, options_.router, std::move(asks),
      router::idle_options{.idle_after = options_.links.idle_after, .keeps_all = in_memory},
      [peers = peers_](const caf::strong_actor_ptr& from) { return peers->peer_of(from); });
    system_->registry().put(answer_path::name,
                            caf::actor_cast<caf::strong_actor_ptr>(router_->handle()));
    auto board = std::make_shared<cluster::hint_board>(*router_, group_ != nullptr);
    member_ = system_->spawn<caf::stateful_actor<cluster::member_state>>(member_setup());
    *member = caf::actor_cast<caf::weak_actor_ptr>(member_);
    say_where(cluster::knowledge_name, member_);
    keep_membership(member);
    if (credentials_)
      keep_trust();
    access_ = system_->spawn<caf::stateful_actor<cluster::access_state>>(
      cluster::finder_options{.addresses = addresses(), .retry = options_.retry},
      access_events(std::move(board)));
    *access = caf::actor_cast<caf::weak_actor_ptr>(access_);
    if (auto why = open_gate())
      return why;
    auto founds = is_founder();
    if (founds)
      if (auto why = look_for_cluster())
        return why;
    on_member([gate = gate_.get()](cluster::member_state& state) { state.start(gate); });
    on_trust([gate = gate_.get()](cluster::trust_keeper& state) { state.start(gate); });
    begin_membership();
    say_who_i_am(in_memory);
    if (auto why = group_ ? take_seat(founds) : founds ? host_services() : problem{})
      return why;
    on_access([gate = gate_.get(), self = own_address()](cluster::access_state& state) {
      state.start(gate, self);
    });
    if (founds)
      await_lead();
    return {};
  }

  /// Of a node with certificates.
  void keep_trust() {
    cluster::trust_setup how{data_.path(), credentials_, peers_, log_};
    how.changed = [keeper = keeper_, credentials = credentials_] {
      run_on_state<cluster::membership_keeper>(
        keeper, [own = credentials->own_certificate()](cluster::membership_keeper& state) {
          state.certificate_is(own);
          state.look_at_certificates();
        });
    };
    trust_ = system_->spawn<caf::stateful_actor<cluster::trust_keeper>>(std::move(how));
    say_where(cluster::trust_name, trust_);
  }

  problem open_membership_log() {
    if (options_.membership_log.empty())
      return {};
    membership_file_.open(options_.membership_log, std::ios::app);
    if (!membership_file_)
      return {errc::failed, "the membership log " + options_.membership_log.string()
                              + " cannot be written; make sure that its folder exists"};
    membership_log_.emplace(membership_file_, options_.name);
    return {};
  }

  void keep_membership(const std::shared_ptr<caf::weak_actor_ptr>& member) {
    cluster::membership_setup how;
    how.self = data_.self().id;
    how.credentials = credentials_;
    how.peers = peers_;
    how.log = log_;
    how.find_entry = [member](const std::string& node, auto done) {
      run_on_member(*member, [node, done](cluster::member_state& state) {
        state.links().find_entry(node, done, false);
      });
    };
    how.shows = [member](const cluster::swim::shows& what) {
      run_on_member(*member, [what](cluster::member_state& state) { state.members_show(what); });
    };
    keeper_ = system_->spawn<caf::stateful_actor<cluster::membership_keeper>>(std::move(how));
    say_where(cluster::membership_name, keeper_);
  }

  /// With keys that no other life has had.
  [[nodiscard]] cluster::sealed_swim_setup life_among_members() const {
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

  /// From here on this node is a member.
  void begin_membership() {
    auto where = own_address();
    if (auto port = datagrams_.front().local().port(); port != port_)
      where.port = port;
    swim_ = std::make_unique<cluster::swim_thread>(
      life_among_members(), random_seed(), data_.key(), std::move(datagrams_), to_string(where),
      [keeper = keeper_,
       log = membership_log_ ? &*membership_log_ : nullptr](cluster::sealed_swim::effect& what) {
        if (auto* seen = std::get_if<cluster::swim::shows>(&what);
            seen != nullptr && log != nullptr)
          log->write(time_point{std::chrono::steady_clock::now().time_since_epoch()}, *seen);
        run_on_state<cluster::membership_keeper>(
          keeper, [what = std::move(what)](cluster::membership_keeper& state) mutable {
            state.perform(what);
          });
      });
    on_keeper([thread = swim_.get()](cluster::membership_keeper& state) { state.start(thread); });
  }

  /// Founds a cluster, if nobody is found who has one.
  [[nodiscard]] bool is_founder() const {
    return data_.self().cluster == cluster_id{} && (options_.join.empty() || options_.bootstrap);
  }

  /// Nobody else could lead: it is a matter of a moment.
  void await_lead() {
    std::unique_lock guard{mutex_};
    changed_.wait_for(guard, std::chrono::seconds{5}, [this] { return is_host_; });
  }

  problem wait_joined(duration wait, const std::stop_token& stop = {}) {
    std::stop_callback wakes{stop, [this] {
                               std::lock_guard guard{mutex_};
                               changed_.notify_all();
                             }};
    std::unique_lock guard{mutex_};
    auto is_over = [&] { return (joined_ && caught_up_) || stopped_ || stop.stop_requested(); };
    auto in_time = changed_.wait_for(guard, std::min(wait, longest_span), is_over);
    if (stop.stop_requested())
      return {errc::cancelled, "node " + options_.name + " was asked to stop before it had joined"};
    if (stopped_)
      return {errc::cancelled, "this node has stopped"};
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

  cluster::member_setup member_setup() {
    cluster::member_setup made{to_string(data_.self().id),
                               options_.name,
                               data_.self().boot,
                               !data_.is_durable(),
                               options_.lost_after,
                               options_.services.registry.heartbeat_every,
                               options_.services.registry.check_every,
                               clients_->registry,
                               clients_->names,
                               clients_->scheduler,
                               *router_,
                               log_,
                               [this] {
                                 std::lock_guard guard{mutex_};
                                 caught_up_ = true;
                                 changed_.notify_all();
                               }};
    made.risen = [this](boot_number boot) {
      on_access([this, boot](cluster::access_state&) { rise_above(boot - 1); });
    };
    made.show
      = [this](std::function<void(const cluster::node_view&)> then) { show(std::move(then)); };
    made.bounds = options_.services.registry;
    if (group_)
      group_->listen_to(made);
    return made;
  }

  /// Calls `then` with what this node knows of its cluster, on any thread.
  void show(std::function<void(const cluster::node_view&)> then) const {
    cluster::node_view seen;
    seen.node = to_string(data_.self().id);
    seen.name = options_.name;
    auto [links, count] = peers_->list(cluster::node_view::max_links);
    seen.all_links = count;
    for (auto& [who, is_proven] : links)
      seen.links.push_back({to_string(who.node), who.name, std::string{name_of(who.as)},
                            std::string{name_of(who.may)}, is_proven ? "1.3" : "",
                            who.valid_until});
    if (credentials_)
      seen.certificate_valid_until = credentials_->self().valid_until;
    on_keeper([this, seen = std::move(seen),
               then = std::move(then)](cluster::membership_keeper& keeper) mutable {
      keeper.show(std::move(seen), [this, then = std::move(then)](cluster::node_view shown) {
        show_group(std::move(shown), then);
      });
    });
  }

  void show_group(cluster::node_view seen,
                  std::function<void(const cluster::node_view&)> then) const {
    on_access([this, seen = std::move(seen), own = to_string(own_address()),
               then = std::move(then)](cluster::access_state& access) mutable {
      access.show(seen, own);
      if (!group_)
        return then(seen);
      group_->show([seen = std::move(seen), votes = access.votes(), then = std::move(then)](
                     const cluster::voters_view& group, const problem& why) mutable {
        seen.group = group;
        if (votes || why)
          seen.why = why;
        then(seen);
      });
    });
  }

  /// The actor that answers for this node under that name.
  void say_where(const char* called, const caf::actor& which) {
    router_->run([called, handle = caf::actor_cast<caf::strong_actor_ptr>(which)](
                   router::router_state& state) {
      state.set_service(called, {handle, {}});
    });
  }

  // -- the group -------------------------------------------------------------------------

  problem open_group() {
    // What a founder left that was killed before its cluster had a name: nobody has heard of it.
    if (data_.self().cluster == cluster_id{})
      if (auto why = data_.discard(log_file))
        return why;
    cluster::group_surroundings around;
    around.node = to_string(data_.self().id);
    around.nodes = finder();
    around.address = [this] { return own_address(); };
    around.entry = [this] { return entry(); };
    around.on_member = [this](auto job) { on_member(std::move(job)); };
    around.on_access = [this](auto job) { on_access(std::move(job)); };
    around.set_timeout = [this](const net::link_ptr& which, duration silence) {
      gate_->set_timeout(which, silence);
    };
    around.log = log_;
    around.seated = [this](bool is_seated) {
      // Those to other members are needed, used or not.
      router_->run([is_seated](router::router_state& state) { state.keep_links(is_seated); });
    };
    auto opened = cluster::group_part::open(*system_, data_.file(log_file), options_,
                                            !addresses().empty(), std::move(around));
    if (!opened)
      return opened.error();
    group_ = std::move(*opened);
    return {};
  }

  problem take_seat(bool founds) {
    auto& self = data_.self();
    auto& seat = group_->own_seat();
    if (self.host && seat.is_new() && addresses().empty())
      return {errc::damaged, "this node founded its cluster, and its log is gone from "
                               + data_.file(log_file).string()
                               + "; restore a backup, or give nodes of the cluster to join"};
    on_member([all = seat.services()](cluster::member_state& state) { state.guard(all); });
    seat.start();
    router_->run([gauges = seat.gauges()](router::router_state& state) {
      state.set_gauges({gauges.begin(), gauges.end()});
    });
    say_where(cluster::seat_name, seat.voters());
    if (!founds)
      return {};
    if (auto why = seat.found({to_string(self.id), to_string(own_address())}))
      return why;
    // Only now, or a crash between would leave a cluster without a group.
    return found_cluster();
  }

  /// Nobody has heard of the cluster before.
  problem found_cluster() {
    auto cluster = random_id<cluster_id>();
    if (auto why = data_.belong_to(cluster, true, {}))
      return why;
    gate_->found(cluster);
    return {};
  }

  /// Shows and changes the voters.
  [[nodiscard]] cluster::voters_client voters() {
    return {*system_,
            [this] {
              std::lock_guard guard{mutex_};
              return voters_;
            },
            [this] {
              std::lock_guard guard{mutex_};
              return has_no_voters_ ? cluster::voters_client::no_voters() : why_;
            }};
  }

  [[nodiscard]] bool has_leader() {
    std::lock_guard guard{mutex_};
    return voters_ != nullptr;
  }

  problem leave_group(const leave_options& how) {
    return group_ ? group_->leave(voters(), has_leader(), how) : problem{};
  }

  static problem refuse_to_leave(const std::string& name, bool is_host, const leave_options& how) {
    if (!is_host || how.force)
      return {};
    return {errc::in_use, "node " + name
                            + " hosts the services of its cluster, and no other node can take "
                              "them over yet; stop it to start it again later, or force it to "
                              "leave (leave_options::force)"};
  }

  [[nodiscard]] std::vector<net::address> addresses() const {
    auto result = options_.join;
    for (auto& each : data_.self().met)
      if (auto known = net::address::from_string(each);
          known && std::ranges::find(result, *known) == result.end())
        result.push_back(*known);
    return result;
  }

  problem open_gate() {
    net::hello self;
    self.cluster = data_.self().cluster;
    self.node = data_.self().id;
    self.boot = data_.self().boot;
    net::link_events events;
    events.on_up = [this](const net::link_ptr& which) {
      if (auto entry = which->entry_point())
        router_->answer_over(which->number(), std::move(entry));
      on_member([which](cluster::member_state& state) { state.link_up(which); });
      on_trust([which](cluster::trust_keeper& state) { state.link_up(which); });
      on_keeper([which](cluster::membership_keeper& state) { state.link_up(which); });
    };
    events.on_down = [this](const net::link_ptr& which, const std::string& why) {
      router_->answer_no_more_over(which->number());
      on_member([which, why](cluster::member_state& state) { state.link_down(which, why); });
      on_trust([which](cluster::trust_keeper& state) { state.link_down(which); });
      on_keeper([which](cluster::membership_keeper& state) { state.link_down(which); });
      on_access(
        [number = which->number()](cluster::access_state& state) { state.link_down(number); });
    };
    events.on_outlived = [this](boot_number heard) {
      on_access([this, heard](cluster::access_state&) { rise_above(heard); });
    };
    events.on_dropped = [log = log_](const net::link_ptr& which, const std::string& why) {
      auto who = which->who(); // by name or kind: ids of clients are new each time
      auto whose = who.name.empty() ? "a " + std::string{name_of(who.as)} : "'" + who.name + "'";
      log.complain("messages of " + whose + " are dropped", why);
    };
    events.on_refused = [log = log_](const std::string& line) { log.warn(line); };
    if (credentials_)
      log_("links are encrypted; the certificate of " + credentials_->self().name
           + " is valid until " + to_rfc3339(credentials_->self().valid_until));
    for (auto& each : data_.warnings())
      log_.warn(each);
    // What the router sends goes on only as far as the link has room.
    events.on_full = [this](const net::link_ptr& which) { tell_router(which, true); };
    events.on_drained = [this](const net::link_ptr& which) { tell_router(which, false); };
    auto made = net::gate::start(*system_, std::move(self),
                                 caf::actor_cast<caf::strong_actor_ptr>(router_->handle()),
                                 std::move(events), options_.links,
                                 {credentials_, cluster::link_rules(options_.services), peers_,
                                  options_.allow_spawn, open_desk()});
    if (!made)
      return made.error();
    gate_ = std::move(*made);
    for (auto& each : listeners_.refused)
      log_.warn("no links at one address of " + options_.listen.host + ": " + each.detail);
    port_ = listeners_.port;
    for (auto& each : listeners_.sockets)
      if (auto accepts = gate_->listen(std::move(each)); !accepts)
        return accepts.error();
    return {};
  }

  /// For those who join with a token.
  net::join_desk open_desk() {
    if (!credentials_)
      return {};
    auto find = [this](security::issuer_id issuer, auto done) {
      on_member([digits = to_string(issuer), done](cluster::member_state& state) {
        done(state.nodes().address_of_prefix(digits));
      });
    };
    desk_.emplace(ca_, data_.self().id, std::move(find), log_);
    return
      [this](net::join_inquiry what, auto done) { desk_->ask(std::move(what), std::move(done)); };
  }

  void tell_router(const net::link_ptr& which, bool is_full) {
    router_->hold_answers(which->number(), is_full);
    router_->run([node = to_string(which->peer().node), number = which->number(), is_full](
                   router::router_state& state) { state.link_full(node, number, is_full); });
  }

  /// A cluster is born once: who may found one, but has addresses to join at, asks there first.
  problem look_for_cluster() {
    for (auto& each : options_.join) {
      auto where = net::resolve(each);
      if (!where)
        continue;
      using link = result<net::link_ptr>;
      auto found = wait_for<link>( // a dial has its own time-outs
        [&](std::function<void(link)> done) { gate_->dial(*where, std::nullopt, std::move(done)); },
        default_wait * 3,
        [](unheard) {
          return link{problem{errc::timed_out, "no answer"}};
        });
      if (found)
        return {errc::conflict, "a cluster was found at " + to_string(each)
                                  + "; leave out bootstrap to join it, or join to found another"};
      if (found.error().code != errc::unreachable && found.error().code != errc::timed_out)
        return {errc::conflict, "a process answers at " + to_string(each)
                                  + ", so that no cluster is founded: " + found.error().detail
                                  + "; leave out bootstrap to join a cluster there, or join to "
                                    "found another"};
      log_("no cluster at " + to_string(each) + ": " + found.error().detail);
    }
    return {};
  }

  problem host_services() {
    auto started
      = cluster::hosted_services::start(*system_, options_.services, finder(),
                                        [log = log_](const problem& why) { log.warn(why.detail); });
    if (!started)
      return started.error();
    services_ = std::move(*started);
    if (auto why = found_cluster())
      return why;
    on_member([all = services_->handles()](cluster::member_state& state) {
      state.guard(all);
      state.lead(nullptr, [] {});
    });
    cluster::service_binding here{.handles = services_->handles(),
                                  .where = own_address(),
                                  .entry = entry(),
                                  .others = {},
                                  .is_here = true,
                                  .has_voters = false};
    on_access([here](cluster::access_state& access) { access.lead_here(1, here); });
    return {};
  }

  [[nodiscard]] net::address own_address() const {
    auto where = options_.advertise.value_or(net::address{options_.listen.host, port_});
    if (where.port == 0)
      where.port = port_;
    return where;
  }

  [[nodiscard]] caf::strong_actor_ptr entry() const {
    return caf::actor_cast<caf::strong_actor_ptr>(router_->handle());
  }

  void say_who_i_am(bool is_host) {
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
    on_member([self](cluster::member_state& state) { state.put(self); });
  }

  // -- what happens ----------------------------------------------------------------------

  /// On the access actor.
  cluster::access_events access_events(std::shared_ptr<cluster::hint_board> board) {
    return {.bound = [this](const cluster::service_binding& how) { bound(how); },
            .failed =
              [this](const problem& why) {
                {
                  std::lock_guard guard{mutex_};
                  no_way_ = why;
                }
                log_.follow(no_way, why);
              },
            .without_quorum =
              [this](const cluster::finder::without_quorum& what) {
                if (!what.is_own) // the seat says it by itself
                  log_.follow(cluster::seats_types::no_leader, what.why);
                clients_->refuse(what.why);
                std::lock_guard guard{mutex_};
                why_ = what.why;
              },
            .hint
            = [board = std::move(board)](const cluster::leader_hint& what) { board->tell(what); }};
  }

  void bound(const cluster::service_binding& how) {
    if (!how.handles.empty() && !how.is_here)
      remember(how);
    clients_->bind(how.handles, how.records);
    if (!how.handles.empty())
      log_.settle(no_way);
    if (how.is_here)
      lead_alone();
    auto voters = how.handles.find(cluster::voters_name);
    std::lock_guard guard{mutex_};
    voters_ = voters != how.handles.end() ? voters->second : nullptr;
    has_no_voters_ = !how.has_voters;
    joined_ = !how.handles.empty();
    is_host_ = how.is_here;
    changed_.notify_all();
    if (!joined_)
      return;
    on_member([](cluster::member_state& state) { state.bound(); });
  }

  /// A node that was to join others, and now leads the cluster of its data folder without a link
  /// to any, has perhaps been given a wrong address.
  void lead_alone() {
    std::unique_lock guard{mutex_};
    auto why = std::exchange(no_way_, {});
    guard.unlock();
    auto is_alone = had_cluster_ && !options_.join.empty() && gate_->links() == 0;
    if (std::exchange(has_led_, true) || !why || !is_alone)
      return;
    log_.warn("this node leads the cluster that its data folder is of, and has joined none: "
              + why.detail
              + "; if that address in node_options::join is wrong, correct it or "
                "leave it out; to join another cluster, give an empty data folder");
  }

  /// Keeps what the next start needs, when it is new.
  void remember(const cluster::service_binding& how) {
    auto cluster = gate_->self().cluster;
    auto& self = data_.self();
    std::vector<std::string> places{to_string(how.where)};
    for (auto& each : how.others)
      if (auto text = to_string(each); text != places.front() && text != to_string(own_address()))
        places.push_back(std::move(text));
    auto known = [&](auto& place) { return std::ranges::find(self.met, place) != self.met.end(); };
    if (self.cluster == cluster && std::ranges::all_of(places, known))
      return;
    if (auto why = data_.belong_to(cluster, self.host, std::move(places)))
      log_.complain("what this node needs for its next start is not kept", why.detail);
  }

  /// On the access actor, which writes the data folder. Remembers it before anybody is told.
  void maintain(bool on, const done_handler& done) {
    if (auto why = data_.set_maintenance(on))
      return done(why);
    *in_maintenance_ = on;
    on_member([on, done](cluster::member_state& state) { state.maintain(on, done); });
  }

  /// The cluster has heard of a later life of this node. On the access actor.
  void rise_above(boot_number heard) {
    if (heard < data_.self().boot)
      return;
    if (auto why = data_.rise_above(heard))
      return log_.complain("this node cannot go above a later start", why.detail);
    *boot_ = data_.self().boot;
    gate_->rise(data_.self().boot);
    on_member([boot = data_.self().boot](cluster::member_state& state) { state.go_on_as(boot); });
    on_keeper([how = life_among_members(), seed = random_seed()](
                cluster::membership_keeper& keeper) { keeper.go_on_as(how, seed); });
  }

  /// Whether the node cannot end on the thread that asks, as its end waits for that.
  [[nodiscard]] bool is_on_own_thread() const {
    return own_system_ && own_system_->is_on_this_thread();
  }

  void stop() {
    if (stopped_.exchange(true))
      return;
    {
      std::lock_guard guard{mutex_}; // nobody begins to wait in between
      changed_.notify_all();
    }
    if (group_)
      group_->own_seat().hand_over();
    end<cluster::membership_keeper>(keeper_,
                                    [](cluster::membership_keeper& state) { state.stop(); });
    if (swim_)
      swim_->stop(); // while there are links, whose ends would be news
    swim_.reset();
    // Before the agents: their ends are not news, the node is expected back with them.
    end<cluster::member_state>(member_, [](cluster::member_state& state) { state.stop(); });
    end<cluster::access_state>(access_, [](cluster::access_state& state) { state.stop(); });
    end<cluster::trust_keeper>(trust_, [](cluster::trust_keeper& state) { state.stop(); });
    // Before the agents, too: whoever waits for one hears that the link is lost, not that the
    // agent was not there.
    if (!services_are_here())
      clients_->close(); // while there are links
    if (gate_)
      gate_->stop();
    end_agents();
    clients_->close();
    if (services_)
      services_->stop();
    group_.reset();
    {
      std::lock_guard guard{mutex_};
      voters_ = nullptr;
    }
    router_has_ended_ = true; // other threads may be sending: it goes with this object
    if (router_) {
      end_answer_path();
      caf::anon_send_exit(router_->handle(), caf::exit_reason::user_shutdown);
    }
  }

  /// Those made here, and in an actor system of the node's own, which ends only after its
  /// actors, all that were given.
  void end_agents() {
    auto made = agents_->take();
    for (auto& [id, each] : made)
      caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
    if (!own_system_ || !router_)
      return;
    router_->run([](router::router_state& state) { state.end_agents(); });
    std::vector<std::string> left;
    auto have_ended = [&] {
      left = on_router<std::vector<std::string>>(
        [](router::router_state& state) { return state.agents_left(); }, {}, {"of a busy router"});
      return left.empty();
    };
    auto in_time = wait_until(have_ended, options_.agents_end_within);
    for (auto& [id, each] : made)
      router::kill_next(caf::actor_cast<caf::strong_actor_ptr>(each));
    if (in_time)
      return;
    router_->run([](router::router_state& state) { state.kill_agents(); });
    log_.warn("the node stops: " + listed(left) + " did not end within "
              + in_words(options_.agents_end_within)
              + " (node_options::agents_end_within); what waited for them is dropped");
  }

  void end_answer_path() {
    auto& registry = system_->registry();
    if (registry.get<caf::actor>(answer_path::name) == router_->handle())
      registry.erase(answer_path::name);
  }

  void end_system() {
    if (!own_system_)
      return;
    end_actors();
    cluster::own_system<node_config>::end(std::move(own_system_));
  }

  /// An actor system waits for its actors, and some have nobody who would end them: those that
  /// peers have spawned here without an owner.
  void end_actors() {
    auto& registry = system_->registry();
    auto is_empty = [&] { return registry.running() == 0; };
    if (wait_until(is_empty, longest_end))
      return;
    auto left = registry.running();
    for (caf::actor_id id = 1; id <= system_->latest_actor_id(); ++id) // all that peers know of
      if (auto found = registry.get(id); found && is_counted(found))
        router::kill_next(found);
    if (!wait_until(is_empty, longest_end))
      system_->await_actors_before_shutdown(false);
    log_.warn("the node stops: " + std::to_string(left)
              + " actors that nobody ended were ended with it");
  }

  /// Whether the actor system waits for it.
  static bool is_counted(const caf::strong_actor_ptr& which) {
    return caf::actor_cast<caf::abstract_actor*>(which)->getf(
      caf::abstract_actor::is_registered_flag);
  }

  template <class Condition>
  static bool wait_until(Condition condition, duration wait) {
    auto deadline = std::chrono::steady_clock::now() + wait;
    // Most have ended, or do so within a few switches of threads.
    std::chrono::microseconds pause{50};
    while (!condition()) {
      if (std::chrono::steady_clock::now() >= deadline)
        return false;
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::microseconds{2'000});
    }
    return true;
  }

  /// Names agents, for people.
  static std::string listed(const std::vector<std::string>& agents) {
    constexpr std::size_t max_shown = 5;
    auto result = std::to_string(agents.size()) + (agents.size() == 1 ? " agent (" : " agents (");
    for (std::size_t each = 0; each < std::min(agents.size(), max_shown); ++each)
      result += (each > 0 ? ", '" : "'") + agents[each].substr(0, 64) + "'";
    return result + (agents.size() > max_shown ? ", …)" : ")");
  }

  // -- jobs --------------------------------------------------------------------------

  template <class Job>
  static void run_on_member(const caf::weak_actor_ptr& where, Job job) {
    if (auto there = where.lock())
      run_on_state<cluster::member_state>(caf::actor_cast<caf::actor>(there), std::move(job));
  }

  template <class Job>
  void on_member(Job job) {
    run_on_state<cluster::member_state>(member_, std::move(job));
  }

  template <class Job>
  void on_trust(Job job) {
    if (trust_)
      run_on_state<cluster::trust_keeper>(trust_, std::move(job));
  }

  template <class Job>
  void on_keeper(Job job) const {
    run_on_state<cluster::membership_keeper>(keeper_, std::move(job));
  }

  template <class Job>
  void on_access(Job job) const {
    run_on_state<cluster::access_state>(access_, std::move(job));
  }

  [[nodiscard]] bool services_are_here() {
    std::lock_guard guard{mutex_};
    return is_host_;
  }

  /// Runs `job` on the router and waits for what it returns; `if_gone` if the router has ended.
  template <class Result, class Job>
  Result on_router(Job job, Result if_gone, Result if_late) {
    return wait_for<Result>(
      [&](auto done) {
        router_->run([done = std::move(done), job = std::move(job)](router::router_state& state) {
          done(job(state));
        });
      },
      default_wait * 3, [&](unheard how) { return how == unheard::gone ? if_gone : if_late; });
  }

  /// Waits until what `begin` was given is called, or is gone with the actor that had it.
  template <class Begin>
  static problem wait_until_done(Begin begin) {
    return wait_here<problem>(std::move(begin), default_wait * 3,
                              "the node gave no answer in time; it is stopping, or overloaded");
  }

  template <class Value, class Begin>
  static result<Value> wait_for_result(Begin begin, duration wait) {
    return wait_here<result<Value>>(std::move(begin), wait,
                                    "no answer in time; retry, or wait longer");
  }

  template <class Answer, class Begin>
  static Answer wait_here(Begin begin, duration wait, const char* too_late) {
    return wait_for<Answer>(std::move(begin), wait, [too_late](unheard how) -> Answer {
      if (how == unheard::late)
        return problem{errc::timed_out, too_late};
      return problem{errc::outcome_unknown,
                     "this node was stopped meanwhile; whether it was done is not known"};
    });
  }

  /// Lets an actor end by itself and waits until it is gone.
  template <class State, class Job>
  void end(const caf::actor& which, Job job) {
    if (!which)
      return;
    wait_for_ends(*system_, {caf::actor_cast<caf::strong_actor_ptr>(which)},
                  [&] { run_on_state<State>(which, std::move(job)); });
  }

  static constexpr auto log_file = "group.db";
  /// For actors to end that have nothing to wait for.
  static constexpr duration longest_end = std::chrono::seconds{2};

  /// What the log calls it while the services are out of reach.
  static constexpr const char* no_way = "no way to the cluster";

  node_options options_;
  cluster::node_log log_;
  cluster::data_folder data_;
  net::listeners listeners_;                    // empty once the gate accepts
  std::vector<net::datagram_socket> datagrams_; // empty once this node is a member
  const net::credentials_ptr credentials_;      // null: its links are insecure
  cluster::own_authority ca_;
  const std::shared_ptr<net::peer_book> peers_ = std::make_shared<net::peer_book>();
  std::shared_ptr<std::atomic<boot_number>> boot_; // as in data_, which only the access actor reads
  std::optional<cluster::join_desk> desk_;         // outlives the gate
  std::unique_ptr<net::gate> gate_;                // outlives the system
  std::unique_ptr<cluster::own_system<node_config>> own_system_;
  caf::actor_system* system_ = nullptr;
  std::optional<cluster::service_clients> clients_;
  std::optional<router::router_access> router_;
  caf::actor member_;
  caf::actor access_;
  caf::actor trust_; // null without certificates
  caf::actor keeper_;
  /// Of node_options::membership_log; its thread writes it.
  std::ofstream membership_file_;
  std::optional<cluster::membership_log> membership_log_;
  std::unique_ptr<cluster::swim_thread> swim_;
  /// Of a node without a data folder that has founded its cluster.
  std::optional<cluster::hosted_services> services_;
  /// Of a node with a data folder.
  std::unique_ptr<cluster::group_part> group_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> router_has_ended_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool joined_ = false;
  /// Its data folder was of a cluster when it started.
  const bool had_cluster_ = data_.self().cluster != cluster_id{};
  /// On the access actor.
  bool has_led_ = false;
  bool caught_up_ = false;
  bool is_host_ = false;
  caf::strong_actor_ptr voters_; // where the services are, if they are on a group
  bool has_no_voters_ = false;   // as there is no group
  problem why_;                  // why they are nowhere, if that is known
  problem no_way_;               // of the last try to reach the cluster
  /// Shared with the agents, which may outlive this.
  const std::shared_ptr<cluster::made_agents> agents_ = std::make_shared<cluster::made_agents>();
  /// What workers of this node say when they register.
  std::shared_ptr<std::atomic<bool>> in_maintenance_ = std::make_shared<std::atomic<bool>>(false);
};

TROUPE_COMPILED node::node(std::unique_ptr<inside> made)
  : inside_(std::move(made)),
    system_(inside_->system_),
    messages_(*system_, inside_->router_->handle(), inside_->warn_of_throw()) {}

TROUPE_COMPILED node::node(node&& other) noexcept = default;

TROUPE_COMPILED node& node::operator=(node&& other) noexcept {
  node old{std::move(other)};
  std::swap(inside_, old.inside_);
  std::swap(system_, old.system_);
  std::swap(messages_, old.messages_);
  return *this;
}

TROUPE_COMPILED node::~node() {
  if (!inside_)
    return;
  if (!inside_->is_on_own_thread()) {
    stop();
    return;
  }
  // What is here ends in the order of a node.
  struct remains {
    std::unique_ptr<inside> it;
    router::router_client messages;

    remains(std::unique_ptr<inside> what, router::router_client by)
      : it(std::move(what)), messages(std::move(by)) {}

    ~remains() {
      messages.stop();
    }
  };
  cluster::undertaker::of_process().take(
    std::make_shared<remains>(std::move(inside_), std::move(messages_)));
}

TROUPE_COMPILED result<node> node::start(node_options options, caf::actor_system* sys) {
  if (auto why = cluster::check(options))
    return why;
  auto data = cluster::data_folder::open(options.data.empty() ? options.identity : options.data,
                                         !options.data.empty());
  if (!data)
    return data.error();
  auto called = options.name.empty() ? to_string(data->self().id).substr(0, 8) : options.name;
  auto began = std::chrono::steady_clock::now();
  // Before there is a CA, or a token is used: neither can be undone.
  auto where = net::resolve(options.listen);
  if (!where)
    return where.error();
  auto listeners = net::listen_at_each(*where, options.links.insecure);
  if (!listeners)
    return listeners.error();
  auto datagrams = net::receive_at_each(*listeners, options.listen.port == 0);
  if (!datagrams)
    return datagrams.error();
  cluster::proofs proofs{options, *data, {called, options.log}};
  auto credentials = proofs.find(read_calendar());
  secret::wipe(std::as_writable_bytes(std::span{options.token}));
  options.token.clear();
  if (!credentials)
    return credentials.error();
  if (*credentials && (*credentials)->self().as != security::role::member)
    return problem{errc::bad_argument,
                   "the certificate of '" + (*credentials)->self().name + "' in "
                     + data->path().string()
                     + " has the role client; a node needs one with the role member (troupe ca "
                       "issue --role member)"};
  auto wait = options.wait_joined;
  auto stop = options.stop;
  auto ca = proofs.take_authority();
  auto made
    = std::make_unique<inside>(std::move(options), std::move(*data), *std::move(listeners),
                               *std::move(datagrams), *std::move(credentials), std::move(ca), sys);
  if (auto why = made->set_up())
    return why;
  if (wait > duration::zero()) {
    auto spent = std::chrono::duration_cast<duration>(std::chrono::steady_clock::now() - began);
    auto rest = std::max(wait - spent, std::min<duration>(wait, std::chrono::seconds{1}));
    if (auto why = made->wait_joined(rest, stop))
      if (!made->group_ || !made->group_->own_seat().votes() || stop.stop_requested())
        return why;
  }
  return node{std::move(made)};
}

TROUPE_COMPILED void node::stop() {
  messages_.stop();
  inside_->stop();
}

TROUPE_COMPILED result<void> node::leave(const leave_options& how) {
  if (inside_->stopped_)
    return problem{errc::cancelled, "this node has stopped"};
  if (auto refusal = inside::refuse_to_leave(name(), inside_->services_.has_value(), how))
    return refusal;
  if (auto refusal = inside_->leave_group(how))
    return refusal;
  auto why = inside::wait_until_done([this](std::function<void(problem)> done) {
    inside_->on_member(
      [done = std::move(done)](cluster::member_state& state) { state.leave(done); });
  });
  stop();
  return why;
}

TROUPE_COMPILED result<std::string> node::invite(const security::invitation_options& how) {
  if (!inside_->credentials_)
    return problem{errc::bad_argument, "this node has insecure links; others join without a token"};
  auto token = inside_->ca_.invite(how, read_calendar());
  if (!token)
    return token.error();
  return std::string{token->line().text()};
}

TROUPE_COMPILED const std::string& node::name() const {
  return inside_->options_.name;
}

TROUPE_COMPILED const node_id& node::id() const {
  return inside_->data_.self().id;
}

TROUPE_COMPILED boot_number node::boot() const {
  return *inside_->boot_;
}

TROUPE_COMPILED std::function<boot_number()> node::present_boot() const {
  return [boot = inside_->boot_] { return boot->load(); };
}

TROUPE_COMPILED std::uint16_t node::port() const {
  return inside_->port_;
}

TROUPE_COMPILED cluster::voters_client node::voters() {
  return inside_->voters();
}

TROUPE_COMPILED bool node::is_host() const {
  std::lock_guard guard{inside_->mutex_};
  return inside_->is_host_;
}

TROUPE_COMPILED result<void> node::wait_joined(duration wait) {
  return inside_->wait_joined(wait);
}

TROUPE_COMPILED result<void> node::add_agent(const std::string& id,
                                             const caf::strong_actor_ptr& actor,
                                             const agent_options& how) {
  return add_agent(id, actor, how, false);
}

TROUPE_COMPILED result<void> node::add_agent(const std::string& id,
                                             const caf::strong_actor_ptr& actor,
                                             const agent_options& how, bool takes_info) {
  if (!is_name(id))
    return bad_name("agent id", id);
  for (auto& why :
       {check_names("capabilities", how.capabilities), check_names("groups", how.groups)})
    if (why)
      return why;
  struct attempt {
    std::mutex mutex;
    bool is_given_up = false;
    bool is_added = false;
  };
  auto mine = std::make_shared<attempt>();
  auto take_back = [&] { // by now another one may have that id
    inside_->router_->run(
      [id, who = actor->address()](router::router_state& state) { state.remove_agent(id, who); });
  };
  auto why = inside_->on_router<problem>(
    [id, actor, mine, takes_info](router::router_state& state) {
      std::lock_guard guard{mine->mutex};
      auto refusal = mine->is_given_up ? problem{errc::cancelled, "nobody waits for it"}
                                       : state.add_agent(id, actor, takes_info);
      mine->is_added = refusal.code == errc::none;
      return refusal;
    },
    {errc::cancelled, "this node has stopped; nothing was done"},
    {errc::timed_out, "the node gave no answer in time; it is overloaded"});
  if (why.code == errc::timed_out) {
    std::unique_lock guard{mine->mutex};
    mine->is_given_up = true;
    if (auto is_added = mine->is_added; guard.unlock(), is_added)
      take_back();
  }
  if (why)
    return why;
  auto number = std::make_shared<request_id>(0); // for the member alone
  why = inside::wait_until_done([&](std::function<void(problem)> done) {
    inside_->on_member(
      [id, how, number, who = actor->address(), done](cluster::member_state& state) {
        *number = state.add_agent(id, who, how, done);
      });
  });
  if (!why)
    return {};
  inside_->on_member(
    [id, number](cluster::member_state& state) { state.give_up_agent(id, *number); });
  take_back(); // then the id is free
  return why;
}

TROUPE_COMPILED result<void> node::adopt_agent(const std::string& id, const caf::actor& agent,
                                               const agent_options& how, bool takes_info) {
  inside_->agents_->add(id, agent);
  auto added = add_agent(id, caf::actor_cast<caf::strong_actor_ptr>(agent), how, takes_info);
  if (!added)
    caf::anon_send_exit(agent, caf::exit_reason::user_shutdown);
  return added;
}

TROUPE_COMPILED result<void> node::send_message(const router::recipients& to,
                                                const caf::message& what) {
  if (inside_->router_has_ended_)
    return problem{errc::cancelled, "this node has stopped; nothing was sent"};
  return inside_->router_->send(to, what);
}

TROUPE_COMPILED std::function<std::shared_ptr<agent_context>(caf::scheduled_actor* self)>
node::agent_begin(const std::string& id) const {
  // Weak: in an actor system of somebody else the agent may outlive this node.
  return [id, log = inside_->log_, member = caf::actor_cast<caf::weak_actor_ptr>(inside_->member_)](
           caf::scheduled_actor* self) {
    ignore_strays(self);
    self->set_default_handler(
      [id, log](caf::scheduled_actor* me, caf::message& what) -> caf::skippable_result {
        problem why{errc::wrong_type, "agent '" + id + "' has no function for "
                                        + troupe::detail::types_in(what)
                                        + "; send exactly what one of its functions takes"};
        if (me->current_message_id().is_request())
          return to_error(std::move(why));
        log.complain("agent '" + id + "' gets messages that it does not take", why.detail);
        me->drop_current_message_id(); // an error would go to who sent it
        return caf::make_message();
      });
    self->set_exception_handler([id, log](std::exception_ptr& thrown) {
      auto why = guarded([&] { std::rethrow_exception(thrown); });
      why.detail = "agent '" + id + "' has ended, as one of its functions threw: " + why.detail;
      log.warn(why.detail);
      return to_error(why);
    });
    auto on_quit = [id, log](const problem& why) {
      log.warn("agent '" + id + "' has ended: " + to_string(why));
    };
    auto on_update = [id, log, member](const agent_change& how) {
      auto topic = "agent '" + id + "' cannot change";
      inside::run_on_member(member, [id, log, topic, how](cluster::member_state& state) {
        state.update_agent(id, how, [log, topic](const problem& why) {
          if (why)
            log.complain(topic, why.detail);
          else
            log.settle(topic);
        });
      });
    };
    return std::make_shared<agent_context>(self, id, on_quit, on_update);
  };
}

TROUPE_COMPILED scheduler::worker node::work(const scheduler::worker_options& options,
                                             scheduler::task_handlers handlers) {
  handlers.handle_async(scheduler::agent_handlers, cluster::agent_tasks(*system_, router()));
  auto log_answers
    = [topic = "the scheduler does not take worker '" + options.name.substr(0, 64) + "'",
       log = inside_->log_](const problem& why) {
        if (why)
          log.complain(topic, why.detail);
        else
          log.settle(topic);
      };
  return scheduler::worker{*system_,
                           inside_->clients_->scheduler,
                           to_string(id()),
                           present_boot(),
                           options,
                           std::move(handlers),
                           [flag = inside_->in_maintenance_] { return flag->load(); },
                           {std::move(log_answers)}};
}

TROUPE_COMPILED scheduler::worker node::work(const scheduler::worker_options& options) {
  return work(options, {});
}

TROUPE_COMPILED scheduler::worker node::work() {
  return work({}, {});
}

TROUPE_COMPILED lock::lock_client node::locks() {
  return lock::lock_client{inside_->clients_->locks};
}

TROUPE_COMPILED state::state_client node::state(duration wait) {
  return state::state_client{*system_, inside_->clients_->state, wait};
}

TROUPE_COMPILED std::shared_ptr<host::detail::service_caller>
node::own_service(const std::string& name) {
  return inside_->clients_->get(name);
}

TROUPE_COMPILED scheduler::workflow_client node::workflows(duration wait) {
  return scheduler::workflow_client{inside_->clients_->scheduler, wait};
}

TROUPE_COMPILED registry::registry_client node::registry(duration wait) {
  return registry::registry_client{*system_, inside_->clients_->registry, wait};
}

TROUPE_COMPILED result<void> node::update_agent(const std::string& id, const agent_change& how) {
  if (inside_->stopped_)
    return problem{errc::cancelled, "this node has stopped; nothing was done"};
  return inside::wait_until_done([&](std::function<void(problem)> done) {
    inside_->on_member([id, how, done = std::move(done)](cluster::member_state& state) {
      state.update_agent(id, how, done);
    });
  });
}

TROUPE_COMPILED void node::remove_agent(const std::string& id) {
  inside_->on_member([id](cluster::member_state& state) { state.remove_agent(id); });
  for (auto& [name, each] : inside_->agents_->take(id))
    caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
}

TROUPE_COMPILED result<void> node::maintain(bool on) {
  if (inside_->stopped_)
    return problem{errc::cancelled, "this node has stopped; nothing has changed"};
  return inside::wait_until_done([&](done_handler done) {
    inside_->on_access([there = inside_.get(), on, done = std::move(done)](cluster::access_state&) {
      there->maintain(on, done);
    });
  });
}

TROUPE_COMPILED result<std::vector<cluster::member_view>> node::members() {
  using members = std::vector<cluster::member_view>;
  if (inside_->stopped_)
    return problem{errc::cancelled, "this node has stopped"};
  return inside::wait_for_result<members>(
    [&](std::function<void(result<members>)> done) {
      inside_->on_keeper([done = std::move(done)](cluster::membership_keeper& keeper) {
        keeper.show({}, [done](cluster::node_view seen) { done(std::move(seen.members)); });
      });
    },
    default_wait);
}

TROUPE_COMPILED result<peer> node::find_peer(const std::string& name, duration wait) {
  auto entry = inside::wait_for_result<caf::strong_actor_ptr>(
    [&](std::function<void(result<caf::strong_actor_ptr>)> done) {
      inside_->on_member([name, done = std::move(done)](cluster::member_state& state) {
        state.links().find_entry(name, done);
      });
    },
    wait);
  if (!entry)
    return entry.error();
  return peer{system_, (*entry)->node(), caf::actor_cast<caf::strong_actor_ptr>(router())};
}

} // namespace troupe

#endif
