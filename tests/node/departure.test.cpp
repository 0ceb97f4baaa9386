#include "troupe/cluster/departure.hpp" // the header under test
#include "node/departure_fixture.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace departure_test {

using namespace std::literals;
using namespace troupe;
using cluster::departure;
using enum cluster::departure::stage;

namespace {

using stages = std::vector<departure::stage>;

const stages end_elsewhere{turn_away, hand_over,  say_farewell, fall_silent, end_sessions,
                           end_links, end_agents, end_services, end_router};
const stages end_with_services{turn_away,  hand_over,    say_farewell, fall_silent, end_links,
                               end_agents, end_sessions, end_services, end_router};

/// With the one of a node that stops.
stages of_a_stop(stages all) {
  all.insert(all.begin(), deliver_memory);
  return all;
}

const stages leaves{deliver, give_up_vote, end_workers, deliver_rest, take_back};

const departure::leave leave{.name = "n", .deliver_within = 9s};

/// At a node that votes.
departure::done end_of(departure::stage which, problem why = {}, bool has_services = false) {
  return {which, std::move(why), has_services, true, true, false};
}

/// Runs one call after the other, stage by stage.
struct node : departure_fixture::stepped_node {
  /// Ends each stage with what `outcome` says; returns what the call ends with.
  template <class Outcome>
  problem call(request_id id, departure::event what, stages& run, Outcome outcome) {
    auto asked = what;
    auto next = one(id, std::move(what));
    while (auto* stage = std::get_if<departure::run>(&next)) {
      CHECK(stage->id == id);
      CHECK(stage->leaves == std::holds_alternative<departure::leave>(asked));
      run.push_back(stage->which);
      REQUIRE(run.size() <= 14);
      next = one(id, outcome(stage->which));
    }
    auto& over = std::get<departure::over>(next);
    CHECK(over.id == id);
    return over.why;
  }

  problem call(request_id id, departure::event what, stages& run, bool has_services = false) {
    return call(id, std::move(what), run,
                [has_services](departure::stage which) { return end_of(which, {}, has_services); });
  }

  /// Others ask it, with id 1; goes on up to that stage, which it returns.
  departure::effect asked_until(departure::stage which, const departure::leave& how = leave) {
    auto next = one(1, departure::ask{how});
    while (std::get<departure::run>(next).which != which)
      next = one(1, end_of(std::get<departure::run>(next).which));
    return next;
  }

  /// Others ask it, with id 1, and the program has it leave, with id 2; goes on up to that stage,
  /// which it returns.
  departure::effect told_until(departure::stage which, const departure::leave& how = leave) {
    asked_until(tell_program, how);
    CHECK(step(1, end_of(tell_program)).empty());
    auto next = one(2, how);
    while (std::get<departure::run>(next).which != which)
      next = one(2, end_of(std::get<departure::run>(next).which));
    return next;
  }

  /// Has it leave up to that stage, which it returns.
  departure::effect leave_until(departure::stage which, const departure::leave& how = leave) {
    auto next = one(1, how);
    while (std::get<departure::run>(next).which != which)
      next = one(1, end_of(std::get<departure::run>(next).which));
    return next;
  }
};

departure::stage stage_of(const departure::effect& what) {
  return std::get<departure::run>(what).which;
}

problem why_of(const departure::effect& what) {
  return std::get<departure::over>(what).why;
}

/// Where it was run; REQUIREs that it was.
std::ptrdiff_t place(const stages& run, departure::stage which) {
  REQUIRE(std::ranges::count(run, which) == 1);
  return std::ranges::find(run, which) - run.begin();
}

} // namespace

TEST_CASE("a node that stops keeps its vote and what it has said", "[node][departure]") {
  node it;
  stages run;
  CHECK_FALSE(it.it.is_ending());
  CHECK_FALSE(it.call(1, departure::stop{}, run));
  CHECK(run == of_a_stop(end_elsewhere));
  CHECK(it.it.is_ending());
}

TEST_CASE("sessions end while there are links, or after the agents where the services are here",
          "[node][departure]") {
  node it;
  stages run;
  CHECK_FALSE(it.call(1, departure::stop{}, run, true));
  CHECK(run == of_a_stop(end_with_services));
}

TEST_CASE("where the services are counts once the node has fallen silent", "[node][departure]") {
  node it;
  stages run;
  CHECK_FALSE(it.call(1, departure::stop{}, run, [](departure::stage which) {
    return departure::done{which, {}, which != fall_silent};
  }));
  CHECK(run == of_a_stop(end_elsewhere));
}

TEST_CASE("a node that leaves delivers what it accepted, gives up its vote, takes back what it "
          "said, and ends",
          "[node][departure]") {
  node it;
  stages run;
  CHECK_FALSE(it.call(7, leave, run));
  auto all = leaves;
  all.insert(all.end(), end_elsewhere.begin(), end_elsewhere.end());
  CHECK(run == all);
}

TEST_CASE("a node goes on whose messages are not delivered, unless it is forced to leave",
          "[node][departure]") {
  node it;
  CHECK(stage_of(it.one(1, leave)) == deliver);
  auto why = why_of(it.one(1, end_of(deliver, {errc::in_use, "two messages"})));
  CHECK(why.code == errc::in_use);
  CHECK_FALSE(it.it.is_ending());
  auto forced = leave;
  forced.force = true;
  auto looks = std::get<departure::run>(it.one(2, forced));
  CHECK(looks.within == 0s);
  CHECK(stage_of(it.one(2, end_of(deliver, {errc::in_use, "two messages"}))) == give_up_vote);
}

TEST_CASE("messages that come while a node leaves keep it no longer than their bound",
          "[node][departure]") {
  node it;
  it.leave_until(deliver_rest);
  CHECK(stage_of(it.one(1, end_of(deliver_rest, {errc::in_use, "one message"}))) == take_back);
  stages run;
  CHECK(stage_of(it.one(1, end_of(take_back))) == turn_away);
}

TEST_CASE("only a node that may have a vote gives one up", "[node][departure]") {
  struct row {
    bool has_log;
    bool is_seated;
    bool knows_leader;
    departure::stage next;
  };
  for (auto& each : {row{false, false, true, reach_leader}, row{true, false, false, reach_leader},
                     row{true, true, false, give_up_vote},
                     row{true, false, true, give_up_vote}}) { // it may not have heard yet
    node it;
    it.one(1, leave);
    departure::done delivered{deliver, {}, false, each.has_log, each.is_seated, each.knows_leader};
    CHECK(stage_of(it.one(1, delivered)) == each.next);
  }
}

TEST_CASE("a node whose vote nobody takes goes on, and may leave later", "[node][departure]") {
  node it;
  it.leave_until(give_up_vote);
  auto why = why_of(it.one(1, end_of(give_up_vote, {errc::in_use, "the last voter"})));
  CHECK(why.code == errc::in_use);
  CHECK_FALSE(it.it.is_ending());
  stages run;
  CHECK_FALSE(it.call(2, leave, run));
  CHECK(run.size() == 14);
}

TEST_CASE("a node rests while it leaves, and no longer where it stays", "[node][departure]") {
  node it;
  it.one(1, leave);
  CHECK(it.rests);
  it.one(2, leave); // is refused, and changes nothing
  CHECK(it.rests);
  it.one(1, end_of(deliver, {errc::in_use, "a message"}));
  CHECK_FALSE(it.rests);
  it.step(3, departure::ask{leave});
  CHECK(it.rests);
  it.step(3, end_of(deliver, {errc::in_use, "a message"}));
  CHECK_FALSE(it.rests);
  SECTION("nor says so anew where it ends") {
    it.leave_until(give_up_vote);
    it.step(5, departure::stop{});
    it.step(1, end_of(give_up_vote, {errc::in_use, "the last voter"}));
    CHECK(it.rests);
  }
  SECTION("nor where it is refused at once") {
    auto alone = leave;
    alone.hosts_alone = true;
    it.one(4, alone);
    CHECK_FALSE(it.rests);
  }
}

TEST_CASE("a node of which the leader has not heard has no vote to give up", "[node][departure]") {
  node it;
  it.leave_until(give_up_vote);
  CHECK(stage_of(it.one(1, end_of(give_up_vote, {errc::not_found, "no such node"})))
        == end_workers);
}

TEST_CASE("who forces a node to leave does so although nobody leads", "[node][departure]") {
  auto forced = leave;
  forced.force = true;
  for (auto why : {errc::no_quorum, errc::not_leader, errc::unreachable}) {
    node it;
    CHECK(std::get<departure::run>(it.leave_until(give_up_vote, forced)).force);
    CHECK(stage_of(it.one(1, end_of(give_up_vote, {why, "nobody"}))) == end_workers);
    node other;
    CHECK_FALSE(std::get<departure::run>(other.leave_until(give_up_vote)).force);
    CHECK(why_of(other.one(1, end_of(give_up_vote, {why, "nobody"}))).code == why);
  }
  node it; // a leader that answers has its reasons
  it.leave_until(give_up_vote, forced);
  CHECK(why_of(it.one(1, end_of(give_up_vote, {errc::timed_out, "late"}))).code == errc::timed_out);
}

TEST_CASE("force is of one leave, not of the next", "[node][departure]") {
  node it;
  auto forced = leave;
  forced.force = true;
  it.leave_until(give_up_vote, forced);
  it.one(1, end_of(give_up_vote, {errc::timed_out, "late"}));
  CHECK_FALSE(std::get<departure::run>(it.one(2, leave)).force);
  it.one(2, end_of(deliver));
  auto why = why_of(it.one(2, end_of(give_up_vote, {errc::no_quorum, "nobody"})));
  CHECK(why.code == errc::no_quorum);
}

TEST_CASE("a node that alone has the services leaves only by force", "[node][departure]") {
  node it;
  auto why = why_of(it.one(1, departure::leave{.name = "n", .hosts_alone = true}));
  CHECK(why.code == errc::in_use);
  CHECK(why.detail.find("node n hosts") == 0);
  CHECK_FALSE(it.it.is_ending());
  CHECK(stage_of(it.one(2, departure::leave{.force = true, .hosts_alone = true})) == deliver);
  CHECK_FALSE(departure::refusal("n", true, true));
  CHECK_FALSE(departure::refusal("n", false, false));
}

TEST_CASE("a node that cannot take back what it said ends, and says why", "[node][departure]") {
  node it;
  stages run;
  auto why = it.call(1, leave, run, [](departure::stage which) {
    return end_of(which, which == take_back ? problem{errc::timed_out, "late"} : problem{});
  });
  CHECK(why.code == errc::timed_out);
  CHECK(run.size() == 14);
  CHECK(run.back() == end_router);
}

TEST_CASE("a node leaves once, and ends once", "[node][departure]") {
  node it;
  it.one(1, leave);
  CHECK(why_of(it.one(2, leave)).code == errc::in_use);
  CHECK(stage_of(it.one(3, departure::stop{})) == deliver_memory);
  CHECK_FALSE(why_of(it.one(4, departure::stop{}))); // does not wait for the other one
  CHECK(why_of(it.one(5, leave)).code == errc::cancelled);
  CHECK(stage_of(it.one(3, end_of(deliver_memory))) == turn_away);
  CHECK(stage_of(it.one(3, end_of(turn_away))) == hand_over);
}

TEST_CASE("a node that is stopped while it leaves ends at once", "[node][departure]") {
  SECTION("before it has taken anything back") {
    for (auto which : {deliver, end_workers, deliver_rest}) {
      node it;
      it.leave_until(which);
      it.one(2, departure::stop{});
      auto why = why_of(it.one(1, end_of(which)));
      CHECK(why.code == errc::cancelled); // its names are not free
      CHECK(stage_of(it.one(2, end_of(deliver_memory))) == turn_away);
    }
  }
  SECTION("while it gives up its vote") {
    node it;
    it.leave_until(give_up_vote);
    it.one(2, departure::stop{});
    CHECK(why_of(it.one(1, end_of(give_up_vote))).code == errc::outcome_unknown);
  }
  SECTION("while that is refused") {
    node it;
    it.leave_until(give_up_vote);
    it.one(2, departure::stop{});
    CHECK(why_of(it.one(1, end_of(give_up_vote, {errc::in_use, "last"}))).code == errc::in_use);
  }
  SECTION("while it takes back what it said") {
    node it;
    it.leave_until(take_back);
    it.one(2, departure::stop{});
    CHECK_FALSE(why_of(it.one(1, end_of(take_back))));
    CHECK(stage_of(it.one(2, end_of(deliver_memory))) == turn_away);
  }
}

TEST_CASE("a node that ends says nothing of a leave that was overtaken", "[node][departure]") {
  node it;
  it.leave_until(take_back);
  auto next = it.one(2, departure::stop{});
  it.one(1, end_of(take_back, {errc::timed_out, "late"}));
  while (auto* run = std::get_if<departure::run>(&next))
    next = it.one(2, end_of(run->which));
  CHECK_FALSE(why_of(next));
}

TEST_CASE("a node that is asked to leave gives up its vote, then its program has it leave",
          "[node][departure]") {
  node it;
  CHECK(stage_of(it.one(1, departure::ask{leave})) == deliver);
  CHECK(stage_of(it.one(1, end_of(deliver))) == give_up_vote);
  auto told = std::get<departure::run>(it.one(1, end_of(give_up_vote)));
  CHECK(told.which == tell_program);
  CHECK(told.within == leave.deliver_within); // which the program passes on
  CHECK(it.step(1, end_of(tell_program)).empty());
  CHECK_FALSE(it.it.is_ending());
  CHECK(stage_of(it.one(2, leave)) == deliver);
  CHECK(stage_of(it.one(2, end_of(deliver, {errc::in_use, "one message"}))) == give_up_vote);
  CHECK(stage_of(it.one(2, end_of(give_up_vote))) == end_workers);
}

TEST_CASE("who asks a node to leave hears why it stays", "[node][departure]") {
  auto answer_of = [](const departure::effects& out) {
    REQUIRE(out.size() == 1);
    return std::get<departure::answer>(out.front());
  };
  node it;
  it.asked_until(deliver);
  auto stays = answer_of(it.step(1, end_of(deliver, {errc::in_use, "two messages"})));
  CHECK(stays.id == 1);
  CHECK(stays.why.code == errc::in_use);
  it.one(2, departure::ask{leave});
  it.one(2, end_of(deliver));
  stays = answer_of(it.step(2, end_of(give_up_vote, {errc::in_use, "the last voter"})));
  CHECK(stays.id == 2);
  CHECK(stays.why.detail == "the last voter");
  auto alone = leave;
  alone.hosts_alone = true;
  CHECK(answer_of(it.step(3, departure::ask{alone})).why.code == errc::in_use);
  stages run; // and it may leave later
  CHECK_FALSE(it.call(4, leave, run));
  CHECK(answer_of(it.step(5, departure::ask{leave})).why.code == errc::cancelled);
}

TEST_CASE("who asks a node to leave hears what it has delivered and leaves behind",
          "[node][departure]") {
  auto how = leave;
  how.kept.delivered = 100;
  node it;
  auto next = it.told_until(take_back, how);
  auto taken_back = end_of(take_back);
  taken_back.kept
    = {.delivered = 105, .in_memory = 1, .synced = 2, .in_inboxes = 3, .dead_letters = 4};
  auto out = it.step(2, taken_back);
  REQUIRE(out.size() == 2);
  auto heard = std::get<departure::answer>(out.front());
  CHECK(heard.id == 1);
  CHECK_FALSE(heard.why);
  departure_report expected{.delivered = 5,
                            .lost = 1,
                            .synced = 2,
                            .in_inboxes = 3,
                            .dead_letters = 4,
                            .gave_up_vote = false,
                            .took_back = true};
  CHECK(heard.report == expected);
  // Its links are there until they have heard it.
  CHECK(stage_of(out.back()) == report);
  next = it.one(2, end_of(report));
  CHECK(stage_of(next) == turn_away);
  while (auto* run = std::get_if<departure::run>(&next)) {
    CHECK(run->leaves);
    next = it.one(2, end_of(run->which));
  }
  CHECK(std::get<departure::over>(next).report == expected); // so does the program
}

TEST_CASE("the report says whether the node had a vote and gave it up", "[node][departure]") {
  struct row {
    bool had_vote;
    errc refusal;
    bool gave_up;
  };
  for (auto& each : {row{true, errc::none, true}, row{false, errc::none, false},
                     row{true, errc::no_quorum, false}}) {
    node it;
    auto forced = leave;
    forced.force = true;
    it.one(1, forced);
    auto delivered = end_of(deliver);
    delivered.has_vote = each.had_vote;
    it.one(1, delivered);
    auto next = it.one(1, end_of(give_up_vote, each.refusal == errc::none
                                                 ? problem{}
                                                 : problem{each.refusal, "nobody leads"}));
    while (auto* run = std::get_if<departure::run>(&next))
      next = it.one(1, end_of(run->which));
    CHECK(std::get<departure::over>(next).report.gave_up_vote == each.gave_up);
  }
  node it; // before the program was told
  it.asked_until(deliver);
  auto delivered = end_of(deliver);
  delivered.has_vote = true;
  it.one(1, delivered);
  it.one(1, end_of(give_up_vote));
  it.step(1, end_of(tell_program));
  auto next = it.one(2, leave);
  while (stage_of(next) != take_back)
    next = it.one(2, end_of(stage_of(next)));
  CHECK(std::get<departure::answer>(it.step(2, end_of(take_back)).front()).report.gave_up_vote);

  node other; // it does not count for the next leave
  other.asked_until(deliver);
  other.one(1, delivered);
  other.one(1, end_of(give_up_vote));
  other.step(1, end_of(tell_program));
  other.one(2, leave);
  other.one(2, end_of(deliver));
  CHECK(other.step(2, end_of(give_up_vote, {errc::in_use, "the last voter"})).size() == 2);
  next = other.one(3, leave);
  while (auto* run = std::get_if<departure::run>(&next))
    next = other.one(3, end_of(run->which));
  CHECK_FALSE(std::get<departure::over>(next).report.gave_up_vote);
}

TEST_CASE("all who ask a node to leave hear of the same leave, which is forced if one of them is",
          "[node][departure]") {
  node it;
  it.asked_until(deliver);
  CHECK(it.step(2, departure::ask{leave}).empty());
  auto forced = leave;
  forced.force = true;
  CHECK(it.step(3, departure::ask{forced}).empty());
  CHECK(stage_of(it.one(1, end_of(deliver, {errc::in_use, "one message"}))) == give_up_vote);
  it.one(1, end_of(give_up_vote));
  it.step(1, end_of(tell_program));
  CHECK(it.step(4, departure::ask{leave}).empty());
  auto next = it.one(5, leave);
  CHECK(std::get<departure::run>(next).force);
  while (stage_of(next) != take_back)
    next = it.one(5, end_of(stage_of(next)));
  auto out = it.step(5, end_of(take_back));
  REQUIRE(out.size() == 5);
  for (request_id each = 1; each <= 4; ++each)
    CHECK(std::get<departure::answer>(out[each - 1]).id == each);
  // Also who asks while the others say that they have the report.
  CHECK(it.step(6, departure::ask{leave}).empty());
  out = it.step(5, end_of(report));
  REQUIRE(out.size() == 2);
  CHECK_FALSE(std::get<departure::answer>(out.front()).why);
  CHECK(stage_of(out.back()) == turn_away);
}

TEST_CASE("who forces a node to leave that others have asked does not wait for them",
          "[node][departure]") {
  auto forced = leave;
  forced.force = true;
  SECTION("while it delivers") {
    node it;
    it.asked_until(deliver);
    CHECK_FALSE(it.it.is_forced());
    it.step(2, departure::ask{forced});
    CHECK(it.it.is_forced()); // its host waits no more
    CHECK(it.step(3, departure::ask{leave}).empty());
    CHECK(it.it.is_forced());
    CHECK(stage_of(it.one(1, end_of(deliver, {errc::in_use, "one message"}))) == give_up_vote);
    it.step(1, end_of(give_up_vote, {errc::timed_out, "late"}));
    CHECK_FALSE(it.it.is_forced()); // of the next one
  }
  SECTION("while it gives up its vote, which is refused") {
    node it;
    CHECK_FALSE(std::get<departure::run>(it.asked_until(give_up_vote)).force);
    CHECK(it.step(2, departure::ask{forced}).empty());
    auto again = std::get<departure::run>(
      it.one(1, end_of(give_up_vote, {errc::in_use, "no node could take its place"})));
    CHECK(again.which == give_up_vote);
    CHECK(again.force);
    auto out = it.step(1, end_of(give_up_vote, {errc::in_use, "the last voter"})); // once
    REQUIRE(out.size() == 2);
    CHECK(std::get<departure::answer>(out.back()).why.detail == "the last voter");
  }
  SECTION("while it gives up its vote, and the leader does not answer") {
    node it;
    it.asked_until(give_up_vote);
    it.step(2, departure::ask{forced});
    CHECK(it.step(1, end_of(give_up_vote, {errc::timed_out, "late"})).size() == 2);
  }
  SECTION("while its program has it leave") {
    node it;
    CHECK_FALSE(std::get<departure::run>(it.leave_until(give_up_vote)).force);
    it.step(2, departure::ask{forced});
    CHECK(stage_of(it.one(1, end_of(give_up_vote, {errc::in_use, "none"}))) == give_up_vote);
    CHECK(stage_of(it.one(1, end_of(give_up_vote))) == end_workers);
  }
}

TEST_CASE("who asks while the program has the node leave hears of that leave",
          "[node][departure]") {
  node it;
  it.leave_until(deliver_rest);
  CHECK(it.step(2, departure::ask{leave}).empty());
  CHECK(stage_of(it.one(1, end_of(deliver_rest))) == take_back);
  auto out = it.step(1, end_of(take_back, {errc::timed_out, "late"}));
  REQUIRE(out.size() == 2);
  auto heard = std::get<departure::answer>(out.front());
  CHECK(heard.id == 2);
  CHECK_FALSE(heard.why); // it leaves all the same
  CHECK_FALSE(heard.report.took_back);
}

TEST_CASE("a node has a bound of those who wait for it to leave", "[node][departure]") {
  node it{departure{{.max_askers = 2}}};
  it.asked_until(deliver);
  CHECK(it.step(2, departure::ask{leave}).empty());
  auto refused = std::get<departure::answer>(it.one(3, departure::ask{leave}));
  CHECK(refused.why.code == errc::limit_reached);
  CHECK(it.step(1, end_of(deliver, {errc::in_use, "one message"})).size() == 2);
}

TEST_CASE("who asks a node to leave hears that it was stopped", "[node][departure]") {
  auto codes_of = [](const departure::effects& out) {
    std::vector<errc> found;
    for (auto& each : out)
      if (auto* answer = std::get_if<departure::answer>(&each))
        found.push_back(answer->why.code);
    return found;
  };
  using codes = std::vector<errc>;
  SECTION("while it delivers") {
    node it;
    it.asked_until(deliver);
    CHECK(stage_of(it.one(2, departure::stop{})) == deliver_memory);
    CHECK(codes_of(it.step(1, end_of(deliver))) == codes{errc::cancelled});
  }
  SECTION("while its program finishes its work") {
    node it;
    it.asked_until(tell_program);
    it.step(1, end_of(tell_program));
    auto out = it.step(2, departure::stop{});
    CHECK(codes_of(out) == codes{errc::cancelled});
    CHECK(stage_of(out.back()) == deliver_memory);
    CHECK(it.step(1, end_of(tell_program)).empty());
    CHECK(stage_of(it.one(2, end_of(deliver_memory))) == turn_away);
  }
  SECTION("but not after it has taken back what it said") {
    node it;
    it.told_until(take_back);
    it.one(3, departure::stop{});
    auto out = it.step(2, end_of(take_back));
    CHECK(codes_of(out) == codes{errc::none});
    CHECK_FALSE(why_of(out.back()));
    CHECK(stage_of(it.one(3, end_of(deliver_memory))) == turn_away);
  }
}

TEST_CASE("a program that is told to have its node leave hears if the vote came back, and stays",
          "[node][departure]") {
  node it;
  it.told_until(give_up_vote);
  auto out = it.step(2, end_of(give_up_vote, {errc::in_use, "the last voter"}));
  REQUIRE(out.size() == 2);
  CHECK(std::get<departure::answer>(out.front()).why.code == errc::in_use);
  CHECK(why_of(out.back()).code == errc::in_use);
  CHECK(stage_of(it.one(3, departure::ask{leave})) == deliver);
  // Messages count again.
  auto stays = std::get<departure::answer>(it.one(3, end_of(deliver, {errc::in_use, "one"})));
  CHECK(stays.why.detail == "one");
}

TEST_CASE(
  "a program that is told to have its node leave ends it without a leader if it has no vote",
  "[node][departure]") {
  for (auto has_vote : {false, true}) {
    node it;
    it.asked_until(tell_program);
    it.step(1, end_of(tell_program));
    it.one(2, leave);
    auto delivered = end_of(deliver); // a leader is known still
    delivered.has_vote = has_vote;
    it.one(2, delivered);
    auto out = it.step(2, end_of(give_up_vote, {errc::no_quorum, "nobody leads"}));
    if (has_vote)
      CHECK(std::get<departure::answer>(out.front()).why.code == errc::no_quorum);
    else
      CHECK(stage_of(out.front()) == end_workers);
  }
  node it; // who is not told goes on, and may leave later
  it.leave_until(give_up_vote);
  CHECK(why_of(it.one(1, end_of(give_up_vote, {errc::no_quorum, "nobody leads"}))).code
        == errc::no_quorum);
}

TEST_CASE("the end of a stage that is not under way changes nothing", "[node][departure]") {
  node it;
  CHECK(it.step(1, end_of(turn_away)).empty());
  it.leave_until(give_up_vote);
  CHECK(it.step(1, end_of(take_back)).empty());
  CHECK(it.step(1, end_of(deliver)).empty());
  CHECK(it.step(2, end_of(give_up_vote)).empty());
  CHECK(stage_of(it.one(1, end_of(give_up_vote))) == end_workers);
  CHECK(it.step(1, end_of(give_up_vote)).empty());
  CHECK(stage_of(it.one(1, end_of(end_workers))) == deliver_rest);
  CHECK(stage_of(it.one(1, end_of(deliver_rest))) == take_back);
  CHECK(stage_of(it.one(1, end_of(take_back))) == turn_away);
  CHECK(it.step(1, end_of(take_back)).empty());
  auto next = it.one(1, end_of(turn_away));
  while (auto* run = std::get_if<departure::run>(&next))
    next = it.one(1, end_of(run->which));
  CHECK(it.step(1, end_of(end_router)).empty());
}

TEST_CASE("each stage that waits for others has its bound", "[node][departure]") {
  node it{departure{{.give_up_within = 1s,
                     .deliver_rest_within = 5s,
                     .take_back_within = 2s,
                     .hand_over_within = 3s,
                     .agents_end_within = 4s,
                     .report_within = 7s}}};
  auto how = leave;
  how.deliver_within = 6s;
  auto next = it.one(1, how);
  while (auto* run = std::get_if<departure::run>(&next)) {
    auto expected = run->which == deliver        ? 6s
                    : run->which == give_up_vote ? 1s
                    : run->which == deliver_rest ? 5s
                    : run->which == take_back    ? 2s
                    : run->which == hand_over    ? 3s
                    : run->which == end_agents   ? 4s
                                                 : 0s;
    CHECK(run->within == expected);
    next = it.one(1, end_of(run->which));
  }
  node asked{departure{{.report_within = 7s}}};
  asked.told_until(take_back);
  CHECK(std::get<departure::run>(asked.step(2, end_of(take_back)).back()).within == 7s);
}

TEST_CASE("whatever comes of its stages, a node that departs ends in order, or goes on",
          "[node][departure]") {
  // Each of the fourteen stages may fail, and the services may be here.
  for (unsigned fails = 0; fails < 1U << 14U; ++fails)
    for (auto has_services : {false, true}) {
      node it;
      stages run;
      auto has_failed = [fails](departure::stage which) {
        return (fails >> static_cast<unsigned>(which) & 1U) != 0;
      };
      auto why = it.call(1, leave, run, [&](departure::stage which) {
        return end_of(which, has_failed(which) ? problem{errc::failed, "no"} : problem{},
                      has_services);
      });
      if (has_failed(deliver) || has_failed(give_up_vote)) {
        CHECK(run.back() == (has_failed(deliver) ? deliver : give_up_vote));
        CHECK_FALSE(it.it.is_ending());
        continue;
      }
      REQUIRE(run.size() == 14);
      CHECK((why.code == errc::failed) == has_failed(take_back));
      CHECK(place(run, end_workers) < place(run, deliver_rest));
      CHECK(place(run, deliver_rest) < place(run, take_back));
      CHECK(place(run, take_back) < place(run, say_farewell));
      CHECK(place(run, hand_over) < place(run, say_farewell));
      CHECK(place(run, say_farewell) < place(run, end_links));
      CHECK(place(run, fall_silent) < place(run, end_agents));
      CHECK(place(run, end_links) < place(run, end_agents));
      CHECK(place(run, end_sessions) < place(run, end_services));
      CHECK((place(run, end_sessions) < place(run, end_links)) == !has_services);
      CHECK(run.back() == end_router);
    }
}

} // namespace departure_test
