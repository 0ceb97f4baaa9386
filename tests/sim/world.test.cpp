#include "troupe/sim/world/world.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "support/seeds.hpp"

namespace world_test {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

struct no_disk {
  void crash(random_source&) {}
};

/// Tells all others every 100 ms that it is there.
struct teller {
  struct message {};
  using disk = no_disk;
  struct setting {
    std::set<std::pair<sim::process_id, sim::process_id>> heard; // from, to
  };

  explicit teller(sim::environment<teller>& environment)
    : here(environment), next(environment.now()) {}

  void receive(sim::process_id from, const message&) {
    here.setting().heard.emplace(from, here.self());
  }

  void wake() {
    for (sim::process_id each = 0; each < 3; ++each)
      here.send(each, {});
    next += 100ms;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return next;
  }

  sim::environment<teller>& here;
  time_point next;
};

using world = sim::world<teller>;

} // namespace

TEST_CASE("what happens every second, on average, happens until the faults end", "[property]") {
  test::for_each_seed(20, [](random_source random) {
    world all{random.seed(), 3, {}};
    auto times = 0;
    all.every(1s, [&] { ++times; });
    all.every(0s, [] { FAIL("never"); });
    all.run_until(400s);
    CHECK(times > 300);
    CHECK(times < 500);
    all.end_faults();
    auto before = times;
    all.run_until(500s);
    CHECK(times == before);
  });
}

TEST_CASE("what happens between two times takes every millisecond of the first to the last",
          "[property]") {
  test::for_each_seed(20, [](random_source random) {
    world all{random.seed(), 3, {}};
    std::set<duration> seen;
    for (auto times = 0; times < 100; ++times)
      all.after(20ms, 23ms, [&] { seen.insert(all.now()); });
    all.run_until(1s);
    CHECK(seen == std::set<duration>{20ms, 21ms, 22ms});
  });
}

TEST_CASE("a process that restarts is down for a while, and is not started twice", "[property]") {
  test::for_each_seed(20, [](random_source random) {
    world all{random.seed(), 3, {}};
    all.start_all();
    all.restart(0, 1s, 2s);
    all.restart(1, 1s, 2s);
    all.run_until(900ms);
    CHECK(all.at(0) == nullptr);
    all.start(1);
    auto* started = all.at(1);
    all.run_until(2s);
    CHECK(all.at(0) != nullptr);
    CHECK(all.at(1) == started);
  });
}

TEST_CASE("an isolated process and all others do not hear each other, in one direction at least") {
  std::map<std::pair<bool, bool>, int> times; // by whether it still sends, and still hears
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    world all{seed, 3, {}};
    auto& heard = all.setting().heard;
    all.start_all();
    all.isolate(1, 1s, 2s);
    all.run_until(900ms);
    REQUIRE(heard.contains({0, 2}));
    REQUIRE(heard.contains({2, 0}));
    REQUIRE(heard.contains({1, 0}) == heard.contains({1, 2}));
    REQUIRE(heard.contains({0, 1}) == heard.contains({2, 1}));
    ++times[{heard.contains({1, 0}), heard.contains({0, 1})}];
    all.run_until(3s);
    REQUIRE(heard.size() == 9);
  }
  CHECK_FALSE(times.contains({true, true}));
  CHECK(times[{true, false}] > 10);
  CHECK(times[{false, true}] > 10);
  CHECK(times[{false, false}] > 30);
}

TEST_CASE("processes that are not fragile are never chosen") {
  world all{1, 3, {}, {}, 2};
  std::set<sim::process_id> chosen;
  for (auto times = 0; times < 100; ++times)
    chosen.insert(all.any());
  CHECK(chosen == std::set<sim::process_id>{0, 1});
  CHECK(all.all_but(1) == std::set<sim::process_id>{0, 2});
}

} // namespace world_test
