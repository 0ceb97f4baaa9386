#include "troupe/workflow/dag.hpp" // the header under test

#include "troupe/core/codec.hpp"
#include "troupe/workflow/dag_builder.hpp"

#include <boost/graph/topological_sort.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace dag_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::workflow;

namespace {

/// Returns a task with nothing but these.
task named(std::string id, std::vector<std::string> parents = {}) {
  task result;
  result.id = std::move(id);
  result.parents = std::move(parents);
  return result;
}

/// Returns a task that `change` made special.
template <class Change>
task special(Change change) {
  auto result = named("a");
  change(result);
  return result;
}

std::vector<std::string> ids(const dag& flow, std::span<const task_index> tasks) {
  std::vector<std::string> result;
  for (auto each : tasks)
    result.push_back(flow[each].id);
  return result;
}

using names = std::vector<std::string>;

} // namespace

SCENARIO("a workflow is written down in any order and read in one that can run", "[workflow]") {
  GIVEN("a diamond, its last task first") {
    auto flow = make_dag({"diamond",
                          {named("report", {"right", "left"}), named("left", {"fetch"}),
                           named("right", {"fetch"}), named("fetch")}});
    REQUIRE(flow);
    THEN("each task comes after its parents, level by level and by id") {
      CHECK(ids(*flow, flow->topological_order()) == names{"fetch", "left", "right", "report"});
    }
    THEN("sources, sinks, parents and children are those drawn") {
      CHECK(ids(*flow, flow->sources()) == names{"fetch"});
      CHECK(ids(*flow, flow->sinks()) == names{"report"});
      CHECK(ids(*flow, flow->parents(flow->find("report").value())) == names{"left", "right"});
      CHECK(ids(*flow, flow->children(flow->find("fetch").value())) == names{"left", "right"});
    }
    THEN("a task is found by its id, and only by that") {
      CHECK((*flow)[flow->find("left").value()].id == "left");
      CHECK_FALSE(flow->find("lef"));
      CHECK_FALSE(flow->find("z"));
    }
    WHEN("it is written down in another order") {
      auto again = make_dag({"diamond",
                             {named("fetch"), named("right", {"fetch"}), named("left", {"fetch"}),
                              named("report", {"left", "right"})}});
      THEN("it is the same dag") {
        CHECK(*again == *flow);
      }
    }
  }
}

TEST_CASE("a cycle is named from task to task", "[workflow]") {
  auto flow = make_dag({"",
                        {named("a", {"c"}), named("b", {"a"}), named("c", {"b", "start"}),
                         named("start"), named("waits", {"c"})}});
  REQUIRE_FALSE(flow);
  CHECK(flow.error().code == errc::bad_argument);
  CHECK(flow.error().detail
        == "tasks wait for each other in a cycle: a → b → c → a; remove one of these dependencies");
}

TEST_CASE("a long cycle is named by its ends", "[workflow]") {
  definition given;
  for (auto number = 1000; number < 1100; ++number)
    given.tasks.push_back(named("t" + std::to_string(number),
                                {"t" + std::to_string(number == 1000 ? 1099 : number - 1)}));
  auto flow = make_dag(given);
  REQUIRE_FALSE(flow);
  CHECK(flow.error().detail.find("t1008 → t1009 → … (80 more) → t1090") != std::string::npos);
  CHECK(flow.error().detail.find("t1099 → t1000; ") != std::string::npos);
}

TEST_CASE("a workflow that cannot run is refused with the place", "[workflow]") {
  struct refusal {
    std::string what;
    std::vector<task> tasks;
    errc code;
    std::string sentence; // a part of it
  };
  dag_options small{.max_tasks = 3,
                    .max_edges = 2,
                    .max_name_bytes = 8,
                    .max_input_bytes = 4,
                    .max_labels = 1,
                    .max_span = 1h};
  auto alone = [](auto change) { return std::vector{special(change)}; };
  std::vector<refusal> refusals{
    {"no task", {}, errc::bad_argument, "at least one"},
    {"an empty id", {named("a"), named("")}, errc::bad_argument, "tasks[1] (\"\"): id is empty"},
    {"an id twice",
     {named("b"), named("a"), named("b")},
     errc::bad_argument,
     "tasks[2] (\"b\"): tasks[0] has the same id"},
    {"a parent that is missing",
     {named("b", {"a", "x"}), named("a")},
     errc::bad_argument,
     "tasks[0] (\"b\"): parent \"x\" is no task"},
    {"a parent twice",
     {named("a"), named("b", {"a", "a"})},
     errc::bad_argument,
     "tasks[1] (\"b\"): parent \"a\" is listed twice"},
    {"its own parent", {named("a", {"a"})}, errc::bad_argument, "\"a\" is the task itself"},
    {"a negative run time", alone([](task& x) { x.run_time = -1500ms; }), errc::bad_argument,
     "tasks[0] (\"a\"): run_time is -1.5 s; give 0 or more"},
    {"a run time beyond the bound", alone([](task& x) { x.run_time = 3601s; }), errc::too_large,
     "run_time is 3601 s; give at most 3600 s (dag_options::max_span)"},
    {"no time at all", alone([](task& x) { x.timeout = 0s; }), errc::bad_argument, "timeout is 0"},
    {"a negative timeout", alone([](task& x) { x.timeout = -1s; }), errc::bad_argument,
     "timeout is -1 s"},
    {"no cores", alone([](task& x) { x.cores = 0; }), errc::bad_argument, "cores is 0"},
    {"a long id", {named("123456789")}, errc::too_large, "id has 9 bytes"},
    {"a long handler", alone([](task& x) { x.handler = "123456789"; }), errc::too_large,
     "handler has 9"},
    {"a long group", alone([](task& x) { x.group = "123456789"; }), errc::too_large, "group has 9"},
    {"a large input", alone([](task& x) { x.input = "12345"; }), errc::too_large,
     "input has 5 bytes; give at most 4 (dag_options::max_input_bytes)"},
    {"many labels", alone([](task& x) {
       x.labels = {{"a", "1"}, {"b", "2"}};
     }),
     errc::too_large, "labels has 2 entries"},
    {"a label that rings", alone([](task& x) {
       x.labels = {{"a", "\a"}};
     }),
     errc::bad_argument, "a label is \"?\""},
    {"an id that moves the cursor", {named("a\x1b[2J")}, errc::bad_argument, "id is \"a?[2J\""},
    {"an id that is not UTF-8", {named("a\xff")}, errc::bad_argument, "id is \"a?\""},
    {"many tasks",
     {named("a"), named("b"), named("c"), named("d")},
     errc::too_large,
     "tasks has 4 entries; give at most 3 (dag_options::max_tasks)"},
    {"many edges",
     {named("a"), named("b", {"a"}), named("c", {"a", "b"})},
     errc::too_large,
     "tasks[2] (\"c\"): the tasks up to here have 3 parents together; give at most 2"},
  };
  for (auto& each : refusals) {
    INFO(each.what);
    auto flow = make_dag({"", each.tasks}, small);
    REQUIRE_FALSE(flow);
    INFO(flow.error().detail);
    CHECK(flow.error().code == each.code);
    CHECK(flow.error().detail.find(each.sentence) != std::string::npos);
  }
}

TEST_CASE("run times whose sum no clock can hold are refused", "[workflow]") {
  definition given;
  for (auto number = 0; number < 300; ++number)
    given.tasks.push_back(special([&](task& x) {
      x.id = std::to_string(number);
      x.run_time = 24h * 366;
    }));
  auto flow = make_dag(given);
  REQUIRE_FALSE(flow);
  CHECK(flow.error().code == errc::too_large);
}

TEST_CASE("a workflow is built in C++", "[workflow]") {
  dag_builder builder{"nightly"};
  builder.task("mail").after("fetch", "count").retries(3).timeout(10s).priority(7);
  builder.task("fetch").runs("download", "https://example.org/data").takes(2s).memory_bytes(1'000);
  builder.task("count").after("fetch"s).runs("count").cores(2).gpus(1);
  builder.in_group("big").needs_label("zone", "north");
  auto flow = builder.build();
  REQUIRE(flow);
  CHECK(flow->name() == "nightly");
  CHECK(ids(*flow, flow->topological_order()) == names{"fetch", "count", "mail"});
  auto fetch = named("fetch");
  fetch.handler = "download";
  fetch.input = "https://example.org/data";
  fetch.run_time = 2s;
  fetch.memory_bytes = 1'000;
  CHECK((*flow)[flow->find("fetch").value()] == fetch);
  auto count = named("count", {"fetch"});
  count.handler = "count";
  count.cores = 2;
  count.gpus = 1;
  count.group = "big";
  count.labels = {{"zone", "north"}};
  CHECK((*flow)[flow->find("count").value()] == count);
  auto mail = named("mail", {"count", "fetch"});
  mail.retries = 3;
  mail.timeout = 10s;
  mail.priority = 7;
  CHECK((*flow)[flow->find("mail").value()] == mail);
}

TEST_CASE("a definition survives a round trip through bytes and is still the same dag",
          "[workflow]") {
  auto builder = dag_builder{"trip"};
  builder.task("b").after("a").runs("render", "frame 7").retries(0).timeout(1ms);
  builder.task("a").takes(12'015ms).needs_label("os", "linux");
  auto sent = builder.build();
  REQUIRE(sent);
  auto received = from_bytes<definition>(to_bytes(sent->as_definition()));
  REQUIRE(received);
  CHECK(*make_dag(*received) == *sent);
}

TEST_CASE("Boost's own algorithms run on a dag", "[workflow]") {
  auto flow = dag_builder{}.task("c").after("b").task("b").after("a").task("a").build();
  REQUIRE(flow);
  std::vector<task_index> backwards;
  boost::topological_sort(flow->graph().forward(), std::back_inserter(backwards));
  std::reverse(backwards.begin(), backwards.end());
  CHECK(std::ranges::equal(backwards, flow->topological_order()));
}

} // namespace dag_test
