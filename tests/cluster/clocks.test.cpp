// Machines whose clocks are an hour off, and certificates, which have times.

#include "calendars.hpp"
#include "cluster/identities.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;

namespace {

/// A command on a machine whose clock is off by so much, in the words of libfaketime.
testing::child_process start_at(const std::string& offset, const words& arguments) {
  words command{"/usr/bin/env", "LD_PRELOAD=" + calendars::library(), "FAKETIME=" + offset,
                "DONT_FAKE_MONOTONIC=1"};
  auto own = command_line(arguments);
  command.insert(command.end(), own.begin(), own.end());
  return testing::child_process{command};
}

outcome run_at(const std::string& offset, const words& arguments) {
  auto process = start_at(offset, arguments);
  return finish(process);
}

void must_at(const std::string& offset, const words& arguments) {
  auto done = run_at(offset, arguments);
  INFO(done);
  REQUIRE(done.status == 0);
}

} // namespace

TEST_CASE("a machine whose clock is an hour off hears of that, with the times", "[cluster][cli]") {
  need_command();
  if (!std::filesystem::exists(calendars::library()))
    SKIP("libfaketime is not installed");
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  // Older than any clock is slow: only what processes certify themselves has times that differ.
  must_at("-3h", {"init", "--data", at("n0"), "--name", "n0"});
  must_at("-3h", {"ca", "issue", "--data", at("n0"), "--name", "n1", "--role", "member", "--out",
                  at("n1")});
  must_at("-3h", {"ca", "issue", "--data", at("n0"), "--name", "c1", "--role", "client", "--rights",
                  "use", "--out", at("c1")});
  running_node node{{"--name", "n0", "--data", at("n0")}};
  words ask{"put",        "colour", "red",       "--at", node.address(),
            "--identity", at("c1"), "--timeout", "5s"};
  auto check_told = [](const std::string& output) {
    INFO(output);
    auto says = [&](const char* what) { return output.find(what) != std::string::npos; };
    CHECK(says("not valid yet"));
    CHECK(says("valid from"));
    CHECK(says("this machine's clock says"));
    CHECK((says("check the clocks of both machines") || says("set the clock that is wrong")));
  };
  for (std::string offset : {"+1h", "-1h"}) {
    CAPTURE(offset);
    auto client = run_at(offset, ask);
    INFO(client);
    CHECK(client.status != 0);
    check_told(client.output);
    auto other = start_at(offset, {"node", "--json", "--listen", "127.0.0.1:0", "--data", at("n1"),
                                   "--join", node.address(), "--slots", "0"});
    auto said = other.read_rest(5s);
    check_told(said);
    CHECK(said.find("\"joined\":true") == std::string::npos);
  }
  // Whose clock is fast keeps the token.
  auto token = at("me.token");
  must({"ca", "invite", "--data", at("n0"), "--role", "client", "--out", token});
  words login{"login", node.address(), "--token", "@" + token, "--identity", at("me")};
  auto early = run_at("+1h", login);
  INFO(early);
  CHECK(early.status != 0);
  CHECK(early.says("the clock of the machine that joins says"));
  CHECK(early.says("that of the CA"));
  must(login);
  auto right = run(ask);
  INFO(right);
  CHECK(right.status == 0);
  node.process().send_signal(SIGTERM);
  check_told(node.process().read_rest()); // of those whose clocks are fast
}

TEST_CASE("a member whose certificate expires is gone for the others until it has another one",
          "[cluster][cli]") {
  need_command();
  if (!std::filesystem::exists(calendars::library()))
    SKIP("libfaketime is not installed");
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  must({"init", "--data", at("n0"), "--name", "n0"});
  constexpr auto left = 30; // of the year for which certificates are valid, in seconds
  must_at("-" + std::to_string(365 * 86'400 - left), {"ca", "issue", "--data", at("n0"), "--name",
                                                      "n1", "--role", "member", "--out", at("n1")});
  running_node first{{"--name", "n0", "--data", at("n0")}};
  running_node second{{"--name", "n1", "--data", at("n1"), "--join", first.address()}};
  auto status_of_second = [&] {
    auto seen = run({"status", "--json", "--at", first.address(), "--identity", at("n0")}).line();
    for (auto& each : seen.value("members", json::array()))
      if (each["node"] == "n1")
        return each.value("status", "");
    return "unknown"s;
  };
  CHECK(comes_true([&] { return status_of_second() == "active"; }));
  CHECK(comes_true([&] { return status_of_second() != "active"; }, 60s));
  must({"ca", "renew", "n1", "--data", at("n0"), "--out", at("n1")});
  CHECK(comes_true([&] { return status_of_second() == "active"; }, 60s));
  first.process().send_signal(SIGTERM);
  auto log = first.process().read_rest();
  INFO(log);
  CHECK(log.find("has expired, so that it counts as gone until it has another one")
        != std::string::npos);
}
