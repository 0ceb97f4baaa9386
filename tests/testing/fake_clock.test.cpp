#include "troupe/testing/fake_clock.hpp" // the header under test
#include "support/services.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/lock/lock_service.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "caf/event_based_actor.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::lock;

namespace {

using clocked_locks = test::clocked_services<caf::id_block::troupe_lock, lock_service>;

} // namespace

TEST_CASE_METHOD(clocked_locks, "hours of leases pass at once", "[testing]") {
  auto locks = start<lock_service>();
  REQUIRE(ask(locks, host::call{}, acquire{"db", "ann", 9min, 0s}));
  auto second = send(locks, host::call{}, acquire{"db", "bob", 10min, 10min});
  world.advance(9min - 1ns);
  CHECK_FALSE(second.is_answered());
  world.advance(1ns);
  CHECK(second.is_answered());
  CHECK(receive(second)->owner == "bob");
}

TEST_CASE_METHOD(clocked_locks, "what does not come at this time of the clock is timed out",
                 "[testing]") {
  auto locks = start<lock_service>();
  REQUIRE(ask(locks, host::call{}, acquire{"db", "ann", 10s, 0s}));
  auto second = send(locks, host::call{}, acquire{"db", "bob", 10s, 20s});
  CHECK(world.receive(second, 10ms).error().code == errc::timed_out);
  CHECK(look(locks, find_lock{"db"}).line.size() == 1); // others are answered meanwhile
  world.advance(10s);
  CHECK(receive(second));
}

TEST_CASE_METHOD(clocked_locks, "whoever drops a request is gone", "[testing]") {
  auto locks = start<lock_service>();
  REQUIRE(ask(locks, host::call{}, acquire{"db", "ann", 10s, 0s}));
  {
    auto second = send(locks, host::call{}, acquire{"db", "bob", 10s, 20s});
    CHECK(look(locks, find_lock{"db"}).line.size() == 1);
  }
  CHECK(look(locks, find_lock{"db"}).line.empty());
}

TEST_CASE_METHOD(clocked_locks, "threads may send to actors of a fake clock", "[testing]") {
  constexpr auto actors = 100;
  constexpr auto rounds = 10'000;
  auto seen = 0;
  std::vector<caf::actor> counters;
  for (int number = 0; number < 2 * actors; ++number)
    counters.push_back(world.system().spawn(
      [&seen]() -> caf::behavior { return {[&seen](std::int32_t) { ++seen; }}; }));
  world.run(); // all are asleep
  {
    // One actor after the other, so that it is asleep when the next message comes: only then
    // has the scheduler to be told.
    auto send = [&](int first) {
      for (std::int32_t number = 0; number < actors * rounds; ++number)
        compat::anon_send(counters.at(static_cast<std::size_t>(first + number % actors)), number);
    };
    std::jthread one{send, 0};
    std::jthread two{send, actors};
    auto all_came = [&] {
      for (int times = 0; times < 100'000 && seen < 2 * actors * rounds; ++times)
        world.run(); // without a pause, to meet them
      return seen == 2 * actors * rounds;
    };
    CHECK(testing::comes_true(all_came));
  }
  for (auto& counter : counters)
    world.stop(counter);
}
