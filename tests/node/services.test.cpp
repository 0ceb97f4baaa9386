#include "node/node_fixture.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/scheduler/submission.hpp"

#include <algorithm>
#include <cctype>

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
  auto run = c[2].scheduler().ask(
    scheduler::submit{.name = "pair",
                      .tasks = {{.id = "greet", .handler = "greet", .input = "ann"},
                                {.id = "shout", .handler = "upper", .parents = {0}}}},
    5s);
  REQUIRE(run);
  CHECK(c.until([&] {
    auto found = c[0].scheduler().ask(scheduler::find_run{run->run}, 5s);
    return found && found->run.state == scheduler::run_state::completed;
  }));
  auto shout = c[2].scheduler().ask(scheduler::find_result{run->run, 1}, 5s);
  REQUIRE(shout);
  CHECK(shout->value == "HI ANN");
  CHECK(worker.drain(10s));
}

TEST_CASE("a light client uses what a member uses", "[node]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent("echo", [](const std::string& text) { return text; }).code == errc::none);
  REQUIRE(c.until([&] { return c[0].find("echo").has_value(); }));
  auto client = cluster_client::connect({{"127.0.0.1", c[1].port()}});
  REQUIRE(client);
  auto answer = (*client)->request<std::string>(to_agent("echo"), 5s, "hello"s);
  REQUIRE(answer);
  CHECK(*answer == "hello");
  CHECK((*client)->services().registry.ask(registry::count_records{}, 5s));
}
