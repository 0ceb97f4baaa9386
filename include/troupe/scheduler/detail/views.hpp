#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "troupe/scheduler/detail/admission.hpp"
#include "troupe/scheduler/detail/ready_queue.hpp"
#include "troupe/scheduler/detail/run_table.hpp"
#include "troupe/scheduler/detail/worker_pool.hpp"
#include "troupe/scheduler/queries.hpp"

/// Views of the scheduler's state.
namespace troupe::scheduler::detail {

// -- workers -----------------------------------------------------------------------

inline assignment assignment_of(const run& owner, const attempt_id& what, time_point now) {
  auto& next = owner.tasks[what.task];
  assignment result{.what = what,
                    .task = next.spec.id,
                    .handler = next.spec.handler,
                    .input = next.spec.input,
                    .parents = {},
                    .needs = next.spec.needs};
  for (auto parent : next.spec.parents)
    result.parents.push_back({owner.tasks[parent].spec.id, owner.tasks[parent].value});
  if (next.alarm)
    result.timeout = *next.alarm - now;
  return result;
}

inline std::uint64_t bytes_of(const assignment& what) {
  auto sum = std::uint64_t{what.task.size()} + what.handler.size() + what.input.size();
  for (auto& each : what.parents)
    sum += each.id.size() + each.value.size();
  return sum;
}

/// Merges the worker's open attempts and cancellations by their order numbers.
inline worker_orders orders_for(const worker& who, const run_table& runs,
                                const watch_assignments& question, const scheduler_options& options,
                                time_point now) {
  worker_orders result{.state = who.state(), .sequence = who.sequence};
  auto attempt = who.running.upper_bound(question.after);
  auto cancellation = who.cancellations.upper_bound(question.after);
  std::uint64_t bytes = 0;
  auto items = std::max(question.limit, 1U);
  auto last = question.after;
  while (attempt != who.running.end() || cancellation != who.cancellations.end()) {
    if (items-- == 0) {
      result.sequence = last;
      break;
    }
    auto begins = cancellation == who.cancellations.end()
                  || (attempt != who.running.end() && attempt->first < cancellation->first);
    if (!begins) {
      last = cancellation->first;
      result.cancellations.push_back(cancellation->second);
      ++cancellation;
      continue;
    }
    auto next = assignment_of(*runs.find(attempt->second.run), attempt->second, now);
    bytes += bytes_of(next);
    if (bytes > options.max_assignment_bytes && !result.assignments.empty()) {
      result.sequence = last;
      break;
    }
    last = attempt->first;
    result.assignments.push_back(std::move(next));
    ++attempt;
  }
  return result;
}

inline worker_view view_of(const worker& who, time_point now) {
  return {.worker = who.id,
          .name = who.words.name,
          .owner = who.words.owner,
          .boot = who.words.boot,
          .state = who.state(),
          .capacity = who.words.capacity,
          .used = who.used,
          .handlers = who.words.handlers,
          .groups = who.words.groups,
          .labels = who.words.labels,
          .attempts = static_cast<std::uint32_t>(who.running.size() + who.leftovers.size()),
          .cancelled = static_cast<std::uint32_t>(who.leftovers.size()),
          .lease_left
          = who.silent ? duration::zero() : std::max(who.lease_ends - now, duration::zero())};
}

inline worker_list list_of(const worker_pool& pool, const list_workers& question, time_point now) {
  worker_list result;
  auto& all = pool.all();
  for (auto at = all.upper_bound(question.after);
       at != all.end() && result.workers.size() < question.limit; ++at)
    result.workers.push_back(view_of(at->second, now));
  return result;
}

// -- runs --------------------------------------------------------------------------

/// "1 slot, 500 millicores and 4 GPUs": what is not zero.
inline std::string in_words(const resources& needs) {
  std::vector<std::string> parts;
  auto add = [&](std::uint64_t count, const std::string& one, const std::string& rest = {}) {
    if (count > 0)
      parts.push_back(std::to_string(count) + ' ' + one + (count == 1 ? "" : "s") + rest);
  };
  add(needs.slots, "slot");
  add(needs.millicores, "millicore");
  add(needs.memory_bytes, "byte", " of memory");
  add(needs.gpus, "GPU");
  std::string text;
  for (auto& each : parts)
    text += (text.empty() ? "" : &each == &parts.back() ? " and " : ", ") + each;
  return text;
}

/// Why no registered worker can run `next`.
inline problem why_unplaceable(const task& next, const ready_queue& queue,
                               const worker_pool& pool) {
  if (pool.all().empty())
    return {errc::not_found, "no worker is registered; start one"};
  if (!queue.workers(next.line).empty()) {
    return {errc::too_large,
            "it needs " + in_words(next.spec.needs) + ", more than any worker has that offers "
              + in_quotes(next.spec.handler) + "; ask for less or start a larger worker"};
  }
  auto offered = std::ranges::any_of(
    pool.all(), [&](auto& each) { return offers(each.second.words.handlers, next.spec.handler); });
  if (!offered && next.spec.handler == exec_handler)
    return {errc::not_found, "no worker may run programs; allow it to one with troupe node "
                             "--allow-exec, or offer scheduler::exec_programs()"};
  if (!offered)
    return {errc::not_found, "no worker offers the handler " + in_quotes(next.spec.handler)
                               + "; check its name, or start a worker that does"};
  return {errc::not_found, "workers offer the handler " + in_quotes(next.spec.handler)
                             + ", but none in the group " + in_quotes(next.spec.group)
                             + " with the labels asked for"};
}

inline task_view view_of(const run& owner, const task& what, const ready_queue& queue,
                         const worker_pool& pool, time_point now) {
  task_view result{.id = what.spec.id,
                   .state = what.state,
                   .attempt = what.attempt,
                   .failures = what.failures,
                   .losses = what.losses,
                   .progress_permille = what.progress_permille,
                   .worker = what.worker,
                   .waited = what.waited,
                   .ran = what.ran,
                   .why = what.why};
  if (what.state == task_state::running)
    result.ran = now - what.since;
  if (what.state == task_state::ready)
    result.waited = now - what.since;
  if (what.unplaceable && owner.starts_tasks())
    result.why = why_unplaceable(what, queue, pool);
  return result;
}

inline run_view view_of(const run& owner, time_point now) {
  run_view result{.run = owner.id,
                  .name = owner.name,
                  .key = owner.key,
                  .state = owner.state,
                  .priority = owner.priority,
                  .policy = owner.policy,
                  .revision = owner.revision,
                  .tasks = owner.size(),
                  .counts = {owner.counts.begin(), owner.counts.end()},
                  .age = now - owner.submitted,
                  .why = owner.why};
  if (is_final(owner.state))
    result.ran = owner.ended - owner.started;
  else if (owner.state != run_state::waiting)
    result.ran = now - owner.started;
  return result;
}

inline run_details details_of(const run& owner, const find_run& question, const ready_queue& queue,
                              const worker_pool& pool, time_point now) {
  run_details result{view_of(owner, now), {}};
  for (auto position = question.first;
       position < owner.size() && result.tasks.size() < question.limit; ++position)
    result.tasks.push_back(view_of(owner, owner.tasks[position], queue, pool, now));
  return result;
}

inline run_list list_of(const run_table& runs, const list_runs& question, time_point now) {
  run_list result;
  auto& all = runs.all();
  for (auto at = all.upper_bound(question.after);
       at != all.end() && result.runs.size() < question.limit; ++at)
    if (!question.state || at->second.state == *question.state)
      result.runs.push_back(view_of(at->second, now));
  return result;
}

inline run_news news_of(const run& owner, const watch_run& question, std::uint32_t max_changes,
                        time_point now) {
  run_news result{.run = view_of(owner, now), .revision = owner.revision};
  if (question.after == 0 || question.after > owner.revision
      || question.after < owner.changes_after(max_changes)) {
    result.complete = true;
    for (auto& each : owner.tasks)
      result.states.push_back(each.state);
    return result;
  }
  auto at = std::ranges::upper_bound(owner.changes, question.after, {}, &task_change::revision);
  for (; at != owner.changes.end(); ++at) {
    if (result.changes.size() >= std::max(question.limit, 1U)) {
      result.revision = result.changes.back().revision;
      break;
    }
    result.changes.push_back(*at);
  }
  return result;
}

// -- statistics --------------------------------------------------------------------

inline scheduler_statistics no_statistics() {
  scheduler_statistics result;
  result.tasks.resize(task_states);
  result.queues.resize(priority_names.size());
  return result;
}

inline scheduler_statistics statistics_of(scheduler_statistics sums, const run_table& runs,
                                          const worker_pool& pool, std::size_t unplaceable) {
  sums.runs_live = runs.live();
  sums.workers = pool.all().size();
  sums.tasks.assign(runs.tasks().begin(), runs.tasks().end());
  for (std::size_t level = 0; level < sums.queues.size(); ++level)
    sums.queues[level].length = runs.ready()[level];
  sums.unplaceable = unplaceable;
  sums.bytes = runs.bytes();
  return sums;
}

} // namespace troupe::scheduler::detail
