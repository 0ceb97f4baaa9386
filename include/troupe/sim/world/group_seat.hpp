#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/seats.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/sim/laws/asker_laws.hpp"
#include "troupe/sim/laws/seats_laws.hpp"
#include "troupe/sim/world/group_on_disk.hpp"
#include "troupe/sim/world/mailbox.hpp"
#include "troupe/sim/world/named_nodes.hpp"
#include "troupe/sim/world/seat_types.hpp"

namespace troupe::sim {

/// A simulated node's part in the group that keeps the services: its replica, and its `seats` in a
/// thread of their own, which hears late what the group says. Its laws see each event and each
/// effect.
///
/// A link keeps cards in order and loses none while it is there; letters of the group may be lost.
/// A letter over the link of an earlier life of its sender is dropped; a card may come that late.
template <class Home>
class group_seat {
public:
  using seats = cluster::seats;
  using answer = std::function<void(const problem&)>;
  using services = std::map<host::service_id, std::uint32_t>;

  struct surroundings {
    /// Called in the thread of the group.
    std::function<void(host::group_event)> to_service;
    /// The other parts of the node, called in the thread of the seats.
    std::function<void(const seats::effect&)> to_node;
    std::function<void(const std::string&)> broken;
  };

  /// The node with this id takes links at `address`. `here` outlives this.
  group_seat(Home& here, const node_id& node, std::string address, const services& which,
             surroundings around)
    : here_(here),
      node_(node),
      address_(std::move(address)),
      around_(std::move(around)),
      to_seats_(here, [](std::function<void()>& job) { job(); }),
      group_(here, *this, how(here), which, {}),
      seats_(node_, self(),
             {.voters = here.setting().voters,
              .replace_after = here.setting().replace_after,
              .silent_after = silent_after},
             here.life()),
      laws_(here.setting().facts, here.setting().on_disk, node_,
            {here.setting().voters, here.setting().replace_after, silent_after}) {}

  group_seat(const group_seat&) = delete;
  group_seat& operator=(const group_seat&) = delete;

  /// Call it before the node starts: its disk has a seat from then on.
  static void take_seat(Home& here) {
    if (here.disk().seat() == raft::member_id{})
      here.disk().change_seat(fresh_seat(here));
  }

  /// Call it once the node is complete.
  void begin() {
    note_seat();
    if (auto why = group_.begin())
      broken("stops: " + why.detail);
  }

  // -- what people and the rest of its node ask of it ------------------------------------------

  void found() {
    group_.step(raft::replica::event{
      raft::replica::found_group{to_string(cluster::seat_contact{node_, address_})}});
  }

  /// Ends with one call of `done`, unless this process is killed before.
  void change(const cluster::change_voters& what, answer done) {
    ask("change of voters", changes_, std::move(done), seats::change{what});
  }

  void hand_over(answer done) {
    ask("hand-over", hand_overs_, std::move(done), seats::hand_over{});
  }

  /// For the services, in the thread of the group.
  void step_group(request_id id, const host::group_core::event& what) {
    group_.step(what, id);
  }

  /// What the node hears of others, but for links and cards.
  void note(seats::event what) {
    step(std::move(what));
  }

  /// Shows every other node a card that is not its own.
  void pretend(const seats::card& theirs, raft::member_id forgotten) {
    for (process_id to = 0; to < here_.setting().nodes; ++to)
      if (to != here_.self())
        here_.send(to, card_shown{here_.life(), ++cards_sent_, 0, theirs, forgotten});
  }

  /// Its replica neither says nor hears anything any more, as if its disk had failed.
  void fall_silent() {
    is_silent_ = true;
  }

  // -- what it shows -----------------------------------------------------------------------------

  [[nodiscard]] const node_id& node() const {
    return node_;
  }

  [[nodiscard]] const std::string& address() const {
    return address_;
  }

  [[nodiscard]] const raft::replica& consensus() const {
    return group_.inside().consensus();
  }

  [[nodiscard]] raft::member_id self() const {
    return consensus().self();
  }

  [[nodiscard]] cluster::voters_view view() const {
    return seats_.view(group_.look(), group_.inside().quorum(here_.now()));
  }

  [[nodiscard]] bool is_silent() const {
    return is_silent_;
  }

  /// Requests of people that have no answer yet.
  [[nodiscard]] std::size_t open() const {
    return changes_.open() + hand_overs_.open();
  }

  /// Whether it has asked the group for something in this last span of the world's time.
  [[nodiscard]] bool proposed_within(duration span) const {
    return proposed_at_ + span > world_time();
  }

  [[nodiscard]] bool is_stopped() const {
    return group_.is_stopped();
  }

  // -- time ----------------------------------------------------------------------------------

  void wake() {
    group_.wake();
    if (auto due = seats_.next_deadline(); due && *due <= here_.now()) {
      seats::effects out;
      seats_.tick(here_.now(), out);
      carry_out(out, {});
    }
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = group_.next_deadline();
    if (auto due = seats_.next_deadline())
      next = std::min(next.value_or(*due), *due);
    return next;
  }

  /// Cards that were lost are sent again, as long as there is the link: call it often.
  void greet_again() {
    std::erase_if(greetings_,
                  [&](auto& each) { return !is_linked(each.second.to, each.second.life); });
    std::vector<request_id> silent;
    for (auto& [id, each] : greetings_)
      if (each.until <= here_.now())
        silent.push_back(id);
      else
        show(id, each);
    for (auto id : silent) {
      greetings_.erase(id);
      step(seats::unanswered{{errc::timed_out, "no answer"}}, id);
    }
  }

  /// Call it when all that is due was done.
  void judge() {
    for (auto* each : {&changes_, &hand_overs_, &cards_})
      each->ticked(here_.now());
    check();
  }

  // -- links ---------------------------------------------------------------------------------

  void link_up(process_id who, std::uint64_t life, const node_id& node, boot_number boot) {
    lose_peers(who);
    linked_[who] = {who, node, life};
    step(seats::link_up{node, boot});
  }

  /// The end of the link of an earlier life says nothing where a later one is linked.
  void link_down(process_id who, std::uint64_t life) {
    if (!is_linked(who, life))
      return;
    lose_peers(who);
    auto gone = linked_.extract(who);
    step(seats::link_down{gone.mapped().node});
  }

  /// The link is there, and another one was before.
  void lose_peers(process_id which) {
    std::vector<raft::member_id> lost;
    for (auto& [seat, who] : peers_)
      if (who.who == which)
        lost.push_back(seat);
    for (auto each : lost) {
      peers_.erase(each);
      group_.step(raft::replica::event{raft::replica::lost_link{each}});
    }
  }

  // -- what other nodes say ------------------------------------------------------------------

  void hear_from(process_id from, const group_letter& what) {
    if (is_silent_ || what.to != self() || !is_linked(from, what.life))
      return;
    auto& node = linked_.at(from).node;
    auto& members = consensus().members().members;
    if (auto member = members.find(what.from); member != members.end()) {
      if (cluster::to_seat_contact(member->second.contact).node != node)
        return; // of another one
    } else if (auto known = peers_.find(what.from);
               known != peers_.end() && known->second.node != node) {
      return;
    }
    group_.step(raft::replica::event{raft::replica::received{what.from, what.what}});
  }

  void hear_from(process_id from, const card_shown& what) {
    if (!is_in_order(from, what.life, what.order))
      return;
    auto over = is_linked(from, what.life) ? linked_.at(from).node : node_id{};
    auto leader = what.forgotten == raft::member_id{} ? raft::member_id{} : group_.look().leader;
    auto id = ++last_asker_;
    shown_.emplace(id, waiting_node{from, what.number, what.life});
    cards_.asked(here_.now(), id, "a card");
    step(seats::exchanged{what.mine, what.forgotten, over, self(), leader}, id,
         other{from, what.mine.node, what.life});
  }

  void hear_from(process_id from, const card_returned& what) {
    if (what.life == here_.life() && is_in_order(from, what.their_life, what.order)
        && greetings_.erase(what.number) > 0)
      step(seats::greeted{what.theirs}, what.number,
           other{from, what.theirs.node, what.their_life});
  }

private:
  friend class group_on_disk<Home, group_seat>;

  /// Another node, as it is linked.
  struct other {
    process_id who = 0;
    node_id node;
    std::uint64_t life = 0;

    friend bool operator==(const other&, const other&) = default;
  };

  struct greeting {
    process_id to = 0;
    std::uint64_t life = 0;
    time_point until{};
    raft::member_id forgotten;
  };

  struct waiting_node {
    process_id who = 0;
    request_id number = 0;
    std::uint64_t life = 0;
  };

  /// A node is paused for 2 s at most, and is answered late then.
  static constexpr duration silent_after = std::chrono::seconds{20};
  static constexpr duration change_within = std::chrono::seconds{35};
  static constexpr duration hand_over_within = std::chrono::seconds{8};
  static constexpr duration answer_within = std::chrono::seconds{5};
  static constexpr duration card_within = std::chrono::seconds{8};
  /// While the others that a node knows of may have voted without it.
  static constexpr duration lead_alone_after = std::chrono::seconds{3};

  static raft::member_id fresh_seat(Home& here) {
    constexpr std::uint64_t lives_apart = 1'000;
    return {raft_process::seat_of(here.self()).value + ++here.setting().given * lives_apart};
  }

  static host::group_options how(Home& here) {
    auto made = raft_process::timers(here.random().next());
    made.heartbeat = std::chrono::milliseconds{100};
    made.election_timeout = std::chrono::milliseconds{600};
    made.first_step += static_cast<std::uint32_t>(here.random().below(raft::max_first_step));
    if (here.setting().nodes > 1 && here.life() > 1)
      made.lead_alone_after = lead_alone_after;
    return {made, 100};
  }

  void note_seat() {
    here_.setting().facts.has(world_time(), node_, self());
  }

  /// Calendars are right here.
  [[nodiscard]] duration world_time() const {
    return here_.calendar().time_since_epoch();
  }

  void broken(const std::string& what) {
    around_.broken(what);
  }

  void check() {
    here_.setting().replaced += laws_.take_replaced();
    for (auto& each : laws_.take_violations())
      broken(each);
    for (auto* of : {&changes_, &hand_overs_, &cards_})
      for (auto& each : of->take_violations())
        broken(each);
    for (auto& each : seats_.flaws())
      broken("has a flaw: " + each);
  }

  // -- the machine -------------------------------------------------------------------------------

  template <class Event>
  void ask(const std::string& words, asker_laws& laws, answer done, Event what) {
    auto id = ++last_asker_;
    laws.asked(here_.now(), id, words);
    askers_.emplace(id, std::pair{&laws, std::move(done)});
    step(std::move(what), id);
  }

  void step(seats::event what, request_id id = 0, std::optional<other> offered = {}) {
    laws_.hears(here_.now(), id, what);
    seats::effects out;
    seats_.step(here_.now(), id, std::move(what), out);
    carry_out(out, offered);
    check();
  }

  /// In the thread of the seats, once it comes to that.
  void tell(std::function<void()> job) {
    to_seats_.put(std::move(job));
  }

  void tell(seats::event what) {
    tell([this, what = std::move(what)] { step(what); });
  }

  void carry_out(seats::effects& out, const std::optional<other>& offered) {
    offered_ = offered;
    auto from = offered ? std::optional{offered->who} : std::nullopt;
    for (auto& each : out) {
      laws_.does({world_time(), here_.now()}, each, from, here_.setting().latest);
      troupe::visit([this](auto& what) { this->perform(what); }, each);
      around_.to_node(each);
    }
    offered_.reset();
  }

  template <class Other>
  void perform(Other&) {}

  // -- effects for the group ---------------------------------------------------------------------

  /// What it is told of the members is of this moment, of the quorum that of when it hears it.
  void perform(seats::look& what) {
    tell([this, id = what.id, now = group_.look()] {
      auto leads = now.now == raft::role::leader;
      step(seats::seen{now, group_.inside().quorum(here_.now()), leads ? address_ : std::string{}},
           id);
    });
  }

  void perform(seats::propose& what) {
    proposed_at_ = world_time();
    if (std::holds_alternative<raft::replica::promote>(what.what))
      ++here_.setting().promoted;
    group_.step(what.what, what.id);
  }

  void perform(seats::renew& what) {
    here_.sync([this, what] {
      if (self() == what.lost) {
        here_.disk().change_seat(fresh_seat(here_));
        ++here_.setting().renewed;
        group_.step(raft::replica::event{raft::replica::change_seat{here_.disk().seat()}});
        note_seat();
      }
      tell([this, id = what.id] { step(seats::renewed{{}, group_.look()}, id); });
    });
  }

  void perform(seats::trust& what) {
    if (!offered_ || !is_linked(offered_->who, offered_->life))
      return; // that actor is gone
    auto [found, is_new] = peers_.try_emplace(what.seat, *offered_);
    if (!is_new && found->second == *offered_)
      return;
    found->second = *offered_;
    group_.step(raft::replica::event{raft::replica::found_link{what.seat}});
  }

  void perform(const seats::distrust& what) {
    peers_.erase(what.seat);
  }

  // -- effects for other nodes -----------------------------------------------------------------

  [[nodiscard]] seats::card card() const {
    auto log = consensus().look(here_.now());
    return {node_, self(), true, log.last_term, log.members.promotions, log.members.voters()};
  }

  void perform(seats::greet& what) {
    auto to
      = std::ranges::find_if(linked_, [&](auto& each) { return each.second.node == what.node; });
    if (to == linked_.end())
      return;
    auto& made = greetings_[what.id];
    made = {to->first, to->second.life, here_.now() + answer_within, what.forgotten};
    show(what.id, made);
  }

  void show(request_id id, const greeting& what) {
    here_.send(what.to, card_shown{here_.life(), ++cards_sent_, id, card(), what.forgotten});
  }

  void perform(seats::show_card& what) {
    if (auto to = take_answer(what.id)) // who has pretended to be another node waits for nothing
      here_.send(to->who, card_returned{to->life, to->number, card(), here_.life(), ++cards_sent_});
  }

  // -- answers -----------------------------------------------------------------------------------

  std::optional<waiting_node> take_answer(request_id id) {
    auto found = shown_.extract(id);
    if (!found)
      return std::nullopt;
    cards_.answered(id);
    return found.mapped();
  }

  void end(request_id id, const problem& why) {
    auto found = askers_.extract(id);
    if (!found)
      return;
    found.mapped().first->answered(id);
    ++here_.setting().answers;
    here_.setting().made += why ? 0 : 1;
    found.mapped().second(why);
  }

  void perform(seats::refuse& what) {
    if (!take_answer(what.id))
      end(what.id, what.why);
  }

  void perform(seats::made& what) {
    end(what.id, {});
  }

  void perform(seats::handed_over& what) {
    end(what.id, {});
  }

  // -- what the group says -----------------------------------------------------------------------

  void sees(const host::group_core::effects& out) {
    for (auto& what : out)
      if (auto* change = std::get_if<host::group_core::changed_role>(&what);
          change && change->now == raft::role::leader)
        leads(change->term);
    if (here_.setting().stepped)
      here_.setting().stepped(here_.self(), consensus(), out);
  }

  void leads(raft::term_number term) {
    here_.setting().latest = std::max(here_.setting().latest, term);
    auto& first = here_.setting().leaders.try_emplace(term, node_).first->second;
    if (first != node_)
      broken("leads in term " + std::to_string(term) + ", and node " + name_of(first) + ", too");
  }

  template <class Other>
  void hear(Other&) {}

  void hear(host::group_core::send& what) {
    if (is_silent_)
      return;
    auto found = peers_.find(what.to);
    if (found == peers_.end()) {
      auto& members = consensus().members().members;
      if (auto member = members.find(what.to); member != members.end())
        tell(seats::wants_peer{member->second.contact});
      return;
    }
    here_.send(found->second.who,
               group_letter{here_.life(), self(), what.to, std::move(what.what)});
  }

  void hear(host::group_core::changed_role& what) {
    tell(seats::event{what});
  }

  void hear(host::group_core::members_are& what) {
    tell([this, members = what.members] { step(seats::members_are{members, group_.look()}); });
  }

  void hear(host::group_core::forgot& what) {
    tell(seats::forgot{what.seat});
  }

  void hear(host::group_core::ignored& what) {
    tell(seats::event{what});
  }

  void hear(host::group_core::disk_room& what) {
    tell(seats::disk_room{what.why});
  }

  void hear(host::group_core::stop& what) {
    broken("stops: " + what.why.detail);
    tell(seats::stopped{what.why});
  }

  void hear(host::group_core::proposed& what) {
    tell([this, id = what.id] { step(seats::answered{}, id); });
  }

  void hear(host::group_core::refused& what) {
    tell([this, id = what.id, why = what.why] { step(seats::answered{why}, id); });
  }

  template <class Effect>
  requires std::is_constructible_v<host::group_event, Effect>
  void hear(Effect& what) {
    around_.to_service(std::move(what));
  }

  // -- what other nodes say ------------------------------------------------------------------

  /// Whether it comes over the present link of that process.
  [[nodiscard]] bool is_linked(process_id from, std::uint64_t life) const {
    auto found = linked_.find(from);
    return found != linked_.end() && found->second.life == life;
  }

  /// Whether no later card of that life has come.
  [[nodiscard]] bool is_in_order(process_id from, std::uint64_t life, std::uint64_t order) {
    auto& last = last_card_[from];
    if (life == last.first && order < last.second)
      return false;
    last = std::max(last, {life, order});
    return true;
  }

  Home& here_;
  node_id node_;
  std::string address_;
  surroundings around_;
  std::map<process_id, other> linked_;
  mailbox<Home, std::function<void()>> to_seats_;
  group_on_disk<Home, group_seat> group_;
  seats seats_;
  seat_laws laws_;
  /// Where messages for a seat go.
  std::map<raft::member_id, other> peers_;
  std::optional<other> offered_;
  bool is_silent_ = false;
  duration proposed_at_{};
  request_id last_asker_ = 0;
  std::map<request_id, std::pair<asker_laws*, answer>> askers_;
  std::map<request_id, greeting> greetings_;
  std::uint64_t cards_sent_ = 0;
  std::map<process_id, std::pair<std::uint64_t, std::uint64_t>> last_card_; // life and order
  std::map<request_id, waiting_node> shown_;
  asker_laws changes_{change_within};
  asker_laws hand_overs_{hand_over_within};
  asker_laws cards_{card_within};
};

} // namespace troupe::sim
