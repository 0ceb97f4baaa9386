#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "troupe/sim/raft_scenario.hpp"
#include "troupe/sim/service_process.hpp"

namespace troupe::sim {

struct service_report {
  std::vector<std::string> violations;
  std::uint64_t trace = 0;
  std::uint64_t events = 0;
  std::uint64_t answers = 0;
};

/// Clients of a replicated service while its nodes are killed, paused and parted. In the end
/// all replicas must be equal to the byte, clients must have answers again, and the Service
/// says what else is wrong: `check(record, findings)`. A record counts `answers`, and its clients
/// ask for nothing more once it `is_over`.
template <simulated_service Service>
class service_scenario {
public:
  using node = service_process<Service>;

  explicit service_scenario(const scenario_options& how, process_id clients = 6)
    : span_(how.span),
      servers_(how.nodes),
      world_(how.seed, how.nodes + clients, with_calendars(how.what),
             {how.nodes, {}, {}, how.session_term}, how.nodes) {}

  service_report run() {
    auto& found = world_.setting().found;
    auto& record = world_.setting().record;
    world_.start_all();
    be_born();
    grow();
    hand_over(hand_over_every);
    world_.run_until(span_);
    world_.end_faults();
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
    world_.run_until(span_ + std::chrono::seconds{40});
    check_replicas();
    Service::check(record, found);
    return {found.violations, world_.trace(), world_.events(), record.answers};
  }

  [[nodiscard]] const typename Service::record& record() {
    return world_.setting().record;
  }

private:
  static constexpr duration hand_over_every = std::chrono::seconds{3};

  /// Services that ask for the time of day get it wrong, if anything goes wrong at all.
  static faults with_calendars(faults what) {
    if (wall_timed<typename Service::machine> && what.partition_every > duration::zero()
        && what.calendar_every == duration::zero())
      what.calendar_every = what.partition_every;
    return what;
  }

  /// A group is born in peace.
  void be_born() {
    world_.at(0)->found_group();
    world_.arm(0);
    world_.run_until(std::chrono::seconds{1},
                     [this] { return world_.at(0)->group().applied() > 0; });
    world_.begin_faults();
  }

  /// All nodes shall vote, sooner or later.
  void grow() {
    world_.after(std::chrono::milliseconds{300}, [this] {
      for (process_id which = 0; which < servers_; ++which)
        for (process_id who = 0; who < servers_; ++who) {
          auto* process = world_.at(who);
          if (process == nullptr || !process->group().consensus().is_settled())
            continue;
          auto seat = raft_process::seat_of(which);
          auto& members = process->group().consensus().members();
          if (!members.members.contains(seat))
            process->ask(raft::replica::add_learner{seat, ""});
          else if (!members.votes(seat))
            process->ask(raft::replica::promote{seat});
          world_.arm(who);
        }
      if (world_.now() < span_)
        grow();
    });
  }

  /// An operator has the leader hand over at about `moment`, and often others after it at once,
  /// so that a replica may lead again before its service has heard that it did not.
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

  /// At a moment when all replicas have come equally far.
  void check_replicas() {
    auto all_as_far = [this] {
      for (process_id who = 1; who < servers_; ++who)
        if (world_.at(who)->service().index() != world_.at(0)->service().index())
          return false;
      return true;
    };
    auto& found = world_.setting().found;
    if (!world_.run_until(world_.now() + std::chrono::seconds{20}, all_as_far))
      return found.broken("replicas: they do not come equally far in 20 s");
    auto expected = world_.at(0)->service().section();
    for (process_id who = 1; who < servers_; ++who)
      if (world_.at(who)->service().section() != expected)
        found.broken("replicas: process " + std::to_string(who) + " differs from process 0");
  }

  duration span_;
  process_id servers_;
  world<node> world_;
};

} // namespace troupe::sim
