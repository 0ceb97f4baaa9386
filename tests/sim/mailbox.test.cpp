#include "troupe/sim/world/mailbox.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "support/seeds.hpp"
#include "troupe/sim/world/world.hpp"

namespace mailbox_test {

using namespace troupe;
using namespace std::chrono_literals;

namespace {

struct no_disk {
  void crash(random_source&) {}
};

/// One thread tells another a number whenever the process is woken, by its clock.
struct two_threads {
  struct message {};
  using disk = no_disk;
  struct setting {
    std::vector<std::uint64_t> told;
    std::vector<std::uint64_t> heard;
  };
  using home = sim::environment<two_threads>;

  explicit two_threads(home& environment) : here(environment), next(environment.now()) {}

  void receive(sim::process_id, const message&) {}

  void wake() {
    here.setting().told.push_back(++told);
    numbers.put(told);
    next += 50us;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return next;
  }

  home& here;
  std::uint64_t told = 0;
  time_point next;
  sim::mailbox<home, std::uint64_t> numbers{
    here, [this](std::uint64_t& what) { here.setting().heard.push_back(what); }};
};

} // namespace

TEST_CASE("what one thread of a process tells another is heard late, whole and in its order",
          "[property]") {
  test::for_each_seed(20, [](random_source random) {
    auto what = sim::storm();
    what.starved_for = 100ms;
    sim::world<two_threads> one{random.seed(), 1, what};
    one.start_all();
    one.run_until(500ms);
    auto told = one.setting().told;
    auto& heard = one.setting().heard;
    CHECK(heard.size() < told.size());
    one.pause(0, 1s); // it tells nothing new meanwhile
    one.run_until(1s);
    CHECK(heard.size() < told.size());
    one.run_until(2s);
    REQUIRE(heard.size() > told.size());
    for (std::size_t place = 0; place < heard.size(); ++place)
      REQUIRE(heard[place] == place + 1);
  });
}

TEST_CASE("what one thread has told another is lost with its process") {
  sim::faults what;
  what.max_handover = 1s;
  sim::world<two_threads> one{1, 1, what};
  one.start_all();
  one.run_until(20ms);
  auto before = one.setting().heard;
  REQUIRE(one.setting().told.size() > before.size());
  one.kill(0);
  one.run_until(5s);
  CHECK(one.setting().heard == before);
}

} // namespace mailbox_test
