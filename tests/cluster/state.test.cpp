// The state of a cluster as programs see it.

#include "three_voters.hpp"

#include <cstdint>
#include <string>

using namespace troupe::test;
using troupe::testing::child_process;

namespace {

constexpr auto state_program = TROUPE_BIN_DIR "/state_program";

child_process start_program(const std::string& addresses, words order) {
  order.insert(order.begin(), {state_program, addresses});
  return child_process{order};
}

/// Returns what the program says in its only line.
std::string said(const std::string& addresses, const words& order) {
  auto one = start_program(addresses, order);
  auto line = one.read_line(60s).value_or("nothing");
  CHECK(one.wait_for_end() == 0);
  return line;
}

} // namespace

TEST_CASE("a watcher of many keys is complete while they are written as fast as can be",
          "[cluster]") {
  three_voters cluster;
  constexpr auto keys = 20'000;
  REQUIRE(said(cluster.addresses(), {"fill", std::to_string(keys), "256"}) == "filled");
  auto writers = start_program(cluster.addresses(), {"write", std::to_string(keys)});
  REQUIRE(writers.read_line() == "writing");
  auto watcher = start_program(cluster.addresses(), {"watch"});
  CHECK(watcher.read_line(30s) == "complete " + std::to_string(keys));
  writers.send_signal(SIGTERM); // they have written until now
  auto made = writers.read_line().value_or("nothing");
  CHECK(made.ends_with(" writes"));
  INFO(made);
  CHECK(writers.wait_for_end() == 0);
  watcher.send_signal(SIGTERM);
  CHECK(watcher.read_line(30s) == "equal");
}

TEST_CASE("a watcher has all changes while its leader is killed", "[cluster]") {
  three_voters cluster;
  constexpr auto keys = 500;
  REQUIRE(said(cluster.addresses(), {"fill", std::to_string(keys), "16"}) == "filled");
  auto watcher = start_program(cluster.addresses(), {"watch"});
  REQUIRE(watcher.read_line(30s) == "complete " + std::to_string(keys));
  auto writers = start_program(cluster.addresses(), {"write", std::to_string(keys)});
  REQUIRE(writers.read_line() == "writing");
  cluster[cluster.leader()].kill();
  auto next = cluster.leader();
  INFO(next);
  REQUIRE(run({"put", "after", "all", "--at", cluster[next].address()}).status == 0);
  writers.send_signal(SIGTERM);
  auto made = writers.read_line().value_or("nothing");
  INFO(made);
  CHECK(writers.wait_for_end() == 0);
  watcher.send_signal(SIGTERM);
  auto last = watcher.read_line(30s);
  while (last && last->starts_with("told "))
    last = watcher.read_line(30s);
  CHECK(last == "equal");
}

TEST_CASE("what was seen before a removal, or before a restore, replaces nothing", "[cluster]") {
  need_command();
  temporary_folder folder;
  auto file = folder / "cluster.backup";
  std::string seen;
  std::string seen_removed;
  {
    running_node old{{"--name", "old", "--slots", "0", "--data", folder / "old"}};
    REQUIRE(run({"put", "colour", "blue", "--at", old.address()}).status == 0);
    REQUIRE(run({"backup", file, "--at", old.address()}).status == 0);
    seen = said(old.address(), {"see", "colour"});
    CHECK(said(old.address(), {"replace", "colour", "red", seen}) == "done");
    CHECK(said(old.address(), {"replace", "colour", "green", seen}) == "conflict");
    seen = said(old.address(), {"see", "colour"}); // what the backup does not know
    CHECK(said(old.address(), {"replace", "colour", "brown", seen}) == "done");
    seen_removed = said(old.address(), {"see", "colour"});
    CHECK(said(old.address(), {"remove", "colour", seen_removed}) == "done");
    CHECK(said(old.address(), {"replace", "colour", "green", seen_removed}) == "conflict");
    old.kill();
  }
  REQUIRE(run({"restore", "--insecure", file, "--data", folder / "new"}).status == 0);
  running_node anew{{"--name", "new", "--slots", "0", "--data", folder / "new"}};
  CHECK(run({"get", "colour", "--at", anew.address()}).output == "blue\n");
  CHECK(said(anew.address(), {"replace", "colour", "green", seen}) == "conflict");
  CHECK(said(anew.address(), {"replace", "colour", "green", seen_removed}) == "conflict");
  auto now = said(anew.address(), {"see", "colour"});
  CHECK(said(anew.address(), {"replace", "colour", "white", now}) == "done");
  CHECK(run({"get", "colour", "--at", anew.address()}).output == "white\n");
}
