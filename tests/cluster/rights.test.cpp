// What clients may do with the rights in their certificates, as people meet it.

#include "cluster/identities.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A client's certificate with these rights, of the CA in `who`.
std::string client_with(const identities& who, const std::string& rights) {
  auto folder = who.folder("client-" + rights);
  must({"ca", "issue", "--data", who.folder("n0"), "--name", rights + "-only", "--role", "client",
        "--rights", rights, "--out", folder});
  return folder;
}

outcome run_as(const std::string& identity, const std::string& at, words command) {
  auto end = std::ranges::find(command, "--");
  command.insert(end, {"--at", at, "--identity", identity});
  return run(command);
}

void check_allowed(const std::string& identity, const std::string& at, const words& command) {
  auto done = run_as(identity, at, command);
  INFO(command.front() << ": " << done);
  CHECK(done.status == 0);
}

/// The command ends soon, with the right that it lacks.
void check_denied(const std::string& identity, const std::string& at, const words& command,
                  const std::string& lacks) {
  auto begin = std::chrono::steady_clock::now();
  auto done = run_as(identity, at, command);
  INFO(command.front() << ": " << done);
  CHECK(done.status == 1);
  CHECK(done.says("error: this command needs the right " + lacks));
  CHECK_FALSE(done.says("troupe::"));
  CHECK(done.says("troupe ca invite --role client --rights " + lacks));
  CHECK(done.says("troupe login"));
  CHECK(std::chrono::steady_clock::now() - begin < 5s); // it does not wait for what never comes
}

} // namespace

SCENARIO("a client does with a cluster what its certificate allows, and hears what it lacks",
         "[cluster]") {
  need_command();
  identities who;
  running_node node{{"--data", who.folder("n0"), "--timers", "lan", "--slots", "2"}};
  auto at = node.address();
  auto all = who.folder("c1");
  must({"put", "colour", "blue", "--at", at, "--identity", all});
  auto flow = who.folder("flow.json");
  write_file(flow, diamond(1));
  const words to_read[]{{"get", "colour"},  {"list"},         {"status"},
                        {"agents"},         {"locks"},        {"workflows"},
                        {"voters", "list"}, {"dead-letters"}, {"inbox"}};
  const words to_use[]{{"put", "colour", "red"},
                       {"remove", "colour"},
                       {"lock", "work", "--ttl", "5s", "--", "true"},
                       {"submit", flow, "--detach"},
                       {"request", "echo", "hello"},
                       {"send", "echo", "hello"}};
  const words to_operate[]{{"maintain", "n0"},
                           {"dead-letters", "--redrive", "all"},
                           {"dead-letters", "--purge", "all"},
                           {"locks", "--force-release", "work"},
                           {"voters", "add", "n0"},
                           {"backup", who.folder("backup")}};
  // An id that no node keeps, with all of its digits.
  const words to_show{"dead-letters", "--show", std::string(64, '0') + ":1:1"};
  GIVEN("a client that may read") {
    auto reader = client_with(who, "read");
    THEN("it sees all and changes nothing") {
      for (auto& each : to_read)
        check_allowed(reader, at, each);
      for (auto& each : to_use)
        check_denied(reader, at, each, "use");
      for (auto& each : to_operate)
        check_denied(reader, at, each, "operate");
      check_denied(reader, at, {"leave", "--force"}, "operate");
      check_denied(reader, at, to_show, "operate");
      CHECK(run_as(reader, at, {"get", "colour"}).output == "blue\n");
    }
  }
  GIVEN("a client that may use it") {
    auto user = client_with(who, "use");
    THEN("it works with it and does not run it") {
      for (auto& each : to_read)
        check_allowed(user, at, each);
      for (auto& each : to_operate)
        check_denied(user, at, each, "operate");
      check_denied(user, at, {"leave", "--force"}, "operate");
      check_denied(user, at, to_show, "operate");
      for (auto& each : to_use)
        if (each.front() != "request" && each.front() != "send") // there is no such agent
          check_allowed(user, at, each);
      auto asked = run_as(user, at, {"request", "echo", "hello"});
      INFO(asked);
      CHECK(asked.says("echo"));
      CHECK_FALSE(asked.says("denied"));
    }
  }
  GIVEN("a client that does what it hears when it is denied") {
    auto reader = client_with(who, "read");
    check_denied(reader, at, {"put", "colour", "red"}, "use");
    auto token = who.folder("token");
    must({"ca", "invite", "--data", who.folder("n0"), "--role", "client", "--rights", "use",
          "--out", token});
    must({"login", at, "--token", "@" + token, "--identity", reader});
    THEN("it may do what it could not") {
      check_allowed(reader, at, {"put", "colour", "red"});
    }
  }
  GIVEN("a client that may operate it") {
    THEN("it runs it") {
      for (auto& each : to_operate)
        if (each.front() != "locks") // there is no such lock
          check_allowed(all, at, each);
      CHECK(run_as(all, at, to_show).says("no node keeps the dead letter"));
      CHECK(run_as(all, at, {"leave", "--force"}).says("is the only voter"));
    }
  }
}
