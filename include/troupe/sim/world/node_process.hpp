#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
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
#include "troupe/cluster/departure.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/liveness.hpp"
#include "troupe/cluster/node_core.hpp"
#include "troupe/cluster/swim.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/sim/laws/node_laws.hpp"
#include "troupe/sim/world/node_links.hpp"
#include "troupe/sim/world/node_services.hpp"
#include "troupe/sim/world/service_process.hpp"
#include "troupe/sim/world/swim_member.hpp"

namespace troupe::sim {

/// A question to the services, or an answer.
struct node_ask {
  std::uint64_t life = 0;
  request_id number = 0;
  /// The sender waits for no answer up to this number.
  request_id acked = 0;
  std::uint64_t term = 0;
  group_question what;
};

struct node_reply {
  std::uint64_t life = 0;
  request_id number = 0;
  node_answer what;
};

struct node_ping {
  std::uint64_t life = 0;
  request_id number = 0;
  std::string agent;
};

struct node_pong {
  std::uint64_t life = 0;
  request_id number = 0;
};

/// What members of the cluster say to each other of who is there.
struct node_gossip {
  node_id from;
  /// Of the receiver, in the life that is meant.
  std::string address;
  swim_message what;
};

/// What changed of some nodes, asked over a link, and what the other knows of that.
struct node_wishes {
  std::uint64_t life = 0;
  request_id number = 0;
  std::vector<cluster::record_wish> what;
};

struct node_records {
  std::uint64_t life = 0;
  request_id number = 0;
  std::vector<cluster::told_records> what;
};

/// What a data folder keeps of a node.
struct node_disk {
  /// Empty before the first start.
  std::string id{};
  boot_number boot = 0;

  void crash(random_source&) {} // what is not synced was not written
};

/// Times of the simulated nodes, as node_options has them, in a cluster that is in a hurry.
struct node_times {
  static cluster::swim_options membership() {
    auto made = cluster::swim_options::lan();
    made.sync_every = std::chrono::seconds{5};
    made.revisit_every = std::chrono::seconds{2};
    made.keep_gone = retention;
    return made;
  }

  static constexpr duration beat = std::chrono::milliseconds{250};
  static constexpr duration look = std::chrono::milliseconds{200};
  static constexpr duration answer_within = std::chrono::seconds{2};
  static constexpr duration lost_after = std::chrono::milliseconds{1'500};
  static constexpr duration retry = std::chrono::seconds{1};
  static constexpr duration look_at_names = std::chrono::seconds{3};
  static constexpr duration retention = std::chrono::seconds{15};
  static constexpr duration check = std::chrono::seconds{1};
  static constexpr duration sweep = std::chrono::seconds{2};
  /// From the end of a node, or of its link, until a leader that hears the others has given it up.
  static constexpr duration given_up_within = std::chrono::seconds{4};
  /// Five tries of a put with their waits, after a release and a claim.
  static constexpr duration any_answer = std::chrono::seconds{40};
};

struct node_setting {
  process_id group_size = 5;
  node_group group{};
  findings found{};
  /// Ids that disks and processes without a folder have got.
  std::uint64_t ids = 0;
  /// The boots that nodes have had, and the nodes that have had one twice, as their disk was put
  /// back. What they have said in the first of the two lives may be taken for theirs.
  std::set<std::pair<std::string, boot_number>> begun{};
  std::set<std::string> twins{};
  /// The nodes: their process and their key.
  std::map<node_id, std::pair<process_id, public_key>> members{};
  /// The latest boot of each node that was given up, whoever led.
  std::map<std::string, boot_number> lost{};
  /// Who has begun to lead in each term.
  std::map<std::uint64_t, std::string> leaders{};
  /// At times no other node takes the vote of one that leaves.
  bool refuses_votes = false;
  // Figures.
  std::uint64_t given_up = 0;
  std::uint64_t names_lost = 0;
  std::uint64_t names_freed = 0;
  std::uint64_t rises = 0;
  /// How often members showed one another dead.
  std::uint64_t deaths = 0;
  /// Links that ended while the members showed the node.
  std::uint64_t outlived_links = 0;
  std::uint64_t answers = 0;
};

/// A whole node in the world: its node_core, its `departure`, and its `swim` with stand-ins for
/// signatures. Mail of members gets lost like any message; what they say over links does not, but
/// needs one.
///
/// Simpler than a real node: the Raft group and the finder are not run. A leader is appointed by
/// whoever sets node_group::lead, and finds that when it looks; the others hear it from each other.
/// Names and the scheduler's list of workers are one object that no fault reaches, see node_group;
/// a deposed leader carries nothing out there. All processes know each other's address. Each third
/// process has no data folder, and is another node in each life.
class node_process {
public:
  using message = std::variant<node_beat, node_ask, node_reply, node_ping, node_pong, node_gossip,
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
      core_{cluster::node_core{{.node = id_,
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
                               &is_signed_with}},
      links_({here.self(), here.life()}) {
    note_boot(id_, boot_);
    here.setting().members[own_] = {here.self(), key_};
    begin_as(boot_);
    put_self();
    beat_at_ = look_at_ = here_.now();
  }

  // -- what its host asks of it --------------------------------------------------------------

  void add_agent(const std::string& name, bool is_unique) {
    registry::record made;
    made.key.name = name;
    ask_core(cluster::node_core::add_agent{made, is_unique}, "add of agent " + name);
  }

  void remove_agent(const std::string& name) {
    silent_.erase(name);
    step(cluster::claims::remove{name});
  }

  void update_agent(const std::string& name, std::uint32_t load) {
    cluster::agent_change how;
    how.load = load;
    if (load % 2 == 0)
      how.add_capabilities = {"even"};
    else
      how.remove_capabilities = {"even"};
    ask_core(cluster::node_core::update_agent{name, how}, "update of agent " + name);
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
    is_leaving_ = true;
    depart(++last_departure_, cluster::departure::leave{.name = name_,
                                                        .has_log = !is_fleeting(id_),
                                                        .knows_leader = lead_.term != 0});
  }

  void stop() {
    depart(++last_departure_, cluster::departure::stop{});
  }

  /// Callers do not reach that agent any more, or do again.
  void fall_ill(const std::string& name) {
    silent_.insert(name);
  }

  /// A caller of this node has not reached that agent.
  void miss(const std::string& node, const std::string& name) {
    step(cluster::node_core::call_ended{node, name, registry::call_outcome::condemned});
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
    return is_leaving_ || departure_.is_ending();
  }

  /// It has left or stopped, and does nothing any more: its host ends the process.
  [[nodiscard]] bool has_ended() const {
    return has_ended_;
  }

  /// Adds, puts and leaves of this node that have no answer yet.
  [[nodiscard]] std::size_t unanswered() const {
    return askers_laws_.open();
  }

  [[nodiscard]] node_sight look() const {
    return {&book(),  &core_.inside,  &receivers_,
            &routes_, &member_->it(), here_.setting().twins.contains(id_)};
  }

  [[nodiscard]] const registry::record_table& table() const {
    return core_.inside.table();
  }

  /// The appointed leader knows that it leads.
  [[nodiscard]] bool leads() const {
    return core_.inside.leads();
  }

  // -- the world ---------------------------------------------------------------------------------

  void receive(process_id from, const message& what) {
    if (has_ended_)
      return;
    std::visit([&](const auto& each) { hear(from, each); }, what);
    if (!std::holds_alternative<node_gossip>(what)) // what members show is judged where it counts
      judge();
  }

  void wake() {
    if (has_ended_)
      return;
    auto now = here_.now();
    if (due(member_->it().next_deadline(), now))
      member_->tick();
    if (!due(own_deadline(), now))
      return;
    give_up_questions(now);
    tick();
    judge_.ticked(now);
    askers_laws_.ticked(now);
    take_links(links_.tick(now));
    if (look_at_ <= now)
      look_for_lead();
    if (beat_at_ <= now)
      beat();
    judge();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (has_ended_)
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
    auto next = std::min(beat_at_, look_at_);
    auto no_later
      = [&next](std::optional<time_point> when) { next = std::min(next, when.value_or(next)); };
    no_later(core_.inside.next_deadline());
    for (auto& [number, each] : questions_)
      no_later(std::min(each.due, each.again_at));
    for (auto& [number, due] : pings_)
      no_later(due);
    return next;
  }

  /// The machine and what it wants to have done, in order.
  struct shell {
    cluster::node_core inside;
    std::deque<cluster::node_core::effect> left{};
    bool is_busy = false;
  };

  struct question {
    group_question what;
    std::function<void(const node_answer&)> done;
    time_point due{};
    time_point again_at{};
  };

  static registry::registry_options bounds() {
    registry::registry_options made;
    made.retention = node_times::retention;
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
    for (auto& each : judge_.take_violations())
      broken(each);
    for (auto& each : askers_laws_.take_violations())
      broken(each);
    for (auto& each : core_.inside.flaws())
      broken("has a flaw: " + each);
    check_receivers(id_, look(), [this](const std::string& what) { broken(what); });
  }

  // -- the machine -------------------------------------------------------------------------------

  void step(cluster::node_core::event what, request_id id = 0) {
    if (has_ended_)
      return;
    judge_.hears(here_.now(), id, what, core_.inside);
    cluster::node_core::effects out;
    core_.inside.step(here_.now(), id, std::move(what), out);
    judge_.looks(here_.now(), core_.inside);
    carry_out(out);
  }

  void tick() {
    cluster::node_core::effects out;
    core_.inside.tick(here_.now(), out);
    judge_.looks(here_.now(), core_.inside);
    carry_out(out);
  }

  void carry_out(cluster::node_core::effects& out) {
    for (auto& each : out) {
      judge_.does(here_.now(), each);
      core_.left.push_back(std::move(each));
    }
    if (std::exchange(core_.is_busy, true))
      return;
    while (!core_.left.empty()) {
      auto next = std::move(core_.left.front());
      core_.left.pop_front();
      std::visit([this](auto& each) { this->perform(each); }, next);
    }
    core_.is_busy = false;
  }

  [[nodiscard]] const registry::own_records& book() const {
    return core_.inside.book();
  }

  void ask_core(
    cluster::node_core::event what, const std::string& words, std::function<void()> done = [] {}) {
    auto id = ++last_asker_;
    askers_.emplace(id, std::move(done));
    askers_laws_.asked(here_.now(), id, words);
    step(std::move(what), id);
  }

  void put_self() {
    registry::record made;
    made.key = {registry::record_kind::node, name_, id_};
    if (is_fleeting(id_))
      made.metadata[cluster::known_nodes::fleeting_mark] = "yes";
    ask_core(cluster::claims::put{made}, "put of itself", [this] { say_worker(); });
  }

  void say_worker() {
    if (!takes_back_)
      ask(group_question{worker_here{id_, book().boot()}}, [](const node_answer&) {});
  }

  // -- how it leaves and ends -------------------------------------------------------------------

  void depart(request_id id, cluster::departure::event what) {
    cluster::departure::effects out;
    departure_.step(here_.now(), id, std::move(what), out);
    for (auto& each : out)
      std::visit([this](auto& next) { this->carry_out(next); }, each);
  }

  void carry_out(const cluster::departure::run& what) {
    using enum cluster::departure::stage;
    auto done = [this, what](const problem& why = {}) {
      depart(what.id, cluster::departure::done{what.which, why, leads()});
    };
    switch (what.which) {
      case give_up_vote:
        return here_.after(std::chrono::milliseconds{10}, [this, done] {
          auto is_refused = here_.setting().refuses_votes && here_.random().one_in(4);
          done(is_refused ? problem{errc::in_use, "no other node can take its place"} : problem{});
        });
      case take_back:
        takes_back_ = true;
        ask(group_question{worker_gone{id_, book().boot()}}, [](const node_answer&) {});
        here_.after(what.within, [done] { done({errc::timed_out, "no answer in time"}); });
        return ask_core(cluster::claims::leave{}, "leave", [done] { done(); });
      case say_farewell: // what it says is signed in a moment
        member_->step(cluster::swim::leave{});
        return here_.after(std::chrono::milliseconds{1}, [done] { done(); });
      case turn_away: // the rest is over in the same moment, with the process
      case hand_over:
      case fall_silent:
      case end_sessions:
      case end_links:
      case end_agents:
      case end_services:
      case end_router:
        return done();
    }
  }

  void carry_out(const cluster::departure::over&) {
    has_ended_ = departure_.is_ending();
    is_leaving_ = false;
  }

  // -- who is found, and what this node says ----------------------------------------------------

  void perform(cluster::claims::ask& what) {
    auto send = [&]<class Words>(const Words& words) {
      ask(words, [this, id = what.id](const node_answer& heard) {
        step(
          cluster::claims::heard<typename Words::result>{to_result<typename Words::result>(heard)},
          id);
      });
    };
    std::visit(send, what.what);
  }

  void perform(cluster::claims::done& what) {
    askers_laws_.answered(what.id);
    ++here_.setting().answers;
    if (auto found = askers_.extract(what.id))
      found.mapped()();
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
      if (boot <= book().boot() || has_ended_)
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
    ask(group_question{worker_gone{what.node, what.boot}}, [](const node_answer&) {});
  }

  /// Names of a node that can come back stay its, unless this node has forgotten it.
  void perform(cluster::liveness::free_names& what) {
    ++here_.setting().names_freed;
    auto is_known = table().answer(registry::find_owner{what.node}).boot != 0;
    if (!is_fleeting(what.node) && is_known)
      broken("frees the names of node " + what.node + ", which may come back");
    ask(group_question{registry::names::owner_gone{what.node, what.boot}},
        [](const node_answer&) {});
  }

  void perform(cluster::liveness::list_names& what) {
    ask(group_question{what.what}, [this, id = what.id](const node_answer& heard) {
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
      node_beat made{.node = id_, .boot = book().boot(), .life = here_.life(), .lead = lead_};
      links_.address(now, to, made);
      here_.send(to, std::move(made));
    }
  }

  void hear(process_id from, const node_beat& what) {
    learn(what.lead);
    if (what.receiver == id_ && what.heard_of > book().boot())
      step(cluster::claims::outlived{what.heard_of});
    std::vector<node_links::change> late;
    take_links(links_.hear(here_.now(), from, what, late));
    if (!late.empty())
      here_.after(here_.handover() + node_links::silence / 2, [this, late] {
        if (has_ended_)
          return;
        take_links(late);
        judge();
      });
  }

  void take_links(const std::vector<node_links::change>& changes) {
    for (auto& each : changes)
      if (each.is_up) {
        step(cluster::liveness::link_up{each.node, each.boot});
        member_->show_card(member_of(each.node));
      } else {
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

  void look_for_lead() {
    look_at_ = here_.now() + node_times::look;
    auto& appointed = here_.setting().group.lead;
    if (appointed.who == caller{here_.self(), here_.life()} && appointed.term > leads_in_)
      begin_to_lead(appointed);
    else if (leads() && appointed.term > leads_in_)
      follow_another();
  }

  void begin_to_lead(const leadership& what) {
    leads_in_ = what.term;
    if (auto& first = here_.setting().leaders.try_emplace(what.term, id_).first->second;
        first != id_)
      broken("leads in term " + std::to_string(what.term) + ", and node " + first + ", too");
    step(cluster::node_core::lead{});
    learn(what);
  }

  void follow_another() {
    step(cluster::node_core::follow{});
  }

  /// The services are elsewhere.
  void learn(const leadership& what) {
    if (what.term <= lead_.term)
      return;
    lead_ = what;
    if (leads() && what.term > leads_in_)
      follow_another();
    step(cluster::claims::bound{});
  }

  // -- questions to the services -----------------------------------------------------------------

  void ask(group_question what, std::function<void(const node_answer&)> done) {
    auto number = ++last_question_;
    auto now = here_.now();
    questions_.emplace(
      number, question{std::move(what), std::move(done), now + node_times::answer_within, now});
    send(number);
  }

  void send(request_id number) {
    auto& each = questions_.at(number);
    each.again_at = here_.now() + std::chrono::milliseconds{300};
    if (lead_.term == 0)
      return;
    here_.send(lead_.who.first, node_ask{here_.life(), number, questions_.begin()->first - 1,
                                         lead_.term, each.what});
  }

  void give_up_questions(time_point now) {
    std::vector<request_id> over;
    std::vector<request_id> again;
    for (auto& [number, each] : questions_)
      if (each.due <= now)
        over.push_back(number);
      else if (each.again_at <= now)
        again.push_back(number);
    for (auto number : over)
      conclude(number, problem{errc::timed_out, "no answer in time"});
    for (auto number : again)
      if (questions_.contains(number))
        send(number);
    std::vector<request_id> unanswered;
    for (auto& [number, due] : pings_)
      if (due <= now)
        unanswered.push_back(number);
    for (auto number : unanswered) {
      pings_.erase(number);
      step(cluster::liveness::pong{false}, number);
    }
  }

  void conclude(request_id number, const node_answer& what) {
    if (auto found = questions_.extract(number))
      found.mapped().done(what);
  }

  void hear(process_id from, const node_ask& what) {
    auto& group = here_.setting().group;
    if (!leads() || what.term != leads_in_ || group.lead.term != leads_in_)
      return; // it asks again; this node may have been deposed, and not know it
    auto answer = group.calls.carry_out({from, what.life}, what.number, what.acked,
                                        [&] { return group.ask(what.what); });
    if (answer)
      here_.send(from, node_reply{what.life, what.number, std::move(*answer)});
  }

  void hear(process_id, const node_reply& what) {
    if (what.life == here_.life())
      conclude(what.number, what.what);
  }

  home& here_;
  boot_number boot_ = 0; // of the start
  public_key key_;
  node_id own_;
  std::string id_;
  std::string name_;
  shell core_;
  node_links links_;
  std::optional<swim_member<node_process>> member_; // there is always one
  judge_laws judge_{node_times::lost_after};
  asker_laws askers_laws_{node_times::any_answer};

  std::map<request_id, std::function<void()>> askers_;
  request_id last_asker_ = 0;
  std::set<std::string> receivers_;
  node_routes routes_;
  std::set<std::string> silent_;
  cluster::departure departure_;
  request_id last_departure_ = 0;
  bool is_leaving_ = false;
  bool takes_back_ = false;
  bool has_ended_ = false;

  /// The leader that it knows, and the term in which it leads itself.
  leadership lead_;
  std::uint64_t leads_in_ = 0;

  std::map<request_id, question> questions_;
  request_id last_question_ = 0;
  std::map<request_id, time_point> pings_;
  /// Who has asked for records: the process, its life, and its number of the question.
  std::map<request_id, std::tuple<process_id, std::uint64_t, request_id>> asked_by_;
  request_id last_asked_ = 0;
  bool is_caught_up_ = false;
  time_point beat_at_{};
  time_point look_at_{};
};

static_assert(process<node_process>);

} // namespace troupe::sim
