#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/owner_id.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/client.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/scheduler/task_call.hpp"

namespace troupe::scheduler {

/// What a worker offers.
struct worker_options {
  /// Unique on its node.
  std::string name = "worker";
  /// Slots are the tasks that run at once. The worker has that many threads for blocking handlers,
  /// at most 1,024.
  resources capacity{0, 0, 0, 4};
  /// The worker runs tasks of these groups. If there are none, it runs tasks that name no group.
  std::vector<std::string> groups{};
  /// A task with labels runs here only if all its labels are among these.
  scheduler::labels labels{};
};

/// Returns why every scheduler would refuse such a worker, errc::none if it is valid. A refused
/// worker keeps retrying; see worker_reports.
TROUPE_COMPILED problem check(const worker_options& what);

/// Callbacks of a worker to its process. Called on an actor; must not block.
struct worker_reports {
  /// The scheduler's answer to each registration: errc::none, or why it refused the worker
  /// (bad_argument, limit_reached, conflict). Not called while no scheduler can be reached.
  std::function<void(const problem&)> registered = [](const problem&) {};
};

/// The functions that a worker offers, by name. One whose name ends with ':' gets the tasks of
/// all names with that prefix, unless another one that was added in the same way has the full
/// name. Those of handle_async() come before those of handle(). "sleep" is built in.
class task_handlers {
public:
  /// Offers the function `what` as `name`. It runs in threads of the worker, several at once. It
  /// takes a `const task_call&`, the task's input, or both, and returns the task's result as a T, a
  /// result<T>, or nothing. Text is passed unchanged; any other type with an `inspect` as JSON, for
  /// which troupe/core/json.hpp must be included. An input that cannot be read as its type fails
  /// the task with bad_argument.
  ///
  ///     handlers.handle("square", [](double side) { return side * side; });
  template <class F>
  requires troupe::detail::plainly_callable<F> task_handlers& handle(std::string name, F what) {
    return handle(
      std::move(name),
      detail::typed_handler(std::move(what), typename troupe::detail::plain_call<F>::takes{}));
  }

  task_handlers& handle(std::string name, blocking_handler what) {
    blocking_.insert_or_assign(std::move(name), std::move(what));
    return *this;
  }

  /// Offers `what` as `name`, called on the worker's actor.
  task_handlers& handle_async(std::string name, task_handler what) {
    async_.insert_or_assign(std::move(name), std::move(what));
    return *this;
  }

  [[nodiscard]] const std::map<std::string, blocking_handler>& blocking() const {
    return blocking_;
  }

  [[nodiscard]] const std::map<std::string, task_handler>& async() const {
    return async_;
  }

private:
  std::map<std::string, blocking_handler> blocking_;
  std::map<std::string, task_handler> async_;
};

/// The handler that does nothing for the seconds in its input ("1.5").
inline constexpr const char* sleep_handler = "sleep";

/// Reads a duration in seconds ("1.5", at most 1e9), as the input of sleep_handler. Errors:
/// bad_argument.
TROUPE_COMPILED result<duration> span_from_seconds(const std::string& text);

/// Runs tasks in this process for one scheduler until it is destroyed. Continues through lost
/// links and restarts of the scheduler. If it cannot renew its lease in time, it cancels its tasks,
/// because other workers run them then. Thread-safe. Ends with its client, as where its node stops
/// or leaves: its tasks are cancelled, and drain() returns false. Must be destroyed before its
/// actor_system, unless its client was closed before, as those of a node are.
class worker {
public:
  /// `owner` and `boot` identify this process; one that is no node gives a name, as owner_id{"a"}.
  /// `in_maintenance` is called on an actor at each registration: if it returns true, the worker
  /// gets no tasks; see set_maintenance.
  TROUPE_COMPILED worker(
    caf::actor_system& sys, host::client<scheduler_protocol> scheduler, owner_id owner,
    std::uint64_t boot, const worker_options& options, task_handlers handlers,
    std::function<bool()> in_maintenance = [] { return false; }, worker_reports reports = {});

  /// For a process whose boot may rise: `boot` is called at each registration, on any thread.
  TROUPE_COMPILED worker(
    caf::actor_system& sys, host::client<scheduler_protocol> scheduler, owner_id owner,
    std::function<std::uint64_t()> boot, const worker_options& options, task_handlers handlers,
    std::function<bool()> in_maintenance = [] { return false; }, worker_reports reports = {});

  worker(worker&& other) noexcept = default;
  worker& operator=(worker&& other) noexcept = default;

  /// Takes no new tasks and blocks, up to `wait`, until all its tasks have ended and are reported.
  /// Returns whether they have.
  TROUPE_COMPILED bool drain(duration wait);

private:
  std::shared_ptr<host::detail::tied_actor> inside_;
};

} // namespace troupe::scheduler

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/scheduler/impl/worker.ipp"
#endif
