// What must hold however the network delays and loses: one link for each pair, and
// never none because both dialled.

#include "net/link_world.hpp"
#include "support/seeds.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <string>

namespace link_table_property {

using namespace std::literals;
using namespace troupe;
using test::link_world;
using test::member;

namespace {

/// Runs `body` once for every sequence of choices that it can make; it asks for them
/// with choose(count). Returns how many there are.
template <class Body>
std::size_t for_each_schedule(Body body) {
  std::vector<std::pair<std::size_t, std::size_t>> taken; // choice, of how many
  for (std::size_t runs = 1;; ++runs) {
    std::size_t depth = 0;
    body([&](std::size_t count) {
      if (depth == taken.size())
        taken.emplace_back(0, count);
      return taken[depth++].first;
    });
    while (!taken.empty() && taken.back().first + 1 == taken.back().second)
      taken.pop_back();
    if (taken.empty())
      return runs;
    ++taken.back().first;
  }
}

/// One dial of two nodes: who dials the other, and whether it knows whom it will meet.
struct planned_dial {
  std::size_t from = 0;
  bool knows = false;
};

/// Carries out all dials and delivers all that follows, in the order that `choose(count)`
/// chooses, then holds the two nodes to one link. Returns who has dialled it.
template <class Choose>
std::size_t link_two(link_world& world, std::vector<planned_dial> dials, Choose choose) {
  for (;;) {
    auto arrivals = world.possible();
    if (arrivals.empty() && dials.empty())
      break;
    auto choice = choose(arrivals.size() + dials.size());
    if (choice < arrivals.size()) {
      world.deliver(arrivals[choice]);
    } else {
      auto next = dials.begin() + static_cast<std::ptrdiff_t>(choice - arrivals.size());
      auto [from, knows] = *next;
      dials.erase(next);
      world.dial(from, 1 - from, knows);
    }
  }
  auto link = world.agreed_link(0, 1);
  REQUIRE(link);
  REQUIRE(world.table(0).unfinished() == 0);
  REQUIRE(world.table(1).unfinished() == 0);
  return world.dialler_of(*link);
}

} // namespace

TEST_CASE("two nodes that dial each other get one link on every schedule", "[net][property]") {
  struct given {
    bool first_knows = false;
    bool second_knows = false;
  };
  for (auto each :
       {given{false, false}, given{true, false}, given{false, true}, given{true, true}}) {
    std::size_t by_first = 0;
    std::size_t crossed = 0;
    auto schedules = for_each_schedule([&](auto choose) {
      link_world world{{member(1), member(2)}};
      auto dialler = link_two(world, {{0, each.first_knows}, {1, each.second_knows}}, choose);
      by_first += dialler == 0 ? 1 : 0;
      if (!world.drops().contains({0, net::verdict::crossed}))
        return;
      ++crossed; // both had said go
      REQUIRE(dialler == 0);
    });
    INFO("first knows: " << each.first_knows << ", second knows: " << each.second_knows << ", "
                         << schedules << " schedules, " << crossed << " crossed");
    CHECK(schedules > 1'000);
    CHECK(by_first > 0);
    CHECK(by_first < schedules);
    CHECK((crossed > 0) == !each.first_knows); // then the rule for it was needed
  }
}

TEST_CASE("a node with two addresses gets one link on every schedule", "[net][property]") {
  for (auto knows : {0, 1, 2, 3}) {
    auto schedules = for_each_schedule([&](auto choose) {
      link_world world{{member(1), member(2)}};
      link_two(world, {{0, (knows & 1) != 0}, {0, (knows & 2) != 0}}, choose);
    });
    CHECK(schedules > 100);
  }
}

// All schedules of more dials are too many to try.
TEST_CASE("however often two nodes dial each other, they get one link", "[net][property]") {
  test::for_each_seed(3'000, [](test::random_source random) {
    link_world world{{member(1), member(2)}};
    std::vector<planned_dial> dials;
    for (auto left = 3 + random.below(4); left > 0; --left)
      dials.push_back({random.below(2), random.one_in(2)});
    link_two(world, dials, [&](std::size_t count) { return random.below(count); });
  });
}

// How: up to four nodes dial each other at random while deliveries, resets, stalls and
// time come in any order. When the faults are over, every pair dials once more.
TEST_CASE("no fault leaves two links, or a pair that cannot link again", "[net][property]") {
  test::for_each_seed(1'000, [](test::random_source random) {
    std::vector<net::hello> nodes;
    auto count = 2 + random.below(3);
    for (std::uint64_t number = 1; number <= count; ++number)
      nodes.push_back(member(static_cast<std::uint8_t>(number)));
    link_world world{nodes};
    auto dial = [&] {
      auto from = random.below(count);
      auto to = (from + 1 + random.below(count - 1)) % count;
      world.dial(from, to, random.one_in(2));
    };
    for (auto step = 0; step < 200; ++step) {
      auto arrivals = world.possible();
      switch (random.below(12)) {
        case 0:
          dial();
          break;
        case 1:
          if (world.wires() > 0 && random.one_in(4))
            world.reset(random.below(world.wires()));
          break;
        case 2:
          if (world.wires() > 0 && random.one_in(8))
            world.stall(random.below(world.wires()));
          break;
        case 3:
          if (random.one_in(4))
            world.pass_time();
          break;
        default:
          if (!arrivals.empty())
            world.deliver(arrivals[random.below(arrivals.size())]);
      }
    }
    // Stalled connections are found out by their time-outs.
    for (auto rounds = 0; rounds < 20; ++rounds) {
      world.settle();
      world.pass_time();
    }
    world.settle();
    for (std::size_t one = 0; one < count; ++one)
      for (std::size_t other = one + 1; other < count; ++other) {
        if (world.agreed_link(one, other))
          continue;
        world.dial(one, other, false);
        world.dial(other, one, false);
      }
    while (!world.possible().empty()) {
      auto arrivals = world.possible();
      world.deliver(arrivals[random.below(arrivals.size())]);
    }
    for (std::size_t one = 0; one < count; ++one)
      for (std::size_t other = one + 1; other < count; ++other) {
        INFO("nodes " << one << " and " << other);
        CHECK(world.agreed_link(one, other).has_value());
      }
  });
}

} // namespace link_table_property
