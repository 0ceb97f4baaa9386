// Who is there, as members in processes of their own see each other.

#include "three_voters.hpp"

#include <algorithm>
#include <chrono>
#include <string>

using namespace troupe::test;

namespace {

/// How `asked` sees `whom`, and what the registry shows of it.
struct sight {
  std::string seen_as;
  std::string status;
};

sight look(three_voters& all, int asked, int whom) {
  auto seen = run({"status", "--json", "--at", all[asked].address()}).line();
  for (auto& each : seen.value("members", json::array()))
    if (each["node"] == three_voters::name(whom))
      return {each["seen_as"].is_string() ? each["seen_as"].get<std::string>() : "",
              each.value("status", "")};
  return {};
}

bool all_see(three_voters& all, int whom, const std::string& as) {
  for (auto each : {0, 1, 2})
    if (each != whom && look(all, each, whom).seen_as != as)
      return false;
  return true;
}

} // namespace

TEST_CASE("members see who is killed as dead, and who starts again as alive",
          "[cluster][membership]") {
  three_voters all;
  for (auto each : {0, 1, 2})
    REQUIRE(comes_true([&] { return all_see(all, each, "alive"); }));
  auto killed = (all.leader() + 1) % 3;
  all[killed].kill();
  CHECK(comes_true([&] { return all_see(all, killed, "dead"); }));
  CHECK(comes_true([&] { return look(all, all.leader(killed), killed).status == "disconnected"; }));
  all.start_node(killed);
  CHECK(comes_true([&] { return all_see(all, killed, "alive"); }));
  CHECK(comes_true([&] { return look(all, all.leader(), killed).status == "active"; }));
}

TEST_CASE("members see who hangs as dead, and as alive once it goes on", "[cluster][membership]") {
  three_voters all;
  auto hangs = (all.leader() + 1) % 3;
  REQUIRE(comes_true([&] { return all_see(all, hangs, "alive"); }));
  all[hangs].process().send_signal(SIGSTOP);
  CHECK(comes_true([&] { return all_see(all, hangs, "dead"); }));
  CHECK(comes_true([&] { return look(all, all.leader(hangs), hangs).status == "disconnected"; }));
  all[hangs].process().send_signal(SIGCONT);
  CHECK(comes_true([&] { return all_see(all, hangs, "alive"); }));
  CHECK(comes_true([&] { return look(all, all.leader(), hangs).status == "active"; }));
}

TEST_CASE("members see who is stopped as left", "[cluster][membership]") {
  three_voters all;
  auto stops = (all.leader() + 1) % 3;
  REQUIRE(comes_true([&] { return all_see(all, stops, "alive"); }));
  all[stops].process().send_signal(SIGTERM);
  all[stops].process().wait_for_end();
  CHECK(comes_true([&] { return all_see(all, stops, "left"); }));
}
