#include "troupe/node/restored_state.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace restored_state_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;

namespace {

constexpr host::service_id number = 3;
constexpr time_point then{1h};

/// A backup with one run of two tasks, of which the first of two workers has the first. `flaw`
/// changes what was saved.
template <class Flaw>
host::group_backup backup_with(Flaw flaw) {
  task_scheduler tasks;
  task_scheduler::effects ignored;
  tasks.use_rules(task_scheduler::rules);
  tasks.step(then, 1, configure{}, ignored);
  auto add = [&](const std::string& name) {
    tasks.step(then, 2,
               register_worker{.name = name,
                               .owner = owner_id{"node of " + name},
                               .boot = 4,
                               .capacity = {.slots = 1},
                               .handlers = {"work"}},
               ignored);
  };
  add("ann");
  tasks.step(then, 3,
             submit{.name = "tour",
                    .tasks = {{.id = "a", .handler = "work"},
                              {.id = "b", .handler = "work", .parents = {0}}}},
             ignored);
  add("bob");
  host::durable_snapshot<task_scheduler> saved;
  saved.index = 9;
  saved.at = then;
  saved.rules = task_scheduler::rules;
  saved.inside = tasks.snapshot();
  flaw(saved);
  host::group_state state;
  state.sections[number] = to_bytes(saved);
  state.sections[1] = "of another service";
  return {.index = 20, .term = 2, .state = to_bytes(state)};
}

host::group_backup backup() {
  return backup_with([](auto&) {});
}

task_scheduler tasks_in(const host::group_backup& what) {
  auto state = from_bytes<host::group_state>(what.state).value();
  auto saved = from_bytes<host::durable_snapshot<task_scheduler>>(
                 state.sections.at(number),
                 host::memory_for<task_scheduler>(state.sections.at(number).size()))
                 .value();
  task_scheduler found;
  found.restore(saved.at, saved.inside);
  return found;
}

task_state state_of(const task_scheduler& tasks, std::uint32_t task) {
  return tasks.answer(find_result{run_id{1}, task}).value().state;
}

} // namespace

TEST_CASE("no worker of the old cluster is in a restored one, and its tasks run again",
          "[node][backup]") {
  auto what = backup();
  REQUIRE(state_of(tasks_in(what), 0) == task_state::running);
  REQUIRE(tasks_in(what).answer(list_workers{}).workers.size() == 2);
  REQUIRE_FALSE(cluster::forget_workers(what, number));
  auto tasks = tasks_in(what);
  CHECK(tasks.answer(list_workers{}).workers.empty());
  CHECK(state_of(tasks, 0) == task_state::ready);
  CHECK(state_of(tasks, 1) == task_state::pending);

  task_scheduler::effects out;
  tasks.step(then, 1,
             register_worker{.name = "ann",
                             .owner = owner_id{"new node"},
                             .boot = 1,
                             .capacity = {.slots = 1},
                             .handlers = {"work"}},
             out);
  CHECK(state_of(tasks, 0) == task_state::running);                    // at once
  CHECK(tasks.answer(find_result{run_id{1}, 0}).value().attempt == 2); // lost once only
  auto workers = tasks.answer(list_workers{}).workers;
  REQUIRE(workers.size() == 1);
  CHECK(workers[0].worker > worker_id{2}); // no number is used again
}

TEST_CASE("what else is in a backup stays as it is when its workers are forgotten",
          "[node][backup]") {
  auto what = backup();
  REQUIRE_FALSE(cluster::forget_workers(what, number));
  CHECK(what.index == 20);
  CHECK(what.term == 2);
  CHECK(from_bytes<host::group_state>(what.state).value().sections.at(1) == "of another service");

  auto before = what = backup();
  REQUIRE_FALSE(cluster::forget_workers(what, 77)); // a cluster without tasks
  CHECK(what == before);
}

TEST_CASE("a backup whose tasks cannot be read, or not yet, is refused and stays as it is",
          "[node][backup]") {
  auto refused = [](host::group_backup what) {
    auto before = what;
    auto why = cluster::forget_workers(what, number);
    CHECK(what == before);
    INFO(why.detail);
    return why.code;
  };
  CHECK(refused({.state = "no state"}) == errc::damaged);
  host::group_state state;
  state.sections[number] = "no tasks";
  CHECK(refused({.state = to_bytes(state)}) == errc::damaged);
  CHECK(refused(backup_with([](auto& saved) { saved.rules = 1'000; })) == errc::incompatible);
  CHECK(refused(backup_with([](auto& saved) { saved.inside.workers.clear(); })) == errc::damaged);
  CHECK(refused(backup_with([](auto& saved) { saved.inside.last_worker = 0; })) == errc::damaged);
}

} // namespace restored_state_test
