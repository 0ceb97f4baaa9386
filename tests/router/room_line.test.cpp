#include "troupe/router/room_line.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "router/named_nodes.hpp"
#include "support/seeds.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"

namespace room_line_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

using line = room_line<int>;

const router::detail::share_holder me{test::node_named("m"), {}};
const router::detail::share_holder other{test::node_named("o"), {}};

/// A line with its host, for which there is room for so many.
struct hosted {
  line::options how{};
  /// Whether those that wait ask how much room there is.
  bool asks = false;
  line it{how};
  std::map<std::string, int> room{};
  /// Recipients of which it was asked how much room there is.
  std::vector<std::string> asked{};
  time_point now{};
  std::vector<int> gone{};
  std::vector<int> late{};
  int attempts = 0;

  bool wait(int what, duration within = 1h, const std::string& to = "slow", std::size_t bytes = 1,
            const router::detail::share_holder& by = me) {
    if (!it.may_wait(by, bytes))
      return false;
    line::effects out;
    it.wait(now, {to, by, bytes, now + within, what}, asks, out);
    carry_out(std::move(out));
    return true;
  }

  void pass(duration span) {
    for (auto end = now + span; now < end;) {
      now = std::min(end, std::max(now + 1ns, it.next_deadline().value_or(end)));
      line::effects out;
      it.tick(now, out);
      carry_out(std::move(out));
    }
  }

  void has_room(const std::string& to, int count, const inbox_space& space = {}) {
    room[to] += count;
    line::effects out;
    it.has_room(now, to, space, out);
    carry_out(std::move(out));
  }

  void carry_out(line::effects out) {
    while (!out.empty())
      for (auto& what : std::exchange(out, {}))
        troupe::visit(overloaded{[&](line::attempt& each) {
                                   ++attempts;
                                   if (--room[each.which.to] >= 0) {
                                     gone.push_back(each.which.what);
                                     return it.gone(each.which.to, out);
                                   }
                                   room[each.which.to] = 0;
                                   it.refused(now, std::move(each.which));
                                 },
                                 [&](line::too_late& each) { late.push_back(each.which.what); },
                                 [&](line::ask& each) { asked.push_back(each.to); }},
                      what);
  }
};

} // namespace

TEST_CASE("who waits for room goes in line, as far as there is room", "[router]") {
  hosted r;
  for (auto each : {1, 2, 3})
    r.wait(each);
  CHECK(r.it.has_line("slow"));
  r.has_room("slow", 2);
  CHECK(r.gone == std::vector{1, 2});
  r.has_room("other", 5);
  CHECK(r.gone == std::vector{1, 2});
  r.wait(4);
  r.has_room("slow", 5);
  CHECK(r.gone == std::vector{1, 2, 3, 4});
  CHECK_FALSE(r.it.has_line("slow"));
  CHECK_FALSE(r.it.may_go(r.now, "slow", 1)); // nobody was asked how much there is
  CHECK(r.it.size() == 0);
  CHECK(r.it.bytes() == 0);
  CHECK_FALSE(r.it.next_deadline());
}

TEST_CASE("only as many go as there is said to be room for, then that is asked again", "[router]") {
  using texts = std::vector<std::string>;
  hosted r;
  for (auto each = 1; each <= 9; ++each)
    r.wait(each, 1h, "slow", 10);
  r.has_room("slow", 100, {2, 100});
  CHECK(r.gone == std::vector{1, 2});
  CHECK(r.asked == texts{"slow"});
  r.pass(1min); // it is not tried meanwhile
  r.wait(10);
  CHECK(r.gone.size() == 2);
  r.has_room("slow", 100, {100, 25});
  CHECK(r.gone == std::vector{1, 2, 3, 4});
  r.has_room("slow", 100, {0, 0}); // one is tried
  CHECK(r.gone == std::vector{1, 2, 3, 4, 5});
  CHECK(r.asked == texts{"slow", "slow", "slow"});
  r.has_room("slow", 100);
  CHECK(r.gone.size() == 10);
  CHECK(r.asked.size() == 3);
  CHECK_FALSE(r.it.has_line("slow"));
}

TEST_CASE("who is told late that there was no room in a line that has asked goes on", "[router]") {
  hosted r;
  r.wait(1);
  r.wait(2, 3s);
  r.has_room("slow", 100, {1, 100});
  r.pass(3s);
  CHECK(r.late == std::vector{2});
  CHECK_FALSE(r.it.has_line("slow"));
  r.has_room("slow", 0, {1, 100}); // nobody waits for that any more
  r.wait(3);
  r.pass(line::first_pause);
  CHECK(r.gone == std::vector{1, 3});
}

TEST_CASE("where it is to be asked for room nobody goes before that is said", "[router]") {
  using texts = std::vector<std::string>;
  hosted r{.asks = true};
  r.room["slow"] = 100;
  r.wait(1);
  r.wait(2);
  r.pass(1min);
  CHECK(r.gone.empty());
  CHECK(r.asked == texts{"slow"});
  r.has_room("slow", 0, {4, 100});
  CHECK(r.gone == std::vector{1, 2});
  CHECK_FALSE(r.it.has_line("slow"));
  // What is left holds for a while.
  CHECK_FALSE(r.it.may_go(r.now, "other", 1));
  CHECK(r.it.may_go(r.now, "slow", 60));
  CHECK_FALSE(r.it.may_go(r.now, "slow", 60));
  CHECK_FALSE(r.it.may_go(r.now + line::space_holds, "slow", 1));
  CHECK(r.it.may_go(r.now, "slow", 1));
  CHECK_FALSE(r.it.may_go(r.now, "slow", 1));
  r.wait(3);
  CHECK(r.asked == texts{"slow", "slow"});
  r.has_room("slow", 0, {2, 100});
  r.wait(4); // a new line, which others may not pass
  CHECK_FALSE(r.it.may_go(r.now, "slow", 1));
}

TEST_CASE("there is one question for room at a time, whoever has asked", "[router]") {
  hosted r{.asks = true};
  r.room["slow"] = 100;
  r.wait(1, 1s);
  r.pass(1s);
  CHECK(r.late == std::vector{1});
  for (auto each : {2, 3, 4})
    r.wait(each);
  CHECK(r.asked.size() == 1); // the answer to the first one is on its way
  line::effects out;
  r.it.may_have_room(r.now, "slow", out); // word without a number does not let more go
  CHECK(out.empty());
  r.has_room("slow", 0, {1, 100});
  CHECK(r.gone == std::vector{2});
  CHECK(r.asked.size() == 2);
  r.it.may_have_room(r.now, "slow", out);
  CHECK(out.empty());
  r.has_room("slow", 0, {2, 100});
  CHECK(r.gone == std::vector{2, 3, 4});
  r.wait(5);
  r.has_room("slow", -100, {9, 100}); // refused here, as others have filled it
  CHECK(r.gone.size() == 3);
  r.room["slow"] = 1;
  r.it.may_have_room(r.now, "slow", out);
  r.carry_out(std::move(out));
  CHECK(r.gone == std::vector{2, 3, 4, 5});
}

TEST_CASE("a line whose agent has moved to another node asks once one has gone", "[router]") {
  hosted r;
  r.wait(1);
  r.asks = true;
  for (auto each : {2, 3})
    r.wait(each);
  r.room["slow"] = 100;
  line::effects out;
  r.it.may_have_room(r.now, "slow", out);
  r.carry_out(std::move(out));
  CHECK(r.gone == std::vector{1});
  CHECK(r.asked.size() == 1);
}

TEST_CASE("a line that has to ask does so also after it was refused", "[router]") {
  hosted r{.asks = true};
  for (auto each : {1, 2, 3})
    r.wait(each);
  r.has_room("slow", 1, {3, 100});
  CHECK(r.gone == std::vector{1}); // the second was refused here
  r.room["slow"] = 100;
  r.pass(line::longest_pause);
  CHECK(r.gone == std::vector{1, 2});
  CHECK(r.asked.size() == 2);
  r.has_room("slow", 0, {1, 100});
  CHECK(r.gone == std::vector{1, 2, 3});
}

TEST_CASE("room is remembered of so many only", "[router]") {
  hosted r{.asks = true};
  for (std::size_t each = 0; each <= line::max_spaces; ++each) {
    auto to = std::to_string(10'000 + each);
    r.wait(1, 1h, to);
    r.has_room(to, 1, {4, 100});
  }
  CHECK_FALSE(r.it.may_go(r.now, "10000", 1));
  CHECK(r.it.may_go(r.now, "10001", 1));
}

TEST_CASE("a line that is refused what was said to be free is tried again by itself", "[router]") {
  hosted r;
  r.wait(1);
  r.wait(2);
  r.has_room("slow", 0, {1, 100});
  CHECK(r.gone.empty());
  r.room["slow"] = 2;
  r.pass(line::longest_pause);
  CHECK(r.gone == std::vector{1, 2});
}

TEST_CASE("room of which nobody says anything is found, with few attempts", "[router]") {
  hosted r;
  r.wait(1);
  r.wait(2, 1h, "other");
  r.pass(10s);
  CHECK(r.attempts > 2 * 70);
  CHECK(r.attempts < 2 * 100);
  r.room["slow"] = 1;
  r.pass(line::longest_pause);
  CHECK(r.gone == std::vector{1});
  r.wait(3);
  r.room["slow"] = 1;
  r.pass(line::first_pause);
  CHECK(r.gone == std::vector{1, 3});
}

TEST_CASE("who waits is told when its own time is over, and no other", "[router]") {
  hosted r;
  r.wait(1, 5s);
  r.wait(2, 2s);
  r.wait(3, 9s);
  r.pass(2s - 1ns);
  CHECK(r.late.empty());
  r.pass(1ns);
  CHECK(r.late == std::vector{2});
  r.pass(3s);
  CHECK(r.late == std::vector{2, 1});
  r.has_room("slow", 9);
  CHECK(r.gone == std::vector{3});
  CHECK(r.it.size() == 0);
}

TEST_CASE("room that comes after the time of one that waits is for the next one", "[router]") {
  hosted r;
  r.wait(1, 2s);
  r.wait(2, 9s);
  r.now += 2s; // and nobody has looked at the clock
  r.has_room("slow", 9);
  CHECK(r.late == std::vector{1});
  CHECK(r.gone == std::vector{2});
  r.wait(3, 2s);
  r.now += 2s;
  r.has_room("slow", 9);
  CHECK(r.late == std::vector{1, 3});
  CHECK_FALSE(r.it.has_line("slow"));
  r.wait(4, 2s);
  r.now += 2s;
  line::effects out;
  r.it.may_have_room(r.now, "slow", out);
  r.carry_out(std::move(out));
  CHECK(r.late == std::vector{1, 3, 4});
}

TEST_CASE("a line that moves is tried again soon", "[router]") {
  hosted r;
  r.wait(1);
  r.wait(2);
  r.pass(10s);
  r.has_room("slow", 1);
  CHECK(r.gone == std::vector{1});
  r.room["slow"] = 1;
  r.pass(line::first_pause);
  CHECK(r.gone == std::vector{1, 2});
}

TEST_CASE("the second in line does not go while the first is tried", "[router]") {
  line it{{}};
  line::effects out;
  for (auto each : {1, 2})
    it.wait({}, {"slow", me, 1, time_point{1h}, each}, false, out);
  it.has_room({}, "slow", {}, out);
  it.has_room({}, "slow", {}, out);
  it.tick(time_point{10s}, out);
  REQUIRE(out.size() == 1);
  auto first = std::get<line::attempt>(out.front()).which;
  CHECK(first.what == 1);
  it.refused(time_point{10s}, first);
  out.clear();
  it.has_room({}, "slow", {}, out);
  CHECK(std::get<line::attempt>(out.front()).which.what == 1);
}

TEST_CASE("all that wait are let go when nobody tries any more", "[router]") {
  hosted r;
  r.wait(1, 3s);
  r.wait(2, 3s, "other");
  r.wait(3, 1s);
  auto left = r.it.end();
  REQUIRE(left.size() == 3);
  CHECK(left[1].what == 2);
  CHECK(r.it.size() == 0);
  CHECK_FALSE(r.it.next_deadline());
}

TEST_CASE("how many wait is bounded, in messages and bytes, and nobody takes all places",
          "[router]") {
  hosted r{.how = {.max_messages = 8, .max_bytes = 800}};
  auto count = 0;
  while (r.wait(++count))
    continue;
  CHECK(r.it.size() == 4);
  CHECK(r.wait(10, 1h, "slow", 1, other));
  r.has_room("slow", 99);
  CHECK(r.wait(20, 1h, "slow", 400));
  CHECK_FALSE(r.wait(21, 1h, "slow", 1));
  CHECK(r.wait(22, 1h, "slow", 200, other));
  CHECK_FALSE(r.wait(23, 1h, "slow", 201, other));
  r.has_room("slow", 99);
  CHECK(r.it.bytes() == 0);
  for (auto each : {30, 31})
    CHECK(r.wait(each, 1h, std::to_string(each), 250));
  r.has_room("30", 1);
  CHECK(r.wait(32, 1h, "slow", 250)); // what has gone is no part of its share
}

TEST_CASE("on every schedule each that waits ends once, and those that go do so in line",
          "[router]") {
  test::for_each_seed(200, [](random_source random) {
    hosted r{.how = {.max_messages = 60, .max_bytes = 2'000}, .asks = random.one_in(2)};
    std::map<int, std::string> asked;
    for (auto step = 1; step < 400; ++step) {
      auto to = std::to_string(random.below(3));
      auto within = std::chrono::milliseconds{random.below(500)};
      if (random.one_in(2)
          && r.wait(step, within, to, random.below(200), random.one_in(2) ? me : other))
        asked.emplace(step, to);
      if (random.one_in(4))
        r.has_room(to, static_cast<int>(random.below(4)),
                   random.one_in(2) ? inbox_space{} : inbox_space{random.below(4), 300});
      if (random.one_in(4))
        r.room[to] += static_cast<int>(random.below(3));
      if (random.one_in(3))
        r.pass(std::chrono::milliseconds{random.below(100)});
      REQUIRE(r.it.size() <= 60);
      REQUIRE(r.it.bytes() <= 2'000);
    }
    r.pass(1s);
    for (auto& [number, to] : asked)
      r.has_room(to, 0);
    std::map<std::string, int> last;
    for (auto each : r.gone)
      REQUIRE(each > std::exchange(last[asked.at(each)], each));
    auto all = r.gone;
    all.insert(all.end(), r.late.begin(), r.late.end());
    std::ranges::sort(all);
    REQUIRE(std::ranges::adjacent_find(all) == all.end());
    REQUIRE(all.size() == asked.size());
    REQUIRE(r.it.size() == 0);
    REQUIRE_FALSE(r.it.next_deadline());
  });
}

} // namespace room_line_test
