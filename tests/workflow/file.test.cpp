#include "troupe/workflow/file.hpp" // the header under test

#include "support/temporary_folder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <sys/stat.h>

namespace file_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::workflow;

namespace {

/// Returns a troupe-dag/1 file with these tasks.
std::string ours(const std::string& tasks) {
  return R"({"schema":"troupe-dag/1","name":"w","tasks":[)" + tasks + "]}";
}

/// Returns a WfFormat file with these tasks.
std::string theirs(const std::string& specification, const std::string& execution) {
  return R"({"name":"w","schemaVersion":"1.5","workflow":{"specification":{"tasks":[)"
         + specification + R"(]},"execution":{"tasks":[)" + execution + "]}}}";
}

/// Returns a WfFormat file of an earlier version with these tasks.
std::string earlier(const std::string& version, const std::string& tasks) {
  return R"({"name":"w","schemaVersion":")" + version + R"(","workflow":{"tasks":[)" + tasks
         + "]}}";
}

struct refusal {
  std::string text;
  errc code;
  std::string sentence; // a part of it
};

void check(const std::vector<refusal>& refusals, const file_limits& limits = {}) {
  for (auto& each : refusals) {
    INFO(each.text.substr(0, 200));
    auto flow = parse_workflow(each.text, limits);
    REQUIRE_FALSE(flow);
    INFO(flow.error().detail);
    CHECK(flow.error().code == each.code);
    CHECK(flow.error().detail.find(each.sentence) != std::string::npos);
    CHECK(flow.error().detail.size() < 400);
  }
}

} // namespace

TEST_CASE("everything that a troupe-dag/1 file can say arrives", "[workflow]") {
  auto flow = parse_workflow(ours(R"({"id":"b","runtime_s":12.015,"parents":["a"],"cores":2,
    "gpus":1,"memory_bytes":9007199254740993,"priority":-20,"run":"render","input":"frame 7",
    "retries":3,"timeout_s":0.25,"group":"big","labels":{"zone":"north"}},{"id":"a"})"));
  REQUIRE(flow);
  CHECK(flow->name() == "w");
  task a;
  a.id = "a";
  task b;
  b.id = "b";
  b.run_time = 12'015ms;
  b.parents = {"a"};
  b.cores = 2;
  b.gpus = 1;
  b.memory_bytes = 9'007'199'254'740'993; // a double has no room for it
  b.priority = -20;
  b.handler = "render";
  b.input = "frame 7";
  b.retries = 3;
  b.timeout = 250ms;
  b.group = "big";
  b.labels = {{"zone", "north"}};
  CHECK(flow->as_definition() == definition{"w", {a, b}});
}

TEST_CASE("run times are exact to the nanosecond", "[workflow]") {
  auto read = [](const std::string& number) {
    return (*parse_workflow(ours(R"({"id":"a","runtime_s":)" + number + "}")))[0].run_time;
  };
  CHECK(read("0.000000001") == 1ns);
  CHECK(read("4.004") == 4'004ms); // 4003999999.9999995 ns as a double
  CHECK(read("4294967.296000001") == 4'294'967'296'000'001ns);
  CHECK(read("31536000") == 24h * 365);
  CHECK(read("1e-10") == 0ns);
  CHECK(read("-0.0") == 0ns);
}

TEST_CASE("an input that is no text arrives as its JSON text", "[workflow]") {
  auto flow = parse_workflow(ours(R"({"id":"a","input":{"frames":[1,2]}},{"id":"b","input":5},
    {"id":"c","input":"5"},{"id":"d","input":null})"));
  REQUIRE(flow);
  CHECK((*flow)[0].input == R"({"frames":[1,2]})");
  CHECK((*flow)[1].input == "5");
  CHECK((*flow)[2].input == "5");
  CHECK((*flow)[3].input.empty());
}

TEST_CASE("a file that is no workflow is refused with what it is", "[workflow]") {
  check({
    {"", errc::bad_argument, "it is empty"},
    {"   ", errc::bad_argument, "line 1, column 3"},
    {"{\"schema\":\n \"troupe-dag/1\"", errc::bad_argument, "line 2, column 15"},
    {"[]", errc::bad_argument, "this is no workflow"},
    {"{}", errc::bad_argument, "neither \"schema\": \"troupe-dag/1\" nor"},
    {R"({"schema":"troupe-dag/2","tasks":[]})", errc::bad_argument,
     "schema is \"troupe-dag/2\"; this version reads troupe-dag/1"},
    {R"({"schema":"troupe-dag/1"})", errc::bad_argument, "tasks is missing"},
    {R"({"schema":"troupe-dag/1","tasks":{}})", errc::bad_argument,
     "tasks is an object; give a list"},
    {R"({"schema":"troupe-dag/1","tasks":[],"task":[]})", errc::bad_argument,
     "unknown key \"task\"; known are schema, name,"},
    {ours(""), errc::bad_argument, "at least one"},
    {std::string(10'000, '['), errc::too_large, "nested deeper"},
    {ours(std::string(10'000, '[') + std::string(10'000, ']')), errc::too_large, "nested deeper"},
    {ours(R"({"id":"a","input":)" + std::string(10'000, '[') + std::string(10'000, ']') + "}"),
     errc::too_large, "nested deeper"},
    {ours("{\"id\":\"\xff\"}"), errc::bad_argument, "line 1, column"},
  });
}

TEST_CASE("a field that is wrong is refused with the task", "[workflow]") {
  check({
    {ours(R"({"id":"a"},{"id":"b","runtime_s":-1})"), errc::bad_argument,
     "tasks[1] (\"b\"): runtime_s is -1; give 0 or more"},
    {ours(R"({"id":"a","runtime_s":-0.5})"), errc::bad_argument, "runtime_s is -0.5; give 0"},
    {ours(R"({"id":"a","runtime_s":"1"})"), errc::bad_argument,
     "tasks[0] (\"a\"): runtime_s is \"1\"; give a number of seconds"},
    {ours(R"({"id":"a","runtime_s":1e300})"), errc::bad_argument, "give less than 285 years"},
    {ours(R"({"id":"a","runtime_s":1e400})"), errc::bad_argument, "line 1"},
    {ours(R"({"id":"a","runtime_s":1e9})"), errc::too_large, "dag_options::max_span"},
    {ours(R"({"id":"a","retrys":1})"), errc::bad_argument,
     "tasks[0] (\"a\"): unknown key \"retrys\"; known are id, runtime_s,"},
    {ours(R"({"runtime_s":1})"), errc::bad_argument, "tasks[0] (\"\"): id is missing"},
    {ours(R"({"id":7})"), errc::bad_argument, "id is 7; give a text"},
    {ours(R"({"id":""})"), errc::bad_argument, "id is empty"},
    {ours("7"), errc::bad_argument, "tasks[0] (\"\"): this is 7; give an object in braces"},
    {ours(R"({"id":"a","parents":"b"})"), errc::bad_argument, "parents is \"b\"; give a list"},
    {ours(R"({"id":"a","parents":["b",7]})"), errc::bad_argument, "parents[1] is 7; give a text"},
    {ours(R"({"id":"a","cores":1.5})"), errc::bad_argument,
     "cores is 1.5; give a whole number from 0 to 4294967295"},
    {ours(R"({"id":"a","cores":-1})"), errc::bad_argument, "cores is -1; give a whole number"},
    {ours(R"({"id":"a","cores":4294967296})"), errc::bad_argument, "cores is 4294967296; give"},
    {ours(R"({"id":"a","retries":1000})"), errc::bad_argument,
     "retries is 1000; give a whole number from 0 to 999"},
    {ours(R"({"id":"a","retries":-1})"), errc::bad_argument,
     "retries is -1; give a whole number from 0 to 999"},
    {ours(R"({"id":"a","cores":0})"), errc::bad_argument, "cores is 0; give 1 or more"},
    {ours(R"({"id":"a","priority":1e18})"), errc::bad_argument, "priority is"},
    {ours(R"({"id":"a","timeout_s":0})"), errc::bad_argument, "timeout is 0 s"},
    {ours(R"({"id":"a","labels":["x"]})"), errc::bad_argument, "labels is a list"},
    {ours(R"({"id":"a","labels":{"x":1}})"), errc::bad_argument, "labels.\"x\" is 1; give a text"},
    {ours(R"({"id":"a","parents":["b"]})"), errc::bad_argument, "parent \"b\" is no task"},
    {ours(R"({"id":"a"},{"id":"a"})"), errc::bad_argument, "tasks[0] has the same id"},
    {ours(R"({"id":"a","parents":["b"]},{"id":"b","parents":["a"]})"), errc::bad_argument,
     "a → b → a"},
    {ours(R"({"id":")" + std::string(100'000, 'a') + R"("})"), errc::too_large,
     "id has 100000 bytes"},
    {ours(R"({"id":"a\u001b[2J"})"), errc::bad_argument, "tasks[0] (\"a?[2J\"): id is"},
  });
}

TEST_CASE("a WfFormat file may name an edge at either of its ends", "[workflow]") {
  auto flow = parse_workflow(theirs(
    R"({"name":"x","id":"c","parents":["a"],"children":[]},
       {"name":"x","id":"b","parents":["a","a"],"children":["c"]},
       {"name":"x","id":"a","parents":[],"children":["b"]})",
    R"({"id":"a","runtimeInSeconds":0.5,"coreCount":4.0,"machines":["m"]},
       {"id":"b","runtimeInSeconds":1,"memoryInBytes":1000,"priority":3,"avgCPU":97.5},
       {"id":"c","runtimeInSeconds":2,"command":{"program":"x"}})"));
  REQUIRE(flow);
  auto expected = parse_workflow(ours(
    R"({"id":"a","runtime_s":0.5,"cores":4},{"id":"c","runtime_s":2,"parents":["a","b"]},
       {"id":"b","runtime_s":1,"memory_bytes":1000,"priority":3,"parents":["a"]})"));
  REQUIRE(expected);
  CHECK(*flow == *expected);
}

TEST_CASE("WfFormat 1.6 is read as 1.5 is", "[workflow]") {
  auto tasks = R"({"name":"x","id":"a","children":["b"]},{"name":"x","id":"b"})"s;
  auto text = theirs(tasks, R"({"id":"a","runtimeInSeconds":0.5},{"id":"b"})");
  auto flow = parse_workflow(text);
  REQUIRE(flow);
  auto later = parse_workflow(text.replace(text.find("1.5"), 3, "1.6"));
  REQUIRE(later);
  CHECK(*later == *flow);
}

TEST_CASE("WfFormat without an execution has no run times", "[workflow]") {
  auto flow = parse_workflow(
    R"({"workflow":{"specification":{"tasks":[{"name":"x","id":"a","parents":[],"children":[]}]}}})");
  REQUIRE(flow);
  CHECK((*flow)[0].run_time == 0s);
}

TEST_CASE("WfFormat before 1.5 names tasks by their names", "[workflow]") {
  auto expected = parse_workflow(ours(
    R"({"id":"a_1","runtime_s":1.5,"cores":2,"memory_bytes":7000},{"id":"b_2","parents":["a_1"]})"));
  REQUIRE(expected);
  auto children = R"("parents":[],"children":["b_2"]},{"name":"b_2","id":"2","parents":["a_1"]})";
  CHECK(*parse_workflow(earlier("1.4", R"({"name":"a_1","id":"1","runtimeInSeconds":1.5,"cores":2,
    "memoryInBytes":7000,)"s + children))
        == *expected);
  CHECK(*parse_workflow(earlier("1.3", R"({"name":"a_1","id":"1","runtime":1.5,"cores":2,
    "memory":7,)"s + children))
        == *expected);
}

TEST_CASE("a WfFormat file that is wrong is refused with the place", "[workflow]") {
  auto a = R"({"name":"x","id":"a","parents":[],"children":[]})"s;
  check({
    {theirs(a, ""), errc::bad_argument,
     "workflow.specification.tasks[0] (\"a\"): it has no entry in workflow.execution.tasks"},
    {theirs(a, R"({"id":"b","runtimeInSeconds":1})"), errc::bad_argument,
     "workflow.execution.tasks[0] (\"b\"): no task of workflow.specification"},
    {theirs(a, R"({"id":"a"},{"id":"a"})"), errc::bad_argument,
     "workflow.execution.tasks[1] (\"a\"): listed twice"},
    {theirs(a, R"({"id":"a","runtimeInSeconds":-2})"), errc::bad_argument,
     "workflow.execution.tasks[0] (\"a\"): runtimeInSeconds is -2; give 0 or more"},
    {theirs(a, R"({"id":"a","coreCount":1.5})"), errc::bad_argument, "coreCount is 1.5"},
    {theirs(R"({"name":"x","id":"a","children":["y"]})", R"({"id":"a"})"), errc::bad_argument,
     "workflow.specification.tasks[0] (\"a\"): child \"y\" is not a task"},
    {theirs(R"({"name":"x","id":"a","parents":["y"]})", R"({"id":"a"})"), errc::bad_argument,
     "parent \"y\" is no task"},
    {theirs(R"({"name":"x","id":"a","children":["a"]})", R"({"id":"a"})"), errc::bad_argument,
     "parent \"a\" is the task itself"},
    {theirs(R"({"name":"x"})", ""), errc::bad_argument,
     "workflow.specification.tasks[0] (\"\"): id is missing"},
    {theirs(a + "," + a, R"({"id":"a"})"), errc::bad_argument,
     "workflow.specification.tasks[1] (\"a\"): tasks[0] has the same id"},
    {R"({"workflow":[]})", errc::bad_argument, "workflow is a list; give an object"},
    {R"({"workflow":{}})", errc::bad_argument, "workflow.tasks is missing"},
    {R"({"workflow":{"specification":{}}})", errc::bad_argument,
     "workflow.specification.tasks is missing"},
    {R"({"workflow":{"specification":{"tasks":[]},"execution":{}}})", errc::bad_argument,
     "workflow.execution.tasks is missing"},
    {R"({"schemaVersion":"2.0","workflow":{"tasks":[]}})", errc::bad_argument,
     "schemaVersion is \"2.0\"; versions 1.3 to 1.6 can be read"},
    {earlier("1.4", R"({"name":"a","memory":18446744073709551615})"), errc::bad_argument,
     "memory is 18446744073709551615; give a whole number from 0 to 18446744073709551"},
  });
}

TEST_CASE("bounds of a workflow hold for files, too", "[workflow]") {
  check({{ours(R"({"id":"a"},{"id":"b"},{"id":"c"})"), errc::too_large, "dag_options::max_tasks"}},
        {.dag = {.max_tasks = 2}});
  check({{ours(R"({"id":"a"})"), errc::too_large, "json_limits::max_values"}},
        {.json = {.max_values = 3}});
}

TEST_CASE("a file is read from disk, and every refusal begins with its path", "[workflow]") {
  test::temporary_folder folder;
  auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream{folder / name} << text;
    return folder / name;
  };
  auto refused = [](const std::filesystem::path& path, const file_limits& limits = {}) {
    auto flow = read_workflow(path, limits);
    REQUIRE_FALSE(flow);
    CHECK(flow.error().detail.starts_with(path.string() + ": "));
    return flow.error();
  };
  CHECK(read_workflow(write("good.json", ours(R"({"id":"a"})"))));
  CHECK(refused(write("empty.json", "")).code == errc::bad_argument);
  CHECK(refused(write("bad.json", ours(R"({"id":"a","cores":0})"))).code == errc::bad_argument);
  CHECK(refused(write("large.json", std::string(101, ' ')), {.json = {.max_bytes = 100}})
          .detail.ends_with("the file has 101 bytes; give at most 100 (json_limits::max_bytes)"));
  CHECK(refused(folder / "none.json").code == errc::not_found);
  CHECK(refused(folder / "").code == errc::bad_argument);
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0); // nobody writes: must not wait
  CHECK(refused(folder / "pipe").detail.ends_with("this is not a regular file; give one"));
}

TEST_CASE("the workflows that we ship can run", "[workflow]") {
  auto folder = std::filesystem::path{TROUPE_TESTS_DIR} / ".." / "examples" / "data";
  auto diamond = read_workflow(folder / "diamond.json");
  REQUIRE(diamond);
  CHECK(diamond->size() == 4);
  auto nightly = read_workflow(folder / "nightly.json");
  REQUIRE(nightly);
  CHECK(nightly->size() == 4);
  auto epigenomics = read_workflow(folder / "epigenomics.json");
  REQUIRE(epigenomics);
  CHECK(epigenomics->size() == 445);
  CHECK(epigenomics->graph().edge_count() == 550);
}

TEST_CASE("a file of 1 GB is refused by its size, before it is read", "[workflow]") {
  test::temporary_folder folder;
  auto path = folder / "sparse.json";
  std::ofstream{path}.put('{');
  std::filesystem::resize_file(path, std::uintmax_t{1} << 30U);
  auto flow = read_workflow(path);
  REQUIRE_FALSE(flow);
  CHECK(flow.error().code == errc::too_large);
  CHECK(flow.error().detail.find("1073741824 bytes; give at most 67108864") != std::string::npos);
}

} // namespace file_test
