#pragma once

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/scheduler/task_scheduler.hpp"

namespace troupe::test {

/// Drives one scheduler along a clock that only the test moves.
class clocked_scheduler {
public:
  scheduler::task_scheduler machine;
  time_point now{};
  request_id last_id = 0;

  explicit clocked_scheduler(scheduler::scheduler_options options = {}) {
    scheduler::effects out;
    machine.step(now, 0, scheduler::configure{options}, out);
    CHECK(out.empty());
  }

  scheduler::effect tell(const scheduler::event& what) {
    scheduler::effects out;
    machine.step(now, ++last_id, what, out);
    REQUIRE(out.size() == 1);
    REQUIRE(answered_by(out[0]) == last_id);
    return out[0];
  }

  /// Returns the answer, which must be good.
  template <class Command>
  typename Command::result ask(const Command& what) {
    auto answer = tell(what);
    if (auto* bad = std::get_if<scheduler::refused>(&answer))
      FAIL(bad->why.detail);
    return std::get<scheduler::answered<typename Command::result>>(answer).value;
  }

  /// Returns why the answer is not good, none if it is.
  problem refusal(const scheduler::event& what) {
    auto answer = tell(what);
    auto* bad = std::get_if<scheduler::refused>(&answer);
    return bad != nullptr ? bad->why : problem{};
  }

  void pass(duration span) {
    scheduler::effects out;
    machine.tick(now += span, out);
    CHECK(out.empty());
  }

  // -- workers -----------------------------------------------------------------------

  scheduler::worker_id add(const scheduler::register_worker& registration) {
    return ask(registration).worker;
  }

  /// Adds a worker that offers "work".
  scheduler::worker_id add(const std::string& name, std::uint64_t slots) {
    return add(worker_named(name, slots));
  }

  static scheduler::register_worker worker_named(const std::string& name, std::uint64_t slots) {
    return {.name = name,
            .owner = owner_id{"node of " + name},
            .boot = 1,
            .capacity = {.slots = slots},
            .handlers = {"work"}};
  }

  /// Returns all that a worker of boot 1 is told and that is not over.
  scheduler::worker_orders orders(scheduler::worker_id worker) {
    auto answer = machine.answer(scheduler::watch_assignments{worker, 1});
    REQUIRE(answer);
    return *answer;
  }

  /// Returns the tasks that a worker has to run, in the order in which it was told.
  std::vector<std::string> tasks_of(scheduler::worker_id worker) {
    std::vector<std::string> result;
    for (auto& each : orders(worker).assignments)
      result.push_back(each.task);
    return result;
  }

  scheduler::report_receipt report(scheduler::worker_id worker, scheduler::outcome what) {
    return ask(scheduler::report{worker, 1, {std::move(what)}});
  }

  /// Returns the attempt that a worker has of `task`.
  scheduler::attempt_id attempt(scheduler::worker_id worker, const std::string& task) {
    for (auto& each : orders(worker).assignments)
      if (each.task == task)
        return each.what;
    FAIL("it has no " + task);
    return {};
  }

  void complete(scheduler::worker_id worker, const std::string& task, std::string value = {}) {
    auto receipt = report(worker, {.what = attempt(worker, task), .value = std::move(value)});
    CHECK(receipt.taken == 1);
  }

  void fail(scheduler::worker_id worker, const std::string& task, bool retryable) {
    auto receipt = report(worker, {.what = attempt(worker, task),
                                   .kind = scheduler::outcome_kind::failed,
                                   .why = {errc::failed, "out of eggs"},
                                   .retryable = retryable});
    CHECK(receipt.taken == 1);
  }

  // -- runs --------------------------------------------------------------------------

  scheduler::run_details look(scheduler::run_id run) {
    auto answer = machine.answer(scheduler::find_run{run});
    REQUIRE(answer);
    return *answer;
  }

  scheduler::task_view look(scheduler::run_id run, std::uint32_t task) {
    return look(run).tasks.at(task);
  }

  std::vector<scheduler::task_state> states(scheduler::run_id run) {
    std::vector<scheduler::task_state> result;
    for (auto& each : look(run).tasks)
      result.push_back(each.state);
    return result;
  }

  scheduler::scheduler_statistics statistics() {
    return machine.answer(scheduler::find_statistics{});
  }
};

/// Returns a task that asks for "work".
inline scheduler::task_spec work(std::string id, std::vector<std::uint32_t> parents = {}) {
  return {.id = std::move(id), .handler = "work", .parents = std::move(parents)};
}

} // namespace troupe::test
