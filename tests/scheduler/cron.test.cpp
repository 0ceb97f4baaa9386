#include "troupe/scheduler/cron.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace cron_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;
using namespace std::chrono;

namespace {

/// Returns a moment of UTC.
wall_time at(year_month_day date, minutes time_of_day = 0min) {
  return wall_time{sys_days{date}.time_since_epoch() + time_of_day};
}

} // namespace

TEST_CASE("a cron expression names the minutes that crontab(5) says", "[scheduler][cron]") {
  auto friday = at(2026y / November / 20, 10h + 30min);
  const std::vector<std::pair<std::string, wall_time>> cases = {
    {"* * * * *", at(2026y / November / 20, 10h + 31min)},
    {"30 * * * *", at(2026y / November / 20, 11h + 30min)},
    {"*/20 * * * *", at(2026y / November / 20, 10h + 40min)},
    {"0 3 * * *", at(2026y / November / 21, 3h)},
    {"0,45 10-12 * * *", at(2026y / November / 20, 10h + 45min)},
    {"10-20/5 * * * *", at(2026y / November / 20, 11h + 10min)},
    {"50/5 * * * *", at(2026y / November / 20, 10h + 50min)},
    {"0 0 1 * *", at(2026y / December / 1)},
    {"0 0 * * mon", at(2026y / November / 23)},
    {"0 0 * * 0", at(2026y / November / 22)},
    {"0 0 * * 7", at(2026y / November / 22)},
    {"0 0 * * MON-FRI", at(2026y / November / 23)},
    {"0 0 25 * mon", at(2026y / November / 23)},  // either day will do
    {"0 0 */2 * mon", at(2026y / November / 23)}, // a star is no day given: both must fit
    {"0 0 29 feb *", at(2028y / February / 29)},
    {"  15\t12 * jan,jun  * ", at(2027y / January / 1, 12h + 15min)},
    {"@hourly", at(2026y / November / 20, 11h)},
    {"@daily", at(2026y / November / 21)},
    {"@weekly", at(2026y / November / 22)},
    {"@monthly", at(2026y / December / 1)},
    {"@yearly", at(2027y / January / 1)},
  };
  for (auto& [text, expected] : cases) {
    INFO(text);
    auto parsed = cron_expression::parse(text);
    REQUIRE(parsed);
    auto next = parsed->next_after(friday);
    REQUIRE(next);
    CHECK(next->time_since_epoch() == expected.time_since_epoch());
  }
}

TEST_CASE("seconds do not count, and a minute comes once", "[scheduler][cron]") {
  auto every = *cron_expression::parse("* * * * *");
  auto noon = at(2026y / November / 20, 12h);
  CHECK(every.next_after(noon) == noon + 1min);
  CHECK(every.next_after(noon + 59s) == noon + 1min);
  CHECK(every.next_after(noon - 1ns) == noon);
}

TEST_CASE("a leap day is found over a century without one", "[scheduler][cron]") {
  auto leap = *cron_expression::parse("0 0 29 2 *");
  CHECK(leap.next_after(at(2096y / March / 1)) == at(2104y / February / 29));
}

TEST_CASE("what is no cron expression is refused", "[scheduler][cron]") {
  for (auto* text : {"",
                     "* * * *",
                     "* * * * * *",
                     "60 * * * *",
                     "* 24 * * *",
                     "* * 0 * *",
                     "* * 32 * *",
                     "* * * 13 *",
                     "* * * * 8",
                     "5-1 * * * *",
                     "*/0 * * * *",
                     "1, * * * *",
                     "a * * * *",
                     "* * * foo *",
                     "-1 * * * *",
                     "1- * * * *",
                     "0 0 30 feb *",
                     "@never",
                     "*/ * * * *",
                     "99999999999 * * * *"}) {
    INFO(text);
    auto parsed = cron_expression::parse(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == errc::bad_argument);
  }
}

} // namespace cron_test
