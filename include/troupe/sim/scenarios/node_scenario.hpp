#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/swim_types.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/scheduler/queries.hpp"
#include "troupe/sim/laws/node_laws.hpp"
#include "troupe/sim/scenarios/group_watch.hpp"
#include "troupe/sim/scenarios/scenario.hpp"
#include "troupe/sim/world/node_process.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// Whole nodes join, are killed, paused and partitioned, stop, leave, and start again with their
/// disk, with an older copy of it, or without it; now and then one is cut off from the leader
/// alone, or the leader from all. Up to three of those with a data folder vote in the Raft group
/// that keeps the services; at most one disk is lost or put back at a time, and only while the
/// others have all that its seat has promised. Agents with names that one node at a time may have,
/// and others, are added and removed on all sides, fall ill and get well. Some time after the last
/// fault one node leads, and all have the services there; all nodes show each other alive, each
/// shows what the others say and sends to their agents by that, each name has one holder, each node
/// has its worker, and nobody who is gone has a worker or, without a data folder, a name. Then
/// a node that the leader alone cannot reach keeps its worker; one that is killed or hangs is soon
/// given up; one that starts later shows a killed one as dead, too, and all forget it at about the
/// same time; one that leaves is called dead by nobody. See node_process for what is simpler than
/// in a real cluster. Disks are not full here.
class node_scenario {
public:
  explicit node_scenario(const scenario_options& how)
    : span_(how.span), world_(how.seed, how.nodes, as_meant(how.what)) {
    world_.setting().nodes = how.nodes;
  }

  scenario_report run() {
    group_.begin();
    world_.every(std::chrono::milliseconds{60}, [this] { act(); });
    world_.every(std::chrono::milliseconds{400}, [this] { review(); });
    world_.every(std::chrono::seconds{5}, [this] { // so that another one leads
      if (auto who = leader())
        world_.isolate(*who, std::chrono::seconds{1}, std::chrono::seconds{4});
    });
    world_.every(std::chrono::seconds{1}, [this] { group_.back_up(world_.any()); });
    world_.every(std::chrono::seconds{4}, [this] { replace(); });
    world_.every(std::chrono::seconds{6}, [this] { // for longer than a node may be away
      world_.isolate(world_.any(), std::chrono::seconds{3}, std::chrono::seconds{9});
    });
    world_.every(std::chrono::seconds{6}, [this] {
      if (auto who = leader())
        world_.cut_between(world_.any(), *who, std::chrono::seconds{2}, std::chrono::seconds{6});
    });
    if (!world_.run_until(span_, [this] { return is_broken(); }))
      settle();
    if (!is_broken()) { // else a process may not run
      cut_from_leader();
      end_one();
    }
    auto violations = group_.violations();
    auto& others = world_.setting().found.violations;
    violations.insert(violations.end(), others.begin(), others.end());
    return {violations, world_.trace(), world_.events(), world_.setting().answers};
  }

  [[nodiscard]] const node_setting& record() {
    return world_.setting();
  }

private:
  /// Until what nodes show is right again. A node without a folder that died last is lost by then,
  /// and so is one whose leader began to lead at the end.
  static constexpr duration patience = std::chrono::seconds{15};

  /// The end of a cut ends all, and a node has to be away for a while to be lost. The laws of the
  /// group do not hear what a replica takes back from a full disk.
  static faults as_meant(faults what) {
    what.disk_full_every = {};
    if (what.partition_every > duration::zero())
      what.partition_every = std::max<duration>(what.partition_every, std::chrono::seconds{12});
    return what;
  }

  [[nodiscard]] bool is_broken() {
    return !group_.violations().empty() || !world_.setting().found.violations.empty();
  }

  // -- what happens ------------------------------------------------------------------------------

  void act() {
    auto which = world_.any();
    auto* node = world_.at(which);
    if (node == nullptr || node->is_going())
      return;
    auto number = std::to_string(world_.random().below(4));
    switch (world_.random().below(13)) {
      case 0:
      case 1:
      case 2:
        node->add_agent("unique-" + number, true);
        break;
      case 3:
        node->add_agent("plain-" + number, false);
        break;
      case 4:
      case 5:
        node->remove_agent("unique-" + number);
        break;
      case 6:
        node->remove_agent("plain-" + number);
        break;
      case 7:
        for (auto load : {1U, 2U, 3U}) // the last one counts, whichever arrives last
          node->put_service(load + static_cast<std::uint32_t>(world_.random().below(100)));
        break;
      case 8:
        node->update_agent((world_.random().one_in(2) ? "unique-" : "plain-") + number,
                           static_cast<std::uint32_t>(world_.random().below(100)));
        break;
      case 9:
        fall_ill(*node, (world_.random().one_in(2) ? "unique-" : "plain-") + number);
        break;
      case 10:
        node->get_well();
        break;
      case 11:
        node->submit();
        break;
      default:
        node->maintain(world_.random().one_in(3));
    }
    world_.arm(which);
  }

  /// Callers of some other node do not reach that agent.
  void fall_ill(node_process& node, const std::string& name) {
    node.fall_ill(name);
    auto which = world_.any();
    auto* other = world_.at(which);
    if (other == nullptr || other == &node)
      return;
    other->miss(node.id(), name);
    world_.arm(which);
  }

  /// A node that has left or stopped comes back some time later.
  void review() {
    for (process_id which = 0; which < world_.size(); ++which)
      if (auto* node = world_.at(which); node != nullptr && node->has_ended())
        down(which);
  }

  void down(process_id which) {
    world_.restart(which, std::chrono::milliseconds{500}, std::chrono::seconds{6});
  }

  /// A node leaves, or stops, or is killed and comes back, perhaps with another disk. Its links
  /// have ended by then.
  void replace() {
    auto which = world_.any();
    auto* node = world_.at(which);
    if (node == nullptr || node->is_going())
      return;
    auto choice = world_.random().below(6);
    if (choice < 2) {
      choice == 0 ? node->leave(world_.random().one_in(4)) : node->stop();
      return world_.arm(which);
    }
    world_.kill(which);
    world_.after(std::chrono::milliseconds{1'500}, std::chrono::seconds{6},
                 [this, which, choice] { come_back(which, choice); });
  }

  void come_back(process_id which, std::uint64_t choice) {
    if (world_.at(which) != nullptr)
      return;
    auto& disk = world_.disk(which);
    if (choice == 2 && group_.may_lose(which))
      disk = {};
    else if (choice > 3 && group_.copy_of(which).id == disk.id && group_.may_lose(which))
      world_.setting().put_back += group_.put_back(which) ? 1 : 0;
    world_.start(which);
  }

  // -- who leads ---------------------------------------------------------------------------------

  /// The process that leads, if one does.
  [[nodiscard]] std::optional<process_id> leader() {
    process_id where = 0;
    return group_.leader(where) != nullptr ? std::optional{where} : std::nullopt;
  }

  // -- the end -----------------------------------------------------------------------------------

  void broken(const std::string& what) {
    world_.setting().found.broken(what);
  }

  void settle() {
    for (process_id which = 0; which < world_.size(); ++which)
      if (auto* node = world_.at(which); node != nullptr && node->is_going())
        world_.kill(which);
    world_.end_faults();
    for (process_id which = 0; which < world_.size(); ++which) {
      world_.at(which)->get_well();
      world_.arm(which);
    }
    auto before = lives();
    world_.run_until(span_ + patience);
    if (lives() != before)
      return broken("which process runs changes after the last fault");
    node_sights nodes;
    for (process_id which = 0; which < world_.size(); ++which) {
      auto& node = *world_.at(which);
      nodes[node.id()] = node.look();
      if (node.unanswered() > 0)
        broken("node " + to_string(node.id()) + " waits for " + std::to_string(node.unanswered())
               + " answers");
    }
    auto tell = [this](const std::string& what) { broken(what); };
    check_copies(nodes, tell);
    check_routes(nodes, tell);
    check_members(nodes, tell);
    auto leads = leader();
    if (!leads || !world_.at(*leads)->leads())
      return broken("nobody leads");
    check_ways(*leads);
    auto& services = world_.at(*leads)->services();
    check_names(nodes, services.name_service(), tell);
    check_workers(nodes, services.task_service().answer(scheduler::list_workers{}), tell);
    for (auto run : world_.setting().submitted)
      if (auto details = services.task_service().answer(scheduler::find_run{run});
          !details || details->run.state != scheduler::run_state::completed)
        broken("run " + std::to_string(run.value) + " was submitted and is not completed");
    for (process_id which = 0; which < world_.size(); ++which)
      check_health(world_.at(which)->table(), tell);
  }

  /// All nodes look for the services where they are.
  void check_ways(process_id leads) {
    for (process_id which = 0; which < world_.size(); ++which)
      if (auto there = world_.at(which)->services_at(); there != leads)
        broken("node " + to_string(world_.at(which)->id()) + " has the services "
               + (there ? "at process " + std::to_string(*there) : "nowhere") + ", and process "
               + std::to_string(leads) + " leads");
  }

  /// The life in which each process runs; 0 where it does not.
  [[nodiscard]] std::vector<std::uint64_t> lives() {
    std::vector<std::uint64_t> found(world_.size());
    for (process_id which = 0; which < world_.size(); ++which)
      found[which] = world_.at(which) == nullptr ? 0 : world_.at(which)->life();
    return found;
  }

  // -- after the end -----------------------------------------------------------------------------

  /// A process that does not lead.
  [[nodiscard]] process_id another() {
    return static_cast<process_id>((*leader() + 1 + world_.random().below(world_.size() - 1))
                                   % world_.size());
  }

  /// Whether the members know that process by its present boot, see check_members().
  [[nodiscard]] bool is_member(process_id which) {
    return !world_.at(which)->look().is_twin;
  }

  /// Whether members can ask each other whether that node is there, for a leader that cannot.
  [[nodiscard]] bool has_helper(process_id whom) {
    auto helps = false;
    for (process_id each = 0; each < world_.size(); ++each)
      helps = helps || (each != whom && each != *leader() && is_member(each));
    return helps && is_member(whom) && is_member(*leader());
  }

  [[nodiscard]] bool is_given_up(const node_id& node) {
    return world_.setting().lost.contains(node);
  }

  /// The path between the leader and one node is cut for longer than it takes to find a death.
  void cut_from_leader() {
    auto which = another();
    auto& node = *world_.at(which);
    node.maintain(false); // it has its worker
    world_.arm(which);
    run_for(std::chrono::seconds{2});
    auto& all = world_.setting();
    all.lost.clear();
    auto leads = *leader();
    world_.cut({which}, {leads});
    world_.cut({leads}, {which});
    run_for(node_times::relayed_within);
    const std::string name = "unique-behind-a-cut";
    node.add_agent(name, true);
    world_.arm(which);
    run_for(node_times::given_up_within);
    if (leader() != leads)
      return broken("another node leads, as the leader does not reach node "
                    + to_string(node.id()));
    if (is_member(which) && !node.look().receivers->contains(name))
      broken("node " + to_string(node.id()) + " gets no name, which only the leader cannot reach");
    if (has_helper(which) && is_given_up(node.id()))
      broken("node " + to_string(node.id()) + " is given up, which only the leader cannot reach");
    else if (has_helper(which) && !has_worker(leads, node.id()))
      broken("node " + to_string(node.id()) + " has no worker, which only the leader cannot reach");
    world_.heal();
    run_for(std::chrono::seconds{3});
  }

  [[nodiscard]] bool has_worker(process_id leads, const node_id& node) {
    auto list = world_.at(leads)->services().task_service().answer(scheduler::list_workers{});
    return std::ranges::any_of(list.workers, [&](auto& each) { return each.owner == node; });
  }

  /// One node is killed, hangs, or leaves and ends.
  void end_one() {
    auto which = another();
    auto& node = *world_.at(which);
    auto id = node.id();
    auto is_known = is_member(which);
    world_.setting().lost.clear();
    auto how = world_.random().below(3);
    if (how == 0)
      return leave(which);
    if (how == 1)
      world_.kill(which);
    else
      world_.pause(which, node_times::given_up_within);
    run_for(node_times::given_up_within - std::chrono::milliseconds{1});
    if (!is_given_up(id) && is_known)
      broken("node " + to_string(id) + (how == 1 ? " was killed" : " hangs")
             + ", and is not given up in time");
    else if (how == 1 && is_known)
      come_late(id, which);
  }

  /// A node that starts when that one is dead learns of it, and forgets it when the others do.
  void come_late(const node_id& dead, process_id which) {
    auto fits = [&](process_id each) { return each != which && each != leader(); };
    process_id late = 0;
    while (late < world_.size() && !fits(late))
      ++late;
    if (late == world_.size())
      return;
    world_.kill(late);
    world_.start(late);
    run_for(node_times::given_up_within);
    auto& newcomer = *world_.at(late);
    auto shown = newcomer.look().members->find(dead);
    if (!shown || shown->state != cluster::member_status::dead)
      broken("node " + to_string(newcomer.id()) + " shows node " + to_string(dead) + " as "
             + (shown ? std::string{cluster::name_of(shown->state)} : "a stranger")
             + ", which was dead when it started");
    else if (knows_records(newcomer, dead) != std::pair{true, false})
      broken("node " + to_string(newcomer.id()) + " does not show what node " + to_string(dead)
             + " has said, which was dead when it started");
    run_for(node_times::forgotten_within - node_times::given_up_within);
    for (process_id each = 0; each < world_.size(); ++each)
      if (auto* node = world_.at(each); node != nullptr && node->look().members->find(dead))
        broken("node " + to_string(node->id()) + " does not forget node " + to_string(dead)
               + ", which died long ago");
  }

  /// Whether there are records of that node, and whether it shows them as there.
  static std::pair<bool, bool> knows_records(const node_process& node, const node_id& of) {
    auto known = node.table().answer(registry::find_owner{of});
    return {known.records > 0, known.liveness != registry::record_status::disconnected};
  }

  void leave(process_id which) {
    auto id = world_.at(which)->id();
    auto is_known = is_member(which);
    world_.at(which)->leave(true); // there may be no other one to vote in its place
    world_.arm(which);
    run_for(std::chrono::seconds{5});
    if (!world_.at(which)->has_ended())
      broken("node " + to_string(world_.at(which)->id()) + " does not get to leave");
    world_.kill(which);
    if (auto leads = leader(); is_known && leads && has_worker(*leads, id))
      broken("a worker is registered of node " + to_string(id) + ", which has left");
    run_for(node_times::given_up_within);
    for (process_id each = 0; each < world_.size(); ++each) {
      if (each == which)
        continue;
      auto& node = *world_.at(each);
      auto known = node.look().members->find(id);
      if (is_known && known && known->state != cluster::member_status::left)
        broken("node " + to_string(node.id()) + " shows a node that has left as "
               + std::string{cluster::name_of(known->state)});
    }
  }

  void run_for(duration span) {
    world_.run_until(world_.now() + span);
  }

  duration span_;
  world<node_process> world_;
  group_watch<node_process> group_{world_};
};

} // namespace troupe::sim
