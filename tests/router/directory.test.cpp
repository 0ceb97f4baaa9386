#include "troupe/router/directory.hpp" // the header under test
#include "router/named_nodes.hpp"
#include "support/seeds.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace directory_test {

using namespace std::literals;
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

namespace {

/// Chooses who does work of that kind, `times` at the same moment; without an answer.
std::map<std::string, int> chosen(directory& places, int times, const std::string& work = "work",
                                  time_point now = {}) {
  std::map<std::string, int> hits;
  for (auto round = 0; round < times; ++round)
    if (const auto* found = places.find_one(to_any(work), false, now).where)
      ++hits[found->agent.text()];
  return hits;
}

using hits = std::map<std::string, int>;

/// How much work agent a of `n1` has by this directory, below ten: the only one with "work". Counts
/// how often another agent is chosen in its place, which is each second time if both have as much.
std::uint32_t work_of_a(directory& places, time_point now = {}) {
  constexpr auto times = 200;
  for (std::uint32_t load = 0; load < 10; ++load) {
    places.put({"rival", n2, {"work"}, {}, load});
    auto count = 0;
    for (auto round = 0; round < times; ++round) {
      auto found = places.find_one(to_any("work"), true, now);
      count += found.where->agent == "rival" ? 1 : 0;
      places.ended(found.where->agent, found.where->node, found.given);
    }
    places.remove("rival", n2);
    if (count == times / 2)
      return load;
  }
  return 10;
}

} // namespace

TEST_CASE("equals with a capability are taken in turn", "[router]") {
  directory places{7};
  for (auto* each : {"a", "b", "c"})
    places.put({each, n1, {"work"}, {}, 4});
  CHECK(chosen(places, 3) == hits{{"a", 1}, {"b", 1}, {"c", 1}});
  places.remove("b", n1);
  CHECK(chosen(places, 2).size() == 2);
  places.remove("a", n1);
  CHECK(chosen(places, 2) == hits{{"c", 2}});
  places.remove("c", n1);
  CHECK(chosen(places, 1).empty());
  CHECK(chosen(places, 1, "rest").empty());
}

TEST_CASE("of two the less loaded one gets the work, until it has as much", "[router]") {
  directory places;
  places.put({"a", n1, {"work"}, {}, 100});
  places.put({"b", n1, {"work"}, {}, 0});
  auto first = chosen(places, 80);
  CHECK(first["b"] > 45); // whenever it is its turn, and half of the other times
  auto rest = chosen(places, 1'000);
  CHECK(first["b"] + rest["b"] > 560); // 50 more than the other, at least
  CHECK(first["b"] + rest["b"] < 610);
}

TEST_CASE("work that was given counts until it has ended, or the agent says its load anew",
          "[router]") {
  directory places;
  places.put({"a", n1, {"work"}});
  places.put({"b", n1, {"work"}, {}, 1'000});
  auto give = [&](int times) {
    std::vector<std::uint64_t> given;
    for (auto round = 0; round < times; ++round) {
      auto found = places.find_one(to_any("work"), true, time_point{});
      if (found.where->agent == "a")
        given.push_back(found.given);
    }
    return given;
  };
  auto first = give(4'000); // more than it takes until both have as much
  CHECK(first.size() > 2'400);
  CHECK(first.size() < 2'600);
  auto after = [&] { return static_cast<double>(give(400).size()) / 400; };
  CHECK(after() < 0.6);
  SECTION("until it has ended") {
    for (auto each : first)
      places.ended("a", n1, each);
    CHECK(after() > 0.7);
  }
  SECTION("until the agent says its load") {
    places.put({"a", n1, {"work"}});
    CHECK(after() > 0.7);
    SECTION("what was given before that does not count, nor does its end") {
      for (auto round = 0; round < 2; ++round)
        for (auto each : first)
          places.ended("a", n1, each);
      places.put({"b", n1, {"work"}, {}, 0});
      CHECK(give(100).size() < 60); // what it was given since still counts
    }
  }
  SECTION("or the agent is gone") {
    places.remove("a", n1);
    places.ended("a", n1, first.front());
    places.ended("nobody", n2, 1);
    CHECK(give(10).empty());
  }
}

TEST_CASE("an end of work counts once, and only for what was given since the agent said its load",
          "[router]") {
  directory places;
  places.put({"a", n1, {"work"}});
  auto give = [&](bool is_awaited = true) {
    return places.find_one(to_any("work"), is_awaited, time_point{}).given;
  };
  auto before = give();
  CHECK(work_of_a(places) == 1);
  places.put({"a", n1, {"work"}});
  CHECK(work_of_a(places) == 0);
  auto after = give();
  CHECK(after != before);
  places.ended("a", n1, before);
  CHECK(work_of_a(places) == 1);
  places.ended("a", n1, after);
  CHECK(work_of_a(places) == 0);
  places.ended("a", n1, after);
  CHECK(work_of_a(places) == 0);
  CHECK(give(false) == 0); // there is no end of it
}

TEST_CASE("a message without an answer counts in its second and the next one", "[router]") {
  directory places;
  places.put({"a", n1, {"work"}});
  auto start = time_point{} + 10s;
  auto send = [&](time_point now) { chosen(places, 1, "work", now); };
  send(start);
  send(start + 999ms);
  CHECK(work_of_a(places, start + 999ms) == 2);
  send(start + 1s);
  CHECK(work_of_a(places, start + 1s) == 3);
  CHECK(work_of_a(places, start + 2s) == 1);
  CHECK(work_of_a(places, start + 3s) == 0);
  send(start + 4s);
  CHECK(work_of_a(places, start + 60s) == 0); // nothing was given for longer
}

TEST_CASE("a message without an answer counts for one to two seconds", "[router]") {
  directory places;
  places.put({"a", n1, {"work"}});
  places.put({"b", n1, {"work"}, {}, 1'000});
  auto share = [&](time_point now) { return chosen(places, 100, "work", now)["a"]; };
  auto start = time_point{} + 10s;
  chosen(places, 4'000, "work", start);
  CHECK(share(start) < 60);
  CHECK(share(start + 1s) < 60);
  CHECK(share(start + 3s) > 70);
  chosen(places, 4'000, "work", start + 20s);
  CHECK(share(start + 20s) < 60);
  CHECK(share(start + 60s) > 70); // nothing was given for longer
}

TEST_CASE("an agent that rests, or is ill, gets what any could do only where all do", "[router]") {
  auto is_ill = GENERATE(false, true);
  directory places;
  auto put = [&](const std::string& name, bool is_well) {
    places.put({.agent = name,
                .node = n1,
                .capabilities = {"work"},
                .groups = {"g"},
                .rests = !is_well && !is_ill,
                .ill = !is_well && is_ill});
  };
  for (auto each = 0; each < 1'000; ++each)
    put("x" + std::to_string(each), false);
  places.put({"b", n2, {"work"}, {"g"}, 7});
  CHECK(chosen(places, 100) == hits{{"b", 100}}); // it is found among any number of others
  CHECK(names_of(places.find(to_agent("x5"), all)) == names{"x5@n1"});
  CHECK(places.find(to_group("g"), 2'000).size() == 1'001);
  put("x7", true);
  CHECK(chosen(places, 100).size() == 2);
  put("x7", false);
  CHECK(chosen(places, 100) == hits{{"b", 100}});
  places.remove("b", n2);
  CHECK(chosen(places, 1'000).size() == 1'000);
}

TEST_CASE("directories of different seeds draw differently, of the same seed alike", "[router]") {
  auto draws = [](std::uint64_t seed) {
    directory places{seed};
    for (auto each = 0; each < 100; ++each)
      places.put({"x" + std::to_string(each), n1, {"work"}});
    names result;
    for (auto round = 0; round < 20; ++round)
      result.push_back(places.find_one(to_any("work"), false, {}).where->agent.text());
    return result;
  };
  CHECK(draws(1) == draws(1));
  CHECK(draws(1) != draws(2));
}

TEST_CASE("many who hear of loads late do not all choose the same agent", "[router]") {
  std::map<std::string, int> hits;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    directory places{seed};
    for (std::uint32_t each = 0; each < 20; ++each)
      places.put({"x" + std::to_string(each), n1, {"work"}, {}, each == 0 ? 0U : 50U});
    ++hits[places.find_one(to_any("work"), false, {}).where->agent.text()];
  }
  CHECK(hits.size() == 20);
  CHECK(hits["x0"] < 50);
  CHECK(hits["x0"] > 10);
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
        what.rests = random.one_in(4);
        what.ill = random.one_in(4);
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
      auto any = places.find_one(to_any(capability), random.one_in(2), {});
      REQUIRE((any.where == nullptr) == able.empty());
      auto is_well = [](const auto& each) { return !each.rests && !each.ill; };
      if (any.where != nullptr) {
        REQUIRE(std::ranges::any_of(able, [&](const location& each) {
          return each.agent == any.where->agent && each.node == any.where->node;
        }));
        REQUIRE((is_well(*any.where) || std::ranges::none_of(able, is_well)));
        if (random.one_in(2))
          places.ended(any.where->agent, any.where->node, any.given);
      }
    }
  });
}

} // namespace directory_test
