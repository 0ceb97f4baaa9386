// What `troupe leave` promises: what it says of a node that has left is true.

#include "three_voters.hpp"

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

using namespace troupe::test;

namespace {

/// Sends a message to an agent that there is not, until the node has accepted it.
void send_to_nobody(const std::string& at, const words& how = {}) {
  words command{"send", "nobody", "tea", "--class", "confirm", "--timeout", "2s", "--at", at};
  command.insert(command.end(), how.begin(), how.end());
  CHECK(run(command).says("accepted, but has not been handled in time"));
}

} // namespace

TEST_CASE("a node that has left starts again at once, on its folder and at its port",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node host{{"--name", "n1", "--data", folder / "n1", "--voters", "1", "--slots", "0"}};
  const words how{"--name",  "n2", "--data", folder / "n2",
                  "--slots", "0",  "--join", host.address()};
  std::string port = "127.0.0.1:0";
  for (auto round = 0; round < 10; ++round) {
    running_node node{how, port}; // it fails if the folder is in use
    port = node.address();
    auto left = run({"leave", "--json", "--at", port});
    INFO(left);
    REQUIRE(left.status == 0);
    CHECK(left.line()["event"] == "left");
    CHECK(left.line()["id"] == node.ready()["id"]);
    // Not before its process has let go of all: what is left of that is its exit.
    running_node again{how, port};
    again.process().send_signal(SIGTERM);
    CHECK(again.process().wait_for_end() == 0);
    CHECK(node.process().wait_for_end() == 0);
  }
}

TEST_CASE("a node with messages that nobody takes leaves only when it is forced to, and says what "
          "becomes of them",
          "[cluster][cli]") {
  three_voters cluster;
  auto goes = cluster.leader(); // a client's messages go by the services
  auto at = cluster[goes].address();
  send_to_nobody(at);
  send_to_nobody(at, {"--synced"});
  send_to_nobody(at, {"--synced"});
  CHECK(run({"send", "nobody", "tea", "--class", "confirm", "--ttl", "100ms", "--at", at}).status
        == 1);
  auto stays = run({"leave", "--timeout", "1s", "--at", at});
  INFO(stays);
  CHECK(stays.status == 1);
  CHECK(stays.says(" has accepted 3 messages that are not delivered yet, the first for agent "
                   "'nobody'; "));
  CHECK(stays.says("let go of those that no agent takes (troupe inbox AGENT --expire)"));
  CHECK(stays.says("those that are synced go on if it is started on its data folder again"));
  auto left = run({"leave", "--force", "--json", "--at", at});
  INFO(left);
  REQUIRE(left.status == 0);
  auto report = left.line();
  CHECK(report["delivered"] == 0);
  CHECK(report["lost"] == 1);
  CHECK(report["synced"] == 2);
  CHECK(report["in_inboxes"] == 0);
  CHECK(report["dead_letters"] == 1);
  CHECK(report["gave_up_vote"] == true);
  CHECK(report["has_ca"] == false); // others issue certificates in tests
  CHECK(cluster[goes].process().wait_for_end() == 0);
  cluster.start_node(goes);
  CHECK(comes_true([&] {
    auto seen = run({"inbox", "--json", "--at", cluster.addresses()});
    return std::ranges::any_of(seen.lines(), [](auto& each) {
      return each.value("agent", "") == "nobody" && each.value("accepted", 0) == 2;
    });
  }));
}

TEST_CASE("a node leaves once an operator has let go of messages that nobody takes",
          "[cluster][cli]") {
  three_voters cluster;
  auto goes = cluster.leader(); // a client's messages go by the services
  auto at = cluster[goes].address();
  temporary_folder folder;
  running_node heir{{"--name", "n3", "--data", folder / "n3", "--slots", "0", "--timers", "lan",
                     "--join", cluster.addresses()}};
  send_to_nobody(at);
  send_to_nobody(at, {"--synced"});
  auto shown = run({"inbox", "nobody", "--expire", "--json", "--at", at});
  INFO(shown);
  CHECK(shown.status == 0);
  CHECK(shown.line()["event"] == "expired");
  CHECK(shown.line()["expired"] == 2);
  CHECK(shown.line()["left"] == 0);
  CHECK(run({"inbox", "nobody", "--expire", "--at", at}).output == "no message waits for nobody\n");
  CHECK(run({"inbox", "--expire", "--at", at}).status == 2); // for whom?
  auto left = run({"leave", "--json", "--at", at});
  INFO(left);
  CHECK(left.status == 0);
  CHECK(left.line()["lost"] == 0);
  CHECK(left.line()["synced"] == 0);
  CHECK(left.line()["dead_letters"] == 2);
}

TEST_CASE("a node that stays says so to all who ask it to leave, and works on", "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node node{{"--name", "n1", "--data", folder / "n1", "--slots", "1"}};
  auto waits = start(
    {"send", "nobody", "tea", "--class", "confirm", "--timeout", "60", "--at", node.address()});
  REQUIRE(comes_true([&] {
    return run({"inbox", "--json", "--at", node.address()}).line().value("accepted", 0) == 1;
  }));
  auto shown = [&] { return member(node.address(), "n1")["status"]; };
  CHECK(shown() == "active");
  std::vector<troupe::testing::child_process> asking;
  for (auto each = 0; each < 2; ++each)
    asking.push_back(start({"leave", "--timeout", "3", "--at", node.address()}));
  CHECK(comes_true([&] { return shown() == "maintenance"; })); // while it leaves
  for (auto& each : asking) {
    auto said = finish(each);
    INFO(said);
    CHECK(said.status == 1);
    CHECK(said.says(" has accepted 1 message that is not delivered yet, the first for agent "
                    "'nobody'; "));
  }
  CHECK(comes_true([&] { return shown() == "active"; }));
  CHECK(run({"request", "echo-n1", "tea", "--at", node.address()}).output == "tea\n");
}

TEST_CASE("who has a node leave hears at once that it has ended before it had left",
          "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0"}};
  running_node worker{{"--name", "n2", "--slots", "1", "--join", host.address()}};
  submitted_diamond flow{host.address(), 1, 1, {"--time-scale", "60"}};
  auto asks = start({"leave", "--timeout", "60s", "--at", worker.address()});
  auto finishes_work = false;
  while (!finishes_work) {
    auto line = worker.process().read_line();
    REQUIRE(line);
    finishes_work
      = line->find(": stopping, as it was asked to leave its cluster") != std::string::npos;
  }
  worker.kill();
  auto said = finish(asks, 20s); // the command itself would wait for longer
  INFO(said);
  CHECK(said.status == 1);
  CHECK(said.says("the link to " + worker.address() + " was lost before it had left"));
}

TEST_CASE("who forces a node to leave does not wait for those who asked before", "[cluster][cli]") {
  three_voters cluster;
  auto at = cluster[cluster.leader()].address();
  send_to_nobody(at);
  auto waits = start({"leave", "--timeout", "60s", "--at", at});
  // By then the node has heard of it; if it has not, this shows less.
  CHECK_FALSE(waits.wait_for_end(std::chrono::seconds{1}));
  auto before = std::chrono::steady_clock::now();
  auto left = run({"leave", "--force", "--at", at});
  INFO(left);
  CHECK(left.status == 0);
  CHECK(left.says("1 undelivered message is lost"));
  // 5 s for what has come since, not 20 s more.
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds{20});
}

TEST_CASE("a node whose cluster is gone leaves only when it is forced to", "[cluster][cli]") {
  need_command();
  running_node host{{"--name", "n1", "--slots", "0"}};
  running_node member{{"--name", "n2", "--slots", "0", "--join", host.address()}};
  REQUIRE(comes_true([&] {
    return run({"status", "--json", "--at", host.address()}).line()["members"].size() == 2;
  }));
  host.kill();
  auto lost = "this cluster keeps its services in the memory of the node at " + host.address();
  REQUIRE(comes_true([&] { return run({"status", "--at", member.address()}).says(lost); }));
  auto stays = run({"leave", "--timeout", "2s", "--at", member.address()});
  INFO(stays);
  CHECK(stays.status == 1);
  CHECK(stays.says("--force"));
  CHECK(stays.says("start the cluster anew"));
  CHECK_FALSE(stays.says("once one leads"));
  CHECK(run({"put", "colour", "red", "--at", member.address()}).says(lost));
  auto voters = run({"voters", "--at", member.address()});
  INFO(voters);
  CHECK(voters.says(lost));
  CHECK_FALSE(voters.says("give a voter"));                    // as there are none
  CHECK(run({"status", "--at", member.address()}).says("n2")); // it goes on
  auto before = std::chrono::steady_clock::now();
  auto ends = run({"leave", "--force", "--at", member.address()});
  INFO(ends);
  CHECK(ends.status == 1);
  CHECK(std::chrono::steady_clock::now() - before < 8s); // it waits for no answer of services
  CHECK(ends.says("has ended, but no node that leads has said that it heard so"));
  CHECK(member.process().wait_for_end(5s) != 0); // it says so as well
}
