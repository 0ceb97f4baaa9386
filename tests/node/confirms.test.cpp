// Messages of class confirm between whole nodes, over links of their own.
#include "node/node_fixture.hpp"
#include "troupe/testing/comes_true.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

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
