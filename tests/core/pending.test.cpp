#include "troupe/core/pending.hpp"

#include <chrono>
#include <coroutine>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "troupe/await.hpp"

using namespace std::chrono_literals;
using namespace troupe;

TEST_CASE("an answer that is here already is taken at once", "[core][pending]") {
  promise<int> made;
  auto answer = made.answer();
  CHECK_FALSE(answer.is_ready());
  made.set(7);
  CHECK(answer.is_ready());
  CHECK(std::move(answer).wait().value() == 7);
}

TEST_CASE("an answer of another thread is waited for, as a future and by a handler",
          "[core][pending]") {
  promise<std::string> by_wait;
  promise<std::string> by_future;
  promise<std::string> by_handler;
  promise<std::string> heard;
  by_handler.answer().then([heard](result<std::string> what) { heard.set(std::move(what)); });
  auto future = by_future.answer().future();
  std::jthread other{[=] {
    by_wait.set("a");
    by_future.set("b");
    by_handler.set("c");
  }};
  CHECK(by_wait.answer(10s).wait().value() == "a");
  CHECK(future.get().value() == "b");
  CHECK(heard.answer().wait().value() == "c");
}

TEST_CASE("the first answer counts, and who hears it once hears it no more", "[core][pending]") {
  promise<int> made;
  auto heard = std::vector<int>{};
  made.answer().then([&](const result<int>& what) { heard.push_back(what.value()); });
  made.set(1);
  made.set(2);
  CHECK(heard == std::vector{1});
}

TEST_CASE("a promise that nobody keeps says that nobody knows", "[core][pending]") {
  auto made = std::make_unique<promise<int>>();
  auto copy = *made;
  auto answer = made->answer();
  made.reset();
  CHECK_FALSE(answer.is_ready());
  copy = {};
  CHECK(std::move(answer).wait().error().code == errc::outcome_unknown);
}

TEST_CASE("what a handler throws at a promise that nobody keeps ends nothing", "[core][pending]") {
  auto made = std::make_unique<promise<int>>();
  auto heard = 0;
  made->answer().then([&](const result<int>&) {
    ++heard;
    throw std::runtime_error{"no more"};
  });
  CHECK_NOTHROW(made.reset());
  CHECK(heard == 1);
}

TEST_CASE("a wait has an end, also where nobody answers", "[core][pending]") {
  promise<int> made;
  CHECK(made.answer(10ms).wait().error().code == errc::timed_out);
}

TEST_CASE("a handler may let go of all that waits", "[core][pending]") {
  promise<int> made;
  auto answer = std::make_unique<pending<int>>(made.answer());
  std::move(*answer).then([&](const result<int>&) { answer.reset(); });
  made.set(1);
  CHECK(answer == nullptr);
}

namespace {

task<int> sum_of(pending<int> left, pending<int> right) {
  auto one = co_await std::move(left);
  auto other = co_await std::move(right);
  if (!one || !other)
    co_return problem{errc::unreachable, "one of them is not there"};
  co_return *one + *other;
}

task<int> twice(pending<int> what) {
  auto half = co_await sum_of(std::move(what), [] {
    promise<int> made;
    made.set(0);
    return made.answer();
  }());
  co_return half.value() * 2;
}

task<> count_to(int end, int& reached) {
  while (reached < end) {
    promise<int> made;
    made.set(1);
    reached += (co_await made.answer()).value();
  }
}

task<int> one() {
  co_return 1;
}

task<int> count_ones(int end) {
  int sum = 0;
  for (int each = 0; each < end; ++each)
    sum += (co_await one()).value();
  co_return sum;
}

task<int> passed_on(pending<int> what) {
  co_return (co_await std::move(what)).value();
}

task<int> sum_of_all(std::vector<pending<int>> all) {
  int sum = 0;
  for (auto& each : all)
    sum += (co_await passed_on(std::move(each))).value();
  co_return sum;
}

/// A coroutine as another library has it, which ends when its owner does.
class owned {
public:
  struct promise_type {
    owned get_return_object() {
      return owned{std::coroutine_handle<promise_type>::from_promise(*this)};
    }

    [[nodiscard]] std::suspend_never initial_suspend() const noexcept {
      return {};
    }

    [[nodiscard]] std::suspend_always final_suspend() const noexcept {
      return {};
    }

    void return_void() const noexcept {}

    [[noreturn]] void unhandled_exception() const noexcept {
      std::terminate();
    }
  };

  owned(owned&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}

  owned& operator=(owned&&) = delete;

  ~owned() {
    if (coroutine_)
      coroutine_.destroy();
  }

private:
  explicit owned(std::coroutine_handle<promise_type> made) : coroutine_(made) {}

  std::coroutine_handle<promise_type> coroutine_;
};

owned hear(task<int> what, std::vector<int>& heard) {
  heard.push_back((co_await std::move(what)).value());
}

task<int> nested(int depth) {
  if (depth == 0)
    co_return 0;
  auto below = co_await nested(depth - 1);
  co_return *below + 1;
}

} // namespace

TEST_CASE("a coroutine waits for one answer after the other", "[core][pending]") {
  promise<int> left;
  promise<int> right;
  auto sum = start(sum_of(left.answer(), right.answer()));
  right.set(2);
  CHECK_FALSE(sum.is_ready());
  std::jthread other{[left] { left.set(40); }};
  CHECK(std::move(sum).wait().value() == 42);
}

TEST_CASE("what a coroutine refuses or throws is its answer", "[core][pending]") {
  promise<int> left;
  promise<int> right;
  left.set(1);
  right.set(problem{errc::timed_out, "late"});
  CHECK(start(sum_of(left.answer(), right.answer())).wait().error().code == errc::unreachable);
  promise<int> failed;
  failed.set(problem{errc::timed_out, "late"});
  auto why = start(twice(failed.answer())).wait().error();
  CHECK(why.code == errc::failed);
  CHECK(why.detail.find("not there") != std::string::npos);
}

TEST_CASE("a coroutine that need not wait needs no more of the stack for it", "[core][pending]") {
  int reached = 0;
  CHECK(start(count_to(100'000, reached)).wait());
  CHECK(reached == 100'000);
  CHECK(start(nested(1'000)).wait().value() == 1'000);
}

TEST_CASE("a coroutine awaits tasks that need not wait, however many", "[core][pending]") {
  CHECK(start(count_ones(200'000)).wait().value() == 200'000);
}

TEST_CASE("a coroutine awaits tasks that end on another thread, sooner or later",
          "[core][pending]") {
  constexpr int count = 5'000;
  std::vector<promise<int>> made(count);
  std::vector<pending<int>> answers;
  for (auto& each : made)
    answers.push_back(each.answer());
  std::jthread other{[&] {
    for (auto& each : made)
      each.set(1);
  }};
  CHECK(start(sum_of_all(std::move(answers))).wait().value() == count);
}

TEST_CASE("a coroutine that is destroyed while it waits hears no answer", "[core][pending]") {
  std::vector<int> heard;
  promise<int> taken;
  promise<int> left;
  auto waits = std::make_unique<owned>(hear(passed_on(taken.answer()), heard));
  auto ends = std::make_unique<owned>(hear(passed_on(left.answer()), heard));
  ends.reset();
  left.set(1);
  taken.set(2);
  CHECK(heard == std::vector{2});
}

TEST_CASE("a coroutine that nobody starts does nothing", "[core][pending]") {
  int reached = 0;
  { auto never = count_to(1, reached); }
  CHECK(reached == 0);
}

TEST_CASE("who waits for an answer that nobody gives any more goes on", "[core][pending]") {
  auto sum = [] {
    promise<int> left;
    promise<int> right;
    return start(sum_of(left.answer(), right.answer()));
  }();
  CHECK(std::move(sum).wait().error().code == errc::unreachable);
}
