#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/scheduler/cron.hpp"
#include "troupe/scheduler/detail/admission.hpp"
#include "troupe/scheduler/snapshot.hpp"

/// Checks that a scheduler_snapshot is consistent, so that restore() and later steps are safe: its
/// parts refer to each other, and positions and states exist.
namespace troupe::scheduler::detail {

class snapshot_check {
public:
  explicit snapshot_check(const scheduler_snapshot& saved) : saved_(saved) {}

  /// Returns damaged with the first fault. Cost: O(n log n) in workers, tasks and edges.
  problem operator()() {
    if (saved_.statistics.tasks.size() != task_states
        || saved_.statistics.queues.size() != priority_names.size())
      return damaged("has figures of other states and priorities than there are");
    for (auto& each : saved_.workers) {
      if (!workers_.emplace(each.worker, each.sequence).second || each.worker > last_worker())
        return damaged("has two workers of one number, or one that was never given");
      if (auto why = check(each))
        return why;
    }
    for (auto& each : saved_.runs) {
      if (!runs_.insert(each.run).second || each.run < *runs_.rbegin()
          || each.run.value > saved_.last_run)
        return damaged("has runs out of order, or one that was never given its number");
      if (is_final(each.state))
        over_.insert(each.run);
      if (auto why = check(each))
        return why;
    }
    for (auto id : saved_.finished)
      if (over_.erase(id) == 0)
        return damaged("says of a run that it is over, which is not or is not there");
    if (!over_.empty())
      return damaged("has a run that is over and does not say when");
    return check_schedules();
  }

private:
  static problem damaged(const std::string& what) {
    return {errc::damaged, "the snapshot of the scheduler " + what + "; restore a backup"};
  }

  /// Whether the spans can be added without overflow.
  static bool are_sane(std::initializer_list<duration> spans) {
    constexpr duration longest = 100 * max_span;
    return std::ranges::all_of(spans,
                               [&](duration span) { return span >= -longest && span <= longest; });
  }

  static problem check(const saved_worker& what) {
    if (!are_sane({what.lease_left, what.paused}))
      return damaged("has a worker with a span that is out of range");
    auto is_odd = [](const saved_leftover& each) { return bool{check_resources("", each.needs)}; };
    if (check_resources("", what.words.capacity) || std::ranges::any_of(what.leftovers, is_odd))
      return damaged("has a worker with an amount that is out of range");
    return {};
  }

  [[nodiscard]] worker_id last_worker() const {
    return {saved_.last_worker};
  }

  problem check(const saved_run& what) {
    if (name_of(what.state) == "unknown" || name_of(what.before_pause) == "unknown"
        || name_of(what.priority) == "unknown" || name_of(what.policy) == "unknown")
      return damaged("has a run in no known state");
    if (what.submitted_tasks > what.tasks.size())
      return damaged("has a run with fewer tasks than were submitted");
    if (!are_sane({what.submitted, what.started, what.ended, what.starts_in.value_or(duration{})})
        || check_retry("", what.retry))
      return damaged("has a run with a span or a number of tries that is out of range");
    for (std::size_t position = 0; position < what.tasks.size(); ++position)
      if (auto why = check(what, what.tasks[position], position >= what.submitted_tasks))
        return why;
    auto is_there = [&](const task_change& each) { return each.task < what.tasks.size(); };
    if (!std::ranges::all_of(what.changes, is_there))
      return damaged("has a change of a task that is not there");
    return {};
  }

  problem check(const saved_run& owner, const saved_task& what, bool undoes) {
    auto& spec = what.spec;
    if (name_of(what.state) == "unknown" || (spec.priority && name_of(*spec.priority) == "unknown"))
      return damaged("has a task in no known state");
    if (!are_sane({what.since, what.alarm.value_or(duration{}), what.waited, what.ran})
        || check_span("", spec.timeout) || check_resources("", spec.needs)
        || what.failures > max_tries || what.losses > max_tries + 1
        || spec.steps_behind > max_steps_behind || (spec.retry && check_retry("", *spec.retry)))
      return damaged("has a task with a span or an amount that is out of range");
    auto is_there = [&](std::uint32_t parent) { return parent < owner.submitted_tasks; };
    if (!std::ranges::all_of(spec.parents, is_there) || (undoes && spec.parents.empty()))
      return damaged("has a task whose parent is not there");
    if (is_final(owner.state) && !is_final(what.state))
      return damaged("has a task that goes on though its run is over");
    if (owner.state == run_state::waiting && what.state != task_state::pending)
      return damaged("has a task that has begun before its run");
    if (what.state == task_state::running) {
      auto who = workers_.find(what.worker);
      if (who == workers_.end() || what.sequence > who->second
          || !orders_.insert({what.worker, what.sequence}).second)
        return damaged("has a task that runs on a worker which was not told so");
    }
    if (what.keeper != worker_id{}
        && (!workers_.contains(what.keeper) || !keepers_.insert(what.keeper).second))
      return damaged("has a task for which no worker keeps room, or one that keeps it for another");
    return {};
  }

  problem check_schedules() const {
    std::set<std::string> names;
    for (auto& each : saved_.schedules)
      if (!names.insert(each.words.name).second || !cron_expression::parse(each.words.cron))
        return damaged("has a schedule twice, or one that is no cron expression");
    return {};
  }

  const scheduler_snapshot& saved_;
  /// All workers, with the numbers of their last orders.
  std::map<worker_id, std::uint64_t> workers_;
  std::set<std::pair<worker_id, std::uint64_t>> orders_;
  std::set<worker_id> keepers_;
  std::set<run_id> runs_;
  /// Ended runs that were not yet found in saved_.finished.
  std::set<run_id> over_;
};

} // namespace troupe::scheduler::detail
