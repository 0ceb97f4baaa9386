#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
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
#include "troupe/core/overloaded.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/sim/laws/node_laws.hpp"
#include "troupe/sim/world/appointed_leader.hpp"
#include "troupe/sim/world/judged_node.hpp"
#include "troupe/sim/world/node_departure.hpp"
#include "troupe/sim/world/node_links.hpp"
#include "troupe/sim/world/node_messages.hpp"
#include "troupe/sim/world/node_services.hpp"
#include "troupe/sim/world/node_setting.hpp"
#include "troupe/sim/world/service_asker.hpp"
#include "troupe/sim/world/service_way.hpp"
#include "troupe/sim/world/swim_member.hpp"

namespace troupe::sim {

/// A whole node in the world: its node_core, its `departure`, its finder, and its `swim` with
/// stand-ins for signatures. Mail of members gets lost like any message; what they say over links
/// does not, but needs one. Questions to the services go to the node where the finder has them,
/// over a link, and are lost with it.
///
/// Simpler than a real node: the Raft group is not run. A leader is appointed by whoever sets
/// node_group::lead, and finds that when it looks; the others ask where the services are. What the
/// services keep is one object that no fault reaches, see node_group; a deposed leader carries
/// nothing out there. All processes know each other's address. Each third process has no data
/// folder, and is another node in each life.
class node_process {
public:
  using message = std::variant<node_beat, node_letter, node_ping, node_pong, node_gossip,
                               node_wishes, node_records>;
  using disk = node_disk;
  using setting = node_setting;
  using home = environment<node_process>;

  explicit node_process(home& here)
    : here_(here),
      key_(begin_life()),
      own_(id_of(key_)),
      id_(to_string(own_)),
      name_("node-" + std::to_string(here.self())),
      core_({.node = id_,
             .name = name_,
             .boot = boot_,
             .claims = {.is_fleeting = is_fleeting(id_),
                        .answer_within = node_times::answer_within,
                        .retry_every = node_times::retry,
                        .look_every = node_times::look_at_names},
             .liveness = {.lost_after = node_times::lost_after,
                          .check_every = node_times::check,
                          .answer_within = node_times::answer_within,
                          .sweep_every = node_times::sweep},
             .table = bounds(),
             .forget_after = node_times::retention},
            &is_signed_with, {node_times::lost_after, node_times::any_answer},
            [this](cluster::node_core::effect& what) {
              std::visit([this](auto& each) { this->perform(each); }, what);
            }),
      links_({here.self(), here.life()}),
      way_(here, around_way()),
      asker_(
        here, node_times::answer_within, [this](node_ask what) { way_.ask(std::move(what)); },
        [this] { way_.doubt(); }),
      leader_(here_, id_, around_leader()),
      departure_(here_, around_departure()) {
    note_boot(id_, boot_);
    here.setting().members[own_] = {here.self(), key_};
    begin_as(boot_);
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
    silent_.erase(name);
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

  void maintain(bool on) {
    ask_core(cluster::node_core::maintain{on}, "maintenance", [this] { say_worker(); });
  }

  /// It may be refused: then the node goes on as before.
  void leave() {
    departure_.leave(
      {.name = name_, .has_log = !is_fleeting(id_), .knows_leader = way_.at().has_value()});
  }

  void stop() {
    departure_.stop();
  }

  /// Callers do not reach that agent any more, or do again.
  void fall_ill(const agent_id& name) {
    silent_.insert(name);
  }

  /// A caller of this node has not reached that agent.
  void miss(const std::string& node, const agent_id& name) {
    step(cluster::node_core::call_ended{node, name, registry::call_outcome::unreachable});
  }

  void get_well() {
    silent_.clear();
  }

  // -- what it shows -----------------------------------------------------------------------------

  /// What members call the node with that id.
  static node_id member_of(const std::string& id) {
    return *node_id::from_string(id);
  }

  [[nodiscard]] const std::string& id() const {
    return id_;
  }

  [[nodiscard]] std::uint64_t life() const {
    return here_.life();
  }

  /// Whether it knows what others say.
  [[nodiscard]] bool is_caught_up() const {
    return is_caught_up_;
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
    return {&book(),  &core_.inside(), &receivers_,
            &routes_, &member_->it(),  here_.setting().twins.contains(id_)};
  }

  [[nodiscard]] const registry::record_table& table() const {
    return core_.inside().table();
  }

  /// Where it takes the services to be: the process.
  [[nodiscard]] std::optional<process_id> services_at() const {
    return way_.at();
  }

  /// The appointed leader knows that it leads.
  [[nodiscard]] bool leads() const {
    return core_.inside().leads();
  }

  // -- the world ---------------------------------------------------------------------------------

  void receive(process_id from, const message& what) {
    if (has_ended())
      return;
    std::visit([&](const auto& each) { hear(from, each); }, what);
    if (!std::holds_alternative<node_gossip>(what)) // what members show is judged where it counts
      judge();
  }

  void wake() {
    if (has_ended())
      return;
    auto now = here_.now();
    if (due(member_->it().next_deadline(), now))
      member_->tick();
    if (!due(own_deadline(), now))
      return;
    asker_.wake();
    miss_pongs(now);
    way_.wake();
    core_.tick(now);
    core_.ticked(now);
    take_links(links_.tick(now));
    leader_.wake();
    if (beat_at_ <= now)
      beat();
    judge();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (has_ended())
      return std::nullopt;
    auto next = own_deadline();
    return std::min(next, member_->it().next_deadline().value_or(next));
  }

private:
  static bool due(std::optional<time_point> when, time_point now) {
    return when && *when <= now;
  }

  /// Of all but its part in the membership.
  [[nodiscard]] time_point own_deadline() const {
    auto next = std::min(beat_at_, leader_.next_deadline());
    auto no_later
      = [&next](std::optional<time_point> when) { next = std::min(next, when.value_or(next)); };
    no_later(core_.inside().next_deadline());
    for (auto& [number, due] : pings_)
      no_later(due);
    return asker_.next_deadline(std::min(next, way_.next_deadline()));
  }

  static registry::registry_options bounds() {
    registry::registry_options made;
    made.retention = node_times::retention;
    made.unhealthy_after = 1;
    made.unhealthy_for = std::chrono::hours{1}; // only a ping heals
    return made;
  }

  /// Returns its key: of one with a folder another one in each, of one without in each life.
  public_key begin_life() {
    auto& kept = here_.disk();
    auto has_folder = here_.self() % 3 != 2;
    if (!has_folder)
      kept = {};
    while (kept.id.empty() || is_fleeting(to_string(id_of(key_of(kept.id)))) == has_folder)
      kept.id = std::to_string(here_.self()) + "-" + std::to_string(++here_.setting().ids);
    boot_ = ++kept.boot;
    return key_of(kept.id);
  }

  void note_boot(const std::string& id, boot_number boot) {
    if (!here_.setting().begun.emplace(id, boot).second)
      here_.setting().twins.insert(id);
  }

  void broken(const std::string& what) {
    here_.setting().found.broken("node " + id_ + ' ' + what);
  }

  void judge() {
    core_.judge([this](const std::string& what) { broken(what); });
    check_receivers(id_, look(), [this](const std::string& what) { broken(what); });
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
    if (is_fleeting(id_))
      made.metadata[cluster::known_nodes::fleeting_mark] = "yes";
    ask_core(cluster::claims::put{made}, "put of itself", [this] { say_worker(); });
  }

  void say_worker() {
    if (!departure_.takes_back())
      asker_.ask(group_question{worker_here{id_, book().boot()}}, [](const node_answer&) {});
  }

  // -- how it leaves and ends -------------------------------------------------------------------

  node_departure<node_process>::surroundings around_departure() {
    return {
      .take_back =
        [this](std::function<void()> done) {
          asker_.ask(group_question{worker_gone{id_, book().boot()}}, [](const node_answer&) {});
          ask_core(cluster::claims::leave{}, "leave", std::move(done));
        },
      .say_farewell = [this] { member_->step(cluster::swim::leave{}); },
      .leads = [this] { return leads(); },
    };
  }

  // -- who is found, and what this node says ----------------------------------------------------

  void perform(cluster::claims::ask& what) {
    auto send = [&]<class Words>(const Words& words) {
      asker_.ask(words, [this, id = what.id](const node_answer& heard) {
        step(
          cluster::claims::heard<typename Words::result>{to_result<typename Words::result>(heard)},
          id);
      });
    };
    std::visit(send, what.what);
  }

  void perform(cluster::claims::done& what) {
    ++here_.setting().answers;
    core_.answered(what.id);
  }

  void perform(cluster::node_core::found& what) {
    routes_.insert_or_assign({what.id, what.what.key.owner}, what);
    if (what.what.key.owner == id_ && what.what.token != 0)
      receivers_.insert(what.id);
  }

  void perform(cluster::node_core::gone& what) {
    routes_.erase({what.id, what.node});
    if (what.node == id_)
      receivers_.erase(what.id);
  }

  void perform(cluster::claims::lost_name& what) {
    ++here_.setting().names_lost;
    receivers_.erase(what.name);
  }

  void perform(cluster::claims::rise& what) {
    if (!here_.has_room())
      return;
    here_.sync([this, boot = what.boot] {
      here_.disk().boot = std::max(here_.disk().boot, boot);
      ++here_.setting().rises;
      note_boot(id_, boot);
      if (boot <= book().boot() || has_ended())
        return;
      begin_as(boot);
      step(cluster::claims::risen{boot});
      here_.after(std::chrono::milliseconds{1}, [this] { // once that is signed
        for (auto& [who, known] : here_.setting().members)
          if (links_.find(to_string(who)))
            member_->show_card(who);
      });
    });
  }

  void perform(cluster::node_core::complain& what) {
    if (what.topic == cluster::node_core::not_kept && here_.setting().twins.empty())
      broken("cannot keep what others say: " + what.detail);
  }

  void perform(cluster::node_core::found_only& what) {
    std::erase_if(routes_, [&](auto& each) {
      return each.first.second != id_ && !what.agents.contains(each.first);
    });
  }

  void perform(cluster::node_core::node_is&) {}
  void perform(cluster::node_core::node_left&) {}
  void perform(cluster::node_core::presence&) {}
  void perform(cluster::node_core::caught_up&) {
    is_caught_up_ = true;
  }

  void perform(cluster::node_core::inform&) {}
  void perform(cluster::node_core::warn&) {}
  void perform(cluster::node_core::settle&) {}

  // -- who is alive -----------------------------------------------------------------------------

  void perform(cluster::liveness::give_up& what) {
    ++here_.setting().given_up;
    auto& latest = here_.setting().lost[what.node];
    latest = std::max(latest, what.boot);
    asker_.ask(group_question{worker_gone{what.node, what.boot}}, [](const node_answer&) {});
  }

  /// Names of a node that can come back stay its, unless this node has forgotten it.
  void perform(cluster::liveness::free_names& what) {
    ++here_.setting().names_freed;
    auto is_known = table().answer(registry::find_owner{what.node}).boot != 0;
    if (!is_fleeting(what.node) && is_known)
      broken("frees the names of node " + what.node + ", which may come back");
    asker_.ask(group_question{registry::names::owner_gone{what.node, what.boot}},
               [](const node_answer&) {});
  }

  void perform(cluster::liveness::list_names& what) {
    asker_.ask(group_question{what.what}, [this, id = what.id](const node_answer& heard) {
      step(cluster::liveness::names_listed{to_result<registry::names::claim_page>(heard)}, id);
    });
  }

  void perform(cluster::liveness::ping& what) {
    if (what.node == id_)
      return step(cluster::liveness::pong{!silent_.contains(what.agent)}, what.id);
    auto where = links_.find(what.node);
    if (!where)
      return step(cluster::liveness::pong{false}, what.id);
    pings_.emplace(what.id, here_.now() + what.wait);
    here_.send(*where, node_ping{here_.life(), what.id, what.agent});
  }

  // -- the records of others ----------------------------------------------------------------------

  void perform(cluster::record_exchange::restate& what) {
    member_->step(cluster::swim::holds{what.what});
  }

  void perform(cluster::record_exchange::learned& what) {
    member_->step(cluster::swim::told{what.from, {cluster::told_itself{std::move(what.what)}}});
  }

  void perform(cluster::record_exchange::ask& what) {
    if (auto where = links_.find(to_string(what.whom)))
      here_.send_over_link(*where, node_wishes{here_.life(), what.id, what.what});
    else
      here_.after(std::chrono::milliseconds{50}, [this, id = what.id] {
        step(cluster::record_exchange::answered{}, id);
        judge();
      });
  }

  void hear(process_id from, const node_wishes& what) {
    asked_by_[++last_asked_] = {from, what.life, what.number};
    step(cluster::record_exchange::asked{what.what}, last_asked_);
  }

  void perform(cluster::record_exchange::reply& what) {
    auto [to, life, number] = asked_by_.extract(what.id).mapped();
    here_.send_over_link(to, node_records{life, number, std::move(what.what)});
  }

  void hear(process_id, const node_records& what) {
    if (what.life == here_.life())
      step(cluster::record_exchange::answered{what.what}, what.number);
  }

  // -- links -------------------------------------------------------------------------------------

  void beat() {
    auto now = here_.now();
    beat_at_ = now + node_times::beat;
    for (process_id to = 0; to < here_.setting().group_size; ++to) {
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
    for (auto& each : changes)
      if (each.is_up) {
        way_.link_up(each.who.first, each.who.second);
        step(cluster::liveness::link_up{each.node, each.boot});
        member_->show_card(member_of(each.node));
      } else {
        way_.link_down(each.who.first, each.who.second);
        step(cluster::liveness::link_down{each.node, each.boot, "silent"});
        if (!links_.find(each.node)) // else that was the link of an earlier life
          doubt(member_of(each.node));
      }
  }

  void doubt(const node_id& who) {
    auto known = member_->it().find(who);
    if (known && known->state == cluster::member_status::alive)
      ++here_.setting().outlived_links;
    member_->step(cluster::swim::doubted{who});
  }

  void hear(process_id from, const node_ping& what) {
    if (!silent_.contains(what.agent))
      here_.send(from, node_pong{what.life, what.number});
  }

  void hear(process_id, const node_pong& what) {
    if (what.life == here_.life() && pings_.erase(what.number) > 0)
      step(cluster::liveness::pong{true}, what.number);
  }

  // -- what members say of each other -----------------------------------------------------------

  /// What others know of it begins anew.
  void begin_as(boot_number boot) {
    member_.emplace(here_, key_, boot, node_times::membership(), here_.random().next(),
                    surroundings());
    member_->step(cluster::swim::begin{address_of(here_.self(), here_.life())});
  }

  /// A node that has its disk has its key.
  static public_key key_of(const std::string& id) {
    public_key made;
    for (std::size_t each = 0; each < id.size(); ++each)
      made.bytes.at(each) = static_cast<std::byte>(id[each]);
    return made;
  }

  static std::string address_of(process_id which, std::uint64_t life) {
    return "p" + std::to_string(which) + ":" + std::to_string(life);
  }

  swim_surroundings surroundings() {
    return {
      .mail =
        [this](cluster::swim::send& what) {
          auto& known = here_.setting().members.at(what.to);
          here_.send(known.first, node_gossip{own_, what.address, std::move(what.what)});
        },
      .over_link =
        [this](const node_id& to, swim_message what) {
          if (auto where = links_.find(to_string(to)))
            here_.send_over_link(*where, node_gossip{own_, {}, std::move(what)});
        },
      .on_shows =
        [this](const cluster::swim::shows& what) {
          here_.setting().deaths += what.is == cluster::member_status::dead ? 1 : 0;
          step(cluster::node_core::member_is{what.who, what.when, what.is, what.told, what.key,
                                             what.from});
          judge();
        },
      .on_forgot = [this](const node_id& who) { step(cluster::node_core::member_forgotten{who}); },
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
    if (!is_mail && !links_.find(to_string(what.from)))
      return;
    member_->hear(what.from, what.what);
  }

  // -- who leads ---------------------------------------------------------------------------------

  appointed_leader<node_process>::surroundings around_leader() {
    return {
      .on_lead =
        [this](std::uint64_t term) {
          step(cluster::node_core::lead{});
          way_.lead(term);
        },
      .on_follow =
        [this](std::uint64_t term) {
          step(cluster::node_core::follow{});
          way_.follow(term);
        },
      .reply = [this](const node_letter& to, node_reply what) { way_.reply(to, std::move(what)); },
      .broken = [this](const std::string& what) { broken(what); },
    };
  }

  // -- questions to the services -----------------------------------------------------------------

  service_way<node_process>::surroundings around_way() {
    return {
      .over_link
      = [this](process_id over, node_letter what) { here_.send_over_link(over, std::move(what)); },
      .on_bound =
        [this] {
          asker_.send_all();
          step(cluster::claims::bound{});
        },
      .broken = [this](const std::string& what) { broken(what); },
    };
  }

  void hear(process_id, const node_letter& what) {
    if (way_.hear(what))
      return;
    if (auto* asked = std::get_if<node_ask>(&what.what))
      leader_.asked(what, *asked);
    else
      asker_.hear(std::get<node_reply>(what.what));
  }

  void miss_pongs(time_point now) {
    std::vector<request_id> unanswered;
    for (auto& [number, due] : pings_)
      if (due <= now)
        unanswered.push_back(number);
    for (auto number : unanswered) {
      pings_.erase(number);
      step(cluster::liveness::pong{false}, number);
    }
  }

  home& here_;
  boot_number boot_ = 0; // of the start
  public_key key_;
  node_id own_;
  std::string id_;
  std::string name_;
  judged_node core_;
  node_links links_;
  std::optional<swim_member<node_process>> member_; // there is always one
  service_way<node_process> way_;
  service_asker<node_process> asker_;
  appointed_leader<node_process> leader_;

  std::set<agent_id> receivers_;
  node_routes routes_;
  std::set<agent_id> silent_;
  node_departure<node_process> departure_;

  std::map<request_id, time_point> pings_;
  /// Who has asked for records: the process, its life, and its number of the question.
  std::map<request_id, std::tuple<process_id, std::uint64_t, request_id>> asked_by_;
  request_id last_asked_ = 0;
  bool is_caught_up_ = false;
  time_point beat_at_{};
};

static_assert(process<node_process>);

} // namespace troupe::sim
