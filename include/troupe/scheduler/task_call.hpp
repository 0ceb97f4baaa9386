#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/scheduler/queries.hpp"

namespace troupe::scheduler {

/// One attempt at one task, in the hands of a handler. Copies are the same attempt; the
/// first finish() counts. Thread-safe.
class task_call {
public:
  /// Called by the worker that made the call.
  struct listener {
    std::function<void(result<std::string>)> finished;
    std::function<void(std::uint16_t)> progressed;
  };

  task_call(assignment what, listener who)
    : inside_(std::make_shared<shared>(std::move(what), std::move(who))) {}

  [[nodiscard]] const assignment& order() const {
    return inside_->order;
  }

  /// What was given to the task.
  [[nodiscard]] const std::string& input() const {
    return inside_->order.input;
  }

  /// The result of a parent, null if it has none of that id.
  [[nodiscard]] const std::string* parent(const std::string& id) const {
    for (auto& each : inside_->order.parents)
      if (each.id == id)
        return &each.value;
    return nullptr;
  }

  /// Somebody cancelled the task, or its worker lost its lease: the result is not wanted
  /// any more. A handler that takes long looks now and then.
  [[nodiscard]] bool is_cancelled() const {
    return inside_->cancelled.load();
  }

  /// Calls `what` when the task is cancelled, at once if it is already. One at a time.
  void on_cancel(std::function<void()> what) const {
    std::unique_lock guard{inside_->mutex};
    if (!inside_->cancelled) {
      inside_->on_cancel = std::move(what);
      return;
    }
    guard.unlock();
    what();
  }

  /// Tells watchers how far it is, from 0 to 1000.
  void progress(std::uint16_t permille) const {
    if (!inside_->done)
      inside_->who.progressed(permille);
  }

  /// Ends the attempt. A problem is tried again, as the retry policy of the task says, unless
  /// its code says that another try would be no better (see may_pass()).
  void finish(result<std::string> value) const {
    if (!inside_->done.exchange(true))
      inside_->who.finished(std::move(value));
  }

  void cancel() const {
    std::unique_lock guard{inside_->mutex};
    inside_->cancelled = true;
    auto tell = std::exchange(inside_->on_cancel, nullptr);
    guard.unlock();
    if (tell)
      tell();
  }

private:
  struct shared {
    shared(assignment what, listener from) : order(std::move(what)), who(std::move(from)) {}

    const assignment order;
    const listener who;
    std::atomic<bool> done = false;
    std::atomic<bool> cancelled = false;
    std::mutex mutex;
    std::function<void()> on_cancel;
  };

  std::shared_ptr<shared> inside_;
};

/// Does a task: calls finish() once, now or later, from any thread; must not block.
using task_handler = std::function<void(task_call)>;

/// Does a task in the thread that it is given, for as long as it takes.
using blocking_handler = std::function<result<std::string>(const task_call&)>;

} // namespace troupe::scheduler
