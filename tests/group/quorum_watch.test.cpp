#include "troupe/group/quorum_watch.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace quorum_watch_test {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::host;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr raft::member_id a{1};
constexpr raft::member_id b{2};
constexpr raft::member_id c{3};
constexpr raft::member_id nobody{};

/// What replica a of {a, b, c} hears.
struct listener {
  raft::configuration members{{{a, {true, "A"}}, {b, {true, "B"}}, {c, {true, "C"}}}};
  quorum_watch watch{a, raft::wan(), nullptr, time_point{}};
  time_point now{};
  raft::member_id leader = nobody;
  problem told;

  /// Steps of a replica come at least this often.
  void run(duration span) {
    for (auto end = now + span; now < end;)
      wake(100ms);
  }

  void wake(duration later) {
    now += later;
    watch.time_is(now);
    review();
  }

  void hears_answer_of(raft::member_id from) {
    watch.time_is(now);
    watch.heard(from, {1, raft::vote_answer{true, false}});
    review();
  }

  void hears_heartbeat_of(raft::member_id from) {
    watch.time_is(now);
    watch.heard(from, {1, raft::append{}});
    review();
  }

  [[nodiscard]] quorum_view view() const {
    return watch.look(members, now);
  }

private:
  void review() {
    if (auto why = watch.review(leader, members))
      told = *why;
  }
};

} // namespace

TEST_CASE("a majority that was not heard for 2 s is missing, and is named", "[host][quorum]") {
  listener one;
  one.hears_answer_of(b);
  one.run(1900ms);
  CHECK(one.told.code == errc::none);
  CHECK(one.view().reached() == 2);
  one.run(200ms);
  CHECK(one.told.code == errc::no_quorum);
  CHECK_THAT(one.told.detail, ContainsSubstring("1 of 3 voters reachable, not B, C;"));
  CHECK(one.view().why == one.told);
  CHECK(one.view().lost_for == one.now - time_point{});

  one.hears_answer_of(c);
  CHECK(one.told.code == errc::none);
  CHECK(one.view().why.code == errc::none);
  CHECK(one.view().reached() == 2);
}

TEST_CASE("an election among a majority is no lost quorum, however long it takes",
          "[host][quorum]") {
  listener one;
  for (auto each = 0; each < 20; ++each) {
    one.run(1500ms); // the longest time between two requests for votes
    one.hears_answer_of(b);
    CHECK(one.told.code == errc::none);
  }
  CHECK(one.view().leader == nobody);
  CHECK(one.view().leaderless_for == 30s);
}

TEST_CASE("a voter that led alone or learned before misses a majority, too", "[host][quorum]") {
  listener one;
  auto all = one.members;
  SECTION("alone") {
    one.members = {{{a, {true, "A"}}}};
    one.leader = a;
  }
  SECTION("as a learner") {
    one.members.members[a].votes = false;
    one.leader = b;
  }
  one.run(10s);
  CHECK(one.told.code == errc::none);
  one.members = all;
  one.hears_answer_of(b);
  one.leader = nobody;
  one.run(1900ms);
  CHECK(one.told.code == errc::none);
  one.run(200ms);
  CHECK(one.told.code == errc::no_quorum);
}

TEST_CASE("a replica that changes its seat misses a majority as the voter that it becomes",
          "[host][quorum]") {
  listener one;
  one.leader = b;
  one.hears_heartbeat_of(b);
  constexpr raft::member_id d{4};
  one.watch.self_is(d);
  one.members.members.erase(a);
  one.members.members[d] = {true, "A"};
  one.hears_heartbeat_of(b);
  CHECK(one.view().reached() == 2);
  one.leader = nobody;
  one.run(1900ms);
  CHECK(one.told.code == errc::none);
  one.run(200ms);
  CHECK_THAT(one.told.detail, ContainsSubstring("1 of 3 voters reachable, not B, C;"));
}

TEST_CASE("a voter that comes or goes meanwhile is named anew", "[host][quorum]") {
  listener one;
  auto d = raft::member_id{4};
  auto e = raft::member_id{5};
  one.members.members[d] = {true, "D"};
  one.members.members[e] = {true, "E"};
  one.run(2s);
  CHECK_THAT(one.told.detail, ContainsSubstring("1 of 5 voters reachable"));
  one.hears_answer_of(d);
  CHECK_THAT(one.told.detail, ContainsSubstring("2 of 5 voters reachable, not B, C, E;"));
  one.run(2s);
  CHECK_THAT(one.told.detail, ContainsSubstring("not B, C, D, E;"));
}

TEST_CASE("heartbeats of the leader stand for a majority", "[host][quorum]") {
  listener one;
  one.leader = b;
  one.watch.linked(c);
  for (auto each = 0; each < 100; ++each) {
    one.wake(100ms);
    one.hears_heartbeat_of(b);
  }
  CHECK(one.told.code == errc::none);
  CHECK(one.view().leader == b);
  CHECK(one.view().leaderless_for == duration::zero());
  CHECK(one.view().reached() == 3); // followers say nothing to each other, but there is a link
  one.watch.lost_link(c);
  CHECK(one.view().reached() == 2);

  // What else it says does not: it may lead nobody any more.
  one.members.members[{4}] = {true, "D"};
  one.members.members[{5}] = {true, "E"};
  one.run(1s);
  one.hears_answer_of(b);
  one.leader = nobody;
  one.wake(0s);
  one.run(1s);
  CHECK(one.view().leaderless_for == 1s);
  CHECK(one.told.code == errc::no_quorum);
  CHECK_THAT(one.told.detail, ContainsSubstring("2 of 5 voters reachable"));
}

TEST_CASE("the first heartbeat of a leader stands for a majority, too", "[host][quorum]") {
  listener one;
  one.members.members[{4}] = {true, "D"};
  one.members.members[{5}] = {true, "E"};
  one.run(3s);
  REQUIRE(one.told.code == errc::no_quorum);
  one.leader = b;
  one.hears_heartbeat_of(b);
  CHECK(one.told.code == errc::none);
}

TEST_CASE("a voter whose link has ended is not reached until it is heard again", "[host][quorum]") {
  listener one;
  one.hears_answer_of(b);
  one.hears_answer_of(c);
  CHECK(one.view().reached() == 3);
  one.watch.lost_link(c);
  CHECK(one.view().reached() == 2);
  one.hears_answer_of(c);
  CHECK(one.view().reached() == 3);
}

TEST_CASE("a voter that answers from a log that does not go with this one helps no majority",
          "[host][quorum]") {
  listener one;
  auto hears_astray = [&](raft::member_id from) {
    one.watch.time_is(one.now);
    one.watch.heard(from, {1, raft::vote_answer{true, false, true}});
  };
  auto asks_itself = GENERATE(false, true);
  for (auto each = 0; each < 30; ++each) {
    hears_astray(b);
    if (asks_itself)
      one.watch.heard(b, {1, raft::vote_request{1, 1, true, false}});
    one.run(100ms);
  }
  CHECK(one.told.code == errc::no_quorum);
  CHECK(one.view().reached() == 1);
  CHECK_THAT(one.told.detail, ContainsSubstring("not B whose log lacks or contradicts what is "
                                                "committed here, C"));
  INFO("until it has been mended");
  SECTION("as its answer shows") {
    one.hears_answer_of(b);
  }
  SECTION("as it answers who leads") {
    one.watch.heard(b, {1, raft::append_answer{}});
    one.run(1ms);
  }
  CHECK(one.told.code == errc::none);
  CHECK(one.view().reached() == 2);
  hears_astray(b);
  one.watch.lost_link(b);
  one.run(5s);
  CHECK_THAT(one.told.detail, ContainsSubstring("not B, C"));
}

TEST_CASE("a process that stood still counts anew, as it could hear nobody", "[host][quorum]") {
  listener one;
  one.leader = a;
  one.run(1s);
  one.hears_answer_of(b);
  one.wake(10s);
  CHECK(one.told.code == errc::none);
  one.run(1900ms);
  CHECK(one.told.code == errc::none);
  one.run(200ms);
  CHECK(one.told.code == errc::no_quorum);
}

TEST_CASE("a replica that has little to do is not taken for one that stood still",
          "[host][quorum]") {
  listener one;
  one.wake(1500ms); // as seldom as a follower is woken: one and a half election time-outs
  one.wake(1500ms);
  CHECK(one.told.code == errc::no_quorum);
  listener other;
  other.wake(1900ms); // longer than that
  other.run(1900ms);
  CHECK(other.told.code == errc::none);
}

TEST_CASE("heartbeats of another one than the leader stand for nobody else", "[host][quorum]") {
  listener one;
  one.members.members[{4}] = {true, "D"};
  one.members.members[{5}] = {true, "E"};
  one.leader = b;
  one.hears_heartbeat_of(b);
  for (auto each = 0; each < 30; ++each) {
    one.wake(100ms);
    one.hears_heartbeat_of(c); // of an earlier term, say
  }
  CHECK(one.told.code == errc::no_quorum);
}

TEST_CASE("a follower reaches those that it has a link to, and nobody else without a word",
          "[host][quorum]") {
  listener one;
  one.leader = b;
  auto follow = [&one](duration span) {
    for (auto end = one.now + span; one.now < end;) {
      one.wake(100ms);
      one.hears_heartbeat_of(b);
    }
  };
  one.hears_answer_of(c);
  follow(3s);
  CHECK(one.view().reached() == 2); // c was heard, long ago
  one.watch.linked(c);
  CHECK(one.view().reached() == 3);
  one.watch.lost_link(c);
  one.watch.linked(c);
  CHECK(one.view().reached() == 3);
  one.watch.lost_link(c);
  one.hears_answer_of(c); // by somebody else's link, its last word
  follow(3s);
  CHECK(one.view().reached() == 2);
}

TEST_CASE("a link from before a replica is a member counts once it is one", "[host][quorum]") {
  listener one;
  one.leader = b;
  constexpr raft::member_id d{4};
  one.watch.linked(d);
  for (auto each = 0; each < 50; ++each) {
    one.wake(100ms);
    one.hears_heartbeat_of(b);
  }
  one.members.members[d] = {true, "D"};
  CHECK(one.view().reached() == 3);
}

TEST_CASE("who has no vote, or nobody else to ask, never misses the quorum", "[host][quorum]") {
  listener learner;
  learner.members.members[a].votes = false;
  learner.run(1min);
  CHECK(learner.told.code == errc::none);
  listener stranger;
  stranger.members = {};
  stranger.run(1min);
  CHECK(stranger.told.code == errc::none);
  CHECK(stranger.view().voters.empty());
  listener alone;
  alone.members = {{{a, {true, "A"}}}};
  alone.run(1min);
  CHECK(alone.told.code == errc::none);
}

TEST_CASE("a group of patient timers is given two election time-outs", "[host][quorum]") {
  auto slow = raft::wan();
  slow.election_timeout = 5s;
  CHECK(quorum_watch{a, slow, nullptr, time_point{}}.patience() == 10s);
  CHECK(quorum_watch{a, raft::lan(), nullptr, time_point{}}.patience() == 2s);
}

} // namespace quorum_watch_test
