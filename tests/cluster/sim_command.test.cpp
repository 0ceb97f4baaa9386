// troupe sim, as a user runs it.

#include "troupe_command.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>

using namespace troupe::test;

TEST_CASE("troupe sim runs seeds, and the same seed is the same run", "[cluster][cli]") {
  need_command();
  for (auto* scenario : {"raft", "lock", "lease", "state", "scheduler", "node", "seats"}) {
    auto words_of = {"sim", scenario, "--seconds", "3", "--nodes", "3", "--seed", "4", "--json"};
    auto first = run({words_of.begin(), words_of.end()});
    INFO(first);
    REQUIRE(first.status == 0);
    CHECK(first.line().value("violations", 1) == 0);
    auto second = run({words_of.begin(), words_of.end()});
    CHECK(first.line().at("trace") == second.line().at("trace"));
  }
}

TEST_CASE("the command that troupe sim prints for a run replays it", "[cluster][cli]") {
  need_command();
  auto first = run({"sim", "raft", "--seconds", "3", "--nodes", "3", "--faults", "storm", "--loss",
                    "0.123456789", "--seeds", "8..8", "--json"});
  INFO(first);
  REQUIRE(first.status == 0);
  std::istringstream printed{first.line().at("replay").get<std::string>()};
  words command{std::istream_iterator<std::string>{printed}, {}};
  REQUIRE(command.front() == "troupe");
  CHECK(std::ranges::find(command, "0.123456789") != command.end());
  command.erase(command.begin());
  command.push_back("--json");
  auto second = run(command);
  INFO(second);
  REQUIRE(second.status == 0);
  CHECK(first.line().at("trace") == second.line().at("trace"));
}

TEST_CASE("troupe sim says how long a run took, and its figures", "[cluster][cli]") {
  need_command();
  auto shown = run({"sim", "lock", "--seconds", "1"}).output;
  INFO(shown);
  auto form
    = std::regex{R"(lock seed 0: all laws hold, \d+ events in \d+(\.\d)? m?s; answers \d+\n)"};
  CHECK(std::regex_match(shown, form));
  auto swim = run({"sim", "swim", "--seconds", "1"});
  INFO(swim);
  for (auto* figure : {"; deaths ", ", killed 1", ", known after p50 s ", ", false suspicions "})
    CHECK(swim.says(figure));
  CHECK_FALSE(swim.says("trace"));
}

TEST_CASE("troupe sim swim counts whom starved members take for dead, also without Lifeguard",
          "[cluster][cli]") {
  need_command();
  auto share = run({"sim", "swim", "--nodes", "60", "--starved", "0.1", "--json"});
  INFO(share);
  REQUIRE(share.status == 0);
  auto figures = share.line();
  CHECK(figures.at("starved") == 6);
  auto plain = figures.at("false_dead_without_lifeguard").get<std::uint64_t>();
  CHECK(plain >= 10);
  CHECK(plain >= 10 * figures.at("false_dead").get<std::uint64_t>());
  CHECK(figures.at("replay").get<std::string>().find("--starved 0.1") != std::string::npos);
  auto count = run({"sim", "swim", "--nodes", "60", "--starved", "6", "--json"});
  INFO(count);
  CHECK(count.line().at("false_dead_without_lifeguard") == plain);
  CHECK_FALSE(run({"sim", "swim", "--seconds", "1"}).says("false dead"));
  for (auto* bad : {"0.001", "2.5", "5", "-1", "many"})
    CHECK(run({"sim", "swim", "--nodes", "5", "--starved", bad}).status == 2);
  CHECK(run({"sim", "raft", "--starved", "1"}).says("only swim takes it"));
}

TEST_CASE("troupe sim cluster is troupe sim node", "[cluster][cli]") {
  need_command();
  auto cluster = run({"sim", "cluster", "--seconds", "1", "--nodes", "3", "--json"});
  auto node = run({"sim", "node", "--seconds", "1", "--nodes", "3", "--json"});
  INFO(cluster);
  REQUIRE(cluster.status == 0);
  for (auto* same : {"scenario", "replay", "trace"})
    CHECK(cluster.line().at(same) == node.line().at(same));
  CHECK(run({"sim", "list"}).says("cluster  Another name of node\n"));
}

TEST_CASE("troupe sim says what it does not know", "[cluster][cli]") {
  need_command();
  CHECK(run({"sim", "nothing"}).status == 2);
  CHECK(run({"sim", "raft", "--faults", "bad"}).status == 2);
  for (auto* range : {"5..2", "a..b", "3", "0..18446744073709551615"})
    CHECK(run({"sim", "raft", "--seeds", range}).status == 2);
}

TEST_CASE("troupe sim ends also after the last of all seeds", "[cluster][cli]") {
  need_command();
  for (words which : {words{"--seed", "18446744073709551615"},
                      words{"--seeds", "18446744073709551614..18446744073709551615"}}) {
    words command{"sim", "raft", "--seconds", "1", "--json"};
    command.insert(command.end(), which.begin(), which.end());
    auto done = run(command);
    INFO(done);
    CHECK(done.status == 0);
    CHECK(done.says("\"seed\":18446744073709551615"));
  }
}
