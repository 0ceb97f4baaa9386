#include "troupe/net/heartbeat_turns.hpp" // the header under test

#include "support/seeds.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace heartbeat_turns_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::net;
using test::random_source;

namespace {

constexpr duration interval = 500ms;

constexpr time_point at(duration since) {
  return time_point{1h} + since;
}

/// A number of milliseconds below `most`.
duration below(random_source& random, duration most) {
  auto bound = static_cast<std::uint64_t>(most / 1ms);
  return std::chrono::milliseconds{bound == 0 ? 0 : random.below(bound)};
}

/// Two nodes and their link. Side 0 has dialled it.
class linked_nodes {
public:
  explicit linked_nodes(random_source& random)
    : random_(random), delay_(below(random, 200ms)), jitter_(below(random, 50ms)) {
    for (std::size_t each : {0, 1})
      plan(at(below(random, interval)), each, what::tick);
  }

  /// A release that sends a heartbeat each interval and answers none.
  void make_earlier(std::size_t which) {
    is_earlier_[which] = true;
  }

  /// Nothing comes from it any more.
  void silence(std::size_t which) {
    is_silent_[which] = true;
  }

  void say(std::size_t which) {
    turns_[which].sent(now_);
    transmit(which, what::other);
  }

  void pass(duration span) {
    for (auto end = now_ + span; !due_.empty() && due_.begin()->first <= end;) {
      auto [when, next] = *due_.begin();
      due_.erase(due_.begin());
      now_ = when;
      happen(next.first, next.second);
    }
  }

  [[nodiscard]] time_point now() const {
    return now_;
  }

  /// The longest time for which each has heard nothing of the other, from here on.
  void watch() {
    longest_ = {};
    heartbeats_ = {};
  }

  [[nodiscard]] duration longest(std::size_t which) const {
    return std::max(longest_[which], now_ - heard_at_[which]);
  }

  [[nodiscard]] std::size_t heartbeats(std::size_t from) const {
    return heartbeats_[from];
  }

  /// What the way there and back and late ticks add.
  [[nodiscard]] duration tolerance() const {
    return 2 * delay_ + 2 * jitter_;
  }

private:
  enum class what : std::uint8_t { tick, heartbeat, other };

  void plan(time_point when, std::size_t whom, what next) {
    due_.emplace(when, std::pair{whom, next});
  }

  void transmit(std::size_t from, what which) {
    if (which == what::heartbeat)
      ++heartbeats_[from];
    if (!is_silent_[from])
      plan(now_ + delay_ / 2 + below(random_, delay_ / 2), 1 - from, which);
  }

  void happen(std::size_t whom, what next) {
    if (next == what::tick) {
      if (turns_[whom].is_due(now_, heard_at_[whom]) || is_earlier_[whom])
        transmit(whom, what::heartbeat);
      // BASP's ticks do not drift; each may be late.
      base_[whom] += interval;
      plan(std::max(now_, at(base_[whom]) + below(random_, jitter_)), whom, what::tick);
      return;
    }
    longest_[whom] = std::max(longest_[whom], now_ - heard_at_[whom]);
    heard_at_[whom] = now_;
    if (next == what::heartbeat && !is_earlier_[whom] && turns_[whom].has_to_answer(now_))
      transmit(whom, what::heartbeat);
  }

  random_source& random_;
  duration delay_;
  duration jitter_;
  std::array<heartbeat_turns, 2> turns_{heartbeat_turns{side::dialled, interval},
                                        heartbeat_turns{side::accepted, interval}};
  std::array<bool, 2> is_earlier_{};
  std::array<bool, 2> is_silent_{};
  std::array<duration, 2> base_{below(random_, interval), below(random_, interval)};
  std::array<time_point, 2> heard_at_{at({}), at({})};
  std::array<duration, 2> longest_{};
  std::array<std::size_t, 2> heartbeats_{};
  std::multimap<time_point, std::pair<std::size_t, what>> due_;
  time_point now_ = at({});
};

} // namespace

TEST_CASE("the side that has dialled a link answers heartbeats, and sends none by itself",
          "[net]") {
  heartbeat_turns turns{side::dialled, interval};
  for (auto begin : {0ms, 500ms, 1000ms}) {
    CHECK(turns.has_to_answer(at(begin + 100ms)));
    CHECK_FALSE(turns.is_due(at(begin + 450ms), at(begin + 100ms)));
  }
}

TEST_CASE("the side that has accepted a link sends heartbeats, and answers none", "[net]") {
  heartbeat_turns turns{side::accepted, interval};
  for (auto begin : {0ms, 500ms, 1000ms}) {
    CHECK(turns.is_due(at(begin), at(begin - 100ms)));
    CHECK_FALSE(turns.has_to_answer(at(begin + 400ms)));
  }
}

TEST_CASE("the side that has dialled sends heartbeats where there are none to answer", "[net]") {
  heartbeat_turns turns{side::dialled, interval};
  CHECK(turns.is_due(at(0ms), at(0ms)));
  CHECK(turns.has_to_answer(at(1ms))); // also right behind its own one, or both would go on
  CHECK_FALSE(turns.is_due(at(500ms), at(1ms)));
  CHECK_FALSE(turns.is_due(at(625ms), at(1ms))); // the next one may be late
  CHECK(turns.is_due(at(626ms), at(1ms)));
  CHECK(turns.is_due(at(1500ms), at(1ms)));
}

TEST_CASE("the side that has dialled sends none for half an interval after a message", "[net]") {
  heartbeat_turns turns{side::dialled, interval};
  turns.sent(at(0ms));
  CHECK_FALSE(turns.has_to_answer(at(249ms)));
  CHECK_FALSE(turns.is_due(at(249ms), at(0ms)));
  CHECK(turns.is_due(at(250ms), at(249ms))); // that one was not answered
  CHECK(turns.has_to_answer(at(250ms)));
}

TEST_CASE("the side that has accepted sends none for half an interval after messages of both",
          "[net]") {
  heartbeat_turns turns{side::accepted, interval};
  turns.sent(at(1000ms));
  CHECK_FALSE(turns.is_due(at(1249ms), at(1000ms)));
  CHECK(turns.is_due(at(1250ms), at(1001ms)));
  CHECK(turns.is_due(at(1249ms), at(999ms))); // the other side has something to answer
}

TEST_CASE("many heartbeats have few answers", "[net]") {
  heartbeat_turns turns{side::dialled, interval};
  auto answers = 0;
  for (auto moment = 0ms; moment < 1s; ++moment)
    answers += turns.has_to_answer(at(moment)) ? 1 : 0;
  CHECK(answers == 4);
}

TEST_CASE("both sides hear of each other at each interval", "[net][property]") {
  test::for_each_seed(500, [](random_source random) {
    linked_nodes both{random};
    auto is_earlier = random.below(3);
    if (is_earlier < 2)
      both.make_earlier(is_earlier);
    both.pass(3s);
    both.watch();
    for (auto turn = 0; turn < 20; ++turn) {
      if (random.below(2) == 0)
        both.say(random.below(2));
      both.pass(below(random, 1s));
    }
    for (std::size_t each : {0, 1})
      CHECK(both.longest(each) <= interval + interval / 2 + both.tolerance());
  });
}

TEST_CASE("a side is heard of whose peer says nothing", "[net][property]") {
  test::for_each_seed(200, [](random_source random) {
    linked_nodes both{random};
    both.pass(3s);
    auto silent = random.below(2);
    both.silence(silent);
    both.watch();
    both.pass(5s);
    CHECK(both.longest(silent) <= 2 * interval + interval / 4 + both.tolerance());
    CHECK(both.longest(1 - silent) > 4s);
  });
}

TEST_CASE("a link at rest has one heartbeat of each side in an interval", "[net][property]") {
  test::for_each_seed(200, [](random_source random) {
    linked_nodes both{random};
    both.pass(3s);
    both.watch();
    both.pass(20 * interval);
    for (std::size_t each : {0, 1}) {
      CHECK(both.heartbeats(each) >= 18);
      CHECK(both.heartbeats(each) <= 22);
    }
  });
}

} // namespace heartbeat_turns_test
