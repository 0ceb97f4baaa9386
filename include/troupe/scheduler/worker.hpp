#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor.hpp"
#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/client.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/scheduler/task_call.hpp"

namespace troupe::scheduler {

/// What a worker is and has.
struct worker_options {
  /// Unique on its node.
  std::string name = "worker";
  /// Slots are tasks at once; a worker has as many threads for handlers that block.
  resources capacity{0, 0, 0, 4};
  /// Tasks that ask for one of these may run here.
  std::vector<std::string> groups{};
  /// Tasks that ask for these may run here.
  scheduler::labels labels{};
};

/// Returns why no scheduler takes a worker like this; errc::none if one does. A worker that is
/// refused tries again and again, see worker_reports.
TROUPE_COMPILED problem check(const worker_options& what);

/// What the process of a worker hears of it. Called on an actor; must not block.
struct worker_reports {
  /// The answer to each registration: errc::none, or why the scheduler did not take the worker, as
  /// with bad_argument or limit_reached. That it is out of reach is no answer.
  std::function<void(const problem&)> registered = [](const problem&) {};
};

/// Which functions a worker offers, by name; one whose name ends with ':' gets the tasks of
/// all names that begin with it. "sleep" is built in.
class task_handlers {
public:
  /// Offers `what` as `name`, in threads of the worker's own.
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

/// The handler that does nothing for as many seconds as its input says ("1.5").
inline constexpr const char* sleep_handler = "sleep";

/// Returns the span that a text of seconds says, for people and for sleep_handler.
TROUPE_COMPILED result<duration> span_from_seconds(const std::string& text);

/// Runs tasks in this process for the scheduler that its client knows, as long as it
/// lives. Rides through a lost link and a restart of the scheduler; when it could not renew
/// its lease in time it cancels what it runs, as others run it then. Thread-safe. Must end before
/// its actor_system does.
class worker {
public:
  /// `owner` and `boot` name the process: its boot is dead when it is. `in_maintenance` says,
  /// on an actor and at each registration, whether it is to get no tasks; see set_maintenance.
  TROUPE_COMPILED worker(
    caf::actor_system& sys, host::client<scheduler_protocol> scheduler, std::string owner,
    std::uint64_t boot, const worker_options& options, task_handlers handlers,
    std::function<bool()> in_maintenance = [] { return false; }, worker_reports reports = {});

  /// Of a process whose boot may rise: `boot` is asked, on any thread, when the worker registers.
  TROUPE_COMPILED worker(
    caf::actor_system& sys, host::client<scheduler_protocol> scheduler, std::string owner,
    std::function<std::uint64_t()> boot, const worker_options& options, task_handlers handlers,
    std::function<bool()> in_maintenance = [] { return false; }, worker_reports reports = {});

  worker(worker&& other) noexcept : inside_(std::exchange(other.inside_, nullptr)) {}

  worker& operator=(worker&& other) noexcept {
    std::swap(inside_, other.inside_);
    return *this;
  }

  TROUPE_COMPILED ~worker();

  /// Takes nothing new and waits up to `wait` until all it runs is done and reported.
  /// Returns whether that came to pass. Blocks.
  TROUPE_COMPILED bool drain(duration wait);

private:
  caf::actor inside_;
};

} // namespace troupe::scheduler

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/scheduler/impl/worker.ipp"
#endif
