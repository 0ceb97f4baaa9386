// Messages of class confirm between whole nodes, over links of their own.
#include "node/node_fixture.hpp"
#include "troupe/testing/comes_true.hpp"

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <string>

using namespace std::literals;
using namespace troupe;

namespace {

const router::message_options confirmed{.delivery = router::delivery_class::confirm};

} // namespace

TEST_CASE("confirms reach an agent of another node in order", "[node]") {
  testing::cluster c{2};
  auto last = std::make_shared<std::atomic<std::uint64_t>>(0);
  auto disorder = std::make_shared<std::atomic<std::uint64_t>>(0);
  auto take = [=](std::uint64_t number) {
    if (last->exchange(number) + 1 != number)
      ++*disorder;
  };
  REQUIRE(c[1].agent("ledger", take));
  REQUIRE(testing::comes_true([&] {
    return c[0].messages().post(to_agent("ledger"), 10s, confirmed, std::uint64_t{1}).has_value();
  }));
  for (std::uint64_t each = 2; each <= 1'000; ++each)
    REQUIRE(c[0].send(to_agent("ledger"), confirmed, each));
  auto handled = c[0].messages().post(to_agent("ledger"), 20s, confirmed, std::uint64_t{1'001});
  REQUIRE(handled);
  CHECK(*last == 1'001);
  CHECK(*disorder == 0);
}

TEST_CASE("a node that stops has delivered what it accepted in memory", "[node]") {
  testing::cluster c{2, [](std::size_t, node_options& how) { how.agents_end_within = 30s; }};
  constexpr std::uint64_t count = 1'000;
  for (std::uint64_t each = 1; each <= count; ++each)
    REQUIRE(c[1].send(to_agent("ledger"), confirmed, each));
  auto stops = std::async(std::launch::async, [&] { c[1].stop(); });
  CHECK(testing::comes_true([&] { // but nothing new
    return c[1].send(to_agent("ledger"), confirmed, count).error_or().code == errc::cancelled;
  }));
  auto taken = std::make_shared<std::atomic<std::uint64_t>>(0);
  REQUIRE(c[0].agent("ledger", [taken](std::uint64_t) { ++*taken; }));
  stops.get();
  CHECK(*taken >= count);
}

TEST_CASE("a node that leaves has delivered what it accepted before", "[node]") {
  testing::cluster c{2};
  constexpr std::uint64_t count = 1'000;
  for (std::uint64_t each = 1; each <= count; ++each)
    REQUIRE(c[1].send(to_agent("ledger"), confirmed, each));
  auto leaves = std::async(std::launch::async, [&] { return c[1].leave(); });
  auto taken = std::make_shared<std::atomic<std::uint64_t>>(0);
  REQUIRE(c[0].agent("ledger", [taken](std::uint64_t) { ++*taken; }));
  auto left = leaves.get();
  REQUIRE(left);
  CHECK(*taken == count);
  CHECK(left->lost + left->synced == 0);
  CHECK(left->delivered <= count);
  CHECK(left->took_back);
}

TEST_CASE("a node that cannot deliver what it accepted stays, unless it is forced to leave",
          "[node]") {
  testing::cluster c{2};
  REQUIRE(c[0].agent("echo", [](int number) { return number; }));
  REQUIRE(c[1].send(to_agent("nobody"), confirmed, std::uint64_t{1}));
  auto why = c[1].leave({.deliver_within = 50ms}).error_or();
  CHECK(why.code == errc::in_use);
  CHECK(why.detail.find("has accepted 1 message that is not delivered yet, the first for agent "
                        "'nobody'; ")
        != std::string::npos);
  CHECK(testing::comes_true([&] { // it goes on, with all that it can do
    return c[1].request<int>(to_agent("echo"), 5s, 7).value_or(0) == 7;
  }));
  CHECK(c[1].send(to_agent("nobody"), confirmed, std::uint64_t{2}));
  auto left = c[1].leave({.force = true, .deliver_within = 50ms});
  REQUIRE(left);
  CHECK(left->node == to_string(c[1].id()));
  CHECK(left->lost == 2);
  CHECK(left->synced == 0);
  CHECK_FALSE(left->gave_up_vote);
}
