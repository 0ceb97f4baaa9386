#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/json_text.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/client.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/scheduler/submission.hpp"
#include "troupe/workflow/dag.hpp"

namespace troupe::scheduler {

/// Called with each change of a run, and with the error while its state cannot be read.
using run_observer = std::function<void(const result<run_view>&)>;

/// Handle of one run of a workflow. Copies refer to the same run. Thread-safe. Calls block: do not
/// use it inside an actor. Errors: those of host::client, and not_found if the scheduler no longer
/// keeps the run (see scheduler_options::max_finished_runs).
class workflow_run {
public:
  [[nodiscard]] TROUPE_COMPILED run_id id() const;

  /// Whether its key was used before: this is the earlier run, and nothing was submitted.
  [[nodiscard]] TROUPE_COMPILED bool repeated() const;

  /// Waits until the run has ended and returns its final state; run_view::why has the reason if it
  /// did not complete. Calls `tell` on this thread with each change. Keeps waiting while the
  /// cluster gives no answer. Errors: timed_out (it has not ended within `within`; wait again, or
  /// cancel it), conflict (the run of this number is another one: the nodes that answer are another
  /// cluster).
  TROUPE_COMPILED troupe::result<run_view> wait(const run_observer& tell = {},
                                                std::optional<duration> within = std::nullopt);

  /// Its state now.
  TROUPE_COMPILED troupe::result<run_view> look();

  /// The states of its tasks, in the order of the workflow. Cost: one question for 1,000 tasks.
  TROUPE_COMPILED troupe::result<std::vector<task_view>> tasks();

  /// The result of the task `id`, as text, or read from JSON as a T; for that include
  /// troupe/core/json.hpp. Errors: not_found (no such task), busy (it has not ended: wait() first),
  /// cancelled (it was cancelled or skipped), bad_argument (its text cannot be read as a T), or the
  /// error of the task itself.
  template <class T = std::string>
  troupe::result<T> result(const std::string& id) {
    auto text = text_of(id);
    if (!text)
      return std::move(text).error();
    return from_text_of<T>(*text).transform_error([&](const problem& why) {
      return problem{why.code, "the result of task " + id + ": " + why.detail};
    });
  }

  /// Ends it: tasks that have not ended are cancelled. No effect on a run that has ended.
  TROUPE_COMPILED troupe::result<run_state> cancel();

  /// Starts no new tasks; running ones continue. No effect on a run that is paused or has ended.
  TROUPE_COMPILED troupe::result<run_state> pause();

  TROUPE_COMPILED troupe::result<run_state> resume();

private:
  friend class workflow_client;

  struct inside;

  TROUPE_COMPILED explicit workflow_run(std::shared_ptr<inside> made);

  TROUPE_COMPILED troupe::result<std::string> text_of(const std::string& id);

  std::shared_ptr<inside> inside_;
};

/// Client of one scheduler, local or on another node. Copies share a session. Thread-safe. Calls
/// block: do not use it inside an actor. Errors: those of task_scheduler::step and of
/// host::client.
class workflow_client {
public:
  static constexpr duration default_wait = std::chrono::seconds{10};

  /// Each call waits up to `wait` for its answer.
  TROUPE_COMPILED explicit workflow_client(host::client<scheduler_protocol> service,
                                           duration wait = default_wait);

  TROUPE_COMPILED workflow_client(caf::actor_system& sys, const scheduler_actor& service,
                                  duration wait = default_wait);

  /// Submits `flow`. The run continues without this client. With a key, a repeated call, as after
  /// outcome_unknown, returns the same run.
  TROUPE_COMPILED result<workflow_run> submit(const workflow::dag& flow,
                                              const submission_options& how = {});

  TROUPE_COMPILED result<workflow_run> submit(const scheduler::submit& what);

  /// Handle of a run that was submitted before, by this client or another.
  [[nodiscard]] TROUPE_COMPILED workflow_run run(run_id which) const;

  /// The same run, accessed through this client from now on. It keeps what the handle knows of it.
  [[nodiscard]] TROUPE_COMPILED workflow_run run(const workflow_run& which) const;

  /// All runs that the scheduler keeps, oldest first; only those in `state` if given. Cost: one
  /// question for 1,000 runs.
  TROUPE_COMPILED result<std::vector<run_view>> runs(std::optional<run_state> state = std::nullopt);

  /// Runs `flow` at the times of `cron` (UTC, see cron_expression). Replaces the schedule of that
  /// name, if there is one. `how` must have neither key nor delay.
  TROUPE_COMPILED result<schedule_receipt> schedule(const std::string& name,
                                                    const std::string& cron,
                                                    const workflow::dag& flow,
                                                    const submission_options& how = {});

  /// Removes a schedule. Runs that it started continue.
  TROUPE_COMPILED result<schedule_receipt> unschedule(const std::string& name);

  [[nodiscard]] host::client<scheduler_protocol>& service() {
    return service_;
  }

private:
  host::client<scheduler_protocol> service_;
  duration wait_;
};

} // namespace troupe::scheduler

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/scheduler/impl/workflow_client.ipp"
#endif
