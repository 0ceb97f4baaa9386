// What comes late, or from the wrong one, and what a replica does then.

#include "troupe/raft/replica.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "one_replica.hpp"

namespace late_news_test {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace troupe;
using namespace troupe::raft;
using namespace troupe::test;

namespace {

/// What was sent to that seat, of one kind.
template <class Body>
std::vector<Body> sent_to(const subject& replica, member_id to) {
  std::vector<Body> found;
  for (auto& each : replica.all<replica::send>())
    if (auto* body = std::get_if<Body>(&each.what.body); body && each.to == to)
      found.push_back(*body);
  return found;
}

/// Replica 1, which takes no part in votes.
stored_state disk_of_learner() {
  stored_state disk;
  disk.last_ballot = {1, {}};
  disk.base.members.members = {{{1}, {false, ""}}, {{2}, {true, ""}}, {{3}, {true, ""}}};
  return disk;
}

const append heartbeat{3, 1, 3, {}, 1, {}};

} // namespace

TEST_CASE("a voter stands when its leader tells it to take over, and when nobody else does",
          "[raft]") {
  subject replica;
  replica.hear({2, heartbeat}, {3});
  replica.hear({2, take_over{}}, {2});
  CHECK((*replica).current_role() == role::follower);
  CHECK((*replica).term() == 2);
  replica.hear({2, take_over{}}, {3});
  CHECK((*replica).current_role() == role::candidate);
  CHECK((*replica).term() == 3);
}

TEST_CASE("a learner stands for nobody", "[raft]") {
  subject learner{lan(), disk_of_learner()};
  SECTION("not when a leader tells it to take over") {
    learner.hear({2, append{0, 0, 0, {}, 1, {}}}, {3});
    learner.hear({2, take_over{}}, {3});
    CHECK((*learner).current_role() == role::follower);
    CHECK((*learner).term() == 2);
  }
  SECTION("and a new link does not wake it earlier") {
    auto due = (*learner).next_deadline();
    learner.step(replica::found_link{{3}});
    CHECK((*learner).next_deadline() == due);
  }
}

TEST_CASE("who does not vote knows of no leader once none is heard, and says so once", "[raft]") {
  subject learner{lan(), disk_of_learner()};
  for (auto each = 0; each < 40; ++each) {
    learner.run(50ms);
    learner.hear({2, append{0, 0, 0, {}, 1, {}}}, {3});
    CHECK((*learner).leader() == member_id{3});
  }
  learner.step(replica::found_link{{2}});
  learner.run(10s);
  CHECK((*learner).leader() == member_id{});
  auto said = learner.only<replica::changed_role>();
  CHECK(said.now == role::follower);
  CHECK(said.leader == member_id{});
  CHECK(said.cause == "the leader is silent");
  CHECK((*learner).term() == 2); // it asks nobody
}

TEST_CASE("only the link of its leader makes a follower stand earlier, and never later", "[raft]") {
  subject replica;
  replica.hear({2, heartbeat}, {3});
  auto due = *(*replica).next_deadline();
  SECTION("another link") {
    replica.step(replica::lost_link{{2}});
    CHECK((*replica).next_deadline() == due);
  }
  SECTION("that of the leader") {
    replica.step(replica::lost_link{{3}});
    CHECK(*(*replica).next_deadline() <= time_point{} + lan().heartbeat);
  }
  SECTION("when it would stand anyway") {
    auto how = lan();
    how.heartbeat = 60ms;
    subject late{how};
    late.hear({2, heartbeat}, {3});
    auto at = *(*late).next_deadline();
    late.run(150ms);
    for (auto now = time_point{150ms}; now + 50ms < at; now += 50ms)
      late.run(50ms);
    REQUIRE((*late).next_deadline() == at);
    late.step(replica::lost_link{{3}});
    CHECK(*(*late).next_deadline() <= at);
  }
}

TEST_CASE("a leader that is heard again after its link was lost keeps its followers' votes",
          "[raft]") {
  subject replica;
  replica.hear({2, heartbeat}, {3});
  auto would_vote = [&] {
    replica.hear({3, vote_request{9, 2, true, false}}, {2});
    return replica.said<vote_answer>().granted;
  };
  CHECK_FALSE(would_vote());
  replica.step(replica::lost_link{{3}});
  CHECK(would_vote());
  replica.hear({2, heartbeat}, {3});
  CHECK_FALSE(would_vote());
}

TEST_CASE("a leader is kept when another one of its term contradicts what is committed", "[raft]") {
  subject replica;
  replica.hear({2, heartbeat}, {3});
  REQUIRE((*replica).commit_index() == 3);
  replica.hear({2, entries_behind(2, 2, {})}, {2});
  CHECK(replica.only<replica::ignored>().contradicts);
  CHECK((*replica).leader() == member_id{3});
}

TEST_CASE("who led alone leads no more where a leader of its term has an entry of a later term",
          "[raft]") {
  auto disk = disk_of_learner();
  disk.base.members.members = {{{1}, {true, ""}}};
  disk.entries = {{1, 1, {}, no_op{}}};
  subject replica{lan(), disk};
  replica.lead();
  replica.hear({2, entries_behind(0, 0, {{1, 2, {}, no_op{}}})});
  CHECK(replica.only<replica::ignored>().contradicts);
  CHECK((*replica).current_role() == role::follower);
}

TEST_CASE("who was cut off cannot overthrow a leader that is heard", "[raft]") {
  subject replica;
  replica.hear({2, heartbeat}, {3});
  replica.hear({9, vote_request{9, 2, false, false}}, {2});
  CHECK(replica.all<replica::send>().empty());
  CHECK((*replica).term() == 2);
  CHECK((*replica).leader() == member_id{3});
}

TEST_CASE("the answer to an earlier trial is no vote in this one", "[raft]") {
  subject replica;
  replica.run(300ms);
  REQUIRE((*replica).current_role() == role::pre_candidate);
  replica.hear({1, vote_answer{true, true}});
  CHECK((*replica).current_role() == role::pre_candidate);
  replica.hear({2, vote_answer{true, true}});
  CHECK((*replica).current_role() == role::candidate);
}

TEST_CASE("a replica hears neither itself nor nobody", "[raft]") {
  for (auto from : {member_id{1}, member_id{}}) {
    subject replica;
    replica.hear({2, heartbeat}, from);
    CHECK(replica.only<replica::ignored>().why.code == errc::bad_argument);
    CHECK((*replica).term() == 1);
  }
}

TEST_CASE("a voter has one vote in a term, and none for a term that is over", "[raft]") {
  subject replica;
  auto has_vote = [&](term_number term, member_id from, log_index last) {
    replica.hear({term, vote_request{last, 1, false, false}}, from);
    return replica.said<vote_answer>().granted;
  };
  CHECK_FALSE(has_vote(5, {2}, 1)); // its log is older
  CHECK_FALSE(has_vote(3, {2}, 9));
  CHECK(has_vote(5, {3}, 9));
  CHECK_FALSE(has_vote(5, {2}, 9));
  CHECK(has_vote(5, {3}, 9)); // the answer may have been lost
}

TEST_CASE("a trial gets no vote in a term that has begun, and is told the term", "[raft]") {
  subject replica;
  auto would_vote = [&](term_number wanted) {
    replica.hear({wanted, vote_request{9, 1, true, false}});
    return replica.said<vote_answer>().granted;
  };
  auto told_term = [&] { return replica.only<replica::send>().what.term; };
  replica.hear({5, vote_request{1, 1, false, false}}, {3}); // its log is older
  REQUIRE((*replica).term() == 5);
  CHECK_FALSE(would_vote(3));
  CHECK(told_term() == 5);
  CHECK_FALSE(would_vote(5));
  CHECK(told_term() == 5);
  CHECK(would_vote(6));
  CHECK(told_term() == 6);
  CHECK((*replica).term() == 5);
}

TEST_CASE("a voter gives the one that it has voted for a whole time-out to be heard", "[raft]") {
  auto wish = vote_request{9, 1, false, false};
  subject replica;
  replica.run(150ms);
  auto due = *(*replica).next_deadline();
  auto after = time_point{150ms} + lan().election_timeout;
  REQUIRE(due < after);
  SECTION("it has the vote") {
    replica.hear({2, wish});
    CHECK(*(*replica).next_deadline() >= after);
  }
  SECTION("it has not, and cannot keep others from standing") {
    wish.last_index = 1;
    replica.hear({2, wish});
    CHECK((*replica).next_deadline() == due);
  }
}

TEST_CASE("what is committed stays so when a new leader does not know it yet", "[raft]") {
  subject replica;
  replica.hear({2, heartbeat}, {3});
  REQUIRE((*replica).commit_index() == 3);
  replica.hear({3, append{3, 1, 1, {}, 1, {{4, 3, {}, no_op{}}}}}, {2});
  CHECK(replica.only<replica::write>().committed == 3);
  CHECK((*replica).commit_index() == 3);
  replica.hear({3, append{4, 3, 1, {}, 2, {}}}, {2}); // a heartbeat
  CHECK((*replica).commit_index() == 3);
}

TEST_CASE("entries that come again leave those behind them as they are", "[raft]") {
  subject replica;
  replica.hear({1, entries_behind(3, 1, {{4, 1, {}, no_op{}}, {5, 1, {}, no_op{}}})});
  REQUIRE(replica.said<append_answer>().index == 5);
  replica.hear({1, entries_behind(3, 1, {{4, 1, {}, no_op{}}})}); // late, or sent twice
  CHECK(replica.said<append_answer>().index == 4);
  CHECK(replica.all<replica::write>().empty());
  CHECK((*replica).last_index() == 5);
}

TEST_CASE("entries that come again after a snapshot took their place are passed over", "[raft]") {
  auto disk = disk_of_learner();
  disk.base = header_at(3);
  subject replica{lan(), disk};
  std::vector<entry> lines;
  for (log_index each = 2; each <= 4; ++each)
    lines.push_back({each, 1, {}, no_op{}});
  replica.hear({2, entries_behind(1, 1, lines)});
  auto write = replica.only<replica::write>();
  CHECK(write.first == 4);
  CHECK(write.entries.size() == 1);
  CHECK(replica.said<append_answer>().index == 4);
  CHECK((*replica).last_index() == 4);
}

TEST_CASE("answers of an earlier term count nothing for a leader", "[raft]") {
  subject replica;
  replica.lead();
  auto last = (*replica).last_index();
  replica.hear({1, append_answer{true, last, 0, 0, 0, last}});
  CHECK((*replica).commit_index() == 0);
  replica.hear({2, append_answer{true, last, 0, 0, 0, last}});
  CHECK((*replica).commit_index() == last);
}

TEST_CASE("what a disk noted as committed counts as far as its log goes", "[raft]") {
  auto disk = disk_of_learner();
  disk.entries = {{1, 1, {}, no_op{}}, {2, 1, {}, no_op{}}};
  disk.committed = 9;
  CHECK((*subject{lan(), disk}).commit_index() == 2);
}

// -- what a leader counts on --------------------------------------------------------------

TEST_CASE("an answer that comes late takes back nothing that a follower has acknowledged",
          "[raft]") {
  auto disk = disk_of_learner();
  for (std::uint64_t each = 1; each <= 5; ++each)
    disk.base.members.members[{each}] = {true, ""};
  subject replica{lan(), disk};
  replica.lead();
  auto last = (*replica).last_index();
  replica.hear({2, append_answer{true, last, 0, 0, 1, last}}, {2});
  replica.hear({2, append_answer{true, 0, 0, 0, 1, 0}}, {2});
  REQUIRE((*replica).commit_index() == 0);
  replica.hear({2, append_answer{true, last, 0, 0, 1, last}}, {3});
  CHECK((*replica).commit_index() == last); // three of five have it
}

TEST_CASE("a leader is settled once an entry of its own term is committed", "[raft]") {
  subject replica;
  replica.hear({1, heartbeat}, {3});
  REQUIRE((*replica).commit_index() == 3);
  replica.lead();
  CHECK_FALSE((*replica).is_settled());
  replica.hear({2, append_answer{true, 4, 0, 0, 1, 4}});
  CHECK((*replica).is_settled());
}

TEST_CASE("a leader that is removed leads until that is committed", "[raft]") {
  subject replica;
  replica.lead();
  auto both_have = [&](log_index last) {
    for (auto seat : {member_id{2}, member_id{3}})
      replica.hear({2, append_answer{true, last, 0, 0, 1, last}}, seat);
    return (*replica).commit_index() == last;
  };
  REQUIRE(both_have(4));
  replica.step(replica::propose{{"x"}});
  replica.step(replica::remove{{1}});
  CHECK(both_have(5));
  CHECK((*replica).current_role() == role::leader);
  CHECK(both_have(6));
  CHECK((*replica).current_role() == role::follower);
}

TEST_CASE("reads that may wait begin no round of heartbeats, and share the next one", "[raft]") {
  subject replica;
  replica.lead();
  auto last = (*replica).last_index();
  append_answer lives{true, last, 0, 0, 1, last};
  replica.hear({2, lives}); // the round that its election began
  replica.step(replica::read{.may_wait = true});
  replica.step(replica::read{.may_wait = true});
  CHECK(replica.all<replica::send>().empty());
  replica.hear({2, lives});
  CHECK(replica.all<replica::read_at>().empty()); // it was asked before they came
  lives.round = 2;

  SECTION("which the leader's time begins") {
    replica.run(50ms);
    CHECK(replica.all<replica::send>().size() == 2);
    replica.hear({2, lives});
    CHECK(replica.all<replica::read_at>().size() == 2);
  }
  SECTION("or a read that may not wait") {
    replica.step(replica::read{});
    CHECK(replica.all<replica::send>().size() == 2);
    replica.step(replica::read{.may_wait = true});
    replica.hear({2, lives});
    CHECK(replica.all<replica::read_at>().size() == 3);
    CHECK(replica.all<replica::send>().empty()); // for the one that came during the round
  }
}

TEST_CASE("a read waits for all that was committed before its leader was elected", "[raft]") {
  subject replica;
  replica.lead();
  replica.step(replica::read{});
  append_answer lives{true, 0, 0, 0, 1, 3};
  replica.hear({2, lives});
  lives.round = 2; // a heartbeat that began after the read
  replica.hear({2, lives});
  REQUIRE((*replica).commit_index() == 0); // as far as it knows
  CHECK(replica.only<replica::read_at>().index == (*replica).last_index());
}

namespace {

/// Leads, with one entry in a message, and a learner of seat 4 that knows that it is a member.
subject leader_with_learner() {
  auto how = lan();
  how.max_message_entries = 1;
  subject replica{how};
  replica.lead();
  replica.hear({2, append_answer{true, 4, 0, 0, 1, 4}});
  replica.step(raft::replica::add_learner{{4}, "new"});
  for (auto seat : {member_id{2}, member_id{4}})
    replica.hear({2, append_answer{true, 5, 0, 0, 1, 5}}, seat);
  REQUIRE((*replica).commit_index() == 5);
  return replica;
}

} // namespace

TEST_CASE("a learner gets no vote while it lacks more than a message", "[raft]") {
  auto replica = leader_with_learner();
  replica.step(raft::replica::propose{{"x", "y"}});
  replica.hear({2, append_answer{true, 7, 0, 0, 1, 7}});
  REQUIRE((*replica).commit_index() == 7);
  replica.step(raft::replica::promote{{4}});
  CHECK(replica.only<raft::replica::refused>().why.code == errc::busy);
  replica.hear({2, append_answer{true, 6, 0, 0, 1, 6}}, {4});
  replica.step(raft::replica::promote{{4}});
  CHECK(replica.only<raft::replica::proposed>().first == 8);
}

TEST_CASE("a leader hands over to no learner, and goes on taking commands", "[raft]") {
  auto replica = leader_with_learner();
  replica.step(raft::replica::transfer{{4}});
  CHECK(replica.only<raft::replica::refused>().why.code == errc::bad_argument);
  CHECK(sent_to<take_over>(replica, {4}).empty());
  replica.step(raft::replica::propose{{"x"}});
  CHECK(replica.only<raft::replica::proposed>().first == 6);
}

TEST_CASE("a leader has handed over when the other one has the later term, whatever tells of it",
          "[raft]") {
  auto replica = leader_with_learner();
  auto asked = GENERATE(true, false);
  if (asked)
    replica.step(raft::replica::transfer{{2}});
  CHECK(sent_to<take_over>(replica, {2}).size() == (asked ? 1 : 0));
  replica.hear({3, append_answer{false, 0, 0, 0, 0, 5}}, {2}); // its wish for a vote comes later
  auto changed = replica.only<raft::replica::changed_role>();
  CHECK(changed.now == role::follower);
  CHECK(changed.cause == (asked ? raft::replica::handed_over : "there is a later term"));
}

// -- what a leader sends ------------------------------------------------------------------

namespace {

/// Leads, with one command in a message and two messages on the way at most. Seat 2 has all.
subject leader_of_two_at_a_time() {
  auto how = lan();
  how.max_message_entries = 1;
  how.max_in_flight = 2;
  subject replica{how};
  replica.lead();
  auto last = (*replica).last_index();
  replica.hear({2, append_answer{true, last, 0, 0, 0, last}});
  return replica;
}

} // namespace

TEST_CASE("a leader sends as far ahead of the answers as its bound says", "[raft]") {
  auto replica = leader_of_two_at_a_time();
  auto last = (*replica).last_index();
  replica.step(raft::replica::propose{std::vector(6, "x"s)});
  CHECK(sent_to<append>(replica, {2}).size() == 2);
  SECTION("an answer makes room for one") {
    replica.hear({2, append_answer{true, last + 1, 0, 0, 0, last + 1}});
    CHECK(sent_to<append>(replica, {2}).size() == 1);
  }
  SECTION("an answer to the last message is one to all before") {
    replica.hear({2, append_answer{true, last + 2, 0, 0, 0, last + 2}});
    CHECK(sent_to<append>(replica, {2}).size() == 2);
  }
}

TEST_CASE("a refusal that comes late sends nothing again", "[raft]") {
  auto replica = leader_of_two_at_a_time();
  auto last = (*replica).last_index();
  SECTION("of entries that the follower has by now") {
    replica.hear({2, append_answer{false, last - 1, 1, 1, 0, last}});
    CHECK(sent_to<append>(replica, {2}).empty());
  }
  SECTION("of another place than the one that is asked for") {
    replica.hear({2, append_answer{false, 1, 0, 0, 0, 1}}, {3});
    CHECK(sent_to<append>(replica, {3}).empty());
  }
}

TEST_CASE("a leader never goes back behind what a follower has acknowledged", "[raft]") {
  auto replica = leader_of_two_at_a_time();
  auto last = (*replica).last_index();
  replica.step(raft::replica::propose{{"x"}});
  replica.hear({2, append_answer{false, last + 1, 1, 1, 0, last}});
  auto sent = sent_to<append>(replica, {2});
  REQUIRE_FALSE(sent.empty());
  CHECK(sent.front().previous_index == last);
}

TEST_CASE("a leader asks again at once where its question was lost with the link", "[raft]") {
  auto replica = leader_of_two_at_a_time();
  replica.step(replica::lost_link{{3}});
  CHECK(sent_to<append>(replica, {3}).size() == 1);
}

TEST_CASE("a snapshot that was read while the log was cut behind it is not sent", "[raft]") {
  auto how = lan();
  how.keep_entries = 0;
  subject replica{how};
  replica.lead();
  auto snapshot_after = [&](log_index last) {
    replica.hear({2, append_answer{true, last, 0, 0, 1, last}});
    snapshot made{(*replica).header_at(last), std::make_shared<const std::string>("state")};
    replica.step(replica::compacted{last});
    return made;
  };
  auto old = snapshot_after(4);
  replica.hear({2, append_answer{false, 3, 0, 0, 1, 0}}, {3});
  REQUIRE(replica.all<replica::load_snapshot>().size() == 1);
  replica.step(replica::propose{{"x"}});
  auto newer = snapshot_after(5);
  replica.step(replica::loaded{old});
  CHECK(sent_to<snapshot_part>(replica, {3}).empty());
  replica.run(lan().heartbeat);
  CHECK(replica.all<replica::load_snapshot>().size() == 1);
  replica.step(replica::loaded{newer});
  auto parts = sent_to<snapshot_part>(replica, {3});
  REQUIRE(parts.size() == 1);
  CHECK(parts[0].header.index == 5);
}

// -- the group's time ---------------------------------------------------------------------

TEST_CASE("the time of a group is what its leader tells, and never below disk or log", "[raft]") {
  auto disk = disk_of_learner();
  disk.entries = {{1, 1, group_time{5s}, no_op{}}};
  CHECK((*subject{lan(), disk}).time_of_group({}) == group_time{5s});
  disk.marked = group_time{7s};
  subject replica{lan(), disk};
  CHECK((*replica).time_of_group({}) == group_time{7s});
  append news{1, 1, 1, group_time{9s}, 1, {}};
  replica.hear({2, news}, {3});
  CHECK((*replica).time_of_group({}) == group_time{9s});
  CHECK((*replica).time_of_group(time_point{1s}) == group_time{10s});
  news.entries = {{2, 2, group_time{12s}, no_op{}}};
  replica.hear({2, news}, {3});
  CHECK((*replica).time_of_group({}) == group_time{12s});
}

} // namespace late_news_test
