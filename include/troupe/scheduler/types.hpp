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
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"

/// Vocabulary of the scheduler: tasks, workers and what they are made of. What
/// goes into a task_scheduler stands in commands.hpp, what can be asked in
/// queries.hpp. No CAF here; messages.hpp gives the wire types their IDs.
namespace troupe::scheduler {

/// One submission of a workflow. Counts from one and is never used again.
struct run_id {
  std::uint64_t value = 0;

  friend auto operator<=>(const run_id&, const run_id&) = default;
};

/// One boot of one worker, as the scheduler knows it. Never used again.
struct worker_id {
  std::uint64_t value = 0;

  friend auto operator<=>(const worker_id&, const worker_id&) = default;
};

/// One try to run one task. `attempt` grows with each, so that a worker that was
/// given up cannot bring in a result any more: it is the fence of a task.
struct attempt_id {
  run_id run;
  /// Position of the task in its workflow.
  std::uint32_t task = 0;
  std::uint32_t attempt = 0;

  friend auto operator<=>(const attempt_id&, const attempt_id&) = default;
};

// -- states ----------------------------------------------------------------------

/// Pending waits for parents or for a retry, ready for a worker. The last four
/// are final. Numbers and letters go over the wire: append at the end.
enum class task_state : std::uint8_t {
  pending = 0,
  ready = 1,
  running = 2,
  completed = 3,
  failed = 4,
  /// Ended by somebody's wish or by the failure of another task (fail_fast).
  cancelled = 5,
  /// Never started, as a task before it did not complete.
  skipped = 6,
};

inline constexpr std::array<std::string_view, 7> task_state_names{
  "pending", "ready", "running", "completed", "failed", "cancelled", "skipped"};

inline constexpr std::size_t task_states = task_state_names.size();

constexpr bool is_final(task_state state) {
  return state >= task_state::completed;
}

enum class run_state : std::uint8_t {
  /// Its time has not come (submit::delay, submit::start_at_utc).
  waiting = 0,
  running = 1,
  /// What runs goes on, nothing new starts.
  paused = 2,
  /// A task failed; what was completed before is being undone.
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

/// Keeps a task's place in line within the range of the clock.
inline constexpr std::uint32_t max_steps_behind = 10'000;

enum class priority : std::uint8_t { low = 0, medium = 1, high = 2, urgent = 3 };

inline constexpr std::array<std::string_view, 4> priority_names{"low", "medium", "high", "urgent"};

/// What becomes of the rest when a task has failed for good.
enum class failure_policy : std::uint8_t {
  /// Nothing new starts, what runs is cancelled.
  fail_fast = 0,
  /// Only what needs the failed task is skipped.
  continue_what_can = 1,
  /// As fail_fast; then task_spec::compensation of each completed task runs, last
  /// task first. Source: Garcia-Molina and Salem, "Sagas", SIGMOD 1987.
  compensate = 2,
};

inline constexpr std::array<std::string_view, 3> failure_policy_names{
  "fail_fast", "continue_what_can", "compensate"};

/// The handler that runs a program; only workers that allow it offer it.
inline constexpr const char* exec_handler = "exec";

/// The handlers that are agents: "agent:" and the id of one.
inline constexpr const char* agent_handlers = "agent:";

enum class worker_state : std::uint8_t {
  active = 0,
  /// Its lease ran out: its tasks run elsewhere until it is heard of again.
  silent = 1,
  /// Set by hand: finishes what it has and gets nothing new.
  maintenance = 2,
  /// Leaves: finishes what it has, then it is forgotten.
  draining = 3,
};

inline constexpr std::array<std::string_view, 4> worker_state_names{"active", "silent",
                                                                    "maintenance", "draining"};

enum class placement : std::uint8_t {
  /// Where the smallest share of the slots is taken.
  least_loaded = 0,
  /// Where the largest share of any resource is smallest.
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

/// What a worker has or a task takes. Each at most max_resource.
struct resources {
  std::uint64_t millicores = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpus = 0;
  /// Tasks at once; a task takes one if it says nothing else.
  std::uint64_t slots = 1;

  friend bool operator==(const resources&, const resources&) = default;
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

/// Returns whether a task that takes `needs` has room beside what is `used` of `capacity`.
/// Whatever the amounts: no sum overflows.
constexpr bool fits(const resources& needs, const resources& used, const resources& capacity) {
  auto has_room = [](std::uint64_t more, std::uint64_t taken, std::uint64_t all) {
    return taken <= all && more <= all - taken;
  };
  return has_room(needs.slots, used.slots, capacity.slots)
         && has_room(needs.millicores, used.millicores, capacity.millicores)
         && has_room(needs.memory_bytes, used.memory_bytes, capacity.memory_bytes)
         && has_room(needs.gpus, used.gpus, capacity.gpus);
}

/// So that shares of a resource can be compared in 64 bits (128 TiB of memory).
inline constexpr std::uint64_t max_resource = std::uint64_t{1} << 47U;

using labels = std::map<std::string, std::string>;

/// How often a task that failed for a passing reason is tried.
struct retry_policy {
  /// One means no retry. Attempts that the worker refused (busy) or that were
  /// lost with their worker do not count.
  std::uint32_t max_attempts = 3;
  backoff wait{};

  friend bool operator==(const retry_policy&, const retry_policy&) = default;
};

/// One task of a workflow.
struct task_spec {
  /// Unique in its workflow; 1 to 255 bytes.
  std::string id{};
  /// The named function of a worker that does it; 1 to 255 bytes.
  std::string handler{};
  /// Given to the handler as it is, beside the results of the parents.
  std::string input{};
  /// Positions in submit::tasks; their order is that of assignment::parents.
  std::vector<std::uint32_t> parents{};
  resources needs{};
  /// Runs only on workers of this group; empty is the group of workers that name
  /// none.
  std::string group{};
  /// Runs only on workers that have all of these.
  scheduler::labels labels{};
  /// An attempt that takes longer has failed, and may be retried; zero is no limit.
  duration timeout{};
  /// That of the workflow if not given.
  std::optional<retry_policy> retry{};
  std::optional<scheduler::priority> priority{};
  /// Handler that undoes it (failure_policy::compensate); empty if nothing does.
  /// Its input is that of the task, its one parent is the task.
  std::string compensation{};
  /// Tasks of one priority: each step lets those that become ready up to
  /// scheduler_options::ageing later go first. At most max_steps_behind.
  std::uint32_t steps_behind = 0;

  friend bool operator==(const task_spec&, const task_spec&) = default;
};

// -- configuration -----------------------------------------------------------------

/// Bounds and spans of one scheduler. Whatever lies beyond a bound is refused. Spans are
/// at most 366 days, which is as good as for ever.
struct scheduler_options {
  /// Runs that are not over; more are refused.
  std::uint32_t max_runs = 100'000;
  std::uint32_t max_tasks = 100'000; // of one run
  /// Tasks of all runs that are not over.
  std::uint32_t max_live_tasks = 1'000'000;
  /// Edges of one run, so that a submission is checked in bounded time.
  std::uint32_t max_edges = 1'000'000;
  /// Over ones are kept to be looked at; the one that ended first goes first, and
  /// with it its idempotency key.
  std::uint32_t max_finished_runs = 10'000;
  /// Registered at a time; more are refused.
  std::uint32_t max_workers = 10'000;
  /// One input, result or sentence.
  std::uint32_t max_payload_bytes = 64 * 1024;
  /// All results that go into one task.
  std::uint32_t max_assignment_bytes = 4 * 1024 * 1024;
  /// All runs with their texts, inputs and results; a task costs 500 bytes by itself.
  std::uint64_t max_bytes = std::uint64_t{1} << 30U;
  /// Changes of a run that a watcher may miss before it gets all tasks anew.
  std::uint32_t max_changes = 1'024;
  /// A worker that is silent for so long has lost its tasks; it renews each third.
  duration lease = std::chrono::seconds{10};
  /// A silent worker is forgotten after so long.
  duration silence = std::chrono::minutes{10};
  /// A worker that refused a task gets no other for so long.
  duration busy_pause = std::chrono::milliseconds{200};
  /// A task for which no worker is good (handler, group, labels, size) fails after
  /// so long. While no worker is registered at all it waits on.
  duration unplaceable_patience = std::chrono::minutes{1};
  /// A task that waits so long gets past one of the next higher priority. At most a day.
  duration ageing = std::chrono::seconds{30};
  /// Each failure puts a task forward by so much. At most a day.
  duration retry_head_start = std::chrono::seconds{10};
  /// A large task that waits so long keeps small ones from its worker.
  duration reserve_after = std::chrono::seconds{10};
  /// A task that lost more workers than this is thought to kill them. At most 1,000.
  std::uint32_t max_losses = 20;
  /// How a worker is chosen among those that are good.
  scheduler::placement placement = scheduler::placement::resource_aware;
  /// Of the jitter of retries.
  std::uint64_t seed = 0;
  /// Schedules; more are refused.
  std::uint32_t max_schedules = 1'000;
  /// All texts and inputs of their workflows.
  std::uint64_t max_schedule_bytes = std::uint64_t{64} << 20U;

  friend bool operator==(const scheduler_options&, const scheduler_options&) = default;
};

// -- inspection --------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, run_id& x) {
  return f.object(x).fields(f.field("value", x.value));
}

template <class Inspector>
bool inspect(Inspector& f, worker_id& x) {
  return f.object(x).fields(f.field("value", x.value));
}

template <class Inspector>
bool inspect(Inspector& f, attempt_id& x) {
  return f.object(x).fields(f.field("run", x.run), f.field("task", x.task),
                            f.field("attempt", x.attempt));
}

template <class Inspector>
bool inspect(Inspector& f, resources& x) {
  return f.object(x).fields(f.field("millicores", x.millicores),
                            f.field("memory_bytes", x.memory_bytes), f.field("gpus", x.gpus),
                            f.field("slots", x.slots));
}

template <class Inspector>
bool inspect(Inspector& f, retry_policy& x) {
  return f.object(x).fields(f.field("max_attempts", x.max_attempts), f.field("wait", x.wait));
}

template <class Inspector>
bool inspect(Inspector& f, task_spec& x) {
  return f.object(x).fields(
    f.field("id", x.id), f.field("handler", x.handler), f.field("input", x.input),
    f.field("parents", x.parents), f.field("needs", x.needs), f.field("group", x.group),
    f.field("labels", x.labels), f.field("timeout", x.timeout), f.field("retry", x.retry),
    f.field("priority", x.priority), f.field("compensation", x.compensation),
    f.field("steps_behind", x.steps_behind));
}

template <class Inspector>
bool inspect(Inspector& f, scheduler_options& x) {
  return f.object(x).fields(
    f.field("max_runs", x.max_runs), f.field("max_tasks", x.max_tasks),
    f.field("max_live_tasks", x.max_live_tasks), f.field("max_edges", x.max_edges),
    f.field("max_finished_runs", x.max_finished_runs), f.field("max_workers", x.max_workers),
    f.field("max_payload_bytes", x.max_payload_bytes),
    f.field("max_assignment_bytes", x.max_assignment_bytes), f.field("max_bytes", x.max_bytes),
    f.field("max_changes", x.max_changes), f.field("lease", x.lease), f.field("silence", x.silence),
    f.field("busy_pause", x.busy_pause), f.field("unplaceable_patience", x.unplaceable_patience),
    f.field("ageing", x.ageing), f.field("retry_head_start", x.retry_head_start),
    f.field("reserve_after", x.reserve_after), f.field("max_losses", x.max_losses),
    f.field("placement", x.placement), f.field("seed", x.seed),
    f.field("max_schedules", x.max_schedules), f.field("max_schedule_bytes", x.max_schedule_bytes));
}

} // namespace troupe::scheduler
