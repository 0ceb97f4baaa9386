#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "troupe/core/fields.hpp"
#include "troupe/core/random.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/queries.hpp"

/// Everything a task_scheduler needs to continue elsewhere. Times are spans from the last
/// record. Queues and loads are left out, as they follow from the rest.
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

  TROUPE_FIELDS(saved_task, spec, state, attempt, failures, losses, progress_permille, waits_for,
                keeper, worker, sequence, since, alarm, waited, ran, unplaceable, value, why);
};

struct saved_run {
  run_id run{};
  std::string name{};
  std::string key{};
  run_state state = run_state::waiting;
  /// Its state after a pause.
  run_state before_pause = run_state::running;
  scheduler::priority priority = scheduler::priority::medium;
  failure_policy policy = failure_policy::fail_fast;
  retry_policy retry{};
  std::vector<saved_task> tasks{};
  /// How many of the tasks were submitted; the rest are compensations.
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

  TROUPE_FIELDS(saved_run, run, name, key, state, before_pause, priority, policy, retry, tasks,
                submitted_tasks, submitted, started, ended, starts_in, why, revision,
                changes_before, changes, starts_on);
};

/// An attempt that the scheduler has ended, and whose end the worker has not yet reported.
struct saved_leftover {
  attempt_id what{};
  std::uint64_t sequence = 0;
  resources needs{};

  friend bool operator==(const saved_leftover&, const saved_leftover&) = default;

  TROUPE_FIELDS(saved_leftover, what, sequence, needs);
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

  TROUPE_FIELDS(saved_worker, worker, words, silent, maintenance, draining, sequence, lease_left,
                paused, leftovers);
};

struct saved_schedule {
  define_schedule words{};
  schedule_view standing{};

  friend bool operator==(const saved_schedule&, const saved_schedule&) = default;

  TROUPE_FIELDS(saved_schedule, words, standing);
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
  /// The last wall time that the host told.
  std::optional<wall_time> wall_now{};
  std::vector<saved_schedule> schedules{};
  std::uint32_t rules = 1;

  friend bool operator==(const scheduler_snapshot&, const scheduler_snapshot&) = default;

  TROUPE_FIELDS(scheduler_snapshot, options, configured, random, last_run, last_worker, workers,
                runs, finished, statistics, wall_now, schedules, rules);
};

} // namespace troupe::scheduler
