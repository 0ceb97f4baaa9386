#include "troupe/router/fair_room.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <map>

#include "support/seeds.hpp"
#include "troupe/core/agent_id.hpp"

namespace fair_room_test {

using namespace troupe;
using router::fair_room;

namespace {

std::size_t fill(fair_room& room, const agent_id& to, std::size_t bytes = 1) {
  std::size_t taken = 0;
  while (room.take(to, bytes))
    taken += bytes;
  return taken;
}

} // namespace

TEST_CASE("an agent that is flooded leaves room for messages to others", "[router]") {
  fair_room room{800};
  CHECK(fill(room, "slow") == 700);
  CHECK(fill(room, "other") == 50);
  CHECK(fill(room, "third") == 25);
  CHECK(fill(room, {}) == 13); // messages to several
  CHECK(room.waiting_bytes() == 788);
  CHECK_FALSE(room.take("slow", 1));
  CHECK(room.take("fourth", 6));
}

TEST_CASE("an agent that was refused messages gets some again once half of the room has been sent",
          "[router]") {
  fair_room room{800};
  REQUIRE(fill(room, "slow") == 700);
  room.drop(399);
  CHECK_FALSE(room.take("slow", 1));
  CHECK(room.take("other", 200)); // there is room for others
  room.drop(1);
  CHECK(room.take("slow", 1));
  CHECK(fill(room, "slow") > 100);
}

TEST_CASE("a message that is too large for what is free keeps no smaller one from going",
          "[router]") {
  fair_room room{800};
  REQUIRE(room.take("slow", 500));
  CHECK_FALSE(room.take("slow", 301));
  CHECK(room.take("slow", 300));
  CHECK_FALSE(room.take("slow", 1)); // it has more than is free
}

TEST_CASE("a message of any size is taken where nothing waits, and no other beside it",
          "[router]") {
  fair_room room{800};
  REQUIRE(room.take("slow", 5'000));
  CHECK_FALSE(room.take("other", 1));
  room.drop(5'000);
  CHECK(room.waiting_bytes() == 0);
  CHECK(fill(room, "other") == 700);
  fair_room none{0};
  CHECK(none.take("slow", 10));
  CHECK_FALSE(none.take("slow", 1));
}

TEST_CASE("on every schedule what waits is bounded, and an agent is refused only for what it has "
          "got",
          "[router]") {
  test::for_each_seed(200, [](random_source random) {
    constexpr std::size_t most = 8'000;
    constexpr std::size_t largest = 50;
    constexpr std::size_t agents = 4;
    fair_room room{most};
    /// Taken for each since little waited.
    std::map<agent_id, std::size_t> has;
    for (auto step = 0; step < 3'000; ++step) {
      agent_id to{std::to_string(random.one_in(3) ? random.below(agents) : 0)};
      auto bytes = 1 + random.below(largest);
      if (random.one_in(3)) {
        room.drop(random.below(2 * largest));
        if (room.waiting_bytes() <= most / 8)
          has.clear();
        continue;
      }
      if (room.take(to, bytes))
        has[to] += bytes;
      else
        REQUIRE(has[to] + bytes > (most / 4 - agents * largest) / (agents + 1));
      REQUIRE(room.waiting_bytes() <= most);
    }
  });
}

} // namespace fair_room_test
