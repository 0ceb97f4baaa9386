#include "troupe/cluster/own_seat.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include "router/named_nodes.hpp"
#include "support/seen_effects.hpp"

namespace own_seat_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using cluster::own_seat;
using cluster::seat_cards;
using test::operator""_node;

namespace {

constexpr raft::member_id none{};

/// Node n1 with seat 1 in a group with n2, which leads, and n3. It has links to both.
struct seated : test::seen_effects<cluster::seats_types> {
  using seats = cluster::seats_types;

  seated() {
    for (std::uint64_t each : {1, 2, 3})
      members.members[raft::member_id{each}] = {true, contact_of(each)};
    cards.members_are(members);
    cards.link_up("n2"_node, 1, 0);
    cards.link_up("n3"_node, 2, 0);
  }

  static std::string contact_of(std::uint64_t node) {
    return to_string(test::node_named("n" + std::to_string(node))) + "@h:" + std::to_string(node);
  }

  /// n`from` says that seat 1 of this node is void; its card says `seat`, if that is not 0.
  void say_void(request_id id, std::uint64_t from = 2, std::uint64_t seat = 0,
                bool is_proven = true) {
    auto node = test::node_named("n" + std::to_string(from));
    auto shown = raft::member_id{seat == 0 ? from : seat};
    it.told_void(id,
                 {{node, shown}, raft::member_id{1}, is_proven ? node : node_id{}, it.id(), leader},
                 cards, now, last, out);
    check();
  }

  void renewed(request_id id, std::uint64_t to, problem how = {}) {
    raft::replica_types::status group;
    group.self = raft::member_id{to};
    group.members = members;
    it.renewed(id, {std::move(how), group}, now, out, [this] { ++greeted; });
    check();
  }

  void check() const {
    for (auto& each : it.flaws(last))
      FAIL_CHECK(each);
  }

  /// The code with which that question was refused; none: it was answered with the card.
  errc end_of(request_id id) {
    for (auto& each : take<seats::refuse>())
      if (each.id == id) {
        why = each.why;
        return why.code;
      }
    CHECK(only<seats::show_card>().id == id);
    return errc::none;
  }

  own_seat it{raft::member_id{1}};
  raft::configuration members;
  seat_cards cards{"n1"_node, 100};
  raft::member_id leader{2};
  time_point now{1h};
  request_id last = 10;
  int greeted = 0;
  problem why;
};

} // namespace

TEST_CASE_METHOD(seated, "a node learns its seat once the group has started", "[node][own_seat]") {
  own_seat fresh{none};
  fresh.is(none);
  CHECK(fresh.id() == none);
  fresh.is(raft::member_id{7});
  fresh.is(none);
  CHECK(fresh.id() == raft::member_id{7});
}

TEST_CASE_METHOD(seated, "a node is told whether it has a seat and a vote, by its log",
                 "[node][own_seat]") {
  it.tell(members, out);
  auto told = only<seats::seated>();
  CHECK(told.is_seated);
  CHECK(told.votes);
  members.members[raft::member_id{1}].votes = false;
  it.tell(members, out);
  told = only<seats::seated>();
  CHECK(told.is_seated);
  CHECK_FALSE(told.votes);
  members.members.erase(raft::member_id{1});
  it.tell(members, out);
  CHECK_FALSE(only<seats::seated>().is_seated);
}

TEST_CASE_METHOD(seated, "of two logs the one that has seen more votes given is later",
                 "[node][own_seat]") {
  members.promotions = 3;
  it.tell(members, out);
  out.clear();
  auto show = [this](std::uint64_t promotions, std::set<raft::member_id> voters) {
    return it.compare({"n2"_node, raft::member_id{2}, true, 50, promotions, std::move(voters)},
                      out);
  };
  const std::set<raft::member_id> without{raft::member_id{2}, raft::member_id{3}};
  const std::set<raft::member_id> with{raft::member_id{1}, raft::member_id{2}};
  CHECK_FALSE(show(9, {}));      // it has no log
  CHECK_FALSE(show(2, without)); // it has not seen this node's vote given
  CHECK(it.votes());
  CHECK(has_none<seats::seated>());
  CHECK(show(3, without));
  CHECK_FALSE(it.votes());
  CHECK(it.is_outdated());
  CHECK_FALSE(only<seats::seated>().votes);
  CHECK_FALSE(show(4, without)); // no news
  CHECK_FALSE(show(4, with));    // an earlier one of the same time
  CHECK_FALSE(it.votes());
  SECTION("until another log shows that it votes again") {
    CHECK(show(5, with));
  }
  SECTION("until its own log does") {
    members.promotions = 4;
    it.tell(members, out);
    CHECK_FALSE(only<seats::seated>().votes);
    members.promotions = 5;
    it.tell(members, out);
  }
  SECTION("until it hears a leader of a later term") {
    it.follows(50, out); // late, from before
    CHECK(has_none<seats::seated>());
    it.follows(51, out);
    CHECK(only<seats::seated>().votes);
    it.follows(52, out);
    CHECK(has_none<seats::seated>());
    CHECK_FALSE(show(1, with));
    return;
  }
  CHECK(it.votes());
  CHECK(only<seats::seated>().is_seated);
}

TEST_CASE_METHOD(seated, "a log that the members have left behind takes no vote",
                 "[node][own_seat]") {
  members.promotions = 3;
  it.tell(members, out);
  out.clear();
  auto show = [this](raft::term_number term, std::set<raft::member_id> voters) {
    return it.compare({"n2"_node, raft::member_id{2}, true, term, 3, std::move(voters)}, out);
  };
  const std::set<raft::member_id> without{raft::member_id{2}, raft::member_id{3}};
  const std::set<raft::member_id> with{raft::member_id{1}, raft::member_id{2}};
  SECTION("which is shown after a leader of a later term was heard") {
    it.follows(6, out);
    it.follows(4, out); // late
    CHECK_FALSE(show(5, without));
    CHECK(it.votes());
    CHECK(has_none<seats::seated>());
    CHECK(show(6, without));
  }
  SECTION("nor before a later one shows that it was left behind") {
    CHECK(show(5, without));
    CHECK_FALSE(show(4, with));
    CHECK_FALSE(it.votes());
    CHECK(show(6, with));
    CHECK(it.votes());
  }
  SECTION("which this node's own log has left behind, though it has heard no leader yet") {
    CHECK(show(5, without));
    out.clear();
    it.tell(members, out, 5); // the same term may be later
    CHECK_FALSE(it.votes());
    it.tell(members, out, 6);
    CHECK(it.votes());
    CHECK(take<seats::seated>().back().votes);
    CHECK_FALSE(show(5, without));
    CHECK(show(6, without));
  }
  SECTION("and what was heard of an earlier seat says nothing of the next one") {
    it.follows(6, out);
    it.is(raft::member_id{21});
    members.members[raft::member_id{21}] = {true, contact_of(1)};
    it.tell(members, out);
    CHECK(show(5, without));
  }
}

TEST_CASE_METHOD(seated, "what is said of a seat says nothing of the next one",
                 "[node][own_seat]") {
  it.tell(members, out);
  CHECK(it.compare({"n2"_node, raft::member_id{2}, true, 50, 9, {raft::member_id{2}}}, out));
  it.is(raft::member_id{21});
  members.members[raft::member_id{21}] = {true, contact_of(1)};
  it.tell(members, out);
  CHECK(it.votes());
}

TEST_CASE_METHOD(seated, "what a revoked node has shown counts no more", "[node][own_seat]") {
  constexpr auto last_of_all = std::numeric_limits<std::uint64_t>::max();
  members.promotions = 3;
  it.tell(members, out);
  out.clear();
  auto show = [this](const node_id& by, raft::term_number term, std::uint64_t promotions) {
    return it.compare({by, raft::member_id{2}, true, term, promotions, {raft::member_id{2}}}, out);
  };
  SECTION("a term that nobody outlives") {
    CHECK(show("n2"_node, last_of_all, last_of_all));
    it.follows(50, out);
    CHECK_FALSE(it.votes());
    out.clear();
    CHECK_FALSE(it.disbelieve({"n3"_node}, out)); // another one
    CHECK(has_none<seats::seated>());
    CHECK(it.disbelieve({"n2"_node, "n3"_node}, out));
    CHECK(only<seats::seated>().votes);
    CHECK_FALSE(it.disbelieve({"n2"_node}, out));
    CHECK(show("n3"_node, 51, 3)); // what others show does
  }
  SECTION("promotions that there were not, which others had no reason to doubt") {
    CHECK(show("n2"_node, 5, last_of_all));
    CHECK_FALSE(show("n3"_node, 6, 2));
    out.clear();
    CHECK(it.disbelieve({"n2"_node}, out));
    CHECK_FALSE(show("n3"_node, 6, 2));
    CHECK(it.votes());
  }
  SECTION("a term beside the promotions of another node") {
    CHECK(show("n3"_node, 5, 3));
    CHECK_FALSE(show("n2"_node, last_of_all, 3));
    out.clear();
    CHECK(it.disbelieve({"n2"_node}, out));
  }
}

TEST_CASE_METHOD(seated, "who does not vote by its own log has lost nothing", "[node][own_seat]") {
  members.members[raft::member_id{1}].votes = false;
  it.tell(members, out);
  out.clear();
  CHECK_FALSE(it.compare({"n2"_node, raft::member_id{2}, true, 50, 9, {raft::member_id{2}}}, out));
  CHECK_FALSE(it.is_outdated());
  it.follows(51, out);
  CHECK(has_none<seats::seated>());
}

TEST_CASE_METHOD(seated, "who sees itself that its disk has forgotten takes another seat",
                 "[node][own_seat]") {
  it.lost(now, last, out);
  auto asked = only<seats::renew>();
  CHECK(asked.lost == raft::member_id{1});
  CHECK(asked.id == 11);
  CHECK(last == 11);
  CHECK(it.was(raft::member_id{1})); // while the disk writes, too
  it.lost(now, last, out);
  CHECK(has_none<seats::renew>());
  renewed(11, 21);
  CHECK(it.id() == raft::member_id{21});
  CHECK(it.was(raft::member_id{1}));
  CHECK_FALSE(it.was(raft::member_id{21}));
  CHECK_THAT(only<seats::warn>().text, ContainsSubstring("it has given up its seat"));
  CHECK_FALSE(only<seats::seated>().is_seated);
  CHECK(greeted == 1);
  CHECK(has_none<seats::show_card>()); // nobody waits for it
}

TEST_CASE_METHOD(seated, "who tells a node that its seat is void is shown the next one",
                 "[node][own_seat]") {
  say_void(1);
  CHECK(has_none<seats::show_card>());
  say_void(2);
  CHECK(end_of(2) == errc::busy);
  renewed(only<seats::renew>().id, 21);
  CHECK(end_of(1) == errc::none);
  renewed(11, 22); // the same answer again
  CHECK(it.id() == raft::member_id{21});
  CHECK(greeted == 1);
  CHECK(has_none<seats::show_card>());
  now += 1min;
  say_void(3); // of the earlier seat
  CHECK(end_of(3) == errc::none);
  CHECK(has_none<seats::renew>());
}

TEST_CASE_METHOD(seated, "a seat is void by the word of who leads, over its link",
                 "[node][own_seat]") {
  say_void(1, 3);
  CHECK(end_of(1) == errc::bad_argument);
  CHECK_THAT(why.detail, ContainsSubstring("by the one that leads the group"));
  say_void(2, 2, 2, false);
  CHECK(end_of(2) == errc::bad_argument);
  say_void(3, 3, 2); // with the card of the leader
  CHECK(end_of(3) == errc::bad_argument);
  cards.link_down("n2"_node);
  say_void(4);
  CHECK(end_of(4) == errc::bad_argument);
  CHECK(has_none<seats::renew>());
  cards.link_up("n2"_node, 3, 0);
  say_void(5);
  CHECK(only<seats::renew>().lost == raft::member_id{1});
}

TEST_CASE_METHOD(seated, "a leader that an old log has not among the members is believed",
                 "[node][own_seat]") {
  cards.link_up("n4"_node, 3, 0);
  leader = raft::member_id{4};
  say_void(1, 4);
  CHECK(only<seats::renew>().lost == raft::member_id{1});
}

TEST_CASE_METHOD(seated, "without a leader the word of any linked node counts",
                 "[node][own_seat]") {
  leader = none;
  say_void(1, 3, 3, false);
  CHECK(end_of(1) == errc::bad_argument);
  say_void(2, 4); // not linked
  CHECK(end_of(2) == errc::bad_argument);
  say_void(3, 3);
  CHECK(only<seats::renew>().lost == raft::member_id{1});
}

TEST_CASE_METHOD(seated, "a seat is given up at most every 10 seconds", "[node][own_seat]") {
  say_void(1);
  renewed(11, 0, {errc::storage_full, "the disk is full"});
  CHECK(end_of(1) == errc::storage_full);
  CHECK_THAT(only<seats::warn>().text,
             ContainsSubstring("it cannot give up its seat: the disk is full"));
  CHECK(has_none<seats::seated>());
  CHECK(greeted == 0);
  CHECK(it.id() == raft::member_id{1});
  out.clear();
  now += 9'999ms;
  say_void(2);
  CHECK(end_of(2) == errc::busy);
  it.lost(now, last, out);
  CHECK(has_none<seats::renew>());
  now += 1ms;
  say_void(3);
  CHECK(only<seats::renew>().id == 12);
}

TEST_CASE_METHOD(seated, "a disk that is slow to give up a seat is asked once",
                 "[node][own_seat]") {
  it.lost(now, last, out);
  CHECK(only<seats::renew>().id == 11);
  now += 1min;
  say_void(1);
  CHECK(end_of(1) == errc::busy);
  it.lost(now, last, out);
  CHECK(has_none<seats::renew>());
  renewed(12, 22); // no answer to this question
  renewed(0, 22);
  CHECK(has_none<seats::warn>());
  CHECK(it.id() == raft::member_id{1});
}

TEST_CASE_METHOD(seated, "a new seat is shown every 3 seconds until the log has it",
                 "[node][own_seat]") {
  CHECK_FALSE(it.is_to_be_shown(cards, now)); // a member has no need
  it.lost(now, last, out);
  renewed(11, 21);
  CHECK(it.is_unheard_of(cards));
  CHECK_FALSE(it.is_to_be_shown(cards, now + 2'999ms)); // it has just been shown
  now += 3s;
  CHECK(it.is_to_be_shown(cards, now));
  CHECK_FALSE(it.is_to_be_shown(cards, now + 2'999ms));
  CHECK(it.is_to_be_shown(cards, now + 3s));
  now += 1min;
  members.members.erase(raft::member_id{1});
  cards.members_are(members); // taken away, and not given yet
  CHECK_FALSE(it.is_unheard_of(cards));
  CHECK_FALSE(it.is_to_be_shown(cards, now));
  members.members[raft::member_id{1}] = {true, contact_of(1)};
  members.members[raft::member_id{21}] = {false, contact_of(1)};
  cards.members_are(members);
  CHECK_FALSE(it.is_unheard_of(cards)); // it has both
  CHECK_FALSE(it.is_to_be_shown(cards, now));
}

} // namespace own_seat_test
