#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "troupe/core/fields.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/types.hpp"

/// Queries and their answers. Answers are as of the last record. Times are given as spans
/// before it, because the clock of a journal means nothing outside it.
namespace troupe::scheduler {

// -- for workers ---------------------------------------------------------------------

/// The result of a parent task.
struct parent_result {
  std::string id{};
  std::string value{};

  friend bool operator==(const parent_result&, const parent_result&) = default;

  TROUPE_FIELDS(parent_result, id, value);
};

/// An attempt for the worker to run.
struct assignment {
  attempt_id what{};
  /// The id of the task in its workflow, for people.
  std::string task{};
  std::string handler{};
  std::string input{};
  /// In the order of task_spec::parents.
  std::vector<parent_result> parents{};
  resources needs{};
  /// Time left for the attempt. Zero: no limit.
  duration timeout{};

  friend bool operator==(const assignment&, const assignment&) = default;

  TROUPE_FIELDS(assignment, what, task, handler, input, parents, needs, timeout);
};

/// A worker's orders after `after`. With `after` zero all open orders come again, so a lost
/// link loses none; the worker ignores attempts that it knows. A cancellation stays in the
/// list until the worker reports the end of the attempt, even one that never began.
struct worker_orders {
  worker_state state = worker_state::active;
  /// The `after` of the next question.
  std::uint64_t sequence = 0;
  std::vector<assignment> assignments{};
  std::vector<attempt_id> cancellations{};

  friend bool operator==(const worker_orders&, const worker_orders&) = default;

  TROUPE_FIELDS(worker_orders, state, sequence, assignments, cancellations);
};

/// Asks for the orders of a worker. Waits up to `wait` for new ones. Returns at most `limit`
/// orders, and no more than scheduler_options::max_assignment_bytes unless it is one order.
struct watch_assignments {
  using result = worker_orders;

  worker_id worker{};
  std::uint64_t boot = 0;
  std::uint64_t after = 0;
  duration wait{};
  std::uint32_t limit = 1'000;

  TROUPE_FIELDS(watch_assignments, worker, boot, after, wait, limit);
};

/// A worker's sign of life that costs no record. Refused with conflict if the scheduler counts
/// the worker as silent, or if `open` lacks an open attempt of an order up to `seen`. The worker
/// then sends renew_worker.
struct check_in {
  using result = worker_receipt;
  /// The lease counts from when it was sent.
  static constexpr bool may_wait = true;

  worker_id worker{};
  std::uint64_t boot = 0;
  std::uint64_t seen = 0;
  std::vector<attempt_id> open{};

  TROUPE_FIELDS(check_in, worker, boot, seen, open);
};

// -- runs ----------------------------------------------------------------------------

/// State of a task, without its result: find_result asks for that.
struct task_view {
  std::string id{};
  task_state state = task_state::pending;
  std::uint32_t attempt = 0;
  std::uint32_t failures = 0;
  std::uint32_t losses = 0;
  std::uint16_t progress_permille = 0;
  /// The worker of its last attempt.
  worker_id worker{};
  /// Time from ready to running, and from running to the end or until now.
  duration waited{};
  duration ran{};
  /// Why it failed, ended, or waits; errc::none if there is no reason to give.
  problem why{};

  friend bool operator==(const task_view&, const task_view&) = default;

  TROUPE_FIELDS(task_view, id, state, attempt, failures, losses, progress_permille, worker, waited,
                ran, why);
};

/// One run without its tasks.
struct run_view {
  run_id run{};
  std::string name{};
  std::string key{};
  run_state state = run_state::waiting;
  scheduler::priority priority = scheduler::priority::medium;
  failure_policy policy = failure_policy::fail_fast;
  /// Grows with each change of a task or of the run.
  std::uint64_t revision = 0;
  std::uint32_t tasks = 0;
  /// How many tasks are in each task_state, by its number.
  std::vector<std::uint32_t> counts{};
  /// Time since it was submitted, and from its start to its end or until now.
  duration age{};
  duration ran{};
  /// Why it failed; errc::none if it did not.
  problem why{};

  friend bool operator==(const run_view&, const run_view&) = default;

  TROUPE_FIELDS(run_view, run, name, key, state, priority, policy, revision, tasks, counts, age,
                ran, why);
};

/// One run and a page of its tasks.
struct run_details {
  run_view run{};
  std::vector<task_view> tasks{};

  friend bool operator==(const run_details&, const run_details&) = default;

  TROUPE_FIELDS(run_details, run, tasks);
};

/// Asks for a run and its tasks from number `first` on, at most `limit` of them.
struct find_run {
  using result = run_details;

  run_id run{};
  std::uint32_t first = 0;
  std::uint32_t limit = 1'000;

  TROUPE_FIELDS(find_run, run, first, limit);
};

struct run_list {
  std::vector<run_view> runs{};

  friend bool operator==(const run_list&, const run_list&) = default;

  TROUPE_FIELDS(run_list, runs);
};

/// Asks for at most `limit` runs with ids above `after`, in order; only those in `state` if
/// given.
struct list_runs {
  using result = run_list;

  run_id after{};
  std::uint32_t limit = 1'000;
  std::optional<run_state> state{};

  TROUPE_FIELDS(list_runs, after, limit, state);
};

/// How a task ended, with its result if it completed.
struct task_result {
  task_state state = task_state::pending;
  std::uint32_t attempt = 0;
  std::string value{};
  problem why{};

  friend bool operator==(const task_result&, const task_result&) = default;

  TROUPE_FIELDS(task_result, state, attempt, value, why);
};

/// Asks for the result of task number `task`.
struct find_result {
  using result = task_result;

  run_id run{};
  std::uint32_t task = 0;

  TROUPE_FIELDS(find_result, run, task);
};

/// A task of a run changed.
struct task_change {
  std::uint64_t revision = 0;
  std::uint32_t task = 0;
  task_state state = task_state::pending;
  std::uint32_t attempt = 0;
  worker_id worker{};
  std::uint16_t progress_permille = 0;

  friend bool operator==(const task_change&, const task_change&) = default;

  TROUPE_FIELDS(task_change, revision, task, state, attempt, worker, progress_permille);
};

/// News of a run: either all states by position of the task (`complete`), or the changes in
/// order without a gap.
struct run_news {
  run_view run{};
  /// The `after` of the next question.
  std::uint64_t revision = 0;
  bool complete = false;
  std::vector<task_state> states{};
  std::vector<task_change> changes{};

  friend bool operator==(const run_news&, const run_news&) = default;

  TROUPE_FIELDS(run_news, run, revision, complete, states, changes);
};

/// Asks for the changes of a run after revision `after`. All states come instead if that is
/// zero or too old. Waits up to `wait` for news; returns at most `limit` changes.
struct watch_run {
  using result = run_news;

  run_id run{};
  std::uint64_t after = 0;
  duration wait{};
  std::uint32_t limit = 1'000;

  TROUPE_FIELDS(watch_run, run, after, wait, limit);
};

/// State of a schedule.
struct schedule_view {
  std::string name{};
  std::string cron{};
  /// Next start; unknown until the host has told the wall time.
  std::optional<wall_time> next{};
  /// Zero if it has started no run.
  run_id last_run{};
  std::uint64_t started = 0;
  /// Starts skipped because the previous run had not ended.
  std::uint64_t skipped = 0;
  /// Starts that were refused; `why` is the reason of the last refusal.
  std::uint64_t refused = 0;
  problem why{};

  friend bool operator==(const schedule_view&, const schedule_view&) = default;

  TROUPE_FIELDS(schedule_view, name, cron, next, last_run, started, skipped, refused, why);
};

struct schedule_list {
  std::vector<schedule_view> schedules{};

  friend bool operator==(const schedule_list&, const schedule_list&) = default;

  TROUPE_FIELDS(schedule_list, schedules);
};

/// Asks for at most `limit` schedules whose names sort after `after`.
struct list_schedules {
  using result = schedule_list;

  std::string after{};
  std::uint32_t limit = 1'000;

  TROUPE_FIELDS(list_schedules, after, limit);
};

// -- the whole -----------------------------------------------------------------------

struct worker_view {
  worker_id worker{};
  std::string name{};
  owner_id owner{};
  std::uint64_t boot = 0;
  worker_state state = worker_state::active;
  resources capacity{};
  resources used{};
  std::vector<std::string> handlers{};
  std::vector<std::string> groups{};
  scheduler::labels labels{};
  /// Open attempts, and how many of them it has been told to cancel.
  std::uint32_t attempts = 0;
  std::uint32_t cancelled = 0;
  /// Time left of its lease by records alone; check_in prolongs the lease without a record. Zero
  /// if the worker is silent.
  duration lease_left{};

  friend bool operator==(const worker_view&, const worker_view&) = default;

  TROUPE_FIELDS(worker_view, worker, name, owner, boot, state, capacity, used, handlers, groups,
                labels, attempts, cancelled, lease_left);
};

struct worker_list {
  std::vector<worker_view> workers{};

  friend bool operator==(const worker_list&, const worker_list&) = default;

  TROUPE_FIELDS(worker_list, workers);
};

/// Asks for at most `limit` workers with ids above `after`, in order.
struct list_workers {
  using result = worker_list;

  worker_id after{};
  std::uint32_t limit = 1'000;

  TROUPE_FIELDS(list_workers, after, limit);
};

/// Statistics of the tasks of one priority.
struct queue_statistics {
  /// Ready right now.
  std::uint64_t length = 0;
  /// Attempts started so far, and how long their tasks had waited.
  std::uint64_t started = 0;
  duration waited_total{};
  duration waited_longest{};

  friend bool operator==(const queue_statistics&, const queue_statistics&) = default;

  TROUPE_FIELDS(queue_statistics, length, started, waited_total, waited_longest);
};

struct scheduler_statistics {
  std::uint64_t runs_live = 0;
  std::uint64_t runs_finished = 0;
  std::uint64_t runs_submitted = 0;
  std::uint64_t workers = 0;
  /// Tasks of live runs, indexed by task_state.
  std::vector<std::uint64_t> tasks{};
  /// Indexed by priority.
  std::vector<queue_statistics> queues{};
  /// Ready tasks that no registered worker can run.
  std::uint64_t unplaceable = 0;
  /// Attempts by how they ended, since the journal was created.
  std::uint64_t attempts = 0;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t busy = 0;
  std::uint64_t lost = 0;
  std::uint64_t stale_outcomes = 0;
  /// Bytes of all kept runs.
  std::uint64_t bytes = 0;

  friend bool operator==(const scheduler_statistics&, const scheduler_statistics&) = default;

  TROUPE_FIELDS(scheduler_statistics, runs_live, runs_finished, runs_submitted, workers, tasks,
                queues, unplaceable, attempts, completed, failed, timed_out, busy, lost,
                stale_outcomes, bytes);
};

struct find_statistics {
  using result = scheduler_statistics;

  TROUPE_FIELDS(find_statistics);
};

} // namespace troupe::scheduler
