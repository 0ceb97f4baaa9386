// A cluster whose nodes do not agree what day it is.

#include "calendars.hpp"

#include <filesystem>
#include <string>

using namespace troupe::test;

TEST_CASE("a leader whose calendar is set back by an hour ends no lease and repeats no token",
          "[cluster][cli]") {
  if (!std::filesystem::exists(calendars::library()))
    SKIP("libfaketime is not installed");
  calendars times;
  three_voters cluster{[&](int node) { return times.wrap(node); }};
  auto token_of = [&](const std::string& name) {
    auto done = run(
      {"lock", name, "--at", cluster.addresses(), "--", "/bin/sh", "-c", "echo $TROUPE_TOKEN"});
    INFO(done);
    REQUIRE(done.status == 0);
    return std::stoull(done.output);
  };
  auto put = [&](const std::string& value) {
    auto done = run({"put", "colour", value, "--json", "--at", cluster.addresses()});
    INFO(done);
    REQUIRE(done.status == 0);
    return done.line();
  };
  auto first = token_of("first");
  put("blue");
  auto holder = start(
    {"lock", "press", "--json", "--ttl", "3s", "--at", cluster.addresses(), "--", "sleep", "60"});
  auto held = json::parse(holder.read_line().value_or("{}"), nullptr, false);
  REQUIRE(held.value("event", "") == "held");

  auto slow = cluster.leader();
  times.set(slow, "-1h");
  REQUIRE(times.read(slow) < times.read((slow + 1) % 3) - 3'000);

  // Longer than the lease, which its holder renews all the time.
  auto refused = run({"lock", "press", "--wait", "4s", "--at", cluster.addresses(), "--", "true"});
  INFO(refused);
  CHECK(refused.status == 3);
  auto second = token_of("second");
  CHECK(second > first);
  put("green");

  SECTION("nor where one with another calendar takes over, and gives it back") {
    cluster[slow].kill();
    auto next = cluster.leader(slow);
    CHECK(next != slow);
    auto third = token_of("third");
    CHECK(third > second);
    cluster.start_node(slow);
    REQUIRE(comes_true([&] { return cluster.is_whole(); }));
    REQUIRE(run({"voters", "lead", three_voters::name(slow), "--at", cluster.addresses()}).status
            == 0);
    REQUIRE(comes_true([&] { return cluster.leader() == slow; }));
    CHECK(token_of("fourth") > third);
    put("red");
  }
  auto found = run({"get", "colour", "--json", "--at", cluster.addresses()});
  INFO(found);
  CHECK(found.status == 0);
  auto locks = run({"locks", "--json", "--at", cluster.addresses()});
  INFO(locks);
  CHECK(locks.line()["holders"][0]["token"] == held["token"]);
}
