#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/core/backoff.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"

/// Vocabulary of the scheduler: tasks, workers and what they are made of. Commands to
/// a task_scheduler are in commands.hpp, questions to it in queries.hpp. No CAF here;
/// messages.hpp gives the wire types their IDs.
namespace troupe::scheduler {

/// One submission of a workflow. Counts from one and is never reused.
struct run_id {
  std::uint64_t value = 0;

  friend auto operator<=>(const run_id&, const run_id&) = default;

  TROUPE_FIELDS(run_id, value);
};

/// One boot of one worker, as the scheduler knows it. Never reused.
struct worker_id {
  std::uint64_t value = 0;

  friend auto operator<=>(const worker_id&, const worker_id&) = default;

  TROUPE_FIELDS(worker_id, value);
};

/// One try to run one task. `attempt` grows with each try and is the fencing token of the
/// task: results of earlier attempts are refused.
struct attempt_id {
  run_id run;
  /// Position of the task in its workflow.
  std::uint32_t task = 0;
  std::uint32_t attempt = 0;

  friend auto operator<=>(const attempt_id&, const attempt_id&) = default;

  TROUPE_FIELDS(attempt_id, run, task, attempt);
};

// -- states ----------------------------------------------------------------------

/// A pending task waits for its parents or for a retry, a ready one for a worker. The last
/// four are final. The numbers go over the wire: append at the end.
enum class task_state : std::uint8_t {
  pending = 0,
  ready = 1,
  running = 2,
  completed = 3,
  failed = 4,
  /// Ended by a request or by the failure of another task (fail_fast).
  cancelled = 5,
  /// It waited for a parent, a worker or a retry when another task of the run failed.
  skipped = 6,
};

inline constexpr std::array<std::string_view, 7> task_state_names{
  "pending", "ready", "running", "completed", "failed", "cancelled", "skipped"};

inline constexpr std::size_t task_states = task_state_names.size();

constexpr bool is_final(task_state state) {
  return state >= task_state::completed;
}

enum class run_state : std::uint8_t {
  /// Its start time has not come (submit::delay, submit::start_at).
  waiting = 0,
  running = 1,
  /// Running tasks continue, no new ones start.
  paused = 2,
  /// A task failed; the completed tasks are being undone.
  compensating = 3,
  completed = 4,
  failed = 5,
  cancelled = 6,
};

inline constexpr std::array<std::string_view, 7> run_state_names{
  "waiting", "running", "paused", "compensating", "completed", "failed", "cancelled"};

constexpr bool is_final(run_state state) {
  return state >= run_state::completed;
}

/// Bound of task_spec::steps_behind: keeps a task's rank within the range of the clock.
inline constexpr std::uint32_t max_steps_behind = 10'000;

enum class priority : std::uint8_t { low = 0, medium = 1, high = 2, urgent = 3 };

inline constexpr std::array<std::string_view, 4> priority_names{"low", "medium", "high", "urgent"};

/// What happens to the other tasks of a run when a task has failed permanently.
enum class failure_policy : std::uint8_t {
  /// No new tasks start, running ones are cancelled.
  fail_fast = 0,
  /// Only tasks that depend on the failed one are skipped.
  continue_what_can = 1,
  /// As fail_fast; then task_spec::compensation of each completed task runs, last
  /// task first. Source: Garcia-Molina and Salem, "Sagas", SIGMOD 1987.
  compensate = 2,
};

inline constexpr std::array<std::string_view, 3> failure_policy_names{
  "fail_fast", "continue_what_can", "compensate"};

/// The handler that runs a program; only workers that allow it offer it.
inline constexpr const char* exec_handler = "exec";

/// Prefix of the handlers that are agents: "agent:" and the id of an agent.
inline constexpr const char* agent_handlers = "agent:";

enum class worker_state : std::uint8_t {
  active = 0,
  /// Its lease ran out: its tasks run elsewhere. Active again at its next sign of life.
  silent = 1,
  /// Set by hand: it finishes its tasks and gets no new ones.
  maintenance = 2,
  /// It leaves: it finishes its tasks, then the scheduler forgets it.
  draining = 3,
};

inline constexpr std::array<std::string_view, 4> worker_state_names{"active", "silent",
                                                                    "maintenance", "draining"};

enum class placement : std::uint8_t {
  /// On the worker with the smallest share of its slots in use.
  least_loaded = 0,
  /// On the worker whose most used resource has the smallest share in use.
  /// Source: Ghodsi et al., "Dominant resource fairness", NSDI 2011.
  resource_aware = 1,
};

inline constexpr std::array<std::string_view, 2> placement_names{"least_loaded", "resource_aware"};

namespace detail {

template <class Enum, std::size_t Size>
constexpr std::string_view name_in(const std::array<std::string_view, Size>& names, Enum value) {
  auto index = static_cast<std::size_t>(value);
  return index < Size ? names[index] : "unknown";
}

} // namespace detail

constexpr std::string_view name_of(task_state state) {
  return detail::name_in(task_state_names, state);
}

constexpr std::string_view name_of(run_state state) {
  return detail::name_in(run_state_names, state);
}

constexpr std::string_view name_of(priority level) {
  return detail::name_in(priority_names, level);
}

constexpr std::string_view name_of(failure_policy policy) {
  return detail::name_in(failure_policy_names, policy);
}

constexpr std::string_view name_of(worker_state state) {
  return detail::name_in(worker_state_names, state);
}

constexpr std::string_view name_of(placement policy) {
  return detail::name_in(placement_names, policy);
}

// -- tasks -------------------------------------------------------------------------

/// What a worker has or a task needs. Each amount is at most max_resource.
struct resources {
  std::uint64_t millicores = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpus = 0;
  /// Tasks that run at once; a task takes one unless it says otherwise.
  std::uint64_t slots = 1;

  friend bool operator==(const resources&, const resources&) = default;

  TROUPE_FIELDS(resources, millicores, memory_bytes, gpus, slots);
};

constexpr resources& operator+=(resources& left, const resources& right) {
  left.millicores += right.millicores;
  left.memory_bytes += right.memory_bytes;
  left.gpus += right.gpus;
  left.slots += right.slots;
  return left;
}

/// @pre `right` is part of `left`.
constexpr resources& operator-=(resources& left, const resources& right) {
  left.millicores -= right.millicores;
  left.memory_bytes -= right.memory_bytes;
  left.gpus -= right.gpus;
  left.slots -= right.slots;
  return left;
}

/// Returns whether `needs` fit into what is left of `capacity` beside `used`. No amounts make
/// it overflow.
constexpr bool fits(const resources& needs, const resources& used, const resources& capacity) {
  auto has_room = [](std::uint64_t more, std::uint64_t taken, std::uint64_t all) {
    return taken <= all && more <= all - taken;
  };
  return has_room(needs.slots, used.slots, capacity.slots)
         && has_room(needs.millicores, used.millicores, capacity.millicores)
         && has_room(needs.memory_bytes, used.memory_bytes, capacity.memory_bytes)
         && has_room(needs.gpus, used.gpus, capacity.gpus);
}

/// Lets shares of a resource be computed in 64 bits. As memory it is 128 TiB.
inline constexpr std::uint64_t max_resource = std::uint64_t{1} << 47U;

using labels = std::map<std::string, std::string>;

/// How often a task is tried whose failures are retryable.
struct retry_policy {
  /// One means no retry. Attempts that the worker refused (busy) or that were
  /// lost with their worker do not count.
  std::uint32_t max_attempts = 3;
  backoff wait{};

  friend bool operator==(const retry_policy&, const retry_policy&) = default;

  TROUPE_FIELDS(retry_policy, max_attempts, wait);
};

/// One task of a workflow.
struct task_spec {
  /// Unique in its workflow; 1 to 255 bytes.
  std::string id{};
  /// Name of the worker's function that runs it; 1 to 255 bytes.
  std::string handler{};
  /// Passed to the handler unchanged, with the results of the parents.
  std::string input{};
  /// Positions in submit::tasks. assignment::parents has the same order.
  std::vector<std::uint32_t> parents{};
  resources needs{};
  /// Runs only on workers of this group. Empty: only on workers that name no group.
  std::string group{};
  /// Runs only on workers that have all these labels.
  scheduler::labels labels{};
  /// An attempt that takes longer fails and may be retried. Zero: no limit.
  duration timeout{};
  /// If not given, the workflow's.
  std::optional<retry_policy> retry{};
  std::optional<scheduler::priority> priority{};
  /// Handler that undoes the task (failure_policy::compensate); empty if nothing is to be
  /// undone. It gets the same input, and the task as its only parent.
  std::string compensation{};
  /// Order among tasks of one priority: for each step, tasks that become ready up to
  /// scheduler_options::ageing later go before this one. At most max_steps_behind.
  std::uint32_t steps_behind = 0;

  friend bool operator==(const task_spec&, const task_spec&) = default;

  TROUPE_FIELDS(task_spec, id, handler, input, parents, needs, group, labels, timeout, retry,
                priority, compensation, steps_behind);
};

// -- configuration -----------------------------------------------------------------

/// Limits and times of one scheduler. Requests beyond a limit are refused. Times longer than
/// 366 days are cut to that.
struct scheduler_options {
  /// Runs that have not ended; more are refused.
  std::uint32_t max_runs = 100'000;
  std::uint32_t max_tasks = 100'000; // of one run
  /// Tasks of all runs that have not ended.
  std::uint32_t max_live_tasks = 1'000'000;
  /// Edges of one run. Bounds the time that checking a submission takes.
  std::uint32_t max_edges = 1'000'000;
  /// Ended runs that are kept for queries. Beyond it the one that ended first is dropped,
  /// with its idempotency key.
  std::uint32_t max_finished_runs = 10'000;
  /// Workers registered at a time; more are refused.
  std::uint32_t max_workers = 10'000;
  /// Bytes of one input or result. Error sentences of workers are cut to it.
  std::uint32_t max_payload_bytes = 64 * 1024;
  /// Bytes of a task's input and the results of its parents together.
  std::uint32_t max_assignment_bytes = 4 * 1024 * 1024;
  /// Bytes of all kept runs: texts, inputs and results, and 500 for each task.
  std::uint64_t max_bytes = std::uint64_t{1} << 30U;
  /// Changes kept for each run. A watcher that is further behind gets all task states again.
  std::uint32_t max_changes = 1'024;
  /// A worker without a sign of life for this long loses its tasks. Workers renew every third
  /// of it.
  duration lease = std::chrono::seconds{10};
  /// A worker is forgotten this long after its lease ended.
  duration silence = std::chrono::minutes{10};
  /// A worker that answered `busy` gets no task for this long.
  duration busy_pause = std::chrono::milliseconds{200};
  /// A task that no registered worker can run (handler, group, labels, size) fails after this
  /// time. While no worker is registered at all, it keeps waiting.
  duration unplaceable_patience = std::chrono::minutes{1};
  /// A task that has waited this much longer goes before one of the next higher priority. At
  /// most a day.
  duration ageing = std::chrono::seconds{30};
  /// Each failure or lost attempt counts as this much waiting time. At most a day.
  duration retry_head_start = std::chrono::seconds{10};
  /// After this wait, a task that no worker has room for gets a worker reserved: no smaller
  /// tasks start there.
  duration reserve_after = std::chrono::seconds{10};
  /// A task fails when more attempts than this were lost with their workers, as it may be what
  /// kills them. At most 1,000.
  std::uint32_t max_losses = 20;
  /// How a worker is chosen among those that can run a task.
  scheduler::placement placement = scheduler::placement::resource_aware;
  /// Seed of the jitter of retries.
  std::uint64_t seed = 0;
  /// Schedules; more are refused.
  std::uint32_t max_schedules = 1'000;
  /// Bytes of the texts and inputs of all scheduled workflows.
  std::uint64_t max_schedule_bytes = std::uint64_t{64} << 20U;

  friend bool operator==(const scheduler_options&, const scheduler_options&) = default;

  TROUPE_FIELDS(scheduler_options, max_runs, max_tasks, max_live_tasks, max_edges,
                max_finished_runs, max_workers, max_payload_bytes, max_assignment_bytes, max_bytes,
                max_changes, lease, silence, busy_pause, unplaceable_patience, ageing,
                retry_head_start, reserve_after, max_losses, placement, seed, max_schedules,
                max_schedule_bytes);
};

} // namespace troupe::scheduler
