#include "three_voters.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <sstream>
#include <string>

namespace hung_leader_test {

using namespace troupe::test;

TEST_CASE("members and clients write on while the node that led stands still", "[cluster][cli]") {
  three_voters cluster;
  troupe::testing::child_process both{{TROUPE_BIN_DIR "/next_write_program", cluster.addresses()}};
  REQUIRE(both.read_line() == "ready");
  for (auto round = 0; round < 2; ++round) { // those that follow have another leader by then
    auto& leader = cluster[cluster.leader()].process();
    leader.send_signal(SIGSTOP);
    both.send_signal(SIGUSR1);
    auto said = both.read_line().value_or("nothing");
    leader.send_signal(SIGCONT);
    INFO(said);
    std::string member;
    std::string client;
    auto member_ms = 0;
    auto client_ms = 0;
    std::istringstream{said} >> member >> member_ms >> client >> client_ms;
    REQUIRE(client == "client");
    CHECK(member_ms < 5'000); // a silent link lasts for 8 s
    CHECK(client_ms < 5'000);
    REQUIRE(comes_true([&] { return cluster.is_whole(); }));
  }
}

} // namespace hung_leader_test
