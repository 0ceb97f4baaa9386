#include "troupe/node/announcer.hpp" // the header under test

#include "node/part_fixture.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace std::literals;
using namespace troupe;
using cluster::announcer;

namespace {

constexpr auto same_identity = "another live process has this node's identity";

/// What a process says of the node "n1".
class speaker {
public:
  speaker(test::clocked_cluster& where, boot_number boot)
    : part_(where, [this, &where, boot](auto* self, auto& part) {
        part.emplace(
          self, where.registry,
          announcer::setup{"n1",
                           boot,
                           1s,
                           {"n1", [this](const log_line& line) { log.push_back(line.text); }},
                           [this] { ++rises; }});
      }) {}

  void run(std::function<void(announcer&)> job) {
    part_.run(std::move(job));
  }

  /// Says without waiting that the node is at `port`.
  static void put(announcer& to, std::uint16_t port, const std::string& name = "n1") {
    to.put({{.key = {registry::record_kind::node, name, "n1"}, .endpoints = {{"10.0.0.1", port}}}});
  }

  boot_number boot() {
    boot_number found = 0;
    run([&](announcer& it) { found = it.book().boot(); });
    return found;
  }

  [[nodiscard]] bool says(const std::string& what) const {
    return std::ranges::any_of(
      log, [&](const std::string& line) { return line.find(what) != std::string::npos; });
  }

  std::vector<std::string> log;
  int rises = 0;

private:
  test::clocked_cluster::hosted<announcer> part_;
};

} // namespace

TEST_CASE("a node whose folder was put back goes one start higher, whatever was under way",
          "[node][registry]") {
  test::clocked_cluster cluster;
  { // a life that the folder does not know of
    speaker before{cluster, 5};
    before.run([](announcer& it) { speaker::put(it, 1); });
    before.run([](announcer& it) { speaker::put(it, 2, "n1-too"); });
  }
  speaker now{cluster, 5};
  now.run([](announcer& it) { // two answers will clash
    speaker::put(it, 4);
    speaker::put(it, 5, "n1-too");
  });
  CHECK(now.boot() == 6);
  CHECK(now.rises == 1);
  CHECK_FALSE(now.says(same_identity));
  auto heard = cluster.look(cluster.registry_actor, registry::find_owner{"n1"});
  CHECK(heard.boot == 6);
}

TEST_CASE("a node whose later life the registry knows of goes above it with its first beat",
          "[node][registry]") {
  test::clocked_cluster cluster;
  {
    speaker before{cluster, 9};
    before.run([](announcer& it) { speaker::put(it, 1); });
  }
  speaker now{cluster, 5};
  now.run([](announcer& it) { it.beat(); });
  CHECK(now.boot() == 10);
}

TEST_CASE("two live processes with one identity do not go above each other for ever",
          "[node][registry]") {
  test::clocked_cluster cluster;
  speaker one{cluster, 5};
  speaker two{cluster, 5};
  std::uint16_t port = 1;
  for (auto turn = 0; turn < 200; ++turn)
    for (auto* each : {&one, &two})
      each->run([&](announcer& it) { speaker::put(it, port++); });
  auto highest = std::max(one.boot(), two.boot());
  CHECK((one.says(same_identity) || two.says(same_identity)));
  CHECK(one.rises <= announcer::max_rises);
  CHECK(two.rises <= announcer::max_rises);
  CHECK(highest <= 5 + 2 * announcer::max_rises);
}

TEST_CASE("the log says which record a registry does not take, and that it takes it at last",
          "[node][registry]") {
  test::clocked_cluster cluster;
  speaker now{cluster, 5};
  auto about = registry::record{.key = {registry::record_kind::node, "n1", "n1"}};
  now.run([&](announcer& it) {
    about.endpoints = {{"", 1}};
    it.put({about});
  });
  CHECK(now.says("the registry did not take a record: "));
  CHECK_FALSE(now.says("over: "));
  now.run([&](announcer& it) {
    about.endpoints = {{"10.0.0.1", 1}};
    it.put({about});
  });
  CHECK(now.says("over: the registry did not take a record"));
}
