#include "troupe/cluster/member_turns.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "support/seeds.hpp"
#include "troupe/core/random.hpp"

namespace member_turns_test {

using namespace troupe;
using namespace cluster;

namespace {

node_id id(int number) {
  public_key made;
  made.bytes.front() = static_cast<std::byte>(number);
  return id_of(made);
}

/// The turns of members 1 to `count`.
struct members {
  explicit members(int count, std::uint64_t seed = 1, turns_drawn when = turns_drawn::once)
    : random{seed}, turns{random, when} {
    for (auto each = 1; each <= count; ++each)
      join(each);
  }

  void join(int number) {
    turns.join(*known.try_emplace(id(number)).first);
  }

  std::vector<node_id> take(std::size_t count) {
    return take(count, [](auto&) { return true; });
  }

  template <class Fits>
  std::vector<node_id> take(std::size_t count, Fits fits) {
    std::vector<node_id> found;
    for (auto* each : turns.take(count, fits))
      found.push_back(each->first);
    return found;
  }

  node_id next() {
    return turns.next([](auto&) { return true; })->first;
  }

  random_source random;
  known_members known;
  member_turns turns;
};

} // namespace

TEST_CASE("nobody is told news again before all others have been", "[node][swim]") {
  members all{10};
  auto first = all.take(10);
  CHECK(std::set<node_id>(first.begin(), first.end()).size() == 10);
  for (auto begin = 0U; begin < 30; begin += 3) // and so it goes on, three at a time
    CHECK(all.take(3)
          == std::vector{first[begin % 10], first[(begin + 1) % 10], first[(begin + 2) % 10]});
}

TEST_CASE("each member tells news in an order of its own", "[node][swim]") {
  std::set<std::vector<node_id>> orders;
  std::set<node_id> last;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    auto order = members{5, seed}.take(5);
    orders.insert(order);
    last.insert(order.back());
  }
  CHECK(orders.size() > 50); // of 120
  CHECK(last.size() == 5);   // whoever joined when
}

TEST_CASE("who does not fit is passed over, and nobody is told twice at once", "[node][swim]") {
  members all{4};
  CHECK(all.take(2, [](auto& who) { return who.first == id(3); }) == std::vector{id(3)});
  CHECK(all.take(9).size() == 4);
  CHECK(all.take(2, [](auto&) { return false; }).empty());
  CHECK(members{0}.take(2).empty());
}

TEST_CASE("who goes takes away no other one's turn", "[node][swim]") {
  test::for_each_seed(50, [](random_source random) {
    auto seed = random.next();
    members all{8, seed};
    auto order = members{8, seed}.take(8);
    auto told = random.below(9);
    all.take(told);
    auto gone = random.below(8);
    all.turns.drop(order[gone]);
    CHECK(all.turns.size() == 7);
    std::vector<node_id> rest;
    for (auto each = told; each < told + 8; ++each)
      if (each % 8 != gone)
        rest.push_back(order[each % 8]);
    CHECK(all.take(7) == rest);
    all.turns.drop(id(100)); // is none
    CHECK(all.turns.size() == 7);
  });
}

TEST_CASE("who joins gets a turn", "[node][swim]") {
  members all{3};
  all.take(2);
  all.join(4);
  auto next = all.take(4);
  CHECK(std::set<node_id>(next.begin(), next.end()).size() == 4);
}

TEST_CASE("of an order that is drawn for each round, each comes once in a round", "[node][swim]") {
  members all{8, 1, turns_drawn::each_round};
  std::set<std::vector<node_id>> rounds;
  for (auto round = 0; round < 100; ++round) {
    std::vector<node_id> order;
    for (auto each = 0; each < 8; ++each)
      order.push_back(all.next());
    CHECK(std::set<node_id>(order.begin(), order.end()).size() == 8);
    rounds.insert(order);
  }
  CHECK(rounds.size() > 90);
}

TEST_CASE("of an order that is drawn for each round, who joins comes in this one", "[node][swim]") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    members all{8, seed, turns_drawn::each_round};
    std::set<node_id> seen;
    for (auto each = 0; each < 5; ++each)
      seen.insert(all.next());
    all.join(9);
    for (auto each = 0; each < 4; ++each)
      seen.insert(all.next());
    CHECK(seen.size() == 9);
  }
}

TEST_CASE("of an order that is drawn for each round, who goes takes away no other one's turn",
          "[node][swim]") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    members all{8, seed, turns_drawn::each_round};
    std::set<node_id> seen;
    for (auto each = 0; each < 5; ++each)
      seen.insert(all.next());
    all.turns.drop(*seen.begin());
    for (auto each = 0; each < 3; ++each)
      seen.insert(all.next());
    CHECK(seen.size() == 8);
  }
}

TEST_CASE("who is taken out of turn keeps its turn", "[node][swim]") {
  members all{5, 1, turns_drawn::each_round};
  std::set<node_id> seen;
  for (auto each = 0; each < 5; ++each) {
    CHECK(all.turns.some(9, [](auto&) { return true; }).size() == 5);
    seen.insert(all.next());
  }
  CHECK(seen.size() == 5);
  CHECK(members{0}.turns.some(2, [](auto&) { return true; }).empty());
  CHECK(members{0}.turns.next([](auto&) { return true; }) == nullptr);
  CHECK(all.turns.next([](auto&) { return false; }) == nullptr);
}

} // namespace member_turns_test
