#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/seats.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/sim/laws/ledger.hpp"
#include "troupe/sim/world/group_seat.hpp"
#include "troupe/sim/world/named_nodes.hpp"
#include "troupe/sim/world/node_links.hpp"
#include "troupe/sim/world/seat_types.hpp"
#include "troupe/sim/world/service_thread.hpp"

namespace troupe::sim {

/// What a data folder keeps of a node: its log, and who it is.
struct seats_disk : raft_disk {
  /// All zero before the first start.
  node_id node;
};

struct seats_setting : seats_shared {
  /// What the registry says of nodes: their addresses.
  std::map<node_id, std::string> addresses{};
  /// How many numbers the service was asked to enter, and those that it has.
  std::uint64_t numbers = 0;
  std::set<std::uint64_t> entered{};
  bool is_over = false;
  // Figures.
  std::uint64_t lost = 0;
  std::uint64_t put_back = 0;
};

/// A node of which its seats, its Raft group and one service run, each as in a real node.
///
/// Simpler than a real node: all processes know each other's address and beat, instead of dialling;
/// what the registry says of a node is heard with its link. The members show a node as long as one
/// of those that this one hears has heard it lately. See group_seat for what becomes of messages.
class seats_process {
public:
  using message = std::variant<node_beat, group_letter, card_shown, card_returned>;
  using disk = seats_disk;
  using setting = seats_setting;
  using home = environment<seats_process>;
  using seats = cluster::seats;
  using answer = group_seat<home>::answer;

  static constexpr host::service_id the_service = 1;

  explicit seats_process(home& here)
    : here_(here),
      node_(begin_life(here)),
      links_({here.self(), here.life()}),
      seat_(here, node_, here.setting().addresses.at(node_), {{the_service, rules().number()}},
            around_seat()),
      service_(here, the_service, std::chrono::minutes{1}, around_service()),
      beat_at_(here.now()) {
    seat_.begin();
    enter_numbers();
  }

  // -- what people and the rest of its node ask of it ------------------------------------------

  void found() {
    seat_.found();
  }

  /// Ends with one call of `done`, unless this process is killed before.
  void change(const cluster::change_voters& what, answer done) {
    seat_.change(what, std::move(done));
  }

  void hand_over(answer done) {
    seat_.hand_over(std::move(done));
  }

  /// The registry says that this node has left.
  void hear_of_leave(const node_id& node) {
    seat_.note(seats::node_left{node});
  }

  /// The identities of these nodes are revoked, and no others.
  void hear_of_revoked(const std::set<node_id>& nodes) {
    seat_.note(seats::revoked{nodes});
  }

  /// Shows every other node a card that is not its own.
  void pretend(const seats::card& theirs, raft::member_id forgotten) {
    seat_.pretend(theirs, forgotten);
  }

  /// Its disk fails, and its process goes on.
  void fall_silent() {
    seat_.fall_silent();
  }

  // -- what it shows -----------------------------------------------------------------------------

  [[nodiscard]] const node_id& node() const {
    return node_;
  }

  [[nodiscard]] const std::string& address() const {
    return seat_.address();
  }

  /// Its part in the group.
  [[nodiscard]] const group_seat<home>* group() const {
    return &seat_;
  }

  /// See cluster::seats_options.
  [[nodiscard]] duration replace_after() const {
    return replace_after_;
  }

  [[nodiscard]] bool is_silent() const {
    return seat_.is_silent();
  }

  [[nodiscard]] const raft::replica& consensus() const {
    return seat_.consensus();
  }

  [[nodiscard]] raft::member_id self() const {
    return seat_.self();
  }

  [[nodiscard]] cluster::voters_view view() const {
    return seat_.view();
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
    return seat_.open();
  }

  /// Whether it has asked the group for something in this last span of the world's time.
  [[nodiscard]] bool proposed_within(duration span) const {
    return seat_.proposed_within(span);
  }

  // -- the world ---------------------------------------------------------------------------------

  void receive(process_id from, const message& what) {
    if (seat_.is_stopped())
      return;
    auto take = overloaded{
      [&](const node_beat& each) { hear_beat(from, each); },
      [&](const auto& each) { seat_.hear_from(from, each); },
    };
    troupe::visit(take, what);
  }

  void wake() {
    auto now = here_.now();
    seat_.wake();
    service_.wake();
    take_links(links_.tick(now));
    if (beat_at_ <= now)
      beat();
    seat_.judge();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (seat_.is_stopped())
      return std::nullopt;
    auto next = beat_at_;
    for (auto due : {seat_.next_deadline(), service_.next_deadline()})
      next = std::min(next, due.value_or(next));
    return next;
  }

private:
  using service_part = service_thread<ledger, home>;

  static constexpr duration beat_every = std::chrono::milliseconds{300};
  static constexpr duration dead_after = std::chrono::milliseconds{1'500};

  static host::service_rules rules() {
    return host::service_rules::known<ledger>();
  }

  static node_id begin_life(home& here) {
    auto& kept = here.disk();
    auto& shared = here.setting();
    auto number = std::to_string(here.self());
    auto is_new = kept.node == node_id{};
    if (is_new)
      kept.node = node_named("n" + number + "-" + std::to_string(++shared.given));
    group_seat<home>::take_seat(here);
    if (is_new || here.random().one_in(8)) // it listens elsewhere
      shared.addresses[kept.node] = "h" + number + ":" + std::to_string(++shared.given);
    return kept.node;
  }

  void broken(const std::string& what) {
    here_.setting().found.broken("node " + name_of(node_) + ' ' + what);
  }

  // -- its seat, and its service -----------------------------------------------------------------

  group_seat<home>::surroundings around_seat() {
    return {
      .to_service = [this](host::group_event what) { service_.tell(std::move(what)); },
      .to_node =
        [this](const seats::effect& what) {
          if (std::holds_alternative<seats::lead>(what))
            leader_ = address();
          else if (auto* follows = std::get_if<seats::follow>(&what))
            leader_ = follows->address;
        },
      .broken = [this](const std::string& what) { broken(what); },
    };
  }

  service_part::outside around_service() {
    service_part::outside made;
    made.to_group
      = [this](request_id id, const host::group_core::event& what) { seat_.step_group(id, what); };
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
      if (shared.is_over || seat_.is_stopped())
        return;
      if (consensus().current_role() == raft::role::leader)
        service_.ask(++last_number_, host::command<ledger>{{}, enter_number{++shared.numbers}});
      enter_numbers();
    });
  }

  // -- what other nodes say ------------------------------------------------------------------

  void beat() {
    auto now = here_.now();
    beat_at_ = now + beat_every;
    seat_.greet_again();
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
  void is_there(const node_id& node) {
    auto [found, is_new] = there_.insert_or_assign(node, here_.now());
    if (is_new)
      seat_.note(seats::member_shows{node, true});
  }

  void miss_silent(time_point now) {
    std::vector<node_id> silent;
    for (auto& [node, heard] : there_)
      if (heard + dead_after <= now)
        silent.push_back(node);
    for (auto& each : silent) {
      there_.erase(each);
      seat_.note(seats::member_shows{each, false});
    }
  }

  void hear_of_members(process_id from, const node_beat& what) {
    names_[from] = {what.node, what.life};
    is_there(what.node);
    for (auto& [who, life] : what.hears)
      if (auto known = names_.find(who); known != names_.end() && known->second.second == life)
        is_there(known->second.first);
  }

  void hear_beat(process_id from, const node_beat& what) {
    hear_of_members(from, what);
    std::vector<node_links::change> late;
    take_links(links_.hear(here_.now(), from, what, late));
    if (!late.empty())
      seat_.lose_peers(from);
  }

  void take_links(const std::vector<node_links::change>& changes) {
    for (auto& [is_up, node, boot, who] : changes) {
      if (!is_up) {
        seat_.link_down(who.first, who.second);
        continue;
      }
      seat_.note(seats::node_is{node, "name of " + name_of(node), here_.setting().addresses[node]});
      seat_.link_up(who.first, who.second, node, boot);
    }
  }

  home& here_;
  node_id node_;
  const duration replace_after_ = here_.setting().replace_after;
  node_links links_;
  /// Members that are there, and when that was heard last; and who each process is, in which life.
  std::map<node_id, time_point> there_;
  std::map<process_id, std::pair<node_id, std::uint64_t>> names_;
  group_seat<home> seat_;
  service_part service_;
  time_point beat_at_;
  std::string leader_;
  request_id last_number_ = 0;
};

static_assert(process<seats_process>);

} // namespace troupe::sim
