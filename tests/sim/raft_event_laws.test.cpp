#include "troupe/sim/laws/raft_event_laws.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <sstream>
#include <string>
#include <vector>

#include "support/seeds.hpp"
#include "troupe/sim/scenarios/raft_scenario.hpp"

namespace raft_event_laws_test {

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// What the laws say of lines like `n1 append 7 3 hash`.
std::string verdict_on(const std::vector<std::string>& lines) {
  std::stringstream in;
  for (auto& each : lines) {
    std::istringstream words{each};
    std::string node;
    std::string event;
    std::string hash;
    std::uint64_t first = 0;
    std::uint64_t second = 0;
    words >> node >> event;
    if (event != "seat")
      words >> first;
    in << R"({"node":")" << node << R"(","ev":")" << event << '"';
    if (event == "append" || event == "apply") {
      words >> second >> hash;
      in << ",\"index\":" << first << ",\"term\":" << second << R"(,"hash":")" << hash << '"';
    } else if (event == "commit") {
      words >> second;
      in << ",\"index\":" << first << ",\"term\":" << second;
    } else if (event == "vote") {
      words >> hash;
      in << ",\"term\":" << first << R"(,"for":")" << hash << '"';
    } else if (event == "seat") {
      words >> hash;
      in << R"(,"now":")" << hash << '"';
    } else if (event == "truncate") {
      in << ",\"from\":" << first;
    } else if (event == "compact" || event == "install") {
      in << ",\"index\":" << first;
    } else if (event != "restart") {
      in << ",\"term\":" << first;
    }
    in << "}\n";
  }
  sim::raft_event_laws laws;
  auto why = laws.read(in, "lines");
  if (why.code != errc::none)
    return why.detail;
  auto found = laws.violations();
  return found.empty() ? "well" : found.front();
}

} // namespace

TEST_CASE("what replicas write down is well where they are") {
  CHECK(verdict_on({"a vote 1 a", "b vote 1 a", "a append 1 1 x", "a leader 1", "b append 1 1 x",
                    "a commit 1 1", "a apply 1 1 x", "b commit 1 1", "b apply 1 1 x"})
        == "well");
  // Figure 8 of the paper: what one leader lacks, a later one may commit.
  CHECK(verdict_on({"a leader 2", "a append 1 2 x", "b leader 3", "b append 1 3 y", "a leader 4",
                    "a append 2 4 z", "a commit 2 4", "a apply 1 2 x", "a apply 2 4 z"})
        == "well");
  CHECK(verdict_on({"a append 1 1 x", "a restart", "a truncate 1", "a append 1 2 y"}) == "well");
  CHECK(verdict_on({"a append 1 1 x", "a commit 1 1", "a apply 1 1 x", "a compact 1", "a restart",
                    "a append 2 1 y", "a commit 2 1", "a apply 2 1 y"})
        == "well");
  CHECK(verdict_on({"a install 7", "a append 8 2 x", "a commit 8 2", "a apply 8 2 x"}) == "well");
  // It had heard of a later term, and died before that was on its disk.
  CHECK(verdict_on({"a append 1 1 x", "a term 2", "a follower 3", "a restart", "a commit 1 2",
                    "a apply 1 1 x"})
        == "well");
  // A replica whose disk has lost what it had synced goes on as another node.
  CHECK(verdict_on({"a term 2", "a append 1 2 x", "a commit 1 2", "a apply 1 2 x", "a seat b",
                    "b follower 2", "b append 2 2 y", "b commit 2 2", "b apply 2 2 y"})
        == "well");
  // A leader alone, whose disk has no room for what it takes back.
  CHECK(verdict_on({"a leader 2", "a append 1 2 x", "a commit 1 2", "a truncate 2",
                    "a append 2 2 y", "a truncate 2", "a append 2 2 z"})
        == "well");
}

TEST_CASE("each law finds who breaks it") {
  CHECK_THAT(verdict_on({"a vote 2 a", "a seat b", "b vote 2 b"}), ContainsSubstring("one vote"));
  CHECK_THAT(verdict_on({"a leader 2", "b leader 2"}), ContainsSubstring("election safety"));
  CHECK_THAT(verdict_on({"a vote 2 a", "a vote 2 b"}), ContainsSubstring("one vote"));
  CHECK_THAT(verdict_on({"a vote 2 a", "a restart", "a vote 2 b"}), ContainsSubstring("one vote"));
  CHECK_THAT(verdict_on({"a term 3", "a follower 2"}), ContainsSubstring("terms go back"));
  CHECK_THAT(verdict_on({"a term 3", "a restart", "a follower 2"}),
             ContainsSubstring("terms go back"));
  CHECK_THAT(verdict_on({"a vote 3 a", "a restart", "a follower 2"}),
             ContainsSubstring("terms go back"));
  CHECK_THAT(verdict_on({"a append 2 1 x"}), ContainsSubstring("no gaps"));
  CHECK_THAT(verdict_on({"a append 1 1 x", "b append 1 1 y"}), ContainsSubstring("log matching"));
  CHECK_THAT(verdict_on({"a append 1 1 x", "a append 2 3 z", "b append 1 2 y", "b append 2 3 z"}),
             ContainsSubstring("log matching"));
  CHECK_THAT(verdict_on({"a leader 2", "a append 1 2 x", "b append 1 2 x", "a truncate 1",
                         "a append 1 2 y"}),
             ContainsSubstring("log matching"));
  CHECK_THAT(verdict_on({"a leader 2", "a append 1 2 x", "a truncate 1", "a append 1 2 y",
                         "b append 1 2 x"}),
             ContainsSubstring("log matching"));
  CHECK_THAT(verdict_on({"a append 1 1 x", "a commit 1 1", "a truncate 1"}),
             ContainsSubstring("what is committed stays"));
  CHECK_THAT(verdict_on({"a append 1 1 x", "a commit 2 1"}), ContainsSubstring("ahead of the log"));
  CHECK_THAT(verdict_on({"a append 1 1 x", "a append 2 1 y", "a commit 2 1", "a apply 1 1 x",
                         "a commit 1 1"}),
             ContainsSubstring("do not go back"));
  CHECK_THAT(verdict_on({"a append 1 1 x", "a append 2 1 y", "a commit 2 1", "a apply 2 1 y"}),
             ContainsSubstring("leave nothing out"));
  CHECK_THAT(verdict_on({"a append 1 1 x", "a commit 1 1", "a apply 1 1 x", "b append 1 2 y",
                         "b commit 1 2", "b apply 1 2 y"}),
             ContainsSubstring("state machine safety"));
  CHECK_THAT(verdict_on({"a append 1 1 x", "a commit 1 1", "a apply 1 1 x", "b leader 2"}),
             ContainsSubstring("leader completeness"));
}

TEST_CASE("only the line before a restart may be torn") {
  auto read = [](const std::string& text) {
    std::istringstream in{text};
    sim::raft_event_laws laws;
    return laws.read(in, "n1.jsonl");
  };
  CHECK(read(R"({"node":"a","ev":"te)").code == errc::none);
  CHECK(read("{\"node\":\"a\",\"e\n{\"node\":\"a\",\"ev\":\"restart\"}\n").code == errc::none);
  auto why = read("{\"node\":\"a\",\"e\n{\"node\":\"a\",\"ev\":\"term\",\"term\":3}\n");
  CHECK(why.code == errc::bad_argument);
  CHECK_THAT(why.detail, ContainsSubstring("n1.jsonl, line 1"));
  CHECK(read("{\"node\":\"a\",\"ev\":\"term\"}\n\n").code == errc::bad_argument);
}

TEST_CASE("what simulated replicas write down is well under all faults", "[property]") {
  test::for_each_seed(test::simulated_worlds / 4, [](random_source random) {
    sim::scenario_options how;
    how.seed = random.seed();
    how.nodes = static_cast<std::uint32_t>(3 + how.seed % 3);
    how.span = 20s;
    how.what = sim::storm();
    how.churn = 100ms;
    how.strike = 300ms;
    std::stringstream lines;
    sim::raft_scenario scenario{how};
    scenario.write_events(lines);
    scenario.run();
    sim::raft_event_laws laws;
    REQUIRE(laws.read(lines, "lines").detail.empty());
    for (auto& each : laws.violations())
      FAIL_CHECK(each);
    REQUIRE(laws.applied() > 10);
    REQUIRE(laws.elections() > 0);
  });
}

} // namespace raft_event_laws_test
