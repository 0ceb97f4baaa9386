#include "troupe/cluster/record_exchange.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "node/record_fixture.hpp"

namespace record_exchange_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::record_fixture;
using cluster::record_exchange;
using registry::record_kind;

namespace {

using asking_node = asking<record_exchange>;

} // namespace

// -- what this node says, and tells ------------------------------------------------------

TEST_CASE("a node says at once that its records have changed, then at times", "[node][exchange]") {
  asking_node a;
  owner self{0};
  auto change = [&](const std::string& name) {
    self.say(name);
    registry::effects none;
    auto what = *self.book.find(record_kind::agent, name + '@' + to_string(self.who));
    a.table.step(a.now, 0, registry::put_records{{what}}, none);
    a.step(record_exchange::changed{1, self.book.version()});
  };
  auto head = [&]() -> std::optional<registry::records_head> {
    auto all = a.take<record_exchange::restate>();
    CHECK(all.size() <= 1);
    return all.empty() ? std::nullopt : std::optional{all.front().what};
  };
  auto told = [&](std::uint64_t after = 0) {
    a.step(record_exchange::asked{{{self.who, 1, after}}}, 7);
    return a.take<record_exchange::reply>().front().what;
  };
  change("a");
  auto first = head();
  REQUIRE(first);
  auto said = self.state();
  CHECK(*first == said.what.records);
  CHECK(told().empty()); // it is not signed yet
  change("b");
  CHECK_FALSE(head()); // one at a time
  a.step(record_exchange::spoke{said});
  REQUIRE(told().size() == 1);
  CHECK(told().front().page.records.size() == 1); // as it was said, and not what has changed since
  a.pass(100ms - 1ms);
  CHECK_FALSE(head());
  a.pass(1ms);
  auto second = head();
  REQUIRE(second);
  CHECK(second->version == 2);
  CHECK(a.it.said_version() == 1);
  a.step(record_exchange::spoke{self.state()});
  CHECK(a.it.said_version() == 2);
  CHECK(told().front().page.records.size() == 2);
  CHECK(told(1).front().page.records.size() == 1);
  SECTION("and no more") {
    a.pass(1min);
    CHECK_FALSE(head());
    a.step(record_exchange::hurry{});
    CHECK_FALSE(head());
  }
  SECTION("at once when somebody begins to know it") {
    change("c");
    CHECK_FALSE(head());
    a.step(record_exchange::hurry{});
    CHECK(head()->version == 3);
  }
  SECTION("at once after what is being signed, when somebody begins to know it") {
    a.pass(100ms);
    change("c");
    CHECK(head()->version == 3);
    auto third = self.state();
    change("d");
    a.step(record_exchange::hurry{});
    CHECK_FALSE(head());
    a.step(record_exchange::spoke{third});
    CHECK(head()->version == 4);
    auto fourth = self.state();
    change("e");
    a.step(record_exchange::spoke{fourth});
    CHECK_FALSE(head()); // nobody hurries
  }
}

TEST_CASE_METHOD(asking_node, "what the life before has said is not told as of this one",
                 "[node][exchange]") {
  owner self{0};
  owner later{0, 2};
  auto change = [&](owner& of, const std::string& name) {
    of.say(name);
    registry::effects none;
    auto what = *of.book.find(record_kind::agent, name + '@' + to_string(of.who));
    table.step(now, 0, registry::put_records{{what}}, none);
    step(record_exchange::changed{of.book.boot(), of.book.version()});
  };
  auto told = [&] {
    step(record_exchange::asked{{{self.who, 0, 0}}}, 7);
    return take<record_exchange::reply>().front().what;
  };
  change(self, "a");
  auto old = self.state();
  step(record_exchange::spoke{old});
  CHECK(told().size() == 1);
  change(later, "a");
  later.state();
  old.what.when.boot = 2; // signed as this life goes on, before it has said what it has
  step(record_exchange::spoke{later.sign(old.what)});
  CHECK(told().empty());
  CHECK(it.said_version() == 0);
  pass(100ms);
  auto said = later.state();
  step(record_exchange::spoke{said});
  REQUIRE(told().size() == 1);
  CHECK(told().front() == later.page(said));
  auto moved = said.what;
  moved.address = "p:2";
  ++moved.when.refutation;
  step(record_exchange::spoke{later.sign(moved)}); // of something else
  CHECK(told().front().of == later.sign(moved));
}

TEST_CASE_METHOD(asking_node, "what a node has of others it tells as they have signed it",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  two.say("b");
  auto head = two.state();
  hear(two, head);
  auto told = [&](cluster::record_wish what) {
    step(record_exchange::asked{{what}}, 7);
    return take<record_exchange::reply>().front().what;
  };
  CHECK(told({two.who, 1, 0}).empty()); // it has none yet
  bring(two, head);
  auto all = told({two.who, 0, 0});
  REQUIRE(all.size() == 1);
  CHECK(all.front() == two.page(head));
  CHECK(told({two.who, 1, 1}).front().page.records.size() == 1);
  CHECK(told({two.who, 2, 1}).front().page.after == 0); // of another life: from the beginning
  CHECK(told({two.who, 1, 9}).front().page.after == 0);
  CHECK(told({node_number(8), 1, 0}).empty());
  SECTION("and of two lives of one boot as the last has signed it") {
    owner twin{2}; // its disk was put back
    twin.times = 5;
    twin.say("b", 2);
    twin.say("c");
    twin.say("c");
    auto other = twin.state();
    hear(twin, other);
    asked();
    answer({twin.page(other, 2)});
    asked();
    answer({twin.page(other)});
    CHECK(it.behind() == 0);
    CHECK(told({two.who, 0, 0}).front() == twin.page(other));
  }
}

TEST_CASE_METHOD(asking_node, "a question that names a node twice gets one answer about it",
                 "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  std::vector<cluster::record_wish> wishes;
  for (auto each = 0; each < 10; ++each)
    wishes.push_back({two.who, 1, 0});
  step(record_exchange::asked{wishes}, 7);
  CHECK(take<record_exchange::reply>().front().what.size() == 1);
}

TEST_CASE_METHOD(asking_node, "of what cannot be kept nothing is handed on", "[node][exchange]") {
  owner two{2};
  two.say("a");
  auto head = two.state();
  hear(two, head);
  bring(two, head);
  for (auto each = 0; each < 600; ++each) // more than is merged at once
    two.say("b" + std::to_string(each));
  registry::record made;
  made.key = {registry::record_kind::agent, "z@" + to_string(two.who), {}};
  auto size = GENERATE(16'000, 17'000); // of which a table keeps one
  made.metadata["long"] = std::string(static_cast<std::size_t>(size), 'x');
  registry::effects none;
  auto how = registry::registry_options{};
  how.max_record_bytes = 1'000'000;
  two.table.step({}, 0, registry::configure{how, 0}, none);
  two.put(two.book.put(made));
  head = two.state();
  hear(two, head);
  bring(two, head);
  auto is_kept = size == 16'000;
  CHECK(complaints() == (is_kept ? 0 : 1));
  step(record_exchange::asked{{{two.who, 0, 0}}}, 7);
  auto replies = take<record_exchange::reply>();
  for (auto& each : replies.front().what) {
    registry::set_digest whole;
    std::ranges::sort(each.page.records, {}, &registry::record::key);
    for (auto& one : each.page.records)
      whole.add(registry::digest_of(one));
    CHECK(each.of.what.records.digest == whole.finish());
  }
}

TEST_CASE("an answer holds so much", "[node][exchange]") {
  asking_node a{{.max_answer = 1'000}};
  std::vector<cluster::record_wish> wishes;
  for (auto each = 2; each < 6; ++each) {
    owner one{each};
    for (auto name : {"a", "b", "c", "d", "e", "f"})
      one.say(name);
    auto head = one.state();
    a.hear(one, head);
    a.bring(one, head);
    wishes.push_back({one.who, 1, 0});
  }
  a.step(record_exchange::asked{wishes}, 7);
  auto told = a.take<record_exchange::reply>().front().what;
  REQUIRE(told.size() == 4);
  CHECK_FALSE(told.front().page.records.empty());
  CHECK_FALSE(told.front().page.is_last);
  CHECK(told.back().page.records.empty()); // and it says that there is more
  CHECK_FALSE(told.back().page.is_last);
}

} // namespace record_exchange_test
