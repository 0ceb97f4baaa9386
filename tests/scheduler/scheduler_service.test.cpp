#include "troupe/scheduler/scheduler_service.hpp" // the header under test
#include "support/temporary_folder.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/host/durable.hpp"
#include "troupe/storage/sqlite_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/scheduler/test_coordinator.hpp"
#include "caf/scoped_actor.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;
using host::call;

namespace {

struct config : caf::actor_system_config {
  config() {
    init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                  caf::id_block::troupe_scheduler>();
    set("caf.scheduler.policy", "testing");
    host::add_service<scheduler_service>(*this);
  }
};

/// One system whose scheduler and clock move only when the test says so. Disks have
/// threads of their own, so the test waits for what it expects of them.
struct fixture {
  config cfg;
  caf::actor_system sys{cfg};
  caf::scheduler::test_coordinator& sched
    = dynamic_cast<caf::scheduler::test_coordinator&>(sys.scheduler());
  caf::scoped_actor self{sys};
  test::temporary_folder folder;

  /// Lets actors run until `condition` holds.
  template <class Condition>
  void until(Condition condition) {
    auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline)
        FAIL("waited 20 s in vain");
      sched.run();
      std::this_thread::yield();
    }
  }

  template <class Result, class Pending>
  caf::expected<Result> receive(Pending&& pending) {
    until([this] { return !self->mailbox().empty(); });
    caf::expected<Result> result{caf::error{}};
    pending.receive([&](Result& value) { result = std::move(value); },
                    [&](caf::error& why) { result = std::move(why); });
    return result;
  }

  template <class Command>
  caf::expected<typename Command::result> ask(const scheduler_actor& hdl, const Command& what) {
    return receive<typename Command::result>(self->request(hdl, caf::infinite, call{}, what));
  }

  template <class Question>
  caf::expected<typename Question::result> look(const scheduler_actor& hdl, const Question& what) {
    return receive<typename Question::result>(self->request(hdl, caf::infinite, what));
  }

  scheduler_actor start(bool on_disk) {
    if (!on_disk)
      return *host::spawn<scheduler_service>(sys);
    auto log = std::make_unique<storage::sqlite_log>(folder / "scheduler");
    auto hdl = host::spawn<scheduler_service>(sys, {}, host::durable{std::move(log)});
    REQUIRE(hdl);
    return *hdl;
  }

  void stop(scheduler_actor& hdl) {
    self->send_exit(hdl, caf::exit_reason::user_shutdown);
    sched.run();
    hdl = nullptr;
  }
};

register_worker worker_named(const std::string& name) {
  return {.name = name, .owner = "node", .boot = 1, .capacity = {.slots = 2}, .handlers = {"work"}};
}

submit two_in_a_row() {
  return {.name = "pair",
          .tasks = {{.id = "first", .handler = "work"},
                    {.id = "second", .handler = "work", .parents = {0}}}};
}

} // namespace

TEST_CASE_METHOD(fixture, "a scheduler service answers alike on every host",
                 "[scheduler][service]") {
  auto on_disk = GENERATE(false, true);
  INFO((on_disk ? "durable" : "in memory"));
  auto hdl = start(on_disk);
  auto worker = ask(hdl, worker_named("ann"));
  REQUIRE(worker);
  SECTION("a worker that waits for orders gets them when there is work") {
    auto waiting = self->request(hdl, caf::infinite, watch_assignments{worker->worker, 1, 0, 20s});
    sched.run();
    auto run = receive<run_receipt>(self->request(hdl, caf::infinite, call{}, two_in_a_row()));
    REQUIRE(run);
    auto orders = receive<worker_orders>(waiting);
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
    auto waiting = self->request(hdl, caf::infinite, watch_assignments{worker->worker, 1, 0, 2s});
    sched.run();
    sched.advance_time(2s);
    auto orders = receive<worker_orders>(waiting);
    REQUIRE(orders);
    CHECK(orders->assignments.empty());
  }
  SECTION("a refusal is a troupe::errc with a sentence") {
    auto why = ask(hdl, submit{.name = "none", .tasks = {}});
    REQUIRE_FALSE(why);
    CHECK(why.error() == errc::bad_argument);
    CHECK(look(hdl, find_run{run_id{99}}).error() == errc::not_found);
  }
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "a durable scheduler goes on where it ended", "[scheduler][service]") {
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

TEST_CASE_METHOD(fixture, "other nodes can spawn the scheduler by name", "[scheduler][service]") {
  auto made = sys.spawn<caf::actor>(
    "troupe.scheduler", caf::make_message(scheduler_options{}, caf::strong_actor_ptr{}));
  REQUIRE(made);
  auto hdl = caf::actor_cast<scheduler_actor>(*made);
  CHECK(ask(hdl, worker_named("ann")));
  stop(hdl);
}
