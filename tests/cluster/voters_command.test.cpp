// Clusters whose services live on several processes, as people run them.

#include "three_voters.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace troupe::test;

TEST_CASE("a cluster of three loses its leader to SIGKILL and nothing else", "[cluster][cli]") {
  three_voters cluster;
  auto leads = cluster.leader();
  auto stays = (leads + 1) % 3;
  REQUIRE(run({"put", "colour", "blue", "--at", cluster[stays].address()}).status == 0);
  auto holder = start(
    {"lock", "press", "--json", "--ttl", "20s", "--at", cluster.addresses(), "--", "sleep", "60"});
  auto held = json::parse(holder.read_line().value_or("{}"), nullptr, false);
  REQUIRE(held.value("event", "") == "held");
  submitted_diamond flow{cluster[stays].address(), 6, 2};

  cluster[leads].kill();

  CHECK(cluster.leader(leads) != leads);
  flow.must_complete();
  CHECK(run({"get", "colour", "--at", cluster[stays].address()}).output == "blue\n");
  auto locks = run({"locks", "--json", "--at", cluster[stays].address()});
  INFO(locks);
  CHECK(locks.line()["holders"][0]["token"] == held["token"]);
  auto status = run({"status", "--json", "--at", cluster[stays].address()});
  INFO(status);
  CHECK(status.line()["group"]["term"].get<int>() > 1);

  cluster.start_node(leads);
  CHECK(comes_true([&] { return cluster.is_whole(); }));
}

TEST_CASE("all voters are restarted one after the other under load", "[cluster][cli]") {
  three_voters cluster;
  auto holder = start(
    {"lock", "press", "--json", "--ttl", "20s", "--at", cluster.addresses(), "--", "sleep", "60"});
  auto held = json::parse(holder.read_line().value_or("{}"), nullptr, false);
  REQUIRE(held.value("event", "") == "held");
  std::vector<std::string> written;
  for (auto index : {0, 1, 2}) {
    CAPTURE(index);
    cluster[index].process().send_signal(SIGTERM);
    while (!cluster[index].process().wait_for_end(std::chrono::milliseconds{1})) {
      auto key = "key-" + std::to_string(written.size());
      auto put = run({"put", key, "value", "--at", cluster.addresses()});
      INFO(put);
      REQUIRE(put.status == 0);
      written.push_back(key);
    }
    cluster.start_node(index);
    REQUIRE(comes_true([&] { return cluster.is_whole(); }));
  }
  for (auto& key : written)
    CHECK(run({"get", key, "--at", cluster.addresses()}).output == "value\n");
  auto locks = run({"locks", "--json", "--at", cluster.addresses()});
  INFO(locks);
  CHECK(locks.line()["holders"][0]["token"] == held["token"]);
}

TEST_CASE("a dead voter is replaced by a new node", "[cluster][cli]") {
  three_voters cluster;
  auto dead = (cluster.leader() + 1) % 3;
  REQUIRE(run({"put", "colour", "blue", "--at", cluster.addresses()}).status == 0);
  cluster.start_node(3);
  cluster[dead].kill();
  words replace{"voters", "replace", cluster[dead].address(), three_voters::name(3), "--json"};
  replace.insert(replace.end(), {"--at", cluster.addresses(), "--timeout", "20"});
  CHECK(comes_true([&] { return run(replace).status == 0; })); // once the new one is known
  CHECK(comes_true([&] { return cluster.is_whole(); }));
  std::set<std::string> names;
  auto seen = cluster.voters();
  for (auto& each : seen["voters"])
    names.insert(each["node"].get<std::string>());
  CHECK(names.contains(three_voters::name(3)));
  CHECK_FALSE(names.contains(three_voters::name(dead)));
  CHECK(run({"get", "colour", "--at", cluster[3].address()}).output == "blue\n");
}

TEST_CASE("a change that is asked of a leader that stands still is made by the next one",
          "[cluster][cli]") {
  three_voters cluster;
  auto leads = cluster.leader();
  auto next = (leads + 1) % 3;
  cluster[leads].process().send_signal(SIGSTOP);
  words change{"voters", "lead", three_voters::name(next), "--json", "--timeout", "20"};
  change.insert(change.end(), {"--at", cluster[next].address()});
  auto made = run(change);
  INFO(made);
  CHECK(made.status == 0);
  cluster[leads].process().send_signal(SIGCONT);
  CHECK(comes_true([&] { return cluster.is_whole(); }));
}

TEST_CASE("without a majority commands say so, and nothing is lost", "[cluster][cli]") {
  three_voters cluster;
  REQUIRE(run({"put", "colour", "blue", "--at", cluster.addresses()}).status == 0);
  cluster[0].kill();
  cluster[1].kill();
  auto refused = run({"put", "colour", "red", "--at", cluster[2].address(), "--timeout", "2"});
  INFO(refused);
  CHECK(refused.status != 0);
  CHECK(refused.says("error: "));
  cluster.start_node(0);
  CHECK(comes_true([&] {
    auto got = run({"get", "colour", "--at", cluster[2].address()});
    return got.output == "blue\n" || got.output == "red\n"; // the put may have been under way
  }));
}

TEST_CASE("the command for voters refuses what makes no sense", "[cluster][cli]") {
  need_command();
  CHECK(run({"voters", "crown", "n1"}).status == 2);
  CHECK(run({"voters", "add"}).status == 2);
  CHECK(run({"voters", "list", "n1"}).status == 2);
  CHECK(run({"voters", "replace", "n1"}).status == 2);
  running_node alone{{"--name", "n1", "--slots", "0"}};
  auto none = run({"voters", "--at", alone.address(), "--timeout", "1"});
  INFO(none);
  CHECK(none.status == 1);
  CHECK(none.says("--data"));
}
