// What a node does that is to leave while nobody leads, or may be out of reach of who does.

#include "node/departure_fixture.hpp"
#include "troupe/cluster/departure.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <utility>
#include <variant>

namespace leaderless_departure_test {

using namespace std::literals;
using namespace troupe;
using cluster::departure;
using enum cluster::departure::stage;

namespace {

using node = departure_fixture::stepped_node;

departure::stage stage_of(const departure::effect& what) {
  return std::get<departure::run>(what).which;
}

problem why_of(const departure::effect& what) {
  return std::get<departure::over>(what).why;
}

const departure::leave leave{.name = "n"};
const departure::leave forced{.name = "n", .force = true};
/// At a node without a part in the group, and at one with a vote.
const departure::done delivered{.which = deliver};
const departure::done of_a_voter{
  .which = deliver, .has_log = true, .is_seated = true, .has_vote = true};

} // namespace

TEST_CASE("a node without a vote leaves once one that leads has answered it, else it stays",
          "[node][departure]") {
  const problem silence{errc::timed_out, "no answer in time; wait longer"};
  SECTION("it leaves") {
    node it;
    it.one(1, leave);
    it.one(1, delivered);
    CHECK(stage_of(it.one(1, departure::done{reach_leader})) == end_workers);
  }
  SECTION("it stays, and says why") {
    for (auto why : {errc::timed_out, errc::outcome_unknown, errc::no_quorum, errc::unreachable}) {
      node it;
      it.one(1, leave);
      CHECK(std::get<departure::run>(it.one(1, delivered)).within == 10s);
      auto said
        = why_of(it.one(1, departure::done{reach_leader, {why, "1 of 4 nodes; start more"}}));
      CHECK(said.code == (why == errc::unreachable ? why : errc::no_quorum));
      CHECK(said.detail
            == "this node stays, as no node that leads has answered it: 1 of 4 nodes; try again "
               "once one leads, or force it to leave (leave_options::force): then it ends without "
               "a word to the others");
      CHECK_FALSE(it.it.is_ending());
      it.one(2, leave); // later
      it.one(2, delivered);
      CHECK(stage_of(it.one(2, departure::done{reach_leader})) == end_workers);
    }
  }
  SECTION("it is forced, and asks nobody") {
    node it;
    it.one(1, forced);
    CHECK(stage_of(it.one(1, delivered)) == end_workers);
  }
  SECTION("it is forced meanwhile") {
    node it;
    it.one(1, departure::ask{leave});
    it.one(1, delivered);
    CHECK(it.step(2, departure::ask{forced}).empty());
    departure::done late{.which = reach_leader, .why = silence, .has_log = true, .is_seated = true};
    CHECK(stage_of(it.one(1, late)) == tell_program);
  }
  SECTION("its program has been told, and ends") {
    node it;
    it.one(1, departure::ask{leave});
    it.one(1, delivered);
    it.one(1, departure::done{reach_leader});
    CHECK(it.step(1, departure::done{tell_program}).empty());
    it.one(2, leave);
    CHECK(stage_of(it.one(2, delivered)) == end_workers);
  }
  SECTION("it is stopped meanwhile") {
    node it;
    it.one(1, leave);
    it.one(1, delivered);
    CHECK(stage_of(it.one(2, departure::stop{})) == deliver_memory);
    CHECK(why_of(it.one(1, departure::done{reach_leader, silence})).code == errc::cancelled);
    CHECK(stage_of(it.one(2, departure::done{deliver_memory})) == turn_away);
  }
}

TEST_CASE("a node that gets a vote while it looks for who leads gives it up", "[node][departure]") {
  node it;
  it.one(1, leave);
  it.one(1, departure::done{.which = deliver, .has_log = true});
  auto has_vote = GENERATE(false, true); // or it is about to hear of that
  departure::done reached{.which = reach_leader,
                          .has_log = true,
                          .is_seated = has_vote,
                          .knows_leader = true,
                          .has_vote = has_vote};
  CHECK(stage_of(it.one(1, reached)) == give_up_vote);
  CHECK(stage_of(it.one(1, departure::done{give_up_vote})) == end_workers);
  it.one(1, departure::done{end_workers});
  it.one(1, departure::done{deliver_rest});
  it.one(1, departure::done{take_back});
  for (auto each : {turn_away, hand_over, say_farewell, fall_silent, end_sessions, end_links,
                    end_agents, end_services})
    it.one(1, departure::done{each});
  CHECK(std::get<departure::over>(it.one(1, departure::done{end_router})).report.gave_up_vote
        == has_vote);
}

TEST_CASE("a voter that no leader has answered says that it stays", "[node][departure]") {
  node it;
  it.one(1, leave);
  it.one(1, of_a_voter);
  auto said
    = why_of(it.one(1, departure::done{give_up_vote, {errc::no_quorum, "1 of 3; start more"}}));
  CHECK(said.detail.find("this node stays, as no node that leads has answered it: 1 of 3; try")
        == 0);
  it.one(2, leave); // a leader that answers says why itself
  it.one(2, of_a_voter);
  CHECK(why_of(it.one(2, departure::done{give_up_vote, {errc::in_use, "last; add one"}})).detail
        == "last; add one");
}

} // namespace leaderless_departure_test
