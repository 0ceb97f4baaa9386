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
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/seats.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/sim/laws/asker_laws.hpp"
#include "troupe/sim/laws/ledger.hpp"
#include "troupe/sim/laws/seats_laws.hpp"
#include "troupe/sim/world/group_on_disk.hpp"
#include "troupe/sim/world/mailbox.hpp"
#include "troupe/sim/world/node_links.hpp"
#include "troupe/sim/world/service_process.hpp"
#include "troupe/sim/world/service_thread.hpp"

namespace troupe::sim {

/// A message of the group, over the link of a life of its sender.
struct group_letter {
  std::uint64_t life = 0;
  raft::seat_id from;
  raft::seat_id to;
  raft::message what;
};

/// A node shows its card, and may say that a seat of the receiver is void.
struct card_shown {
  std::uint64_t life = 0;
  /// Counts the cards of the sender.
  std::uint64_t order = 0;
  request_id number = 0;
  cluster::seats::card mine;
  raft::seat_id forgotten;
};

/// The answer.
struct card_returned {
  std::uint64_t life = 0; // of the receiver
  request_id number = 0;
  cluster::seats::card theirs;
  std::uint64_t their_life = 0;
  std::uint64_t order = 0;
};

/// What a data folder keeps of a node: its log, and who it is.
struct seats_disk : raft_disk {
  /// Empty before the first start.
  std::string node;
};

struct seats_setting {
  process_id nodes = 5;
  /// How many voters nodes want that start from now on.
  std::size_t voters = 3;
  /// And after how long they replace a voter that is gone; zero: never.
  duration replace_after = std::chrono::seconds{1};
  findings found{};
  seat_facts facts{};
  /// What the registry says of nodes: their addresses.
  std::map<std::string, std::string> addresses{};
  /// The highest term that anybody has led.
  raft::term_number latest = 0;
  /// Seats and ids that were given.
  std::uint64_t given = 0;
  /// How many numbers the service was asked to enter, and those that it has.
  std::uint64_t numbers = 0;
  std::set<std::uint64_t> entered{};
  bool is_over = false;
  std::function<void(process_id, const raft::replica&, const host::group_core::effects&)> stepped{};
  std::function<raft::log_index(raft::seat_id)> on_disk{};
  // Figures.
  std::uint64_t answers = 0;
  std::uint64_t made = 0;
  std::uint64_t promoted = 0;
  std::uint64_t lost = 0;
  std::uint64_t put_back = 0;
  std::uint64_t renewed = 0;
  std::uint64_t replaced = 0;
};

/// A node of which its seats, its Raft group and one service run, each as in a real node: the seats
/// in a thread of their own, which hears late what the group says.
///
/// Simpler than a real node: all processes know each other's address and beat, instead of dialling;
/// what the registry says of a node is heard with its link. The members show a node as long as one
/// of those that this one hears has heard it lately. A link keeps cards in order and loses
/// none while it is there; letters of the group may be lost. A letter over the link of an earlier
/// life of its sender is dropped; a card may come that late.
class seats_process {
public:
  using message = std::variant<node_beat, group_letter, card_shown, card_returned>;
  using disk = seats_disk;
  using setting = seats_setting;
  using home = environment<seats_process>;
  using seats = cluster::seats;
  using answer = std::function<void(const problem&)>;

  static constexpr host::service_id the_service = 1;

  explicit seats_process(home& here)
    : here_(here),
      node_(begin_life(here)),
      address_(here.setting().addresses.at(node_)),
      links_({here.self(), here.life()}),
      to_seats_(here, [](std::function<void()>& job) { job(); }),
      group_(here, *this, how(here), {{the_service, rules().number()}}, {}),
      service_(here, the_service, std::chrono::minutes{1}, around_service()),
      seats_(node_, self(),
             {.voters = here.setting().voters, .replace_after = here.setting().replace_after},
             here.life()),
      laws_(here.setting().facts, here.setting().on_disk, node_,
            {here.setting().voters, here.setting().replace_after}),
      beat_at_(here.now()) {
    note_seat();
    if (auto why = group_.begin())
      broken("stops: " + why.detail);
    enter_numbers();
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

  /// The registry says that this node has left.
  void hear_of_leave(const std::string& node) {
    step(seats::node_left{node});
  }

  /// The identities of these nodes are revoked, and no others.
  void hear_of_revoked(const std::set<std::string>& nodes) {
    step(seats::revoked{nodes});
  }

  /// Shows every other node a card that is not its own.
  void pretend(const seats::card& theirs, raft::seat_id forgotten) {
    for (process_id to = 0; to < here_.setting().nodes; ++to)
      if (to != here_.self())
        here_.send(to, card_shown{here_.life(), ++cards_sent_, 0, theirs, forgotten});
  }

  // -- what it shows -----------------------------------------------------------------------------

  [[nodiscard]] const std::string& node() const {
    return node_;
  }

  [[nodiscard]] const std::string& address() const {
    return address_;
  }

  [[nodiscard]] const raft::replica& consensus() const {
    return group_.inside().consensus();
  }

  [[nodiscard]] raft::seat_id self() const {
    return consensus().self();
  }

  [[nodiscard]] cluster::voters_view view() const {
    return seats_.view(group_.look(), group_.inside().quorum(here_.now()));
  }

  /// The address of whom it takes for the leader; empty: of nobody.
  [[nodiscard]] const std::string& leader() const {
    return leader_;
  }

  [[nodiscard]] const host::replicated_core<ledger>& service() const {
    return service_.inside();
  }

  /// Requests of people that have no answer yet.
  [[nodiscard]] std::size_t open() const {
    return changes_.open() + hand_overs_.open();
  }

  /// Whether it has asked the group for something in this last span of the world's time.
  [[nodiscard]] bool proposed_within(duration span) const {
    return proposed_at_ + span > world_time();
  }

  // -- the world ---------------------------------------------------------------------------------

  void receive(process_id from, const message& what) {
    if (group_.is_stopped())
      return;
    std::visit([&](const auto& each) { hear_from(from, each); }, what);
  }

  void wake() {
    auto now = here_.now();
    group_.wake();
    service_.wake();
    if (auto due = seats_.next_deadline(); due && *due <= now) {
      seats::effects out;
      seats_.tick(now, out);
      carry_out(out, {});
    }
    take_links(links_.tick(now));
    if (beat_at_ <= now)
      beat();
    for (auto* each : {&changes_, &hand_overs_, &cards_})
      each->ticked(now);
    judge();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (group_.is_stopped())
      return std::nullopt;
    auto next = beat_at_;
    for (auto due : {group_.next_deadline(), service_.next_deadline(), seats_.next_deadline()})
      next = std::min(next, due.value_or(next));
    return next;
  }

private:
  friend class group_on_disk<home, seats_process>;
  using service_part = service_thread<ledger, home>;

  /// Another node, as it is linked.
  struct other {
    process_id who = 0;
    std::string node;
    std::uint64_t life = 0;

    friend bool operator==(const other&, const other&) = default;
  };

  struct greeting {
    process_id to = 0;
    std::uint64_t life = 0;
    time_point until{};
    raft::seat_id forgotten;
  };

  struct waiting_node {
    process_id who = 0;
    request_id number = 0;
    std::uint64_t life = 0;
  };

  static constexpr duration beat_every = std::chrono::milliseconds{300};
  static constexpr duration dead_after = std::chrono::milliseconds{1'500};
  /// A node is paused for 2 s at most, and is answered late then.
  static constexpr duration change_within = std::chrono::seconds{35};
  static constexpr duration hand_over_within = std::chrono::seconds{8};
  static constexpr duration answer_within = std::chrono::seconds{5};
  static constexpr duration card_within = std::chrono::seconds{8};
  /// While the others that a node knows of may have voted without it.
  static constexpr duration lead_alone_after = std::chrono::seconds{3};

  static host::service_rules rules() {
    return host::service_rules::known<ledger>();
  }

  static std::string begin_life(home& here) {
    auto& kept = here.disk();
    auto& shared = here.setting();
    auto number = std::to_string(here.self());
    auto is_new = kept.node.empty();
    if (is_new)
      kept.node = "n" + number + "-" + std::to_string(++shared.given);
    if (kept.seat() == raft::seat_id{})
      kept.change_seat(fresh_seat(here));
    if (is_new || here.random().one_in(8)) // it listens elsewhere
      shared.addresses[kept.node] = "h" + number + ":" + std::to_string(++shared.given);
    return kept.node;
  }

  static raft::seat_id fresh_seat(home& here) {
    constexpr std::uint64_t lives_apart = 1'000;
    return {raft_process::seat_of(here.self()).value + ++here.setting().given * lives_apart};
  }

  static host::group_options how(home& here) {
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
    here_.setting().found.broken("node " + node_ + ' ' + what);
  }

  void judge() {
    here_.setting().replaced += laws_.take_replaced();
    for (auto& each : laws_.take_violations())
      broken(each);
    for (auto* of : {&changes_, &hand_overs_, &cards_})
      for (auto& each : of->take_violations())
        broken(each);
    for (auto& each : seats_.flaws())
      broken("has a flaw: " + each);
  }

  // -- its service ---------------------------------------------------------------------------

  service_part::outside around_service() {
    service_part::outside made;
    made.to_group
      = [this](request_id id, const host::group_core::event& what) { group_.step(what, id); };
    made.broken = [this](const problem& why) { broken("stops: " + why.detail); };
    made.reply = [this](request_id, const service_part::answer& what) {
      if (auto* done = std::get_if<effect_of<ledger>>(&what))
        here_.setting().entered.insert(std::get<number_entered>(*done).number);
    };
    return made;
  }

  /// Only the leader carries it out.
  void enter_numbers() {
    here_.after(std::chrono::milliseconds{20 + here_.random().below(100)}, [this] {
      auto& shared = here_.setting();
      if (shared.is_over || group_.is_stopped())
        return;
      if (consensus().current_role() == raft::role::leader)
        service_.ask(++last_number_, host::command<ledger>{{}, enter_number{++shared.numbers}});
      enter_numbers();
    });
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
    judge();
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
      std::visit([this](auto& what) { perform(what); }, each);
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
    return {node_, self()};
  }

  void perform(seats::greet& what) {
    auto to = links_.find(what.node);
    if (!to)
      return;
    auto& made = greetings_[what.id];
    made = {*to, linked_.at(*to).life, here_.now() + answer_within, what.forgotten};
    show(what.id, made);
  }

  void show(request_id id, const greeting& what) {
    here_.send(what.to, card_shown{here_.life(), ++cards_sent_, id, card(), what.forgotten});
  }

  /// What was lost is sent again, as long as there is the link.
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

  void perform(seats::lead&) {
    leader_ = address_;
  }

  void perform(seats::follow& what) {
    leader_ = what.address;
  }

  // -- what the group says -----------------------------------------------------------------------

  void sees(const host::group_core::effects& out) {
    for (auto& what : out)
      if (auto* change = std::get_if<host::group_core::changed_role>(&what);
          change && change->now == raft::role::leader)
        here_.setting().latest = std::max(here_.setting().latest, change->term);
    if (here_.setting().stepped)
      here_.setting().stepped(here_.self(), consensus(), out);
  }

  template <class Other>
  void hear(Other&) {}

  void hear(host::group_core::send& what) {
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
    service_.tell(std::move(what));
  }

  // -- what other nodes say ------------------------------------------------------------------

  void beat() {
    auto now = here_.now();
    beat_at_ = now + beat_every;
    greet_again();
    miss_silent(now);
    for (process_id to = 0; to < here_.setting().nodes; ++to) {
      if (to == here_.self())
        continue;
      node_beat made{.node = node_, .boot = here_.life(), .life = here_.life()};
      links_.address(now, to, made);
      here_.send(to, std::move(made));
    }
  }

  /// A member that hears it says that it is there.
  void is_there(const std::string& node) {
    auto [found, is_new] = there_.insert_or_assign(node, here_.now());
    if (is_new)
      step(seats::member_shows{node, true});
  }

  void miss_silent(time_point now) {
    std::vector<std::string> silent;
    for (auto& [node, heard] : there_)
      if (heard + dead_after <= now)
        silent.push_back(node);
    for (auto& each : silent) {
      there_.erase(each);
      step(seats::member_shows{each, false});
    }
  }

  void hear_of_members(process_id from, const node_beat& what) {
    names_[from] = {what.node, what.life};
    is_there(what.node);
    for (auto& [who, life] : what.hears)
      if (auto known = names_.find(who); known != names_.end() && known->second.second == life)
        is_there(std::string{known->second.first});
  }

  /// The end of an earlier life says nothing where a later one is linked.
  void hear_from(process_id from, const node_beat& what) {
    hear_of_members(from, what);
    std::vector<node_links::change> late;
    take_links(links_.hear(here_.now(), from, what, late));
    if (!late.empty())
      lose_peers(from);
  }

  void take_links(const std::vector<node_links::change>& changes) {
    for (auto& each : changes)
      if (each.is_up)
        link(each);
      else
        unlink(each.node);
  }

  void link(const node_links::change& what) {
    auto who = *links_.find(what.node);
    lose_peers(who);
    linked_[who] = {who, what.node, what.boot};
    step(seats::node_is{what.node, "name of " + what.node, here_.setting().addresses[what.node]});
    step(seats::link_up{what.node, what.boot});
  }

  void unlink(const std::string& node) {
    auto found
      = std::ranges::find_if(linked_, [&](auto& each) { return each.second.node == node; });
    if (found == linked_.end())
      return;
    lose_peers(found->first);
    linked_.erase(found);
    step(seats::link_down{node});
  }

  void lose_peers(process_id which) {
    std::vector<raft::seat_id> lost;
    for (auto& [seat, who] : peers_)
      if (who.who == which)
        lost.push_back(seat);
    for (auto each : lost) {
      peers_.erase(each);
      group_.step(raft::replica::event{raft::replica::lost_link{each}});
    }
  }

  /// Whether it comes over the present link of that process.
  [[nodiscard]] bool is_linked(process_id from, std::uint64_t life) const {
    auto found = linked_.find(from);
    return found != linked_.end() && found->second.life == life;
  }

  void hear_from(process_id from, const group_letter& what) {
    if (what.to != self() || !is_linked(from, what.life))
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

  /// Whether no later card of that life has come.
  [[nodiscard]] bool is_in_order(process_id from, std::uint64_t life, std::uint64_t order) {
    auto& last = last_card_[from];
    if (life == last.first && order < last.second)
      return false;
    last = std::max(last, {life, order});
    return true;
  }

  void hear_from(process_id from, const card_shown& what) {
    if (!is_in_order(from, what.life, what.order))
      return;
    auto over = is_linked(from, what.life) ? linked_.at(from).node : std::string{};
    auto leader = what.forgotten == raft::seat_id{} ? raft::seat_id{} : group_.look().leader;
    auto id = ++last_asker_;
    shown_.emplace(id, waiting_node{from, what.number, what.life});
    cards_.asked(here_.now(), id, "a card");
    step(seats::exchanged{what.mine, what.forgotten, std::move(over), self(), leader}, id,
         other{from, what.mine.node, what.life});
  }

  void hear_from(process_id from, const card_returned& what) {
    if (what.life == here_.life() && is_in_order(from, what.their_life, what.order)
        && greetings_.erase(what.number) > 0)
      step(seats::greeted{what.theirs}, what.number,
           other{from, what.theirs.node, what.their_life});
  }

  home& here_;
  std::string node_;
  std::string address_;
  node_links links_;
  std::map<process_id, other> linked_;
  /// Members that are there, and when that was heard last; and who each process is, in which life.
  std::map<std::string, time_point> there_;
  std::map<process_id, std::pair<std::string, std::uint64_t>> names_;
  mailbox<home, std::function<void()>> to_seats_;
  group_on_disk<home, seats_process> group_;
  service_part service_;
  seats seats_;
  seat_laws laws_;
  time_point beat_at_;
  /// Where messages for a seat go.
  std::map<raft::seat_id, other> peers_;
  std::optional<other> offered_;
  std::string leader_;
  duration proposed_at_{};
  request_id last_number_ = 0;
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

static_assert(process<seats_process>);

} // namespace troupe::sim
