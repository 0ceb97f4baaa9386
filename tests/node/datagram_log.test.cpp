#include "troupe/cluster/datagram_log.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace datagram_log_test {

using namespace std::literals;
using namespace troupe;
using cluster::datagram_log;
using cluster::log_effects;

namespace {

/// A log of which the host looks as soon as it should.
struct watched {
  /// `count` more of that kind are dropped.
  void drop(std::uint64_t datagram_log::counts::*kind, std::uint64_t count,
            const std::string& from = {}) {
    all.*kind += count;
    for (std::size_t each = 0; each < datagram_log::kinds.size(); ++each)
      if (datagram_log::kinds[each].count == kind)
        senders[each] = from;
    it.note(now);
  }

  /// Lets time pass, and looks where a look is due.
  void pass(duration span) {
    auto end = now + span;
    for (auto next = it.next_deadline(); next && *next <= end; next = it.next_deadline()) {
      now = *next;
      look();
    }
    now = end;
  }

  void look() {
    auto found = it.look(now, all, senders);
    for (auto& each : datagram_log::kinds)
      told.*each.count += found.more.*each.count;
    for (auto& each : found.lines)
      if (auto* warns = std::get_if<log_effects::warn>(&each))
        lines.push_back("warning " + warns->text);
      else
        lines.push_back(std::get<log_effects::inform>(each).text);
    ++looks;
  }

  /// The lines since the last call.
  std::vector<std::string> said() {
    return std::exchange(lines, {});
  }

  datagram_log it;
  time_point now{100s};
  datagram_log::counts all;
  datagram_log::counts told;
  std::array<std::string, datagram_log::kinds.size()> senders;
  std::vector<std::string> lines;
  std::size_t looks = 0;
};

using counts = datagram_log::counts;

} // namespace

TEST_CASE("while no datagram is dropped nothing has to be looked at", "[node]") {
  watched log;
  CHECK_FALSE(log.it.next_deadline());
  log.drop(&counts::foreign, 1);
  CHECK(log.it.next_deadline() == log.now + 1s);
  log.pass(5min);
  CHECK_FALSE(log.it.next_deadline());
}

TEST_CASE("a flood of datagrams is told when it begins and when it is over, with their number",
          "[node]") {
  watched log;
  for (auto each = 0; each < 600; ++each) {
    log.drop(&counts::foreign, 100, "10.0.0.9:53");
    log.pass(100ms);
  }
  CHECK(log.looks <= 60); // one a second
  CHECK(
    log.said()
    == std::vector{"warning datagrams (UDP) that are not a node's are dropped: 1000 within 1 s, "
                   "the last one from 10.0.0.9:53; another program sends to the port at which "
                   "this node accepts links; let only nodes of the cluster reach that port"s});
  log.pass(59s);
  CHECK(log.said().empty());
  log.pass(2s);
  CHECK(log.said()
        == std::vector{
          "over: datagrams (UDP) that are not a node's are dropped (60000 times in 1 min)"s});
  CHECK(log.told == log.all);
  log.drop(&counts::foreign, 1);
  log.pass(1s);
  CHECK(log.said().size() == 1); // it begins anew
}

TEST_CASE("each reason for which datagrams are dropped has a line of its own, with where the last "
          "one came from",
          "[node]") {
  watched log;
  for (auto& each : datagram_log::kinds)
    log.drop(each.count, each.usual + 1, std::string{each.name} + ":1");
  log.pass(1s);
  auto lines = log.said();
  REQUIRE(lines.size() == datagram_log::kinds.size());
  for (std::size_t each = 0; each < lines.size(); ++each) {
    auto& of = datagram_log::kinds[each];
    CHECK(lines[each]
          == "warning "s + of.topic + ": " + std::to_string(of.usual + 1)
               + " within 1 s, the last one from " + of.name + ":1; " + of.remedy);
  }
  CHECK(log.told == log.all);
}

TEST_CASE("one datagram that was changed or repeated is told", "[node]") {
  watched log;
  log.drop(&counts::damaged, 1);
  log.pass(1s);
  CHECK(log.said().size() == 1);
  log.drop(&counts::repeated, 1);
  log.pass(1s);
  CHECK(log.said().size() == 1);
  log.pass(2min);
  CHECK(log.said()
        == std::vector{
          "over: datagrams (UDP) that were changed on their way are dropped (1 time in 1 s)"s,
          "over: datagrams (UDP) that have come before are dropped (1 time in 1 s)"s});
}

TEST_CASE("some datagrams of strangers, as nodes that start send them, are counted in silence",
          "[node]") {
  watched log;
  for (auto start = 0; start < 20; ++start) {
    for (auto each = 0; each < 10; ++each) {
      log.drop(&counts::strange, 10);
      log.pass(1s);
    }
    log.pass(10s);
  }
  CHECK(log.said().empty());
  CHECK(log.told.strange == 2'000);
  CHECK_FALSE(log.it.next_deadline());
}

TEST_CASE("more datagrams of strangers than nodes that start send are told, with all in their row",
          "[node]") {
  watched log;
  for (auto each = 0; each < 30; ++each) {
    log.drop(&counts::strange, 10);
    log.pass(2s);
  }
  auto lines = log.said();
  REQUIRE(lines.size() == 1);
  CHECK(
    lines[0].starts_with("warning datagrams (UDP) of strangers are dropped: 110 within 21 s; "));
  log.pass(1min);
  CHECK(log.said()
        == std::vector{"over: datagrams (UDP) of strangers are dropped (300 times in 59 s)"s});
}

TEST_CASE(
  "a hundred datagrams of strangers without a pause of ten seconds are not told, one more is",
  "[node]") {
  watched log;
  log.drop(&counts::strange, 60);
  log.pass(10500ms); // nine and a half after they were looked at
  log.drop(&counts::strange, 40);
  log.pass(10500ms);
  CHECK(log.said().empty());
  log.drop(&counts::strange, 1);
  log.pass(1s);
  auto lines = log.said();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with("warning datagrams (UDP) of strangers are dropped: 101 within 22 s"));
}

TEST_CASE("those of strangers that come before their end is told belong to what is told",
          "[node]") {
  watched log;
  log.drop(&counts::strange, 200);
  log.pass(30s);
  CHECK(log.said().size() == 1);
  log.drop(&counts::strange, 5);
  log.pass(45s);
  CHECK(log.said().empty());
  log.pass(1min);
  CHECK(log.said()
        == std::vector{"over: datagrams (UDP) of strangers are dropped (205 times in 31 s)"s});
}

TEST_CASE("a host that looks late loses no datagram from the counts", "[node]") {
  watched log;
  log.drop(&counts::surplus, 3);
  log.now += 5min;
  log.drop(&counts::surplus, 2);
  log.look();
  CHECK(log.told.surplus == 5);
  CHECK(log.said().size() == 1);
  log.look(); // once more is harmless
  CHECK(log.told.surplus == 5);
  CHECK(log.said().empty());
}

} // namespace datagram_log_test
