// troupe sim, as a user runs it.

#include "troupe_command.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
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
