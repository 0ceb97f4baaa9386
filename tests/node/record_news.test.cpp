#include "troupe/cluster/record_news.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "router/named_nodes.hpp"
#include "support/take.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/registry/record_table.hpp"

namespace record_news_test {

using namespace troupe;
using cluster::claims_types;
using cluster::liveness;
using cluster::record_news;
using registry::own_records;
using registry::record;
using registry::record_kind;
using test::take;
using test::operator""_node;

namespace {

using agents = std::set<std::pair<agent_id, node_id>>;

/// What node "n1" says of its table, which keeps its last two changes only, if nothing else is
/// said: more than that at once, and it has to begin anew.
class one_table {
public:
  explicit one_table(std::size_t max_records = 10'000, std::uint32_t max_changes = 2)
    : max_records_(max_records) {
    registry::registry_options how;
    how.max_changes = max_changes;
    step(registry::configure{how, 0});
  }

  void step(const registry::event& what) {
    registry::effects made;
    table_.step(time_point{}, 1, what, made);
    for (auto& each : made)
      CHECK_FALSE(std::holds_alternative<refused>(each));
  }

  void put(std::vector<record> what) {
    step(registry::put_records{std::move(what)});
  }

  /// Follows one change, or the end of a page.
  bool next() {
    auto goes_on = it_.next(out);
    CHECK(it_.flaws() == std::vector<std::string>{});
    return goes_on;
  }

  void follow() {
    while (next()) {
    }
  }

  /// Of the last snapshot that has ended; none if no other has since.
  std::vector<agents> ends() {
    std::vector<agents> found;
    for (auto& each : take<record_news::found_only>(out))
      found.push_back(each.agents);
    return found;
  }

  [[nodiscard]] const cluster::known_nodes& nodes() const {
    return nodes_;
  }

  record_news::effects out;

private:
  std::size_t max_records_;
  registry::record_table table_;
  cluster::known_nodes nodes_;
  record_news it_{"n1"_node, "one", max_records_, table_, nodes_};
};

record node_called(const std::string& name) {
  record made;
  made.key = {record_kind::node, name, {}};
  return made;
}

record agent(const std::string& name, std::uint64_t token) {
  record made;
  made.key = {record_kind::agent, name, {}};
  made.token = token;
  return made;
}

/// One that nobody has claimed.
record plain_agent(const std::string& id, const std::string& node) {
  return agent(registry::unclaimed_name(id, test::node_named(node)), 0);
}

} // namespace

TEST_CASE_METHOD(one_table, "a snapshot ends with the agents that it has shown, by their ids",
                 "[node][core]") {
  own_records two{"n2"_node, 1};
  put({two.put(node_called("two")), two.put(agent("a", 7)), two.put(plain_agent("b", "n2")),
       two.put(plain_agent("c", "n2"))});
  follow();
  CHECK(ends() == std::vector{agents{{"a", "n2"_node}, {"b", "n2"_node}, {"c", "n2"_node}}});
  CHECK(take<record_news::found>(out).size() == 3);
  put({*two.remove(record_kind::agent, "a")});
  follow();
  CHECK(ends().empty()); // no change was missed
  auto gone = take<record_news::gone>(out);
  REQUIRE(gone.size() == 1);
  CHECK(gone.front().id == "a");
}

TEST_CASE_METHOD(one_table, "an agent is gone though the record of another one is called as it is",
                 "[node][core]") {
  own_records two{"n2"_node, 1};
  auto of_a = plain_agent("a", "n2");
  auto other = of_a.key.name;
  put({two.put(of_a), two.put(plain_agent(other, "n2"))});
  follow();
  CHECK(take<record_news::found>(out).size() == 2);
  put({*two.remove(record_kind::agent, registry::unclaimed_name(other, "n2"_node))});
  follow();
  auto gone = take<record_news::gone>(out);
  REQUIRE(gone.size() == 1);
  CHECK(gone.front().id == other);
  CHECK(take<record_news::found>(out).empty());
}

TEST_CASE("agents of a node that has begun anew may be there again soon", "[node][core]") {
  one_table t{10'000, 100};
  own_records two{"n2"_node, 1};
  t.put({two.put(node_called("two")), two.put(agent("a", 7)), two.put(agent("b", 8)),
         two.put(agent("c", 9))});
  t.follow();
  t.put({*two.remove(record_kind::agent, "c")});
  t.follow();
  auto gone = take<record_news::gone>(t.out);
  REQUIRE(gone.size() == 1);
  CHECK_FALSE(gone.front().returns); // it has ended

  own_records again{"n2"_node, 2};
  t.put({again.put(node_called("two"))});
  t.follow();
  gone = take<record_news::gone>(t.out);
  std::set<std::string> returning;
  for (auto& each : gone)
    if (each.returns)
      returning.insert(each.id.text());
  CHECK(returning == std::set<std::string>{"a", "b"});
  CHECK(take<record_news::found>(t.out).size() == 3); // in their life before
  t.put({again.put(agent("a", 10))});
  t.follow();
  CHECK(take<record_news::found>(t.out).size() == 1);

  t.step(registry::forget{"n2"_node, 2});
  t.follow();
  gone = take<record_news::gone>(t.out);
  REQUIRE(gone.size() == 1);
  CHECK_FALSE(gone.front().returns); // nothing is known of that node any more
}

TEST_CASE_METHOD(one_table, "who leads hears in which life a node has left", "[node][core]") {
  own_records two{"n2"_node, 6};
  put({two.put(node_called("two"))});
  follow();
  CHECK(take<liveness::shown>(out).size() == 1);
  put({*two.remove(record_kind::node, "two")});
  follow();
  auto left = take<liveness::left>(out);
  CHECK(take<liveness::shown>(out).empty()); // or it would be waited for
  REQUIRE(left.size() == 1);
  CHECK(left.front().node == "n2"_node);
  CHECK(left.front().boot == 6);
}

TEST_CASE_METHOD(one_table, "what was missed is gone with the next snapshot", "[node][core]") {
  own_records two{"n2"_node, 1};
  own_records three{"n3"_node, 1};
  put({two.put(node_called("two")), two.put(agent("a", 7)), three.put(node_called("three")),
       three.put(agent("b", 8)), three.put(agent("c", 9))});
  follow();
  out.clear();
  REQUIRE(nodes().find("two"));
  put({*two.remove(record_kind::agent, "a"), *two.remove(record_kind::node, "two"),
       *three.remove(record_kind::agent, "b")});
  follow();
  CHECK(ends() == std::vector{agents{{"c", "n3"_node}}});
  CHECK_FALSE(nodes().find("two"));
  CHECK(nodes().find("three"));
  auto listed = take<liveness::listed>(out);
  REQUIRE(listed.size() == 1);
  CHECK(listed.front().all
        == std::set<registry::record_key>{{record_kind::node, "three", "n3"_node},
                                          {record_kind::agent, "c", "n3"_node}});
}

TEST_CASE_METHOD(one_table, "a snapshot ends with its last page", "[node][core]") {
  own_records two{"n2"_node, 1};
  put({two.put(node_called("two"))});
  agents all;
  for (auto each = 0; each < 2'500; ++each) { // a page has 1,000
    auto name = "a" + std::to_string(each);
    put({two.put(agent(name, 7))});
    all.emplace(name, "n2"_node);
  }
  auto pages = 0;
  auto shown = 0;
  while (next()) {
    shown += static_cast<int>(take<record_news::found>(out).size());
    auto is_over = shown == 2'500;
    if (auto ended = ends(); !ended.empty()) {
      CHECK(is_over);
      CHECK(ended == std::vector{all});
      ++pages;
    }
  }
  CHECK(pages == 1);
}

TEST_CASE_METHOD(one_table, "a snapshot that begins anew forgets what it has shown before",
                 "[node][core]") {
  own_records two{"n2"_node, 1};
  put({two.put(node_called("two"))});
  for (auto each = 0; each < 1'500; ++each)
    put({two.put(agent("a" + std::to_string(10'000 + each), 7))});
  for (auto each = 0; each < 1'001; ++each) // the first page has been shown, and not ended
    REQUIRE(next());
  for (auto each = 0; each < 1'500; ++each)
    put({*two.remove(record_kind::agent, "a" + std::to_string(10'000 + each))});
  put({two.put(agent("b", 8))});
  follow();
  CHECK(ends() == std::vector{agents{{"b", "n2"_node}}});
  CHECK(nodes().find("two"));
}

TEST_CASE_METHOD(one_table,
                 "an agent that claims its name takes the place of one of that id on its node",
                 "[node][core]") {
  own_records two{"n2"_node, 1};
  auto plain = two.put(plain_agent("a", "n2"));
  SECTION("in a snapshot, whose changes come in the order of their names") {
    auto b = two.put(agent("b", 3));
    put({b, plain});
    for (auto each = 0; each < 1'500; ++each)
      put({two.put(agent("c" + std::to_string(each), 7))});
    for (auto each = 0; each < 1'001; ++each)
      REQUIRE(next());
    auto gone = *two.remove(record_kind::agent, plain.key.name);
    put({two.put(agent("a", 8)), gone});
    follow();
    auto all = ends();
    REQUIRE(all.size() == 1);
    CHECK(all.front().contains({"a", "n2"_node}));
  }
  SECTION("or else") {
    put({plain});
    follow();
    out.clear();
    auto gone = *two.remove(record_kind::agent, plain.key.name);
    put({two.put(agent("a", 8)), gone});
    follow();
    CHECK(take<record_news::gone>(out).empty());
    auto found = take<record_news::found>(out);
    REQUIRE_FALSE(found.empty());
    CHECK(found.back().what.token == 8);
    put({*two.remove(record_kind::agent, "a")});
    follow();
    CHECK(take<record_news::gone>(out).size() == 1);
  }
  SECTION("and no other agent does, whatever its record is called") {
    put({plain, two.put(plain_agent("a@n2", "n2"))});
    follow();
    out.clear();
    put({*two.remove(record_kind::agent, registry::unclaimed_name("a@n2", "n2"_node))});
    follow();
    CHECK(take<record_news::found>(out).empty());
    CHECK(take<record_news::gone>(out).size() == 1);
  }
  SECTION("and it is gone with its node") {
    put({two.put(node_called("two")), plain});
    put({two.put(agent("a", 8))});
    follow();
    out.clear();
    step(registry::verdict{"n2"_node, 1, registry::record_status::disconnected});
    follow();
    CHECK(take<record_news::found>(out).empty());
    CHECK_FALSE(take<record_news::gone>(out).empty());
  }
}

TEST_CASE_METHOD(one_table, "what goes while a snapshot comes is not among what it has shown",
                 "[node][core]") {
  own_records two{"n2"_node, 1};
  for (auto each = 0; each < 1'500; ++each)
    put({two.put(agent("a" + std::to_string(10'000 + each), 7))});
  for (auto each = 0; each < 1'001; ++each)
    REQUIRE(next());
  put({*two.remove(record_kind::agent, "a10000")});
  follow();
  auto all = ends();
  REQUIRE(all.size() == 1);
  CHECK(all.front().size() == 1'499);
  CHECK_FALSE(all.front().contains({"a10000", "n2"_node}));
}

TEST_CASE("a snapshot remembers no more than a table has", "[node][core]") {
  one_table it{2};
  own_records two{"n2"_node, 1};
  it.put({two.put(node_called("two")), two.put(agent("a", 7)), two.put(agent("b", 8)),
          two.put(agent("c", 9))});
  it.follow();
  CHECK(it.ends() == std::vector{agents{{"a", "n2"_node}}});
}

TEST_CASE_METHOD(one_table, "a claim that another node shows is told, and not the end of one",
                 "[node][core]") {
  own_records two{"n2"_node, 1};
  put({two.put(node_called("two")), two.put(agent("a", 7))});
  follow();
  auto seen = take<claims_types::seen>(out);
  REQUIRE(seen.size() == 1);
  CHECK(seen.front().name == "a");
  CHECK(seen.front().owner == "n2"_node);
  CHECK(seen.front().token == 7);
  CHECK(seen.front().holder == "two");
  CHECK_FALSE(seen.front().taken);
  SECTION("as its agent has ended") {
    put({*two.remove(record_kind::agent, "a")});
  }
  SECTION("as its node is forgotten") {
    step(registry::forget{"n2"_node, 1});
  }
  follow();
  CHECK(take<record_news::gone>(out).size() == 1);
  CHECK(take<claims_types::seen>(out).empty());
}

TEST_CASE_METHOD(one_table, "that a name of this node is taken is told, and nothing else of it",
                 "[node][core]") {
  own_records one{"n1"_node, 1};
  own_records two{"n2"_node, 1};
  put({one.put(agent("a", 5))});
  follow();
  CHECK(take<claims_types::seen>(out).empty());
  CHECK(take<record_news::found>(out).empty()); // its host says that
  put({two.put(agent("a", 9))});
  follow();
  auto seen = take<claims_types::seen>(out);
  REQUIRE(seen.size() == 2);
  CHECK(seen.front().owner == "n1"_node);
  CHECK(seen.front().token == 5);
  CHECK(seen.front().taken);
  CHECK(seen.back().owner == "n2"_node);
  CHECK_FALSE(seen.back().taken);
}

} // namespace record_news_test
