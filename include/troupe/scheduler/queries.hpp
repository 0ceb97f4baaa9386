#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/types.hpp"

/// What anybody may look at. Answers are as of the last record; spans count back
/// from it, as moments of a journal mean nothing elsewhere.
namespace troupe::scheduler {

// -- for workers ---------------------------------------------------------------------

/// The result of a parent, for the task that needs it.
struct parent_result {
  std::string id{};
  std::string value{};

  friend bool operator==(const parent_result&, const parent_result&) = default;
};

/// An attempt that the worker has to make.
struct assignment {
  attempt_id what{};
  /// The id of the task in its workflow, for people.
  std::string task{};
  std::string handler{};
  std::string input{};
  /// In the order of task_spec::parents.
  std::vector<parent_result> parents{};
  resources needs{};
  /// What is left of the attempt's time; zero is no limit.
  duration timeout{};

  friend bool operator==(const assignment&, const assignment&) = default;
};

/// What is new for a worker behind `after`. All that is not over comes again with
/// `after` zero, so nothing is lost with a link; an attempt that the worker knows
/// already is to be ignored. An attempt to be cancelled stays named until its end is
/// reported, also if it never began.
struct worker_orders {
  worker_state state = worker_state::active;
  /// `after` of the next question.
  std::uint64_t sequence = 0;
  std::vector<assignment> assignments{};
  std::vector<attempt_id> cancellations{};

  friend bool operator==(const worker_orders&, const worker_orders&) = default;
};

/// Asks for the orders of a worker. Waits up to `wait` for news; at most `limit`
/// items, and so many that their bytes stay below
/// scheduler_options::max_assignment_bytes, or one.
struct watch_assignments {
  using result = worker_orders;

  worker_id worker{};
  std::uint64_t boot = 0;
  std::uint64_t after = 0;
  duration wait{};
  std::uint32_t limit = 1'000;
};

/// Says that the worker is there, as renew_worker does, and costs no record. Refused with conflict
/// where the scheduler has other attempts in its books, or has given the worker up: it has to
/// renew, then.
struct check_in {
  using result = worker_receipt;

  worker_id worker{};
  std::uint64_t boot = 0;
  std::uint64_t seen = 0;
  std::vector<attempt_id> open{};
};

// -- runs ----------------------------------------------------------------------------

/// How a task stands. Without its result: ask find_result.
struct task_view {
  std::string id{};
  task_state state = task_state::pending;
  std::uint32_t attempt = 0;
  std::uint32_t failures = 0;
  std::uint32_t losses = 0;
  std::uint16_t progress_permille = 0;
  /// Where its last attempt ran.
  worker_id worker{};
  /// From ready to running, and from there to the end or until now.
  duration waited{};
  duration ran{};
  /// Why it failed, ended, or waits. None if there is nothing to say.
  problem why{};

  friend bool operator==(const task_view&, const task_view&) = default;
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
  /// Since it was submitted; from its start to its end or until now.
  duration age{};
  duration ran{};
  /// Why it failed. None if it did not.
  problem why{};

  friend bool operator==(const run_view&, const run_view&) = default;
};

/// One run and a page of its tasks.
struct run_details {
  run_view run{};
  std::vector<task_view> tasks{};

  friend bool operator==(const run_details&, const run_details&) = default;
};

/// Asks for a run with its tasks number `first` and on, at most `limit`.
struct find_run {
  using result = run_details;

  run_id run{};
  std::uint32_t first = 0;
  std::uint32_t limit = 1'000;
};

struct run_list {
  std::vector<run_view> runs{};

  friend bool operator==(const run_list&, const run_list&) = default;
};

/// Asks for runs above `after`, by id, at most `limit`; of one state if given.
struct list_runs {
  using result = run_list;

  run_id after{};
  std::uint32_t limit = 1'000;
  std::optional<run_state> state{};
};

/// How a task ended, with its result if it completed.
struct task_result {
  task_state state = task_state::pending;
  std::uint32_t attempt = 0;
  std::string value{};
  problem why{};

  friend bool operator==(const task_result&, const task_result&) = default;
};

/// Asks for the result of task number `task`.
struct find_result {
  using result = task_result;

  run_id run{};
  std::uint32_t task = 0;
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
};

/// What is new in a run. Either all states, by position of the task, or the changes
/// in order, none missing.
struct run_news {
  run_view run{};
  /// `after` of the next question.
  std::uint64_t revision = 0;
  bool complete = false;
  std::vector<task_state> states{};
  std::vector<task_change> changes{};

  friend bool operator==(const run_news&, const run_news&) = default;
};

/// Asks for what happened in a run after revision `after`; zero, or too long ago,
/// asks for all states. Waits up to `wait` for news; at most `limit` changes.
struct watch_run {
  using result = run_news;

  run_id run{};
  std::uint64_t after = 0;
  duration wait{};
  std::uint32_t limit = 1'000;
};

/// How a schedule stands.
struct schedule_view {
  std::string name{};
  std::string cron{};
  /// Not known until the host has told the wall time.
  std::optional<wall_time> next{};
  /// Zero if none was started.
  run_id last_run{};
  std::uint64_t started = 0;
  /// Left out, as the run before was under way.
  std::uint64_t skipped = 0;
  /// Left out, as there was no room; why for the last of them.
  std::uint64_t refused = 0;
  problem why{};

  friend bool operator==(const schedule_view&, const schedule_view&) = default;
};

struct schedule_list {
  std::vector<schedule_view> schedules{};

  friend bool operator==(const schedule_list&, const schedule_list&) = default;
};

/// Asks for schedules whose names come after `after`, at most `limit`.
struct list_schedules {
  using result = schedule_list;

  std::string after{};
  std::uint32_t limit = 1'000;
};

// -- the whole -----------------------------------------------------------------------

struct worker_view {
  worker_id worker{};
  std::string name{};
  std::string owner{};
  std::uint64_t boot = 0;
  worker_state state = worker_state::active;
  resources capacity{};
  resources used{};
  std::vector<std::string> handlers{};
  std::vector<std::string> groups{};
  scheduler::labels labels{};
  /// Attempts it has, and of these the ones that it has to give up.
  std::uint32_t attempts = 0;
  std::uint32_t cancelled = 0;
  /// What is left of its lease as far as records tell: signs of life without a record prolong
  /// it. Zero if it is silent.
  duration lease_left{};

  friend bool operator==(const worker_view&, const worker_view&) = default;
};

struct worker_list {
  std::vector<worker_view> workers{};

  friend bool operator==(const worker_list&, const worker_list&) = default;
};

/// Asks for workers above `after`, by id, at most `limit`.
struct list_workers {
  using result = worker_list;

  worker_id after{};
  std::uint32_t limit = 1'000;
};

/// Of the tasks of one priority.
struct queue_statistics {
  /// Ready right now.
  std::uint64_t length = 0;
  /// Started so far, and how long they had waited.
  std::uint64_t started = 0;
  duration waited_total{};
  duration waited_longest{};

  friend bool operator==(const queue_statistics&, const queue_statistics&) = default;
};

struct scheduler_statistics {
  std::uint64_t runs_live = 0;
  std::uint64_t runs_finished = 0;
  std::uint64_t runs_submitted = 0;
  std::uint64_t workers = 0;
  /// Tasks of live runs by the number of their task_state.
  std::vector<std::uint64_t> tasks{};
  /// By the number of the priority.
  std::vector<queue_statistics> queues{};
  /// Ready tasks for which no worker is good.
  std::uint64_t unplaceable = 0;
  /// Since the journal was born: attempts by how they ended.
  std::uint64_t attempts = 0;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t busy = 0;
  std::uint64_t lost = 0;
  std::uint64_t stale_outcomes = 0;
  /// Bytes of all runs kept.
  std::uint64_t bytes = 0;

  friend bool operator==(const scheduler_statistics&, const scheduler_statistics&) = default;
};

struct find_statistics {
  using result = scheduler_statistics;
};

// -- inspection ----------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, parent_result& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("value", x.value));
}

template <class Inspector>
bool inspect(Inspector& f, assignment& x) {
  return f.object(x).fields(f.field("what", x.what), f.field("task", x.task),
                            f.field("handler", x.handler), f.field("input", x.input),
                            f.field("parents", x.parents), f.field("needs", x.needs),
                            f.field("timeout", x.timeout));
}

template <class Inspector>
bool inspect(Inspector& f, worker_orders& x) {
  return f.object(x).fields(f.field("state", x.state), f.field("sequence", x.sequence),
                            f.field("assignments", x.assignments),
                            f.field("cancellations", x.cancellations));
}

template <class Inspector>
bool inspect(Inspector& f, watch_assignments& x) {
  return f.object(x).fields(f.field("worker", x.worker), f.field("boot", x.boot),
                            f.field("after", x.after), f.field("wait", x.wait),
                            f.field("limit", x.limit));
}

template <class Inspector>
bool inspect(Inspector& f, check_in& x) {
  return f.object(x).fields(f.field("worker", x.worker), f.field("boot", x.boot),
                            f.field("seen", x.seen), f.field("open", x.open));
}

template <class Inspector>
bool inspect(Inspector& f, task_view& x) {
  return f.object(x).fields(
    f.field("id", x.id), f.field("state", x.state), f.field("attempt", x.attempt),
    f.field("failures", x.failures), f.field("losses", x.losses),
    f.field("progress_permille", x.progress_permille), f.field("worker", x.worker),
    f.field("waited", x.waited), f.field("ran", x.ran), f.field("why", x.why));
}

template <class Inspector>
bool inspect(Inspector& f, run_view& x) {
  return f.object(x).fields(f.field("run", x.run), f.field("name", x.name), f.field("key", x.key),
                            f.field("state", x.state), f.field("priority", x.priority),
                            f.field("policy", x.policy), f.field("revision", x.revision),
                            f.field("tasks", x.tasks), f.field("counts", x.counts),
                            f.field("age", x.age), f.field("ran", x.ran), f.field("why", x.why));
}

template <class Inspector>
bool inspect(Inspector& f, run_details& x) {
  return f.object(x).fields(f.field("run", x.run), f.field("tasks", x.tasks));
}

template <class Inspector>
bool inspect(Inspector& f, find_run& x) {
  return f.object(x).fields(f.field("run", x.run), f.field("first", x.first),
                            f.field("limit", x.limit));
}

template <class Inspector>
bool inspect(Inspector& f, run_list& x) {
  return f.object(x).fields(f.field("runs", x.runs));
}

template <class Inspector>
bool inspect(Inspector& f, list_runs& x) {
  return f.object(x).fields(f.field("after", x.after), f.field("limit", x.limit),
                            f.field("state", x.state));
}

template <class Inspector>
bool inspect(Inspector& f, task_result& x) {
  return f.object(x).fields(f.field("state", x.state), f.field("attempt", x.attempt),
                            f.field("value", x.value), f.field("why", x.why));
}

template <class Inspector>
bool inspect(Inspector& f, find_result& x) {
  return f.object(x).fields(f.field("run", x.run), f.field("task", x.task));
}

template <class Inspector>
bool inspect(Inspector& f, task_change& x) {
  return f.object(x).fields(f.field("revision", x.revision), f.field("task", x.task),
                            f.field("state", x.state), f.field("attempt", x.attempt),
                            f.field("worker", x.worker),
                            f.field("progress_permille", x.progress_permille));
}

template <class Inspector>
bool inspect(Inspector& f, run_news& x) {
  return f.object(x).fields(f.field("run", x.run), f.field("revision", x.revision),
                            f.field("complete", x.complete), f.field("states", x.states),
                            f.field("changes", x.changes));
}

template <class Inspector>
bool inspect(Inspector& f, watch_run& x) {
  return f.object(x).fields(f.field("run", x.run), f.field("after", x.after),
                            f.field("wait", x.wait), f.field("limit", x.limit));
}

template <class Inspector>
bool inspect(Inspector& f, schedule_view& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("cron", x.cron),
                            f.field("next", x.next), f.field("last_run", x.last_run),
                            f.field("started", x.started), f.field("skipped", x.skipped),
                            f.field("refused", x.refused), f.field("why", x.why));
}

template <class Inspector>
bool inspect(Inspector& f, schedule_list& x) {
  return f.object(x).fields(f.field("schedules", x.schedules));
}

template <class Inspector>
bool inspect(Inspector& f, list_schedules& x) {
  return f.object(x).fields(f.field("after", x.after), f.field("limit", x.limit));
}

template <class Inspector>
bool inspect(Inspector& f, worker_view& x) {
  return f.object(x).fields(
    f.field("worker", x.worker), f.field("name", x.name), f.field("owner", x.owner),
    f.field("boot", x.boot), f.field("state", x.state), f.field("capacity", x.capacity),
    f.field("used", x.used), f.field("handlers", x.handlers), f.field("groups", x.groups),
    f.field("labels", x.labels), f.field("attempts", x.attempts), f.field("cancelled", x.cancelled),
    f.field("lease_left", x.lease_left));
}

template <class Inspector>
bool inspect(Inspector& f, worker_list& x) {
  return f.object(x).fields(f.field("workers", x.workers));
}

template <class Inspector>
bool inspect(Inspector& f, list_workers& x) {
  return f.object(x).fields(f.field("after", x.after), f.field("limit", x.limit));
}

template <class Inspector>
bool inspect(Inspector& f, queue_statistics& x) {
  return f.object(x).fields(f.field("length", x.length), f.field("started", x.started),
                            f.field("waited_total", x.waited_total),
                            f.field("waited_longest", x.waited_longest));
}

template <class Inspector>
bool inspect(Inspector& f, scheduler_statistics& x) {
  return f.object(x).fields(
    f.field("runs_live", x.runs_live), f.field("runs_finished", x.runs_finished),
    f.field("runs_submitted", x.runs_submitted), f.field("workers", x.workers),
    f.field("tasks", x.tasks), f.field("queues", x.queues), f.field("unplaceable", x.unplaceable),
    f.field("attempts", x.attempts), f.field("completed", x.completed), f.field("failed", x.failed),
    f.field("timed_out", x.timed_out), f.field("busy", x.busy), f.field("lost", x.lost),
    f.field("stale_outcomes", x.stale_outcomes), f.field("bytes", x.bytes));
}

template <class Inspector>
bool inspect(Inspector& f, find_statistics& x) {
  return f.object(x).fields();
}

} // namespace troupe::scheduler
