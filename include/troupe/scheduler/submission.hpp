#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/workflow/dag.hpp"

namespace troupe::scheduler {

/// Options of a workflow's run.
struct submission_options {
  /// Idempotency key: a second submission with it returns the first run. Empty: no key.
  std::string key{};
  /// Its tasks start before those of lower priority, unless these have waited long (see
  /// scheduler_options::ageing).
  scheduler::priority priority = scheduler::priority::medium;
  /// What happens to the other tasks when one fails.
  failure_policy policy = failure_policy::fail_fast;
  /// For tasks without a retry policy of their own.
  retry_policy retry{};
  /// The run starts this long after its submission.
  duration delay{};
  /// Tasks without a handler sleep for their run time multiplied by this.
  double time_scale = 1;
  /// Whether tasks take the cores and the memory that the workflow gives for them. If not,
  /// they take only their slot and their GPUs.
  bool resources = false;
};

/// Returns `span` as sleep_handler reads it: seconds, exact to the nanosecond.
inline std::string to_seconds(duration span) {
  auto whole = std::to_string(span.count() / 1'000'000'000);
  auto rest = std::to_string(span.count() % 1'000'000'000);
  return whole + '.' + std::string(9 - rest.size(), '0') + rest;
}

/// Returns `span` times `factor`, rounded down; at most 100 years.
inline duration scaled(duration span, double factor) {
  constexpr auto most = 100.0 * 366 * 24 * 3600 * 1e9;
  auto product = static_cast<double>(span.count()) * factor;
  return duration{static_cast<std::int64_t>(product < most ? product : most)};
}

namespace detail {

/// How many distinct priorities of `flow` are above each one.
inline std::map<std::int32_t, std::uint32_t> steps_of(const workflow::dag& flow) {
  std::map<std::int32_t, std::uint32_t> result;
  for (workflow::task_index each = 0; each < flow.size(); ++each)
    result.emplace(flow[each].priority, 0);
  std::uint32_t steps = 0;
  for (auto each = result.rbegin(); each != result.rend(); ++each)
    each->second = std::min(steps++, max_steps_behind);
  return result;
}

} // namespace detail

/// Returns the command that runs `flow`. Tasks keep their numbers. Tasks with a handler get their
/// own input, those without sleep. The flow's highest priority maps to the priority of the run;
/// each next lower one in use, whatever its number, is one step behind (task_spec::steps_behind).
inline submit to_submit(const workflow::dag& flow, const submission_options& how = {}) {
  submit result{flow.name(), {}, how.key, how.priority, how.policy, how.retry, how.delay};
  result.tasks.reserve(flow.size());
  auto steps = detail::steps_of(flow);
  for (workflow::task_index each = 0; each < flow.size(); ++each) {
    auto& from = flow[each];
    auto& made = result.tasks.emplace_back();
    made.id = from.id;
    made.handler = from.handler.empty() ? "sleep" : from.handler;
    made.input
      = from.handler.empty() ? to_seconds(scaled(from.run_time, how.time_scale)) : from.input;
    for (auto parent : flow.parents(each))
      made.parents.push_back(parent);
    made.needs.gpus = from.gpus;
    if (how.resources) {
      made.needs.millicores = std::uint64_t{from.cores} * 1'000;
      made.needs.memory_bytes = from.memory_bytes;
    }
    made.group = from.group;
    made.labels = from.labels;
    made.steps_behind = steps.at(from.priority);
    made.timeout = from.timeout.value_or(duration::zero());
    if (from.retries) {
      made.retry = how.retry;
      made.retry->max_attempts = *from.retries + 1;
    }
  }
  return result;
}

} // namespace troupe::scheduler
