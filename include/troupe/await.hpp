#pragma once

#include <atomic>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "troupe/core/guarded.hpp"
#include "troupe/core/pending.hpp"
#include "troupe/core/result.hpp"

/// C++20 coroutines: `co_await` of a pending<T>, in a task<T> or in a coroutine of another library.
namespace troupe {

namespace detail {

template <class T>
class answer_awaiter {
public:
  explicit answer_awaiter(pending<T> what) : what_(std::move(what)) {}

  answer_awaiter(const answer_awaiter&) = delete;
  answer_awaiter& operator=(const answer_awaiter&) = delete;

  /// If the coroutine is destroyed while it waits, its answer is dropped.
  ~answer_awaiter() {
    if (is_taken_)
      is_taken_->store(true);
  }

  [[nodiscard]] bool await_ready() const noexcept {
    return false;
  }

  /// Does not suspend if the answer is ready.
  bool await_suspend(std::coroutine_handle<> who) {
    // The coroutine may resume on another thread, and destroy this, before take_or_await() returns.
    auto* to = &answer_;
    auto is_taken = std::make_shared<std::atomic<bool>>(false);
    is_taken_ = is_taken;
    auto here = std::move(what_).take_or_await([to, who, is_taken](result<T> answer) {
      if (is_taken->exchange(true))
        return; // the coroutine is gone
      to->emplace(std::move(answer));
      who.resume();
    });
    if (!here)
      return true;
    answer_.emplace(std::move(*here));
    return false;
  }

  result<T> await_resume() {
    return std::move(*answer_);
  }

private:
  pending<T> what_;
  std::optional<result<T>> answer_;
  std::shared_ptr<std::atomic<bool>> is_taken_;
};

/// The parts of a task<T>'s promise that are the same for all T.
template <class T>
class task_promise_base {
public:
  /// Resumes the awaiting coroutine, if that has suspended.
  struct hand_over {
    [[nodiscard]] bool await_ready() const noexcept {
      return false;
    }

    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> who) const noexcept {
      // If this is the first to pass, the other goes on, and may end `who`.
      if (who.promise().has_passed_.exchange(true))
        return who.promise().waits_;
      return std::noop_coroutine();
    }

    void await_resume() const noexcept {}
  };

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept {
    return {};
  }

  [[nodiscard]] hand_over final_suspend() const noexcept {
    return {};
  }

  void unhandled_exception() noexcept {
    answer_.emplace(guarded([] { throw; }));
  }

  std::coroutine_handle<> waits_;
  /// Set by the task at its end and by the coroutine that awaits it when it suspends: the second
  /// of them knows that the first has done so.
  std::atomic<bool> has_passed_ = false;
  std::optional<result<T>> answer_;
};

template <class T>
class task_promise : public task_promise_base<T> {
public:
  void return_value(result<T> answer) {
    this->answer_.emplace(std::move(answer));
  }
};

template <>
class task_promise<void> : public task_promise_base<void> {
public:
  void return_void() {
    answer_.emplace();
  }
};

} // namespace detail

/// Waits for an answer without blocking a thread. The coroutine resumes where the answer is
/// delivered: on an actor of its node. Others wait for that actor, so the code that follows must
/// not block.
///
/// The coroutine may be destroyed while it waits: the answer is dropped if it comes after that, on
/// any thread. As with any coroutine, it must not resume meanwhile: destroy it on the thread where
/// it would resume, or while its answer cannot be on the way.
template <class T>
detail::answer_awaiter<T> operator co_await(pending<T> what) {
  return detail::answer_awaiter<T>{std::move(what)};
}

/// A coroutine that ends with a result<T>: `co_return` a T, a problem or a result<T>; an exception
/// becomes errc::failed. It starts when it is awaited or with start().
///
///     troupe::task<int> total(troupe::node& me) {
///       auto apples = co_await me.async_request<int>(to_agent("apples"), 1s, count_v);
///       auto pears = co_await me.async_request<int>(to_agent("pears"), 1s, count_v);
///       co_return apples.value() + pears.value();
///     }
///
///     auto sum = start(total(me)).wait();
///
/// Objects that its parameters refer to, and the lambda object if it is a lambda, must outlive the
/// coroutine. One that waits may be destroyed as co_await of a pending<T> says.
///
/// Tasks that await one another take room on the stack as functions that call one another do.
///
/// gcc 12 destroys an aggregate twice that is made by braces within a co_await expression, as in
/// `co_await me.async_request<int>(to, 1s, order{"rice", 1})`: make it a variable before.
template <class T = void>
class [[nodiscard]] task {
public:
  using value_type = T;

  class promise_type : public detail::task_promise<T> {
  public:
    task get_return_object() {
      return task{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
  };

  task(task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}

  task& operator=(task&& other) noexcept {
    std::swap(coroutine_, other.coroutine_);
    return *this;
  }

  ~task() {
    if (coroutine_)
      coroutine_.destroy();
  }

  /// Starts it and waits for its end.
  auto operator co_await() && noexcept {
    return awaiter{coroutine_};
  }

private:
  struct awaiter {
    std::coroutine_handle<promise_type> coroutine;

    [[nodiscard]] bool await_ready() const noexcept {
      return false;
    }

    /// Runs the task up to its first wait, and does not suspend if it has ended by then. A loop
    /// over such tasks so needs no more of the stack. With symmetric transfer it would wherever the
    /// compiler makes no tail call of that: gcc does so from -O2 on.
    [[nodiscard]] bool await_suspend(std::coroutine_handle<> who) const {
      auto& its = coroutine.promise();
      its.waits_ = who;
      coroutine.resume();
      return !its.has_passed_.exchange(true);
    }

    [[nodiscard]] result<T> await_resume() const {
      return std::move(*coroutine.promise().answer_);
    }
  };

  explicit task(std::coroutine_handle<promise_type> made) : coroutine_(made) {}

  std::coroutine_handle<promise_type> coroutine_;
};

namespace detail {

/// A detached coroutine. Its body must not throw.
struct detached {
  struct promise_type {
    [[nodiscard]] detached get_return_object() const noexcept {
      return {};
    }

    [[nodiscard]] std::suspend_never initial_suspend() const noexcept {
      return {};
    }

    [[nodiscard]] std::suspend_never final_suspend() const noexcept {
      return {};
    }

    void return_void() const noexcept {}

    [[noreturn]] void unhandled_exception() const noexcept {
      std::terminate();
    }
  };
};

template <class T>
detached run_task(task<T> what, promise<T> to) {
  to.set(co_await std::move(what));
}

} // namespace detail

/// Runs `what` on the calling thread up to its first wait. An exception from a handler of the
/// answer terminates the program, as in a thread.
template <class T>
pending<T> start(task<T> what) {
  promise<T> made;
  auto answer = made.answer();
  detail::run_task(std::move(what), std::move(made));
  return answer;
}

} // namespace troupe
