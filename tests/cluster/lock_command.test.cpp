// Commands that run while a lock is held.

#include "troupe_command.hpp"

#include <string>

using namespace troupe::test;

namespace {

words lock(const running_node& node, words options, words command) {
  words result{"lock", "press", "--at", node.address()};
  result.insert(result.end(), options.begin(), options.end());
  result.push_back("--");
  result.insert(result.end(), command.begin(), command.end());
  return result;
}

words sh(const std::string& script) {
  return {"/bin/sh", "-c", script};
}

} // namespace

TEST_CASE("a command runs under a lock and its status passes through", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto done = run(lock(node, {}, sh("echo token $TROUPE_TOKEN; exit 7")));
  INFO(done);
  CHECK(done.status == 7);
  REQUIRE(done.output.starts_with("token "));
  auto first = std::stoull(done.output.substr(6));
  auto next = run(lock(node, {}, sh("echo token $TROUPE_TOKEN")));
  INFO(next);
  CHECK(next.status == 0); // it was given back
  CHECK(std::stoull(next.output.substr(6)) > first);
  CHECK(run(lock(node, {}, sh("kill -9 $$"))).status == 128 + SIGKILL);
  auto missing = run(lock(node, {}, {"/no/such/program"}));
  INFO(missing);
  CHECK(missing.status == 127);
  CHECK(missing.says("error: cannot run '/no/such/program'"));
  CHECK(run({"locks", "--at", node.address()}).output.empty());
}

TEST_CASE("whoever comes second waits, or is told to", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto holder = start(lock(node, {"--ttl", "5s"}, sh("echo mine; exec sleep 60")));
  REQUIRE(holder.read_line() == "mine");
  auto refused = run(lock(node, {}, {"true"}));
  INFO(refused);
  CHECK(refused.status == 3);
  CHECK(refused.says("error: "));
  auto late = run(lock(node, {"--wait", "300ms"}, {"true"}));
  INFO(late);
  CHECK(late.status == 3);
  auto patient = start(lock(node, {"--wait", "20s"}, sh("echo mine")));
  REQUIRE(comes_true([&] {
    return run({"locks", "--json", "--at", node.address()}).line().value("waiting", 0) == 1;
  }));
  holder.send_signal(SIGTERM); // for the command, so the lock is given back
  CHECK(holder.wait_for_end() == 128 + SIGTERM);
  auto served = finish(patient);
  INFO(served);
  CHECK(served.status == 0);
  CHECK(served.output == "mine\n");
}

TEST_CASE("readers share a lock and a writer does not", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto reader = start(lock(node, {"--shared"}, sh("echo mine; exec sleep 60")));
  REQUIRE(reader.read_line() == "mine");
  CHECK(run(lock(node, {"--shared"}, {"true"})).status == 0);
  CHECK(run(lock(node, {}, {"true"})).status == 3);
}

TEST_CASE("the lock of a killed holder is free after its ttl", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto holder = start(lock(node, {"--ttl", "2s"}, sh("echo $$; exec sleep 60")));
  auto command = holder.read_line();
  REQUIRE(command);
  holder.send_signal(SIGKILL);
  auto next = run(lock(node, {"--wait", "15s"}, {"true"}));
  INFO(next);
  CHECK(next.status == 0);
  // Nobody renews for its command any more, so that must not go on.
  CHECK(comes_true([&] { return ::kill(std::stoi(*command), 0) != 0; }));
}

TEST_CASE("a command is stopped when its lock is lost", "[cluster][cli]") {
  need_command();
  running_node node{{"--slots", "0"}};
  auto holder = start(lock(node, {"--ttl", "2s"}, sh("echo mine; exec sleep 60")));
  REQUIRE(holder.read_line() == "mine");
  node.kill(); // nothing outlives it, so the lease cannot be renewed
  auto lost = finish(holder);
  INFO(lost);
  CHECK(lost.status == 1);
  CHECK(lost.says("error: the command was stopped, as its lock was lost"));
}
