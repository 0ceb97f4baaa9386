#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "troupe/core/answers.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/owner_id.hpp"
#include "troupe/scheduler/types.hpp"

/// Commands to a task_scheduler, and their results.
namespace troupe::scheduler {

// -- workflows ---------------------------------------------------------------------

struct run_receipt {
  run_id run{};
  run_state state = run_state::running;
  /// The key was used before, and this is the run that it started.
  bool repeated = false;

  friend bool operator==(const run_receipt&, const run_receipt&) = default;

  TROUPE_FIELDS(run_receipt, run, state, repeated);
};

/// Starts a workflow. A single task is a workflow with one task.
struct submit {
  using result = run_receipt;

  /// For people; at most 255 bytes.
  std::string name{};
  std::vector<task_spec> tasks{};
  /// Idempotency key, at most 255 bytes: a second submission with it returns the first run, as
  /// long as that is kept. Empty: no key.
  std::string key{};
  scheduler::priority priority = scheduler::priority::medium;
  failure_policy policy = failure_policy::fail_fast;
  retry_policy retry{};
  /// Starts this long after the submission.
  duration delay{};
  /// Starts at this wall time, or at once if it has passed. Not together with `delay`.
  std::optional<wall_time> start_at{};

  friend bool operator==(const submit&, const submit&) = default;

  TROUPE_FIELDS(submit, name, tasks, key, priority, policy, retry, delay, start_at);
};

/// Ends a run: tasks that have not ended are cancelled, and their later results refused.
/// Idempotent; no effect on a run that has ended.
struct cancel_run {
  using result = run_receipt;

  run_id run{};

  TROUPE_FIELDS(cancel_run, run);
};

/// Starts no new tasks; running ones continue. Idempotent; no effect on a run that has ended.
struct pause_run {
  using result = run_receipt;

  run_id run{};

  TROUPE_FIELDS(pause_run, run);
};

/// Ends a pause. No effect on a run that is not paused.
struct resume_run {
  using result = run_receipt;

  run_id run{};

  TROUPE_FIELDS(resume_run, run);
};

// -- by the calendar ---------------------------------------------------------------

struct schedule_receipt {
  std::string name;
  /// There was a schedule of that name.
  bool replaced = false;

  friend bool operator==(const schedule_receipt&, const schedule_receipt&) = default;

  TROUPE_FIELDS(schedule_receipt, name, replaced);
};

/// Starts a workflow repeatedly. If it was due several times while no host ran, it runs once
/// for all of them. Its runs have keys of the form NAME@2026-11-20T03:00Z.
struct define_schedule {
  using result = schedule_receipt;

  /// Unique: a new definition of that name replaces the old one. 1 to 200 bytes.
  std::string name;
  /// When it starts, in UTC: see cron_expression.
  std::string cron;
  /// What it starts; must have no key, delay or start_at.
  submit what;
  /// Starts a run even while the previous one has not ended; otherwise that start is skipped.
  bool overlap = false;

  friend bool operator==(const define_schedule&, const define_schedule&) = default;

  TROUPE_FIELDS(define_schedule, name, cron, what, overlap);
};

/// Removes a schedule. Runs that it started continue.
struct remove_schedule {
  using result = schedule_receipt;

  std::string name;

  TROUPE_FIELDS(remove_schedule, name);
};

// -- workers -----------------------------------------------------------------------

struct worker_receipt {
  worker_id worker{};
  worker_state state = worker_state::active;
  /// Counts from now; renew it after a third at the latest.
  duration lease{};

  friend bool operator==(const worker_receipt&, const worker_receipt&) = default;

  TROUPE_FIELDS(worker_receipt, worker, state, lease);
};

/// Registers a worker. A repeat with the same boot updates what it offers. A higher boot
/// means that the earlier boots are dead: their tasks run again.
struct register_worker {
  using result = worker_receipt;

  /// Unique at its owner; 1 to 255 bytes.
  std::string name{};
  /// The node it runs on, or another program; at most 255 bytes.
  owner_id owner{};
  /// Counts the starts of the owner.
  std::uint64_t boot = 0;
  resources capacity{};
  /// A name that ends with ':' offers all handlers that begin with it.
  std::vector<std::string> handlers{};
  /// It runs tasks of these groups. If there are none, it runs tasks that name no group.
  std::vector<std::string> groups{};
  scheduler::labels labels{};
  /// It gets no tasks until set_maintenance ends that. False does not end a maintenance that
  /// was set.
  bool maintenance = false;

  friend bool operator==(const register_worker&, const register_worker&) = default;

  [[nodiscard]] bool speaks_only_for(const std::string& node) const {
    return may_speak_for(owner, node);
  }

  TROUPE_FIELDS(register_worker, name, owner, boot, capacity, handlers, groups, labels,
                maintenance);
};

/// Returns whether a worker with these handlers can run a task for `name`.
inline bool offers(const std::vector<std::string>& handlers, const std::string& name) {
  auto family = name.substr(0, name.find(':') + 1); // empty if there is no ':'
  return std::ranges::any_of(
    handlers, [&](auto& each) { return each == name || (!family.empty() && each == family); });
}

/// A worker's sign of life, written as a record; check_in is one without a record. `open` are the
/// attempts that the worker runs, and those whose outcome it could not yet report. Attempts of
/// orders up to `seen` that are not in `open` are lost and run again. With `seen` zero, no attempt
/// is taken for lost.
struct renew_worker {
  using result = worker_receipt;

  worker_id worker{};
  std::uint64_t boot = 0;
  std::uint64_t seen = 0;
  std::vector<attempt_id> open{};

  TROUPE_FIELDS(renew_worker, worker, boot, seen, open);
};

/// Gives the worker no new tasks, and forgets it when it has reported all its attempts.
struct deregister_worker {
  using result = worker_receipt;

  worker_id worker{};
  std::uint64_t boot = 0;

  TROUPE_FIELDS(deregister_worker, worker, boot);
};

/// Starts or ends maintenance, in which the worker gets no new tasks and running ones continue.
/// Lasts as long as the registration: a worker with a higher boot has to set it again.
struct set_maintenance {
  using result = worker_receipt;

  worker_id worker{};
  bool on = true;

  TROUPE_FIELDS(set_maintenance, worker, on);
};

struct loss_receipt {
  std::uint32_t workers = 0;
  /// Attempts that were lost with them.
  std::uint32_t attempts = 0;

  friend bool operator==(const loss_receipt&, const loss_receipt&) = default;

  TROUPE_FIELDS(loss_receipt, workers, attempts);
};

/// Says that process `boot` of `owner` and all earlier ones have ended: their workers are
/// forgotten, and the tasks of these run again.
struct worker_lost {
  using result = loss_receipt;

  owner_id owner{};
  std::uint64_t boot = 0;
  /// Only the worker of this name, if given.
  std::string name{};

  [[nodiscard]] bool speaks_only_for(const std::string& node) const {
    return may_speak_for(owner, node);
  }

  TROUPE_FIELDS(worker_lost, owner, boot, name);
};

enum class outcome_kind : std::uint8_t {
  completed = 0,
  failed = 1,
  /// The worker has no room for it. Does not count as an attempt.
  busy = 2,
  /// Ended without an outcome: the attempt was cancelled, or never began.
  stopped = 3,
  /// The attempt goes on; see outcome::permille.
  progress = 4,
};

inline constexpr std::array<std::string_view, 5> outcome_kind_names{"completed", "failed", "busy",
                                                                    "stopped", "progress"};

constexpr std::string_view name_of(outcome_kind kind) {
  return detail::name_in(outcome_kind_names, kind);
}

/// Returns whether a retry may succeed after an attempt that ended with `code`.
constexpr bool may_pass(errc code) {
  switch (code) {
    case errc::bad_argument:
    case errc::too_large:
    case errc::not_found:
    case errc::incompatible:
    case errc::cancelled:
      return false;
    case errc::none:
    case errc::limit_reached:
    case errc::timed_out:
    case errc::lock_held:
    case errc::stale_token:
    case errc::withdrawn:
    case errc::session_expired:
    case errc::storage_full:
    case errc::damaged:
    case errc::outcome_unknown:
    case errc::busy:
    case errc::name_taken:
    case errc::unreachable:
    case errc::failed:
    case errc::in_use:
    case errc::conflict:
    case errc::not_leader:
    case errc::no_quorum:
    case errc::wrong_type: // as in releases that did not know this code
    case errc::denied:
    case errc::expired:
    case errc::later:
      return true;
  }
  return true;
}

/// How an attempt ended, or how far it is.
struct outcome {
  attempt_id what{};
  outcome_kind kind = outcome_kind::completed;
  /// If completed: the result. If larger than scheduler_options::max_payload_bytes, the task
  /// fails with too_large.
  std::string value{};
  /// If failed: the reason.
  problem why{};
  /// If failed: whether a retry may succeed.
  bool retryable = false;
  /// If progress: how much is done, 0 to 1000.
  std::uint16_t permille = 0;

  friend bool operator==(const outcome&, const outcome&) = default;

  TROUPE_FIELDS(outcome, what, kind, value, why, retryable, permille);
};

/// An outcome that came too late or was never asked for. The worker drops it.
struct stale_outcome {
  attempt_id what{};

  friend bool operator==(const stale_outcome&, const stale_outcome&) = default;

  TROUPE_FIELDS(stale_outcome, what);
};

struct report_receipt {
  std::uint32_t taken = 0;
  std::vector<stale_outcome> stale{};

  friend bool operator==(const report_receipt&, const report_receipt&) = default;

  TROUPE_FIELDS(report_receipt, taken, stale);
};

/// A worker's outcomes, in order. Renews its lease. Each outcome is taken or stale; an attempt
/// that ended is done with either way, and its capacity is free.
struct report {
  using result = report_receipt;

  worker_id worker{};
  std::uint64_t boot = 0;
  std::vector<outcome> outcomes{};

  TROUPE_FIELDS(report, worker, boot, outcomes);
};

// -- events ------------------------------------------------------------------------

/// Sent by the host, before anything else and at every start. The options apply from then on, also
/// to tasks that wait already. A lower limit ends no run and removes no worker.
struct configure {
  scheduler_options options{};

  TROUPE_FIELDS(configure, options);
};

using event = std::variant<configure, submit, cancel_run, pause_run, resume_run, register_worker,
                           renew_worker, deregister_worker, set_maintenance, worker_lost, report,
                           define_schedule, remove_schedule, wall, silence>;

// -- effects: answers, each with the id of its request ---------------------------------

using troupe::answered;
using troupe::refused;

using effect = std::variant<answered<run_receipt>, answered<worker_receipt>, answered<loss_receipt>,
                            answered<report_receipt>, refused, answered<schedule_receipt>>;

using effects = std::vector<effect>;

} // namespace troupe::scheduler
