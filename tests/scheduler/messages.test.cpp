#include "troupe/scheduler/messages.hpp" // the header under test
#include "scheduler/clocked_scheduler.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/json.hpp"

#include <catch2/catch_test_macros.hpp>

#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;
using test::clocked_scheduler;
using test::work;

namespace {

/// Returns the bytes of `value` as they go from actor to actor.
template <class T>
caf::byte_buffer to_caf_bytes(const T& value) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  REQUIRE(sink.apply(value));
  return bytes;
}

/// Returns whether `bytes` are one whole T, which then is in `value`.
template <class T>
bool from_caf_bytes(const caf::byte_buffer& bytes, T& value) {
  caf::binary_deserializer source{nullptr, bytes};
  return source.apply(value) && source.remaining() == 0;
}

/// Checks that `value` comes out of each form as it went in.
template <class T>
void check_forms(const T& value) {
  T received{};
  REQUIRE(from_caf_bytes(to_caf_bytes(value), received));
  CHECK(received == value);
  auto stored = from_bytes<T>(to_bytes(value));
  REQUIRE(stored);
  CHECK(*stored == value);
  auto text = to_json(value);
  REQUIRE(text);
  auto read = from_json<T>(*text);
  REQUIRE(read);
  CHECK(*read == value);
}

submit full_submission() {
  auto task = work("b", {0});
  task.input = "in";
  task.needs = {.millicores = 500, .memory_bytes = 1'000, .gpus = 1, .slots = 2};
  task.group = "night";
  task.labels = {{"disk", "fast"}};
  task.timeout = 5s;
  task.retry = retry_policy{.max_attempts = 7, .wait = {1ms, 2s}};
  task.priority = priority::urgent;
  task.compensation = "undo";
  return {.name = "flow",
          .tasks = {work("a"), task},
          .key = "once",
          .priority = priority::high,
          .policy = failure_policy::compensate,
          .retry = {.max_attempts = 2},
          .start_at = wall_time{24h * 365}};
}

/// Returns a scheduler with something of everything.
clocked_scheduler busy_scheduler() {
  clocked_scheduler all;
  auto ann = all.add("ann", 2);
  all.add("bob", 1);
  all.ask(full_submission());
  auto run
    = all.ask(submit{.name = "run", .tasks = {work("a"), work("b", {0}), work("c"), work("d")}})
        .run;
  all.complete(ann, "a", "result");
  all.pass(1s);
  all.ask(define_schedule{
    .name = "daily", .cron = "@daily", .what = {.name = "run", .tasks = {work("a")}}});
  all.ask(cancel_run{run});
  all.ask(submit{.name = "waits", .tasks = {{.id = "x", .handler = "nobody's"}}});
  return all;
}

} // namespace

TEST_CASE("messages arrive as they were sent, in every form", "[scheduler][wire]") {
  check_forms(full_submission());
  check_forms(clocked_scheduler::worker_named("ann", 3));
  check_forms(define_schedule{.name = "daily", .cron = "@daily", .what = full_submission()});
  check_forms(outcome{.what = {run_id{1}, 2, 3},
                      .kind = outcome_kind::failed,
                      .why = {errc::failed, "out of eggs"},
                      .retryable = true});
  auto all = busy_scheduler();
  check_forms(*all.machine.answer(watch_assignments{worker_id{1}, 1}));
  check_forms(*all.machine.answer(find_run{run_id{2}}));
  check_forms(*all.machine.answer(watch_run{run_id{2}}));
  check_forms(*all.machine.answer(watch_run{run_id{2}, 1}));
  check_forms(*all.machine.answer(find_result{run_id{2}, 0}));
  check_forms(all.machine.answer(list_runs{}));
  check_forms(all.machine.answer(list_workers{}));
  check_forms(all.machine.answer(list_schedules{}));
  check_forms(all.machine.answer(find_statistics{}));
}

TEST_CASE("a snapshot cut short anywhere is refused", "[scheduler][wire]") {
  auto whole = busy_scheduler().machine.snapshot();
  auto bytes = to_bytes(whole);
  auto read = from_bytes<scheduler_snapshot>(bytes);
  REQUIRE(read);
  CHECK(*read == whole);
  std::size_t readable = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size)
    readable += from_bytes<scheduler_snapshot>(std::string_view{bytes}.substr(0, size)) ? 1U : 0U;
  CHECK(readable == 0);
}

TEST_CASE("a snapshot whose parts do not fit together is damaged", "[scheduler]") {
  auto saved = busy_scheduler().machine.snapshot();
  REQUIRE_FALSE(task_scheduler::verify(saved));
  REQUIRE_FALSE(task_scheduler::verify(task_scheduler{}.snapshot()));
  auto& run = saved.runs.at(0);
  auto& task = run.tasks.at(0);
  auto& worker = saved.workers.at(0);
  SECTION("no figures") {
    saved.statistics.queues.clear();
  }
  SECTION("a worker whose number was never given") {
    saved.last_worker = 0;
  }
  SECTION("a run whose number was never given") {
    saved.last_run = 1;
  }
  SECTION("a task that has begun before its run") {
    task.state = task_state::ready;
  }
  SECTION("a task that runs under the number of no order") {
    run.state = run_state::running;
    task.state = task_state::running;
    task.worker = worker.worker;
    task.sequence = worker.sequence + 1;
  }
  SECTION("two tasks that run under one number") {
    run.state = run_state::running;
    for (auto& each : run.tasks) {
      each.state = task_state::running;
      each.worker = worker.worker;
      each.sequence = 1;
    }
  }
  SECTION("two tasks for which one worker keeps room") {
    for (auto& each : run.tasks)
      each.keeper = worker.worker;
  }
  SECTION("a worker twice") {
    saved.workers.push_back(worker);
  }
  SECTION("a worker with a lease without end") {
    worker.lease_left = duration::max();
  }
  SECTION("a worker without a slot") {
    worker.words.capacity.slots = 0;
  }
  SECTION("a leftover of nothing") {
    worker.leftovers.push_back({{run.run, 0, 1}, 1, {.slots = 0}});
  }
  SECTION("a run twice") {
    saved.runs.push_back(run);
  }
  SECTION("runs out of order") {
    std::swap(saved.runs.at(0), saved.runs.at(1));
  }
  SECTION("a run in no state") {
    run.state = static_cast<run_state>(99);
  }
  SECTION("a run that will have no state") {
    run.before_pause = static_cast<run_state>(99);
  }
  SECTION("a run of no priority") {
    run.priority = static_cast<priority>(99);
  }
  SECTION("a run without a policy") {
    run.policy = static_cast<failure_policy>(99);
  }
  SECTION("a run with fewer tasks than were submitted") {
    ++run.submitted_tasks;
  }
  SECTION("a run that began before all time") {
    run.started = duration::min();
  }
  SECTION("a run that is never tried") {
    run.retry.max_attempts = 0;
  }
  SECTION("a run that is over in secret") {
    for (auto& each : run.tasks)
      each.state = task_state::completed;
    run.state = run_state::completed;
  }
  SECTION("a run that is said to be over") {
    saved.finished.push_back(run.run);
  }
  SECTION("a run that is over and goes on") {
    run.state = run_state::completed;
    saved.finished.push_back(run.run);
  }
  SECTION("a change of no task") {
    run.changes.push_back({.revision = 99, .task = 99});
  }
  SECTION("a task in no state") {
    task.state = static_cast<task_state>(7);
  }
  SECTION("a task of no priority") {
    task.spec.priority = static_cast<priority>(4);
  }
  SECTION("a task whose parent is not there") {
    task.spec.parents.push_back(run.submitted_tasks);
  }
  SECTION("a task that undoes none") {
    run.tasks.push_back({.spec = {.id = "undo", .handler = "undo"}});
  }
  SECTION("a task that has waited for ever") {
    task.waited = duration::max();
  }
  SECTION("a task that may take less than no time") {
    task.spec.timeout = -1s;
  }
  SECTION("a task that takes no slot") {
    task.spec.needs.slots = 0;
  }
  SECTION("a task too far behind") {
    task.spec.steps_behind = max_steps_behind + 1;
  }
  SECTION("a task that is never tried") {
    task.spec.retry = retry_policy{.max_attempts = 0};
  }
  SECTION("a task that has failed more often than it may") {
    task.failures = 1'001;
  }
  SECTION("a task that has lost more workers than it may") {
    task.losses = 1'002;
  }
  SECTION("a task that runs nowhere") {
    task.state = task_state::running;
    task.worker = worker_id{99};
  }
  SECTION("a task whose room nobody keeps") {
    task.keeper = worker_id{99};
  }
  SECTION("a schedule twice") {
    saved.schedules.push_back(saved.schedules.at(0));
  }
  SECTION("a schedule without a time") {
    saved.schedules.at(0).words.cron = "sometimes";
  }
  CHECK(task_scheduler::verify(saved).code == errc::damaged);
}

TEST_CASE("a number that is no state is refused on its way", "[scheduler][wire]") {
  run_receipt receipt{.run = run_id{1}, .state = static_cast<run_state>(99)};
  run_receipt received;
  CHECK_FALSE(from_caf_bytes(to_caf_bytes(receipt), received));
}

TEST_CASE("type ids stay where other versions expect them", "[scheduler][wire]") {
  CHECK(caf::type_id_v<scheduler_actor> == 1600);
  CHECK(caf::type_id_v<run_receipt> == 1606);
  CHECK(caf::type_id_v<submit> == 1610);
  CHECK(caf::type_id_v<report> == 1620);
  CHECK(caf::type_id_v<watch_assignments> == 1623);
  CHECK(caf::type_id_v<find_statistics> == 1637);
  CHECK(caf::type_id_v<list_schedules> == 1642);
}
