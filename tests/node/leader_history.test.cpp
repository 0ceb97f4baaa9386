#include "troupe/cluster/leader_history.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>

using namespace std::literals;
using namespace troupe;
using cluster::leader_history;

TEST_CASE("a node counts changes of leadership after the first leader that it hears of",
          "[node][leader]") {
  leader_history seen{time_point{10s}};
  CHECK(seen.leader().empty());
  CHECK(seen.leaderless_for(time_point{12s}) == 2s);
  seen.leads(time_point{13s}, "");
  CHECK(seen.leaderless_for(time_point{14s}) == 4s);
  seen.leads(time_point{15s}, "a");
  CHECK(seen.leaderless_for(time_point{16s}) == 0s);
  CHECK(seen.changes() == 0);
  seen.leads(time_point{17s}, "a");
  CHECK(seen.changes() == 0);
  seen.leads(time_point{18s}, "b");
  CHECK(seen.changes() == 1);
  seen.leads(time_point{19s}, "");
  seen.leads(time_point{20s}, "");
  CHECK(seen.leaderless_for(time_point{21s}) == 2s);
  seen.leads(time_point{22s}, "b"); // elected once more
  CHECK(seen.changes() == 1);
  CHECK(seen.leader() == "b");
  seen.leads(time_point{23s}, "");
  seen.leads(time_point{24s}, "a");
  CHECK(seen.changes() == 2);
}
