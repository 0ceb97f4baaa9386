#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "troupe/sim/laws/raft_disk_laws.hpp"
#include "troupe/sim/laws/raft_laws.hpp"
#include "troupe/sim/scenarios/scenario.hpp"
#include "troupe/sim/world/raft_process.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// Result of a run.
struct raft_report {
  std::vector<std::string> violations;
  std::uint64_t trace = 0;
  std::uint64_t events = 0;
  std::uint64_t committed = 0;
  std::uint64_t elections = 0;
  std::uint64_t reads = 0;
};

/// A Raft group under faults, with clients that propose and read, and an operator that changes
/// the members and transfers leadership.
class raft_scenario {
public:
  explicit raft_scenario(const scenario_options& how)
    : how_(how), span_(how.span), world_(how.seed, how.nodes, how.what) {
    auto& watch = world_.setting();
    watch.stepped = [this](auto who, auto& replica, auto& out) {
      laws_.stepped(who, replica, out);
      disk_laws_.stepped(who, replica, out);
    };
    watch.applied = [this](auto who, auto& line, auto& state) {
      laws_.applied(who, line, state);
      disk_laws_.applied(line);
    };
    watch.read = [this](auto who, auto id, auto at) { laws_.read(who, at, asked_.at(id)); };
  }

  /// Makes all replicas write their event logs (raft::event_log). `where` must outlive the run.
  void write_events(std::ostream& where) {
    world_.setting().events = &where;
  }

  raft_report run() {
    world_.start_all();
    be_born();
    world_.every(std::chrono::milliseconds{20}, [this] { propose(); });
    world_.every(std::chrono::milliseconds{50}, [this] { read(); });
    world_.every(how_.churn, [this] { change_members(); });
    world_.every(std::chrono::seconds{7}, [this] { transfer(); });
    world_.every(how_.strike, [this] { strike(); });
    if (!world_.run_until(span_, [this] { return !laws_.violations().empty(); }))
      settle();
    return {laws_.violations(), world_.trace(),    world_.events(),
            laws_.highest(),    laws_.elections(), laws_.reads()};
  }

private:
  static constexpr duration swing = std::chrono::seconds{4};

  /// The group is founded without faults.
  void be_born() {
    world_.at(0)->step(1, raft::replica::found_group{"0"});
    world_.arm(0);
    world_.run_until(std::chrono::seconds{1}, [this] { return laws_.highest() > 0; });
    world_.begin_faults();
  }

  raft_process* any() {
    chosen_ = world_.any();
    return world_.at(chosen_);
  }

  template <class Event>
  void ask(Event what) {
    if (auto* process = any()) {
      process->step(++requests_, std::move(what));
      world_.arm(chosen_);
    }
  }

  void propose() {
    std::vector<std::string> commands(1 + world_.random().below(4));
    for (auto& each : commands)
      each = std::string(world_.random().below(200), 'x') + std::to_string(++commands_);
    for (process_id tries = 0; tries < world_.size(); ++tries)
      ask(raft::replica::propose{commands});
  }

  void read() {
    asked_.emplace(requests_ + 1, laws_.highest());
    ask(raft::replica::read{.may_wait = asked_.size() % 2 == 0});
  }

  /// The group grows for a while, then shrinks, so that a leader may be the last member or be
  /// removed.
  void change_members() {
    auto seat = raft_process::seat_of(world_.any());
    auto shrinks = world_.now() / swing % 2 == 1;
    auto removals = shrinks ? 5U : 1U;
    for (process_id tries = 0; tries < world_.size(); ++tries) {
      auto choice = world_.random().below(8);
      if (choice < removals)
        ask(raft::replica::remove{seat});
      else if (choice < (shrinks ? 6U : 4U))
        ask(raft::replica::add_learner{seat, std::to_string(seat.value)});
      else
        ask(raft::replica::promote{seat});
    }
  }

  void transfer() {
    for (process_id tries = 0; tries < world_.size(); ++tries)
      ask(raft::replica::transfer{});
  }

  void strike() {
    for (process_id who = 0; who < world_.size(); ++who) {
      auto* process = world_.at(who);
      if (process == nullptr || process->inside().current_role() != raft::role::leader)
        continue;
      auto span = std::chrono::milliseconds{100 + world_.random().below(500)};
      switch (world_.random().below(4)) {
        case 0:
          return kill(who, span);
        case 1:
          return world_.fill(who, span);
        case 2:
          return leave_with_a_full_disk(who, span);
        default:
          return isolate(who, span);
      }
    }
  }

  void kill(process_id who, duration span) {
    world_.kill(who);
    world_.after(span, [this, who] { world_.start_if_down(who); });
  }

  /// Cuts the links of `who` to all members but one.
  void isolate(process_id who, duration span) {
    auto spared = world_.any();
    auto others = world_.all_but(who);
    others.erase(spared);
    world_.cut({who}, others);
    world_.cut(others, {who});
    world_.after(span, [this] { world_.heal(); });
  }

  /// The leader removes itself, does not hear the answers of others, and its disk is full.
  void leave_with_a_full_disk(process_id who, duration span) {
    world_.at(who)->step(++requests_, raft::replica::remove{raft_process::seat_of(who)});
    world_.arm(who);
    world_.cut(world_.all_but(who), {who});
    world_.after(how_.what.max_sync, [this, who, span] { world_.fill(who, span / 2); });
    world_.after(span, [this] { world_.heal(); });
  }

  [[nodiscard]] raft_process* leader() {
    for (process_id who = 0; who < world_.size(); ++who)
      if (auto* process = world_.at(who); process && process->inside().is_settled())
        return process;
    return nullptr;
  }

  /// The states of all processes, in one line.
  [[nodiscard]] std::string describe() {
    std::string text;
    for (process_id who = 0; who < world_.size(); ++who) {
      auto found = world_.at(who)->inside().look(time_point{});
      text += std::to_string(who) + ": " + raft::name_of(found.now) + " of term "
              + std::to_string(found.term) + ", log to " + std::to_string(found.last) + ", commit "
              + std::to_string(found.commit) + ", members";
      for (auto& [seat, member] : found.members.members)
        text += ' ' + std::to_string(seat.value - 1) + (member.votes ? "v" : "l");
      text += "; ";
    }
    return text;
  }

  /// Ends the faults. Then there must be a leader and new entries, which all members get.
  void settle() {
    world_.end_faults();
    auto patience = world_.now() + std::chrono::seconds{30};
    if (!world_.run_until(patience, [this] { return leader() != nullptr; }))
      return laws_.broken("liveness: nobody leads 30 s after the last fault; " + describe());
    auto before = laws_.highest();
    propose_beyond(before);
    auto all_have_it = [&] {
      auto* leads = leader();
      if (leads == nullptr || laws_.highest() <= before)
        return false;
      for (auto& [seat, who] : leads->inside().members().members)
        if (world_.at(static_cast<process_id>(seat.value - 1))->state() != leads->state())
          return false;
      return true;
    };
    if (!world_.run_until(patience + std::chrono::seconds{30}, all_have_it))
      laws_.broken("liveness: not all members have the last entry 30 s after there is a leader; "
                   + describe());
  }

  /// Proposes again if needed: a leader that is the only member may have taken an entry back that
  /// its full disk refused.
  void propose_beyond(raft::log_index before) {
    if (laws_.highest() > before)
      return;
    for (process_id who = 0; who < world_.size(); ++who) {
      world_.at(who)->step(++requests_, raft::replica::propose{{"last"}});
      world_.arm(who);
    }
    world_.after(std::chrono::seconds{1}, [this, before] { propose_beyond(before); });
  }

  scenario_options how_;
  duration span_;
  world<raft_process> world_;
  raft_laws laws_;
  raft_disk_laws disk_laws_{[this](process_id who) -> const raft_disk& { return world_.disk(who); },
                            [this](std::string what) { laws_.broken(std::move(what)); }};
  std::map<request_id, raft::log_index> asked_;
  request_id requests_ = 1;
  std::uint64_t commands_ = 0;
  process_id chosen_ = 0;
};

} // namespace troupe::sim
