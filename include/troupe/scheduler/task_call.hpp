#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include "troupe/core/json_text.hpp"
#include "troupe/core/plain_call.hpp"
#include "troupe/core/result.hpp"
#include "troupe/scheduler/queries.hpp"

namespace troupe::scheduler {

/// One attempt of one task, as a handler sees it. Copies are the same attempt; the first
/// finish() counts. Thread-safe.
class task_call {
public:
  /// What the worker learns of the call.
  struct listener {
    std::function<void(result<std::string>)> finished;
    std::function<void(std::uint16_t)> progressed;
  };

  task_call(assignment what, listener who)
    : inside_(std::make_shared<shared>(std::move(what), std::move(who))) {}

  [[nodiscard]] const assignment& order() const {
    return inside_->order;
  }

  /// The input of the task.
  [[nodiscard]] const std::string& input() const {
    return inside_->order.input;
  }

  /// The result of a parent; null if no parent has that id.
  [[nodiscard]] const std::string* parent(const std::string& id) const {
    for (auto& each : inside_->order.parents)
      if (each.id == id)
        return &each.value;
    return nullptr;
  }

  /// The result of a parent, as text or read from JSON as a T; for that include
  /// troupe/core/json.hpp. Errors: not_found (no parent has that id), bad_argument (it cannot be
  /// read as a T).
  template <class T>
  [[nodiscard]] result<T> parent(const std::string& id) const {
    if (const auto* text = parent(id))
      return of_parent<T>(id, *text);
    return problem{errc::not_found, "task " + order().task + " has no parent " + id};
  }

  /// The results of all parents, by id. Errors: bad_argument (one cannot be read as a T).
  template <class T>
  [[nodiscard]] result<std::map<std::string, T>> parents() const {
    std::map<std::string, T> all;
    for (auto& each : order().parents) {
      auto value = of_parent<T>(each.id, each.value);
      if (!value)
        return std::move(value).error();
      all.emplace(each.id, *std::move(value));
    }
    return all;
  }

  /// Whether the result is no longer needed: the task was cancelled or timed out, or its worker
  /// lost its lease. Long-running handlers should check it from time to time.
  [[nodiscard]] bool is_cancelled() const {
    return inside_->cancelled.load();
  }

  /// Calls `what` when the task is cancelled, at once if it is already. A later call replaces
  /// `what`.
  void on_cancel(std::function<void()> what) const {
    std::unique_lock guard{inside_->mutex};
    if (!inside_->cancelled) {
      inside_->on_cancel = std::move(what);
      return;
    }
    guard.unlock();
    what();
  }

  /// Reports the progress of the task to watchers, from 0 to 1000.
  void progress(std::uint16_t permille) const {
    if (!inside_->done)
      inside_->who.progressed(permille);
  }

  /// Ends the attempt. After a problem the task is retried by its retry policy if may_pass(code).
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
  template <class T>
  static result<T> of_parent(const std::string& id, const std::string& text) {
    return from_text_of<T>(text).transform_error([&](const problem& why) {
      return problem{why.code, "the result of parent " + id + ": " + why.detail};
    });
  }

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

/// Runs a task without blocking: calls finish() once, now or later, from any thread.
using task_handler = std::function<void(task_call)>;

/// Runs a task in a thread of its own; may block.
using blocking_handler = std::function<result<std::string>(const task_call&)>;

namespace detail {

/// The text of a function's result, which is a value, a result<T>, or nothing.
template <class R, class Call>
result<std::string> text_of_call(Call call) {
  if constexpr (std::is_void_v<R>) {
    call();
    return std::string{};
  } else if constexpr (!troupe::detail::is_result<R>::value) {
    return to_text_of(call());
  } else {
    auto done = call();
    if (!done)
      return std::move(done).error();
    if constexpr (std::is_void_v<typename R::value_type>)
      return std::string{};
    else
      return to_text_of(*done);
  }
}

template <class Input>
result<std::remove_cvref_t<Input>> input_of(const task_call& call) {
  return from_text_of<std::remove_cvref_t<Input>>(call.input())
    .transform_error([&](const problem& why) {
      return problem{why.code, "the input of task " + call.order().task + ": " + why.detail};
    });
}

template <class F>
blocking_handler typed_handler(F function, troupe::detail::parameters<const task_call&>) {
  using R = typename troupe::detail::plain_call<F>::result;
  return [function = std::move(function)](const task_call& call) mutable {
    return text_of_call<R>([&]() -> R { return function(call); });
  };
}

template <class F, class Input>
blocking_handler typed_handler(F function, troupe::detail::parameters<Input>) {
  using R = typename troupe::detail::plain_call<F>::result;
  return [function = std::move(function)](const task_call& call) mutable -> result<std::string> {
    auto input = input_of<Input>(call);
    if (!input)
      return std::move(input).error();
    return text_of_call<R>([&]() -> R { return function(*std::move(input)); });
  };
}

template <class F, class Input>
blocking_handler typed_handler(F function, troupe::detail::parameters<const task_call&, Input>) {
  using R = typename troupe::detail::plain_call<F>::result;
  return [function = std::move(function)](const task_call& call) mutable -> result<std::string> {
    auto input = input_of<Input>(call);
    if (!input)
      return std::move(input).error();
    return text_of_call<R>([&]() -> R { return function(call, *std::move(input)); });
  };
}

} // namespace detail

} // namespace troupe::scheduler
