#include "troupe/registry/record_table.hpp" // the header under test
#include "registry/clocked_table.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace record_table_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::registry;
using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;
using names = std::vector<std::string>;

// -- finding -----------------------------------------------------------------------

TEST_CASE("whatever a record has finds it", "[registry]") {
  clocked_table registry;
  auto painter = agent("painter", "n1", 2);
  painter.capabilities = {"paint", "draw"};
  painter.groups = {"art"};
  painter.metadata = {{"zone", "a"}, {"colour", "red"}};
  auto sketcher = agent("sketcher", "n2", 1);
  sketcher.capabilities = {"draw"};
  sketcher.metadata = {{"zone", "b"}};
  registry.put({node("n1"), painter, sketcher, service("render", "n1", 3)});
  CHECK(registry.look(painter.key).value == painter);
  CHECK(registry.find({.capabilities = {"draw"}}) == names{"painter@n1", "sketcher@n2"});
  CHECK(registry.find({.capabilities = {"draw", "paint"}}) == names{"painter@n1"});
  CHECK(registry.find({.group = "art"}) == names{"painter@n1"});
  CHECK(registry.find({.metadata = {{"zone", "b"}}}) == names{"sketcher@n2"});
  CHECK(registry.find({.metadata = {{"zone", "a"}, {"colour", "blue"}}}).empty());
  CHECK(registry.find({.kind = record_kind::service, .name = "render"}) == names{"render"});
  CHECK(registry.find({.name = "render"}) == names{"render"});
  CHECK(registry.find({.owner = "n1"_node}) == names{"n1", "painter@n1", "render"});
  CHECK(registry.find({.owner = "n9"_node}).empty());
  CHECK(registry.find({.kind = record_kind::agent, .owner = "n1"_node, .capabilities = {"draw"}})
        == names{"painter@n1"});
  CHECK(registry.find({.capabilities = {"sing"}}).empty());
  CHECK(registry.find({}).size() == 4);
}

TEST_CASE("a capability taken away at run time finds nobody any more", "[registry]") {
  clocked_table registry;
  auto painter = agent("painter", "n1");
  painter.capabilities = {"paint"};
  registry.put({painter});
  painter.version = 2;
  painter.capabilities = {"draw"};
  registry.put({painter});
  CHECK(registry.find({.capabilities = {"paint"}}).empty());
  CHECK(registry.find({.capabilities = {"draw"}}) == names{"painter@n1"});
  CHECK(registry.table.answer(count_records{}).by_capability
        == std::map<std::string, std::uint32_t>{{"draw", 1}});
}

TEST_CASE("what is found comes in pages", "[registry]") {
  clocked_table registry;
  for (auto owner : {"n1", "n2", "n3"})
    registry.put({node(owner), agent("a", owner, 2), agent("b", owner, 3), service("s", owner, 4)});
  auto whole = registry.find({});
  REQUIRE(whole.size() == 12);
  for (auto kind : {std::optional<record_kind>{}, std::optional{record_kind::agent}}) {
    for (std::uint32_t limit = 1; limit < 13; ++limit) {
      find_records question{.kind = kind, .limit = limit};
      names together;
      for (auto more = true; more;) {
        auto page = registry.table.answer(question);
        REQUIRE((page.records.size() == limit || !page.more));
        for (auto& each : page.records)
          together.push_back(with_short_names(each.value.key.name));
        more = page.more;
        if (more)
          question.after = page.records.back().value.key;
      }
      INFO("limit " << limit);
      CHECK(together == registry.find({.kind = kind}));
    }
  }
}

TEST_CASE("of several services the best is found", "[registry]") {
  clocked_table registry{{.unhealthy_after = 1}};
  auto first = service("render", "n1");
  first.status = record_status::maintenance;
  auto second = service("render", "n2");
  auto third = service("render", "n3");
  registry.put({first, second, third});
  registry.ask(report_outcome{second.key, call_outcome::unreachable});
  CHECK(registry.table.answer(get_record{record_kind::service, "render"}).found->value == third);
}

TEST_CASE("counts tell how many there are of each kind and status", "[registry]") {
  clocked_table registry{{.unhealthy_after = 1}};
  auto resting = node("n1");
  resting.status = record_status::maintenance;
  registry.put({resting, agent("a", "n1", 2), node("n2"), agent("b", "n2", 2),
                service("s", "n2", 3), agent("c", "n2", 4)});
  registry.put({removal(agent("c", "n2", 4))});
  registry.ask(verdict{"n2"_node, 1, record_status::disconnected});
  registry.ask(report_outcome{agent("b", "n2").key, call_outcome::unreachable});
  auto counts = registry.table.answer(count_records{});
  CHECK(counts.nodes == status_counts{0, 1, 0, 1});
  CHECK(counts.agents == status_counts{0, 1, 0, 1});
  CHECK(counts.services == status_counts{0, 0, 0, 1});
  CHECK(counts.unhealthy == 1);
  CHECK(counts.removed == 1);
  CHECK(counts.owners == 2);
}

// -- merging -----------------------------------------------------------------------

TEST_CASE("of one record the highest version is true, in whatever order they come", "[registry]") {
  clocked_table registry;
  auto old = agent("a", "n1", 1);
  auto current = agent("a", "n1", 2);
  current.capabilities = {"draw"};
  CHECK(registry.put({current}) == put_report{1, 0, 0, 0});
  CHECK(registry.put({old}) == put_report{0, 0, 1, 0});
  CHECK(registry.put({current}) == put_report{0, 1, 0, 0});
  CHECK(registry.look(current.key).value == current);
}

TEST_CASE("two nodes that live under one id are noticed", "[registry]") {
  clocked_table registry;
  auto one = agent("a", "n1");
  one.load = 1;
  auto other = agent("a", "n1");
  other.load = 2;
  registry.put({one});
  CHECK(registry.put({other}).clashing == 1);
  CHECK(registry.put({one}).clashing == 1);
  CHECK(registry.look(one.key).value == other); // all tables agree on this one
}

SCENARIO("a removed record stays removed", "[registry]") {
  GIVEN("a record that its node took back") {
    clocked_table registry{{.retention = 1h}};
    auto first = agent("a", "n1");
    registry.put({first});
    registry.put({removal(first)});
    CHECK_FALSE(registry.shows(first.key));
    WHEN("late news of it come in") {
      THEN("they are stale") {
        CHECK(registry.put({first}).stale == 1);
        CHECK_FALSE(registry.shows(first.key));
      }
    }
    WHEN("the retention time is over") {
      registry.pass(70min); // in sweeps, up to an eighth later
      CHECK(registry.table.answer(count_records{}).removed == 0);
      THEN("late news of it are stale all the same") {
        CHECK(registry.put({first}).stale == 1);
        CHECK(registry.put({removal(first)}).stale == 1);
        CHECK_FALSE(registry.shows(first.key));
      }
      THEN("its node may say it anew") {
        CHECK(registry.put({agent("a", "n1", 3)}).merged == 1);
        CHECK(registry.shows(first.key));
      }
    }
    WHEN("its node says it anew") {
      registry.put({agent("a", "n1", 3)});
      THEN("it is not forgotten with its removal") {
        registry.pass(70min);
        CHECK(registry.shows(first.key));
        CHECK(registry.table.answer(count_records{}).removed == 0);
      }
    }
  }
}

TEST_CASE("a new boot of a node ends all that the last one said", "[registry]") {
  clocked_table registry;
  registry.put({node("n1"), agent("a", "n1", 2), agent("b", "n1", 3)});
  registry.put({node("n1", 1, 2), agent("a", "n1", 2, 2)});
  CHECK(registry.shows(agent("a", "n1").key));
  CHECK_FALSE(registry.shows(agent("b", "n1").key));
  CHECK(registry.put({agent("b", "n1", 9, 1)}).stale == 1);
  CHECK(registry.table.answer(find_owner{"n1"_node}).boot == 2);
}

SCENARIO("of a forgotten node nothing is left", "[registry]") {
  GIVEN("a node with an agent, and one that it has removed") {
    clocked_table registry{{.max_owners = 1}};
    registry.put({node("n1", 1, 4), agent("a", "n1", 2, 4), agent("b", "n1", 3, 4)});
    registry.put({removal(agent("b", "n1", 3, 4))});
    registry.ask(verdict{"n1"_node, 4, record_status::disconnected});
    auto seen = registry.table.answer(count_records{}).revision;
    WHEN("a wish comes that is about an earlier boot") {
      registry.ask(forget{"n1"_node, 3});
      THEN("it is kept") {
        CHECK(registry.shows(node("n1").key));
        CHECK(registry.table.answer(find_owner{"n1"_node}).boot == 4);
      }
    }
    WHEN("it is forgotten") {
      auto out = registry.ask(forget{"n1"_node, 4});
      THEN("no record of it is found, and it counts as unknown") {
        CHECK(out.front() == effect{owner_done{registry.last_id, {.owner = "n1"_node}}});
        CHECK(registry.find({.owner = "n1"_node, .statuses = all_statuses()}).empty());
        CHECK_FALSE(registry.shows(node("n1").key));
        CHECK_FALSE(registry.table.records_of("n1"_node, 4));
        auto counts = registry.table.answer(count_records{});
        CHECK(counts.owners == 0);
        CHECK(counts.removed == 0);
      }
      THEN("all that it showed is lost") {
        auto news = registry.table.answer(watch_records{.after = seen});
        REQUIRE(news.changes.size() == 2);
        for (auto& each : news.changes)
          CHECK(each.kind == change_kind::lost);
      }
      THEN("time has no effect on it") {
        CHECK_FALSE(registry.table.next_deadline());
        registry.pass(48h);
        CHECK(registry.table.answer(count_records{}).owners == 0);
      }
      THEN("it may come back with the same boot, and what it had removed, too") {
        CHECK(registry.put({node("n1", 1, 4), agent("b", "n1", 3, 4)}).merged == 2);
        CHECK(registry.look(node("n1").key).status == record_status::active);
        CHECK(registry.shows(agent("b", "n1").key));
      }
      THEN("another may take its place") {
        CHECK(registry.put({node("n2")}).merged == 1);
      }
    }
    WHEN("one is to be forgotten that is not known") {
      auto out = registry.ask(forget{"n9"_node, 1});
      THEN("it stays unknown") {
        CHECK(out.front() == effect{owner_done{registry.last_id, {.owner = "n9"_node}}});
        CHECK(registry.table.answer(count_records{}).owners == 1);
      }
    }
  }
}

TEST_CASE("a claimed name goes to the next when its node is forgotten", "[registry]") {
  clocked_table registry;
  registry.put({claimed("echo", "n1", 7), claimed("echo", "n2", 8)});
  registry.ask(forget{"n2"_node, 1});
  CHECK(registry.table.answer(get_record{record_kind::agent, "echo"}).found->value
        == claimed("echo", "n1", 7));
}

// -- status ------------------------------------------------------------------------

TEST_CASE("what membership says of a node shows at once, until it says something else",
          "[registry]") {
  clocked_table registry;
  auto worker = agent("worker", "n1", 2);
  registry.put({node("n1"), worker});
  registry.ask(verdict{"n1"_node, 1, record_status::disconnected});
  CHECK(registry.look(worker.key).liveness == record_status::disconnected);
  CHECK(registry.look(worker.key).status == record_status::disconnected);
  CHECK(registry.find({}).empty());
  CHECK(registry.find({.statuses = all_statuses()}).size() == 2);
  CHECK_FALSE(registry.table.next_deadline());
  registry.pass(100 * 24h); // time alone changes nothing
  CHECK(registry.look(worker.key).status == record_status::disconnected);
  registry.ask(verdict{"n1"_node, 1, record_status::active});
  CHECK(registry.look(worker.key).status == record_status::active);
  registry.pass(100 * 24h);
  CHECK(registry.look(worker.key).status == record_status::active);
}

TEST_CASE("a node is away since the first verdict that says so", "[registry]") {
  clocked_table registry;
  registry.put({node("n1")});
  auto away = [&] { return registry.look(node("n1").key).unseen_for; };
  registry.pass(1h);
  CHECK(away() == 0s);
  registry.ask(verdict{"n1"_node, 1, record_status::disconnected});
  CHECK(away() == 0s);
  registry.pass(1min);
  CHECK(away() == 1min);
  registry.ask(verdict{"n1"_node, 1, record_status::disconnected}); // says it again
  registry.pass(1min);
  CHECK(away() == 2min);
  CHECK(registry.table.answer(find_owner{"n1"_node}).unseen_for == 2min);
  registry.ask(verdict{"n1"_node, 1, record_status::active});
  CHECK(away() == 0s);
  registry.pass(1min);
  CHECK(away() == 0s);
  registry.ask(verdict{"n1"_node, 1, record_status::disconnected});
  registry.pass(1s);
  CHECK(away() == 1s);
}

TEST_CASE("a verdict ends with the boot that it is about", "[registry]") {
  clocked_table registry;
  registry.put({node("n1")});
  registry.ask(verdict{"n1"_node, 1, record_status::disconnected});
  registry.pass(1min);
  registry.put({node("n1", 1, 2)});
  auto seen = registry.look(node("n1").key);
  CHECK(seen.status == record_status::active);
  CHECK(seen.unseen_for == 0s);
}

TEST_CASE("a verdict on an earlier boot changes nothing", "[registry]") {
  clocked_table registry;
  registry.put({node("n1", 1, 2)});
  registry.ask(verdict{"n1"_node, 1, record_status::disconnected});
  CHECK(registry.look(node("n1").key).status == record_status::active);
}

TEST_CASE("a node in maintenance takes no new work for all that is on it", "[registry]") {
  clocked_table registry;
  auto worker = agent("worker", "n1", 2);
  registry.put({node("n1"), worker});
  auto resting = node("n1", 3);
  resting.status = record_status::maintenance;
  registry.put({resting});
  CHECK(registry.look(worker.key).status == record_status::maintenance);
  CHECK(registry.find({}).empty());
  registry.ask(verdict{"n1"_node, 1, record_status::disconnected});
  CHECK(registry.look(worker.key).status == record_status::disconnected); // the worse one
  registry.put({node("n1", 4)});
  registry.ask(verdict{"n1"_node, 1, record_status::active});
  CHECK(registry.look(worker.key).status == record_status::active);
}

TEST_CASE("a record in maintenance leaves the others of its node alone", "[registry]") {
  clocked_table registry;
  auto resting = agent("resting", "n1", 2);
  resting.status = record_status::maintenance;
  registry.put({node("n1"), resting, agent("worker", "n1", 3)});
  CHECK(registry.find({.kind = record_kind::agent}) == names{"worker@n1"});
}

TEST_CASE("a node of which nothing was known any more is heard of anew", "[registry]") {
  clocked_table registry{{.retention = 1h}};
  auto first = agent("a", "n1");
  registry.put({first});
  registry.put({removal(first)});
  registry.pass(3h); // the removal is forgotten, and all that is left is the floor
  registry.ask(verdict{"n1"_node, 1, record_status::disconnected});
  auto second = agent("b", "n1", 3);
  registry.put({second});
  CHECK(registry.look(second.key).status == record_status::active);
}

// -- names -------------------------------------------------------------------------

SCENARIO("the newest claim to a name shows, and no other", "[registry]") {
  GIVEN("an agent with a claimed name") {
    clocked_table registry;
    auto first = claimed("echo", "n1", 7);
    registry.put({first});
    WHEN("another node has a newer claim to it") {
      auto second = claimed("echo", "n2", 8);
      registry.put({second});
      THEN("that one is found, and the first is not") {
        CHECK(registry.table.answer(get_record{record_kind::agent, "echo"}).found->value == second);
        CHECK(registry.find({.name = "echo"}) == names{"echo"});
      }
      THEN("the first comes back when the second is removed") {
        registry.put({removal(second)});
        CHECK(registry.shows(first.key));
      }
      THEN("the first comes back with a newer claim") {
        auto third = claimed("echo", "n1", 9, 2);
        registry.put({third});
        CHECK(registry.table.answer(get_record{record_kind::agent, "echo"}).found->value == third);
      }
      THEN("the first comes back when the second's node starts without it") {
        registry.put({node("n2", 1, 2)});
        CHECK(registry.shows(first.key));
      }
    }
    WHEN("a late record has an older claim") {
      registry.put({claimed("echo", "n0", 6)});
      THEN("it does not show") {
        CHECK_FALSE(registry.shows(claimed("echo", "n0", 6).key));
        CHECK(registry.table.answer(get_record{record_kind::agent, "echo"}).found->value == first);
      }
    }
  }
}

// -- health ------------------------------------------------------------------------

SCENARIO("calls that find nobody make a record unhealthy", "[registry]") {
  GIVEN("a healthy agent") {
    clocked_table registry;
    auto worker = agent("worker", "n1");
    registry.put({worker});
    auto report = [&](call_outcome outcome) {
      auto out = registry.ask(report_outcome{worker.key, outcome});
      return std::get<health_done>(out.front()).value;
    };
    auto healthy = [&] { return registry.look(worker.key).healthy; };
    WHEN("three calls in a row end without an answer") {
      report(call_outcome::timed_out);
      report(call_outcome::unreachable);
      CHECK(healthy());
      CHECK(report(call_outcome::timed_out) == health_view{worker.key, false, 3});
      THEN("it is not found unless asked for") {
        CHECK_FALSE(healthy());
        CHECK(registry.find({}).empty());
        CHECK(registry.find({.unhealthy_too = true}).size() == 1);
      }
      THEN("an answer makes it healthy") {
        report(call_outcome::succeeded);
        CHECK(healthy());
        CHECK_FALSE(registry.table.next_deadline());
      }
      THEN("a minute later it gets another chance, but one only") {
        registry.pass(1min - 1ns);
        CHECK_FALSE(healthy());
        CHECK(registry.table.next_deadline() == registry.now + 1ns);
        registry.pass(1ns);
        CHECK(healthy());
        CHECK_FALSE(report(call_outcome::timed_out).healthy);
      }
      THEN("each further failure puts that off") {
        registry.pass(59s);
        report(call_outcome::timed_out);
        registry.pass(59s);
        CHECK_FALSE(healthy());
      }
      THEN("its removal ends that") {
        registry.put({removal(worker)});
        registry.pass(1min);
        CHECK_FALSE(registry.shows(worker.key));
        registry.put({agent("worker", "n1", 3)});
        CHECK(healthy());
      }
    }
    WHEN("a success comes in between") {
      report(call_outcome::timed_out);
      report(call_outcome::timed_out);
      report(call_outcome::succeeded);
      THEN("the count begins anew") {
        CHECK(report(call_outcome::timed_out) == health_view{worker.key, true, 1});
      }
    }
  }
}

TEST_CASE("a record that was removed and is said again is healthy", "[registry]") {
  clocked_table registry{{.unhealthy_after = 1}};
  auto worker = agent("worker", "n1");
  registry.put({worker});
  registry.ask(report_outcome{worker.key, call_outcome::unreachable});
  CHECK(registry.find({}).empty());
  registry.put({removal(worker)});
  registry.put({agent("worker", "n1", 3)});
  CHECK(registry.find({}).size() == 1);
}

TEST_CASE("a record that gets no chance by time stays unhealthy until it answers", "[registry]") {
  clocked_table registry{{.unhealthy_after = 1, .unhealthy_for = {}}};
  auto worker = agent("worker", "n1");
  registry.put({worker});
  registry.ask(report_outcome{worker.key, call_outcome::unreachable});
  CHECK_FALSE(registry.table.next_deadline());
  registry.pass(24h);
  CHECK_FALSE(registry.look(worker.key).healthy);
  registry.ask(report_outcome{worker.key, call_outcome::succeeded});
  CHECK(registry.look(worker.key).healthy);
}

// -- watching ----------------------------------------------------------------------

namespace {

/// Returns the kinds and names of changes: "added n1".
names lines(const record_changes& news) {
  names result;
  for (auto& each : news.changes)
    result.push_back(std::string{name_of(each.kind)} + ' '
                     + with_short_names(each.what.value.key.name));
  return result;
}

} // namespace

SCENARIO("a watcher gets a snapshot, then every change in order", "[registry]") {
  GIVEN("a registry with a node and its agent") {
    clocked_table registry;
    registry.put({node("n1"), agent("a", "n1", 2)});
    auto first = registry.table.answer(watch_records{});
    CHECK(first.complete);
    CHECK_FALSE(first.more);
    CHECK(lines(first) == names{"added n1", "added a@n1"});
    auto next = watch_records{}.next(first);
    CHECK_FALSE(registry.table.has_news(next));
    WHEN("records come, change and go") {
      auto busy = agent("a", "n1", 3);
      busy.load = 7;
      registry.put({busy, agent("b", "n1", 4)});
      registry.put({removal(busy)});
      THEN("it hears of each") {
        REQUIRE(registry.table.has_news(next));
        auto news = registry.table.answer(next);
        CHECK_FALSE(news.complete);
        CHECK(lines(news) == names{"updated a@n1", "added b@n1", "removed a@n1"});
        CHECK(news.changes[0].what.value.load == 7);
      }
    }
    WHEN("a verdict changes how they show") {
      registry.ask(verdict{"n1"_node, 1, record_status::disconnected});
      THEN("it hears of each") {
        auto news = registry.table.answer(next);
        CHECK(lines(news) == names{"updated n1", "updated a@n1"});
        CHECK(news.changes[1].what.status == record_status::disconnected);
      }
    }
    WHEN("nothing changes how anything shows") {
      registry.ask(verdict{"n1"_node, 1, record_status::active});
      registry.put({node("n1")});
      registry.ask(report_outcome{agent("a", "n1").key, call_outcome::succeeded});
      THEN("there is no news") {
        CHECK_FALSE(registry.table.has_news(next));
        CHECK(lines(registry.table.answer(next)).empty());
      }
    }
    WHEN("the node starts again without its agent") {
      registry.put({node("n1", 1, 2)});
      THEN("the agent is lost") {
        auto news = lines(registry.table.answer(next));
        CHECK(std::ranges::count(news, "lost a@n1") == 1);
        CHECK(news.back() == "added n1");
      }
    }
    WHEN("it asks for less than there is") {
      registry.put({agent("b", "n1", 3), agent("c", "n1", 4), agent("d", "n1", 5)});
      next.limit = 2;
      THEN("the rest is there at once") {
        auto news = registry.table.answer(next);
        CHECK(lines(news) == names{"added b@n1", "added c@n1"});
        CHECK(news.more);
        news = registry.table.answer(next.next(news));
        CHECK(lines(news) == names{"added d@n1"});
        CHECK_FALSE(news.more);
      }
    }
    WHEN("the registry begins a new life") {
      registry.ask(configure{{}, std::uint64_t{1} << 50U});
      THEN("it gets a snapshot") {
        REQUIRE(registry.table.has_news(next));
        CHECK(registry.table.answer(next).complete);
      }
    }
  }
}

TEST_CASE("a watcher of an empty registry learns that it is empty", "[registry]") {
  clocked_table registry;
  REQUIRE(registry.table.has_news(watch_records{}));
  auto first = registry.table.answer(watch_records{});
  CHECK(first.complete);
  CHECK(first.changes.empty());
  CHECK(first.revision != 0);
  CHECK_FALSE(registry.table.has_news(watch_records{}.next(first)));
  CHECK(registry.table.revision() == first.revision);
}

TEST_CASE("a watcher that falls too far behind begins anew", "[registry]") {
  clocked_table registry{{.max_changes = 3}};
  registry.put({node("n1")});
  auto first = registry.table.answer(watch_records{});
  for (std::uint64_t version = 2; version <= 4; ++version)
    registry.put({agent("a", "n1", version)});
  CHECK_FALSE(registry.table.answer(watch_records{}.next(first)).complete);
  registry.put({agent("a", "n1", 5)});
  CHECK(registry.table.answer(watch_records{}.next(first)).complete);
}

TEST_CASE("an answer is bounded in bytes, too", "[registry]") {
  clocked_table registry;
  for (std::uint64_t version = 1; version <= 100; ++version) {
    auto large = agent("a" + std::to_string(version), "n1", version);
    large.metadata = {{"text", std::string(15'875, 'x')}};
    registry.put({large});
  }
  CHECK(registry.table.answer(find_records{.limit = 1000}).records.size() == 66);
  CHECK(registry.table.answer(watch_records{.limit = 1000}).changes.size() == 66);
}

// -- what one node says ------------------------------------------------------------

TEST_CASE("all that one life of a node has said is given, with its removals", "[registry]") {
  clocked_table registry;
  registry.put({node("n1"), agent("b", "n1", 2), agent("a", "n1", 3), node("n2")});
  registry.put({removal(agent("b", "n1", 3))});
  auto all = registry.table.records_of("n1"_node, 1);
  REQUIRE(all);
  CHECK(all->records.size() == 3);
  CHECK(std::ranges::count_if(all->records, [](auto& each) { return each->removed; }) == 1);
  CHECK_FALSE(registry.table.records_of("n1"_node, 2));
  CHECK_FALSE(registry.table.records_of("n9"_node, 1));
  names present;
  registry.table.for_each_of("n1"_node, [&](const record& each, const records_digest& of) {
    present.push_back(with_short_names(each.key.name));
    CHECK(of == digest_of(each));
  });
  CHECK(present == names{"n1", "a@n1"}); // in the order of their keys
  registry.table.for_each_of("n9"_node, [](auto&, auto&) { FAIL("nobody"); });
  SECTION("nothing of a life that is over") {
    registry.put({node("n1", 1, 2)});
    CHECK_FALSE(registry.table.records_of("n1"_node, 1));
    CHECK(registry.table.records_of("n1"_node, 2)->records.size() == 1);
  }
  SECTION("nothing of one that is forgotten") {
    registry.ask(forget{"n1"_node, 1});
    CHECK_FALSE(registry.table.records_of("n1"_node, 1));
  }
}

TEST_CASE("which removals may be missing is told with the rest", "[registry]") {
  clocked_table registry{{.retention = 8s}};
  registry.put({node("n1"), agent("a", "n1", 2)});
  registry.put({removal(agent("a", "n1", 2))});
  CHECK(registry.table.records_of("n1"_node, 1)->floor == 0);
  registry.pass(9s); // removals are forgotten several at a time
  auto all = registry.table.records_of("n1"_node, 1);
  REQUIRE(all);
  CHECK(all->floor == 3);
  CHECK(all->records.size() == 1);
}

TEST_CASE("the digest of a record follows it", "[registry]") {
  clocked_table registry;
  registry.put({node("n1")});
  auto changed = node("n1", 2);
  changed.load = 7;
  registry.put({changed});
  auto check = [&](const record_table& table) {
    table.for_each_of("n1"_node, [&](const record& each, const records_digest& of) {
      CHECK(of == digest_of(each));
    });
  };
  check(registry.table);
}

// -- refusals ----------------------------------------------------------------------

TEST_CASE("requests outside the contract are refused by name", "[registry]") {
  clocked_table registry{
    {.max_records = 2, .max_owners = 2, .max_batch = 4, .max_record_bytes = 600}};
  registry.put({node("n1"), agent("a", "n1", 2), node("n2")});
  auto with = [](auto change) {
    auto result = agent("x", "n1", 9);
    change(result);
    return event{put_records{{std::move(result)}}};
  };
  std::set<std::string> many;
  for (int each = 0; each < 65; ++each)
    many.insert("c" + std::to_string(each));
  const std::vector<std::pair<event, errc>> cases = {
    {with([](auto& r) { r.key.name = ""; }), errc::bad_argument},
    {with([](auto& r) { r.key.name = unclaimed_name(std::string(191, 'x'), "n1"_node); }),
     errc::bad_argument},
    {with([](auto& r) { r.key.name = unclaimed_name("a\nb", "n1"_node); }), errc::bad_argument},
    {with([](auto& r) { r.key.name = unclaimed_name("\xff", "n1"_node); }), errc::bad_argument},
    {with([](auto& r) { r.key.name = "plain"; }), errc::bad_argument}, // and no token
    {with([](auto& r) { r.key.name = unclaimed_name("", "n1"_node); }), errc::bad_argument},
    {with([](auto& r) { r.key.name = unclaimed_name("x", "n2"_node); }),
     errc::bad_argument},                                     // not its own
    {with([](auto& r) { r.token = 1; }), errc::bad_argument}, // '@' cannot be claimed
    {with([](auto& r) {
       r.key.name = "plain";
       r.token = max_token + 1;
     }),
     errc::bad_argument},
    {with([](auto& r) { r.key.owner = {}; }), errc::bad_argument},
    {with([](auto& r) { r.key.kind = record_kind{9}; }), errc::bad_argument},
    {with([](auto& r) { r.boot = 0; }), errc::bad_argument},
    {with([](auto& r) { r.boot = ~std::uint64_t{0}; }), errc::bad_argument},
    {with([](auto& r) { r.version = 0; }), errc::bad_argument},
    {with([](auto& r) { r.status = record_status::disconnected; }), errc::bad_argument},
    {with([](auto& r) { r.capabilities = {""}; }), errc::bad_argument},
    {with([](auto& r) { r.groups = {"\x01"}; }), errc::bad_argument},
    {with([](auto& r) {
       r.metadata = {{"", "x"}};
     }),
     errc::bad_argument},
    {with([](auto& r) {
       r.metadata = {{"x", "\xc0"}};
     }),
     errc::bad_argument},
    {with([](auto& r) {
       r.endpoints = {{"", 1}};
     }),
     errc::bad_argument},
    {with([&](auto& r) { r.capabilities = many; }), errc::limit_reached},
    {with([](auto& r) {
       r.metadata = {{"x", std::string(600, 'x')}};
     }),
     errc::too_large},
    {with([](auto&) {}), errc::limit_reached},        // one agent already
    {put_records{{node("n3")}}, errc::limit_reached}, // two owners already
    {put_records{std::vector<record>(5, node("n1"))}, errc::too_large},
    {verdict{"n9"_node, 1, record_status::active}, errc::not_found},
    {verdict{"n1"_node, 2, record_status::active}, errc::not_found},
    {verdict{"n1"_node, 1, record_status::maintenance}, errc::bad_argument},
    {verdict{"n1"_node, 1, record_status::inactive}, errc::bad_argument},
    {verdict{"n1"_node, 1, record_status{9}}, errc::bad_argument},
    {forget{{}, 1}, errc::bad_argument},
    {forget{"n1"_node, 0}, errc::bad_argument},
    {report_outcome{agent("x", "n1").key, call_outcome::timed_out}, errc::not_found},
  };
  auto before = registry.table.revision();
  auto counts = registry.table.answer(count_records{});
  for (std::size_t index = 0; index < cases.size(); ++index) {
    INFO("case " << index);
    auto why = refusal(registry.ask(cases[index].first));
    CHECK(why.code == cases[index].second);
    CHECK_FALSE(why.detail.empty());
    CHECK(registry.table.revision() == before);
    CHECK(registry.table.answer(count_records{}) == counts);
  }
}

TEST_CASE("a batch with one bad record is refused as a whole, by its name", "[registry]") {
  clocked_table registry;
  auto bad = agent("b", "n1", 2);
  bad.groups = {""};
  auto why = refusal(registry.ask(put_records{{agent("a", "n1"), bad}}));
  CHECK_THAT(with_short_names(why.detail), ContainsSubstring("agent b@n1 of n1"));
  CHECK(registry.find({}).empty());
}

TEST_CASE("a full registry still takes changes and removals", "[registry]") {
  clocked_table registry{{.max_records = 1}};
  registry.put({agent("a", "n1")});
  CHECK(registry.put({agent("a", "n1", 2)}).merged == 1);
  CHECK(refusal(registry.ask(put_records{{agent("b", "n1", 3)}})).code == errc::limit_reached);
  CHECK(registry.put({removal(agent("a", "n1", 3))}).merged == 1);
  CHECK(registry.put({agent("b", "n1", 5)}).merged == 1);
}

TEST_CASE("a full registry still shows each node", "[registry]") {
  clocked_table registry{{.max_records = 1, .max_owners = 3}};
  auto is_full = [&] {
    return refusal(registry.ask(put_records{{agent("b", "n2", 9)}})).code == errc::limit_reached;
  };
  auto other = node("n2", 8);
  other.key.name = "other";
  registry.put({agent("a", "n1", 2)});
  CHECK(registry.put({node("n1"), node("n2")}).merged == 2);
  CHECK(is_full());
  SECTION("once") {
    CHECK(refusal(registry.ask(put_records{{other}})).code == errc::limit_reached);
    auto twice = node("n3", 2);
    twice.key.name = "other";
    CHECK(refusal(registry.ask(put_records{{node("n3"), twice}})).code == errc::limit_reached);
  }
  SECTION("also again") {
    registry.put({removal(node("n2"))});
    CHECK(is_full());
    CHECK(registry.put({other}).merged == 1);
    CHECK(is_full());
    CHECK(registry.put({node("n2", 1, 2)}).merged == 1); // and that of the last life is gone
    CHECK(is_full());
    registry.ask(forget{"n2"_node, 2});
    CHECK(is_full());
  }
  SECTION("and has room for as much else as before") {
    registry.put({removal(agent("a", "n1", 2))});
    CHECK(registry.put({agent("b", "n2", 9)}).merged == 1);
    CHECK(refusal(registry.ask(put_records{{agent("a", "n1", 4)}})).code == errc::limit_reached);
  }
  SECTION("up to the bound of nodes") {
    CHECK(registry.put({node("n3")}).merged == 1);
    CHECK(refusal(registry.ask(put_records{{node("n4")}})).code == errc::limit_reached);
  }
}

TEST_CASE("a registry takes what its own node says, however full it is", "[registry]") {
  clocked_table registry;
  effects none;
  registry.table.step(registry.now, 0, configure{{.max_records = 2}, 0, "n1"_node}, none);
  registry.put({agent("a", "n2"), agent("b", "n3")});
  CHECK(refusal(registry.ask(put_records{{agent("c", "n4")}})).code == errc::limit_reached);
  CHECK(registry.put({node("n1"), agent("a", "n1", 2), agent("b", "n1", 3)}).merged == 3);
  registry.put({removal(agent("a", "n2"))});
  CHECK(refusal(registry.ask(put_records{{agent("c", "n4")}})).code == errc::limit_reached);
}

TEST_CASE("no node fills a registry for others", "[registry]") {
  clocked_table registry{{.max_records = 11}};
  auto takes = [&](const std::string& owner) {
    for (auto each = 1; each <= 12; ++each) {
      auto number = static_cast<std::uint64_t>(each);
      auto why
        = refusal(registry.ask(put_records{{agent("a" + std::to_string(each), owner, number)}}));
      if (!why)
        continue;
      CHECK(why.code == errc::limit_reached);
      return each - 1;
    }
    return 12;
  };
  SECTION("and hears of that") {
    CHECK(takes("n1") == 6);
    CHECK_THAT(with_short_names(refusal(registry.ask(put_records{{agent("b", "n1", 21)}})).detail),
               ContainsSubstring("node n1 has 6 of 11 records, and one may have half"));
  }
  SECTION("nor at once") {
    std::vector<record> all;
    for (std::uint64_t each = 1; each <= 7; ++each)
      all.push_back(agent("a" + std::to_string(each), "n1", each));
    CHECK(refusal(registry.ask(put_records{all})).code == errc::limit_reached);
    all.pop_back();
    CHECK(registry.put(all).merged == 6);
  }
  SECTION("also if others came first") {
    registry.put({agent("a1", "n2", 1), agent("a2", "n2", 2), agent("a1", "n3", 1)});
    CHECK(takes("n1") == 6); // as where it comes first
  }
  SECTION("which may change what it has, and begin anew with other records") {
    CHECK(takes("n1") == 6);
    CHECK(takes("n2") == 5);
    CHECK(registry.put({agent("a1", "n1", 30)}).merged == 1);
    auto anew = agent("b", "n1", 1);
    anew.boot = 2;
    CHECK(registry.put({anew}).merged == 1);
    CHECK(registry.find({}).size() == 6);
  }
}

TEST_CASE("a node adds a record of its own while it has fewer than are free", "[registry]") {
  clocked_table registry{{.max_records = 10}};
  registry.put({agent("a1", "n1", 1), agent("a1", "n2", 1), agent("a2", "n2", 2)});
  auto may_add = [&](std::size_t has) { return !registry.table.check_share("n1"_node, has); };
  CHECK(may_add(3)); // and 5 are free
  CHECK_FALSE(may_add(4));
  CHECK_THAT(with_short_names(registry.table.check_share("n1"_node, 4).detail),
             ContainsSubstring("node n1 has 4 of 10 records"));
}

TEST_CASE("a later life takes the room of the one before", "[registry]") {
  clocked_table registry{{.max_records = 10}};
  auto of_life = [](std::uint64_t boot, const std::string& name, int count) {
    std::vector<record> made;
    for (auto each = 1; each <= count; ++each) {
      made.push_back(agent(name + std::to_string(each), "n1", static_cast<std::uint64_t>(each)));
      made.back().boot = boot;
    }
    return made;
  };
  registry.put(of_life(1, "a", 5));
  for (auto& [owner, count] : {std::pair{"n2"s, 3}, {"n3"s, 1}, {"n4"s, 1}})
    for (auto each = 1; each <= count; ++each)
      registry.put({agent("a" + std::to_string(each), owner, static_cast<std::uint64_t>(each))});
  REQUIRE(registry.find({}).size() == 10); // it is full
  SECTION("with as many records of other names") {
    CHECK(registry.put(of_life(2, "b", 5)).merged == 5);
  }
  SECTION("with as many of the same names") {
    CHECK(registry.put(of_life(2, "a", 5)).merged == 5);
  }
  SECTION("and no more than that") {
    auto name = GENERATE("a"s, "b"s);
    auto why = refusal(registry.ask(put_records{of_life(2, name, 6)}));
    CHECK(why.code == errc::limit_reached);
    CHECK(registry.look(agent("a1", "n1").key).value.boot == 1);
  }
  SECTION("and less where another takes of it first") {
    auto all = of_life(2, "b", 5);
    all.push_back(agent("a9", "n2", 9));
    CHECK(refusal(registry.ask(put_records{all})).code == errc::limit_reached);
  }
  CHECK(registry.find({}).size() == 10);
}

TEST_CASE("a registry full of nodes still takes the records of those it knows", "[registry]") {
  clocked_table registry{{.max_owners = 1}};
  registry.put({agent("a", "n1")});
  CHECK(refusal(registry.ask(put_records{{agent("b", "n1", 2), agent("a", "n2")}})).code
        == errc::limit_reached);
  CHECK_FALSE(registry.shows(agent("b", "n1").key));
  CHECK(registry.put({agent("b", "n1", 2)}).merged == 1);
}

TEST_CASE("removals beyond the bound are forgotten early, and stay stale", "[registry]") {
  clocked_table registry{{.max_removed = 2}};
  for (std::uint64_t each = 0; each < 5; ++each) {
    auto passing = agent("a" + std::to_string(each), "n1", 2 * each + 1);
    registry.put({passing});
    registry.put({removal(passing)});
  }
  CHECK(registry.table.answer(count_records{}).removed == 2);
  CHECK(registry.put({agent("a0", "n1", 1)}).stale == 1);
}

TEST_CASE("what was forgotten stays stale, also when an older removal is forgotten after it",
          "[registry]") {
  clocked_table registry{{.max_removed = 1}};
  registry.put({node("n1"), agent("a", "n1", 8), agent("b", "n1", 2), agent("c", "n1", 3)});
  registry.put({removal(agent("a", "n1", 8))});
  registry.pass(1s);
  registry.put({removal(agent("b", "n1", 2))}); // a is forgotten
  registry.pass(1s);
  registry.put({removal(agent("c", "n1", 3))}); // b is forgotten
  CHECK(registry.put({agent("a", "n1", 7)}).stale == 1);
}

TEST_CASE("a record that comes back counts as one more", "[registry]") {
  clocked_table registry{{.max_records = 1}};
  registry.put({agent("a", "n1")});
  registry.put({removal(agent("a", "n1"))});
  registry.put({agent("b", "n1", 5)});
  CHECK(refusal(registry.ask(put_records{{agent("a", "n1", 6)}})).code == errc::limit_reached);
}

TEST_CASE("a removal is remembered for its time, also where others are forgotten", "[registry]") {
  clocked_table registry{{.retention = 80min}};
  registry.put({node("n1"), agent("a", "n1", 2), agent("b", "n1", 3)});
  registry.put({removal(agent("a", "n1", 2))});
  registry.pass(89min);
  registry.put({removal(agent("b", "n1", 3))});
  CHECK(registry.table.answer(count_records{}).removed == 2);
  registry.pass(1min);
  CHECK(registry.table.answer(count_records{}).removed == 1);
}

TEST_CASE("what a node said of itself ends with its record", "[registry]") {
  clocked_table registry;
  auto worker = agent("worker", "n1", 2);
  auto resting = node("n1");
  resting.status = record_status::maintenance;
  registry.put({resting, worker});
  CHECK(registry.look(worker.key).status == record_status::maintenance);
  auto gone = removal(resting);
  gone.status = record_status::maintenance;
  registry.put({gone});
  CHECK(registry.look(worker.key).status == record_status::active);
}

TEST_CASE("a name passes on without showing twice at any revision", "[registry]") {
  clocked_table registry;
  auto older = claimed("printer", "n2", 1); // also in the order of the nodes' ids
  auto newer = claimed("printer", "n1", 2);
  registry.put({older});
  auto before = registry.table.answer(watch_records{});
  registry.put({newer});
  auto news = registry.table.answer(watch_records{}.next(before));
  REQUIRE(news.changes.size() == 2);
  CHECK(news.changes[0].kind == change_kind::taken);
  CHECK(news.changes[1].kind == change_kind::added);
}

} // namespace record_table_test
