#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "troupe/cluster/voter_plan.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/sim/scenarios/scenario.hpp"
#include "troupe/sim/world/named_nodes.hpp"
#include "troupe/sim/world/service_process.hpp"

namespace troupe::sim {

/// Clients use a replicated service while its nodes are killed, paused and partitioned, members
/// leave and return, and disks are lost and replaced by empty ones. Some programs lack the second
/// service, and it fails on nodes that continue. cluster::voter_plan decides which nodes vote. At
/// the end all nodes must be voters, all replicas of both services equal to the byte, clients must
/// get answers again, and `Service::check(record, findings)` looks for other violations. A record
/// counts `answers`, and its clients stop once it `is_over`.
template <simulated_service Service>
class service_scenario {
public:
  using node = service_process<Service>;

  explicit service_scenario(const scenario_options& how, process_id clients = 6)
    : span_(how.span),
      servers_(how.nodes),
      world_(how.seed, how.nodes + clients, with_calendars(how.what),
             {how.nodes, {}, {}, how.session_term}, how.nodes) {}

  scenario_report run() {
    auto& found = world_.setting().found;
    auto& record = world_.setting().record;
    auto& old = world_.setting().old;
    if (world_.random().one_in(2)) // a cluster of the last release, upgraded during the run
      for (process_id which = 0; which < servers_; ++which)
        old.insert(which);
    world_.start_all();
    be_born();
    review();
    operate();
    hand_over(hand_over_every);
    world_.run_until(span_);
    world_.end_faults();
    wish_for_all();
    for (auto each : std::set<process_id>{old})
      upgrade(each);
    for (auto each : std::set<process_id>{world_.setting().ended})
      upgrade(each);
    world_.run_until(span_ + std::chrono::seconds{20});
    auto before = record.answers;
    auto waiting = world_.setting().waiting;
    world_.run_until(span_ + std::chrono::seconds{25});
    if (record.answers == before)
      found.broken("liveness: no client has an answer 20 s after the last fault");
    for (auto& each : world_.setting().waiting)
      if (waiting.contains(each))
        found.broken("liveness: process " + std::to_string(each.first)
                     + " waits for its answer from 20 to 25 s after the last fault");
    record.is_over = true;
    world_.setting().is_other_over = true;
    world_.run_until(span_ + std::chrono::seconds{40});
    check_voters();
    check_replicas();
    Service::check(record, found);
    return {found.violations, world_.trace(), world_.events(), record.answers};
  }

  [[nodiscard]] const typename Service::record& record() {
    return world_.setting().record;
  }

private:
  static constexpr duration hand_over_every = std::chrono::seconds{3};
  /// A leader counts a member that lost its disk as a voter until it is silent for this long.
  static constexpr duration noticed_after = std::chrono::seconds{2};
  static constexpr duration look_every = std::chrono::milliseconds{50};
  /// Every voter that stays has acknowledged an entry within this time.
  static constexpr duration just_now = std::chrono::seconds{2} + look_every;
  /// The longest time to replace a disk.
  static constexpr duration max_away = std::chrono::seconds{8};
  /// Bound of the log: entries between two snapshots, of which some are late, and entries kept for
  /// slow followers.
  static constexpr raft::log_index max_log = 500;

  /// Adds faults of wall clocks for services that use them, if there are other faults.
  static faults with_calendars(faults what) {
    if (wall_timed<typename Service::machine> && what.partition_every > duration::zero()
        && what.calendar_every == duration::zero())
      what.calendar_every = what.partition_every;
    return what;
  }

  /// The group is founded without faults.
  void be_born() {
    world_.at(0)->ask(raft::replica::found_group{contact_of(0)});
    world_.arm(0);
    world_.run_until(std::chrono::seconds{1},
                     [this] { return world_.at(0)->group().applied() > 0; });
    world_.begin_faults();
  }

  static node_id node_of(process_id which) {
    return node_named(std::to_string(which));
  }

  static process_id process_of(const node_id& node) {
    return static_cast<process_id>(std::stoul(name_of(node)));
  }

  static std::string contact_of(process_id which) {
    return to_string(cluster::seat_contact{node_of(which), ""});
  }

  // -- voters -----------------------------------------------------------------------------

  /// The leader makes the next change of the members, as a node does.
  void review() {
    world_.after(std::chrono::milliseconds{50}, std::chrono::milliseconds{250}, [this] {
      for (process_id who = 0; who < servers_; ++who)
        if (auto* process = world_.at(who)) {
          auto now = process->look();
          if (now.now != raft::role::leader)
            continue;
          auto self = node_of(who);
          auto linked = candidates();
          wishes_.since = world_.now() - wished_at_;
          if (auto next = cluster::voter_plan{now, self, linked, wishes_}.next()) {
            if (auto* goes = std::get_if<raft::replica::remove>(&*next))
              check_removal(now, goes->seat);
            process->ask(*next);
            world_.arm(who);
          }
        }
      review();
    });
  }

  /// Checks the removal of a voter that an operator asked for. The laws are about the actual state
  /// of nodes, not about what the leader knows of them. A member id that its node has no more may
  /// go, whatever losses are tolerated then.
  void check_removal(const raft::replica::status& now, raft::member_id goes) {
    auto holder_of = [&](raft::member_id seat) {
      return cluster::to_seat_contact(now.members.members.at(seat).contact).node;
    };
    auto whose = holder_of(goes);
    if (!now.members.votes(goes)
        || !(wishes_.remove.contains(whose) || wishes_.leave.contains(whose)))
      return;
    auto voters = now.members.voters().size();
    auto* process = world_.at(process_of(whose));
    auto is_void = process != nullptr && process->group().consensus().self() != goes;
    if (!wishes_.forced.contains(whose) && !is_void
        && losses_of(voters - 1) < std::min(losses_of(voters), losses_of(wishes_.voters)))
      world_.setting().found.broken(
        "plan: without voter " + name_of(whose) + ", which was not forced out, "
        + std::to_string(losses_of(voters - 1)) + " losses are tolerated instead of "
        + std::to_string(losses_of(voters)));
    note_who_is_well(); // a node may have returned since the last look
    std::size_t stay = 0;
    std::size_t well = 0;
    for (auto seat : now.members.voters())
      if (seat != goes) {
        ++stay;
        well += well_at_[process_of(holder_of(seat))] + just_now >= world_.now();
      }
    if (well <= stay / 2)
      world_.setting().found.broken("plan: voter " + name_of(whose) + " is taken away while "
                                    + std::to_string(stay - well) + " of the "
                                    + std::to_string(stay)
                                    + " others run no more, or have no room on their disks");
  }

  /// So many of the voters may be lost.
  static std::size_t losses_of(std::size_t voters) {
    return (voters - 1) / 2;
  }

  void note_who_is_well() {
    for (process_id which = 0; which < servers_; ++which)
      if (world_.at(which) != nullptr && world_.has_room(which))
        well_at_[which] = world_.now();
  }

  void see_who_is_well() {
    note_who_is_well();
    for (process_id which = 0; which < servers_; ++which) {
      if (world_.at(which) != nullptr && world_.setting().old.contains(which)
          && !host::service_rules{}.include(world_.at(which)->service().rules()))
        world_.setting().found.broken("rules: process " + std::to_string(which)
                                      + " gets records under rules that its release does not know");
    }
    world_.after(look_every, [this] { see_who_is_well(); });
  }

  /// Nodes that run, without some to which the leader has no link.
  std::map<node_id, cluster::voter_plan::candidate> candidates() {
    std::map<node_id, cluster::voter_plan::candidate> found;
    for (process_id which = 0; which < servers_; ++which)
      if (auto* process = world_.at(which); process && !world_.random().one_in(8))
        found[node_of(which)] = {process->group().consensus().self(), ""};
    return found;
  }

  /// Changes the operator's wishes, which every leader knows.
  void operate() {
    world_.every(std::chrono::seconds{3}, [this] { change_wishes(); });
    world_.every(std::chrono::milliseconds{200}, [this] { see_to_wishes(); });
    world_.every(std::chrono::seconds{4}, [this] { lose_a_disk(); });
    world_.every(std::chrono::seconds{4}, [this] { upgrade_one(); });
    world_.every(std::chrono::seconds{5}, [this] {
      if (auto* process = world_.at(world_.any()))
        process->end_other();
    });
    world_.every(std::chrono::seconds{6},
                 [this] { world_.fill(world_.any(), std::chrono::seconds{5}); });
    see_who_is_well();
  }

  void change_wishes() {
    auto whom = node_of(world_.any());
    if (!wishes_.remove.empty() || !wishes_.leave.empty()) {
      // Where all nodes vote, it would wait for ever.
      wishes_.forced = wishes_.remove;
      wishes_.forced.merge(std::set<node_id>{wishes_.leave});
      return;
    }
    if (world_.now() < lost_at_ + noticed_after)
      return;
    wishes_.add.clear();
    wishes_.let_in.clear();
    wishes_.forced.clear();
    if (world_.random().one_in(2))
      wishes_.forced.insert(whom);
    wished_at_ = world_.now();
    switch (world_.random().below(3)) {
      case 0:
        wishes_.remove.insert(whom);
        break;
      case 1:
        wishes_.leave.insert(whom);
        break;
      default:
        wishes_.add.insert(whom);
    }
  }

  /// Lets removed nodes in again after a while, and brings back nodes that left, with empty disks.
  void see_to_wishes() {
    auto* leads = leader();
    if (leads == nullptr)
      return;
    auto& members = leads->group().consensus().members();
    for (auto* list : {&wishes_.remove, &wishes_.leave})
      for (auto& each : std::set<node_id>{*list}) {
        if (has_seat(each, members) || !is_committed(*leads))
          continue;
        list->erase(each);
        auto which = process_of(each);
        if (list == &wishes_.leave)
          replace_disk(which);
        else if (world_.setting().old.contains(which))
          upgrade(which); // the others may use newer rules by then, which it would not know
      }
    if (wishes_.remove.empty() && world_.random().one_in(10))
      let_all_in(members);
  }

  void let_all_in(const raft::configuration& members) {
    wishes_.let_in.clear();
    for (auto& each : members.kept_out)
      wishes_.let_in.insert(*node_id::from_string(each));
  }

  /// Loses a disk, if a majority has the committed entries on other disks, and knows it.
  void lose_a_disk() {
    auto* leads = leader();
    if (leads == nullptr || !is_committed(*leads) || !wishes_.remove.empty()
        || !wishes_.leave.empty())
      return;
    auto voters = leads->group().consensus().members().voters();
    auto is_whole = std::ranges::all_of(voters, [this](raft::member_id seat) {
      auto* process = world_.at(raft_process::process_of(seat));
      return process != nullptr && process->group().consensus().self() == seat;
    });
    if (is_whole && voters.size() >= 3)
      replace_disk(world_.any());
  }

  /// Upgrades one node once all are members: nodes of the last release do not join an upgraded
  /// cluster.
  void upgrade_one() {
    auto* leads = leader();
    auto& old = world_.setting().old;
    if (leads != nullptr && leads->group().consensus().members().members.size() == servers_)
      may_upgrade_ = true;
    if (may_upgrade_ && !old.empty())
      upgrade(*std::next(old.begin(), static_cast<int>(world_.random().below(old.size()))));
  }

  void upgrade(process_id which) {
    world_.kill(which);
    world_.setting().old.erase(which);
    start_within(std::chrono::seconds{2}, which);
  }

  void start_within(duration span, process_id which) {
    auto most = static_cast<std::uint64_t>(span.count());
    world_.after(duration{static_cast<std::int64_t>(world_.random().below(most))},
                 [this, which] { world_.start_if_down(which); });
  }

  void replace_disk(process_id which) {
    world_.kill(which);
    world_.setting().old.erase(which);
    world_.disk(which) = raft_disk{};
    constexpr std::uint64_t lives_apart = 1'000;
    world_.disk(which).change_seat(
      {raft_process::seat_of(which).value + ++replaced_ * lives_apart});
    lost_at_ = world_.now();
    start_within(max_away, which);
  }

  void wish_for_all() {
    wishes_ = {.voters = servers_};
    for (process_id which = 0; which < servers_; ++which)
      wishes_.let_in.insert(node_of(which));
  }

  static bool has_seat(const node_id& whose, const raft::configuration& members) {
    return std::ranges::any_of(members.members, [&](auto& each) {
      return cluster::to_seat_contact(each.second.contact).node == whose;
    });
  }

  /// Whether its configuration is committed.
  static bool is_committed(const node& leads) {
    auto& replica = leads.group().consensus();
    return replica.header_at(replica.commit_index()).members == replica.members();
  }

  /// The leader of the latest term, if it has committed an entry of that term; otherwise null.
  node* leader() {
    node* found = nullptr;
    raft::term_number latest = 0;
    for (process_id who = 0; who < servers_; ++who)
      if (auto* process = world_.at(who)) {
        auto& replica = process->group().consensus();
        if (replica.term() > latest || (replica.term() == latest && replica.is_settled()))
          found = replica.is_settled() ? process : nullptr;
        latest = std::max(latest, replica.term());
      }
    return found;
  }

  void check_voters() {
    auto* leads = leader();
    auto& found = world_.setting().found;
    if (leads == nullptr)
      return found.broken("plan: nobody leads 40 s after the last fault");
    for (process_id who = 0; who < servers_; ++who) {
      auto now = world_.at(who)->look();
      if (now.last + 1 > now.first + max_log)
        found.broken("snapshots: the log of process " + std::to_string(who) + " has "
                     + std::to_string(now.last + 1 - now.first) + " entries");
    }
    auto voters = leads->group().consensus().members().voters().size();
    if (voters != servers_)
      found.broken("plan: " + std::to_string(voters) + " of " + std::to_string(servers_)
                   + " nodes vote 40 s after the last fault");
  }

  // -- transfers of leadership ------------------------------------------------------------

  /// At about `moment` an operator transfers leadership, often several times in a row, so that a
  /// replica may be leader again before its service has heard that it was not.
  void hand_over(duration moment) {
    auto span = static_cast<std::uint64_t>(2 * moment.count());
    world_.after(duration{static_cast<std::int64_t>(world_.random().below(span))}, [this] {
      if (world_.now() >= span_)
        return;
      for (process_id who = 0; who < servers_; ++who)
        if (auto* process = world_.at(who)) {
          process->ask(raft::replica::transfer{});
          world_.arm(who);
        }
      hand_over(world_.random().one_in(4) ? hand_over_every : std::chrono::milliseconds{100});
    });
  }

  // -- the end ----------------------------------------------------------------------------

  /// Compares the replicas. Called when all have applied the same entries.
  void check_replicas() {
    check_equal(
      "the service", [](const node& process) -> auto& { return process.service(); });
    check_equal(
      "the other service", [](const node& process) -> auto& { return process.other(); });
    auto entered = world_.at(0)->other().answer(ledger::list_numbers{});
    auto& found = world_.setting().found;
    for (auto& [number, times] : entered.repeated)
      found.broken("entry " + std::to_string(number) + " was carried out " + std::to_string(times)
                   + " times");
    for (auto each : world_.setting().entered)
      if (!entered.contains(each))
        found.broken("entry " + std::to_string(each) + " was acknowledged, and is lost");
    if (world_.setting().entered.empty())
      found.broken("liveness: the other service has carried nothing out");
  }

  template <class Get>
  void check_equal(const std::string& which, Get get) {
    auto all_as_far = [this, get] {
      for (process_id who = 1; who < servers_; ++who)
        if (get(*world_.at(who)).index() != get(*world_.at(0)).index())
          return false;
      return true;
    };
    auto& found = world_.setting().found;
    if (!world_.run_until(world_.now() + std::chrono::seconds{20}, all_as_far))
      return found.broken("replicas of " + which + ": they do not come equally far in 20 s");
    auto expected = get(*world_.at(0)).section();
    for (process_id who = 1; who < servers_; ++who)
      if (get(*world_.at(who)).section() != expected)
        found.broken("replicas of " + which + ": process " + std::to_string(who)
                     + " differs from process 0");
  }

  duration span_;
  process_id servers_;
  world<node> world_;
  cluster::voter_wishes wishes_{.voters = servers_};
  std::uint64_t replaced_ = 0;
  bool may_upgrade_ = false;
  duration wished_at_{};
  duration lost_at_ = -noticed_after;
  std::map<process_id, duration> well_at_; // when it last ran with room on its disk
};

} // namespace troupe::sim
