#include "troupe/router/link_flow.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <deque>

#include "support/seeds.hpp"
#include "troupe/core/random.hpp"

namespace link_flow_test {

using namespace troupe;
using namespace troupe::router;

namespace {

constexpr flow_options small{.max_waiting_bytes = 100, .window_bytes = 40};

link_flow linked(const flow_options& how = small) {
  link_flow made{how};
  made.link_up();
  return made;
}

} // namespace

TEST_CASE("what waits for a link is bounded in bytes", "[router]") {
  link_flow flow{small};
  CHECK(flow.take(60));
  CHECK(flow.take(40)); // up to the bound
  CHECK(flow.waiting_bytes() == 100);
  CHECK_FALSE(flow.take(1));
  CHECK(flow.waiting_bytes() == 100);
}

TEST_CASE("once a message was refused, half has to drain before the next is taken", "[router]") {
  link_flow flow{small};
  REQUIRE(flow.take(100));
  REQUIRE_FALSE(flow.take(1));
  flow.drop(49);
  CHECK_FALSE(flow.take(1));
  flow.drop(1);
  CHECK(flow.take(50));
  CHECK_FALSE(flow.take(1));
}

TEST_CASE("where nothing was refused, each message that fits is taken", "[router]") {
  link_flow flow{small};
  REQUIRE(flow.take(100));
  flow.drop(1);
  CHECK(flow.take(1));
}

TEST_CASE("a message of any size is taken where nothing waits", "[router]") {
  link_flow flow{small};
  CHECK(flow.take(1'000'000));
  CHECK_FALSE(flow.take(1));
  flow.drop(1'000'000);
  CHECK(flow.take(1'000'000));
}

TEST_CASE("what goes out is on the link with its true size", "[router]") {
  auto flow = linked(small);
  REQUIRE(flow.take(10));
  REQUIRE(flow.send(10, 90));
  CHECK(flow.waiting_bytes() == 0);
  CHECK(flow.link_bytes() == 90);
  flow.received();
  CHECK(flow.link_bytes() == 0);
}

TEST_CASE("nothing goes out without a link, nor while that is full", "[router]") {
  link_flow flow{small};
  CHECK_FALSE(flow.has_room());
  flow.hold(true); // of a link that is gone
  flow.link_up();
  CHECK(flow.has_room());
  flow.hold(true);
  CHECK_FALSE(flow.has_room());
  flow.hold(false);
  CHECK(flow.has_room());
  flow.hold(true);
  flow.link_down();
  CHECK_FALSE(flow.has_room());
  flow.link_up();
  CHECK(flow.has_room());
}

TEST_CASE("a window bounds what is on the link, by one message more", "[router]") {
  auto flow = linked();
  REQUIRE(flow.take(99));
  CHECK_FALSE(flow.send(9, 9)); // a quarter of the window is 10
  CHECK(flow.send(1, 1));
  CHECK(flow.send(29, 29));
  CHECK(flow.link_bytes() == 39);
  CHECK(flow.has_room());
  CHECK(flow.send(30, 30));
  CHECK(flow.link_bytes() == 69);
  CHECK_FALSE(flow.has_room());
  flow.received(); // the first 10
  CHECK(flow.link_bytes() == 59);
  CHECK_FALSE(flow.has_room());
  flow.received();
  CHECK(flow.link_bytes() == 30);
  CHECK(flow.has_room());
  flow.received();
  CHECK(flow.link_bytes() == 0);
  flow.received(); // one too many
  CHECK(flow.link_bytes() == 0);
  CHECK(flow.waiting_bytes() == 30);
}

TEST_CASE(
  "a window that was made smaller lets one more message pass where nothing would be heard of "
  "those before it",
  "[router]") {
  link_window window{40};
  window.link_up();
  CHECK_FALSE(window.send(9));
  window.resize(4);
  CHECK(window.has_room());
  CHECK(window.send(1));
  CHECK_FALSE(window.has_room());
  CHECK(window.received() == 10);
  CHECK(window.received() == 0);
  CHECK(window.link_bytes() == 0);
  window.resize(40);
  CHECK_FALSE(window.send(3));
  CHECK(window.has_room());
}

TEST_CASE("a window that is exactly full has no room", "[router]") {
  auto flow = linked();
  REQUIRE(flow.take(41));
  CHECK(flow.send(39, 39));
  CHECK(flow.has_room());
  CHECK_FALSE(flow.send(1, 1));
  CHECK_FALSE(flow.has_room());
}

TEST_CASE("a new link begins with nothing on it, and what waited still waits", "[router]") {
  auto flow = linked();
  REQUIRE(flow.take(100));
  REQUIRE(flow.send(45, 45));
  REQUIRE_FALSE(flow.send(5, 5));
  flow.link_down();
  CHECK(flow.link_bytes() == 0);
  CHECK(flow.waiting_bytes() == 50);
  CHECK(flow.is_busy());
  flow.link_up();
  CHECK(flow.has_room());
  CHECK_FALSE(flow.send(9, 9)); // the 5 of the last link are forgotten
  flow.received();              // of the last link
  CHECK(flow.link_bytes() == 9);
}

TEST_CASE("a flow is busy while something waits or is to be heard of", "[router]") {
  auto flow = linked();
  CHECK_FALSE(flow.is_busy());
  REQUIRE(flow.take(15));
  CHECK(flow.is_busy());
  REQUIRE(flow.send(10, 10));
  REQUIRE_FALSE(flow.send(5, 5)); // less than a quarter: nobody says anything of it
  CHECK(flow.is_busy());
  flow.received();
  CHECK_FALSE(flow.is_busy());
  CHECK(flow.link_bytes() == 5);
}

TEST_CASE("windows and bounds of nothing let one message pass at a time", "[router]") {
  auto flow = linked({.max_waiting_bytes = 0, .window_bytes = 0});
  REQUIRE(flow.take(5));
  CHECK_FALSE(flow.take(5));
  CHECK(flow.has_room());
  CHECK(flow.send(5, 5));
  CHECK_FALSE(flow.has_room());
  flow.received();
  CHECK(flow.has_room());
  CHECK(flow.take(5));
}

TEST_CASE("on every schedule all that was taken goes out, within the bounds", "[router]") {
  test::for_each_seed(200, [](random_source random) {
    flow_options how{.max_waiting_bytes = 200, .window_bytes = 1 + random.below(100)};
    auto flow = linked(how);
    std::deque<std::size_t> waiting;
    std::size_t asked = 0; // of the other router
    std::size_t bytes = 0;
    constexpr std::size_t largest = 60;
    auto send = [&] {
      asked += flow.send(waiting.front(), waiting.front()) ? 1U : 0U;
      bytes -= waiting.front();
      waiting.pop_front();
    };
    for (auto round = 0; round < 300; ++round) {
      auto size = 1 + random.below(largest);
      switch (random.below(3)) {
        case 0:
          if (flow.take(size)) {
            waiting.push_back(size);
            bytes += size;
          } else {
            REQUIRE(bytes > how.max_waiting_bytes / 2);
          }
          break;
        case 1:
          if (!waiting.empty() && flow.has_room())
            send();
          break;
        default:
          if (asked > 0) {
            --asked;
            flow.received();
          }
      }
      REQUIRE(flow.waiting_bytes() == bytes);
      REQUIRE(bytes <= how.max_waiting_bytes);
      REQUIRE(flow.link_bytes() < how.window_bytes + largest);
    }
    while (!waiting.empty()) { // the other router receives all, so there is always room again
      for (; asked > 0; --asked)
        flow.received();
      REQUIRE(flow.has_room());
      send();
    }
  });
}

} // namespace link_flow_test
