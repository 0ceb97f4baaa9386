#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/claims.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/liveness.hpp"
#include "troupe/cluster/node_core.hpp"
#include "troupe/cluster/swim.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/sim/laws/node_laws.hpp"
#include "troupe/sim/world/group_seat.hpp"
#include "troupe/sim/world/judged_node.hpp"
#include "troupe/sim/world/node_clients.hpp"
#include "troupe/sim/world/node_departure.hpp"
#include "troupe/sim/world/node_group.hpp"
#include "troupe/sim/world/node_letters.hpp"
#include "troupe/sim/world/node_life.hpp"
#include "troupe/sim/world/node_links.hpp"
#include "troupe/sim/world/node_messages.hpp"
#include "troupe/sim/world/node_router.hpp"
#include "troupe/sim/world/node_setting.hpp"
#include "troupe/sim/world/node_worker.hpp"
#include "troupe/sim/world/service_way.hpp"
#include "troupe/sim/world/swim_member.hpp"

namespace troupe::sim {

/// A whole node in the world: its node_core, its `departure`, its finder, its `swim` with stand-ins
/// for signatures, its clients and its worker; and, if it has a data folder, its part in the Raft
/// group with the services on it. Mail of members and of the group gets lost like any message; what
/// nodes say over links otherwise does not, but needs one. Questions to the services go to the node
/// where the finder has them, over a link, and are lost with it.
///
/// Simpler than a real node: all processes know each other's address and beat, instead of dialling.
/// The service of names and the scheduler run, the others do not. Each third process has no data
/// folder, and is another node in each life. A worker is not told that its node is in maintenance.
class node_process {
public:
  using message = std::variant<node_beat, node_letter, node_ping, node_pong, node_gossip,
                               node_wishes, node_records, group_letter, card_shown, card_returned>;
  using disk = node_disk;
  using setting = node_setting;
  using home = environment<node_process>;

  explicit node_process(home& here)
    : here_(here),
      life_(here),
      id_(life_.id()),
      name_("node-" + std::to_string(here.self())),
      core_(node_times::core(id_, name_, life_.boot(), life_.has_folder()), &is_signed_with,
            {node_times::lost_after, node_times::any_answer},
            [this](cluster::node_core::effect& what) {
              troupe::visit([this](auto& each) { this->perform(each); }, what);
            }),
      links_({here.self(), here.life()}),
      router_(id_),
      way_(here, around_way()),
      clients_(here, around_clients()),
      letters_(here, clients_, id_, around_letters()),
      departure_(here_, around_departure()),
      worker_(here, clients_.tasks(), id_, around_worker()) {
    begin_as(life_.boot());
    if (life_.has_folder())
      group_.emplace(here, id_, way::listens_at(here.self()), node_times::tasks(), around_group());
    put_self();
    beat_at_ = here_.now();
  }

  // -- what its host asks of it --------------------------------------------------------------

  void add_agent(const agent_id& name, bool is_unique) {
    registry::record made;
    made.key.name = name.text();
    ask_core(cluster::node_core::add_agent{made, is_unique}, "add of agent " + name.text());
  }

  void remove_agent(const agent_id& name) {
    letters_.pings().speak_again(name);
    step(cluster::claims::remove{name});
  }

  void update_agent(const agent_id& name, std::uint32_t load) {
    cluster::agent_change how;
    how.load = load;
    if (load % 2 == 0)
      how.add_capabilities = {"even"};
    else
      how.remove_capabilities = {"even"};
    ask_core(cluster::node_core::update_agent{name, how}, "update of agent " + name.text());
  }

  /// One of its services says how much it has to do.
  void put_service(std::uint32_t load) {
    registry::record made;
    made.key = {registry::record_kind::service, "service", id_};
    made.load = load;
    ask_core(cluster::claims::put{made}, "put of a service");
  }

  /// A task that any worker may run.
  void submit() {
    scheduler::submit what;
    what.tasks.push_back({.id = "a", .handler = "work"});
    clients_.tasks().ask(what, node_times::answer_within,
                         [this](const result<scheduler::run_receipt>& heard) {
                           if (heard)
                             here_.setting().submitted.insert(heard->run);
                         });
  }

  void maintain(bool on) {
    in_maintenance_ = on;
    rest(is_leaving_);
  }

  /// It may be refused, unless it is forced: then the node goes on as before.
  void leave(bool force) {
    departure_.leave({.name = name_, .force = force});
  }

  void stop() {
    departure_.stop();
  }

  /// Callers do not reach that agent any more, or do again.
  void fall_ill(const agent_id& name) {
    letters_.pings().fall_silent(name);
  }

  /// A caller of this node has not reached that agent.
  void miss(const node_id& node, const agent_id& name) {
    step(cluster::node_core::call_ended{node, name, registry::call_outcome::unreachable});
  }

  void get_well() {
    letters_.pings().all_speak_again();
  }

  /// Founds the cluster.
  /// @pre it has a data folder, and no other node has founded it
  void found() {
    group_->seat().found();
  }

  // -- what it shows -----------------------------------------------------------------------------

  [[nodiscard]] const node_id& id() const {
    return id_;
  }

  [[nodiscard]] std::uint64_t life() const {
    return here_.life();
  }

  /// Whether it leaves or stops. A process that is paused has not told the others yet.
  [[nodiscard]] bool is_going() const {
    return departure_.is_going();
  }

  /// It has left or stopped, and does nothing any more: its host ends the process.
  [[nodiscard]] bool has_ended() const {
    return departure_.has_ended();
  }

  /// Adds, puts and leaves of this node that have no answer yet.
  [[nodiscard]] std::size_t unanswered() const {
    return core_.unanswered();
  }

  [[nodiscard]] node_sight look() const {
    return {&book(),           &core_.inside(), &router_.receivers(),
            &router_.routes(), &member_->it(),  here_.setting().twins.contains(id_)};
  }

  [[nodiscard]] const registry::record_table& table() const {
    return core_.inside().table();
  }

  /// Where it takes the services to be: the process.
  [[nodiscard]] std::optional<process_id> services_at() const {
    return way_.at();
  }

  [[nodiscard]] bool leads() const {
    return core_.inside().leads();
  }

  /// Its part in the group; null if it has none.
  [[nodiscard]] const group_seat<home>* group() const {
    return group_ ? &group_->seat() : nullptr;
  }

  /// @pre it has a data folder
  [[nodiscard]] const node_services<home>& services() const {
    return group_->services();
  }

  // -- the world ---------------------------------------------------------------------------------

  void receive(process_id from, const message& what) {
    if (has_ended())
      return;
    troupe::visit([&](const auto& each) { hear(from, each); }, what);
    if (!std::holds_alternative<node_gossip>(what)) // what members show is judged where it counts
      judge();
  }

  void wake() {
    if (has_ended())
      return;
    auto now = here_.now();
    if (due(member_->it().next_deadline(), now))
      member_->tick();
    if (group_ && due(group_->next_deadline(), now)) {
      group_->wake();
      group_->seat().judge();
    }
    if (!due(own_deadline(), now))
      return;
    clients_.wake();
    worker_.wake();
    letters_.wake();
    way_.wake();
    core_.tick(now);
    core_.ticked(now);
    take_links(links_.tick(now));
    if (beat_at_ <= now)
      beat();
    judge();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (has_ended())
      return std::nullopt;
    auto next = own_deadline();
    next = std::min(next, member_->it().next_deadline().value_or(next));
    return std::min(next, group_ ? group_->next_deadline().value_or(next) : next);
  }

private:
  using way = service_way<node_process>;
  using done_handler = node_departure<node_process>::done_handler;

  static bool due(std::optional<time_point> when, time_point now) {
    return when && *when <= now;
  }

  /// Of all but its parts in the membership and in the group.
  [[nodiscard]] time_point own_deadline() const {
    auto next = letters_.next_deadline(std::min(beat_at_, way_.next_deadline()));
    for (auto when :
         {core_.inside().next_deadline(), clients_.next_deadline(), worker_.next_deadline()})
      next = std::min(next, when.value_or(next));
    return next;
  }

  void broken(const std::string& what) {
    here_.setting().found.broken("node " + to_string(id_) + ' ' + what);
  }

  void judge() {
    core_.judge([this](const std::string& what) { broken(what); });
    check_receivers(id_, look(), [this](const std::string& what) { broken(what); });
    for (auto& each : here_.setting().tasks.take_violations())
      here_.setting().found.broken(each);
  }

  // -- the machine -------------------------------------------------------------------------------

  void step(cluster::node_core::event what, request_id id = 0) {
    if (has_ended())
      return;
    core_.step(here_.now(), std::move(what), id);
  }

  [[nodiscard]] const registry::own_records& book() const {
    return core_.inside().book();
  }

  void ask_core(
    cluster::node_core::event what, const std::string& words, std::function<void()> done = [] {}) {
    if (!has_ended())
      core_.ask(here_.now(), std::move(what), words, std::move(done));
  }

  void put_self() {
    registry::record made;
    made.key = {registry::record_kind::node, name_, id_};
    auto where = *net::address::from_string(way::listens_at(here_.self()));
    made.endpoints = {{where.host, where.port}};
    if (is_fleeting(id_))
      made.metadata[cluster::known_nodes::fleeting_mark] = "yes";
    ask_core(cluster::claims::put{made}, "put of itself");
  }

  // -- how it leaves and ends -------------------------------------------------------------------

  void rest(bool is_leaving) {
    is_leaving_ = is_leaving;
    ask_core(cluster::node_core::maintain{in_maintenance_ || is_leaving}, "maintenance");
  }

  node_departure<node_process>::surroundings around_departure() {
    return {
      .give_up_vote =
        [this](bool force, duration within, done_handler done) {
          here_.setting().facts.wished_away(id_, force);
          clients_.change({cluster::voter_change::leave, to_string(id_), force}, within,
                          std::move(done));
        },
      .end_workers = [this] { worker_.end(); },
      .rest = [this](bool on) { rest(on); },
      .take_back =
        [this](done_handler done) {
          here_.setting().facts.wished_away(id_, true);
          here_.setting().tasks.left(id_, book().boot());
          tasks_gone(id_, book().boot());
          lose_worker(id_, book().boot());
          ask_core(cluster::claims::leave{}, "leave", [done] { done({}); });
        },
      .hand_over =
        [this](done_handler done) {
          if (!group_)
            return done({});
          group_->seat().hand_over(std::move(done));
        },
      .say_farewell = [this] { member_->step(cluster::swim::leave{}); },
      .look =
        [this](cluster::departure::done& made) {
          made.has_services = leads();
          made.has_log = group_.has_value();
          made.is_seated = group_ && group_->is_seated();
          made.knows_leader = way_.at().has_value();
        },
    };
  }

  // -- who is found, and what this node says ----------------------------------------------------

  void perform(cluster::claims::done& what) {
    ++here_.setting().answers;
    core_.answered(what.id);
  }

  template <class News>
  requires requires(node_router router, const News& what) {
    router.hear(what);
  }
  void perform(const News& what) {
    if (std::is_same_v<News, cluster::claims::lost_name>)
      ++here_.setting().names_lost;
    router_.hear(what);
  }

  void perform(cluster::claims::rise& what) {
    if (!here_.has_room())
      return;
    here_.sync([this, boot = what.boot] {
      here_.disk().boot = std::max(here_.disk().boot, boot);
      ++here_.setting().rises;
      node_life<node_process>::note_boot(here_, id_, boot);
      if (boot <= book().boot() || has_ended())
        return;
      begin_as(boot);
      step(cluster::claims::risen{boot});
      here_.after(std::chrono::milliseconds{1}, [this] { // once that is signed
        for (auto& [who, known] : here_.setting().members)
          if (links_.find(who))
            member_->show_card(who);
      });
    });
  }

  void perform(cluster::node_core::complain& what) {
    if (what.topic == cluster::node_core::not_kept && here_.setting().twins.empty())
      broken("cannot keep what others say: " + what.detail);
  }

  void perform(cluster::node_core::node_is& what) {
    auto& where = what.what.endpoints.at(0);
    note(cluster::seats::node_is{what.node, what.what.key.name,
                                 to_string(net::address{where.host, where.port})});
  }

  void perform(cluster::node_core::node_left& what) {
    note(cluster::seats::node_left{what.node, what.boot});
  }

  void perform(cluster::node_core::presence&) {}
  void perform(cluster::node_core::caught_up&) {}
  void perform(cluster::node_core::inform&) {}
  void perform(cluster::node_core::warn&) {}
  void perform(cluster::node_core::settle&) {}

  // -- who is alive -----------------------------------------------------------------------------

  void perform(cluster::liveness::give_up& what) {
    ++here_.setting().given_up;
    auto& owner = *what.owner.node();
    tasks_gone(owner, what.boot);
    auto& latest = here_.setting().lost[owner];
    latest = std::max(latest, what.boot);
    lose_worker(owner, what.boot);
  }

  void tasks_gone(const node_id& owner, boot_number boot) {
    here_.setting().tasks.gone(here_.calendar().time_since_epoch(), owner, boot);
  }

  /// Its tasks run elsewhere.
  void lose_worker(const node_id& owner, boot_number boot) {
    clients_.tasks().ask(scheduler::worker_lost{owner, boot, {}}, node_times::answer_within,
                         [this, owner, boot](auto& answer) {
                           if (answer) // the scheduler may have given it a task since it was asked
                             tasks_gone(owner, boot);
                         });
  }

  /// Names of a node that can come back stay its, unless this node has forgotten it.
  void perform(cluster::liveness::free_names& what) {
    ++here_.setting().names_freed;
    auto is_known = table().answer(registry::find_owner{*what.owner.node()}).boot != 0;
    if (!is_fleeting(*what.owner.node()) && is_known)
      broken("frees the names of node " + to_string(what.owner) + ", which may come back");
    clients_.names().ask(registry::names::owner_gone{what.owner, what.boot},
                         node_times::answer_within, [](auto&) {});
  }

  // -- what it asks others -------------------------------------------------------------------

  using letters = node_letters<node_process>;

  letters::surroundings around_letters() {
    return {
      .find_link = [this](const node_id& node) { return links_.find(node); },
      .step = [this](cluster::node_core::event what, request_id id) { step(std::move(what), id); },
      .judge = [this] { judge(); },
    };
  }

  template <class Question>
  requires requires(letters& to, Question& what) {
    to.perform(what);
  }
  void perform(Question& what) {
    letters_.perform(what);
  }

  template <class Letter>
  requires requires(letters& to, process_id from, const Letter& what) {
    to.hear(from, what);
  }
  void hear(process_id from, const Letter& what) {
    letters_.hear(from, what);
  }

  void perform(cluster::record_exchange::restate& what) {
    member_->step(cluster::swim::holds{what.what});
  }

  void perform(cluster::record_exchange::learned& what) {
    member_->step(cluster::swim::told{what.from, {cluster::told_itself{std::move(what.what)}}});
  }

  // -- links -------------------------------------------------------------------------------------

  void beat() {
    auto now = here_.now();
    beat_at_ = now + node_times::beat;
    if (group_)
      group_->seat().greet_again();
    for (process_id to = 0; to < here_.setting().nodes; ++to) {
      if (to == here_.self())
        continue;
      node_beat made{.node = id_, .boot = book().boot(), .life = here_.life()};
      links_.address(now, to, made);
      here_.send(to, std::move(made));
    }
  }

  void hear(process_id from, const node_beat& what) {
    if (what.receiver == id_ && what.heard_of > book().boot())
      step(cluster::claims::outlived{what.heard_of});
    std::vector<node_links::change> late;
    take_links(links_.hear(here_.now(), from, what, late));
    if (!late.empty())
      here_.after(here_.handover() + node_links::silence / 2, [this, late] {
        if (has_ended())
          return;
        take_links(late);
        judge();
      });
  }

  void take_links(const std::vector<node_links::change>& changes) {
    for (auto& each : changes) {
      auto& [process, life] = each.who;
      if (each.is_up) {
        way_.link_up(process, life);
        step(cluster::liveness::link_up{each.node, each.boot});
        if (group_)
          group_->seat().link_up(process, life, each.node, each.boot);
        member_->show_card(each.node);
      } else {
        way_.link_down(process, life);
        step(cluster::liveness::link_down{each.node, each.boot, "silent"});
        if (group_)
          group_->seat().link_down(process, life);
        if (!links_.find(each.node)) // else that was the link of an earlier life
          doubt(each.node);
      }
    }
  }

  void doubt(const node_id& who) {
    auto known = member_->it().find(who);
    if (known && known->state == cluster::member_status::alive)
      ++here_.setting().outlived_links;
    member_->step(cluster::swim::doubted{who});
  }

  // -- what members say of each other -----------------------------------------------------------

  /// What others know of it begins anew.
  void begin_as(boot_number boot) {
    member_.emplace(here_, life_.key(), boot, node_times::membership(), here_.random().next(),
                    surroundings());
    member_->step(cluster::swim::begin{address_of(here_.self(), here_.life())});
  }

  static std::string address_of(process_id which, std::uint64_t life) {
    return "p" + std::to_string(which) + ":" + std::to_string(life);
  }

  swim_surroundings surroundings() {
    return {
      .mail =
        [this](cluster::swim::send& what) {
          auto& known = here_.setting().members.at(what.to);
          here_.send(known.first, node_gossip{id_, what.address, std::move(what.what)});
        },
      .over_link =
        [this](const node_id& to, swim_message what) {
          if (auto where = links_.find(to))
            here_.send_over_link(*where, node_gossip{id_, {}, std::move(what)});
        },
      .on_shows =
        [this](const cluster::swim::shows& what) {
          here_.setting().deaths += what.is == cluster::member_status::dead ? 1 : 0;
          if (auto there = links_.find(what.who); there && cluster::may_be_gone(what.is))
            way_.doubt(*there);
          step(cluster::node_core::member_is{what.who, what.when, what.is, what.told, what.key,
                                             what.from});
          note(
            cluster::seats::member_shows{what.who, cluster::member_standings::is_there(what.is)});
          judge();
        },
      .on_forgot =
        [this](const node_id& who) {
          step(cluster::node_core::member_forgotten{who});
          note(cluster::seats::member_shows{who, false});
        },
      .on_spoke
      = [this](
          const cluster::signed_statement& what) { step(cluster::record_exchange::spoke{what}); },
      .on_met_itself =
        [this](const cluster::signed_statement& what) {
          step(cluster::claims::outlived{what.what.when.boot, true});
        },
      .on_was_dead = [this] { step(cluster::claims::given_up{}); },
      .on_compared = [this] { step(cluster::node_core::compared{}); },
    };
  }

  /// Mail for an earlier life is sealed for that. What comes over a link counts while there is one.
  void hear(process_id, const node_gossip& what) {
    auto is_mail = std::holds_alternative<cluster::swim_mail>(what.what);
    if (is_mail && what.address != address_of(here_.self(), here_.life()))
      return;
    if (!is_mail && !links_.find(what.from))
      return;
    member_->hear(what.from, what.what);
  }

  // -- who leads ---------------------------------------------------------------------------------

  node_group<home>::surroundings around_group() {
    return {
      .lead =
        [this](std::uint64_t turn, bool is_alone) {
          step(cluster::node_core::lead{is_alone});
          way_.lead(turn);
        },
      .follow =
        [this](std::uint64_t turn, const std::string& where) {
          step(cluster::node_core::follow{});
          way_.follow(turn, where);
        },
      .others = [this](const std::vector<std::string>& addresses) { way_.know(addresses); },
      .seated = [this](bool, bool votes) { way_.seated(votes); },
      .without_quorum = [this](const problem& why) { way_.seat_says(why); },
      .reply = [this](const node_asker& to, node_reply what) { way_.reply(to, std::move(what)); },
      .broken = [this](const std::string& what) { broken(what); },
    };
  }

  /// Its seat hears that, if it has one.
  void note(cluster::seats::event what) {
    if (group_ && !has_ended())
      group_->seat().note(std::move(what));
  }

  /// Of its seat.
  template <class Letter>
  void hear(process_id from, const Letter& what) {
    if (group_)
      group_->seat().hear_from(from, what);
  }

  // -- questions to the services -----------------------------------------------------------------

  way::surroundings around_way() {
    return {
      .over_link
      = [this](process_id over, node_letter what) { here_.send_over_link(over, std::move(what)); },
      .on_bound =
        [this] {
          clients_.reached();
          step(cluster::claims::bound{});
        },
      .on_lost = [this] { clients_.lost(); },
      .on_refused = [this](const problem& why) { clients_.refuse(why); },
      .broken = [this](const std::string& what) { broken(what); },
    };
  }

  node_clients<home>::surroundings around_clients() {
    return {
      .send = [this](node_ask what) { way_.ask(std::move(what)); },
      .on_doubt = [this] { way_.doubt(); },
      .broken = [this](const std::string& what) { broken(what); },
    };
  }

  node_worker<node_process>::surroundings around_worker() {
    return {
      .boot = [this] { return book().boot(); },
      .broken = [this](const std::string& what) { broken(what); },
    };
  }

  void hear(process_id, const node_letter& what) {
    if (way_.hear(what))
      return;
    if (auto* asked = std::get_if<node_ask>(&what.what)) {
      if (group_) // else it was taken for another node
        group_->ask({what.from, what.through, asked->number}, *asked);
    } else {
      clients_.hear(std::get<node_reply>(what.what));
    }
  }

  home& here_;
  node_life<node_process> life_;
  node_id id_;
  std::string name_;
  judged_node core_;
  node_links links_;
  node_router router_;
  std::optional<swim_member<node_process>> member_; // there is always one
  way way_;
  node_clients<home> clients_;
  node_letters<node_process> letters_;
  node_departure<node_process> departure_;
  node_worker<node_process> worker_;
  std::optional<node_group<home>> group_; // if it has a data folder
  time_point beat_at_{};
  /// Why it rests.
  bool in_maintenance_ = false;
  bool is_leaving_ = false;
};

static_assert(process<node_process>);

} // namespace troupe::sim
