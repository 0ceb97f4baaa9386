// How a run of troupe chaos counts and judges what its clients saw.

#include "../../tools/chaos/history.hpp"
#include "../../tools/chaos/number_laws.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chaos_history_test {

using namespace cli::chaos;
using namespace std::literals;
using troupe::sim::history;
using troupe::sim::outcome;

namespace {

troupe::sim::operation done(const std::string& key, std::string verb,
                            std::optional<std::string> argument, std::optional<std::string> result,
                            std::int64_t call, std::int64_t end, outcome how = outcome::ok) {
  return {"c", key, {std::move(verb), std::move(argument), {}, std::move(result), how, call}, end};
}

/// The key `key`, shared by the tokens 5 and 6 until 50 and 70, then held by 7 alone from
/// `exclusive` on.
history shared_then_held(const std::string& key, std::int64_t exclusive) {
  history all;
  all.add(done(key, "acquire_shared", {}, "5", 0, 10));
  all.add(done(key, "acquire_shared", {}, "6", 20, 30));
  all.add(done(key, "release", "5", {}, 40, 50));
  all.add(done(key, "release", "6", {}, 60, 70));
  all.add(done(key, "acquire", {}, "7", exclusive, exclusive + 5));
  return all;
}

findings judged(const history& lines, troupe::duration limit = max_check) {
  findings found;
  check_linearizable(troupe::sim::lock_model{}, lines, found, limit);
  return found;
}

void add_all(history& to, const history& from) {
  for (auto& each : from.operations())
    to.add(each);
}

/// Calls once and answers at once.
void call_and_answer(recorder& lines, word last, troupe::duration patience = 1h) {
  auto place = lines.call("c", "k", {"read", {}, {}, {}, outcome::unknown, 0});
  lines.answer(place, outcome::ok, {}, last, patience);
}

} // namespace

TEST_CASE("the more clients chaos has, the more keys they work on, so that few share one",
          "[cluster][chaos]") {
  CHECK(width_for(4, 1) == 1);
  CHECK(width_for(4, 2) == 2);
  CHECK(width_for(6, 1) == 2);
  CHECK(width_for(100, 4) == 20);
}

TEST_CASE("chaos finds a lock that is given to one alone while others share it") {
  auto all = shared_then_held("good", 80);
  add_all(all, shared_then_held("planted", 52)); // the token 6 shares it still
  auto found = judged(all);
  CHECK(found.violations == std::vector{"the history of planted is not linearizable"s});
  CHECK(found.undecided.empty());
}

TEST_CASE("chaos finds a lock that is shared while one holds it alone") {
  history all;
  all.add(done("k", "acquire", {}, "5", 0, 10));
  all.add(done("k", "acquire_shared", {}, "6", 20, 30));
  CHECK(judged(all).violations.size() == 1);
}

TEST_CASE("chaos finds numbers that are given twice, out of order, or left out") {
  auto take = [](std::string number, std::int64_t call, std::int64_t end) {
    return done("numbers", "take", {}, std::move(number), call, end);
  };
  auto violations_with = [&](const std::vector<troupe::sim::operation>& more) {
    history all;
    all.add(take("1", 0, 10));
    all.add(take("3", 20, 50)); // while two others are under way
    all.add(take("2", 30, 60));
    all.add(done("numbers", "take", {}, {}, 30, 0, outcome::fail));
    for (auto& each : more)
      all.add(each);
    findings found;
    check_numbers(all, found);
    return found.violations;
  };
  CHECK(violations_with({}).empty());
  CHECK(violations_with({take("4", 70, 80), done("numbers", "count", {}, "4", 75, 90)}).empty());
  CHECK(violations_with({take("3", 55, 56)})
        == std::vector{"number 3 was given twice"s, "number 3 came after number 3"s});
  CHECK(violations_with({take("2", 61, 70), take("4", 80, 90)})
        == std::vector{"number 2 was given twice"s, "number 2 came after number 3"s});
  CHECK(violations_with({take("5", 70, 80)})
        == std::vector{"number 5 was there when only 4 had been asked for"s});
  CHECK(violations_with({done("numbers", "count", {}, "2", 61, 70)})
        == std::vector{"a count of 2 came after number 3"s});
  CHECK(violations_with({done("numbers", "count", {}, "4", 61, 70)})
        == std::vector{"number 4 was there when only 3 had been asked for"s});
  CHECK(violations_with({take("x", 61, 70)}) == std::vector{"take gave 'x', which is no number"s});
  SECTION("but not one of unknown outcome that took effect") {
    troupe::sim::operation lost{"d", "numbers", {"take", {}, {}, {}, outcome::unknown, 62}, {}};
    CHECK(violations_with({lost, take("5", 70, 80)}).empty());
    CHECK(violations_with({lost, take("6", 70, 80)}).size() == 1);
  }
}

TEST_CASE("chaos leaves undecided what it has no time to judge") {
  auto found = judged(shared_then_held("k", 80), 0s);
  CHECK(found.violations.empty());
  CHECK(found.undecided.size() == 1);
}

TEST_CASE("chaos counts how many clients shared a lock at the same time") {
  CHECK(most_sharers({}) == 0);
  CHECK(most_sharers(shared_then_held("k", 80)) == 2);
  history one_by_one;
  one_by_one.add(done("k", "acquire_shared", {}, "5", 0, 10));
  one_by_one.add(done("k", "release", "5", {}, 15, 20));
  one_by_one.add(done("k", "acquire_shared", {}, "6", 30, 40));
  one_by_one.add(done("other", "acquire_shared", {}, "5", 0, 10));
  CHECK(most_sharers(one_by_one) == 1);
}

TEST_CASE("a call of chaos is answered in time if the service answers before the call's time-out") {
  recorder lines;
  call_and_answer(lines, word::answer);
  call_and_answer(lines, word::answer, -1ns); // too late
  call_and_answer(lines, word::no_quorum);
  call_and_answer(lines, word::none);
  auto counted = lines.count({});
  CHECK(counted.calls == 4);
  CHECK(counted.answered == 1);
  CHECK(counted.no_quorum == 1);
  CHECK(counted.calls_with_majority == 4);
  CHECK(counted.answered_with_majority == 1);
}

TEST_CASE("calls of chaos that meet a time without a majority are also left out") {
  recorder lines;
  call_and_answer(lines, word::answer);
  auto begin = lines.now_ns();
  call_and_answer(lines, word::none);
  auto end = lines.now_ns();
  call_and_answer(lines, word::answer);
  auto counted = lines.count({{begin, end}});
  CHECK(counted.calls == 3);
  CHECK(counted.answered == 2);
  CHECK(counted.calls_with_majority == 2);
  CHECK(counted.answered_with_majority == 2);
}

TEST_CASE("calls of chaos count in whatever order they are answered") {
  recorder lines;
  auto first = lines.call("a", "k", {"read", {}, {}, {}, outcome::unknown, 0});
  auto second = lines.call("b", "k", {"read", {}, {}, {}, outcome::unknown, 0});
  for (auto place : {second, first})
    lines.answer(place, outcome::ok, {}, word::answer, 1h);
  CHECK(lines.count({}).calls == 2);
  CHECK(lines.count({}).answered == 2);
}

TEST_CASE("a call of chaos that begins or ends in a time without a majority has met it") {
  recorder lines;
  auto before = lines.now_ns();
  auto place = lines.call("c", "k", {"read", {}, {}, {}, outcome::unknown, 0});
  auto inside = lines.now_ns();
  lines.answer(place, outcome::ok, {}, word::answer, 1h);
  auto after = lines.now_ns();
  CHECK(lines.count({{before, inside}}).calls_with_majority == 0);
  CHECK(lines.count({{inside, after}}).calls_with_majority == 0);
  CHECK(lines.count({{inside, inside + 1}}).calls_with_majority == 0);
  CHECK(lines.count({{after, after + 1}, {before - 1, before}}).calls_with_majority == 1);
}

TEST_CASE("chaos gives up the key whose operation has no known outcome, and no other one") {
  key_ring ring{{"key-", 2, 0}};
  ring.unsure("key-2", 0);
  std::vector<std::string> names;
  for (auto& each : ring.left(0))
    names.push_back(each.name);
  CHECK(names == std::vector{"key-2"s, "key-1"s, "key-3"s}); // at rest, then those in use
}

TEST_CASE("a key of chaos is used so many times, and looked at once it is at rest") {
  constexpr std::int64_t settled = std::chrono::nanoseconds{20s}.count();
  troupe::random_source random{1};
  key_ring ring{{"key-", 1, 0, 3}};
  for (auto count = 0; count < 3; ++count)
    CHECK(ring.take(random, 0) == "key-1");
  CHECK(ring.take(random, 0) == "key-2");
  ring.unsure("key-2", 1);
  CHECK(ring.take(random, 1) == "key-3");
  CHECK_FALSE(ring.take_old(settled - 1));
  auto old = ring.take_old(settled);
  REQUIRE(old);
  CHECK(old->name == "key-1");
  CHECK_FALSE(ring.take_old(settled));
  CHECK(ring.left(settled).size() == 2); // one at rest, one in use
  ring.again(*old, settled);
  CHECK(ring.left(settled).size() == 3);
  REQUIRE(ring.take_old(2 * settled));
  CHECK_FALSE(ring.take_old(2 * settled - 1)); // looked at in vain less long ago
  old = ring.take_old(2 * settled);
  REQUIRE(old);
  CHECK(old->since_ns == 0);
}

} // namespace chaos_history_test
