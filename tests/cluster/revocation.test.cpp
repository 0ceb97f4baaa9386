// Trust that changes while a cluster runs: revoked certificates, renewed ones.

#include "cluster/identities.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

#include "troupe/platform/calendar.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/certificate_register.hpp"
#include "troupe/security/setup.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;

namespace {

using clock = std::chrono::steady_clock;

/// Waits for a line of a process that has all of these words; nothing if there is none in time.
std::optional<std::string> await_line(testing::child_process& from, const words& all,
                                      std::chrono::seconds wait = 20s) {
  auto deadline = clock::now() + wait;
  while (auto line = from.read_line(deadline))
    if (std::ranges::all_of(all, [&](auto& each) { return line->find(each) != line->npos; }))
      return line;
  return std::nullopt;
}

void check_line(testing::child_process& from, const words& all, std::chrono::seconds wait = 20s) {
  auto found = await_line(from, all, wait);
  INFO(all.front());
  CHECK(found.has_value());
}

json issued(const identities& who, const std::string& name) {
  auto listed = run({"ca", "list", "--json", "--data", who.folder("n0")});
  json last;
  for (auto& each : listed.lines())
    if (each["name"] == name)
      last = each;
  REQUIRE(last.is_object());
  return last;
}

outcome revoke(const identities& who, const std::string& which, const words& more = {}) {
  words command{"ca", "revoke", which, "--data", who.folder("n0")};
  command.insert(command.end(), more.begin(), more.end());
  auto done = run(command);
  INFO(done);
  REQUIRE(done.status == 0);
  return done;
}

} // namespace

SCENARIO("who is revoked loses its links within 5 s, and gets no other", "[cluster]") {
  need_command();
  GIVEN("three nodes with certificates, and a client that holds a lock") {
    identities who;
    variable home{"TROUPE_HOME", who.folder("c1")};
    three_voters nodes{{}, [&](int index) { return who.folder(three_voters::name(index)); }};
    must({"ca", "issue", "--data", who.folder("n0"), "--name", "c2", "--role", "client", "--rights",
          "use", "--out", who.folder("c2")});
    auto others = nodes[0].address() + ',' + nodes[1].address();
    auto use = [&](const std::string& client) {
      return run(
        {"get", "colour", "--at", others, "--identity", who.folder(client), "--timeout", "5s"});
    };
    auto holder = start({"lock", "work", "--ttl", "3s", "--at", nodes[1].address(), "--identity",
                         who.folder("c2"), "--", "sh", "-c", "echo held; sleep 60"});
    REQUIRE(await_line(holder, {"held"}));
    must({"put", "colour", "red", "--at", others, "--identity", who.folder("c2")});
    auto watcher
      = start({"watch", "colour", "--at", nodes[0].address(), "--identity", who.folder("c2")});
    REQUIRE(await_line(watcher, {"red"}));
    // Two that do not lead need none between them.
    auto is_linked = [&](int index) {
      auto seen = run({"status", "--links", "--json", "--at", nodes[index].address(), "--identity",
                       who.folder("c1")})
                    .line();
      REQUIRE(seen["links"].is_array());
      return std::ranges::any_of(seen["links"], [](auto& each) { return each["peer"] == "n2"; });
    };
    std::vector<int> linked;
    std::ranges::copy_if(std::vector{0, 1}, std::back_inserter(linked), is_linked);
    REQUIRE_FALSE(linked.empty());
    WHEN("the client and one of the nodes are revoked") {
      CHECK_FALSE(revoke(who, "c2").says("voters"));
      auto done = revoke(who, "n2");
      CHECK(done.says("a spare member takes its place"));
      CHECK_FALSE(done.says("majority"));
      auto began = clock::now();
      THEN("their links end on all nodes, and they cannot come back, also after a restart") {
        for (auto index : linked) // which ends it first is a race: n2 hears of it, too
          CHECK(comes_true([&] { return !is_linked(index); }, 5s));
        CHECK(clock::now() - began < 5s);
        CHECK(finish(holder).status == 1);
        must({"lock", "work", "--wait", "20s", "--at", others, "--identity", who.folder("c1"), "--",
              "true"}); // it is free after the time of its lease
        must({"put", "colour", "blue", "--at", others, "--identity", who.folder("c1")});
        auto watched = finish(watcher);
        INFO(watched);
        CHECK(watched.status == 1);
        CHECK_FALSE(watched.says("blue"));
        CHECK(watched.says("has been revoked"));
        CHECK(use("c2").says("has been revoked"));
        check_line(nodes[2].process(), {"the other nodes refuse this one", "was revoked"});
        CHECK(finish(nodes[2].process()).status == 1); // it was told, and ends
        CHECK(comes_true([&] {
          auto voters = run({"voters", "--at", nodes[0].address(), "--identity", who.folder("c1")});
          return voters.says("2 of 2 voters reachable"); // its seat is gone
        }));
        for (auto index : {0, 1}) {
          nodes[index].kill();
          nodes.start_node(index);
        }
        CHECK(comes_true([&] { return use("c1").output == "blue\n"; }));
        for (auto index : {0, 1}) {
          auto refused = run({"get", "colour", "--at", nodes[index].address(), "--identity",
                              who.folder("c2"), "--timeout", "5s"});
          INFO(refused);
          CHECK(refused.status == 1);
          CHECK(refused.says("has been revoked"));
        }
        nodes[2].kill();
        auto back = start(running_node::with_defaults(
          {"--data", who.folder("n2"), "--join", nodes[1].address()}, "127.0.0.1:0"));
        check_line(back, {"has been revoked"});
      }
    }
  }
}

TEST_CASE("who revokes a voter that the majority needs is warned", "[cluster]") {
  need_command();
  identities who;
  variable home{"TROUPE_HOME", who.folder("c1")};
  three_voters nodes{{}, [&](int index) { return who.folder(three_voters::name(index)); }};
  nodes[1].kill();
  REQUIRE(comes_true([&] {
    return run({"voters", "--at", nodes[0].address()}).says("2 of 3 voters reachable");
  }));
  auto warned = revoke(who, "n2", {"--at", nodes[0].address()});
  CHECK(warned.says("'n2' votes, and of the other voters 1 of 2 can be reached"));
  CHECK(warned.says("all certificates of n2"));
}

TEST_CASE("a client that is revoked at one of three members loses its links to all within 5 s",
          "[cluster]") {
  need_command();
  identities who;
  variable home{"TROUPE_HOME", who.folder("c1")};
  three_voters nodes{{}, [&](int index) { return who.folder(three_voters::name(index)); }};
  must({"ca", "issue", "--data", who.folder("n0"), "--name", "c2", "--role", "client", "--rights",
        "use", "--out", who.folder("c2")});
  must({"put", "colour", "red", "--at", nodes.addresses()});
  std::vector<testing::child_process> watchers; // each linked to another member
  for (auto index : {0, 1, 2})
    watchers.push_back(
      start({"watch", "colour", "--at", nodes[index].address(), "--identity", who.folder("c2")}));
  for (auto& each : watchers)
    REQUIRE(await_line(each, {"red"}));
  auto links_of_client = [&](int index) {
    auto seen = run({"status", "--json", "--at", nodes[index].address()}).line();
    REQUIRE(seen["links"].is_array());
    return std::ranges::count_if(seen["links"], [](auto& each) { return each["peer"] == "c2"; });
  };
  for (auto index : {0, 1, 2})
    CHECK(links_of_client(index) >= 1);
  revoke(who, "c2");
  auto began = clock::now();
  for (auto index : {0, 1, 2}) // the client ends the other links once it is refused over one
    check_line(nodes[index].process(), {"of revoked certificates applies, with 1 entry"}, 5s);
  for (auto index : {0, 1, 2})
    CHECK(comes_true([&] { return links_of_client(index) == 0; }, 5s));
  CHECK(clock::now() - began < 5s);
  for (auto& each : watchers) {
    auto done = finish(each);
    INFO(done);
    CHECK(done.status == 1);
    CHECK(done.says("has been revoked"));
  }
}

TEST_CASE("a command that is under way when its certificate is revoked ends, and says so",
          "[cluster][cli]") {
  need_command();
  identities who;
  running_node node{{"--name", "n0", "--data", who.folder("n0"), "--timers", "lan"}};
  auto as = [&](const std::string& client, words command) {
    must({"ca", "issue", "--data", who.folder("n0"), "--name", client, "--role", "client",
          "--rights", "use", "--out", who.folder(client)});
    auto place = std::ranges::find(command, "--");
    command.insert(place, {"--at", node.address(), "--identity", who.folder(client)});
    return start(command);
  };
  auto flow = who.folder("flow.json");
  write_file(flow, R"({"schema":"troupe-dag/1","name":"f","tasks":[{"id":"a","runtime_s":60}]})");
  auto sign = who.folder("go on");
  std::map<std::string, testing::child_process> under_way;
  under_way.emplace("watch", as("watch", {"watch", "colour", "--json"}));
  under_way.emplace("top", as("top", {"top", "--json", "--every", "1s"}));
  under_way.emplace("submit", as("submit", {"submit", flow, "--json"}));
  under_way.emplace("lock", as("lock", {"lock", "long", "--ttl", "1m", "--json", "--", "sh", "-c",
                                        "while [ ! -e '" + sign + "' ]; do sleep 0.1; done"}));
  must({"put", "colour", "red", "--at", node.address(), "--identity", who.folder("c1")});
  for (auto& [name, each] : under_way)
    REQUIRE(each.read_line(20s));
  for (auto& [name, each] : under_way)
    revoke(who, name);
  check_line(node.process(), {"ended a link"}, 5s);
  write_file(sign, "now");
  auto began = clock::now();
  for (auto& [name, each] : under_way) {
    auto done = finish(each);
    INFO(name << ": " << done);
    CHECK(done.status == 1);
    REQUIRE_FALSE(done.lines().empty());
    auto why = done.lines().back();
    CHECK(why["event"] == "error");
    CHECK(why["code"] == "denied");
    CHECK(why["detail"].get<std::string>().find("has been revoked") != std::string::npos);
  }
  CHECK(clock::now() - began < 8s); // lock does not wait in vain for its release
}

TEST_CASE("a node takes a renewed certificate without a restart", "[cluster]") {
  need_command();
  identities who;
  running_node first{{"--name", "n0", "--data", who.folder("n0")}};
  running_node second{{"--name", "n1", "--data", who.folder("n1"), "--join", first.address()}};
  auto old = issued(who, "n1")["serial"].get<std::string>();
  must({"ca", "renew", "n1", "--data", who.folder("n0"), "--out", who.folder("n1")});
  check_line(second.process(), {"new links prove the certificate"}, 5s);
  CHECK(issued(who, "n1")["serial"] != old);
  revoke(who, old); // so the links that prove it end, and others take their place
  check_line(first.process(), {"ended a link", old}, 5s);
  CHECK(comes_true([&] {
    auto seen = run({"status", "--json", "--at", first.address(), "--identity", who.folder("c1")});
    auto members = seen.line().value("members", json::array());
    return members.size() == 2
           && std::ranges::all_of(members, [](auto& each) { return each["status"] == "active"; });
  }));
  write_file(who.folder("n1") + "/node.pem", "no certificate");
  check_line(second.process(), {"node.pem is not taken"}, 5s);
  write_file(who.folder("n1") + "/revoked.list", "no list");
  check_line(second.process(), {"revoked.list is not taken"}, 5s);
  auto seen = run({"status", "--json", "--at", second.address(), "--identity", who.folder("c1")});
  CHECK(seen.line().value("certificate_valid_until", "").ends_with("Z"));
}

TEST_CASE("a node whose certificate ends within seven days says so in its log, and status shows it",
          "[cluster][cli]") {
  need_command();
  identities who;
  running_node first{{"--name", "n0", "--data", who.folder("n0")}};
  auto ca = security::authority::load(who.folder("n0") + "/ca");
  auto key = security::key_pair::load(who.folder("n1") + "/identity.key");
  REQUIRE((ca && key));
  auto put = [&](std::chrono::hours lasts) {
    auto issued = ca->issue(key->public_half(),
                            {"n1", security::role::member, security::rights::operate, lasts},
                            read_calendar());
    REQUIRE(issued);
    REQUIRE(security::put_certificates(who.folder("n1"), ca->own(), *issued));
  };
  auto status = [&] {
    return run({"status", "--at", first.address(), "--identity", who.folder("c1")});
  };
  auto start_second = [&] {
    return start(running_node::with_defaults(
      {"--name", "n1", "--data", who.folder("n1"), "--join", first.address()}, "127.0.0.1:0"));
  };
  put(24h * 6);
  {
    auto second = start_second();
    check_line(second, {"has to be renewed", "it is valid until"});
    outcome seen;
    CHECK(comes_true([&] {
      seen = status();
      return seen.says("the certificate that node n1 has shown is valid until");
    }));
    INFO(seen);
    CHECK(seen.says("renew it with troupe ca renew"));
    CHECK_FALSE(seen.says("node n0 is valid until"));
    put(24h * 30);
    check_line(second, {"over: ", "has to be renewed"});
  }
  auto second = start_second();
  CHECK(comes_true([&] { return status().says("n1  active"); }));
  CHECK_FALSE(status().says("valid until"));
}

TEST_CASE("a command says that the certificate of its user ends within seven days",
          "[cluster][cli]") {
  need_command();
  identities who;
  running_node first{{"--name", "n0", "--data", who.folder("n0")}};
  auto ca = security::authority::load(who.folder("n0") + "/ca");
  auto key = security::key_pair::load(who.folder("c1") + "/identity.key");
  REQUIRE((ca && key));
  auto status_with = [&](std::chrono::hours lasts, words more) {
    auto issued
      = ca->issue(key->public_half(), {"c1", security::role::client, security::rights::read, lasts},
                  read_calendar());
    REQUIRE(issued);
    REQUIRE(security::put_certificates(who.folder("c1"), ca->own(), *issued));
    words command{"status", "--at", first.address(), "--identity", who.folder("c1")};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  };
  auto id = to_string(id_of(key->public_half()));
  auto warned = status_with(24h * 6, {});
  INFO(warned);
  CHECK(warned.status == 0);
  CHECK(warned.says("warning: the certificate in " + who.folder("c1") + " is valid until"));
  CHECK(warned.says("troupe ca renew " + id.substr(0, 8)));
  CHECK(status_with(24h * 6, {"--json"}).status == 0);
  CHECK_FALSE(status_with(24h * 8, {}).says("warning"));
}

TEST_CASE("a CA shows what it has issued, and refuses names that say too little",
          "[cluster][cli]") {
  need_command();
  identities who;
  auto data = who.folder("n0");
  must({"ca", "issue", "--data", data, "--name", "n1", "--role", "client", "--out",
        who.folder("other")});
  auto listed = run({"ca", "list", "--json", "--data", data});
  INFO(listed);
  REQUIRE(listed.status == 0);
  REQUIRE(listed.lines().size() == 5);
  for (auto* field : {"serial", "name", "node", "role", "valid_until"})
    CHECK(listed.line(1)[field].is_string());
  CHECK(listed.line(1)["revoked_since"].is_null());
  auto serial = listed.line(1)["serial"].get<std::string>();
  CHECK(run({"ca", "list", "--data", data}).says(serial));
  auto ambiguous = run({"ca", "revoke", "n1", "--data", data});
  INFO(ambiguous);
  CHECK(ambiguous.status == 2);
  CHECK(ambiguous.says(serial));
  auto unknown = run({"ca", "revoke", "nobody", "--data", data});
  CHECK(unknown.status == 1);
  CHECK(unknown.says("troupe ca list"));
  CHECK(run({"ca", "revoke", "--data", data}).status == 2);
  auto revoked = run({"ca", "revoke", serial, "--json", "--data", data});
  INFO(revoked);
  REQUIRE(revoked.status == 0);
  CHECK(revoked.line()["event"] == "revoked");
  CHECK(revoked.line()["number"] == 1);
  CHECK(run({"ca", "list", "--json", "--data", data}).line(1)["revoked_since"].is_string());
  auto client = listed.line(3)["node"].get<std::string>();
  auto by_id = run({"ca", "revoke", client.substr(0, 8), "--json", "--data", data});
  INFO(by_id);
  REQUIRE(by_id.status == 0);
  CHECK(by_id.line()["node"] == client);
  CHECK(by_id.line()["serial"].is_null());
  auto own = run({"ca", "revoke", "n0", "--data", data});
  INFO(own);
  CHECK(own.status == 2);
  CHECK(own.says("--force"));
  CHECK(run({"ca", "list", "--json", "--data", data}).line(0)["revoked_since"].is_null());
  auto again = run({"ca", "renew", "n1", "--data", data, "--out", who.folder("n1")});
  CHECK(again.status == 1); // the other n1, whose folder that is not
  CHECK(again.says("another identity"));
  auto forced = run({"ca", "revoke", "n0", "--force", "--data", data});
  INFO(forced);
  CHECK(forced.status == 0);
}

TEST_CASE("a register that is open elsewhere is listed, and a CA without a node says what it lacks",
          "[cluster][cli]") {
  need_command();
  identities who;
  auto data = who.folder("n0");
  auto open = security::certificate_register::open(data + "/ca");
  REQUIRE(open);
  auto listed = run({"ca", "list", "--json", "--data", data}, 5s);
  CHECK(listed.lines().size() == 4);
  auto copy = who.folder("copy");
  std::filesystem::create_directory(copy);
  std::filesystem::copy(data + "/ca", copy + "/ca");
  auto alone = run({"ca", "invite", "--data", copy});
  INFO(alone);
  CHECK(alone.status == 1);
  CHECK(alone.says("identity.key"));
  CHECK(alone.says("troupe ca issue"));
}
