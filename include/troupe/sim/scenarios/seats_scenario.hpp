#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/sim/scenarios/group_watch.hpp"
#include "troupe/sim/scenarios/scenario.hpp"
#include "troupe/sim/world/named_nodes.hpp"
#include "troupe/sim/world/seats_process.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// Nodes join, are killed, paused and cut off, leave, and start again with their disk, with an
/// older copy of it, or with an empty one, as they or as new nodes. People add and remove voters,
/// with and without force, and move the lead; some nodes say that they are others. `cluster::seats`
/// decides on each node who has a seat in the real Raft group, and who votes, and replaces voters
/// that are gone for long, or whose replicas are silent while their processes go on. At most one
/// disk is lost or put back at a time, and only while the others have all that its seat has
/// promised. Some time after the last fault there is one leader that all know, as many nodes vote
/// as are wanted and can, none of the seats is void, nobody waits, and the group is at rest. See
/// seats_process for what is simpler than in a real cluster. Disks are not full here.
class seats_scenario {
public:
  explicit seats_scenario(const scenario_options& how)
    : span_(how.span), churn_(how.churn), world_(how.seed, how.nodes, with_room(how.what)) {
    world_.setting().nodes = how.nodes;
  }

  scenario_report run() {
    group_.begin();
    world_.every(churn_, [this] { change_voters(); });
    world_.every(std::chrono::seconds{2}, [this] { replace(); });
    world_.every(std::chrono::seconds{1}, [this] { back_up(); });
    world_.every(std::chrono::seconds{5}, [this] { end_well(); });
    world_.every(std::chrono::seconds{6}, [this] { leave(); });
    world_.every(std::chrono::seconds{8}, [this] { // for longer than a link lasts
      world_.isolate(world_.any(), std::chrono::seconds{1}, std::chrono::seconds{4});
    });
    world_.every(std::chrono::milliseconds{500}, [this] { lie(); });
    world_.every(std::chrono::seconds{8}, [this] { wish(); });
    clean_up();
    if (!world_.run_until(span_, [this] { return is_broken(); }))
      settle();
    auto violations = group_.violations();
    auto& others = world_.setting().found.violations;
    violations.insert(violations.end(), others.begin(), others.end());
    return {violations, world_.trace(), world_.events(), world_.setting().answers};
  }

  [[nodiscard]] const seats_setting& record() {
    return world_.setting();
  }

private:
  /// Until all is well again: a change may take 30 s, and is answered then.
  static constexpr duration patience = std::chrono::seconds{45};
  static constexpr duration rest = std::chrono::seconds{5};
  /// A link ends within it.
  static constexpr std::chrono::milliseconds shortest_away{1'500};
  static constexpr std::chrono::milliseconds longest_away{6'000};

  static faults with_room(faults what) {
    what.disk_full_every = {};
    return what;
  }

  [[nodiscard]] bool is_broken() {
    return !group_.violations().empty() || !world_.setting().found.violations.empty();
  }

  void broken(const std::string& what) {
    world_.setting().found.broken(what);
  }

  // -- what people ask for
  // -------------------------------------------------------------------------

  void change_voters() {
    auto where = world_.any();
    if (!world_.random().one_in(4))
      group_.leader(where);
    auto* asked = world_.at(where);
    auto* whom = world_.at(world_.any());
    if (asked == nullptr || whom == nullptr)
      return;
    using cluster::voter_change;
    auto& kept_out = asked->consensus().members().kept_out;
    auto choice = world_.random().below(16);
    if (choice < 6 && kept_out.size() + 4 <= world_.size())
      ask(where, voter_change::remove, whom->node(), world_.random().one_in(4));
    else if (choice < 8)
      ask(where, voter_change::lead, whom->node(), false);
    else if (!kept_out.empty())
      ask(where, voter_change::add, *node_id::from_string(*kept_out.begin()), false);
    else
      ask(where, voter_change::add, whom->node(), false);
  }

  void ask(process_id where, cluster::voter_change what, const node_id& node, bool by_force) {
    using cluster::voter_change;
    auto& facts = world_.setting().facts;
    if (what == voter_change::remove || what == voter_change::leave)
      facts.wished_away(node, by_force);
    world_.at(where)->change({what, to_string(node), by_force},
                             [&facts, what, node, wishes = facts.wishes()](const problem& why) {
                               if (what == voter_change::add && !why)
                                 facts.added(node, wishes);
                             });
    world_.arm(where);
  }

  /// How many voters nodes want that start from now on: three, most of the time; and after how long
  /// they replace one that is gone.
  void wish() {
    constexpr std::size_t few = 1;
    constexpr std::size_t many = 5;
    auto choice = world_.random().below(6);
    world_.setting().voters = choice == 0 ? few : choice == 1 ? many : 3;
    world_.setting().replace_after = std::chrono::milliseconds{500} * world_.random().below(4);
  }

  /// Who has gone, and comes back as another node, is removed, for as long as it has a seat.
  void clean_up() {
    world_.after(std::chrono::seconds{2}, [this] {
      clean_up();
      auto where = world_.any();
      auto* leads = group_.leader(where);
      if (leads == nullptr || leads->open() > max_open)
        return;
      for (auto& [seat, who] : leads->consensus().members().members)
        if (auto node = cluster::to_seat_contact(who.contact).node; gone_.contains(node))
          return ask(where, cluster::voter_change::remove, node, world_.random().one_in(2));
    });
  }

  // -- nodes that go and come
  // ----------------------------------------------------------------------

  void away(process_id which, const std::function<void()>& back,
            std::chrono::milliseconds longest = longest_away) {
    if (world_.now() >= span_)
      return;
    world_.kill(which);
    world_.after(shortest_away, longest, back);
  }

  /// A node ends, and hands over before if it leads.
  void end_well() {
    auto which = world_.any();
    auto* node = world_.at(which);
    if (node == nullptr)
      return;
    node->hand_over([this, which](const problem&) { end_soon(which); });
    world_.arm(which);
  }

  /// Once it has done what it is at.
  void end_soon(process_id which) {
    world_.after(duration{1},
                 [this, which] { away(which, [this, which] { world_.start_if_down(which); }); });
  }

  /// A node gives its vote up and ends, as a node does that leaves the cluster; the others hear
  /// that.
  void leave() {
    auto which = world_.any();
    auto where = world_.any();
    auto* leads = group_.leader(where);
    auto* node = world_.at(which);
    if (node == nullptr || leads == nullptr)
      return;
    auto id = node->node();
    auto by_force = world_.random().one_in(4);
    world_.setting().facts.wished_away(id, by_force);
    leads->change({cluster::voter_change::leave, to_string(id), by_force},
                  [this, which, id](const problem& why) {
                    if (!why)
                      world_.after(duration{1}, [this, which, id] { go(which, id); });
                  });
    world_.arm(where);
  }

  void go(process_id which, const node_id& id) {
    if (auto* node = world_.at(which); node == nullptr || node->node() != id)
      return;
    world_.setting().facts.wished_away(id, true);
    for (process_id each = 0; each < world_.size(); ++each)
      if (auto* other = world_.at(each); other != nullptr && each != which) {
        other->hear_of_leave(id);
        world_.arm(each);
      }
    world_.restart(which, shortest_away, longest_away); // also after the last fault
  }

  /// A node shows a card as if it were another one, or one of that one's that is none, and may say
  /// that a seat of the receiver is void.
  void lie() {
    auto* liar = world_.at(world_.any());
    auto* other = world_.at(world_.any());
    if (liar == nullptr || other == nullptr || liar == other)
      return;
    auto seat
      = world_.random().one_in(2) ? liar->self() : raft::member_id{other->self().value + 1'000'000};
    auto* whom = world_.at(world_.any());
    auto is_void = whom != nullptr && world_.random().one_in(2);
    liar->pretend({other->node(), seat}, is_void ? whom->self() : raft::member_id{});
  }

  // -- disks that are lost
  // -------------------------------------------------------------------------

  /// A node is killed, and may come back with another disk. Who had its entries finds that only if
  /// it has led ever since, so that one is seldom away for long, and votes.
  void replace() {
    auto choice = world_.random().below(6);
    auto which = choice < 3 ? world_.any() : any_voter();
    if (world_.at(which) == nullptr)
      return;
    auto back = [this, which, choice] {
      if (world_.at(which) != nullptr)
        return;
      if (choice != 0 && group_.may_lose(which))
        lose(which, choice);
      world_.start(which);
    };
    away(which, back, choice < 3 ? longest_away : shortest_away + std::chrono::milliseconds{500});
  }

  /// One that follows, if there is one.
  process_id any_voter() {
    auto where = world_.any();
    auto* leads = group_.leader(where);
    auto which = world_.any();
    for (auto tries = 0; leads != nullptr && tries < 10; ++tries, which = world_.any())
      if (auto* node = world_.at(which);
          node != nullptr && which != where && leads->consensus().members().votes(node->self()))
        break;
    return which;
  }

  void back_up() {
    group_.back_up(world_.any());
  }

  void lose(process_id which, std::uint64_t choice) {
    auto& disk = world_.disk(which);
    auto node = disk.node;
    if (choice >= 3) {
      auto is_same = group_.copy_of(which).node == node && node != node_id{};
      world_.setting().put_back += is_same && group_.put_back(which) ? 1 : 0;
      return;
    }
    disk = {};
    ++world_.setting().lost;
    if (choice == 1)
      disk.node = node; // only its log is gone
    else
      gone_.insert(node);
  }

  // -- the end
  // -------------------------------------------------------------------------------------

  void settle() {
    world_.setting().voters = 3;
    world_.end_faults();
    wait_for_peace();
    if (!is_broken() && world_.random().one_in(3) && fall_silent())
      wait_for_peace();
    world_.setting().is_over = true;
  }

  /// Of a voter that follows the disk fails, where another node can vote in its place. Returns
  /// whether there is such a voter.
  bool fall_silent() {
    process_id where = 0;
    auto* leads = group_.leader(where);
    auto& members = leads->consensus().members();
    auto wanted = leads->view().wanted;
    if (members.voters().size() < 3 || leads->replace_after() == duration::zero()
        || world_.size() < wanted + 1 + members.kept_out.size())
      return false;
    auto* silent = world_.at(any_voter());
    if (silent == nullptr || silent == leads || !members.votes(silent->self()))
      return false;
    silent->fall_silent();
    return true;
  }

  void wait_for_peace() {
    auto until = world_.now() + patience;
    auto calm = world_.now();
    auto term = world_.setting().latest;
    std::string missing;
    while (world_.now() < calm + rest && !is_broken()) {
      world_.run_until(world_.now() + std::chrono::milliseconds{200});
      missing = what_is_missing(term, world_.now() - calm);
      term = world_.setting().latest;
      if (!missing.empty())
        calm = world_.now();
      if (!missing.empty() && world_.now() > until)
        broken("liveness: " + to_string(patience) + " after the last fault " + missing + "; "
               + describe());
    }
  }

  /// Empty: nothing. `term` and `calm`: as of now, and since when nothing is missing.
  std::string what_is_missing(raft::term_number term, duration calm) {
    process_id where = 0;
    auto* leads = group_.leader(where);
    if (leads == nullptr || world_.setting().latest != term)
      return "nobody leads for long";
    std::set<node_id> living;
    node_id silent;
    for (process_id who = 0; who < world_.size(); ++who) {
      if (world_.at(who) == nullptr)
        return "process " + std::to_string(who) + " does not run";
      auto& node = *world_.at(who);
      if (node.is_silent()) {
        if (leads->consensus().members().votes(node.self())
            && leads->replace_after() != duration::zero())
          return "node " + name_of(node.node()) + " votes, whose replica says nothing";
        silent = node.node();
        continue;
      }
      living.insert(node.node());
      if (leads->consensus().members().members.contains(node.self())
          && node.leader() != leads->address())
        return "node " + name_of(node.node()) + " takes the one at '" + node.leader()
               + "' for the leader";
      if (node.proposed_within(calm))
        return "node " + name_of(node.node()) + " asks for changes";
      if (!leads->consensus().members().votes(node.self()) && shows_vote(node))
        return "node " + name_of(node.node()) + " shows a vote that it has lost";
      if (node.open() > 0)
        return "somebody waits for an answer of node " + name_of(node.node());
    }
    auto& replica = leads->consensus();
    if (!group_watch<seats_process>::is_committed(replica))
      return "a change of the members is not committed";
    std::size_t voters = 0;
    for (auto& [seat, who] : replica.members().members) {
      auto node = cluster::to_seat_contact(who.contact).node;
      if (node == silent)
        continue;
      if (!living.contains(node))
        return "node " + name_of(node) + ", which has gone, has a seat";
      auto& has_it = *world_.at(raft_process::process_of(seat));
      if (has_it.node() != node || has_it.self() != seat)
        return "seat " + std::to_string(seat.value) + " of node " + name_of(node) + " is void";
      if (has_it.service().index() + a_few < leads->service().index())
        return "node " + name_of(node) + " does not come as far as the leader";
      voters += who.votes ? 1 : 0;
    }
    std::erase_if(living, [&](auto& node) { return cluster::keeps_out(replica.members(), node); });
    auto wanted = std::min<std::size_t>(leads->view().wanted, living.size());
    if (voters < (wanted % 2 == 0 && wanted > 0 ? wanted - 1 : wanted))
      return std::to_string(voters) + " nodes vote where " + std::to_string(wanted) + " should";
    auto entered = leads->service().answer(ledger::list_numbers{});
    for (auto each : world_.setting().entered)
      if (!entered.contains(each))
        return "entry " + std::to_string(each) + ", which was acknowledged, is lost";
    return {};
  }

  static bool shows_vote(const seats_process& of) {
    return std::ranges::any_of(
      of.view().seats, [&](auto& each) { return each.votes && each.node == to_string(of.node()); });
  }

  /// How all nodes stand, in one line.
  std::string describe() {
    std::string text;
    for (process_id who = 0; who < world_.size(); ++who) {
      auto* node = world_.at(who);
      if (node == nullptr)
        continue;
      auto& replica = node->consensus();
      text += name_of(node->node()) + " (seat " + std::to_string(replica.self().value)
              + "): " + raft::name_of(replica.current_role()) + " of term "
              + std::to_string(replica.term()) + ", log to " + std::to_string(replica.last_index())
              + ", commit " + std::to_string(replica.commit_index()) + ", members";
      for (auto& [seat, member] : replica.members().members)
        text += ' ' + name_of(cluster::to_seat_contact(member.contact).node) + "/"
                + std::to_string(seat.value) + (member.votes ? "v" : "l");
      for (auto& each : replica.members().kept_out)
        text += " not " + name_of(*node_id::from_string(each));
      text += "; ";
    }
    return text;
  }

  static constexpr std::size_t max_open = 10;
  /// Followers hear of a commit a moment later.
  static constexpr std::uint64_t a_few = 50;

  duration span_;
  duration churn_;
  world<seats_process> world_;
  group_watch<seats_process> group_{world_};
  std::set<node_id> gone_;
};

} // namespace troupe::sim
