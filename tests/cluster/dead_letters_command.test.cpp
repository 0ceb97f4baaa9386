// Dead letters and inboxes of several nodes, as commands show them; and what they do with the
// former.

#include "troupe_command.hpp"

#include <optional>
#include <set>
#include <string>

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;

namespace {

/// Two nodes with data folders. What clients send is kept by the first one, which leads.
class two_nodes {
public:
  two_nodes() {
    need_command();
    second.emplace(words{"--name", "n1", "--data", folder / "n1", "--join", first.address()});
    REQUIRE(comes_true([&] { return run(with({"dead-letters", "--node", "n1"})).status == 0; }));
  }

  [[nodiscard]] words with(words what) const {
    what.insert(what.end(), {"--at", first.address()});
    return what;
  }

  /// Sends a message that is a dead letter a moment later.
  void lose_one() const {
    CHECK(run(with({"send", "nobody", "hello", "--class", "confirm", "--ttl", "100ms"})).status
          != 0);
  }

  [[nodiscard]] std::set<std::string> ids() const {
    std::set<std::string> found;
    for (auto& each : run(with({"dead-letters", "--json"})).lines())
      found.insert(each.value("id", ""));
    return found;
  }

  temporary_folder folder;
  running_node first{{"--name", "n0", "--data", folder / "n0"}};
  std::optional<running_node> second;
};

} // namespace

TEST_CASE("a dead letter goes again by the beginning of its id, and what may mean two is refused",
          "[cluster][cli]") {
  two_nodes cluster;
  cluster.lose_one();
  auto id = *cluster.ids().begin();
  auto before = run(cluster.with({"dead-letters", "--redrive", id.substr(0, 4) + ":9:9"}));
  INFO(before);
  CHECK(before.status == 1);
  CHECK(before.says("error: no node keeps a dead letter whose id begins with"));

  cluster.lose_one();
  auto both = cluster.ids();
  REQUIRE(both.size() == 2);
  auto unclear = run(cluster.with({"dead-letters", "--redrive", id.substr(0, 8)}));
  INFO(unclear);
  CHECK(unclear.status == 2);
  for (auto& each : both)
    CHECK(unclear.says(each));

  auto brief = id.substr(0, 4) + id.substr(id.find(':'));
  auto again = run(cluster.with({"dead-letters", "--redrive", brief}));
  CHECK(again.output == "1 message is on the way again at n0\n");
  CHECK(again.status == 0);
  both.erase(id);
  CHECK(cluster.ids() == both);
}

TEST_CASE("of dead letters that go again only nodes are named that had some", "[cluster][cli]") {
  two_nodes cluster;
  auto none = run(cluster.with({"dead-letters", "--redrive", "all"}));
  INFO(none);
  CHECK(none.output == "no dead letters\n");
  CHECK(none.status == 0);
  CHECK(run(cluster.with({"dead-letters", "--redrive", "all", "--json"})).output.empty());
  cluster.lose_one();
  cluster.lose_one();
  CHECK(run(cluster.with({"dead-letters", "--redrive", "all"})).output
        == "2 messages are on the way again at n0\n");
}

TEST_CASE("whoever asks for dead letters hears which nodes were not asked", "[cluster][cli]") {
  two_nodes cluster;
  cluster.lose_one();
  CHECK_FALSE(run(cluster.with({"dead-letters"})).says("not asked"));
  cluster.second->kill();
  outcome shown;
  CHECK(comes_true(
    [&] {
      shown = run(cluster.with({"dead-letters"}));
      return shown.says("not asked, as away: n1; ");
    },
    20s));
  INFO(shown);
  CHECK(shown.status == 0);
  CHECK(shown.says("expired  for nobody  at n0"));
  auto lines = run(cluster.with({"dead-letters", "--json"})).lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["reason"] == "expired");
  CHECK(lines[1] == json{{"event", "not_asked"}, {"nodes", {"n1"}}});
  auto missing = run(cluster.with({"dead-letters", "--redrive", "0000ffff:1:1"}));
  INFO(missing);
  CHECK(missing.status == 1);
  CHECK(missing.says("begins with 0000ffff:1:1 (not asked, as away: n1); see troupe dead-letters"));
}

TEST_CASE("the content of a dead letter is shown by its id or the beginning of that",
          "[cluster][cli]") {
  two_nodes cluster;
  cluster.lose_one();
  auto id = *cluster.ids().begin();
  auto brief = id.substr(0, 4) + id.substr(id.find(':'));
  auto shown = run(cluster.with({"dead-letters", "--show", brief}));
  INFO(shown);
  CHECK(shown.status == 0);
  auto content = json::parse(shown.output, nullptr, false);
  REQUIRE(content.size() == 1);
  CHECK(content[0] == json{{"type", "std::string"}, {"value", "hello"}});
  auto lines = run(cluster.with({"dead-letters", "--show", id, "--json"})).lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] == json{{"event", "shown"}, {"node", "n0"}, {"id", id}, {"message", content}});
  CHECK(cluster.ids().contains(id)); // it is there still
  auto other = run(cluster.with({"dead-letters", "--show", id + "1"}));
  INFO(other);
  CHECK(other.status == 1);
  CHECK(other.says("no node keeps the dead letter " + id + "1"));
  CHECK(run(cluster.with({"dead-letters", "--show", "all"})).status == 2);
  CHECK(run(cluster.with({"dead-letters", "--show", id, "--redrive", "all"})).status == 2);
  CHECK(run(cluster.with({"dead-letters", "--show", id, "--purge", "all"})).status == 2);
  CHECK(cluster.ids().contains(id));
}

TEST_CASE("dead letters that are purged are gone", "[cluster][cli]") {
  two_nodes cluster;
  cluster.lose_one();
  auto first = *cluster.ids().begin();
  cluster.lose_one();
  auto all = cluster.ids();
  REQUIRE(all.size() == 2);
  auto both = run(cluster.with({"dead-letters", "--purge", "all", "--redrive", "all"}));
  CHECK(both.status == 2);
  CHECK(cluster.ids() == all);
  auto one = run(cluster.with({"dead-letters", "--purge", first}));
  INFO(one);
  CHECK(one.status == 0);
  CHECK(one.output == "1 dead letter is purged at n0\n");
  all.erase(first);
  CHECK(cluster.ids() == all);
  auto again = run(cluster.with({"dead-letters", "--purge", first}));
  CHECK(again.status == 1);
  CHECK(again.says("no node keeps the dead letter " + first));
  auto rest = run(cluster.with({"dead-letters", "--purge", "all", "--json"})).lines();
  REQUIRE(rest.size() == 1);
  CHECK(rest[0] == json{{"event", "purged"}, {"node", "n0"}, {"id", "all"}, {"purged", 1}});
  CHECK(cluster.ids().empty());
  CHECK(run(cluster.with({"dead-letters", "--purge", "all"})).output == "no dead letters\n");
}

TEST_CASE("where messages wait, and for whom, a command shows", "[cluster][cli]") {
  two_nodes cluster;
  auto none = run(cluster.with({"inbox"}));
  INFO(none);
  CHECK(none.output == "nothing waits\n");
  CHECK(none.status == 0);
  auto sent
    = run(cluster.with({"send", "nobody", "hello", "--class", "confirm", "--timeout", "500ms"}));
  CHECK(sent.status != 0); // nobody has handled it
  auto lines = run(cluster.with({"inbox", "--json"})).lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["agent"] == "nobody");
  CHECK(lines[0]["node"] == "n0");
  CHECK(lines[0]["accepted"] == 1);
  CHECK(lines[0]["waiting"] == 0);
  CHECK(lines[0]["to"] == "");
  CHECK(lines[0]["age_ms"] > 0);
  auto shown = run(cluster.with({"inbox", "nobody"}));
  INFO(shown);
  CHECK(shown.says("AGENT"));
  CHECK(shown.says("no node has the agent"));
  CHECK(run(cluster.with({"inbox", "nobod"})).output == "nothing waits for nobod\n");
  CHECK(run(cluster.with({"inbox", "--node", "n1"})).output == "nothing waits\n");
  CHECK(run(cluster.with({"inbox", "--node", "n9"})).status == 1);
}
