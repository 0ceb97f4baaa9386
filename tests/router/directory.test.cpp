#include "troupe/router/directory.hpp" // the header under test
#include "router/named_nodes.hpp"
#include "support/seeds.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace directory_test {

using namespace troupe;
using namespace troupe::router;

namespace {

const auto n0 = test::node_named("n0");
const auto n1 = test::node_named("n1");
const auto n2 = test::node_named("n2");

std::vector<std::string> names_of(const std::vector<location>& found) {
  std::vector<std::string> result;
  for (auto& each : found)
    result.push_back(each.agent.text() + '@' + test::name_of(each.node));
  return result;
}

using names = std::vector<std::string>;

constexpr std::size_t all = 1'000;

} // namespace

TEST_CASE("a directory finds agents by what they are registered with", "[router]") {
  directory places;
  places.put({"a", n1, {"read"}, {"g"}});
  places.put({"b", n2, {"read", "write"}, {"g", "h"}});
  places.put({"c", n1, {}, {}});
  CHECK(names_of(places.find(to_agent("b"), all)) == names{"b@n2"});
  CHECK(names_of(places.find(to_agent("x"), all)).empty());
  CHECK(names_of(places.find(to_all("read"), all)) == names{"a@n1", "b@n2"});
  CHECK(names_of(places.find(to_all("write"), all)) == names{"b@n2"});
  CHECK(names_of(places.find(to_group("h"), all)) == names{"b@n2"});
  CHECK(names_of(places.find(to_everyone(), all)) == names{"a@n1", "b@n2", "c@n1"});
  SECTION("no more than were asked for") {
    CHECK(names_of(places.find(to_everyone(), 2)) == names{"a@n1", "b@n2"});
    CHECK(names_of(places.find(to_group("g"), 1)) == names{"a@n1"});
  }
  SECTION("new words of an agent take the place of the last") {
    places.put({"a", n1, {"write"}, {}});
    CHECK(names_of(places.find(to_all("read"), all)) == names{"b@n2"});
    CHECK(names_of(places.find(to_all("write"), all)) == names{"a@n1", "b@n2"});
    CHECK(places.count(to_everyone()) == 3);
  }
  SECTION("what is removed is found no more") {
    places.remove("b", n2);
    places.remove("b", n2);
    CHECK(names_of(places.find(to_all("write"), all)).empty());
    CHECK(names_of(places.find(to_group("g"), all)) == names{"a@n1"});
  }
  SECTION("of a name that several have, the smallest node's is meant") {
    places.put({"c", n0, {}, {}});
    CHECK(names_of(places.find(to_agent("c"), all)) == names{"c@n0"});
    places.remove("c", n0);
    CHECK(names_of(places.find(to_agent("c"), all)) == names{"c@n1"});
  }
}

TEST_CASE("any with a capability is the least loaded, in turn among equals", "[router]") {
  directory places;
  places.put({"a", n1, {"work"}, {}, 1});
  places.put({"b", n1, {"work"}, {}, 1});
  places.put({"c", n1, {"work"}, {}, 2});
  std::map<agent_id, int> hits;
  for (auto round = 0; round < 10; ++round)
    ++hits[places.find(to_any("work"), 1).front().agent];
  CHECK(hits == std::map<agent_id, int>{{"a", 5}, {"b", 5}});
  places.put({"c", n1, {"work"}, {}, 0});
  CHECK(places.find(to_any("work"), 1).front().agent == "c");
  CHECK(places.find(to_any("rest"), 1).empty());
}

TEST_CASE("an agent that rests gets what any could do only where all rest", "[router]") {
  directory places;
  places.put({"a", n1, {"work"}, {"g"}, 0, true});
  places.put({"b", n2, {"work"}, {"g"}, 7});
  for (auto round = 0; round < 3; ++round)
    CHECK(places.find(to_any("work"), 1).front().agent == "b");
  CHECK(names_of(places.find(to_agent("a"), all)) == names{"a@n1"});
  CHECK(names_of(places.find(to_group("g"), all)) == names{"a@n1", "b@n2"});
  places.remove("b", n2);
  CHECK(places.find(to_any("work"), 1).front().agent == "a");
}

TEST_CASE("an agent that is ill gets what any could do only where all are, or rest", "[router]") {
  directory places;
  places.put({.agent = "a", .node = n1, .capabilities = {"work"}, .ill = true});
  places.put({.agent = "b", .node = n2, .capabilities = {"work"}, .load = 7});
  for (auto round = 0; round < 3; ++round)
    CHECK(places.find(to_any("work"), 1).front().agent == "b");
  CHECK(names_of(places.find(to_agent("a"), all)) == names{"a@n1"});
  places.put({.agent = "b", .node = n2, .capabilities = {"work"}, .load = 7, .rests = true});
  CHECK(places.find(to_any("work"), 1).front().agent == "a"); // the least loaded of these
  places.put({.agent = "a", .node = n1, .capabilities = {"work"}});
  CHECK(places.find(to_any("work"), 1).front().agent == "a");
}

TEST_CASE("a directory agrees with a list that is looked through", "[router][property]") {
  test::for_each_seed(200, [](test::random_source random) {
    auto pick = [&](const std::string& prefix, std::uint64_t count) {
      return prefix + std::to_string(random.below(count));
    };
    directory places;
    std::map<std::pair<agent_id, node_id>, location> plain;
    for (auto step = 0; step < 200; ++step) {
      location what{pick("a", 6), test::node_named(pick("n", 3))};
      if (random.below(3) == 0) {
        places.remove(what.agent, what.node);
        plain.erase({what.agent, what.node});
      } else if (random.below(20) == 0) {
        places.remove_if([&](auto& agent, auto& node) { return agent > "a2" && node == n1; });
        std::erase_if(
          plain, [](auto& each) { return each.first.first > "a2" && each.first.second == n1; });
      } else {
        for (auto count = random.below(3); count > 0; --count)
          what.capabilities.insert(pick("c", 3));
        for (auto count = random.below(3); count > 0; --count)
          what.groups.insert(pick("g", 3));
        what.load = static_cast<std::uint32_t>(random.below(3));
        plain.insert_or_assign({what.agent, what.node}, what);
        places.put(std::move(what));
      }
      auto listed = [&](auto fits) {
        std::vector<location> result;
        for (auto& [key, each] : plain)
          if (fits(each))
            result.push_back(each);
        return result;
      };
      auto capability = pick("c", 3);
      auto group = pick("g", 3);
      auto agent = pick("a", 6);
      REQUIRE(places.count(to_everyone()) == plain.size());
      REQUIRE(places.find(to_everyone(), all) == listed([](auto&) { return true; }));
      auto able = listed([&](auto& each) { return each.capabilities.contains(capability); });
      REQUIRE(places.find(to_all(capability), all) == able);
      REQUIRE(places.count(to_all(capability)) == able.size());
      auto members = listed([&](auto& each) { return each.groups.contains(group); });
      REQUIRE(places.find(to_group(group), all) == members);
      REQUIRE(places.count(to_group(group)) == members.size());
      auto of_name = listed([&](auto& each) { return each.agent == agent; });
      auto found = places.find(to_agent(agent), all);
      REQUIRE(found.size() == std::min<std::size_t>(of_name.size(), 1));
      REQUIRE(places.count(to_agent(agent)) == found.size());
      if (!found.empty())
        REQUIRE(found.front() == of_name.front());
      auto any = places.find(to_any(capability), 1);
      REQUIRE(any.size() == std::min<std::size_t>(able.size(), 1));
      for (auto& each : able)
        REQUIRE(any.front().load <= each.load);
    }
  });
}

} // namespace directory_test
