#include "node/seats_fixture.hpp"

#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstddef>
#include <cstdint>

namespace seats_test {

using namespace seats_fixture;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using words = std::vector<std::string>;

namespace {

const seats::unanswered no_answer{{errc::timed_out, "no answer"}};

/// It leads a group of four nodes, of which the first three vote; the fourth is linked or not.
struct leader_of_three : seated_node {
  explicit leader_of_three(cluster::seats_options how = {}) : seated_node(how) {
    seat("n2", true);
    seat("n3", true);
    begin();
    link("n2");
    link("n3");
    step(seats::members_are{committed, status()}); // it says their names
    forget();
  }

  void forget() {
    out.clear();
    asked_for.clear();
  }
};

/// Whether that is all that is pending: its node, what it is, and how the reason begins.
bool shows(const std::vector<cluster::pending_view>& all, const std::string& expected) {
  if (all.size() != 1)
    return false;
  auto text = test::short_name(all.front().node) + ' ' + all.front().what + ' ' + all.front().why;
  UNSCOPED_INFO(text);
  return text.starts_with(expected);
}

/// It follows n2, and is linked to that and to n3.
struct follower_of_two : seated_node {
  explicit follower_of_two(cluster::seats_options how = {}) : seated_node(how) {
    seat("n2", true);
    seat("n3", true);
    begin("n2");
    link("n2");
    link("n3");
    step(seats::members_are{committed, status()}); // it says their names
    out.clear();
  }

  /// `from` says that the seat of this node is void.
  void say_void(request_id id, const std::string& from = "n2", bool is_proven = true) {
    step(seats::exchanged{{test::node_named(from), seat_of(from)},
                          seat_of("n1"),
                          test::node_named(is_proven ? from : ""),
                          group.self,
                          group.leader},
         id);
  }

  void renewed(std::uint64_t to, problem how = {}) {
    auto asked = only<seats::renew>();
    if (!how)
      group.self = raft::member_id{to};
    step(seats::renewed{std::move(how), status()}, asked.id);
  }

  bool has_shown(request_id id) {
    return std::ranges::count_if(take<seats::show_card>(),
                                 [id](auto& each) { return each.id == id; })
           == 1;
  }
};

} // namespace

// -- who gets a seat, and a vote -------------------------------------------------------------

TEST_CASE_METHOD(seated_node, "a node that comes learns, and votes once there are three",
                 "[node][seats]") {
  begin();
  link("n2");
  CHECK(asked() == words{"learner n2 at n2@h2:1"});
  link("n3");
  CHECK(asked() == words{"learner n3 at n3@h3:1", "voter n2", "voter n3"});
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
}

TEST_CASE_METHOD(seated_node, "a node that lacks entries votes once it has them", "[node][seats]") {
  begin();
  lag["n2"] = 101;
  link("n2");
  link("n3");
  CHECK(voters() == std::set<std::string>{"n1"});
  pass(10s);
  CHECK(voters() == std::set<std::string>{"n1"});
  lag["n2"] = 100;
  pass(1s);
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
}

TEST_CASE_METHOD(seated_node, "as many nodes vote as the options of the leader say",
                 "[node][seats]") {
  begin();
  for (auto node : {"n2", "n3", "n4", "n5", "n6"})
    link(node);
  CHECK(voters().size() == 3);
  CHECK(it.view(status(), quorum).wanted == 3);
  seated_node five{{.voters = 5}};
  five.begin();
  for (auto node : {"n2", "n3", "n4", "n5", "n6"})
    five.link(node);
  CHECK(five.voters().size() == 5);
  seated_node none{{.voters = 0}};
  none.begin();
  none.link("n2");
  CHECK(none.asked().empty());
  CHECK(none.it.view(none.status(), none.quorum).wanted == 1);
}

TEST_CASE_METHOD(seated_node, "the next change is proposed once the last one is answered",
                 "[node][seats]") {
  begin();
  answers_proposals = false;
  link("n2");
  link("n3");
  pass(5s);
  auto first_one = only<seats::propose>();
  CHECK(to_words(first_one.what) == "learner n2 at n2@h2:1");
  step(seats::answered{}, first_one.id + 1); // which nobody has asked
  pass(5s);
  CHECK(has_none<seats::propose>());
  CHECK_FALSE(apply(first_one.what));
  step(seats::answered{}, first_one.id);
  pass(50ms);
  CHECK(to_words(only<seats::propose>().what) == "learner n3 at n3@h3:1");
}

TEST_CASE_METHOD(seated_node, "what the group refuses is proposed again", "[node][seats]") {
  begin();
  refuses = {errc::busy, "a change is under way"};
  link("n2");
  CHECK(asked().size() == 1);
  pass(49ms);
  CHECK(asked().empty());
  pass(51ms); // soon, if another change is about to be committed
  CHECK(asked().size() == 1);
  pass(10s);
  static_cast<void>(asked());
  auto longest = 0ms;
  auto times = 0;
  auto looked = last_look;
  for (auto gap = 0ms, span = 0ms; span < 60s; span += 10ms) { // refusals do not count for the pace
    pass(10ms);
    gap += 10ms;
    if (asked().empty())
      continue;
    CHECK(gap >= 50ms);
    CHECK(gap <= 1'060ms);
    longest = std::max(longest, gap);
    gap = 0ms;
    ++times;
  }
  CHECK(longest > 800ms);
  CHECK(times < 200);
  CHECK(last_look - looked < 800); // two numbers for each proposal, and no look while it rests
  refuses = {};
  pass(1'050ms);
  CHECK(asked() == words{"learner n2 at n2@h2:1"});
}

TEST_CASE_METHOD(seated_node,
                 "what the group has refused is proposed at once when its members change",
                 "[node][seats]") {
  begin();
  refuses = {errc::no_quorum, "too few answer"};
  link("n2");
  pass(10s);
  static_cast<void>(asked());
  refuses = {};
  SECTION("as that is committed") {
    step(seats::members_are{committed, status()});
  }
  SECTION("or who leads") {
    role("");
    role("n1");
  }
  CHECK(asked() == words{"learner n2 at n2@h2:1"});
  refuses = {errc::no_quorum, "too few answer"};
  link("n3");
  pass(100ms); // the first refusal again
  CHECK(asked().size() >= 2);
}

TEST_CASE_METHOD(leader_of_three, "the members change 20 times in 10 seconds, and the rest waits",
                 "[node][seats]") {
  auto is_at = [&](const std::string& address) {
    step(seats::node_is{"n2"_node, "name2", address});
    show("n2"); // so that it looks at once
  };
  for (auto move = 0; move < 30; ++move) {
    is_at("elsewhere:" + std::to_string(move));
    pass(200ms);
    is_at("h2:1");
    pass(100ms);
  }
  CHECK(asked().size() == 20);
  auto said = take<seats::inform>();
  REQUIRE(said.size() == 1);
  CHECK_THAT(said.front().text, ContainsSubstring("have changed 20 times within 10 s"));
  is_at("elsewhere:1");
  pass(10s);
  CHECK(asked() == words{"move n2 to n2@elsewhere:1"});
  CHECK(has_none<seats::inform>());
}

TEST_CASE_METHOD(seated_node,
                 "a node gets no seat before its address is known, nor once its "
                 "link is gone",
                 "[node][seats]") {
  begin();
  step(seats::link_up{"n2"_node});
  show("n2");
  pass(2s);
  CHECK(asked().empty());
  step(seats::link_down{"n2"_node});
  step(seats::node_is{"n2"_node, "name2", "h2:1"});
  pass(2s);
  CHECK(asked().empty());
  step(seats::link_up{"n2"_node}); // and has not shown its card over this link
  pass(2s);
  CHECK(asked().empty());
  show("n2");
  CHECK(asked() == words{"learner n2 at n2@h2:1"});
}

TEST_CASE_METHOD(seated_node, "who follows changes nothing", "[node][seats]") {
  seat("n2", true);
  begin("n2");
  link("n2");
  link("n3");
  pass(10s);
  CHECK(has_none<seats::propose>());
  CHECK_FALSE(it.next_deadline());
}

TEST_CASE_METHOD(seated_node, "who is not the leader of the group any more waits to hear so",
                 "[node][seats]") {
  begin();
  group.now = raft::role::follower;
  link("n2");
  CHECK(asked().empty());
  CHECK(it.next_deadline() == now + 1s);
  group.now = raft::role::leader;
  pass(1s);
  CHECK(asked() == words{"learner n2 at n2@h2:1"});
}

// -- cards -----------------------------------------------------------------------------------

TEST_CASE_METHOD(seated_node, "a card counts over the link of its node only", "[node][seats]") {
  begin();
  step(seats::node_is{"n2"_node, "name2", "h2:1"});
  auto show_over = [&](const std::string& node) {
    step(seats::exchanged{{"n2"_node, seat_of("n2")}, {}, test::node_named(node)}, 7);
    CHECK(only<seats::show_card>().id == 7); // it gets that of this node
  };
  show_over("n2"); // but there is no link
  CHECK(has_none<seats::trust>());
  step(seats::link_up{"n2"_node});
  step(seats::link_up{"n3"_node});
  for (auto* other : {"", "n3"}) {
    show_over(other);
    CHECK(has_none<seats::trust>());
    CHECK(asked().empty());
  }
  show_over("n2");
  CHECK(only<seats::trust>().seat == seat_of("n2"));
  CHECK(asked() == words{"learner n2 at n2@h2:1"});
}

TEST_CASE_METHOD(leader_of_three, "a node is believed one seat at a time", "[node][seats]") {
  link("n4", 40);
  out.clear();
  show("n4", 41);
  CHECK(only<seats::trust>().seat == raft::member_id{41});
  CHECK(only<seats::distrust>().seat == raft::member_id{40});
  show("n4", 41);
  CHECK(has_none<seats::distrust>());
}

TEST_CASE_METHOD(leader_of_three, "a card with the seat of another member does not count",
                 "[node][seats]") {
  link("n4", 3);
  CHECK(has_none<seats::trust>());
  show("n3", 2);
  CHECK(has_none<seats::trust>());
  pass(2s);
  CHECK(asked().empty());
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
}

TEST_CASE_METHOD(leader_of_three, "a node whose seat has become another's by now gets none",
                 "[node][seats]") {
  refuses = {errc::busy, "a change is under way"};
  step(seats::change{{voter_change::add, "n2"}}, 1); // so that it looks often
  link("n4", 44);
  group.members.members[raft::member_id{44}] = {false, contact_of("n5")};
  commit();
  refuses = {};
  forget();
  pass(2s);
  CHECK(asked().empty());
}

TEST_CASE_METHOD(seated_node, "a card without a seat, or nobody to take messages, does not count",
                 "[node][seats]") {
  begin();
  step(seats::node_is{"n2"_node, "name2", "h2:1"});
  step(seats::link_up{"n2"_node});
  step(seats::exchanged{{"n2"_node, {}}, {}, "n2"_node}, 1);
  step(seats::exchanged{{"n2"_node, seat_of("n2"), false}, {}, "n2"_node}, 2);
  CHECK(take<seats::show_card>().size() == 2);
  CHECK(has_none<seats::trust>());
  CHECK(asked().empty());
}

TEST_CASE_METHOD(seated_node, "an answer over an earlier link does not count", "[node][seats]") {
  begin();
  step(seats::node_is{"n2"_node, "name2", "h2:1"});
  step(seats::link_up{"n2"_node});
  auto earlier = only<seats::greet>();
  CHECK(earlier.node == "n2"_node);
  CHECK(earlier.forgotten == raft::member_id{});
  step(seats::link_down{"n2"_node});
  step(seats::greeted{{"n2"_node, seat_of("n2")}}, earlier.id);
  CHECK(has_none<seats::trust>());
  step(seats::link_up{"n2"_node});
  step(seats::greeted{{"n2"_node, seat_of("n2")}}, earlier.id);
  CHECK(has_none<seats::trust>());
  auto present = only<seats::greet>();
  step(seats::greeted{{"n3"_node, seat_of("n3")}}, present.id); // it speaks for itself only
  CHECK(has_none<seats::trust>());
  step(seats::greeted{{"n2"_node, seat_of("n2")}}, present.id);
  CHECK(only<seats::trust>().seat == seat_of("n2"));
  CHECK(asked() == words{"learner n2 at n2@h2:1"});
}

TEST_CASE_METHOD(leader_of_three, "a member that is not reached is linked, or asked for its card",
                 "[node][seats]") {
  step(seats::wants_peer{contact_of("n4")});
  auto where = only<seats::reach>().where;
  CHECK(where.node == "n4"_node);
  CHECK(where.address == "h4:1");
  step(seats::wants_peer{contact_of("n2")});
  CHECK(only<seats::greet>().node == "n2"_node);
  CHECK(has_none<seats::reach>());
  pass(499ms);
  step(seats::wants_peer{contact_of("n4")});
  step(seats::wants_peer{contact_of("n2")});
  CHECK(has_none<seats::reach>());
  CHECK(has_none<seats::greet>());
  pass(1ms);
  step(seats::wants_peer{contact_of("n4")});
  CHECK(only<seats::reach>().where.node == "n4"_node);
  step(seats::link_up{"n4"_node}); // and when that ends, it is reached at once
  step(seats::link_down{"n4"_node});
  step(seats::wants_peer{contact_of("n4")});
  CHECK(only<seats::reach>().where.node == "n4"_node);
}

TEST_CASE_METHOD(seated_node, "links between members end sooner", "[node][seats]") {
  begin();
  answers_looks = false;
  link("n2");
  CHECK(has_none<seats::watch_closely>());
  seat("n2", false);
  commit();
  auto watched = only<seats::watch_closely>();
  CHECK(watched.node == "n2"_node);
  CHECK(watched.silence == 2s);
  show("n2");
  CHECK(only<seats::watch_closely>().node == "n2"_node);
  group.members.members.erase(seat_of("n1"));
  commit();
  show("n2");
  CHECK(has_none<seats::watch_closely>());
}

// -- what is changed because somebody asks ------------------------------------------------------

TEST_CASE_METHOD(follower_of_two, "who follows makes no changes", "[node][seats]") {
  ask(voter_change::add, "n3", 1);
  CHECK(end_of(1) == errc::not_leader);
}

TEST_CASE_METHOD(leader_of_three, "a node is meant by its name, its id or its address",
                 "[node][seats]") {
  seat("n9", false); // it was there before this node
  commit();
  step(seats::node_is{"n7"_node, "twin", "h7:1"});
  step(seats::node_is{"n8"_node, "twin", "h8:1"});
  struct question {
    std::string called;
    errc code;
  };
  for (auto& each : std::vector<question>{{"n2", errc::none},
                                          {"name2", errc::none},
                                          {"h2:1", errc::none},
                                          {"n1", errc::none},
                                          {"n9", errc::bad_argument}, // does not vote
                                          {"h9:1", errc::bad_argument},
                                          {"n7", errc::bad_argument},
                                          {"twin", errc::bad_argument},
                                          {"nobody", errc::not_found},
                                          {"", errc::not_found}}) {
    CAPTURE(each.called);
    refuses = {errc::failed, "no"};
    ask(each.code == errc::none ? voter_change::add : voter_change::lead, each.called, 1);
    CHECK(end_of(1) == each.code);
    if (each.called == "twin")
      CHECK_THAT(why.detail, ContainsSubstring("2 nodes are called 'twin'; give the id of the one "
                                               "you mean, or its first digits: "
                                               + id_of("n7").substr(0, 12) + ", "));
  }
  ask(voter_change::add, std::string(100, 'x'), 2);
  CHECK(end_of(2) == errc::not_found);
  CHECK_THAT(why.detail, ContainsSubstring("'" + std::string(64, 'x') + "' is known"));
}

TEST_CASE_METHOD(leader_of_three,
                 "of several nodes of one name the one that is not revoked is meant",
                 "[node][seats]") {
  step(seats::node_is{"n7"_node, "twin", "h7:1"});
  step(seats::node_is{"n8"_node, "twin", "h8:1"});
  ask(voter_change::lead, "twin", 1);
  CHECK(end_of(1) == errc::bad_argument);
  CHECK_THAT(why.detail, ContainsSubstring("2 nodes are called"));
  step(seats::revoked{{"n7"_node}});
  ask(voter_change::lead, "twin", 2);
  CHECK(end_of(2) == errc::bad_argument);
  CHECK_THAT(why.detail, ContainsSubstring("does not vote"));
  step(seats::revoked{{"n7"_node, "n8"_node}});
  ask(voter_change::lead, "twin", 3);
  CHECK_THAT((end_of(3), why.detail), ContainsSubstring("2 nodes are called"));
}

TEST_CASE_METHOD(leader_of_three, "of five nodes of one name it is shown how to tell them apart",
                 "[node][seats]") {
  std::string digits;
  for (auto* each : {"n61", "n62", "n63", "n64", "n65"}) {
    digits += (digits.empty() ? "" : ", ") + id_of(each).substr(0, 12);
    step(seats::node_is{test::node_named(each), "twin", "h:1"});
  }
  ask(voter_change::lead, "twin", 1);
  CHECK_THAT((end_of(1), why.detail), ContainsSubstring("5 nodes are called 'twin'")
                                        && EndsWith("or its first digits: " + digits));
  step(seats::node_is{"n66"_node, "twin", "h:1"}); // and that there are others
  ask(voter_change::lead, "twin", 2);
  CHECK_THAT((end_of(2), why.detail), ContainsSubstring("6 nodes are called 'twin'")
                                        && EndsWith("digits: " + digits + ", ..."));
}

TEST_CASE_METHOD(leader_of_three, "a node is meant by a beginning of its id that no other one has",
                 "[node][seats]") {
  auto digits = [](const std::string& begin) { return id_of(begin).substr(0, 2 * begin.size()); };
  seat("n34001", false); // it was there before this node
  commit();
  step(seats::node_is{"n12345"_node, "c", "hc:1"});
  step(seats::node_is{"n12399"_node, "e", "he:1"});
  step(seats::node_is{"n77771"_node, digits("n7777"), "hf:1"});
  step(seats::node_is{"n77772"_node, "f", "hf:2"});
  struct question {
    std::string called;
    std::string says;
  };
  for (auto& each : std::vector<question>{
         {digits("n1234"), "does not vote"},
         {digits("n340"), "does not vote"},
         {digits("n7777"), "does not vote"}, // as it is called so
         {digits("n777"), "2 nodes are called '" + digits("n777") + "'; give the id"},
         {digits("n123"), "2 nodes are called '" + digits("n123") + "'; give the id"},
         {digits("n12").substr(0, 3), "no node '" + digits("n12").substr(0, 3) + "' is known"}}) {
    CAPTURE(each.called);
    ask(voter_change::lead, each.called, 1);
    CHECK(end_of(1) != errc::none);
    CHECK_THAT(why.detail, ContainsSubstring(each.says));
  }
}

TEST_CASE_METHOD(leader_of_three, "a member whose contact has no id is meant by no word",
                 "[node][seats]") {
  group.members.members[raft::member_id{9}] = {true, "nine@h9:1"};
  commit();
  forget();
  for (auto* called : {"nine", "h9:1", "0000"}) {
    CAPTURE(called);
    ask(voter_change::lead, called, 1);
    CHECK(end_of(1) == errc::not_found);
  }
  CHECK(asked().empty()); // no hand-over to whom it may be
}

TEST_CASE_METHOD(leader_of_three, "one more node votes when it is asked for", "[node][seats]") {
  link("n4");
  pass(2s);
  CHECK(asked().empty());
  ask(voter_change::add, "name4", 1);
  CHECK(asked() == words{"learner n4 at n4@h4:1", "voter n4"});
  CHECK(end_of(1) == errc::none);
  CHECK(shown.seats.size() == 4);
  ask(voter_change::add, "n4", 2); // idempotent
  CHECK(end_of(2) == errc::none);
  CHECK(asked().empty());
}

TEST_CASE_METHOD(leader_of_three, "who asks for a change is answered once it is committed",
                 "[node][seats]") {
  link("n4");
  commits = false; // another leader may not have it
  ask(voter_change::add, "n4", 1);
  pass(2s);
  CHECK(voters().contains("n4"));
  CHECK(is_open(1));
  commit();
  pass(2s);
  CHECK(end_of(1) == errc::none);
  ask(voter_change::leave, "n4", 2);
  pass(2s);
  CHECK_FALSE(voters().contains("n4"));
  CHECK(is_open(2));
  commit();
  pass(2s);
  CHECK(end_of(2) == errc::none);
}

TEST_CASE_METHOD(leader_of_three, "a node that has left comes back as any other", "[node][seats]") {
  auto is_lost_first = GENERATE(true, false); // or its old link is there when it has begun again
  link("n4");
  ask(voter_change::leave, "n2", 1);
  pass(2s);
  CHECK(end_of(1) == errc::none);
  CHECK(voters() == std::set<std::string>{"n1", "n3", "n4"});
  step(seats::link_down{"n4"_node});
  step(seats::node_left{"n4"_node}); // without a word
  pass(2s);
  asked();
  if (is_lost_first)
    step(seats::link_down{"n2"_node});
  link("n2");
  pass(2s);
  CHECK(asked() == words{"learner n2 at n2@h2:1", "voter n2"});
}

TEST_CASE_METHOD(leader_of_three, "a node that is revoked is not made a voter", "[node][seats]") {
  step(seats::node_is{"n4"_node, "name4", "h4:1"});
  step(seats::revoked{{"n4"_node}});
  ask(voter_change::add, "n4", 1);
  CHECK(end_of(1) == errc::denied);
  CHECK_THAT(why.detail, ContainsSubstring("node name4 is revoked, and gets no seat; make a new"));
}

TEST_CASE_METHOD(leader_of_three, "who has no data folder has no vote to lose", "[node][seats]") {
  step(seats::node_is{"n4"_node, "name4", "h4:1"});
  step(seats::link_up{"n4"_node});
  step(seats::unanswered{{errc::not_found, "no seat"}}, only<seats::greet>().id);
  ask(voter_change::remove, "n4", 1);
  CHECK(end_of(1) == errc::not_found);
  CHECK_THAT(why.detail, ContainsSubstring("has no vote and gets none, as it has no data folder"));
  step(seats::link_down{"n4"_node});
  ask(voter_change::remove, "n4", 2); // it may have one, and is to be kept out once it comes
  CHECK(end_of(2) == errc::none);
  step(seats::link_up{"n4"_node}); // it has not said yet whether it has one
  ask(voter_change::remove, "n4", 3);
  CHECK(end_of(3) == errc::none);
}

TEST_CASE_METHOD(leader_of_three, "a node that has shown no card cannot vote", "[node][seats]") {
  step(seats::node_is{"n4"_node, "name4", "h4:1"});
  ask(voter_change::add, "n4", 1);
  CHECK(end_of(1) == errc::unreachable);
  CHECK_THAT(why.detail,
             ContainsSubstring("node " + id_of("n4") + " cannot vote, as the leader has no link"));
  step(seats::link_up{"n4"_node});
  auto asked = only<seats::greet>().id;
  step(seats::unanswered{{errc::busy, "ask again"}}, asked);
  ask(voter_change::add, "n4", 4);
  CHECK(end_of(4) == errc::busy);
  CHECK_THAT(why.detail, ContainsSubstring("has not told the leader yet whether it has a data"));
  step(seats::unanswered{{errc::not_found, "no seat"}}, asked);
  ask(voter_change::add, "n4", 2);
  CHECK(end_of(2) == errc::bad_argument);
  CHECK_THAT(why.detail,
             ContainsSubstring("node " + id_of("n4") + " cannot vote: it has no data folder"));
  step(seats::link_down{"n2"_node});
  ask(voter_change::add, "n2", 3); // a member may be away
  CHECK(end_of(3) == errc::none);
}

TEST_CASE_METHOD(leader_of_three, "a voter that is removed is replaced before it goes",
                 "[node][seats]") {
  link("n4");
  lag["n4"] = 500;
  forget();
  ask(voter_change::remove, "n2", 1);
  CHECK(asked() == words{"keep out n2", "learner n4 at n4@h4:1"});
  pass(3s);
  CHECK(asked().empty());
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
  CHECK(is_open(1));
  lag.clear();
  pass(1s);
  CHECK(asked() == words{"voter n4", "remove n2"});
  CHECK(end_of(1) == errc::none);
  CHECK(voters() == std::set<std::string>{"n1", "n3", "n4"});
  CHECK(shown.kept_out == words{id_of("n2")});
  pass(1min); // and it stays out
  CHECK(asked().empty());
}

TEST_CASE_METHOD(leader_of_three, "a removal waits for a replacement under any leader",
                 "[node][seats]") {
  link("n4");
  lag["n4"] = 500;
  ask(voter_change::remove, "n2", 1);
  SECTION("the next one, which was not asked") {
    role("n3");
    CHECK(end_of(1) == errc::not_leader);
    group.members.members.erase(seat_of("n4"));
    step(seats::link_down{"n4"_node});
    role("n1");
  }
  SECTION("and when its asker waits no more") {
    pass(30s);
    CHECK(end_of(1) == errc::timed_out);
    group.members.members.erase(seat_of("n4"));
    step(seats::link_down{"n4"_node});
    commit();
  }
  pass(1min);
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
  link("n5");
  pass(1s);
  CHECK(voters() == std::set<std::string>{"n1", "n3", "n5"});
}

TEST_CASE_METHOD(leader_of_three, "a forced removal is forced under any leader", "[node][seats]") {
  silent = {"n3"}; // so that it is not made yet
  ask(voter_change::remove, "n2", 1, true);
  CHECK(is_open(1));
  role("n3");
  silent.clear();
  role("n1");
  pass(1s);
  CHECK(voters() == std::set<std::string>{"n1", "n3"});
}

TEST_CASE_METHOD(leader_of_three, "of a forced and an unforced removal the later one counts",
                 "[node][seats]") {
  silent = {"n3"};
  ask(voter_change::remove, "n2", 1, true);
  ask(voter_change::remove, "n2", 2);
  pass(1s);
  CHECK(end_of(1) == errc::in_use); // there is no replacement
  CHECK(end_of(2) == errc::in_use);
  silent.clear();
  pass(1min);
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
  answers_looks = false;
  ask(voter_change::remove, "n2", 3);
  ask(voter_change::remove, "n2", 4, true);
  answers_looks = true;
  pass(1s);
  CHECK(end_of(3) == errc::none);
  CHECK(end_of(4) == errc::none);
}

TEST_CASE_METHOD(leader_of_three, "a forced removal that is taken back forces no later one",
                 "[node][seats]") {
  silent = {"n3"};
  ask(voter_change::remove, "n2", 1, true);
  CHECK(asked() == words{"force out n2"});
  lag["n4"] = 500;
  link("n4");
  ask(voter_change::add, "n2", 2);
  ask(voter_change::remove, "n2", 3);
  silent.clear();
  pass(1s);
  CHECK(is_open(3));
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
  CHECK(group.members.forced_out.empty());
  lag.clear();
  pass(1s);
  CHECK(voters() == std::set<std::string>{"n1", "n3", "n4"});
}

TEST_CASE_METHOD(leader_of_three, "of four voters one goes without a replacement",
                 "[node][seats]") {
  link("n4");
  ask(voter_change::add, "n4", 1);
  pass(1s);
  auto what = GENERATE(voter_change::remove, voter_change::leave);
  forget();
  ask(what, "n2", 2);
  pass(1s);
  CHECK(end_of(2) == errc::none);
  CHECK(voters() == std::set<std::string>{"n1", "n3", "n4"});
}

TEST_CASE_METHOD(leader_of_three,
                 "a voter goes once the others have acknowledged what was written "
                 "since it was asked",
                 "[node][seats]") {
  link("n4");
  ask(voter_change::add, "n4", 1);
  pass(10s);
  group.members_for = 9s;
  forget();
  ask(voter_change::leave, "n4", 2);
  CHECK(asked() == words{"confirm"});
  group.members_for = 50ms; // at that very time
  pass(50ms);
  CHECK(asked() == words{"confirm"});
  pass(50ms);
  CHECK(asked() == words{"remove n4"});
  CHECK(end_of(2) == errc::none);
}

TEST_CASE_METHOD(leader_of_three, "a voter without a replacement stays, unless it is forced",
                 "[node][seats]") {
  auto what = GENERATE(voter_change::remove, voter_change::leave);
  ask(what, "n2", 1);
  CHECK(end_of(1) == errc::in_use);
  CHECK_THAT(why.detail, ContainsSubstring("no node could take the place of voter name2"));
  pass(5s);
  CHECK(voters().size() == 3);
  CHECK(group.members.kept_out.empty());
  forget();
  ask(what, "n2", 2, true);
  pass(1s);
  CHECK(end_of(2) == errc::none);
  CHECK(voters() == std::set<std::string>{"n1", "n3"});
  CHECK(group.members.kept_out.contains(id_of("n2")) == (what == voter_change::remove));
}

TEST_CASE_METHOD(seated_node, "the only voter stays, forced or not", "[node][seats]") {
  begin();
  ask(voter_change::leave, "n1", 1, true);
  CHECK(end_of(1) == errc::in_use);
  CHECK_THAT(why.detail, ContainsSubstring("is the only voter"));
  ask(voter_change::remove, "n1", 2, true);
  CHECK(end_of(2) == errc::in_use);
  pass(1s);
  link("n2");
  link("n3");
  CHECK(voters().size() == 3); // it is not wished away any more
}

TEST_CASE_METHOD(leader_of_three, "a voter is held while too few of the others are there",
                 "[node][seats]") {
  link("n4");
  silent.insert("n3");
  ask(voter_change::remove, "n2", 1, true);
  ask(voter_change::leave, "n3", 2, true); // n1 and n2 go on without it, but n2 is to go
  silent.insert("n4");
  ask(voter_change::leave, "n2", 3, true); // counts from here on for n2
  pass(4s);
  CHECK(is_open(1));
  CHECK(is_open(3));
  pass(1s);
  CHECK(end_of(1) == errc::timed_out);
  CHECK_THAT(why.detail, ContainsSubstring("voter name2 is needed: too few of the other voters"));
  CHECK(end_of(3) == errc::in_use);
  CHECK(voters().contains("n2"));
}

TEST_CASE_METHOD(leader_of_three, "a removal goes on after its time, a leave does not",
                 "[node][seats]") {
  silent = {"n3"};
  auto what = GENERATE(voter_change::remove, voter_change::leave);
  ask(what, "n2", 1, true);
  pass(5s);
  CHECK(end_of(1) == (what == voter_change::remove ? errc::timed_out : errc::in_use));
  silent.clear();
  pass(1s);
  CHECK(voters().contains("n2") == (what == voter_change::leave));
}

TEST_CASE_METHOD(leader_of_three, "a node that does not answer is asked for its card again",
                 "[node][seats]") {
  step(seats::node_is{"n4"_node, "name4", "h4:1"});
  step(seats::link_up{"n4"_node});
  step(seats::link_up{"n5"_node});
  auto asked_at = now;
  std::size_t times = 0;
  for (auto& each : take<seats::greet>())
    step(no_answer, each.id);
  request_id last = 0;
  while (now < asked_at + 10min && it.next_deadline()) {
    pass(100ms);
    for (auto& each : take<seats::greet>()) {
      if (each.node == "n5"_node) {
        step(seats::greeted{{"n5"_node, seat_of("n5")}}, each.id);
        step(no_answer, each.id); // of an earlier one
        continue;
      }
      last = each.id;
      times += 1;
      pass(5s);
      step(no_answer, last);
      step(no_answer, last); // of another one over the same link
    }
  }
  CHECK(times >= 20); // about every 20 s
  CHECK(times <= 50);
  step(seats::greeted{{"n4"_node, seat_of("n4")}}, last);
  out.clear();
  pass(5min);
  CHECK(has_none<seats::greet>());
  step(seats::link_up{"n6"_node});
  last = only<seats::greet>().id;
  step(no_answer, last);
  step(seats::link_down{"n6"_node});
  pass(5min);
  CHECK(has_none<seats::greet>());
}

TEST_CASE_METHOD(leader_of_three, "a node that answers without a card is not asked again",
                 "[node][seats]") {
  step(seats::link_up{"n4"_node});
  auto asked = only<seats::greet>().id;
  for (auto code : {errc::not_found, errc::busy, errc::unreachable, errc::bad_argument})
    step(seats::unanswered{{code, "no card"}}, asked);
  pass(5min);
  CHECK(has_none<seats::greet>());
  step(no_answer, asked);
  pass(5min);
  CHECK(first<seats::greet>());
}

TEST_CASE_METHOD(leader_of_three, "a node that is stopped before it has left stays once it is back",
                 "[node][seats]") {
  auto is_told_once_linked = GENERATE(false, true);
  link("n3", 0, 7);
  link("n4");
  lag["n4"] = 500; // it could not take the place of n3 yet
  forget();
  if (is_told_once_linked)
    step(seats::link_down{"n3"_node});
  ask(voter_change::leave, "n3", 1);
  if (is_told_once_linked)
    link("n3", 0, 7);
  ask(voter_change::add, "n4", 2);
  pass(1s);
  CHECK(is_open(1));
  if (GENERATE(true, false)) // or its old link is there when it has started again
    step(seats::link_down{"n3"_node});
  SECTION("if it has started again") {
    link("n3", 0, 8);
    CHECK(end_of(1) == errc::cancelled);
    CHECK_THAT(why.detail, ContainsSubstring("node name3 has started again before it had left"));
    lag.clear();
    pass(5s);
    CHECK(voters() == std::set<std::string>{"n1", "n2", "n3", "n4"}); // n4 as it was asked for
    ask(voter_change::leave, "n3", 3);
    link("n3", 0, 8);
    pass(5s);
    CHECK(end_of(3) == errc::none);
    CHECK_FALSE(voters().contains("n3"));
  }
  SECTION("not if only its link was lost") {
    link("n3", 0, 7);
    CHECK(is_open(1));
    lag.clear();
    pass(5s);
    CHECK(end_of(1) == errc::none);
    CHECK(voters() == std::set<std::string>{"n1", "n2", "n4"});
  }
  CHECK(end_of(2) == errc::none);
}

TEST_CASE_METHOD(leader_of_three, "who has said that it leaves, and is back, stays",
                 "[node][seats]") {
  link("n2", 0, 7);
  silent = {"n3"};
  forget();
  step(seats::node_left{"n2"_node}); // it is needed
  pass(1s);
  link("n2", 0, 8);
  silent.clear();
  pass(5s);
  CHECK(voters().size() == 3);
}

TEST_CASE_METHOD(leader_of_three,
                 "that a node has left in an earlier life says nothing of this one",
                 "[node][seats]") {
  silent = {"n3"}; // n2 is needed
  forget();
  SECTION("heard while it was away") {
    step(seats::link_down{"n2"_node});
    step(seats::node_left{"n2"_node, 7});
    pass(1s);
    link("n2", 0, 8);
  }
  SECTION("heard when it was back") {
    link("n2", 0, 8);
    step(seats::node_left{"n2"_node, 7});
  }
  silent.clear();
  pass(5s);
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
  step(seats::node_left{"n2"_node, GENERATE(boot_number{8}, 9)}); // it may rise over the same link
  pass(5s);
  CHECK(voters() == std::set<std::string>{"n1", "n3"});
}

TEST_CASE_METHOD(leader_of_three, "who waits for a change is answered after 30 seconds",
                 "[node][seats]") {
  link("n4");
  lag["n4"] = 500;
  link("n5");
  lag["n5"] = 500;
  ask(voter_change::add, "n4", 1);
  ask(voter_change::remove, "n2", 2);
  ask(voter_change::leave, "n3", 3);
  ask(voter_change::lead, "n3", 4);
  pass(29'949ms);
  for (request_id each : {1, 2, 3, 4})
    CHECK(is_open(each));
  pass(51ms);
  CHECK(end_of(1) == errc::timed_out);
  CHECK_THAT(why.detail, ContainsSubstring("so ask again"));
  CHECK(end_of(2) == errc::timed_out);
  CHECK_THAT(why.detail, ContainsSubstring("is not made yet and goes on"));
  CHECK(end_of(3) == errc::timed_out);
  CHECK_THAT(why.detail, ContainsSubstring("the vote could not be given up in time"));
  CHECK(end_of(4) == errc::timed_out);
  lag.clear();
  pass(2s);
  CHECK(voters() == std::set<std::string>{"n1", "n3", "n4"}); // n4 in place of n2
}

TEST_CASE_METHOD(leader_of_three, "of two wishes for a node the later one counts",
                 "[node][seats]") {
  link("n4");
  lag["n4"] = 500;
  ask(voter_change::remove, "n2", 1);
  ask(voter_change::add, "n2", 2);
  CHECK(end_of(2) == errc::none);
  lag.clear();
  pass(29s);
  CHECK(voters().contains("n2"));
  CHECK(is_open(1));
  pass(1s);
  CHECK(end_of(1) == errc::timed_out);
  CHECK_THAT(why.detail, ContainsSubstring("another change of node name2 was asked for since"));
  pass(1min);
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
}

TEST_CASE_METHOD(leader_of_three, "a wish that is refused takes no other one's with it",
                 "[node][seats]") {
  silent = {"n3"};
  ask(voter_change::leave, "n2", 1, true);
  pass(3s);
  ask(voter_change::remove, "n2", 2, true);
  pass(2s);
  CHECK(end_of(1) == errc::in_use); // and the other one waits
  CHECK(is_open(2));
  silent.clear();
  pass(1s);
  CHECK(end_of(2) == errc::none);
  CHECK_FALSE(voters().contains("n2"));
}

TEST_CASE_METHOD(leader_of_three, "all who ask for the same are answered", "[node][seats]") {
  link("n4");
  lag["n4"] = 500;
  ask(voter_change::remove, "n2", 1);
  pass(10s);
  ask(voter_change::remove, "n2", 2);
  pass(20s);
  CHECK(end_of(1) == errc::timed_out);
  CHECK(is_open(2));
  lag.clear();
  pass(1s);
  CHECK(end_of(2) == errc::none);
}

TEST_CASE_METHOD(leader_of_three, "a removed node votes again once it is added", "[node][seats]") {
  link("n4");
  ask(voter_change::remove, "n2", 1);
  pass(1s);
  CHECK(end_of(1) == errc::none);
  forget();
  ask(voter_change::add, "n2", 2);
  pass(1s);
  CHECK(asked() == words{"let in n2", "learner n2 at n2@h2:1", "voter n2"});
  CHECK(end_of(2) == errc::none);
}

TEST_CASE_METHOD(leader_of_three, "a removal that cannot be is undone", "[node][seats]") {
  link("n4");
  silent = {"n4"};
  ask(voter_change::remove, "n2", 1); // kept out, but not replaced yet
  CHECK(asked() == words{"keep out n2", "learner n4 at n4@h4:1"});
  step(seats::link_down{"n4"_node});
  group.members.members.erase(seat_of("n4"));
  commit();
  pass(1s);
  CHECK(end_of(1) == errc::in_use);
  CHECK(asked() == words{"let in n2"});
  CHECK(group.members.kept_out.empty());
}

TEST_CASE_METHOD(leader_of_three, "64 nodes that are there are kept out", "[node][seats]") {
  for (auto node = 100; node < 164; ++node) {
    auto id = "n" + std::to_string(node);
    link(id);
    group.members.kept_out.insert(id_of(id));
  }
  commit();
  link("n4");
  forget();
  ask(voter_change::remove, "n2", 1);
  CHECK(end_of(1) == errc::limit_reached);
  CHECK_THAT(why.detail, ContainsSubstring("64 removed nodes that are there are kept out"));
  step(seats::link_down{"n100"_node}); // gives way
  ask(voter_change::remove, "n2", 2);
  pass(1s);
  CHECK(end_of(2) == errc::none);
  CHECK_FALSE(group.members.kept_out.contains(id_of("n100")));
}

TEST_CASE_METHOD(leader_of_three, "a node that leaves is taken out, and comes back as any other",
                 "[node][seats]") {
  step(seats::node_left{"n9"_node}); // no member
  pass(1s);
  CHECK(asked().empty());
  link("n4");
  forget();
  step(seats::node_left{"n2"_node});
  pass(1s);
  CHECK(voters() == std::set<std::string>{"n1", "n3", "n4"});
  ask(voter_change::remove, "n4", 1, true);
  step(seats::node_is{"n2"_node, "name2", "h2:1"});
  pass(1s);
  CHECK(end_of(1) == errc::none);
  CHECK(voters() == std::set<std::string>{"n1", "n3"}); // it may be on its way out
  step(seats::link_down{"n2"_node});
  link("n2");
  pass(1s);
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
}

TEST_CASE_METHOD(leader_of_three, "who has left the group without its voter's word is not gone",
                 "[node][seats]") {
  step(seats::node_left{"n2"_node}); // no node can take its place
  step(seats::link_down{"n2"_node});
  pass(1s);
  CHECK(voters().size() == 2); // its will is done: the others go on
  link("n2");
  pass(1s);
  CHECK(voters().size() == 3);
}

// -- leadership ------------------------------------------------------------------------------

TEST_CASE_METHOD(leader_of_three, "leadership is handed over to who is asked for",
                 "[node][seats]") {
  ask(voter_change::lead, "n2", 1);
  CHECK(asked() == words{"hand over to n2"});
  ask(voter_change::lead, "name2", 2);
  CHECK(is_open(1));
  CHECK(is_open(2));
  role("n2", raft::replica_types::handed_over);
  CHECK(end_of(1) == errc::none);
  CHECK(end_of(2) == errc::none);
}

TEST_CASE_METHOD(leader_of_three, "only a voter leads", "[node][seats]") {
  link("n4");
  ask(voter_change::lead, "n4", 1);
  CHECK(end_of(1) == errc::bad_argument);
  CHECK_THAT(why.detail, ContainsSubstring("node name4 does not vote, so it cannot lead"));
  ask(voter_change::lead, "n1", 2);
  CHECK(end_of(2) == errc::none);
  CHECK(has_none<seats::propose>());
}

TEST_CASE_METHOD(leader_of_three, "only a node that is linked leads", "[node][seats]") {
  SECTION("from the start") {
    die("n2");
    ask(voter_change::lead, "n2", 1);
  }
  SECTION("while it is to lead, too") {
    answers_proposals = false;
    ask(voter_change::lead, "n2", 1);
    CHECK(is_open(1));
    die("n2");
  }
  CHECK(end_of(1) == errc::unreachable);
  CHECK_THAT(why.detail, ContainsSubstring("node name2 cannot lead, as the leader has no link"));
  for (auto& each : it.view(status(), quorum).pending)
    CHECK(each.what == "replacement");
}

TEST_CASE_METHOD(leader_of_three,
                 "a hand-over that another one keeps from beginning is tried "
                 "again",
                 "[node][seats]") {
  answers_looks = false;
  ask(voter_change::lead, "n2", 1);
  auto asked_once = only<seats::propose>();
  CHECK(to_words(asked_once.what) == "hand over to n2");
  ask(voter_change::lead, "n2", 2);
  CHECK(has_none<seats::propose>()); // one for both
  step(seats::answered{{errc::busy, "another one"}}, asked_once.id);
  CHECK(has_none<seats::propose>());
  CHECK(it.next_deadline() <= now + 50ms);
  pass(49ms);
  CHECK(has_none<seats::propose>());
  pass(1ms);
  auto again = only<seats::propose>();
  step(seats::answered{{errc::busy, "another one"}}, asked_once.id); // not the present one
  pass(1s);
  CHECK(has_none<seats::propose>());
  step(seats::answered{}, again.id);
  pass(1s);
  CHECK(has_none<seats::propose>());
}

TEST_CASE_METHOD(leader_of_three,
                 "a hand-over that waits for another one is given up once its node has no seat",
                 "[node][seats]") {
  answers_looks = false;
  ask(voter_change::lead, "n2", 1);
  step(seats::answered{{errc::busy, "another one"}}, only<seats::propose>().id);
  group.members.members.erase(seat_of("n2"));
  commit();
  pass(1s);
  CHECK(has_none<seats::propose>());
  answers_looks = true;
  step(seats::link_down{"n2"_node});
  CHECK(end_of(1) == errc::bad_argument);
}

TEST_CASE_METHOD(leader_of_three, "who ends hands over first, and waits for it", "[node][seats]") {
  answers_looks = false;
  step(seats::hand_over{}, 1);
  step(seats::hand_over{}, 2);
  auto over = only<seats::propose>();
  CHECK(to_words(over.what) == "hand over");
  SECTION("until another one leads") {
    step(seats::answered{}, over.id);
    pass(1s);
    CHECK(has_none<seats::handed_over>());
    answers_looks = true;
    role("n2");
    CHECK(take<seats::handed_over>().size() == 2);
    pass(10s);
    CHECK(has_none<seats::handed_over>());
  }
  SECTION("but 3 seconds at most") {
    step(seats::answered{}, over.id);
    pass(2'999ms);
    CHECK(has_none<seats::handed_over>());
    pass(1ms);
    auto told = take<seats::handed_over>();
    REQUIRE(told.size() == 2);
    CHECK(told[0].id == 1);
    CHECK(told[1].id == 2);
  }
  SECTION("and tries again while another hand-over is under way") {
    step(seats::answered{{errc::busy, "another one"}}, over.id);
    pass(50ms);
    CHECK(to_words(only<seats::propose>().what) == "hand over");
    pass(3s);
    CHECK(take<seats::handed_over>().size() == 2);
    CHECK(has_none<seats::propose>());
  }
  SECTION("not at all where it cannot be") {
    step(seats::answered{{errc::bad_argument, "nobody"}}, over.id);
    CHECK(take<seats::handed_over>().size() == 2);
  }
}

TEST_CASE_METHOD(seated_node, "who is alone, or follows, ends at once", "[node][seats]") {
  begin();
  step(seats::hand_over{}, 1);
  CHECK(only<seats::handed_over>().id == 1);
  seat("n2", true);
  commit();
  role("n2");
  out.clear();
  step(seats::hand_over{}, 2);
  CHECK(only<seats::handed_over>().id == 2);
  CHECK(has_none<seats::propose>());
}

TEST_CASE_METHOD(leader_of_three, "who leads no more refuses what it was asked for",
                 "[node][seats]") {
  link("n4");
  lag["n4"] = 500;
  ask(voter_change::remove, "n2", 1);
  ask(voter_change::lead, "n2", 2);
  ask(voter_change::lead, "n3", 3);
  role("n3");
  CHECK(end_of(1) == errc::not_leader);
  CHECK(end_of(2) == errc::not_leader);
  CHECK(end_of(3) == errc::none);
  group.members.kept_out.clear();
  lag.clear();
  commit();
  role("n1");
  pass(5s); // what was wished of an earlier leader is forgotten
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
}

TEST_CASE_METHOD(leader_of_three,
                 "who leads again before it has seen who did keeps what it was "
                 "asked for",
                 "[node][seats]") {
  link("n4");
  lag["n4"] = 500;
  ask(voter_change::remove, "n2", 1);
  answers_looks = false;
  role("n3");
  auto stale = only<seats::look>();
  role("n1");
  CHECK(has_none<seats::follow>());
  step(seats::seen{status(), quorum, "h1:1"}, stale.id); // of an earlier turn
  CHECK(has_none<seats::follow>());
  CHECK(is_open(1));
  answers_looks = true;
  go_on();
  lag.clear();
  pass(1s);
  CHECK(end_of(1) == errc::none);
}

TEST_CASE_METHOD(seated_node,
                 "who has a seat needs links to the members, and all while nobody else leads",
                 "[node][seats]") {
  using links = seats::keep_links;
  seat("n2", true);
  seat("n3", false);
  commit();
  CHECK(only<seats::keep_links>() == links{true, {"n2"_node, "n3"_node}});
  CHECK(take<seats::reach>().size() == 2); // before an election needs them
  role("n2");
  CHECK(only<seats::keep_links>() == links{false, {"n2"_node, "n3"_node}});
  role("");
  CHECK(only<seats::keep_links>().all);
  role("n1");
  CHECK(has_none<seats::keep_links>()); // said already
  role("n2");
  CHECK_FALSE(only<seats::keep_links>().all);
  role("n3");
  CHECK(has_none<seats::keep_links>());
  SECTION("by the log, as nobody may say how far it is committed") {
    seat("n4", false);
    step(seats::members_are{{}, status()});
    CHECK(only<seats::keep_links>().peers.contains("n4"_node));
  }
  SECTION("and needs none without a seat") {
    group.members.members.erase(seat_of("n1"));
    commit();
    CHECK(only<seats::keep_links>() == links{});
  }
  SECTION("or where it takes part no more") {
    role("");
    out.clear();
    step(seats::stopped{{errc::damaged, "the disk is broken"}});
    CHECK(only<seats::keep_links>() == links{});
  }
}

TEST_CASE_METHOD(leader_of_three, "the node is told who leads, and where, in turns that rise",
                 "[node][seats]") {
  role("n2", "it is newer");
  auto one = only<seats::follow>();
  CHECK(one.address == "h2:1");
  auto said = take<seats::inform>();
  REQUIRE(said.size() == 1);
  CHECK(said[0].text == "node name2 leads the cluster in term 2: it is newer");
  CHECK(only<seats::warn>().text == "leads the cluster no more: another node leads a later term");
  CHECK(only<seats::others>().addresses == words{"h2:1", "h3:1"});
  role("");
  auto two = only<seats::follow>();
  CHECK(two.address.empty());
  CHECK(two.turn > one.turn);
  CHECK(has_none<seats::warn>());
  role("n1", "all for it");
  CHECK(only<seats::lead>().turn > two.turn);
  said = take<seats::inform>();
  REQUIRE(said.size() == 1);
  CHECK(said[0].text == "leads the cluster in term 4: all for it");
  role("", "no majority");
  CHECK(only<seats::warn>().text == "leads the cluster no more: no majority");
  role("n1");
  out.clear();
  role("n3", raft::replica_types::handed_over);
  CHECK(has_none<seats::warn>());
  CHECK(take<seats::inform>().front().text
        == std::string{"leads the cluster no more: "} + raft::replica_types::handed_over);
}

TEST_CASE_METHOD(follower_of_two, "where the leader is stands in the members", "[node][seats]") {
  group.members.members[seat_of("n2")].contact = "n2@moved:1";
  commit();
  CHECK(only<seats::follow>().address == "moved:1");
  group.members.members.erase(seat_of("n2"));
  commit();
  CHECK(only<seats::follow>().address.empty());
}

TEST_CASE_METHOD(seated_node,
                 "who votes and who learns is said when it changes, once a leader is "
                 "known",
                 "[node][seats]") {
  seat("n2", true);
  seat("n3", false);
  step(seats::node_is{"n2"_node, "name2", "h2:1"});
  commit();
  CHECK(has_none<seats::inform>());
  role("n2");
  auto said = take<seats::inform>();
  REQUIRE(said.size() == 2);
  CHECK(said[1].text == "voters of the cluster: this node, name2; learners: " + digits_of("n3"));
  group.members.kept_out.insert(id_of("n8"));
  commit();
  CHECK(has_none<seats::inform>());
  seat("n3", true);
  commit();
  CHECK(only<seats::inform>().text
        == "voters of the cluster: this node, name2, " + digits_of("n3"));
}

TEST_CASE_METHOD(seated_node, "who catches up says who votes now, not who voted before",
                 "[node][seats]") {
  auto reads = [this](const std::string& node) {
    committed.members[seat_of(node)] = {true, contact_of(node)};
    step(seats::members_are{committed, status()});
  };
  seat("n2", true);
  seat("n3", true);
  SECTION("of what it reads before it knows who leads") {
    reads("n2");
    role("n2");
    CHECK(take<seats::inform>().size() == 1); // who leads
  }
  SECTION("of what it reads after that") {
    role("n2");
    reads("n2");
    CHECK(take<seats::inform>().size() == 1);
  }
  reads("n3");
  CHECK(has_none<seats::inform>());
  reads("n1");
  CHECK(only<seats::inform>().text
        == "voters of the cluster: this node, " + digits_of("n2") + ", " + digits_of("n3"));
}

TEST_CASE_METHOD(seated_node, "a node is called what its link proves until the registry names it",
                 "[node][seats]") {
  seat("n2", true);
  seat("n3", true);
  seat("n4", true);
  commit();
  step(seats::link_up{"n2"_node, 1, "two"});
  step(seats::link_up{"n4"_node, 1});
  role("n2");
  auto said = take<seats::inform>();
  REQUIRE(said.size() == 2);
  CHECK_THAT(said[0].text, StartsWith("node two leads the cluster"));
  auto others = ", " + digits_of("n3") + ", " + digits_of("n4");
  CHECK(said[1].text == "voters of the cluster: this node, two" + others);
  step(seats::node_is{"n2"_node, "name2", "h2:1"});
  role("n3");
  CHECK(take<seats::inform>().back().text == "voters of the cluster: this node, name2" + others);
}

TEST_CASE_METHOD(seated_node, "the node knows whether it has a seat and a vote, committed or not",
                 "[node][seats]") {
  seat("n1", false);
  commit();
  auto said = only<seats::seated>();
  CHECK(said.is_seated);
  CHECK_FALSE(said.votes);
  seat("n1", true);
  step(seats::members_are{committed, status()}); // the log has more
  CHECK(only<seats::seated>().votes);
  group.members.members.erase(seat_of("n1"));
  step(seats::members_are{committed, status()});
  CHECK_FALSE(only<seats::seated>().is_seated);
}

TEST_CASE_METHOD(leader_of_three, "a group that has stopped is left", "[node][seats]") {
  link("n4");
  lag["n4"] = 500;
  ask(voter_change::remove, "n2", 1);
  answers_looks = false;
  step(seats::hand_over{}, 2);
  out.clear();
  pass(50ms); // a look is under way
  auto open = first<seats::look>();
  step(seats::stopped{{errc::damaged, "the disk is gone"}});
  CHECK(only<seats::fail>().text
        == "this node takes part in the cluster's group no more: the disk is gone");
  CHECK(only<seats::follow>().address.empty());
  CHECK(only<seats::handed_over>().id == 2);
  CHECK(end_of(1) == errc::not_leader);
  if (open)
    step(seats::seen{}, open->id);
  ask(voter_change::remove, "n2", 3); // who asks now hears it as well
  CHECK(end_of(3) == errc::not_leader);
  step(seats::hand_over{}, 4);
  CHECK(only<seats::handed_over>().id == 4);
  step(seats::link_down{"n2"_node});
  step(seats::revoked{{"n3"_node}});
  CHECK(has_none<seats::look>());
  pass(1min);
  CHECK(has_none<seats::propose>());
  CHECK_FALSE(it.next_deadline());
}

TEST_CASE_METHOD(leader_of_three, "who leads looks at once at what may cost a majority",
                 "[node][seats]") {
  answers_looks = false;
  SECTION("a member whose link has ended") {
    step(seats::link_down{"n2"_node});
    CHECK(only<seats::look>().id != 0);
  }
  SECTION("a member that the others show dead") {
    step(seats::member_shows{"n2"_node, false});
    CHECK(only<seats::look>().id != 0);
  }
  SECTION("an identity that is revoked") {
    answers_looks = true;
    step(seats::revoked{{"n3"_node}});
    CHECK(asked_for == words{"remove n3"});
  }
}

// -- disks that forget -----------------------------------------------------------------------

TEST_CASE_METHOD(leader_of_three,
                 "a seat whose disk has forgotten goes, and its node is told until "
                 "it has another",
                 "[node][seats]") {
  step(seats::forgot{seat_of("n2")});
  CHECK_THAT(only<seats::warn>().text, ContainsSubstring("has lost what it had synced"));
  CHECK(asked() == words{"remove n2"});
  auto told = take<seats::greet>();
  REQUIRE(told.size() == 1);
  CHECK(told[0].node == "n2"_node);
  CHECK(told[0].forgotten == seat_of("n2"));
  step(seats::forgot{seat_of("n2")}); // said with each answer of it
  CHECK(has_none<seats::warn>());
  pass(499ms);
  CHECK(has_none<seats::greet>());
  pass(1ms);
  CHECK(only<seats::greet>().forgotten == seat_of("n2"));
  pass(5s);
  CHECK(take<seats::greet>().size() == 10);
  CHECK(asked().empty()); // it does not come back with that seat
  show("n2", 22);
  pass(5s);
  CHECK(has_none<seats::greet>());
  CHECK(group.members.votes(raft::member_id{22}));
}

TEST_CASE_METHOD(leader_of_three, "what a seat has lost stays lost while its node is away",
                 "[node][seats]") {
  step(seats::forgot{seat_of("n2")});
  step(seats::link_down{"n2"_node});
  pass(1min);
  forget();
  link("n2");
  auto told = take<seats::greet>();
  REQUIRE(told.size() == 2);
  CHECK(told[0].forgotten == raft::member_id{}); // its card is not known over this link
  CHECK(told[1].forgotten == seat_of("n2"));
  CHECK(asked().empty());
}

TEST_CASE_METHOD(leader_of_three, "a node that holds another seat than the group knows learns anew",
                 "[node][seats]") {
  show("n2", 22);
  CHECK(asked() == words{"remove n2", "learner n22 at n2@h2:1", "voter n22"});
  CHECK(group.members.votes(raft::member_id{22}));
}

TEST_CASE_METHOD(leader_of_three, "who leads anew asks a node again before it takes its seat away",
                 "[node][seats]") {
  link("n2", 12); // it has said so to n1
  role("n3");
  group.members.members.erase(raft::member_id{12});
  group.members.members[raft::member_id{22}] = {true, contact_of("n2")}; // and this since to n3
  commit();
  forget();
  role("n1");
  CHECK(only<seats::greet>().node == "n2"_node);
  pass(1s);
  CHECK(asked().empty());
  show("n2", 22);
  pass(1s);
  CHECK(asked().empty());
  show("n2", 32);
  CHECK(asked() == words{"remove n22", "learner n32 at n2@h2:1", "voter n32"});
}

TEST_CASE_METHOD(follower_of_two, "a node gives up its seat when its leader says that it is void",
                 "[node][seats]") {
  say_void(1);
  CHECK(has_none<seats::show_card>());
  step(seats::forgot{seat_of("n1")}); // the same, by other ways
  say_void(2);
  CHECK(end_of(2) == errc::busy);
  renewed(11);
  CHECK(has_shown(1));
  CHECK_THAT(only<seats::warn>().text, ContainsSubstring("it has given up its seat"));
  CHECK_FALSE(only<seats::seated>().is_seated);
  CHECK(take<seats::greet>().size() == 2); // all see its new card
  step(seats::forgot{seat_of("n1")});      // it is not its seat any more
  CHECK(has_none<seats::warn>());
  say_void(3);
  CHECK(has_shown(3)); // it has another one by now
  CHECK(has_none<seats::renew>());
}

TEST_CASE_METHOD(follower_of_two,
                 "a node that sees itself what its disk has lost gives up its seat",
                 "[node][seats]") {
  step(seats::forgot{seat_of("n1")});
  auto asked_once = only<seats::renew>();
  CHECK(asked_once.lost == seat_of("n1"));
  CHECK(has_none<seats::warn>()); // it does not wait for a leader to take it away
  group.self = raft::member_id{11};
  step(seats::renewed{{}, status()}, asked_once.id);
  CHECK(take<seats::warn>().size() == 1);
  CHECK(take<seats::greet>().size() == 2);
  CHECK(has_none<seats::show_card>()); // nobody has asked
}

TEST_CASE_METHOD(follower_of_two,
                 "who is told that its seat is void shows another one that it has by then",
                 "[node][seats]") {
  step(seats::forgot{seat_of("n1")});
  group.self = raft::member_id{11}; // and it has not heard yet that the disk has written that
  say_void(3);
  CHECK(has_shown(3));
}

TEST_CASE_METHOD(seated_node, "a seat that is none is not forgotten", "[node][seats]") {
  begin();
  step(seats::forgot{});
  CHECK(has_none<seats::warn>());
  seats empty{"n1"_node, {}, {}, 0};
  empty.step(now, 0, seats::forgot{}, out);
  CHECK(has_none<seats::renew>());
}

TEST_CASE_METHOD(follower_of_two, "who has given up its seat shows its card until it is a member's",
                 "[node][seats]") {
  quorum.voters = {{seat_of("n1"), contact_of("n1"), true}};
  say_void(1);
  renewed(11);
  group.members.members.erase(seat_of("n2"));
  commit();
  role("");
  out.clear();
  pass(9s);
  CHECK(take<seats::greet>().size() == 6); // two nodes, every 3 s
  CHECK(it.obstacle(quorum, now).code == errc::no_quorum);
  CHECK_THAT(it.obstacle(quorum, now).detail, ContainsSubstring("has given up its seat"));
  group.members.members.erase(seat_of("n1"));
  group.members.members[raft::member_id{11}] = {false, contact_of("n1")};
  commit();
  out.clear();
  pass(9s);
  CHECK(has_none<seats::greet>());
  CHECK_FALSE(it.obstacle(quorum, now));
}

// -- whether a majority is reached -------------------------------------------------------------

TEST_CASE_METHOD(follower_of_two,
                 "a lost quorum is said to the node, and to people after 2 seconds",
                 "[node][seats]") {
  quorum.leader = {};
  quorum.voters = {{seat_of("n1"), contact_of("n1"), true},
                   {seat_of("n2"), contact_of("n2")},
                   {seat_of("n3"), contact_of("n3")},
                   {seat_of("n4"), contact_of("n4"), true}};
  role("");
  CHECK(has_none<seats::complain>());
  CHECK(has_none<seats::without_quorum>());
  CHECK(it.next_deadline() == now + 250ms);
  quorum.leaderless_for = 1'999ms;
  pass(1s);
  CHECK(has_none<seats::complain>());
  quorum.leaderless_for = 2s;
  pass(1s);
  auto said = only<seats::complain>();
  CHECK(said.topic == "no leader");
  CHECK(said.detail == "2 of 4 voters reachable, not name2 (h2:1), name3 (h3:1)");
  pass(10s);
  CHECK(has_none<seats::complain>()); // not again while the same are missing
  quorum.voters[3].is_reached = false;
  quorum.why = {errc::no_quorum, "seat 2"};
  pass(250ms);
  CHECK_THAT(only<seats::complain>().detail,
             StartsWith("1 of 4 voters reachable, not name2 (h2:1), name3 (h3:1), "));
  auto lost = only<seats::without_quorum>();
  CHECK(lost.why.code == errc::no_quorum);
  CHECK_THAT(lost.why.detail, ContainsSubstring("not name2 (h2:1), name3 (h3:1)"));
  CHECK(it.obstacle(quorum, now) == lost.why);
  pass(10s);
  CHECK(has_none<seats::without_quorum>());
  step(seats::disk_room{{errc::storage_full, "the disk is full"}});
  CHECK(only<seats::complain>().detail == "the disk is full");
  pass(250ms);
  CHECK_THAT(only<seats::without_quorum>().why.detail,
             ContainsSubstring("the disk of this node is full, too"));
  step(seats::disk_room{});
  CHECK(only<seats::settle>().topic == "writes nothing new to its data folder");
  quorum.why = {};
  quorum.leaderless_for = {};
  role("n3");
  CHECK_FALSE(only<seats::without_quorum>().why);
  CHECK(only<seats::settle>().topic == "no leader");
  CHECK_FALSE(it.next_deadline());
  pass(1min);
  CHECK(has_none<seats::settle>());
}

TEST_CASE_METHOD(follower_of_two,
                 "who has left, and reaches all that vote by its log, has time to hear who leads",
                 "[node][seats]") {
  quorum.leader = {};
  quorum.voters = {{seat_of("n1"), contact_of("n1"), true},
                   {seat_of("n2"), contact_of("n2"), true},
                   {seat_of("n3"), contact_of("n3"), true}};
  SECTION("also where one of them is away") {
    quorum.voters[2].is_reached = false;
  }
  role("");
  quorum.leaderless_for = 9'999ms;
  pass(1s);
  CHECK(has_none<seats::complain>());
  SECTION("and says nothing if it does") {
    quorum.leaderless_for = {};
    role("n3");
    pass(1min);
    CHECK(has_none<seats::complain>());
  }
  SECTION("and then says what is known") {
    CHECK_FALSE(it.obstacle(quorum, now));
    quorum.leaderless_for = 10s;
    pass(1s);
    auto said = only<seats::complain>().detail;
    CHECK_THAT(said, ContainsSubstring(" of 3 voters reachable")
                       && ContainsSubstring("none of them has said to this node that it leads"));
    CHECK(it.obstacle(quorum, now) == problem{errc::no_quorum, said});
    quorum.leaderless_for = {};
    role("n3");
    CHECK_FALSE(it.obstacle(quorum, now));
  }
}

TEST_CASE_METHOD(follower_of_two, "a node that was voted out unheard says nothing of the quorum",
                 "[node][seats]") {
  group.members.promotions = 3;
  commit();
  out.clear();
  quorum.leader = {};
  quorum.leaderless_for = 30s;
  quorum.voters = {{seat_of("n1"), contact_of("n1"), true},
                   {seat_of("n2"), contact_of("n2")},
                   {seat_of("n3"), contact_of("n3")}};
  quorum.why = {errc::no_quorum, "seat 2"};
  role("");
  CHECK(only<seats::complain>().topic == "no leader");
  CHECK(only<seats::without_quorum>().why);
  CHECK(it.view(status(), quorum).seats.size() == 3);
  auto lost
    = seats::card{"n3"_node, seat_of("n3"), true, group.term, 3, {seat_of("n2"), seat_of("n3")}};
  step(seats::exchanged{lost, {}, "n4"_node}, 1); // over the link of another node
  CHECK(has_none<seats::seated>());
  SECTION("once the card of another node shows that") {
    step(seats::exchanged{lost, {}, "n3"_node}, 2);
  }
  SECTION("or the answer to its own card") {
    step(seats::link_up{"n3"_node});
    step(seats::greeted{lost}, only<seats::greet>().id);
  }
  auto seated = only<seats::seated>();
  CHECK_FALSE(seated.is_seated);
  CHECK_FALSE(seated.votes);
  CHECK_FALSE(only<seats::without_quorum>().why);
  CHECK(only<seats::settle>().topic == "no leader");
  CHECK_FALSE(it.obstacle(quorum, now));
  CHECK(it.view(status(), quorum).seats.empty());
  pass(1min);
  CHECK(has_none<seats::complain>());
  quorum.leader = seat_of("n2");
  role("n2"); // by the log of who leads it votes
  CHECK(only<seats::seated>().votes);
  CHECK(it.view(status(), quorum).seats.size() == 3);
}

TEST_CASE_METHOD(follower_of_two, "who leads has not been voted out", "[node][seats]") {
  commit();
  role("");
  step(seats::link_up{"n3"_node});
  auto lost
    = seats::card{"n3"_node, seat_of("n3"), true, group.term, 0, {seat_of("n2"), seat_of("n3")}};
  out.clear();
  step(seats::exchanged{lost, {}, "n3"_node}, 1); // what it says was never committed
  CHECK_FALSE(only<seats::seated>().votes);
  ++group.term;
  role("n1");
  CHECK(only<seats::seated>().votes);
  step(seats::exchanged{lost, {}, "n3"_node}, 2); // late
  CHECK(has_none<seats::seated>());
}

TEST_CASE_METHOD(follower_of_two, "a log that is older than this node's says nothing of its vote",
                 "[node][seats]") {
  step(seats::link_up{"n3"_node});
  auto old = status();
  old.last_term = 9;
  step(seats::members_are{committed, old});
  out.clear();
  auto card = seats::card{"n3"_node, seat_of("n3"), true, 8, 0, {seat_of("n2"), seat_of("n3")}};
  step(seats::exchanged{card, {}, "n3"_node}, 1);
  CHECK(has_none<seats::seated>());
  card.term = 9;
  step(seats::exchanged{card, {}, "n3"_node}, 2);
  CHECK_FALSE(only<seats::seated>().votes);
}

TEST_CASE_METHOD(follower_of_two, "what a revoked node has shown of the voters counts no more",
                 "[node][seats]") {
  commit();
  role("");
  step(seats::link_up{"n3"_node});
  auto forged
    = seats::card{"n3"_node, seat_of("n3"), true, UINT64_MAX, UINT64_MAX, {seat_of("n3")}};
  out.clear();
  step(seats::exchanged{forged, {}, "n3"_node}, 1);
  CHECK_FALSE(only<seats::seated>().votes);
  ++group.term;
  role("n2"); // no leader outlives that term
  role("");
  CHECK(has_none<seats::seated>());
  out.clear();
  step(seats::revoked{{"n3"_node}});
  CHECK(only<seats::seated>().votes);
  CHECK_FALSE(has_none<seats::greet>()); // others may show the same
  CHECK(it.view(status(), quorum).seats.size() == 3);
  out.clear();
  step(seats::exchanged{forged, {}, "n3"_node}, 2); // its link is about to end
  CHECK(has_none<seats::seated>());
  step(seats::revoked{{"n3"_node}});
  CHECK(has_none<seats::greet>());
}

TEST_CASE_METHOD(follower_of_two, "a node shows who was voted out its card", "[node][seats]") {
  link("n4");
  seat("n4", true);
  commit();
  out.clear();
  SECTION("who leads, too") {
    role("n1");
    out.clear();
  }
  group.members.members.erase(seat_of("n4"));
  commit();
  CHECK(only<seats::greet>().node == "n4"_node);
  commit();
  step(seats::members_are{committed, status()});
  CHECK(has_none<seats::greet>());
  seat("n4", false);
  commit();
  group.members.members.erase(seat_of("n4")); // it had no vote
  commit();
  CHECK(has_none<seats::greet>());
}

TEST_CASE_METHOD(seated_node, "who does not vote shows no voters without a leader",
                 "[node][seats]") {
  seat("n1", false);
  seat("n2", true);
  begin("n2");
  CHECK(it.view(status(), quorum).seats.size() == 2);
  role("");
  CHECK(it.view(status(), quorum).seats.empty());
}

TEST_CASE_METHOD(follower_of_two, "a majority that has come back has time to elect a leader",
                 "[node][seats]") {
  quorum.leader = {};
  quorum.voters = {{seat_of("n1"), contact_of("n1"), true},
                   {seat_of("n2"), contact_of("n2")},
                   {seat_of("n3"), contact_of("n3")}};
  quorum.leaderless_for = 30s;
  role("");
  CHECK_THAT(only<seats::complain>().detail, StartsWith("1 of 3 voters reachable"));
  quorum.voters[1].is_reached = true;
  pass(9'999ms);
  CHECK(has_none<seats::complain>());
  SECTION("and says nothing if it does") {
    quorum.leaderless_for = {};
    role("n3");
    CHECK(only<seats::settle>().topic == "no leader");
    SECTION("and no more of the time before that later") {
      quorum.leader = {};
      quorum.leaderless_for = 10s;
      role("");
      CHECK_THAT(only<seats::complain>().detail, StartsWith("2 of 3 voters reachable"));
    }
  }
  SECTION("and then says what is known") {
    pass(1ms);
    pass(250ms);
    CHECK_THAT(only<seats::complain>().detail, StartsWith("2 of 3 voters reachable"));
  }
}

TEST_CASE_METHOD(follower_of_two, "a leader that cannot be followed is said for 30 seconds",
                 "[node][seats]") {
  step(seats::ignored{seat_of("n2"), {errc::damaged, "it is older"}, false});
  auto said = only<seats::complain>();
  CHECK(said.topic == "drops messages of name2");
  CHECK(said.detail == "it is older");
  quorum.leader = {};
  CHECK_FALSE(it.obstacle(quorum, now));
  step(seats::ignored{raft::member_id{77}, {errc::damaged, "it contradicts"}, true});
  CHECK(only<seats::complain>().topic == "drops messages of member 77");
  CHECK(it.obstacle(quorum, now).code == errc::no_quorum);
  CHECK(it.obstacle(quorum, now).detail == "nobody leads this node: it contradicts");
  CHECK(it.obstacle(quorum, now + 29'999ms));
  CHECK_FALSE(it.obstacle(quorum, now + 30s));
  quorum.leader = seat_of("n2");
  CHECK_FALSE(it.obstacle(quorum, now));
  say_void(1);
  renewed(11);
  group.members.members.erase(seat_of("n3"));
  commit();
  out.clear();
  step(seats::ignored{seat_of("n3"), {errc::damaged, "it contradicts"}, true});
  said = only<seats::complain>();
  CHECK(said.topic == "drops messages of name3"); // by its card
  CHECK_THAT(said.detail, ContainsSubstring("it contradicts. By what this node has heard it is its "
                                            "own: move its log away"));
  step(seats::link_down{"n2"_node});
  step(seats::ignored{seat_of("n2"), {errc::damaged, "no"}, false});
  CHECK(only<seats::complain>().topic == "drops messages of name2 (h2:1)"); // by the members
}

// -- what is shown ---------------------------------------------------------------------------

TEST_CASE_METHOD(leader_of_three, "the members are shown as this node sees them", "[node][seats]") {
  lag["n2"] = 7;
  group.commit = 990;
  group.members.kept_out = {id_of("n8")};
  auto seen = it.view(status(), quorum);
  CHECK(seen.term == 1);
  CHECK(seen.commit == 990);
  CHECK(seen.last == 1'000);
  CHECK(seen.kept_out == words{id_of("n8")});
  REQUIRE(seen.seats.size() == 3);
  CHECK(seen.seats[0].leads);
  CHECK(seen.seats[0].lag == 0);
  CHECK(seen.seats[0].silent_for == 0s);
  CHECK(seen.seats[1].node == id_of("n2"));
  CHECK(seen.seats[1].address == "h2:1");
  CHECK(seen.seats[1].seat == 2);
  CHECK(seen.seats[1].votes);
  CHECK_FALSE(seen.seats[1].leads);
  CHECK(seen.seats[1].lag == 7);
  CHECK(seen.seats[1].silent_for == 10ms);
  CHECK(seen.seats[1].is_reached);
  // Without a word of the group, a link is enough.
  step(seats::link_down{"n3"_node});
  quorum.voters = {{seat_of("n2"), contact_of("n2"), false}};
  seen = it.view(status(), quorum);
  CHECK(seen.seats[0].is_reached);
  CHECK_FALSE(seen.seats[1].is_reached);
  CHECK_FALSE(seen.seats[2].is_reached);
  auto unheard = status();
  unheard.others[0].match = 0;
  unheard.now = raft::role::follower;
  seen = it.view(unheard, quorum);
  CHECK_FALSE(seen.seats[0].lag); // of which nobody knows how far it is
  CHECK_FALSE(seen.seats[1].lag);
  unheard.others[0].by_snapshot = true;
  CHECK(it.view(unheard, quorum).seats[1].lag == 1'000);
}

TEST_CASE_METHOD(leader_of_three, "a removal that waits is shown with what it waits for",
                 "[node][seats]") {
  auto pending = [this] { return it.view(status(), quorum).pending; };
  CHECK(pending().empty());
  SECTION("a replacement that learns") {
    link("n4");
    lag["n4"] = 500;
    auto what = GENERATE(voter_change::remove, voter_change::leave);
    ask(what, "n2", 1);
    CHECK(shows(pending(), "n2 removal waits for a replacement: a node that can vote has to"));
    SECTION("and its asker waits no more, and it is gone") {
      pass(30s);
      group.members.members.erase(seat_of("n4"));
      step(seats::link_down{"n4"_node});
      if (what == voter_change::remove)
        CHECK(shows(pending(), "n2 removal waits for a replacement: no node is free to vote"));
      else
        CHECK(pending().empty()); // it is given up
    }
    SECTION("and it votes") {
      lag.clear();
      pass(1s);
      CHECK(pending().empty());
    }
    SECTION("and it is taken back") {
      ask(voter_change::add, "n2", 2);
      CHECK(pending().empty());
    }
    SECTION("although it is forced") {
      ask(what, "n2", 2, true);
      CHECK(shows(pending(), "n2 removal it is forced, and goes once the nodes vote that can"));
    }
  }
  SECTION("the other voters") {
    silent = {"n3"};
    ask(voter_change::remove, "n2", 1, true);
    CHECK(shows(pending(), "n2 removal it is needed: too few of the other voters are there"));
    silent.clear();
    CHECK(shows(pending(), "n2 removal it goes next"));
    silent = {"n3"};
    role("n3"); // of a node that follows
    CHECK(shows(pending(), "n2 removal the leader sees to it"));
  }
  SECTION("itself, as it leads") {
    link("n4");
    ask(voter_change::remove, "n1", 1);
    CHECK(shows(pending(), "n1 removal it leads, and hands over first"));
  }
  SECTION("the pace of changes") {
    for (auto each = 0; each < 20; ++each) {
      step(seats::node_is{"n3"_node, "name3", "elsewhere:" + std::to_string(each)});
      show("n3");
    }
    step(seats::node_is{"n3"_node, "name3", "elsewhere:19"});
    ask(voter_change::leave, "n2", 1, true);
    CHECK(shows(pending(), "n2 removal it goes within 10 s: the members have changed"));
    pass(10s);
    CHECK(end_of(1) == errc::none);
  }
}

TEST_CASE_METHOD(seated_node, "the only voter is shown as that while it is to go",
                 "[node][seats]") {
  group.members.kept_out = {id_of("n1")};
  begin();
  CHECK(shows(it.view(status(), quorum).pending, "n1 removal it is the only voter, and goes once"));
}

TEST_CASE_METHOD(leader_of_three, "a void seat is shown until its node has another one",
                 "[node][seats]") {
  auto pending = [this] { return it.view(status(), quorum).pending; };
  step(seats::link_down{"n3"_node}); // its seat is not void
  answers_looks = false;
  step(seats::forgot{seat_of("n2")});
  CHECK(shows(pending(), "n2 void seat its disk has lost what it had synced; it is taken away"));
  answers_looks = true;
  pass(1s);
  CHECK(shows(pending(), "n2 void seat its disk has lost what it had synced; the node gets a"));
  answers_looks = false;
  show("n2", 12);
  CHECK(pending().empty());
  group.members.members[seat_of("n2")] = {false, contact_of("n2")};
  step(seats::link_down{"n2"_node});
  CHECK(shows(pending(), "n2 void seat its disk has lost what it had synced; it is taken away"));
  link("n3", 13);
  auto all = pending();
  REQUIRE(all.size() == 2);
  CHECK(all.back().node == id_of("n3"));
  CHECK_THAT(all.back().why, ContainsSubstring("its node has another one by now"));
}

TEST_CASE_METHOD(follower_of_two, "a node shows that its own seat is void", "[node][seats]") {
  say_void(1);
  renewed(11);
  CHECK(shows(it.view(status(), quorum).pending,
              "n1 void seat the disk of this node has lost what it had synced; it waits"));
}

TEST_CASE_METHOD(leader_of_three, "a hand-over is shown while it is under way", "[node][seats]") {
  auto pending = [this] { return it.view(status(), quorum).pending; };
  answers_proposals = false;
  SECTION("as somebody asks for it") {
    ask(voter_change::lead, "n2", 1);
    CHECK(shows(pending(), "n2 hand-over it leads once it has all entries"));
    ask(voter_change::lead, "n2", 2);
    CHECK(shows(pending(), "n2 hand-over it leads once it has all entries"));
    step(seats::answered{{errc::busy, "later"}}, only<seats::propose>().id);
    CHECK(shows(pending(), "n2 hand-over another hand-over is under way; it is asked for again"));
    pass(50ms);
    step(seats::answered{}, only<seats::propose>().id); // the group moves leadership
    CHECK(shows(pending(), "n2 hand-over it leads once it has all entries"));
  }
  SECTION("but not to who leads already") {
    ask(voter_change::lead, "n1", 1);
    CHECK(only<seats::made>().now.pending.empty());
  }
  SECTION("as this node ends") {
    step(seats::hand_over{}, 1);
    CHECK(shows(pending(), "n1 hand-over this node ends once another one leads, or in 3 s"));
    pass(3s);
  }
  role("n2", raft::replica_types::handed_over);
  CHECK(pending().empty());
}

// -- bounds ----------------------------------------------------------------------------------

TEST_CASE_METHOD(seated_node, "a node has no link to itself", "[node][seats]") {
  begin();
  step(seats::link_up{"n1"_node});
  CHECK(has_none<seats::greet>());
}

TEST_CASE_METHOD(leader_of_three,
                 "a leader looks at the group once for all cards that come meanwhile",
                 "[node][seats]") {
  answers_looks = false;
  show("n2");
  show("n3");
  pass(10ms);
  CHECK(take<seats::look>().size() <= 1);
}

TEST_CASE_METHOD(follower_of_two, "a card costs who follows no look at the group",
                 "[node][seats]") {
  answers_looks = false;
  out.clear();
  show("n2");
  show("n3");
  CHECK(has_none<seats::look>());
}

TEST_CASE_METHOD(follower_of_two, "who leads next does not go on with what it saw as a follower",
                 "[node][seats]") {
  step(seats::node_left{"n3"_node});
  pass(1s);
  asked();
  role("n1");
  pass(5s);
  CHECK(voters().contains("n3"));
}

TEST_CASE("a link beyond the bound gets no vote", "[node][seats]") {
  leader_of_three group{{.voters = 5, .max_nodes = 3}};
  group.link("n4");
  group.link("n5");
  group.pass(1s);
  CHECK(group.voters() == std::set<std::string>{"n1", "n2", "n3"}); // n4 alone would make it even
  group.out.clear();
  group.show("n5");
  CHECK(group.only<seats::show_card>().id == 900);
  CHECK(group.has_none<seats::trust>());
  group.step(seats::link_up{"n4"_node}); // takes the place of its earlier one
  CHECK(group.only<seats::greet>().node == "n4"_node);
  group.step(seats::link_down{"n4"_node});
  group.link("n5");
  CHECK(group.only<seats::trust>().seat == seat_of("n5"));
  group.step(seats::link_up{"n1"_node}); // to itself
  CHECK(group.take<seats::greet>().size() == 1);
}

TEST_CASE("of many names one that is neither linked nor a member's gives way", "[node][seats]") {
  leader_of_three group{{.max_nodes = 3}};
  auto is_known = [&](const std::string& node) {
    group.ask(voter_change::add, node, 1);
    return group.end_of(1) != errc::not_found;
  };
  auto name = [&](const std::string& node) {
    group.step(seats::node_is{test::node_named(node), name_of(node), address_of(node)});
  };
  name("n8");
  name("n9");
  CHECK_FALSE(is_known("n8"));
  CHECK(is_known("n9"));
  CHECK(is_known("name2"));
  group.step(seats::link_up{"n9"_node});
  name("n8"); // all of them are needed
  CHECK_FALSE(is_known("n8"));
  CHECK(is_known("name9"));
}

TEST_CASE("so many members are reached at a time", "[node][seats]") {
  leader_of_three group{{.max_nodes = 3}};
  for (auto node : {"n4", "n5", "n6", "n7"})
    group.step(seats::wants_peer{contact_of(node)});
  CHECK(group.take<seats::reach>().size() == 3);
  group.pass(500ms);
  group.step(seats::wants_peer{contact_of("n7")});
  CHECK(group.only<seats::reach>().where.node == "n7"_node);
}

TEST_CASE("so many wait for changes and hand-overs", "[node][seats]") {
  leader_of_three group{{.max_changes = 2}};
  group.link("n4");
  group.lag["n4"] = 500;
  group.ask(voter_change::remove, "n2", 1);
  group.step(seats::hand_over{}, 2);
  group.out.clear();
  group.ask(voter_change::remove, "n2", 3);
  CHECK(group.end_of(3) == errc::limit_reached);
  CHECK_THAT(group.why.detail, ContainsSubstring("too many changes are under way"));
  group.step(seats::hand_over{}, 4);
  CHECK(group.only<seats::handed_over>().id == 4);
  group.pass(3s);
  CHECK(group.only<seats::handed_over>().id == 2);
  group.ask(voter_change::remove, "n2", 5);
  CHECK(group.is_open(5));
}

TEST_CASE("so many removals go on", "[node][seats]") {
  leader_of_three group{{.max_wishes = 1}};
  group.silent = {"n2", "n3", "n4"};
  group.link("n4");
  group.ask(voter_change::remove, "n2", 1, true);
  group.pass(5s);
  CHECK(group.end_of(1) == errc::timed_out);
  group.ask(voter_change::remove, "n3", 2, true);
  CHECK(group.end_of(2) == errc::limit_reached);
  CHECK_THAT(group.why.detail, ContainsSubstring("too many removals are under way"));
  group.ask(voter_change::remove, "n2", 3, true); // it is one of them
  CHECK(group.is_open(3));
  group.silent.clear();
  group.pass(2s);
  CHECK(group.end_of(3) == errc::none);
  group.ask(voter_change::remove, "n3", 4, true);
  group.pass(2s);
  CHECK(group.end_of(4) == errc::none);
}

TEST_CASE("a removal that went on without its asker is done with once its node is out",
          "[node][seats]") {
  leader_of_three group{{.max_wishes = 1}};
  group.silent = {"n2", "n3"};
  group.ask(voter_change::remove, "n2", 1, true);
  group.pass(5s);
  CHECK(group.end_of(1) == errc::timed_out);
  group.silent.clear();
  group.pass(2s);
  CHECK(group.voters() == std::set<std::string>{"n1", "n3"});
  group.link("n4");
  group.ask(voter_change::remove, "n3", 2, true);
  group.pass(2s);
  CHECK(group.end_of(2) == errc::none);
}

TEST_CASE("so many void seats are remembered that nobody holds", "[node][seats]") {
  leader_of_three group{{.max_forgotten = 2}};
  group.step(seats::forgot{seat_of("n2")}); // which its node holds
  for (std::uint64_t seat : {50, 51, 52})
    group.step(seats::forgot{raft::member_id{seat}});
  CHECK(group.take<seats::warn>().size() == 4);
  group.link("n5", 50); // forgotten by now
  group.pass(1s);
  CHECK(group.group.members.members.contains(raft::member_id{50}));
  CHECK_FALSE(group.group.members.members.contains(seat_of("n2")));
}

} // namespace seats_test
