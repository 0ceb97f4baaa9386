// What a client hears whose node is killed while it waits.

#include "troupe_command.hpp"

#include <string>

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;

TEST_CASE("whoever waits for a node that is killed hears so at once", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node node{{"--name", "n0", "--data", folder / "n0"}};
  const std::string text = "a text that is on the disk once it was taken";
  auto sending = start({"send", "nobody", text, "--class", "confirm", "--synced", "--timeout",
                        "10m", "--at", node.address()});
  REQUIRE(comes_true(
    [&] { return content_of(folder / "n0/outbox.db-wal").find(text) != std::string::npos; }));
  node.kill();
  auto heard = finish(sending, 20s);
  INFO(heard);
  CHECK(heard.status == 1);
  CHECK(heard.says("before it said what became of that"));
}
