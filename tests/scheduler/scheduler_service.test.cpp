#include "troupe/scheduler/scheduler_service.hpp" // the header under test
#include "support/services.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <string>
#include <vector>

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;
using host::call;

namespace {

struct clocked_schedulers
  : test::clocked_services<caf::id_block::troupe_scheduler, scheduler_service> {
  template <class Command>
  auto ask(const scheduler_actor& hdl, const Command& what) {
    return clocked_services::ask(hdl, call{}, what);
  }

  template <class Question>
  auto look(const scheduler_actor& hdl, const Question& what) {
    return clocked_services::ask(hdl, what);
  }

  scheduler_actor start(bool on_disk) {
    return clocked_services::start<scheduler_service>(on_disk, "scheduler");
  }
};

register_worker worker_named(const std::string& name) {
  return {.name = name,
          .owner = owner_id{"node"},
          .boot = 1,
          .capacity = {.slots = 2},
          .handlers = {"work"}};
}

submit two_in_a_row() {
  return {.name = "pair",
          .tasks = {{.id = "first", .handler = "work"},
                    {.id = "second", .handler = "work", .parents = {0}}}};
}

} // namespace

TEST_CASE_METHOD(clocked_schedulers, "a scheduler service answers alike on every host",
                 "[scheduler][service]") {
  auto on_disk = GENERATE(false, true);
  INFO((on_disk ? "durable" : "in memory"));
  auto hdl = start(on_disk);
  auto worker = ask(hdl, worker_named("ann"));
  REQUIRE(worker);
  SECTION("a worker that waits for orders gets them when there is work") {
    auto waiting = send(hdl, watch_assignments{worker->worker, 1, 0, 20s});
    world.run();
    auto run = ask(hdl, two_in_a_row());
    REQUIRE(run);
    auto orders = receive(waiting);
    REQUIRE(orders);
    REQUIRE(orders->assignments.size() == 1);
    CHECK(orders->assignments[0].task == "first");
    SECTION("and its result goes into the next task") {
      auto receipt = ask(
        hdl, report{worker->worker, 1, {{.what = orders->assignments[0].what, .value = "42"}}});
      REQUIRE(receipt);
      CHECK(receipt->taken == 1);
      auto next = look(hdl, watch_assignments{worker->worker, 1, orders->sequence, 20s});
      REQUIRE(next);
      REQUIRE(next->assignments.size() == 1);
      CHECK(next->assignments[0].parents == std::vector<parent_result>{{"first", "42"}});
    }
  }
  SECTION("who waits for orders in vain is told so") {
    auto waiting = send(hdl, watch_assignments{worker->worker, 1, 0, 2s});
    world.run();
    world.advance(2s);
    auto orders = receive(waiting);
    REQUIRE(orders);
    CHECK(orders->assignments.empty());
  }
  SECTION("a refusal is a troupe::errc with a sentence") {
    auto why = ask(hdl, submit{.name = "none", .tasks = {}});
    REQUIRE_FALSE(why);
    CHECK(why.error().code == errc::bad_argument);
    CHECK(look(hdl, find_run{run_id{99}}).error().code == errc::not_found);
  }
  stop(hdl);
}

TEST_CASE_METHOD(clocked_schedulers, "a durable scheduler goes on where it ended",
                 "[scheduler][service]") {
  auto hdl = start(true);
  auto worker = ask(hdl, worker_named("ann"));
  REQUIRE(worker);
  auto run = ask(hdl, two_in_a_row());
  REQUIRE(run);
  auto orders = look(hdl, watch_assignments{worker->worker, 1});
  REQUIRE(orders);
  stop(hdl);
  hdl = start(true);
  auto again = look(hdl, watch_assignments{worker->worker, 1});
  REQUIRE(again);
  CHECK(again->assignments == orders->assignments);
  REQUIRE(ask(hdl, report{worker->worker, 1, {{.what = again->assignments[0].what}}}));
  CHECK(look(hdl, find_run{run->run})->tasks[0].state == task_state::completed);
  stop(hdl);
}

TEST_CASE_METHOD(clocked_schedulers, "other nodes can spawn the scheduler by name",
                 "[scheduler][service]") {
  auto hdl = start_by_name<scheduler_actor>("troupe.scheduler", scheduler_options{});
  CHECK(ask(hdl, worker_named("ann")));
  stop(hdl);
}
