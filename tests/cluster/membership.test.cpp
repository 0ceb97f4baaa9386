// Who is there, as members in processes of their own see each other.

#include "three_voters.hpp"

#include <algorithm>
#include <chrono>
#include <string>

using namespace troupe::test;

namespace {

/// How the leader sees a node, and what the registry shows of it.
struct sight {
  std::string seen_as;
  std::string status;
};

sight look_at(three_voters& all, int whom) {
  auto seen = run({"status", "--json", "--at", all.addresses()}).line();
  for (auto& each : seen.value("members", json::array()))
    if (each["node"] == three_voters::name(whom))
      return {each["seen_as"].is_string() ? each["seen_as"].get<std::string>() : "",
              each.value("status", "")};
  return {};
}

bool is_seen(three_voters& all, int whom, const std::string& as, const std::string& status) {
  auto seen = look_at(all, whom);
  return seen.seen_as == as && seen.status == status;
}

} // namespace

TEST_CASE("who is killed is dead, and alive when it starts again", "[cluster][membership]") {
  three_voters all;
  auto killed = (all.leader() + 1) % 3;
  REQUIRE(comes_true([&] { return is_seen(all, killed, "alive", "active"); }));
  all[killed].kill();
  CHECK(comes_true([&] { return is_seen(all, killed, "dead", "disconnected"); }));
  all.start_node(killed);
  CHECK(comes_true([&] { return is_seen(all, killed, "alive", "active"); }));
}

TEST_CASE("who hangs is dead, and alive once it goes on", "[cluster][membership]") {
  three_voters all;
  auto hangs = (all.leader() + 1) % 3;
  REQUIRE(comes_true([&] { return is_seen(all, hangs, "alive", "active"); }));
  all[hangs].process().send_signal(SIGSTOP);
  CHECK(comes_true([&] { return is_seen(all, hangs, "dead", "disconnected"); }));
  all[hangs].process().send_signal(SIGCONT);
  CHECK(comes_true([&] { return is_seen(all, hangs, "alive", "active"); }));
}

TEST_CASE("who is stopped has left, and is lost only after a while", "[cluster][membership]") {
  three_voters all;
  auto stops = (all.leader() + 1) % 3;
  REQUIRE(comes_true([&] { return is_seen(all, stops, "alive", "active"); }));
  all[stops].process().send_signal(SIGTERM);
  all[stops].process().wait_for_end();
  CHECK(comes_true([&] { return look_at(all, stops).seen_as == "left"; }));
  CHECK(comes_true([&] { return is_seen(all, stops, "left", "disconnected"); }));
}
