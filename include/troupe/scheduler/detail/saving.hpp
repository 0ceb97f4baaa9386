#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "troupe/scheduler/detail/run.hpp"
#include "troupe/scheduler/detail/run_table.hpp"
#include "troupe/scheduler/detail/worker_pool.hpp"
#include "troupe/scheduler/snapshot.hpp"

/// Converts between the scheduler's state and its snapshot. Times become spans from `now`, and
/// back.
namespace troupe::scheduler::detail {

inline std::optional<duration> span_to(std::optional<time_point> at, time_point now) {
  return at ? std::optional{*at - now} : std::nullopt;
}

inline std::optional<time_point> moment_in(std::optional<duration> span, time_point now) {
  return span ? std::optional{now + *span} : std::nullopt;
}

inline saved_task save(const task& what, time_point now) {
  return {.spec = what.spec,
          .state = what.state,
          .attempt = what.attempt,
          .failures = what.failures,
          .losses = what.losses,
          .progress_permille = what.progress_permille,
          .waits_for = what.waits_for,
          .keeper = what.keeper,
          .worker = what.worker,
          .sequence = what.sequence,
          .since = what.since - now,
          .alarm = span_to(what.alarm, now),
          .waited = what.waited,
          .ran = what.ran,
          .unplaceable = what.unplaceable,
          .value = what.value,
          .why = what.why};
}

inline task load(const saved_task& saved, time_point now) {
  task result;
  result.spec = saved.spec;
  result.state = saved.state;
  result.attempt = saved.attempt;
  result.failures = saved.failures;
  result.losses = saved.losses;
  result.progress_permille = saved.progress_permille;
  result.waits_for = saved.waits_for;
  result.keeper = saved.keeper;
  result.worker = saved.worker;
  result.sequence = saved.sequence;
  result.since = now + saved.since;
  result.alarm = moment_in(saved.alarm, now);
  result.waited = saved.waited;
  result.ran = saved.ran;
  result.unplaceable = saved.unplaceable;
  result.value = saved.value;
  result.why = saved.why;
  return result;
}

inline saved_run save(const run& what, std::uint32_t max_changes, time_point now) {
  if (is_final(what.state))
    max_changes = std::numeric_limits<std::uint32_t>::max(); // cut when it ended
  saved_run result{.run = what.id,
                   .name = what.name,
                   .key = what.key,
                   .state = what.state,
                   .before_pause = what.before_pause,
                   .priority = what.priority,
                   .policy = what.policy,
                   .retry = what.retry,
                   .submitted_tasks = what.submitted_tasks,
                   .submitted = what.submitted - now,
                   .started = what.started - now,
                   .ended = what.ended - now,
                   .starts_in = span_to(what.starts_at, now),
                   .why = what.why,
                   .revision = what.revision,
                   .changes_before = what.changes_after(max_changes)};
  result.starts_on = what.starts_on;
  for (auto& each : what.tasks)
    result.tasks.push_back(save(each, now));
  auto first = static_cast<std::ptrdiff_t>(what.first_change(max_changes));
  result.changes.assign(what.changes.begin() + first, what.changes.end());
  return result;
}

inline run load(const saved_run& saved, time_point now) {
  run result;
  result.id = saved.run;
  result.name = saved.name;
  result.key = saved.key;
  result.state = saved.state;
  result.before_pause = saved.before_pause;
  result.priority = saved.priority;
  result.policy = saved.policy;
  result.retry = saved.retry;
  for (auto& each : saved.tasks)
    result.tasks.push_back(load(each, now));
  result.submitted_tasks = saved.submitted_tasks;
  result.submitted = now + saved.submitted;
  result.started = now + saved.started;
  result.ended = now + saved.ended;
  result.starts_at = moment_in(saved.starts_in, now);
  result.starts_on = saved.starts_on;
  result.why = saved.why;
  result.revision = saved.revision;
  result.changes_before = saved.changes_before;
  result.changes = saved.changes;
  result.link();
  return result;
}

inline saved_worker save(const worker& what, time_point now) {
  saved_worker result{.worker = what.id,
                      .words = what.words,
                      .silent = what.silent,
                      .maintenance = what.maintenance,
                      .draining = what.draining,
                      .sequence = what.sequence,
                      .lease_left = what.lease_ends - now};
  if (what.paused_until > now)
    result.paused = what.paused_until - now;
  for (auto& [attempt, each] : what.leftovers)
    result.leftovers.push_back({attempt, each.sequence, each.needs});
  return result;
}

/// Its running attempts and its reservation are restored with the runs.
inline void load(worker_pool& pool, const saved_worker& saved, time_point now) {
  auto& result = pool.add(saved.worker, saved.words);
  result.silent = saved.silent;
  result.maintenance = saved.maintenance;
  result.draining = saved.draining;
  result.sequence = saved.sequence;
  result.lease_ends = now + saved.lease_left;
  if (saved.paused > duration::zero())
    result.paused_until = now + saved.paused;
  for (auto& each : saved.leftovers) {
    result.leftovers.emplace(each.what, leftover{each.sequence, each.needs});
    result.cancellations.emplace(each.sequence, each.what);
    pool.take(result, each.needs);
  }
}

inline void load(run_table& runs, worker_pool& pool, const saved_run& saved, time_point now) {
  auto& owner = runs.add(load(saved, now));
  for (std::uint32_t position = 0; position < owner.size(); ++position) {
    auto& each = owner.tasks[position];
    if (each.state == task_state::running) {
      auto& who = *pool.find(each.worker);
      who.running.emplace(each.sequence, attempt_id{owner.id, position, each.attempt});
      pool.take(who, each.spec.needs);
    }
    if (each.keeper != worker_id{})
      pool.find(each.keeper)->kept_for = task_name{owner.id, position};
  }
}

} // namespace troupe::scheduler::detail
