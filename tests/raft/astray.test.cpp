// Disks that have lost what they had synced: who is heard, who leads, and who gets a vote.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "one_replica.hpp"
#include "troupe/core/checksum.hpp"

namespace astray_test {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace troupe;
using namespace troupe::raft;
using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a leader that lacks what is committed here is not heard", "[raft]") {
  subject replica;
  auto committed = append{3, 1, 3, {}, 1, {}};
  replica.hear({1, committed});
  REQUIRE((*replica).commit_index() == 3);
  auto is_deaf = [&] {
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("is committed here in term 1"));
    CHECK(replica.all<replica::send>().empty());
    CHECK((*replica).leader() == member_id{});
    CHECK((*replica).term_of(2) == 1);
  };
  SECTION("by an entry") {
    replica.hear({2, entries_behind(1, 1, {{2, 2, {}, no_op{}}})}, {3});
    is_deaf();
  }
  SECTION("by the entry before") {
    replica.hear({2, entries_behind(2, 2, {{3, 2, {}, no_op{}}})}, {3});
    is_deaf();
  }
  SECTION("by a snapshot") {
    auto header = header_at(2);
    header.term = 2;
    snapshot_part first;
    first.header = header;
    first.size = 1;
    first.bytes = "x";
    replica.hear({2, first}, {3});
    is_deaf();
  }
  SECTION("and hears the one that has it") {
    replica.hear({2, entries_behind(1, 1, {{2, 2, {}, no_op{}}})}, {3});
    replica.hear({3, committed});
    CHECK((*replica).leader() == member_id{2});
  }
}

namespace {

/// Replica 1 of so many voters, with a snapshot at entry 1,000, made in term 5.
stored_state snapshot_of(std::uint64_t voters) {
  stored_state disk;
  disk.last_ballot = {5, {}};
  disk.base.index = 1'000;
  disk.base.term = 5;
  for (std::uint64_t each = 1; each <= voters; ++each)
    disk.base.members.members[{each}] = {true, ""};
  for (std::uint64_t each = 1; each <= 3; ++each)
    disk.entries.push_back({1'000 + each, 5, {}, disk.base.members});
  return disk;
}

} // namespace

TEST_CASE("a leader whose log ends before what is committed here is not heard", "[raft]") {
  subject replica{lan(), snapshot_of(3)};
  append news{60, 4, 60, {}, 1, {}};
  auto is_heard = [&](term_number term, log_index last) {
    news.last_index = last;
    replica.hear({term, news});
    return (*replica).leader() == member_id{2};
  };
  CHECK_FALSE(is_heard(6, 999));
  CHECK_THAT(replica.only<replica::ignored>().why.detail,
             ContainsSubstring("entry 1000 is committed here, and the log of that leader ends at "
                               "999"));
  CHECK(replica.all<replica::send>().empty());
  CHECK(is_heard(6, 1'000));
  INFO("of the term of that entry it is late, and the log has grown since");
  subject later{lan(), snapshot_of(3)};
  news.last_index = 999;
  later.hear({5, news});
  CHECK((*later).leader() == member_id{2});
}

TEST_CASE("a leader that contradicts what a snapshot has here is not heard", "[raft]") {
  auto how = lan();
  how.keep_entries = 0;
  subject replica{how};
  replica.hear({1, append{3, 1, 3, {}, 1, {}}});
  replica.step(replica::compacted{3});
  REQUIRE((*replica).look({}).first == 4);
  replica.hear({2, entries_behind(2, 2, {})}, {3});
  CHECK_THAT(replica.only<replica::ignored>().why.detail,
             ContainsSubstring("is committed here in term 1"));
  CHECK(replica.all<replica::send>().empty()); // that it has what is committed, say
  replica.hear({2, entries_behind(2, 1, {})}, {3});
  CHECK((*replica).leader() == member_id{3});
}

TEST_CASE("a replica that committed what the leader of the others lacks does not disturb them",
          "[raft]") {
  subject replica;
  replica.hear({2, append{3, 1, 4, {}, 1, {{4, 2, {}, no_op{}}}}});
  REQUIRE((*replica).commit_index() == 4);
  for (auto each = 0; each < 100; ++each) {
    replica.hear({3, entries_behind(4, 1, {{5, 1, {}, no_op{}}})}, {3});
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("a disk has lost what it had synced"));
    replica.run(lan().heartbeat);
    for (auto& [to, what] : replica.all<replica::send>()) // it may ask for votes, as a trial
      CHECK(std::get<vote_request>(what.body).trial);
    CHECK((*replica).leader() == member_id{});
  }
  CHECK((*replica).term() == 3);
}

TEST_CASE("a leader that lacks what another one of its term has committed leads no more",
          "[raft]") {
  subject replica;
  replica.lead();
  replica.hear({2, append{3, 1, 3, {}, 1, {}}}, {3}); // says nothing of who is right
  CHECK((*replica).current_role() == role::leader);
  replica.hear({2, append{9, 1, 9, {}, 1, {}}}, {3});
  CHECK_THAT(replica.only<replica::ignored>().why.detail,
             ContainsSubstring("a disk has lost what it had synced"));
  CHECK((*replica).current_role() == role::follower);
}

namespace {

/// The disk of a replica that votes alone: an older copy, from before others voted.
stored_state older_copy() {
  stored_state disk;
  disk.last_ballot = {8, {}};
  disk.base.members.members[{1}] = {true, ""};
  disk.entries = {{1, 7, {}, no_op{}}, {2, 7, {}, std::string{"x"}}};
  return disk;
}

/// Leads alone in term 9 and has committed entry 3.
subject lonely_leader() {
  subject replica{lan(), older_copy()};
  replica.run(50ms);
  REQUIRE((*replica).current_role() == role::leader);
  REQUIRE((*replica).term() == 9);
  REQUIRE((*replica).commit_index() == 3);
  return replica;
}

/// That seat votes from here on, too; the leader's log ended before `next`.
void take_in_a_voter(subject& replica, member_id seat = {2}, log_index next = 4) {
  replica.step(replica::add_learner{seat, ""});
  append_answer has_all{true, next, 0, 0, 0, next};
  replica.hear({9, has_all}, seat);
  replica.step(replica::promote{seat});
  has_all.index = has_all.last_index = next + 1;
  replica.hear({9, has_all}, seat);
  REQUIRE((*replica).members().voters().size() == 2);
}

} // namespace

TEST_CASE("one that leads alone leads no more when an earlier leader has committed what it lacks",
          "[raft]") {
  auto replica = lonely_leader();
  append heartbeat{3, 8, 3, {}, 1, {}};
  auto hears = [&](message what) {
    replica.hear(std::move(what));
    CHECK_FALSE(replica.said<append_answer>().accepted);
    return (*replica).current_role() == role::leader ? "goes on" : "stops";
  };
  SECTION("its entry is another one") {
    CHECK(hears({8, heartbeat}) == "stops"s);
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("entry 3 was committed in term 8")
                 && ContainsSubstring("it led alone without that"));
    INFO("nor does it stand again, also when it hears of no leader any more");
    replica.run(lan().election_timeout * 10);
    CHECK((*replica).current_role() == role::follower);
    CHECK((*replica).term() == 9);
    INFO("until it has heard nothing of them for long: they may be the older copies");
    replica.run(lan().election_timeout * 85);
    CHECK((*replica).current_role() == role::follower);
    replica.run(lan().election_timeout * 5 + 100ms);
    CHECK((*replica).current_role() == role::leader);
  }
  SECTION("and a leader that says nothing of what it lacks does not end that") {
    CHECK(hears({8, heartbeat}) == "stops"s);
    replica.hear({10, append{2, 7, 2, {}, 1, {}}});
    CHECK((*replica).leader() == member_id{2});
    replica.run(lan().election_timeout * 90);
    CHECK((*replica).current_role() == role::follower);
  }
  SECTION("it does not reach so far") {
    heartbeat.previous_index = heartbeat.commit = 4;
    CHECK(hears({8, heartbeat}) == "stops"s);
  }
  SECTION("it is told no more than how much is committed") {
    CHECK(hears({8, {append{0, 0, 3, {}, 1, {}}}}) == "goes on"s);
    CHECK(hears({8, {append{0, 0, 4, {}, 1, {}}}}) == "stops"s);
  }
  SECTION("entries come with it") {
    CHECK(hears({8, {append{2, 7, 3, {}, 1, {{3, 8, {}, no_op{}}}}}}) == "stops"s);
  }
  SECTION("a snapshot says so") {
    auto part = part_of("x", 0, 1);
    CHECK(hears({8, part}) == "stops"s);
  }
  SECTION("others have come to it since") {
    take_in_a_voter(replica);
    SECTION("and another voter says so") {
      replica.hear({8, heartbeat}, {3});
    }
    SECTION("and another voter asks for votes") {
      replica.hear({10, vote_request{500, 8, true, false, 3, 8}}, {3});
      CHECK(replica.said<vote_answer>().astray);
    }
    CHECK((*replica).current_role() == role::follower);
    CHECK(replica.all<replica::forgot>().empty()); // others have what it has done since
  }
  SECTION("the other one has not committed it") {
    heartbeat.commit = 2;
    CHECK(hears({8, heartbeat}) == "goes on"s);
    CHECK(hears({8, {append{2, 7, 2, {}, 1, {{3, 8, {}, no_op{}}}}}}) == "goes on"s);
  }
  SECTION("what the other one has committed is here") {
    CHECK(hears({8, {append{2, 7, 2, {}, 1, {}}}}) == "goes on"s);
  }
}

TEST_CASE("one that led alone stands no more, also when the others' term is the later one",
          "[raft]") {
  auto replica = lonely_leader();
  for (auto each = 0; each < 100; ++each) {
    replica.hear({100, append{3, 100, 3, {}, 1, {}}});
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("it led alone without that"));
    replica.run(lan().election_timeout);
    CHECK((*replica).current_role() == role::follower);
  }
  CHECK((*replica).term() == 100);
}

TEST_CASE("a leader that contradicts what lies below a snapshot is not heard", "[raft]") {
  auto contradiction = append{60, 39'999, 61, {}, 1, {}};
  SECTION("and not disturbed, where this replica led alone") {
    subject replica{lan(), snapshot_of(1)};
    replica.run(50ms);
    REQUIRE((*replica).current_role() == role::leader);
    replica.hear({40'000, contradiction});
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("it led alone without that"));
    replica.run(lan().election_timeout * 90);
    CHECK((*replica).current_role() == role::follower);
  }
  SECTION("and there may be another one, where others vote") {
    subject replica{lan(), snapshot_of(3)};
    replica.hear({40'000, contradiction});
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("of a voter that elected the leader"));
    replica.run(lan().election_timeout * 5);
    CHECK((*replica).current_role() == role::pre_candidate);
  }
}

TEST_CASE("what a leader sends from below a snapshot is heard, and acknowledged no further than "
          "that leader knows it to be committed",
          "[raft]") {
  subject replica{lan(), snapshot_of(3)};
  replica.hear({9, append{600, 3, 602, {}, 1, {}}});
  CHECK((*replica).leader() == member_id{2});
  CHECK(replica.said<append_answer>().accepted);
  CHECK(replica.said<append_answer>().index == 602);
  replica.hear({9, append{600, 3, 900, {}, 1, {{601, 3, {}, no_op{}}}}});
  CHECK(replica.said<append_answer>().index == 900);
  replica.hear({9, append{600, 3, 9'000, {}, 2, {}}});
  CHECK(replica.said<append_answer>().index == 1'000);
  INFO("what it adds in its own term contradicts the snapshot");
  replica.hear({9, append{602, 3, 602, {}, 3, {{603, 9, {}, no_op{}}}}});
  CHECK((*replica).leader() == member_id{});
}

TEST_CASE(
  "one that leads alone leads no more when an earlier leader has committed what its snapshot "
  "cannot have",
  "[raft]") {
  auto disk = snapshot_of(1);
  disk.last_ballot = {20, {}};
  subject replica{lan(), disk};
  replica.run(50ms);
  REQUIRE((*replica).current_role() == role::leader);
  replica.hear({10, append{60, 5, 61, {}, 1, {}}});
  CHECK((*replica).current_role() == role::leader); // it may have that
  replica.hear({10, append{60, 6, 61, {}, 1, {}}});
  CHECK((*replica).current_role() == role::follower);
}

TEST_CASE("the only voter that has heard of more waits for three election time-outs", "[raft]") {
  subject replica{lan(), older_copy()};
  replica.hear({9, vote_request{500, 8, false, false}});
  replica.run(lan().election_timeout * 3 - 50ms);
  CHECK((*replica).current_role() == role::follower);
  replica.run(100ms);
  CHECK((*replica).current_role() == role::leader);
}

TEST_CASE("one that led alone stands again once it has what the others have, on another seat",
          "[raft]") {
  auto replica = lonely_leader();
  replica.hear({8, append{3, 8, 3, {}, 1, {}}});
  REQUIRE((*replica).current_role() == role::follower);
  auto seat = member_id{3};
  replica.step(replica::change_seat{seat});
  auto header = header_at(50);
  snapshot_part whole{header, 0, 1, crc32c("x"), "x"};
  replica.hear({20, whole});
  replica.hear({20, append{50, 1, 51, {}, 2, {{51, 20, {}, no_op{}}}}});
  REQUIRE((*replica).members().votes(seat));
  auto role_after = [&](duration span) {
    replica.run(span);
    return (*replica).current_role();
  };
  CHECK(role_after(lan().election_timeout * 3) != role::follower);
}

TEST_CASE("a leader with voters behind it goes on, whatever an earlier one says", "[raft]") {
  subject replica;
  replica.lead();
  replica.hear({1, append{9, 1, 9, {}, 1, {}}}, {3});
  CHECK((*replica).current_role() == role::leader);
  CHECK_FALSE(replica.said<append_answer>().accepted);
}

namespace {

/// Who asks whether there would be votes has this much, and knows that much to be committed.
message would_vote(term_number term, const vote_request& what) {
  auto trial = what;
  trial.trial = true;
  return {term, trial};
}

bool is_refused_as_astray(const subject& replica) {
  auto answer = replica.said<vote_answer>();
  return !answer.granted && answer.astray;
}

} // namespace

TEST_CASE("one that leads alone leads no more when a voter knows to be committed what it lacks",
          "[raft]") {
  auto replica = lonely_leader();
  auto asked
    = GENERATE(vote_request{500, 8, false, false, 400, 8}, vote_request{3, 8, false, false, 3, 8},
               vote_request{4, 9, false, false, 4, 9}, vote_request{2, 6, false, false, 2, 6});
  CAPTURE(asked.commit_index, asked.commit_term);
  SECTION("it is asked whether it would vote") {
    replica.hear(would_vote(10, asked));
    CHECK((*replica).term() == 9);
  }
  SECTION("it is asked for its vote") {
    replica.hear({10, asked});
    CHECK((*replica).term() == 9);
  }
  SECTION("in an earlier term") {
    replica.hear(would_vote(9, asked));
  }
  CHECK(is_refused_as_astray(replica));
  CHECK((*replica).current_role() == role::follower);
  auto why = replica.only<replica::ignored>();
  CHECK(why.contradicts);
  CHECK(replica.only<replica::forgot>().seat == member_id{1});
  CHECK_THAT(why.why.detail, ContainsSubstring("entry " + std::to_string(asked.commit_index))
                               && ContainsSubstring("it led alone without that"));
  INFO("nor does it lead again while it is asked");
  for (auto each = 0; each < 3; ++each) {
    replica.run(lan().election_timeout * 90);
    CHECK((*replica).current_role() == role::follower);
    replica.hear(would_vote(10, asked));
    CHECK(is_refused_as_astray(replica));
  }
}

TEST_CASE("one that leads alone goes on when it has all that a voter knows to be committed",
          "[raft]") {
  auto replica = lonely_leader();
  auto asked
    = GENERATE(vote_request{500, 8, false, false, 2, 7}, vote_request{1, 7, false, false, 1, 7},
               vote_request{3, 8, false, false, 0, 0}, vote_request{3, 9, false, false, 3, 9});
  replica.hear(would_vote(10, asked));
  CHECK((*replica).current_role() == role::leader);
  CHECK_FALSE(replica.said<vote_answer>().granted);
  CHECK_FALSE(replica.said<vote_answer>().astray);
  CHECK(replica.all<replica::ignored>().empty());
}

TEST_CASE("what lies below its snapshot tells one that leads alone nothing, but for a later term",
          "[raft]") {
  auto disk = snapshot_of(1);
  disk.last_ballot = {20, {}};
  subject replica{lan(), disk};
  replica.run(50ms);
  REQUIRE((*replica).current_role() == role::leader);
  replica.hear(would_vote(22, {60, 5, false, false, 60, 5}));
  CHECK((*replica).current_role() == role::leader);
  replica.hear(would_vote(22, {60, 6, false, false, 60, 6}));
  CHECK((*replica).current_role() == role::follower);
}

TEST_CASE("one that has others' votes goes on, whatever another voter knows", "[raft]") {
  subject replica;
  replica.lead();
  replica.hear(would_vote(3, {500, 1, false, false, 500, 1}), {3});
  CHECK((*replica).current_role() == role::leader);
  CHECK_FALSE(replica.said<vote_answer>().astray);
}

TEST_CASE("the only voter votes for nobody who knows to be committed what it lacks", "[raft]") {
  subject replica{lan(), older_copy()};
  replica.hear({9, {vote_request{500, 8, false, false, 400, 8}}});
  CHECK(is_refused_as_astray(replica));
  CHECK((*replica).term() == 8);
  replica.run(lan().election_timeout * 500);
  CHECK((*replica).current_role() == role::follower);
  INFO("nor for anybody else: it needs no vote");
  replica.hear({9, {vote_request{500, 8, false, false, 2, 7}}});
  CHECK_FALSE(replica.said<vote_answer>().granted);
  CHECK_FALSE(replica.said<vote_answer>().astray);
}

TEST_CASE("a voter gives no vote to who has committed something else in a place than it has",
          "[raft]") {
  subject replica;
  replica.hear({1, append{3, 1, 2, {}, 1, {}}});
  REQUIRE((*replica).commit_index() == 2);
  replica.run(lan().election_timeout * 3);
  auto term = term_number{6};
  SECTION("of a later term") {
    replica.hear({term, vote_request{9, 5, false, false, 2, 5}}, {3});
    CHECK(is_refused_as_astray(replica));
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("entry 2 is committed here in term 1, and there it is of term 5")
                 && ContainsSubstring("Find which folder is an older copy"));
    CHECK((*replica).term() == 1);
  }
  SECTION("also when the leader wants it") {
    replica.hear({1, append{3, 1, 2, {}, 1, {}}}, {2});
    replica.hear({term, vote_request{9, 5, false, true, 2, 5}}, {3});
    CHECK(is_refused_as_astray(replica));
  }
  SECTION("but to who is only ahead, or behind") {
    auto commit = GENERATE(0U, 1U, 9U);
    replica.hear({term, vote_request{9, 5, false, false, commit,
                                     commit > 2   ? 5U
                                     : commit > 0 ? 1U
                                                  : 0U}},
                 {3});
    CHECK(replica.said<vote_answer>().granted);
  }
  SECTION("and to who has replaced what is not committed here") {
    replica.hear({term, vote_request{9, 5, false, false, 3, 5}}, {3});
    CHECK(replica.said<vote_answer>().granted);
  }
}

TEST_CASE("who asks for votes says what it knows to be committed", "[raft]") {
  subject replica;
  replica.hear({2, append{3, 1, 2, {}, 1, {{4, 2, {}, no_op{}}}}});
  replica.run(lan().election_timeout * 2);
  auto asks = replica.all<replica::send>();
  REQUIRE(asks.size() >= 2);
  auto what = std::get<vote_request>(asks.back().what.body);
  CHECK(what.commit_index == 2);
  CHECK(what.commit_term == 1);
}

TEST_CASE("a new link is asked for votes within a heartbeat, unless there is a leader", "[raft]") {
  auto asked_after = [](subject& replica, member_id other) {
    replica.step(replica::found_link{other});
    replica.run(lan().heartbeat * 3);
    for (auto& each : replica.all<replica::send>())
      if (std::holds_alternative<vote_request>(each.what.body) && each.to == other)
        return true;
    return false;
  };
  subject replica;
  SECTION("nobody leads") {
    CHECK(asked_after(replica, {3}));
    INFO("also while others are asked");
    REQUIRE((*replica).current_role() == role::pre_candidate);
    CHECK(asked_after(replica, {2}));
  }
  SECTION("somebody leads") {
    replica.hear({1, append{3, 1, 3, {}, 1, {}}});
    CHECK_FALSE(asked_after(replica, {3}));
  }
  SECTION("by one that does not vote") {
    stored_state disk;
    disk.base.members.members = {{{1}, {false, ""}}, {{3}, {true, ""}}};
    subject learner{lan(), disk};
    CHECK_FALSE(asked_after(learner, {3}));
  }
}

TEST_CASE("a voter gives no vote to who has committed something later below its snapshot",
          "[raft]") {
  subject replica{lan(), snapshot_of(3)};
  replica.run(lan().election_timeout * 3);
  auto term = GENERATE(4U, 5U, 6U);
  replica.hear({20, vote_request{2'000, 9, true, false, 60, term}}, {3});
  CHECK(is_refused_as_astray(replica) == (term == 6));
}

TEST_CASE("of two that need nobody's vote neither hears the other", "[raft]") {
  append news{4, 8, 4, {}, 1, {}, 4, true};
  SECTION("while it leads") {
    auto replica = lonely_leader();
    replica.hear({40'000, news});
    CHECK((*replica).current_role() == role::leader);
    CHECK((*replica).term() == 9);
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("find out which, and stop that node"));
    CHECK(replica.all<replica::forgot>().empty());
    CHECK(replica.all<replica::send>().empty());
  }
  SECTION("nor ends its term by a later one, and says nothing of what may be late") {
    auto replica = lonely_leader();
    auto committed = GENERATE(2U, 4U);
    replica.hear({8, append{committed, 7, committed, {}, 1, {}, committed, true}});
    CHECK((*replica).current_role() == role::leader);
    CHECK(replica.all<replica::ignored>().empty());
    CHECK(replica.all<replica::send>().empty());
  }
  SECTION("while it waits") {
    auto disk = snapshot_of(1);
    auto how = lan();
    how.lead_alone_after = 3s;
    subject replica{how, disk};
    replica.hear({40'000, news});
    CHECK((*replica).leader() == member_id{});
    CHECK(replica.all<replica::forgot>().empty());
    replica.run(4s);
    CHECK((*replica).current_role() == role::leader);
  }
}

TEST_CASE("one that would be the only voter, if that was committed, hears a leader that is",
          "[raft]") {
  stored_state disk;
  disk.last_ballot = {7, {}};
  disk.base.members.members[{1}] = {true, ""};
  disk.base.members.members[{2}] = {true, ""};
  disk.entries = {{1, 7, {}, no_op{}}, {2, 7, {}, configuration{{{{1}, {true, ""}}}}}};
  disk.committed = 1;
  subject replica{lan(), disk};
  replica.hear(
    {9, append{1, 7, 2, {}, 1, {{2, 8, {}, configuration{{{{2}, {true, ""}}}}}}, 2, true}});
  CHECK((*replica).leader() == member_id{2});
  CHECK((*replica).members().votes({2}));
}

TEST_CASE("the only voter of several that there were keeps its seat, whatever they say", "[raft]") {
  auto disk = older_copy();
  configuration both{{{{1}, {true, ""}}, {{2}, {true, ""}}}};
  configuration alone{{{{1}, {true, ""}}}};
  both.promotions = alone.promotions = 1;
  disk.entries.push_back({3, 7, {}, both});
  disk.entries.push_back({4, 7, {}, alone});
  disk.committed = 4;
  auto how = lan();
  how.keep_entries = 0;
  subject replica{how, disk};
  auto has_forgotten = GENERATE(false, true);
  CAPTURE(has_forgotten); // how it came to be the only one, in its log
  if (has_forgotten) {
    replica.run(lan().election_timeout * 3);
    replica.step(replica::compacted{4});
    REQUIRE((*replica).look({}).first > 4);
  }
  SECTION("a leader that others have elected") {
    replica.hear({20, append{9, 8, 9, {}, 1, {}, 9}});
  }
  SECTION("a voter that knows something else to be committed") {
    replica.hear(would_vote(20, {9, 8, false, false, 9, 8}));
    CHECK(is_refused_as_astray(replica));
  }
  CHECK(replica.all<replica::forgot>().empty());
}

TEST_CASE("how often voters were added is known for ever", "[raft]") {
  auto founder = lonely_leader();
  CHECK((*founder).members().promotions == 0);
  take_in_a_voter(founder);
  CHECK((*founder).members().promotions == 1);
  founder.step(replica::remove{{2}});
  REQUIRE((*founder).members().voters().size() == 1);
  CHECK((*founder).members().promotions == 1);
}

namespace {

/// Leads in term 2, by the vote of another one, which has all that it has.
subject elected_leader() {
  subject replica;
  replica.lead();
  auto last = (*replica).last_index();
  replica.hear({2, append_answer{true, last, last}});
  REQUIRE((*replica).commit_index() == last);
  return replica;
}

} // namespace

TEST_CASE("a copy that leads alone, and contradicts what is committed, ends nobody's term",
          "[raft]") {
  auto replica = elected_leader();
  auto last = (*replica).last_index();
  append news{last, 9, last, {}, 1, {}, last, true};
  SECTION("in a later term") {
    replica.hear({9, news}, {3});
    CHECK_THAT(replica.only<replica::ignored>().why.detail,
               ContainsSubstring("is committed here in term 2"));
  }
  SECTION("nor is its own ended in an earlier one") {
    news.previous_term = 1;
    replica.hear({1, news}, {3});
    CHECK(replica.all<replica::ignored>().empty());
  }
  CHECK(replica.all<replica::send>().empty());
  CHECK((*replica).current_role() == role::leader);
  CHECK((*replica).term() == 2);
}

namespace {

/// A voter of three; four times one was added.
subject voter_of_three() {
  stored_state disk;
  disk.last_ballot = {1, {}};
  disk.base = header_at(40);
  disk.base.members.promotions = 4;
  return subject{lan(), disk};
}

/// The one part of the snapshot at that entry that a leader by its own vote alone has made.
snapshot_part part_of_copy(log_index index, std::uint64_t promotions) {
  snapshot_header header{index, 1, {}, {{{{9}, {true, ""}}, {{1}, {false, ""}}}}};
  header.members.promotions = promotions;
  return {header, 0, 1, crc32c("x"), "x"};
}

} // namespace

TEST_CASE("who leads alone where voters were added less often is not heard", "[raft]") {
  auto replica = voter_of_three();
  auto hears = [&](term_number term, auto body) {
    replica.hear({term, std::move(body)}, {9});
    CHECK((*replica).last_index() == 40);
    return (*replica).leader() == member_id{9};
  };
  append news{500, 9, 500, {}, 1, {}, 500, true, 3};
  SECTION("in a later term, which is not taken") {
    SECTION("what it sends is behind this log") {
      CHECK_FALSE(hears(9, news));
    }
    SECTION("it sends a snapshot") {
      CHECK_FALSE(hears(9, part_of_copy(500, 3)));
    }
    CHECK((*replica).term() == 1);
    CHECK(replica.only<replica::ignored>().contradicts);
    CHECK_THAT(
      replica.only<replica::ignored>().why.detail,
      ContainsSubstring("at entry 500 voters had been added 3 times there, and here 4 times"));
    CHECK(replica.all<replica::send>().empty());
    CHECK(replica.all<replica::forgot>().empty());
  }
  SECTION("in the same one") {
    CHECK_FALSE(hears(1, part_of_copy(500, 3)));
    news.previous_term = 1;
    CHECK_FALSE(hears(1, news));
  }
  SECTION("also if it ends where this log is committed") {
    CHECK_FALSE(hears(9, part_of_copy(40, 3)));
    CHECK((*replica).term() == 1);
  }
  SECTION("but if it is the only one that is left of them") {
    news.promotions = 4;
    CHECK(hears(9, news));
    replica.hear({9, part_of_copy(500, 4)}, {9});
    CHECK((*replica).last_index() == 500);
  }
  SECTION("or if what it sends may be of before others voted") {
    CHECK(hears(1, part_of_copy(39, 3)));
    CHECK(hears(1, append{39, 1, 39, {}, 1, {}, 39, true, 3}));
  }
}

TEST_CASE("a leader is heard that knows nothing of a voter whose addition was never committed",
          "[raft]") {
  stored_state disk;
  disk.last_ballot = {1, {}};
  disk.base = header_at(40);
  auto members = disk.base.members;
  members.promotions = 1;
  disk.entries = {{41, 1, {}, members}};
  subject replica{lan(), disk};
  replica.hear({9, append{40, 1, 40, {}, 1, {{41, 9, {}, no_op{}}}, 41, true}}, {9});
  CHECK((*replica).leader() == member_id{9});
  CHECK((*replica).members().promotions == 0);
}

TEST_CASE("a leader goes on beside one of its term where voters were added less often", "[raft]") {
  auto replica = voter_of_three();
  replica.lead();
  auto term = (*replica).term();
  replica.hear({term, part_of_copy(500, 3)}, {9});
  CHECK(replica.only<replica::ignored>().contradicts);
  CHECK((*replica).current_role() == role::leader);
}

TEST_CASE("who led alone hears the only one that is left of the others", "[raft]") {
  auto replica = lonely_leader();
  take_in_a_voter(replica);
  replica.hear({12, append{3, 11, 3, {}, 1, {}, 6, true, 9}}, {7});
  CHECK((*replica).term() == 12);
  CHECK((*replica).current_role() == role::follower);
  CHECK_THAT(replica.only<replica::ignored>().why.detail,
             ContainsSubstring("it led alone without that"));
}

TEST_CASE("a leader that needs votes is told of a later term, whatever it contradicts", "[raft]") {
  auto replica = elected_leader();
  auto last = (*replica).last_index();
  replica.hear({1, append{last, 1, last, {}, 1, {}, last}}, {3});
  CHECK_FALSE(replica.said<append_answer>().accepted);
}

TEST_CASE("a founder that stood still while others elected a leader doubts nobody", "[raft]") {
  auto replica = lonely_leader();
  take_in_a_voter(replica);
  replica.hear(would_vote(12, {9, 11, false, false, 9, 11}), {3});
  CHECK(replica.all<replica::ignored>().empty());
  CHECK_FALSE(replica.said<vote_answer>().astray);
}

TEST_CASE("a leader with votes behind it goes on, whatever one voter knows to be committed",
          "[raft]") {
  auto replica = elected_leader();
  auto last = (*replica).last_index();
  replica.hear(would_vote(3, {last, 1, true, false, last, 1}), {3});
  CHECK(replica.all<replica::ignored>().empty());
  CHECK((*replica).current_role() == role::leader);
  CHECK_FALSE(replica.said<vote_answer>().astray);
}

TEST_CASE("a leader says where its log ends, and whether it needs nobody's vote", "[raft]") {
  auto says = [](subject& replica) {
    replica.run(lan().heartbeat * 3);
    auto sent = replica.all<replica::send>();
    REQUIRE_FALSE(sent.empty());
    return std::get<append>(sent.back().what.body);
  };
  subject replica;
  replica.lead();
  CHECK(says(replica).last_index == (*replica).last_index());
  CHECK_FALSE(says(replica).alone);
  CHECK(says(replica).promotions == 0);
  auto founder = lonely_leader();
  founder.step(replica::add_learner{{2}, ""});
  CHECK(says(founder).last_index == (*founder).last_index());
  CHECK(says(founder).alone);
  CHECK(says(founder).promotions == 0);
  take_in_a_voter(founder, {3}, 5);
  CHECK(says(founder).promotions == 1);
}

} // namespace astray_test
