// The demo, as its users see it.

#include "troupe_command.hpp"

using namespace troupe::test;

TEST_CASE("the demo loses a node and no result", "[cluster][cli]") {
  need_command();
  auto demo = run({"demo", "--json", "--seconds", "3"}, 29s);
  INFO(demo);
  REQUIRE(demo.status == 0);
  auto last = demo.lines().back();
  CHECK(last["event"] == "done");
  CHECK(last["tasks"].get<int>() >= 100);
  CHECK(last["completed"] == last["tasks"]);
  CHECK(last["recorded"] == last["tasks"]);
  CHECK(last["recorded_twice"] == 0);
  CHECK(last["nodes_lost"] == 1);
}
