#include "troupe/host/calendar_watch.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>

namespace calendar_watch_test {

using namespace std::literals;
using namespace troupe;

TEST_CASE("a calendar that is set by more than an hour is noticed, once", "[host][wall]") {
  constexpr wall_time noon{1'000'000h};
  host::calendar_watch watch;
  CHECK_FALSE(watch.look(noon, 5s));
  CHECK_FALSE(watch.look(noon + 24h, 24h + 5s)); // time went by
  SECTION("forward") {
    CHECK(watch.look(noon + 27h, 25h + 5s) == duration{2h});
    CHECK_FALSE(watch.look(noon + 28h, 26h + 5s));
  }
  SECTION("back") {
    CHECK(watch.look(noon + 23h, 25h + 5s) == duration{-2h});
    CHECK_FALSE(watch.look(noon + 24h, 26h + 5s));
  }
  SECTION("but not by an hour, which adds up all the same") {
    CHECK_FALSE(watch.look(noon + 26h, 25h + 5s));
    CHECK(watch.look(noon + 28h, 26h + 5s) == duration{2h});
  }
}

} // namespace calendar_watch_test
