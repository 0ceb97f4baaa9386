#include "troupe/workflow/report.hpp" // the header under test

#include "troupe/workflow/dag_builder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <sstream>
#include <string>

namespace report_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::workflow;

namespace {

std::string printed(const dag& flow) {
  std::ostringstream out;
  print(out, flow, analyse(flow));
  return out.str();
}

} // namespace

TEST_CASE("the figures of a workflow can be read by programs and by people", "[workflow]") {
  auto flow = dag_builder{"diamond"}
                .task("fetch")
                .takes(1s)
                .task("left")
                .takes(2s)
                .after("fetch")
                .task("right")
                .takes(3'500ms)
                .after("fetch")
                .task("report")
                .takes(500ms)
                .after("left", "right")
                .build();
  REQUIRE(flow);
  CHECK(to_json(*flow, analyse(*flow)).dump()
        == R"({"name":"diamond","tasks":4,"edges":4,"sources":1,"sinks":1,)"
           R"("weakly_connected_components":1,"levels":3,"level_widths":[1,2,1],)"
           R"("max_level_width":2,"max_in_degree":2,"max_out_degree":2,"critical_path_s":5.0,)"
           R"("critical_path":["fetch","right","report"],"average_parallelism":1.4,)"
           R"("total_work_s":7.0})");
  CHECK(printed(*flow) == R"(workflow              diamond
tasks                 4
edges                 4
sources, sinks        1, 1
components            1
levels                3
level widths          1 2 1
widest level          2
most parents          2
most children         2
total work            7 s
critical path         5 s
average parallelism   1.40
critical path, task by task
  fetch (1 s)
  right (3.5 s)
  report (0.5 s)
)");
}

TEST_CASE("a long chain does not fill the screen", "[workflow]") {
  dag_builder builder;
  builder.task("t1000").takes(1ns);
  for (auto number = 1001; number < 1100; ++number)
    builder.task("t" + std::to_string(number)).after("t" + std::to_string(number - 1));
  auto text = printed(*builder.build());
  CHECK(std::count(text.begin(), text.end(), '\n') < 40);
  CHECK(text.find("\n  t1009 (0 s)\n  … (80 more)\n  t1090 (0 s)\n") != std::string::npos);
  CHECK(text.find("level widths          1 1 1 1 1 1 1 1 1 1 … (80 more) 1 1")
        != std::string::npos);
}

TEST_CASE("a workflow that takes no time has no parallelism", "[workflow]") {
  auto flow = dag_builder{}.task("a").task("b").build();
  REQUIRE(flow);
  auto figures = to_json(*flow, analyse(*flow));
  CHECK(figures["average_parallelism"] == 0);
  CHECK(figures["critical_path_s"] == 0);
}

} // namespace report_test
