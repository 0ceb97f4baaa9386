// What link_table.property.cpp holds on every schedule, once more with real threads,
// sockets and BASP.

#include "net/node_fixture.hpp"
#include "support/seeds.hpp"

#include <barrier>
#include <thread>

using namespace std::literals;
using namespace troupe;
using test::node_number;
using test::test_node;

namespace {

void spin(std::chrono::nanoseconds span) {
  auto end = std::chrono::steady_clock::now() + span;
  while (std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
}

/// Lets two nodes dial each other at once, give or take `skew`, and holds them to one
/// link that works both ways.
void cross_dial(test_node& ann, const net::endpoint& at_ann, test_node& bob,
                const net::endpoint& at_bob, std::chrono::nanoseconds skew, bool ids_known) {
  auto who = [&](std::uint8_t number) {
    return ids_known ? std::optional{node_number(number)} : std::nullopt;
  };
  std::barrier both{2};
  std::future<result<net::link_ptr>> from_bob;
  std::thread other{[&] {
    both.arrive_and_wait();
    spin(std::max(skew, 0ns));
    from_bob = bob.start_dial(at_ann, who(1));
  }};
  both.arrive_and_wait();
  spin(std::max(-skew, 0ns));
  auto from_ann = ann.start_dial(at_bob, who(2));
  other.join();
  REQUIRE(from_ann.wait_for(20s) == std::future_status::ready);
  REQUIRE(from_bob.wait_for(20s) == std::future_status::ready);
  auto of_ann = from_ann.get();
  auto of_bob = from_bob.get();
  INFO((of_ann ? "linked" : of_ann.error().detail)
       << " / " << (of_bob ? "linked" : of_bob.error().detail));
  REQUIRE(of_ann);
  REQUIRE(of_bob);
  REQUIRE(ann.wait_for_links(1));
  REQUIRE(bob.wait_for_links(1));
  REQUIRE(ann.gate().links() == 1);
  REQUIRE(bob.gate().links() == 1);
  REQUIRE(ann.only_link()->end() != bob.only_link()->end());
  REQUIRE(ann.greet(ann.only_link()) == "hello, says 2");
  REQUIRE(bob.greet(bob.only_link()) == "hello, says 1");
}

std::chrono::nanoseconds random_skew(test::random_source& random) {
  auto most = std::uint64_t{300'000}; // about what a greeting takes
  return random.one_in(2)
           ? 0ns
           : std::chrono::nanoseconds{random.below(2 * most)} - std::chrono::nanoseconds{most};
}

} // namespace

TEST_CASE("two fresh nodes that dial each other get one link", "[net]") {
  test::random_source random{1};
  for (auto trial = 0; trial < 1'000; ++trial) {
    INFO("trial " << trial);
    test_node ann{{.node = 1}};
    test_node bob{{.node = 2}};
    auto at_ann = ann.listen();
    auto at_bob = bob.listen();
    cross_dial(ann, at_ann, bob, at_bob, random_skew(random), random.one_in(4));
  }
}

TEST_CASE("two nodes that lost their link and dial each other get one link", "[net]") {
  test::random_source random{1};
  test_node ann{{.node = 1}};
  test_node bob{{.node = 2}};
  auto at_ann = ann.listen();
  auto at_bob = bob.listen();
  for (auto trial = 0; trial < 1'000; ++trial) {
    INFO("trial " << trial);
    cross_dial(ann, at_ann, bob, at_bob, random_skew(random), random.one_in(4));
    (random.one_in(2) ? ann : bob).only_link()->close("test");
    REQUIRE(ann.wait_for_links(0));
    REQUIRE(bob.wait_for_links(0));
  }
  CHECK(ann.ups() == 1'000);
  CHECK(ann.downs() == 1'000);
}

TEST_CASE("a mesh in which everybody dials everybody gets one link a pair", "[net]") {
  constexpr std::uint8_t count = 10;
  std::vector<std::unique_ptr<test_node>> nodes;
  std::vector<net::endpoint> places;
  for (std::uint8_t number = 1; number <= count; ++number) {
    nodes.push_back(std::make_unique<test_node>(test::node_options{.node = number}));
    places.push_back(nodes.back()->listen());
  }
  std::vector<std::future<result<net::link_ptr>>> dials;
  for (std::size_t distance = 1; distance < count; ++distance)
    for (std::size_t from = 0; from < count; ++from)
      dials.push_back(nodes[from]->start_dial(places[(from + distance) % count]));
  for (auto& each : dials) {
    REQUIRE(each.wait_for(20s) == std::future_status::ready);
    CHECK(each.get());
  }
  for (auto& each : nodes) {
    CHECK(each->wait_for_links(count - 1));
    CHECK(each->ups() == count - 1);
    CHECK(each->gate().links() == count - 1);
  }
}
