#include "net/raw_peer.hpp"
#include "node/node_fixture.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/scheduler/workflow_client.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

using namespace std::literals;
using namespace troupe;

TEST_CASE("one node at a time holds a lock of the cluster", "[node]") {
  testing::cluster c{3};
  auto first = c[1].hold("db");
  REQUIRE(first);
  auto second = c[2].hold("db");
  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::lock_held);
  REQUIRE(first->release());
  auto third = c[2].hold("db");
  REQUIRE(third);
  CHECK(third->token() > first->token());
}

TEST_CASE("a lock and a worker that outlive their node have ended", "[node]") {
  std::optional<lock::auto_renew_lock> held;
  std::optional<scheduler::worker> worker;
  promise<void> lost;
  {
    testing::cluster c{1};
    held = c[0].hold("db", {}, [lost](const problem& why) { lost.set(why); }).value();
    worker = c[0].work({.name = "w"});
    CHECK(held->held());
  }
  CHECK_FALSE(held->held());
  CHECK(lost.answer(10s).wait().error().code == errc::withdrawn);
  CHECK(held->release().error().code == errc::withdrawn);
  CHECK_FALSE(worker->drain(10s));
}

TEST_CASE("a workflow runs on the workers of the cluster", "[node]") {
  testing::cluster c{3};
  scheduler::task_handlers handlers;
  handlers.handle("upper", [](const scheduler::task_call& call) -> result<std::string> {
    auto text = call.parent("greet") != nullptr ? *call.parent("greet") : call.input();
    std::ranges::transform(
      text, text.begin(), [](unsigned char each) { return static_cast<char>(std::toupper(each)); });
    return text;
  });
  handlers.handle_async(
    "greet", [](const scheduler::task_call& call) { call.finish("hi " + call.input()); });
  auto worker = c[1].work({.name = "w"}, handlers);
  auto run = c[2].workflows().service().ask(
    scheduler::submit{.name = "pair",
                      .tasks = {{.id = "greet", .handler = "greet", .input = "ann"},
                                {.id = "shout", .handler = "upper", .parents = {0}}}},
    5s);
  REQUIRE(run);
  CHECK(c.until([&] {
    auto found = c[0].workflows().service().ask(scheduler::find_run{run->run}, 5s);
    return found && found->run.state == scheduler::run_state::completed;
  }));
  auto shout = c[2].workflows().service().ask(scheduler::find_result{run->run, 1}, 5s);
  REQUIRE(shout);
  CHECK(shout->value == "HI ANN");
  CHECK(worker.drain(10s));
}

TEST_CASE("a client finds its cluster beside an address where a stranger listens", "[node]") {
  testing::cluster c{1};
  test::raw_server stranger{[](test::raw_peer& peer) {
    peer.receive(4);
    peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    peer.closes_within(20s);
  }};
  net::address there{"127.0.0.1", stranger.where().port()};
  SECTION("which is one of two") {
    auto client
      = cluster_client::connect({there, {"127.0.0.1", c[0].port()}}, 20s, {}, c.client_identity());
    REQUIRE(client);
    CHECK((*client)->await_services(20s));
  }
  SECTION("not where that is the only one, as it is told at once") {
    auto client = cluster_client::connect({there}, 1h, {}, c.client_identity());
    REQUIRE_FALSE(client);
    CHECK(client.error().code == errc::bad_argument);
  }
}

TEST_CASE("a light client uses what a member uses", "[node]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent("echo", [](const std::string& text) { return text; }));
  REQUIRE(c.until([&] { return c[0].find("echo").has_value(); }));
  auto client = c.connect(1);
  REQUIRE(client);
  auto answer = (*client)->request<std::string>(to_agent("echo"), 5s, "hello"s);
  REQUIRE(answer);
  CHECK(*answer == "hello");
  CHECK((*client)->services().registry.ask(registry::count_records{}, 5s));
}

namespace {

/// A run of one task, followed to its end.
struct single_task {
  testing::cluster& c;
  scheduler::run_id run;

  single_task(testing::cluster& where, scheduler::task_spec what) : c(where) {
    auto receipt = c[0].workflows().service().ask(
      scheduler::submit{.name = "one", .tasks = {std::move(what)}}, 5s);
    REQUIRE(receipt);
    run = receipt->run;
  }

  [[nodiscard]] scheduler::task_view look() const {
    auto found = c[0].workflows().service().ask(scheduler::find_run{run}, 5s);
    REQUIRE(found);
    return found->tasks.at(0);
  }

  scheduler::task_result end() {
    REQUIRE(c.until([&] { return is_final(look().state); }));
    auto found = c[0].workflows().service().ask(scheduler::find_result{run, 0}, 5s);
    REQUIRE(found);
    return *found;
  }
};

} // namespace

TEST_CASE("an agent does a task, wherever it lives", "[node]") {
  testing::cluster c{2};
  auto worker = c[1].work();
  REQUIRE(c[0].agent(
    "greeter", [](const std::string& name) { return "hello, " + name; }, [](int) { return 1; }));
  REQUIRE(c.until([&] { return c[1].find("greeter").has_value(); }));
  single_task greeting{c, {.id = "t", .handler = "agent:greeter", .input = "ann"}};
  CHECK(greeting.end().value == "hello, ann");
  SECTION("that nobody is fails it for good") {
    auto why = single_task{c, {.id = "t", .handler = "agent:nobody"}}.end();
    CHECK(why.why.code == errc::not_found);
    CHECK(why.attempt == 1);
  }
  SECTION("that answers no text fails it") {
    REQUIRE(c[1].agent("count", [](const std::string&) { return 1; }));
    auto why = single_task{c, {.id = "t", .handler = "agent:count"}}.end();
    CHECK(why.why.code == errc::bad_argument);
    CHECK(why.why.detail.find("std::string") != std::string::npos);
  }
  CHECK(worker.drain(10s));
}

TEST_CASE("a node that leaves ends its workers, and none registers again", "[node]") {
  testing::cluster c{2};
  auto ends = c[1].work({.name = "w"});
  single_task slow{c, {.id = "t", .handler = "sleep", .input = "60"}};
  REQUIRE(c.until([&] { return slow.look().state == scheduler::task_state::running; }));
  auto goes = c[1].id();
  CHECK(c[1].leave());
  CHECK_FALSE(ends.drain(10s)); // it has ended
  auto list = c[0].workflows().service().ask(scheduler::list_workers{}, 5s);
  REQUIRE(list);
  CHECK(std::ranges::none_of(list->workers, [&](auto& each) { return each.owner == goes; }));
  CHECK(slow.look().state == scheduler::task_state::ready);
}

TEST_CASE("a task of an agent that does not answer can be cancelled, and ends with its time",
          "[node]") {
  testing::cluster c{2};
  auto worker = c[1].work();
  auto asked = std::make_shared<std::atomic<int>>(0);
  auto kept = std::make_shared<std::vector<caf::response_promise>>();
  auto silent = c[0].system().spawn([=](caf::event_based_actor* self) -> caf::behavior {
    return {[=](const std::string&) -> caf::delegated<std::string> {
      kept->push_back(self->make_response_promise());
      ++*asked;
      return {};
    }};
  });
  REQUIRE(c[0].add_agent("silent", silent));
  REQUIRE(c.until([&] { return c[1].find("silent").has_value(); }));
  SECTION("cancelled") {
    single_task task{c, {.id = "t", .handler = "agent:silent"}};
    REQUIRE(c.until([&] { return *asked == 1; }));
    REQUIRE(c[0].workflows().service().ask(scheduler::cancel_run{task.run}, 5s));
    CHECK(c.until([&] { return is_final(task.look().state); }));
    CHECK(worker.drain(10s)); // it waits for no answer any more
  }
  SECTION("out of time") {
    single_task task{c,
                     {.id = "t",
                      .handler = "agent:silent",
                      .timeout = 200ms,
                      .retry = scheduler::retry_policy{.max_attempts = 1}}};
    CHECK(task.end().why.code == errc::timed_out);
  }
  kept->clear();
  caf::anon_send_exit(silent, caf::exit_reason::user_shutdown);
}

TEST_CASE("a worker that the scheduler does not take is named in the log", "[node]") {
  test::lines log;
  testing::cluster c{1, [&](std::size_t, node_options& how) { how.log = log; }};
  scheduler::worker_options bad{.name = "w", .capacity = {0, 0, 0, 0}};
  auto why = scheduler::check(bad);
  REQUIRE(why.code == errc::bad_argument);
  auto worker = c[0].work(bad);
  CHECK(c.until([&] {
    return log.contain("the scheduler does not take worker 'w': ") && log.contain(why.detail);
  }));
}

TEST_CASE("a client that ends leaves no session behind", "[node]") {
  testing::cluster c{2};
  auto held = c[1].hold("db", {30s});
  REQUIRE(held);
  auto waiting = [&] {
    auto found = c[0].locks().service().ask(lock::list_locks{}, 5s);
    return found && !found->locks.empty() ? found->locks.front().line.size() : 0;
  };
  {
    auto client = c.connect(1);
    REQUIRE(client);
    (*client)->services().locks.async(
      lock::acquire{"db", "somebody", 10s, 30s, "somebody", lock::lock_mode::exclusive}, 30s,
      [](const result<lock::lease>&) {});
    REQUIRE(c.until([&] { return waiting() == 1; }));
  }
  CHECK(waiting() == 0); // what a session waits for ends with it
}
