#pragma once

#include <cassert>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "troupe/core/guarded.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/wait_for.hpp"

namespace troupe {

template <class T>
class promise;

namespace detail {

/// An answer that one thread passes to another. Thread-safe; calls no handler while locked.
template <class T>
class answer_slot {
public:
  using handler = std::function<void(result<T>)>;

  /// Only the first answer counts.
  void set(result<T> what) {
    handler take;
    {
      std::lock_guard guard{mutex_};
      if (std::exchange(is_set_, true))
        return;
      if (!take_) {
        answer_.emplace(std::move(what));
        return;
      }
      take = std::exchange(take_, {});
    }
    take(std::move(what));
  }

  [[nodiscard]] bool is_set() const {
    std::lock_guard guard{mutex_};
    return is_set_;
  }

  /// Returns the answer, or nothing and calls `take` with it later.
  [[nodiscard]] std::optional<result<T>> take_or_await(handler take) {
    std::lock_guard guard{mutex_};
    if (is_set_)
      return std::exchange(answer_, std::nullopt);
    take_ = std::move(take);
    return std::nullopt;
  }

private:
  mutable std::mutex mutex_;
  bool is_set_ = false;
  std::optional<result<T>> answer_;
  handler take_;
};

} // namespace detail

/// An answer that comes later: a result<T>. Taken once, in one of these ways:
///
///     auto answer = me.async_request<int>(to_agent("adder"), 1s, 2, 3);
///     std::move(answer).wait();                             // blocks
///     std::move(answer).future();                           // a std::future
///     std::move(answer).then([](result<int> sum) { … });    // a handler
///     co_await std::move(answer);                           // include troupe/await.hpp
///
/// An answer that is never taken is dropped. The answer may arrive on any thread meanwhile.
template <class T>
class [[nodiscard]] pending {
public:
  using value_type = T;

  /// Whether the answer is here.
  [[nodiscard]] bool is_ready() const {
    return slot_->is_set();
  }

  /// Blocks until the answer is here, or the time limit of the request, if it has one, is over.
  /// Errors: those of the call that returned this; timed_out if the answer does not arrive in time
  /// or can no longer arrive. Do not call it from an actor or a handler.
  result<T> wait() && {
    if (!within_)
      return std::move(*this).future().get();
    return wait_for<result<T>>(
      [this](auto done) { std::move(*this).then(std::move(done)); }, *within_,
      [](unheard) {
        return result<T>{
          problem{errc::timed_out, "no answer in time; look at the state before a repeat"}};
      });
  }

  /// Gives the answer to a std::future, whose get() does not throw.
  [[nodiscard]] std::future<result<T>> future() && {
    auto made = std::make_shared<std::promise<result<T>>>();
    auto given = made->get_future();
    std::move(*this).then([made](result<T> answer) { made->set_value(std::move(answer)); });
    return given;
  }

  /// Calls `take` with the answer: at once if it is here, else on the thread that delivers it.
  /// `take` must not block, because others wait for that thread.
  void then(std::function<void(result<T>)> take) && {
    auto slot = std::move(slot_); // `take` may end this
    if (auto answer = slot->take_or_await(take))
      take(std::move(*answer));
  }

  /// Returns the answer if it is here; else nothing, and calls `take` with it later.
  [[nodiscard]] std::optional<result<T>> take_or_await(std::function<void(result<T>)> take) && {
    auto slot = std::move(slot_);
    return slot->take_or_await(std::move(take));
  }

private:
  friend class promise<T>;

  pending(std::shared_ptr<detail::answer_slot<T>> slot, std::optional<duration> within)
    : slot_(std::move(slot)), within_(within) {}

  std::shared_ptr<detail::answer_slot<T>> slot_;
  std::optional<duration> within_;
};

/// The sending end of a pending<T>. Copies share one answer; thread-safe. If the last copy is
/// destroyed without an answer, the answer is outcome_unknown; what its handler then throws is
/// dropped.
template <class T>
class promise {
public:
  promise() : inside_(std::make_shared<inside>()) {}

  /// Returns the receiving end. Its pending::wait() gives up after `within`; without `within` it
  /// waits without limit.
  /// @pre Called once.
  pending<T> answer(std::optional<duration> within = std::nullopt) const {
    assert(!inside_->is_given);
    inside_->is_given = true;
    return {inside_->slot, within};
  }

  /// Answers, and calls the handler of pending::then(), whose exceptions pass through. Only the
  /// first call counts.
  void set(result<T> what) const {
    inside_->slot->set(std::move(what));
  }

private:
  struct inside {
    std::shared_ptr<detail::answer_slot<T>> slot = std::make_shared<detail::answer_slot<T>>();
    bool is_given = false;

    inside() = default;
    inside(const inside&) = delete;
    inside& operator=(const inside&) = delete;

    ~inside() {
      if (slot->is_set())
        return;
      problem why{errc::outcome_unknown,
                  "the receiver dropped the request without an answer; look at the state before a "
                  "repeat"};
      static_cast<void>(guarded([&] { slot->set(std::move(why)); }));
    }
  };

  std::shared_ptr<inside> inside_;
};

} // namespace troupe
