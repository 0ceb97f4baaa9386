#include "troupe/core/complaints.hpp"
#include "troupe/core/log_line.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace complaints_test {

using namespace std::literals;
using namespace troupe;

namespace {

const time_point start{100s};

} // namespace

TEST_CASE("a complaint is said when it begins, when it changes and when it ends") {
  complaints all;
  CHECK(all.raise(start, "no way", "a is dead") == "no way: a is dead");
  CHECK_FALSE(all.raise(start + 1s, "no way", "a is dead"));
  CHECK(all.raise(start + 2s, "no way", "b hangs") == "no way: b hangs (3 times in 2 s)");
  CHECK(all.settle(start + 5s, "no way") == "over: no way (3 times in 5 s)");
  CHECK_FALSE(all.settle(start + 6s, "no way"));
  CHECK(all.raise(start + 7s, "no way", "a is dead") == "no way: a is dead");
}

TEST_CASE("reasons that take turns are said once each, however long that goes on") {
  complaints all;
  auto lines = 0;
  for (auto each = 0; each < 10'000; ++each)
    lines
      += all.raise(start + each * 1s, "no way", each % 2 == 0 ? "a is dead" : "b is dead") ? 1 : 0;
  CHECK(lines == 2);
  CHECK(all.settle(start + 10'000s, "no way") == "over: no way (10000 times in 2 h 47 min)");
}

TEST_CASE("a reason that was away for ten minutes is said again") {
  complaints all;
  CHECK(all.raise(start, "no way", "a is dead"));
  CHECK(all.raise(start + 1s, "no way", "b is dead"));
  for (auto each = 2; each <= 600; ++each)
    CHECK_FALSE(all.raise(start + each * 1s, "no way", "b is dead"));
  CHECK(all.raise(start + 601s, "no way", "a is dead")
        == "no way: a is dead (602 times in 10 min 1 s)");
}

TEST_CASE(
  "of many reasons that take turns eight are said, and what comes later once there is room") {
  complaints all;
  auto lines = 0;
  auto moment = start;
  for (auto round = 0; round < 50; ++round)
    for (auto each = 0; each < 20; ++each, moment += 1s)
      lines += all.raise(moment, "no way", std::to_string(each) + " is dead") ? 1 : 0;
  CHECK(lines == 8);
  CHECK(all.raise(moment + complaints::forgotten_after, "no way", "the disk is full"));
  CHECK_FALSE(all.raise(moment + complaints::forgotten_after, "no way", "the disk is full"));
}

TEST_CASE("reasons beyond the eighth are counted together, as others") {
  complaints all;
  auto moment = start;
  std::vector<std::string> lines;
  for (auto round = 0; round < 3; ++round)
    for (auto each = 1; each <= 10; ++each, moment += 1s)
      if (auto line = all.raise(moment, "no way", "reason " + std::to_string(each)))
        lines.push_back(*line);
  REQUIRE(lines.size() == complaints::max_details);
  CHECK(lines.back() == "no way: reason 8 (8 times in 7 s)");
  CHECK(all.settle(start + 30s, "no way")
        == "over: no way (30 times in 30 s, 6 of them for other reasons than those logged)");
  // A complaint of its own begins anew.
  CHECK(all.raise(start + 31s, "no way", "reason 9") == "no way: reason 9");
  CHECK(all.settle(start + 32s, "no way") == "over: no way (1 time in 1 s)");
}

TEST_CASE("a detail may say more than what tells it from others") {
  complaints all;
  CHECK(all.raise(start, "no way", "it is late: 10 o'clock", "late")
        == "no way: it is late: 10 o'clock");
  CHECK_FALSE(all.raise(start + 1s, "no way", "it is late: 11 o'clock", "late"));
  CHECK(all.raise(start + 2s, "no way", "it is dark: 12 o'clock", "dark")
        == "no way: it is dark: 12 o'clock (3 times in 2 s)");
}

TEST_CASE("complaints on different topics do not mix, and of too many the quietest is dropped") {
  complaints all;
  for (std::size_t each = 0; each < complaints::usual_topics; ++each)
    CHECK(all.raise(start + each * 1s, std::to_string(each), "wrong"));
  CHECK_FALSE(all.raise(start + 200s, "0", "wrong"));
  CHECK(all.raise(start + 201s, "one more", "wrong"));
  CHECK(all.size() == complaints::usual_topics);
  CHECK_FALSE(all.settle(start + 202s, "1"));
  CHECK(all.settle(start + 202s, "0"));
}

TEST_CASE("what is quiet for long enough is over, with the time of its last occurrence") {
  complaints all;
  CHECK_FALSE(all.quiet_since());
  CHECK(all.raise(start, "a", "wrong"));
  CHECK(all.raise(start + 1s, "b", "wrong"));
  CHECK_FALSE(all.raise(start + 5s, "a", "wrong"));
  CHECK(all.quiet_since() == start + 1s);
  CHECK(all.settle_quiet(start).empty());
  CHECK(all.settle_quiet(start + 1s) == std::vector<std::string>{"over: b (1 time in 0 ms)"});
  CHECK(all.is_open("a"));
  CHECK_FALSE(all.is_open("b"));
  CHECK(all.settle_quiet(start + 9s) == std::vector<std::string>{"over: a (2 times in 5 s)"});
  CHECK(all.size() == 0);
}

TEST_CASE("a line of the log carries the time in UTC, the level and the node") {
  // 2026-02-28T23:59:59.999999999Z
  wall_time moment{1'772'323'199s + 999'999'999ns};
  CHECK(to_string(log_line{moment, log_level::warning, "n1", "no way: a is dead"})
        == "2026-02-28T23:59:59.999Z warning n1: no way: a is dead");
  CHECK(to_rfc3339(moment + 1ns) == "2026-03-01T00:00:00.000Z");
  CHECK(to_rfc3339(wall_time{}) == "1970-01-01T00:00:00.000Z");
  CHECK(to_rfc3339(wall_time{-1ns}) == "1969-12-31T23:59:59.999Z");
}

} // namespace complaints_test
