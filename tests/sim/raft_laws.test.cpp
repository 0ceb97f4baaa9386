#include "troupe/sim/raft_laws.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>

using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

raft::entry command(raft::log_index index, const std::string& text) {
  return {index, 1, raft::group_time{duration{static_cast<std::int64_t>(index)}}, text};
}

/// Has a process apply entries of these commands, from the first one on.
void apply(sim::raft_laws& laws, sim::process_id who, const std::vector<std::string>& commands) {
  sim::applied_state state;
  for (auto& each : commands) {
    auto line = command(state.index + 1, each);
    state.apply(line);
    laws.applied(who, line, state);
  }
}

} // namespace

TEST_CASE("replicas that apply the same entries are well") {
  sim::raft_laws laws;
  apply(laws, 0, {"a", "b"});
  apply(laws, 1, {"a", "b", "c"});
  CHECK(laws.violations().empty());
  CHECK(laws.highest() == 3);
}

TEST_CASE("a replica that applies another entry is found at once") {
  sim::raft_laws laws;
  apply(laws, 0, {"a", "b"});
  apply(laws, 1, {"a", "x"});
  REQUIRE(laws.violations().size() == 1);
  CHECK_THAT(laws.violations().front(), ContainsSubstring("state machine safety: process 1"));
}

TEST_CASE("an answer that lacks what was applied before the question is found") {
  sim::raft_laws laws;
  laws.read(0, 4, 4);
  CHECK(laws.violations().empty());
  laws.read(0, 3, 4);
  CHECK(laws.violations().size() == 1);
}
