// Runs that start later, by a span or by the calendar, on three voters that lose their leader.

#include "calendars.hpp"
#include "runs_of_three.hpp"

#include "troupe/scheduler/cron.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

using namespace troupe::test;

namespace {

/// Seconds of the clock that only runs, as tasks read it: to the hundredth.
double uptime() {
  return std::stod(content_of("/proc/uptime"));
}

/// Sorted, as tasks of several runs write them.
words lines_of(const std::string& path) {
  std::istringstream text{content_of(path)};
  words result;
  for (std::string each; std::getline(text, each);)
    result.push_back(each);
  std::ranges::sort(result);
  return result;
}

} // namespace

TEST_CASE("a delayed run starts when its time has come, and no sooner under the next leader",
          "[cluster][cli]") {
  runs_of_three all;
  auto worker = all.worker("worker", 1);
  auto flow = [&](const std::string& id) {
    return all.flow(id, {script_task(id, "cut -d' ' -f1 /proc/uptime > " + all.path(id))});
  };
  auto submitted = uptime();
  auto soon = all.run_of({"delayed", "8", flow("soon")});
  auto never = all.run_of({"delayed", "8", flow("never")});
  auto late = all.run_of({"delayed", "3600", flow("late")});
  for (auto& each : {soon, never, late})
    CHECK((all.shown(each)["state"] == "waiting" || uptime() > submitted + 8));
  all.lose_leader();
  CHECK(run({"workflows", "cancel", never, "--at", all.voters.addresses()}).status == 0);
  CHECK(run({"workflows", "pause", late, "--at", all.voters.addresses()}).status == 0);
  REQUIRE(comes_true([&] { return all.shown(soon)["state"] == "completed"; }));
  auto started = std::stod(content_of(all.path("soon")));
  CHECK(started - submitted >= 7.99); // both are rounded down to the hundredth
  CHECK(all.shown(never)["state"] == "cancelled");
  CHECK(all.shown(late)["state"] == "paused");
  CHECK_FALSE(std::filesystem::exists(all.path("never")));
  CHECK_FALSE(std::filesystem::exists(all.path("late")));
  auto wrong = all.ask({"delayed", "-1", flow("wrong")});
  INFO(wrong);
  CHECK(wrong.status == 1);
  CHECK(wrong.output.starts_with("error: bad_argument"));
}

TEST_CASE(
  "a schedule starts one run for what was due while nobody led, and none beside one that is "
  "under way, whoever leads",
  "[cluster][cli]") {
  if (!std::filesystem::exists(calendars::library()))
    SKIP("libfaketime is not installed");
  constexpr std::int64_t hour = 3'600;
  calendars times;
  // Half past, so that nothing is due by itself while the test runs.
  auto base = times.read(0);
  auto ahead = hour / 2 - base % hour;
  auto set = [&](int node, std::int64_t seconds) {
    auto offset = ahead + seconds;
    times.set(node, (offset < 0 ? "" : "+") + std::to_string(offset));
  };
  for (auto node : {0, 1, 2})
    set(node, 0);
  auto first_hour = (base / hour + 1) * hour;
  auto key_of = [&](std::int64_t moment) {
    return "tidy@" + troupe::scheduler::minute_of(troupe::wall_time{std::chrono::seconds{moment}});
  };

  runs_of_three all{[&](int node) { return times.wrap(node); }};
  auto worker = all.worker("worker", 2);
  auto log = all.path("log");
  auto tidy = all.flow(
    "tidy", {script_task("tidy", "echo tidy >> " + log + "; " + until_there(all.path("gate")))});
  auto once = all.flow("once", {script_task("once", "echo once >> " + log)});
  auto schedules = [&] { return all.ask({"schedules"}).line(); };
  // The leader is killed, and the calendars of all others are set before: who leads next looks at
  // its own at once. The one of a leader is looked at each minute.
  auto lose_leader_and_set = [&](std::int64_t seconds) {
    auto leads = all.voters.leader();
    for (auto node : {0, 1, 2})
      if (node != leads)
        set(node, seconds);
    all.voters[leads].kill();
    set(leads, seconds);
    all.voters.leader(leads);
    all.voters.start_node(leads);
    REQUIRE(comes_true([&] { return all.voters.is_whole(); }));
  };
  auto keys = [&] {
    words found;
    for (auto& each : all.runs())
      if (!each["key"].get<std::string>().empty())
        found.push_back(each["key"]);
    return found;
  };

  for (auto* cron : {"0 * * *", "60 * * * *", "0 0 30 2 *", "@often"}) {
    auto wrong = all.ask({"every", "tidy", cron, tidy});
    INFO(wrong);
    CHECK(wrong.status == 1);
    CHECK(wrong.output.starts_with("error: bad_argument"));
  }
  CHECK(all.ask({"every", "tidy", "@yearly", once}).output == "defined\n");
  CHECK(all.ask({"every", "tidy", "0 * * * *", tidy}).output == "replaced\n");
  auto later = all.run_of({"at", std::to_string(first_hour + hour + 60), once});
  REQUIRE(comes_true([&] { return schedules()["next"] == first_hour; }));
  CHECK(all.shown(later)["state"] == "waiting");
  CHECK(keys().empty());

  INFO("three hours strike while nobody leads");
  lose_leader_and_set(3 * hour);
  REQUIRE(comes_true([&] { return schedules()["next"] == first_hour + 3 * hour; }));
  CHECK(keys() == words{key_of(first_hour)});
  REQUIRE(comes_true([&] { return all.shown(later)["state"] == "completed"; }));
  REQUIRE(comes_true([&] { return lines_of(log) == words{"once", "tidy"}; }));

  INFO("another hour strikes while that run is under way");
  lose_leader_and_set(4 * hour);
  REQUIRE(comes_true([&] { return schedules()["next"] == first_hour + 4 * hour; }));
  auto seen = schedules();
  CAPTURE(seen.dump());
  CHECK(seen["started"] == 1);
  CHECK(seen["skipped"] == 1);
  CHECK(keys() == words{key_of(first_hour)});

  INFO("another one when that is over, while leadership is handed over");
  all.open("gate");
  REQUIRE(comes_true([&] { return all.shown(seen["last_run"].dump())["state"] == "completed"; }));
  for (auto node : {0, 1, 2})
    set(node, 5 * hour);
  auto next = (all.voters.leader() + 1) % 3;
  REQUIRE(run({"voters", "lead", three_voters::name(next), "--at", all.voters.addresses()}).status
          == 0);
  REQUIRE(comes_true([&] { return schedules()["started"] == 2; }));
  const words both{key_of(first_hour), key_of(first_hour + 4 * hour)};
  CHECK(keys() == both);

  INFO("it is removed before the next hour");
  CHECK(all.ask({"remove", "tidy"}).output == "removed\n");
  CHECK(all.ask({"remove", "tidy"}).output.starts_with("error: not_found"));
  auto last = all.run_of({"at", std::to_string(first_hour + 5 * hour + 60), once});
  lose_leader_and_set(6 * hour);
  REQUIRE(comes_true([&] { return all.shown(last)["state"] == "completed"; }));
  CHECK(keys() == both);
  CHECK(comes_true([&] { return lines_of(log) == words{"once", "once", "tidy", "tidy"}; }));
}
