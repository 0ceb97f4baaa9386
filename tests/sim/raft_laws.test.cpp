#include "troupe/sim/laws/raft_laws.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>

namespace raft_laws_test {

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

/// Has a process lead alone in the term after `last`, and commit what its election brings: of all
/// that the others have done it knows nothing.
void lead_alone(sim::raft_laws& laws, sim::process_id who, raft::term_number last) {
  raft::stored_state stored;
  stored.base.members.members[{who + 1}] = {true, "here"};
  stored.last_ballot = {last, {}};
  raft::replica replica{{who + 1}, {}, stored, time_point{}};
  raft::replica::effects out;
  replica.tick(time_point{}, out);
  for (std::uint64_t write = 1; !out.empty(); ++write) {
    laws.stepped(who, replica, out);
    out.clear();
    replica.step(time_point{}, 0, raft::replica::written{write}, out);
  }
  REQUIRE(replica.current_role() == raft::role::leader);
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

TEST_CASE(
  "who leads a later term without what is committed is found, a leader of the past is not") {
  sim::raft_laws laws;
  lead_alone(laws, 0, 4);
  lead_alone(laws, 1, 2); // the votes for it were late
  CHECK(laws.violations().empty());
  lead_alone(laws, 2, 7);
  REQUIRE(laws.violations().size() == 1);
  CHECK_THAT(laws.violations().front(),
             ContainsSubstring("leader completeness: process 2 leads term 8"));
}

} // namespace raft_laws_test
