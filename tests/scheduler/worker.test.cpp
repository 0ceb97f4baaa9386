#include "troupe/scheduler/worker.hpp" // the header under test
#include "support/services.hpp"
#include "troupe/scheduler/scheduler_service.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "caf/send.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;
using testing::comes_true;

namespace {

/// A scheduler in memory with short leases, and workers for it.
struct live_workers : test::live_system<caf::id_block::troupe_scheduler> {
  scheduler_actor service = *host::spawn<scheduler_service>(
    sys, {.lease = 400ms, .busy_pause = 10ms, .unplaceable_patience = 500ms});
  host::client<scheduler_protocol> client{sys, service};

  ~live_workers() {
    client.reset();
    caf::anon_send_exit(service, caf::exit_reason::user_shutdown);
  }

  worker hands(task_handlers handlers = {}, std::uint64_t slots = 4) {
    worker_options how;
    how.capacity.slots = slots;
    return {sys, client, owner_id{"node"}, 1, how, std::move(handlers)};
  }

  run_id start(std::vector<task_spec> tasks) {
    submit what{.name = "run", .tasks = std::move(tasks)};
    what.retry.wait = backoff{1ms, 2ms};
    auto receipt = client.ask(what, 5s);
    REQUIRE(receipt);
    return receipt->run;
  }

  run_details look(run_id run) {
    auto found = client.ask(find_run{run}, 5s);
    REQUIRE(found);
    return *found;
  }

  run_state end_of(run_id run) {
    CHECK(comes_true([&] { return is_final(look(run).run.state); }));
    return look(run).run.state;
  }

  task_result result_of(run_id run, std::uint32_t task = 0) {
    auto found = client.ask(find_result{run, task}, 5s);
    REQUIRE(found);
    return *found;
  }

  std::vector<worker_view> workers() {
    auto found = client.ask(list_workers{}, 5s);
    REQUIRE(found);
    return found->workers;
  }
};

/// A blocking handler that runs until it is cancelled or let go.
struct long_work {
  std::shared_ptr<std::atomic<int>> begun = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<int>> cancelled = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<bool>> go = std::make_shared<std::atomic<bool>>(false);

  result<std::string> operator()(const task_call& call) const {
    ++*begun;
    comes_true([&] { return call.is_cancelled() || *go; });
    if (!call.is_cancelled())
      return std::string{"done"};
    ++*cancelled;
    return problem{errc::cancelled, "was asked to end"};
  }
};

task_handlers with(const std::string& name, blocking_handler what) {
  task_handlers result;
  result.handle(name, std::move(what));
  return result;
}

} // namespace

TEST_CASE_METHOD(live_workers, "a worker sleeps as long as it is told to", "[scheduler][worker]") {
  auto at_work = hands();
  auto began = std::chrono::steady_clock::now();
  auto run = start({{.id = "nap", .handler = "sleep", .input = "0.05"}});
  CHECK(end_of(run) == run_state::completed);
  CHECK(std::chrono::steady_clock::now() - began >= 50ms);
  SECTION("and refuses what is no span") {
    auto wrong = start({{.id = "nap", .handler = "sleep", .input = "soon"}});
    CHECK(end_of(wrong) == run_state::failed);
    auto why = result_of(wrong);
    CHECK(why.why.code == errc::bad_argument);
    CHECK(why.attempt == 1);
  }
}

TEST_CASE_METHOD(live_workers, "a handler gets the input and what its parents gave",
                 "[scheduler][worker]") {
  task_handlers handlers;
  handlers.handle("say", [](const task_call& call) -> result<std::string> {
    auto* before = call.parent("first");
    return (before != nullptr ? *before + ", " : std::string{}) + call.input();
  });
  auto at_work = hands(handlers);
  auto run = start({{.id = "first", .handler = "say", .input = "hello"},
                    {.id = "second", .handler = "say", .input = "world", .parents = {0}}});
  REQUIRE(end_of(run) == run_state::completed);
  CHECK(result_of(run, 1).value == "hello, world");
}

TEST_CASE_METHOD(live_workers, "whatever a handler throws fails its task and nothing else",
                 "[scheduler][worker]") {
  task_handlers handlers;
  handlers.handle("number", [](const task_call&) -> result<std::string> { throw 42; });
  handlers.handle_async("text", [](const task_call&) { throw "a text"; }); // NOLINT
  handlers.handle_async("exception", [](const task_call&) { throw std::runtime_error{"late"}; });
  auto at_work = hands(handlers);
  for (auto* each : {"number", "text", "exception"}) {
    INFO(each);
    auto run = start({{.id = "t", .handler = each}});
    CHECK(end_of(run) == run_state::failed);
    auto why = result_of(run).why;
    CHECK(why.code == errc::failed);
    CHECK(why.detail.find("the handler '"s + each + "' threw: ") != std::string::npos);
    CHECK(why.detail.find(each == "exception"s ? "late" : "not a std::exception")
          != std::string::npos);
  }
  auto later = start({{.id = "t", .handler = "sleep", .input = "0"}});
  CHECK(end_of(later) == run_state::completed); // the worker goes on
}

TEST_CASE_METHOD(live_workers, "a task whose handler throws is tried again",
                 "[scheduler][worker]") {
  auto tries = std::make_shared<std::atomic<int>>(0);
  auto at_work = hands(with("shaky", [tries](const task_call&) -> result<std::string> {
    if (++*tries < 3)
      throw std::runtime_error{"shaken"};
    return std::string{"steady"};
  }));
  auto run = start({{.id = "t", .handler = "shaky"}});
  CHECK(end_of(run) == run_state::completed);
  CHECK(*tries == 3);
  CHECK(result_of(run).value == "steady");
  SECTION("as often as its policy says, and the last words are kept") {
    *tries = -1'000;
    auto failing = start({{.id = "t", .handler = "shaky"}});
    CHECK(end_of(failing) == run_state::failed);
    CHECK(result_of(failing).why.detail.find("shaken") != std::string::npos);
  }
}

TEST_CASE_METHOD(live_workers, "a cancelled task's handler is told", "[scheduler][worker]") {
  long_work work;
  auto at_work = hands(with("long", work));
  auto run = start({{.id = "t", .handler = "long"}});
  REQUIRE(comes_true([&] { return *work.begun == 1; }));
  REQUIRE(client.ask(cancel_run{run}, 5s));
  CHECK(comes_true([&] { return *work.cancelled == 1; }));
  CHECK(end_of(run) == run_state::cancelled);
  CHECK(comes_true([&] { return workers().at(0).attempts == 0; }));
}

TEST_CASE_METHOD(live_workers, "how far a task is can be watched", "[scheduler][worker]") {
  auto go = std::make_shared<std::atomic<bool>>(false);
  auto at_work = hands(with("long", [go](const task_call& call) -> result<std::string> {
    for (std::uint16_t permille = 0; permille <= 500; ++permille)
      call.progress(permille);
    comes_true([&] { return go->load(); });
    return std::string{};
  }));
  auto run = start({{.id = "t", .handler = "long"}});
  CHECK(comes_true([&] { return look(run).tasks.at(0).progress_permille == 500; }));
  *go = true;
  CHECK(end_of(run) == run_state::completed);
}

TEST_CASE_METHOD(live_workers, "a drained worker ends what it has and gets nothing new",
                 "[scheduler][worker]") {
  long_work work;
  auto at_work = hands(with("long", work));
  auto run = start({{.id = "t", .handler = "long"}});
  REQUIRE(comes_true([&] { return *work.begun == 1; }));
  CHECK_FALSE(at_work.drain(50ms));
  *work.go = true;
  CHECK(end_of(run) == run_state::completed);
  CHECK(comes_true([&] { return workers().empty(); }));
  auto later = start({{.id = "t", .handler = "long"}});
  CHECK_FALSE(comes_true([&] { return look(later).tasks.at(0).attempt > 0; }, 300ms));
  CHECK(workers().empty());
}

TEST_CASE_METHOD(live_workers, "a worker takes no more than it has room for",
                 "[scheduler][worker]") {
  long_work work;
  auto at_work = hands(with("long", work), 2);
  std::vector<task_spec> tasks;
  for (auto* each : {"a", "b", "c"})
    tasks.push_back({.id = each, .handler = "long"});
  auto run = start(tasks);
  REQUIRE(comes_true([&] { return *work.begun == 2; }));
  CHECK(look(run).run.counts.at(static_cast<std::size_t>(task_state::ready)) == 1);
  *work.go = true;
  CHECK(end_of(run) == run_state::completed);
  CHECK(*work.begun == 3);
}

TEST_CASE_METHOD(live_workers, "handlers are cancelled when the lease could not be renewed",
                 "[scheduler][worker]") {
  long_work work;
  auto at_work = hands(with("long", work), 1);
  auto run = start({{.id = "t", .handler = "long"}});
  REQUIRE(comes_true([&] { return *work.begun == 1; }));
  client.set_target(caf::strong_actor_ptr{}); // the link is gone
  CHECK(comes_true([&] { return *work.cancelled == 1; }));
  client.set_target(service);
  *work.go = true;
  CHECK(end_of(run) == run_state::completed);
  CHECK(*work.begun == 2);
  CHECK(result_of(run).attempt == 2);
}

TEST_CASE_METHOD(live_workers, "what a forgotten worker ran gives its room back when it ends",
                 "[scheduler][worker]") {
  std::atomic<bool> go = false;
  auto begun = std::make_shared<std::atomic<int>>(0);
  auto at_work = hands(with("stubborn",
                            [&go, begun](const task_call&) -> result<std::string> {
                              ++*begun;
                              comes_true([&] { return go.load(); }); // whatever it is told
                              return std::string{};
                            }),
                       1);
  auto run = start({{.id = "t", .handler = "stubborn"}});
  REQUIRE(comes_true([&] { return *begun == 1; }));
  REQUIRE(client.ask(worker_lost{owner_id{"node"}, 1, {}}, 5s));
  go = true;
  CHECK(end_of(run) == run_state::completed);
  CHECK(end_of(start({{.id = "t", .handler = "stubborn"}})) == run_state::completed);
}

TEST_CASE_METHOD(live_workers, "a task for which nobody has a handler fails in the end",
                 "[scheduler][worker]") {
  auto at_work = hands();
  auto run = start({{.id = "t", .handler = "unheard-of"}});
  CHECK(end_of(run) == run_state::failed);
  CHECK(look(run).tasks.at(0).why.code != errc::none);
}
