// A cluster whose nodes do not agree what day it is.

#include "three_voters.hpp"

#include <filesystem>
#include <fstream>
#include <string>

using namespace troupe::test;

namespace {

/// Calendars of three processes, each to be set as one likes; clocks that only run are left alone.
class calendars {
public:
  calendars() {
    for (auto node : {0, 1, 2})
      set(node, "+0");
  }

  /// Counts from now on, in the words of libfaketime: -1h, +10m.
  void set(int node, const std::string& offset) {
    std::ofstream{folder_ / (std::to_string(node) + ".new")} << offset << '\n';
    std::filesystem::rename(folder_ / (std::to_string(node) + ".new"), file(node));
  }

  [[nodiscard]] words wrap(int node) const {
    return {"/usr/bin/env", "LD_PRELOAD=" + library(), "FAKETIME_TIMESTAMP_FILE=" + file(node),
            "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1"};
  }

  static std::string library() {
    return "/usr/lib/" TROUPE_MULTIARCH "/faketime/libfaketimeMT.so.1";
  }

  /// What a process in the place of this node has for the time, in seconds since 1970.
  [[nodiscard]] long long read(int node) const {
    auto command = wrap(node);
    command.insert(command.end(), {"date", "+%s"});
    troupe::testing::child_process date{command};
    return std::stoll(date.read_rest(10s));
  }

private:
  [[nodiscard]] std::string file(int node) const {
    return (folder_ / (std::to_string(node) + ".offset")).string();
  }

  temporary_folder folder_;
};

} // namespace

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
