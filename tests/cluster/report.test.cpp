// The timeline of a run.

#include "runs_of_three.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstddef>
#include <set>

namespace report_test {

using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;

namespace {

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size()))
    ++found;
  return found;
}

/// What is between two texts.
std::string between(const std::string& text, const std::string& before, const std::string& after) {
  auto begin = text.find(before);
  if (begin == std::string::npos)
    return {};
  begin += before.size();
  return text.substr(begin, text.find(after, begin) - begin);
}

/// One node with its services in memory, and a folder.
struct lone_node {
  explicit lone_node(words more = {"--slots", "4", "--allow-exec"}) {
    need_command();
    node.emplace(std::move(more));
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return folder / name;
  }

  std::string flow(const std::vector<json>& tasks) {
    write_file(path("flow.json"),
               json{{"schema", "troupe-dag/1"}, {"name", "a <flow>"}, {"tasks", tasks}}.dump());
    return path("flow.json");
  }

  outcome submit(const std::vector<json>& tasks, const words& more) {
    words command{"submit", flow(tasks), "--at", node->address(), "--report", path("run.svg")};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  }

  temporary_folder folder;
  std::optional<running_node> node;
};

/// Every element is closed, and every text is escaped.
void check_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  for (std::size_t at = 0; (at = svg.find('<', at)) != std::string::npos;) {
    auto end = svg.find('>', at);
    REQUIRE(end != std::string::npos);
    auto tag = svg.substr(at + 1, end - at - 1);
    INFO(tag);
    REQUIRE(tag.find('<') == std::string::npos);
    CHECK(count(tag, "\"") % 2 == 0);
    if (tag.starts_with('/')) {
      REQUIRE_FALSE(open.empty());
      CHECK(open.back() == tag.substr(1));
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
    at = end;
  }
  CHECK(open.empty());
  for (std::size_t at = 0; (at = svg.find('&', at)) != std::string::npos; ++at) {
    auto entity = svg.substr(at, svg.find(';', at) - at);
    CHECK((entity == "&amp" || entity == "&lt" || entity == "&gt" || entity == "&quot"));
  }
}

} // namespace

TEST_CASE("a report shows attempts that failed, were lost and were repeated, by worker",
          "[cluster][cli]") {
  lone_node all{words{"--slots", "0", "--name", "host"}};
  auto worker = [&](const std::string& name) {
    return running_node{
      {"--name", name, "--slots", "2", "--allow-exec", "--join", all.node->address()}};
  };
  auto gate = all.path("gate");
  auto failing = "[ -e " + all.path("once") + " ] || { : > " + all.path("once") + "; exit 1; }";
  auto file
    = all.flow({script_task("held <&\">", until_there(gate)), script_task("fails once", failing),
                script_task("last", ":", {"held <&\">", "fails once"})});
  auto beta = worker("beta");
  auto svg = all.path("run.svg");
  auto submit = start({"submit", file, "--json", "--at", all.node->address(), "--report", svg});
  REQUIRE(comes_true([&] {
    auto shown = run({"run", "1", "--json", "--at", all.node->address()});
    return shown.says("\"held <&\\\">\",\"state\":\"running\"")
           && shown.says("\"fails once\",\"state\":\"completed\"");
  }));
  auto alpha = worker("alpha");
  beta.kill();
  write_file(gate, "");
  auto done = finish(submit, 60s);
  INFO(done);
  REQUIRE(done.status == 0);
  auto drawn = content_of(svg);
  INFO(drawn);
  check_well_formed(drawn);
  for (auto* text :
       {">run 1 completed after ", " s: a &lt;flow&gt;</text>",
        ">3 tasks, 5 attempts, 1 failed, 1 lost<", "held &lt;&amp;&quot;&gt;, attempt 1: lost, ",
        "held &lt;&amp;&quot;&gt;, attempt 2: completed, ", "fails once, attempt 1: failed, ",
        "fails once, attempt 2: completed, ", "last, attempt 1: completed, ", "ended with status 1",
        ">alpha</text>", ">beta</text>", "failed (hatched)", "lost with its worker (dashed)",
        "repeats an attempt", "time since the start of the run", ">0 s</text>"})
    CHECK_THAT(drawn, ContainsSubstring(text));
  CHECK(count(drawn, "class=\"repeated\"") == 3); // and one in the legend
  // The row of beta is below that of alpha, and has the attempt that was lost.
  auto y_of = [&](const std::string& what) {
    auto end = drawn.find(what);
    auto begin = drawn.rfind(" y=\"", end) + 4;
    return std::stod(drawn.substr(begin));
  };
  CHECK(y_of(", attempt 2: completed") < y_of("<title>beta</title>"));
  CHECK(y_of("attempt 1: lost, ") > y_of("<title>alpha</title>"));
  // The bar of what was lost ends before that of what repeats it begins.
  auto end_of_lost = between(drawn, "attempt 1: lost, ", "<");
  auto begin_of_next = between(drawn, "held &lt;&amp;&quot;&gt;, attempt 2: completed, ", " to");
  CHECK(end_of_lost.ends_with("to " + begin_of_next));
}

TEST_CASE("a report of hundreds of tasks has a bar for each", "[cluster][cli]") {
  lone_node all;
  std::vector<json> tasks;
  for (auto each = 0; each < 400; ++each)
    tasks.push_back({{"id", "task" + std::to_string(each)}, {"runtime_s", 1}});
  auto done = all.submit(tasks, {"--json", "--time-scale", "0.01"});
  INFO(done);
  REQUIRE(done.status == 0);
  auto drawn = content_of(all.path("run.svg"));
  check_well_formed(drawn);
  CHECK(count(drawn, ", attempt 1: completed, ") == 400);
  CHECK_THAT(drawn, ContainsSubstring(">400 tasks, 400 attempts<"));
  CHECK(done.says(R"("event":"report")"));
  CHECK(done.says(R"("unseen_attempts":0)"));
}

TEST_CASE("a report of a run that was over before says that its attempts could not be seen",
          "[cluster][cli]") {
  lone_node all;
  std::vector<json> tasks{{{"id", "one"}, {"runtime_s", 0}}, {{"id", "two"}, {"runtime_s", 0}}};
  REQUIRE(all.submit(tasks, {"--key", "monday"}).status == 0);
  CHECK(count(content_of(all.path("run.svg")), ", attempt 1: completed, ") == 2);
  auto again = all.submit(tasks, {"--key", "monday"});
  INFO(again);
  CHECK(again.status == 0);
  auto drawn = content_of(all.path("run.svg"));
  check_well_formed(drawn);
  CHECK(count(drawn, ", attempt 1: completed, ") == 0);
  CHECK_THAT(drawn, ContainsSubstring("2 more attempts are not shown"));
}

TEST_CASE("a report of a run that fails is written, too", "[cluster][cli]") {
  lone_node all;
  auto done = all.submit(
    {with_more(script_task("bad", "exit 3"), {{"retries", 1}}), script_task("never", ":", {"bad"})},
    {});
  INFO(done);
  CHECK(done.status == 1);
  CHECK(done.says("the timeline of the run is in " + all.path("run.svg")));
  auto drawn = content_of(all.path("run.svg"));
  check_well_formed(drawn);
  CHECK_THAT(drawn, ContainsSubstring("bad, attempt 2: failed, "));
  CHECK_THAT(drawn, ContainsSubstring("2 attempts, 2 failed"));
}

TEST_CASE("a report that came to nothing leaves no file, and its absence is said",
          "[cluster][cli]") {
  lone_node all;
  auto files = [&] {
    std::set<std::string> found;
    for (auto& each : std::filesystem::directory_iterator{all.path(".")})
      found.insert(each.path().filename().string());
    return found;
  };
  auto file = all.flow({script_task("waits", "sleep 60")});
  auto before = files();
  auto refused = run(
    {"submit", file, "--at", "127.0.0.1:1", "--timeout", "1s", "--report", all.path("run.svg")});
  INFO(refused);
  CHECK(refused.status == 1);
  CHECK(files() == before);
  for (auto is_old : {false, true}) {
    if (is_old)
      write_file(all.path("run.svg"), "an older report");
    auto before_it = files();
    auto submit = start(
      {"submit", file, "--json", "--at", all.node->address(), "--report", all.path("run.svg")});
    REQUIRE(submit.read_line().value_or("").find("submitted") != std::string::npos);
    submit.send_signal(SIGTERM);
    auto ended = finish(submit);
    INFO(ended);
    CHECK(ended.status == 143);
    CHECK(ended.says("goes on; see it with troupe run"));
    CHECK(ended.says("no report was written"));
    CHECK(files() == before_it);
    CHECK(content_of(all.path("run.svg")) == (is_old ? "an older report" : ""));
  }
}

TEST_CASE("a report that cannot be written is refused before the run is submitted",
          "[cluster][cli]") {
  lone_node all;
  auto file = all.flow({script_task("one", ":")});
  auto refused
    = run({"submit", file, "--at", all.node->address(), "--report", "/no/such/folder/x"});
  INFO(refused);
  CHECK(refused.status == 2);
  CHECK(refused.says("error: --report is '/no/such/folder/x', which cannot be written"));
  for (auto* word : {"", "-"}) {
    auto none = run({"submit", file, "--at", all.node->address(), "--report", word});
    INFO(none);
    CHECK(none.status == 2);
    CHECK(none.says("is no file; give a file, or leave it out"));
  }
  CHECK(run({"workflows", "--at", all.node->address()}).says("no workflows"));
  auto full = run({"submit", file, "--at", all.node->address(), "--report", "/dev/full"});
  INFO(full);
  CHECK(full.status == 1);
  CHECK(full.says("whether the disk is full"));
  CHECK(full.says("completed after"));
}

} // namespace report_test
