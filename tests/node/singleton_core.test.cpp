#include "troupe/cluster/singleton_core.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

namespace singleton_core_test {

using namespace std::literals;
using namespace troupe;
using core = cluster::singleton_core;
using words = std::vector<std::string>;

namespace {

/// A node that offers the singleton "report", whose lease can be counted on until 1 s before its
/// end; what it does, in words.
struct offering_node {
  core it{"report", 1s, 7};
  time_point now{};
  words said;
  /// Of the last effects of these kinds.
  request_id turn = 0;
  request_id run = 0;

  words step(core::event what, request_id id = 0) {
    core::effects out;
    it.step(now, id, std::move(what), out);
    return to_words(out);
  }

  words pass(duration span) {
    words all;
    auto until = now + span;
    for (auto due = it.next_deadline(); due && *due <= until; due = it.next_deadline()) {
      now = *due;
      core::effects out;
      it.tick(now, out);
      for (auto& each : to_words(out))
        all.push_back(std::move(each));
    }
    now = until;
    return all;
  }

  /// Runs the agent under that token.
  void begin(std::uint64_t token = 5) {
    if (turn == 0)
      step(core::offer{});
    REQUIRE(step(core::held{token}, turn) == words{"start " + std::to_string(token)});
    step(core::started{}, run);
    REQUIRE(it.is_running());
    said.clear();
  }

  words to_words(core::effects& all) {
    words found;
    for (auto& each : all)
      troupe::visit(overloaded{[&](core::take& what) {
                                 turn = what.id;
                                 found.emplace_back(what.is_brief ? "take briefly" : "take");
                               },
                               [&](core::start& what) {
                                 run = what.id;
                                 found.push_back("start " + std::to_string(what.token));
                               },
                               [&](core::stop&) { found.emplace_back("stop"); },
                               [&](core::give_back&) { found.emplace_back("give back"); },
                               [&](core::over&) { found.emplace_back("over"); },
                               [&](core::inform& what) { said.push_back(what.text); },
                               [&](core::warn& what) { said.push_back(what.text); },
                               [&](core::complain& what) { said.push_back(what.detail); },
                               [&](core::settle&) { said.emplace_back("settled"); }},
                    each);
    return found;
  }
};

} // namespace

TEST_CASE("a singleton has a lock of its own, whose name is not too long", "[node][singleton]") {
  CHECK(core::lock_of("report") == "singleton/report");
  CHECK_FALSE(core::check("report"));
  CHECK_FALSE(core::check(std::string(245, 'x')));
  for (auto size : {246U, 255U}) {
    auto why = core::check(std::string(size, 'x'));
    CHECK(why.code == errc::bad_argument);
    CHECK(why.detail.find("245") != std::string::npos);
  }
  CHECK(core::check("").code == errc::bad_argument);
}

TEST_CASE_METHOD(offering_node, "who has the lock of a singleton runs it", "[node][singleton]") {
  CHECK(step(core::offer{}) == words{"take"});
  CHECK(step(core::offer{}).empty());
  CHECK_FALSE(it.is_running());
  auto first = turn;
  SECTION("once it has been its turn") {
    CHECK(step(core::not_held{{errc::timed_out, "in line"}}, turn) == words{"take"});
    CHECK(turn != first);
    CHECK(step(core::held{4}, first).empty()); // of an earlier turn
    CHECK(step(core::not_held{{errc::denied, "no right"}}, first).empty());
    CHECK(said.empty());
    CHECK_FALSE(it.next_deadline());
  }
  CHECK(step(core::held{5}, turn) == words{"start 5"});
  CHECK_FALSE(it.is_running());
  CHECK(step(core::started{}, run).empty());
  CHECK(it.is_running());
  CHECK(said == words{"settled", "singleton 'report' runs here"});
  CHECK(pass(24h).empty());
}

TEST_CASE_METHOD(offering_node,
                 "a singleton is ended before its lease is over, and then waited for",
                 "[node][singleton]") {
  begin();
  CHECK(step(core::lost{{errc::stale_token, "the lease ends"}}, turn + 9).empty());
  CHECK(step(core::lost{{errc::stale_token, "the lease ends"}}, turn) == words{"stop"});
  CHECK(said == words{"the lease ends"});
  CHECK(step(core::lost{{errc::stale_token, "the lease ends"}}, turn).empty());
  SECTION("in time") {
    CHECK(pass(999ms).empty());
    CHECK(step(core::ended{}, run).empty()); // there is nothing to give back
    CHECK(said.size() == 1);
    CHECK(pass(400ms) == words{"take"});
  }
  SECTION("too late, which is said once") {
    CHECK(pass(999ms).empty());
    CHECK(said.size() == 1);
    CHECK(pass(1ms).empty());
    CHECK(said.size() == 2);
    CHECK(pass(1h).empty());
    REQUIRE(said.size() == 2);
    CHECK(said.back().find("still handles a message") != std::string::npos);
    CHECK_FALSE(it.is_running());
    CHECK(step(core::ended{}, run).empty());
    CHECK(pass(400ms) == words{"take"});
  }
  CHECK(step(core::held{8}, turn) == words{"start 8"});
}

TEST_CASE_METHOD(offering_node,
                 "a lease that is over before this node hears that it has the lock starts nothing",
                 "[node][singleton]") {
  step(core::offer{});
  auto first = turn;
  CHECK(step(core::lost{{errc::stale_token, "the lease ends"}}, first + 9).empty());
  CHECK(step(core::lost{{errc::stale_token, "the lease ends"}}, first) == words{"give back"});
  CHECK(said == words{"the lease ends"});
  CHECK(step(core::held{5}, first).empty());
  CHECK(step(core::lost{{errc::stale_token, "the lease ends"}}, first).empty());
  CHECK(pass(400ms) == words{"take"});
  CHECK(step(core::held{6}, turn) == words{"start 6"});
}

TEST_CASE_METHOD(offering_node, "a singleton whose lease is lost while it starts is ended",
                 "[node][singleton]") {
  step(core::offer{});
  step(core::held{5}, turn);
  CHECK(step(core::lost{{errc::stale_token, "the lease ends"}}, turn) == words{"stop"});
  SECTION("it starts all the same") {
    CHECK(step(core::started{}, run).empty());
  }
  SECTION("it could not start") {
    CHECK(step(core::started{{errc::name_taken, "somebody has its name"}}, run).empty());
  }
  CHECK_FALSE(it.is_running());
  CHECK(pass(500ms).empty()); // it may still handle a message
  CHECK(step(core::ended{}, run).empty());
  CHECK(pass(400ms) == words{"take"});
}

TEST_CASE_METHOD(offering_node,
                 "a singleton that ends by itself, or cannot start, may run on another node",
                 "[node][singleton]") {
  SECTION("it ends by itself") {
    begin();
    CHECK(step(core::ended{}, run + 9).empty()); // an earlier one
    CHECK(step(core::ended{}, run) == words{"give back"});
    REQUIRE(said.size() == 1);
    CHECK(said.front().find("has ended") != std::string::npos);
  }
  SECTION("it ends before it is known") {
    step(core::offer{});
    step(core::held{5}, turn);
    CHECK(step(core::ended{}, run) == words{"give back"});
    auto word = GENERATE(errc::none, errc::name_taken);
    CHECK(step(core::started{{word, "somebody has its name"}}, run).empty());
    CHECK(said.size() == 1);
  }
  SECTION("it cannot start") {
    step(core::offer{});
    step(core::held{5}, turn);
    CHECK(step(core::started{{errc::name_taken, "somebody has its name"}}, run) == words{"stop"});
    CHECK(said == words{"somebody has its name"});
    CHECK(pass(1h).empty()); // it may still handle a message that came before it was refused
    CHECK(step(core::ended{}, run) == words{"give back"});
    CHECK(said.size() == 1);
  }
  CHECK_FALSE(it.is_running());
  auto last = run;
  CHECK(pass(99ms).empty()); // others get it first
  CHECK(pass(201ms) == words{"take"});
  step(core::held{6}, turn);
  CHECK(run != last);
  CHECK(step(core::started{}, last).empty()); // of an earlier one
  CHECK_FALSE(it.is_running());
  step(core::started{}, run);
  CHECK(it.is_running());
}

TEST_CASE_METHOD(offering_node, "a node that gets no lock asks again, less and less often",
                 "[node][singleton]") {
  step(core::offer{});
  std::vector<duration> pauses;
  std::size_t times = 0;
  for (auto time = 0; time < 200; ++time) {
    CHECK(step(core::not_held{{errc::denied, "no right"}}, turn).empty());
    CHECK(said == words(++times, "no right"));
    auto due = it.next_deadline();
    REQUIRE(due);
    pauses.push_back(*due - now);
    CHECK(pass(pauses.back()) == words{"take"});
  }
  CHECK(*std::ranges::min_element(pauses) >= 100ms);
  CHECK(pauses.front() <= 300ms);
  CHECK(*std::ranges::max_element(pauses) <= 5'100ms);
  CHECK(*std::ranges::max_element(pauses) > 4s);
  begin();
  CHECK(pass(core::steady_after).empty());
  step(core::ended{}, run);
  CHECK(*it.next_deadline() - now <= 300ms); // from the beginning
}

TEST_CASE_METHOD(offering_node, "a singleton that ends again and again begins less and less often",
                 "[node][singleton]") {
  auto pause_after = [&](duration run_for) {
    begin();
    CHECK(pass(run_for).empty());
    CHECK(step(core::ended{}, run) == words{"give back"});
    auto found = *it.next_deadline() - now;
    CHECK(pass(found) == words{"take"});
    return found;
  };
  auto first = pause_after(1ms);
  CHECK(first >= 100ms);
  CHECK(first <= 300ms);
  duration longest{};
  duration in_all{};
  for (auto time = 0; time < 100; ++time) { // as where each message makes it throw
    auto next = pause_after(core::steady_after - 1ms);
    longest = std::max(longest, next);
    in_all += next;
    CHECK(next >= 100ms);
    CHECK(next <= 5'100ms);
  }
  CHECK(longest > 4s);
  CHECK(in_all > 100s);
  CHECK(pause_after(core::steady_after) <= 300ms);
  CHECK(pause_after(1ms) <= 500ms); // the second in a row
  SECTION("nor does a long run make up for what cannot start after it") {
    begin();
    CHECK(pass(core::steady_after).empty());
    step(core::ended{}, run);
    duration later{};
    for (auto time = 0; time < 50; ++time) {
      auto next = *it.next_deadline() - now;
      later = std::max(later, next);
      CHECK(pass(next) == words{"take"});
      step(core::held{5}, turn);
      CHECK(step(core::started{{errc::name_taken, "taken"}}, run) == words{"stop"});
      step(core::ended{}, run);
    }
    CHECK(later > 1s);
  }
  SECTION("also if its lease is lost meanwhile") {
    begin();
    CHECK(pass(core::steady_after - 1ms).empty());
    step(core::lost{{errc::stale_token, "the lease ends"}}, turn);
    now += 1ms; // it runs on until then
    CHECK(step(core::ended{}, run).empty());
    CHECK(*it.next_deadline() - now <= 300ms);
  }
}

TEST_CASE_METHOD(offering_node, "a singleton waits for less where the lock service allows no more",
                 "[node][singleton]") {
  CHECK(step(core::offer{}) == words{"take"});
  CHECK(step(core::not_held{{errc::bad_argument, "wait is 1 min"}}, turn) == words{"take briefly"});
  CHECK(said.empty());
  CHECK(step(core::not_held{{errc::timed_out, "in line"}}, turn) == words{"take briefly"});
  SECTION("and runs as any other") {
    CHECK(step(core::held{5}, turn) == words{"start 5"});
    step(core::started{}, run);
    step(core::ended{}, run);
    CHECK(pass(400ms) == words{"take briefly"});
  }
  SECTION("and says so if that is no help") {
    CHECK(step(core::not_held{{errc::bad_argument, "ttl is 10 s"}}, turn).empty());
    CHECK(said == words{"ttl is 10 s"});
    CHECK(pass(400ms) == words{"take briefly"});
  }
}

TEST_CASE_METHOD(offering_node, "an offer that is withdrawn ends its singleton before its lock",
                 "[node][singleton]") {
  SECTION("it runs") {
    begin();
    CHECK(step(core::withdraw_offer{}) == words{"stop"});
    CHECK(step(core::withdraw_offer{}).empty());
    if (GENERATE(true, false)) {
      CHECK(step(core::lost{{errc::stale_token, "the lease ends"}}, turn).empty());
      CHECK(pass(1h).empty());
      CHECK(said.size() == 2); // it is late
    }
    CHECK(step(core::ended{}, run) == words{"give back", "over"});
  }
  SECTION("it starts") {
    step(core::offer{});
    step(core::held{5}, turn);
    CHECK(step(core::withdraw_offer{}) == words{"stop"});
    if (GENERATE(true, false))
      CHECK(step(core::started{}, run).empty());
    else
      CHECK(step(core::started{{errc::name_taken, "somebody has its name"}}, run).empty());
    CHECK(step(core::ended{}, run) == words{"give back", "over"});
  }
  SECTION("it waits in line") {
    step(core::offer{});
    CHECK(step(core::withdraw_offer{}) == words{"give back", "over"});
    CHECK(step(core::held{5}, turn).empty()); // given back by its host
  }
  SECTION("it is about to ask again") {
    step(core::offer{});
    step(core::not_held{{errc::denied, "no right"}}, turn);
    CHECK(step(core::withdraw_offer{}) == words{"give back", "over"});
  }
  SECTION("it was never offered") {
    CHECK(step(core::withdraw_offer{}) == words{"give back", "over"});
    CHECK(step(core::offer{}).empty());
  }
  CHECK_FALSE(it.next_deadline());
  CHECK_FALSE(it.is_running());
  CHECK(pass(24h).empty());
}

} // namespace singleton_core_test
