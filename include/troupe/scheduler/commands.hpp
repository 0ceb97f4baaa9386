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
#include "troupe/scheduler/types.hpp"

/// What can be asked of a task_scheduler, and what it answers.
namespace troupe::scheduler {

// -- workflows ---------------------------------------------------------------------

struct run_receipt {
  run_id run{};
  run_state state = run_state::running;
  /// The key was used before: this is the run of then.
  bool repeated = false;

  friend bool operator==(const run_receipt&, const run_receipt&) = default;
};

/// Starts a workflow; one task is a workflow of one.
struct submit {
  using result = run_receipt;

  /// For people; at most 255 bytes.
  std::string name{};
  std::vector<task_spec> tasks{};
  /// A second submission with the same key is the first one, as long as its run is
  /// kept; empty is no key, at most 255 bytes.
  std::string key{};
  scheduler::priority priority = scheduler::priority::medium;
  failure_policy policy = failure_policy::fail_fast;
  retry_policy retry{};
  /// Starts so much later.
  duration delay{};
  /// Starts at this moment of the calendar, at once if it has passed. Not with `delay`.
  std::optional<wall_time> start_at{};

  friend bool operator==(const submit&, const submit&) = default;
};

/// Ends a run: what is not over is cancelled, results that come later are refused.
/// Harmless when the run is over.
struct cancel_run {
  using result = run_receipt;

  run_id run{};
};

/// Starts nothing new; what runs goes on. Harmless when paused or over.
struct pause_run {
  using result = run_receipt;

  run_id run{};
};

/// Ends a pause. Harmless without one.
struct resume_run {
  using result = run_receipt;

  run_id run{};
};

// -- by the calendar ---------------------------------------------------------------

struct schedule_receipt {
  std::string name;
  /// There was one of that name.
  bool replaced = false;

  friend bool operator==(const schedule_receipt&, const schedule_receipt&) = default;
};

/// Starts a workflow again and again. What was due while no host ran is made up for by
/// one run. Its runs have keys of the form NAME@2026-11-20T03:00Z.
struct define_schedule {
  using result = schedule_receipt;

  /// Unique; another of that name takes its place. 1 to 200 bytes.
  std::string name;
  /// When, in UTC: see cron_expression.
  std::string cron;
  /// What; without a key, delay or start of its own.
  submit what;
  /// Starts the next run even while the one before is under way; else it is left out.
  bool overlap = false;

  friend bool operator==(const define_schedule&, const define_schedule&) = default;
};

/// Starts nothing more. Runs that were started go on.
struct remove_schedule {
  using result = schedule_receipt;

  std::string name;
};

// -- workers -----------------------------------------------------------------------

struct worker_receipt {
  worker_id worker{};
  worker_state state = worker_state::active;
  /// From now on; renew at the latest after a third of it.
  duration lease{};

  friend bool operator==(const worker_receipt&, const worker_receipt&) = default;
};

/// Offers a worker. A repeat with the same boot brings its words up to date. A
/// higher boot says that the earlier ones are dead: their tasks run again.
struct register_worker {
  using result = worker_receipt;

  /// Unique at its owner; 1 to 255 bytes.
  std::string name{};
  /// The node it runs on; at most 255 bytes.
  std::string owner{};
  /// Counts the starts of the owner.
  std::uint64_t boot = 0;
  resources capacity{};
  /// One that ends with ':' stands for all names that begin with it.
  std::vector<std::string> handlers{};
  /// At least one of them; none is the group of those that name none.
  std::vector<std::string> groups{};
  scheduler::labels labels{};
  /// Gets nothing until set_maintenance says otherwise. A repeat without it leaves what is set.
  bool maintenance = false;

  friend bool operator==(const register_worker&, const register_worker&) = default;
};

/// Returns whether a worker with these handlers can run a task for `name`.
inline bool offers(const std::vector<std::string>& handlers, const std::string& name) {
  auto family = name.substr(0, name.find(':') + 1); // empty if there is no ':'
  return std::ranges::any_of(
    handlers, [&](auto& each) { return each == name || (!family.empty() && each == family); });
}

/// Says that the worker is there, in a record; check_in says it without. `open` are the attempts
/// that it runs or whose outcome it has not got through; what it was told up to `seen` and does not
/// name is lost and runs again. Without `seen` nothing is concluded.
struct renew_worker {
  using result = worker_receipt;

  worker_id worker{};
  std::uint64_t boot = 0;
  std::uint64_t seen = 0;
  std::vector<attempt_id> open{};
};

/// Gives the worker nothing new and forgets it when it has reported all it has.
struct deregister_worker {
  using result = worker_receipt;

  worker_id worker{};
  std::uint64_t boot = 0;
};

/// Starts or ends a time in which the worker gets nothing new. What it runs goes on. Lasts as long
/// as the registration: a higher boot says it anew.
struct set_maintenance {
  using result = worker_receipt;

  worker_id worker{};
  bool on = true;
};

struct loss_receipt {
  std::uint32_t workers = 0;
  /// Attempts that ended with them.
  std::uint32_t attempts = 0;

  friend bool operator==(const loss_receipt&, const loss_receipt&) = default;
};

/// Says that the process `boot` of `owner`, and all before, is gone for good: its
/// workers are forgotten, their tasks run again.
struct worker_lost {
  using result = loss_receipt;

  std::string owner{};
  std::uint64_t boot = 0;
  /// Only the worker of this name, if given.
  std::string name{};
};

enum class outcome_kind : std::uint8_t {
  completed = 0,
  failed = 1,
  /// The worker has no room by its own books; costs no attempt.
  busy = 2,
  /// Ended without an outcome: it was cancelled, or never began.
  stopped = 3,
  /// Not an end: how far it is.
  progress = 4,
};

inline constexpr std::array<std::string_view, 5> outcome_kind_names{"completed", "failed", "busy",
                                                                    "stopped", "progress"};

constexpr std::string_view name_of(outcome_kind kind) {
  return detail::name_in(outcome_kind_names, kind);
}

/// Returns whether another attempt may do better than one that ended with `code`.
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
      return true;
  }
  return true;
}

/// What became of an attempt.
struct outcome {
  attempt_id what{};
  outcome_kind kind = outcome_kind::completed;
  /// If completed. At most scheduler_options::max_payload_bytes, else the task has
  /// failed with too_large.
  std::string value{};
  /// If failed.
  problem why{};
  /// Whether another attempt may do better.
  bool retryable = false;
  /// If progress.
  std::uint16_t permille = 0;

  friend bool operator==(const outcome&, const outcome&) = default;
};

/// An outcome that came too late or was never asked for. Forget it.
struct stale_outcome {
  attempt_id what{};

  friend bool operator==(const stale_outcome&, const stale_outcome&) = default;
};

struct report_receipt {
  std::uint32_t taken = 0;
  std::vector<stale_outcome> stale{};

  friend bool operator==(const report_receipt&, const report_receipt&) = default;
};

/// A worker's outcomes, in order. Renews its lease. Each is taken or stale; the
/// capacity of either is free from here on.
struct report {
  using result = report_receipt;

  worker_id worker{};
  std::uint64_t boot = 0;
  std::vector<outcome> outcomes{};
};

// -- events ------------------------------------------------------------------------

/// Entered by the host, first of all and at every start: options for what comes.
/// Takes nothing back.
struct configure {
  scheduler_options options{};
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

// -- inspection --------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, run_receipt& x) {
  return f.object(x).fields(f.field("run", x.run), f.field("state", x.state),
                            f.field("repeated", x.repeated));
}

template <class Inspector>
bool inspect(Inspector& f, submit& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("tasks", x.tasks),
                            f.field("key", x.key), f.field("priority", x.priority),
                            f.field("policy", x.policy), f.field("retry", x.retry),
                            f.field("delay", x.delay), f.field("start_at", x.start_at));
}

template <class Inspector>
bool inspect(Inspector& f, schedule_receipt& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("replaced", x.replaced));
}

template <class Inspector>
bool inspect(Inspector& f, define_schedule& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("cron", x.cron),
                            f.field("what", x.what), f.field("overlap", x.overlap));
}

template <class Inspector>
bool inspect(Inspector& f, remove_schedule& x) {
  return f.object(x).fields(f.field("name", x.name));
}

template <class Inspector>
bool inspect(Inspector& f, cancel_run& x) {
  return f.object(x).fields(f.field("run", x.run));
}

template <class Inspector>
bool inspect(Inspector& f, pause_run& x) {
  return f.object(x).fields(f.field("run", x.run));
}

template <class Inspector>
bool inspect(Inspector& f, resume_run& x) {
  return f.object(x).fields(f.field("run", x.run));
}

template <class Inspector>
bool inspect(Inspector& f, worker_receipt& x) {
  return f.object(x).fields(f.field("worker", x.worker), f.field("state", x.state),
                            f.field("lease", x.lease));
}

template <class Inspector>
bool inspect(Inspector& f, register_worker& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("owner", x.owner),
                            f.field("boot", x.boot), f.field("capacity", x.capacity),
                            f.field("handlers", x.handlers), f.field("groups", x.groups),
                            f.field("labels", x.labels), f.field("maintenance", x.maintenance));
}

template <class Inspector>
bool inspect(Inspector& f, renew_worker& x) {
  return f.object(x).fields(f.field("worker", x.worker), f.field("boot", x.boot),
                            f.field("seen", x.seen), f.field("open", x.open));
}

template <class Inspector>
bool inspect(Inspector& f, deregister_worker& x) {
  return f.object(x).fields(f.field("worker", x.worker), f.field("boot", x.boot));
}

template <class Inspector>
bool inspect(Inspector& f, set_maintenance& x) {
  return f.object(x).fields(f.field("worker", x.worker), f.field("on", x.on));
}

template <class Inspector>
bool inspect(Inspector& f, loss_receipt& x) {
  return f.object(x).fields(f.field("workers", x.workers), f.field("attempts", x.attempts));
}

template <class Inspector>
bool inspect(Inspector& f, worker_lost& x) {
  return f.object(x).fields(f.field("owner", x.owner), f.field("boot", x.boot),
                            f.field("name", x.name));
}

template <class Inspector>
bool inspect(Inspector& f, outcome& x) {
  return f.object(x).fields(f.field("what", x.what), f.field("kind", x.kind),
                            f.field("value", x.value), f.field("why", x.why),
                            f.field("retryable", x.retryable), f.field("permille", x.permille));
}

template <class Inspector>
bool inspect(Inspector& f, stale_outcome& x) {
  return f.object(x).fields(f.field("what", x.what));
}

template <class Inspector>
bool inspect(Inspector& f, report_receipt& x) {
  return f.object(x).fields(f.field("taken", x.taken), f.field("stale", x.stale));
}

template <class Inspector>
bool inspect(Inspector& f, report& x) {
  return f.object(x).fields(f.field("worker", x.worker), f.field("boot", x.boot),
                            f.field("outcomes", x.outcomes));
}

template <class Inspector>
bool inspect(Inspector& f, configure& x) {
  return f.object(x).fields(f.field("options", x.options));
}

} // namespace troupe::scheduler
