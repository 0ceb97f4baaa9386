#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "troupe/core/random.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/queries.hpp"

/// All that a task_scheduler needs to go on elsewhere. Moments are spans from the
/// last record; what can be worked out from the rest (queues, loads) is not here.
namespace troupe::scheduler {

struct saved_task {
  task_spec spec{};
  task_state state = task_state::pending;
  std::uint32_t attempt = 0;
  std::uint32_t failures = 0;
  std::uint32_t losses = 0;
  std::uint16_t progress_permille = 0;
  std::uint32_t waits_for = 0;
  worker_id keeper{};
  worker_id worker{};
  std::uint64_t sequence = 0;
  duration since{};
  std::optional<duration> alarm{};
  duration waited{};
  duration ran{};
  bool unplaceable = false;
  std::string value{};
  problem why{};

  friend bool operator==(const saved_task&, const saved_task&) = default;
};

struct saved_run {
  run_id run{};
  std::string name{};
  std::string key{};
  run_state state = run_state::waiting;
  /// Where it goes on after a pause.
  run_state before_pause = run_state::running;
  scheduler::priority priority = scheduler::priority::medium;
  failure_policy policy = failure_policy::fail_fast;
  retry_policy retry{};
  std::vector<saved_task> tasks{};
  /// How many of the tasks were submitted; the others undo them.
  std::uint32_t submitted_tasks = 0;
  duration submitted{};
  duration started{};
  duration ended{};
  std::optional<duration> starts_in{};
  problem why{};
  std::uint64_t revision = 0;
  std::uint64_t changes_before = 0;
  std::vector<task_change> changes{};
  std::optional<wall_time> starts_on{};

  friend bool operator==(const saved_run&, const saved_run&) = default;
};

/// An attempt that is over for the scheduler, but not for the worker.
struct saved_leftover {
  attempt_id what{};
  std::uint64_t sequence = 0;
  resources needs{};

  friend bool operator==(const saved_leftover&, const saved_leftover&) = default;
};

struct saved_worker {
  worker_id worker{};
  register_worker words{};
  bool silent = false;
  bool maintenance = false;
  bool draining = false;
  std::uint64_t sequence = 0;
  duration lease_left{};
  duration paused{};
  std::vector<saved_leftover> leftovers{};

  friend bool operator==(const saved_worker&, const saved_worker&) = default;
};

struct saved_schedule {
  define_schedule words{};
  schedule_view standing{};

  friend bool operator==(const saved_schedule&, const saved_schedule&) = default;
};

struct scheduler_snapshot {
  scheduler_options options{};
  bool configured = false;
  random_source random{};
  std::uint64_t last_run = 0;
  std::uint64_t last_worker = 0;
  std::vector<saved_worker> workers{};
  std::vector<saved_run> runs{};
  /// In the order in which they ended.
  std::vector<run_id> finished{};
  scheduler_statistics statistics{};
  /// The last that was told.
  std::optional<wall_time> wall_now{};
  std::vector<saved_schedule> schedules{};
  std::uint32_t rules = 1;

  friend bool operator==(const scheduler_snapshot&, const scheduler_snapshot&) = default;
};

// -- inspection --------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, saved_task& x) {
  return f.object(x).fields(
    f.field("spec", x.spec), f.field("state", x.state), f.field("attempt", x.attempt),
    f.field("failures", x.failures), f.field("losses", x.losses),
    f.field("progress_permille", x.progress_permille), f.field("waits_for", x.waits_for),
    f.field("keeper", x.keeper), f.field("worker", x.worker), f.field("sequence", x.sequence),
    f.field("since", x.since), f.field("alarm", x.alarm), f.field("waited", x.waited),
    f.field("ran", x.ran), f.field("unplaceable", x.unplaceable), f.field("value", x.value),
    f.field("why", x.why));
}

template <class Inspector>
bool inspect(Inspector& f, saved_run& x) {
  return f.object(x).fields(
    f.field("run", x.run), f.field("name", x.name), f.field("key", x.key),
    f.field("state", x.state), f.field("before_pause", x.before_pause),
    f.field("priority", x.priority), f.field("policy", x.policy), f.field("retry", x.retry),
    f.field("tasks", x.tasks), f.field("submitted_tasks", x.submitted_tasks),
    f.field("submitted", x.submitted), f.field("started", x.started), f.field("ended", x.ended),
    f.field("starts_in", x.starts_in), f.field("why", x.why), f.field("revision", x.revision),
    f.field("changes_before", x.changes_before), f.field("changes", x.changes),
    f.field("starts_on", x.starts_on));
}

template <class Inspector>
bool inspect(Inspector& f, saved_leftover& x) {
  return f.object(x).fields(f.field("what", x.what), f.field("sequence", x.sequence),
                            f.field("needs", x.needs));
}

template <class Inspector>
bool inspect(Inspector& f, saved_worker& x) {
  return f.object(x).fields(f.field("worker", x.worker), f.field("words", x.words),
                            f.field("silent", x.silent), f.field("maintenance", x.maintenance),
                            f.field("draining", x.draining), f.field("sequence", x.sequence),
                            f.field("lease_left", x.lease_left), f.field("paused", x.paused),
                            f.field("leftovers", x.leftovers));
}

template <class Inspector>
bool inspect(Inspector& f, saved_schedule& x) {
  return f.object(x).fields(f.field("words", x.words), f.field("standing", x.standing));
}

template <class Inspector>
bool inspect(Inspector& f, scheduler_snapshot& x) {
  return f.object(x).fields(f.field("options", x.options), f.field("configured", x.configured),
                            f.field("random", x.random), f.field("last_run", x.last_run),
                            f.field("last_worker", x.last_worker), f.field("workers", x.workers),
                            f.field("runs", x.runs), f.field("finished", x.finished),
                            f.field("statistics", x.statistics), f.field("wall_now", x.wall_now),
                            f.field("schedules", x.schedules), f.field("rules", x.rules));
}

} // namespace troupe::scheduler
