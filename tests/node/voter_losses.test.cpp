#include "troupe/cluster/voter_losses.hpp" // the header under test
#include "node/seats_fixture.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

namespace voter_losses_test {

using namespace seats_fixture;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using words = std::vector<std::string>;

namespace {

/// n1 leads n2 and n3; n4 and n5 are linked, and do not vote.
struct leader_with_spares : seated_node {
  explicit leader_with_spares(cluster::seats_options how = {}, bool has_spares = true)
    : seated_node(how) {
    for (auto* node : {"n2", "n3"})
      seat(node, true);
    begin();
    for (auto* node : {"n2", "n3"})
      link(node);
    for (auto* node : {"n4", "n5"})
      if (has_spares)
        link(node);
    out.clear();
    REQUIRE(asked().empty());
  }

  /// n3 is gone, and back once n4 votes in its place, with all entries but so many. The group would
  /// not go on without n3 and n4.
  void replace_in_vain(raft::log_index behind = 500) {
    die("n3");
    lag["n2"] = lag["n4"] = 500;
    pass(5min + 1s);
    lag.erase("n4");
    answers_proposals = false;
    pass(1s);
    auto vote = first<seats::propose>();
    REQUIRE(vote);
    REQUIRE(to_words(vote->what) == "voter n4");
    REQUIRE(!apply(vote->what));
    lag["n3"] = behind;
    if (behind > 0)
      lag["n4"] = 500;
    come_back("n3");
    step(seats::answered{}, vote->id);
    commit();
    answers_proposals = true;
    asked();
  }

  /// What is to happen with that node, and why.
  std::string pending(const std::string& node) {
    for (auto& each : it.view(status(), quorum).pending)
      if (each.node == id_of(node))
        return each.what + ": " + each.why;
    return {};
  }
};

struct leader_without_spares : leader_with_spares {
  leader_without_spares() {
    step(seats::link_down{"n4"_node});
    step(seats::link_down{"n5"_node});
  }
};

struct leader_that_replaces_nobody : leader_with_spares {
  leader_that_replaces_nobody() : leader_with_spares({.replace_after = duration::zero()}) {}
};

const words replaced{"learner n4 at n4@h4:1", "voter n4", "confirm", "remove n3"};

} // namespace

TEST_CASE_METHOD(leader_with_spares,
                 "a voter that is gone for five minutes is replaced first, and "
                 "removed then",
                 "[node][seats]") {
  die("n3");
  pass(5min - 1s);
  CHECK(asked().empty());
  CHECK(pending("n3")
        == "replacement: it has been gone for 4 min 59 s, and is replaced in 1 s "
           "unless it comes back");
  pass(3s);
  CHECK(asked() == replaced);
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n4"});
  CHECK(pending("n3").empty());
  CHECK_THAT(first<seats::warn>()->text, ContainsSubstring("voter name3 has been gone for 5 min; "
                                                           "another node takes its place"));
}

TEST_CASE_METHOD(leader_without_spares,
                 "that nobody could take the place of a voter is shown from the first moment",
                 "[node][seats]") {
  die("n3");
  CHECK_THAT(pending("n3"),
             ContainsSubstring("is replaced in 5 min unless it comes back, if a node is free to "
                               "vote by then; none is now: start one with a data folder"));
  link("n4");
  CHECK_THAT(pending("n3"), EndsWith("is replaced in 5 min unless it comes back"));
}

TEST_CASE_METHOD(leader_with_spares,
                 "a voter keeps its seat as long as the members show it, or a "
                 "link to it lasts",
                 "[node][seats]") {
  SECTION("without a link") {
    step(seats::link_down{"n3"_node});
  }
  SECTION("with a link") {
    step(seats::member_shows{"n3"_node, false});
  }
  pass(1h);
  CHECK(asked().empty());
  CHECK(pending("n3").empty());
}

TEST_CASE_METHOD(leader_with_spares, "a voter of which no member has heard is replaced as well",
                 "[node][seats]") {
  die("n3");
  role("n2");
  pass(10min);
  role("n1");
  pass(5min + 1s);
  CHECK(asked() == replaced);
}

TEST_CASE_METHOD(leader_with_spares, "a revoked voter loses its seat at once, and is replaced",
                 "[node][seats]") {
  SECTION("while its links last") {
    step(seats::revoked{{"n3"_node, "n9"_node}});
  }
  SECTION("as its links have ended first") {
    die("n3");
    step(seats::revoked{{"n3"_node, "n9"_node}});
  }
  SECTION("also by a node that leads later") {
    role("n2");
    step(seats::revoked{{"n3"_node, "n9"_node}});
    role("n2");
    while (first<seats::warn>())
      continue;
    role("n1");
  }
  CHECK(asked() == words{"remove n3", "learner n4 at n4@h4:1", "voter n4"}); // no time has passed
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n4"});
  auto said = first<seats::warn>();
  REQUIRE(said);
  CHECK_THAT(said->text, ContainsSubstring("name3 is revoked"));
  CHECK_FALSE(first<seats::warn>()); // said once
}

TEST_CASE_METHOD(leader_that_replaces_nobody,
                 "a revoked voter goes also where no other voter is replaced", "[node][seats]") {
  die("n3");
  pass(1h);
  REQUIRE(asked().empty());
  step(seats::revoked{{"n3"_node}});
  pass(2s);
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n4"});
}

TEST_CASE_METHOD(leader_without_spares, "a revoked voter goes where no node can take its place",
                 "[node][seats]") {
  lag["n2"] = 500;
  die("n3");
  step(seats::revoked{{"n3"_node}});
  pass(1s);
  CHECK(asked().empty());
  CHECK(pending("n3")
        == "removal: it is revoked; it is needed: too few of the other voters are there and have "
           "all entries; it goes once they are back");
  CHECK(first<seats::warn>());
  CHECK_FALSE(first<seats::warn>()); // said once
  lag.clear();
  pass(2s);
  CHECK(asked() == words{"remove n3"});
  CHECK(voters() == std::set<std::string>{"n1", "n2"});
}

TEST_CASE_METHOD(leader_without_spares,
                 "where most voters are revoked at once, they go while their links last",
                 "[node][seats]") {
  step(seats::revoked{{"n2"_node, "n3"_node}});
  pass(500ms);
  CHECK(asked() == words{"remove n2", "remove n3"});
}

TEST_CASE_METHOD(leader_with_spares, "a revoked voter is used to replace one that is dead",
                 "[node][seats]") {
  die("n2");
  step(seats::revoked{{"n3"_node}});
  pass(500ms);
  CHECK(asked() == words{"learner n4 at n4@h4:1", "voter n4", "remove n3"});
}

TEST_CASE_METHOD(leader_with_spares, "a revoked leader hands over, and the next one removes it",
                 "[node][seats]") {
  step(seats::revoked{{"n1"_node}});
  pass(500ms);
  REQUIRE(handed_to);
  CHECK(asked().back() == "hand over");
  CHECK_FALSE(first<seats::warn>()); // that is said elsewhere
}

TEST_CASE_METHOD(leader_with_spares, "the members that could take a place are shown",
                 "[node][seats]") {
  auto spares = [this] { return it.view(status(), quorum).spares; };
  CHECK(spares() == words{id_of("n4"), id_of("n5")});
  SECTION("but none that has a seat") {
    seat("n4", false);
    commit();
    CHECK(spares() == words{id_of("n5")});
  }
  SECTION("nor one that may have none") {
    step(seats::revoked{{"n4"_node}});
    CHECK(spares() == words{id_of("n5")});
    group.members.kept_out = {id_of("n5")};
    CHECK(spares().empty());
  }
  SECTION("as the leader knows") {
    role("n2");
    CHECK(spares().empty());
  }
}

TEST_CASE_METHOD(leader_without_spares, "a revoked voter is shown by its name until its seat goes",
                 "[node][seats]") {
  group.members.kept_out = {id_of("n8"), id_of("n9")};
  answers_proposals = false;
  die("n3");
  step(seats::revoked{{"n3"_node, "n9"_node}});
  step(seats::node_left{"n3"_node, 1});
  auto seen = it.view(status(), quorum);
  REQUIRE(seen.seats.size() == 3);
  CHECK(seen.seats[2].name == "name3");
  CHECK(seen.kept_out == words{id_of("n8")}); // to whom a seat can be given again
}

TEST_CASE("the name of a node outlives it until its seat goes", "[node][seats]") {
  cluster::seat_cards cards{"n1"_node, 10};
  raft::configuration members;
  members.members[seat_of("n3")] = {true, contact_of("n3")};
  cards.members_are(members);
  cards.node_is("n2"_node, "name2", "h2:1");
  cards.node_is("n3"_node, "name3", "h3:1");
  cards.forget_name("n2"_node);
  cards.forget_name("n3"_node);
  CHECK(cards.name_at(contact_of("n2"), {"n3"_node}) == id_of("n2").substr(0, 8) + " (h2:1)");
  CHECK(cards.name_at(contact_of("n3"), {"n3"_node}) == "name3 (h3:1, revoked)");
  SECTION("and it is known again") {
    cards.node_is("n3"_node, "name3", "h3:1");
    cards.members_are({});
    CHECK(cards.name_of("n3"_node) == "name3");
  }
  SECTION("and no longer") {
    cards.members_are({});
    CHECK(cards.name_of("n3"_node) == id_of("n3").substr(0, 8));
  }
}

TEST_CASE_METHOD(leader_with_spares, "a revoked voter does not wait for the nodes that could vote",
                 "[node][seats]") {
  answers_proposals = false;
  step(seats::revoked{{"n3"_node}});
  CHECK(pending("n3") == "removal: it is revoked; it goes next");
}

TEST_CASE_METHOD(leader_with_spares, "a revoked learner loses its seat", "[node][seats]") {
  seat("n4", false);
  commit();
  step(seats::revoked{{"n4"_node}});
  CHECK_FALSE(group.members.members.contains(seat_of("n4")));
}

TEST_CASE_METHOD(leader_with_spares, "a revoked node gets no seat and no vote while its links last",
                 "[node][seats]") {
  die("n3");
  SECTION("where it could take the place of another one") {
    step(seats::revoked{{"n3"_node, "n4"_node}});
    pass(2s);
    CHECK(asked() == words{"remove n3", "learner n5 at n5@h5:1", "voter n5"});
  }
  SECTION("where it learns already") {
    seat("n4", false);
    commit();
    asked();
    step(seats::revoked{{"n3"_node, "n4"_node}});
    pass(2s);
    CHECK(asked() == words{"remove n3", "remove n4", "learner n5 at n5@h5:1", "voter n5"});
  }
  SECTION("where somebody wants it to vote") {
    step(seats::revoked{{"n3"_node, "n4"_node}});
    ask(voter_change::add, "n4", 7);
    CHECK(end_of(7) == errc::denied);
    CHECK_THAT(why.detail, ContainsSubstring("node name4 is revoked, and gets no seat"));
    pass(2s);
    CHECK(voters() == std::set<std::string>{"n1", "n2", "n5"});
  }
  SECTION("where somebody has wanted that") {
    lag["n4"] = 500;
    ask(voter_change::add, "n4", 7);
    pass(1s);
    REQUIRE(group.members.members.contains(seat_of("n4")));
    step(seats::revoked{{"n3"_node, "n4"_node}});
    CHECK(end_of(7) == errc::denied);
    lag.clear();
    pass(2s);
    CHECK(voters() == std::set<std::string>{"n1", "n2", "n5"});
  }
}

TEST_CASE_METHOD(leader_with_spares, "the time of a voter that comes back begins anew",
                 "[node][seats]") {
  die("n3");
  pass(4min);
  SECTION("with its link") {
    step(seats::link_up{"n3"_node});
    step(seats::link_down{"n3"_node});
  }
  SECTION("by what the members show") {
    step(seats::member_shows{"n3"_node, true});
    step(seats::member_shows{"n3"_node, false});
  }
  pass(5min - 1s);
  CHECK(asked().empty());
  pass(3s);
  CHECK(asked() == replaced);
}

TEST_CASE_METHOD(leader_with_spares, "a leader counts from its election on", "[node][seats]") {
  die("n3");
  pass(4min);
  role("n2");
  role("n1");
  pass(5min - 1s);
  CHECK(asked().empty());
  pass(3s);
  CHECK(asked() == replaced);
}

TEST_CASE_METHOD(leader_with_spares, "voters that restart one after the other keep their seats",
                 "[node][seats]") {
  for (auto round = 0; round < 60; ++round)
    for (auto* node : {"n2", "n3"}) {
      die(node);
      pass(9s);
      come_back(node);
      pass(1s);
    }
  CHECK(asked().empty());
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
}

TEST_CASE_METHOD(leader_with_spares, "a replacement waits until no other voter comes or goes",
                 "[node][seats]") {
  die("n3");
  pass(4min + 50s);
  die("n2");
  pass(20s);
  come_back("n2");
  pass(29s);
  CHECK(asked().empty());
  CHECK(pending("n3")
        == "replacement: it has been gone for 5 min 39 s, and is replaced in 1 s "
           "unless it comes back");
  pass(3s);
  CHECK(asked() == replaced);
}

TEST_CASE_METHOD(leader_without_spares, "a voter keeps its seat where no node can take its place",
                 "[node][seats]") {
  die("n3");
  pass(10min);
  CHECK(asked().empty());
  CHECK(pending("n3")
        == "replacement: it has been gone for 10 min; waits for a replacement: no "
           "node is free to vote; start one with a data folder, or let one vote again that "
           "was removed (troupe voters add)");
  CHECK_THAT(first<seats::warn>()->text,
             ContainsSubstring("another node takes its place once one is free to vote"));
  CHECK_FALSE(first<seats::warn>()); // said once
  SECTION("until the next leader has counted anew") {
    role("n2");
    role("n1");
    link("n4");
    pass(5min - 1s);
    CHECK(asked().empty());
    pass(3s);
    CHECK(asked() == replaced);
  }
  SECTION("until there is one") {
    link("n4");
    pass(2s);
    CHECK(asked() == words{"learner n4 at n4@h4:1", "voter n4", "remove n3"});
  }
  SECTION("and may come back") {
    come_back("n3");
    pass(10min);
    CHECK(asked().empty());
    CHECK(pending("n3").empty());
    CHECK_THAT(first<seats::inform>()->text, ContainsSubstring("voter name3 is back, and keeps"));
  }
}

TEST_CASE_METHOD(leader_with_spares,
                 "a voter that comes back while another node learns keeps its "
                 "seat, and that one goes on learning",
                 "[node][seats]") {
  die("n3");
  lag["n4"] = 500;
  pass(5min + 1s);
  CHECK(asked() == words{"learner n4 at n4@h4:1"});
  CHECK(pending("n3")
        == "replacement: it has been gone for 5 min 1 s; waits for a replacement: a "
           "node that can vote has to catch up first");
  come_back("n3");
  lag.clear();
  pass(10min);
  CHECK(asked().empty());
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
  CHECK(group.members.members.contains(seat_of("n4")));
}

TEST_CASE_METHOD(leader_with_spares,
                 "a voter that comes back when another node votes in its place "
                 "keeps its seat, and that one loses its own",
                 "[node][seats]") {
  replace_in_vain(0);
  SECTION("if nobody wants that one to vote") {
    pass(2s);
    CHECK(asked() == words{"confirm", "remove n4"});
    CHECK(voters() == std::set<std::string>{"n1", "n2", "n3"});
    pass(10min);
    CHECK(asked().empty());
  }
  SECTION("unless somebody wants that one to vote") {
    ask(voter_change::add, "n4", 1);
    pass(10min);
    CHECK(end_of(1) == errc::none);
    CHECK(voters() == std::set<std::string>{"n1", "n2", "n3", "n4"});
  }
}

TEST_CASE_METHOD(leader_with_spares,
                 "a node that votes in the place of a voter stays while that one is gone again",
                 "[node][seats]") {
  replace_in_vain();
  die("n3");
  lag.clear();
  pass(5min - 1s);
  CHECK(asked().empty());
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n3", "n4"});
  pass(3s);
  CHECK(asked() == words{"confirm", "remove n3"});
}

TEST_CASE_METHOD(leader_with_spares,
                 "a node that votes in the place of a voter stays once another voter is replaced",
                 "[node][seats]") {
  replace_in_vain(); // n3 is back, and lacks entries
  lag["n3"] = 500;
  lag.erase("n4");
  die("n2");
  pass(5min + 2s);
  CHECK(asked() == words{"confirm", "remove n2"});
  lag.clear();
  pass(10min);
  CHECK(asked().empty());
  CHECK(voters() == std::set<std::string>{"n1", "n3", "n4"});
  CHECK(pending("n4").empty());
}

TEST_CASE("a node that votes in the place of a voter stays where more voters are wanted",
          "[node][seats]") {
  leader_with_spares it{{.voters = 5}, false};
  it.link("n4");
  it.replace_in_vain();
  it.link("n5");
  it.link("n6");
  it.pass(2s);
  CHECK(it.asked() == words{"learner n5 at n5@h5:1", "voter n5"});
  it.lag.clear();
  it.pass(10min);
  CHECK(it.asked().empty());
  CHECK(it.voters() == std::set<std::string>{"n1", "n2", "n3", "n4", "n5"});
  CHECK(it.pending("n4").empty());
}

TEST_CASE("of four voters of five wanted one goes: it has come, or is gone", "[node][seats]") {
  leader_with_spares it{{.voters = 5}, false};
  it.link("n4");
  SECTION("n4 has come in the place of n3, which is back") {
    it.replace_in_vain(0);
    it.pass(2s);
    CHECK(it.voters() == std::set<std::string>{"n1", "n2", "n3"});
  }
  SECTION("n3 was back for a moment") {
    it.replace_in_vain();
    it.die("n3");
    it.lag.clear();
    it.pass(5min + 2s);
    CHECK(it.voters() == std::set<std::string>{"n1", "n2", "n4"});
  }
}

TEST_CASE("a voter that is to be replaced after the longest span keeps its seat", "[node][seats]") {
  leader_with_spares it{{.replace_after = duration::max()}};
  it.die("n3");
  it.pass(24h);
  CHECK(it.asked().empty());
  CHECK_THAT(it.pending("n3"), ContainsSubstring("unless it comes back"));
}

TEST_CASE_METHOD(leader_with_spares, "a voter that comes back after its replacement has no seat",
                 "[node][seats]") {
  die("n3");
  pass(5min + 2s);
  REQUIRE(asked() == replaced);
  come_back("n3");
  pass(10min);
  CHECK(asked().empty());
  SECTION("until a voter is lacking") {
    die("n4");
    pass(5min + 2s);
    CHECK(asked() == words{"learner n3 at n3@h3:1", "voter n3", "confirm", "remove n4"});
  }
}

TEST_CASE_METHOD(leader_with_spares, "voters are replaced one after the other", "[node][seats]") {
  for (auto* node : {"n4", "n5"})
    seat(node, true);
  commit();
  step(seats::member_shows{"n4"_node, true});
  step(seats::member_shows{"n5"_node, true});
  die("n5");
  pass(1s);
  die("n2");
  pass(4min);
  CHECK(pending("n2")
        == "replacement: it has been gone for 4 min, and is replaced in 1 min unless "
           "it comes back");
  link("n6");
  lag["n6"] = 500;
  pass(1min + 2s);
  // More voters than wanted may become fewer.
  CHECK(asked() == words{"confirm", "remove n5", "confirm", "remove n2"});
  CHECK(voters() == std::set<std::string>{"n1", "n3", "n4"});
}

TEST_CASE("of the wanted voters one is replaced after the other", "[node][seats]") {
  seated_node node{{.voters = 5}};
  for (auto* each : {"n2", "n3", "n4", "n5"})
    node.seat(each, true);
  node.begin();
  for (auto* each : {"n2", "n3", "n4", "n5", "n6"})
    node.link(each);
  node.die("n5");
  node.pass(1s);
  node.die("n2");
  node.pass(6min);
  CHECK(node.asked() == words{"learner n6 at n6@h6:1", "voter n6", "confirm", "remove n5"});
  auto pending = node.it.view(node.status(), node.quorum).pending;
  REQUIRE(pending.size() == 1);
  CHECK_THAT(pending.front().why, ContainsSubstring("waits for a replacement"));
  node.link("n7");
  node.pass(1s);
  CHECK(node.asked() == words{"learner n7 at n7@h7:1", "voter n7", "remove n2"});
}

TEST_CASE_METHOD(leader_with_spares, "a voter that waits for another one is shown with that",
                 "[node][seats]") {
  for (auto* node : {"n4", "n5"})
    seat(node, true);
  commit();
  lag["n3"] = lag["n4"] = 500;
  die("n5");
  die("n2");
  pass(6min);
  CHECK_THAT(pending("n2"), ContainsSubstring("it has been gone for 6 min; it is needed: too few"));
  CHECK_THAT(pending("n5"), ContainsSubstring("gone for 6 min, and is replaced after voter name2"));
}

TEST_CASE_METHOD(leader_without_spares, "one of four voters is not removed for being gone",
                 "[node][seats]") {
  seated_node node{{.voters = 5}};
  for (auto* each : {"n2", "n3", "n4"})
    node.seat(each, true);
  node.begin();
  for (auto* each : {"n2", "n3", "n4"})
    node.link(each);
  node.die("n4");
  node.pass(10min);
  CHECK(node.asked().empty());
}

TEST_CASE_METHOD(leader_with_spares, "a learner that is gone keeps its seat", "[node][seats]") {
  seat("n4", false);
  commit();
  die("n4");
  pass(10min);
  CHECK(asked().empty());
  CHECK(pending("n4").empty());
}

TEST_CASE_METHOD(leader_that_replaces_nobody, "with zero no voter is replaced", "[node][seats]") {
  die("n3");
  pass(1h);
  CHECK(asked().empty());
  CHECK(pending("n3").empty());
}

TEST_CASE_METHOD(leader_with_spares, "a voter that is gone is removed as somebody asks for it",
                 "[node][seats]") {
  die("n3");
  pass(5min - 1s);
  ask(voter_change::remove, "n3", 1);
  pass(1s);
  CHECK(asked()
        == words{"keep out n3", "learner n4 at n4@h4:1", "voter n4", "confirm", "remove n3"});
  CHECK(end_of(1) == errc::none);
  pass(10min);
  CHECK(asked().empty());
}

// -- silent replicas -------------------------------------------------------------------------

TEST_CASE_METHOD(leader_with_spares,
                 "a voter whose replica says nothing is replaced, though its process is there",
                 "[node][seats]") {
  silent.insert("n3");
  silent_for = 30s - 1ns;
  pass(10min);
  CHECK(pending("n3").empty());
  CHECK(asked().empty());
  silent_for = 30s;
  pass(10s);
  CHECK_THAT(pending("n3"), ContainsSubstring(
                              "replacement: its process is there, but its replica has said nothing")
                              && ContainsSubstring("and is replaced in"));
  pass(5min - 50s);
  CHECK(asked().empty());
  pass(20s);
  CHECK(asked() == words{"learner n4 at n4@h4:1", "voter n4", "confirm", "remove n3"});
  auto news = first<seats::warn>();
  REQUIRE(news);
  CHECK_THAT(news->text, ContainsSubstring("voter name3 has said nothing in the group, though its "
                                           "process is there (see its log), for 5 min"));
  pass(10min);
  CHECK(asked().empty());
  CHECK(it.view(status(), quorum).spares == words{id_of("n5")});
}

TEST_CASE_METHOD(leader_with_spares, "a voter whose replica speaks again keeps its seat",
                 "[node][seats]") {
  silent.insert("n3");
  silent_for = 30s;
  pass(4min);
  link("n3"); // that says nothing of its replica
  step(seats::member_shows{"n3"_node, true});
  CHECK_FALSE(pending("n3").empty());
  silent.erase("n3");
  pass(10min);
  CHECK(pending("n3").empty());
  CHECK(asked().empty());
}

TEST_CASE_METHOD(leader_with_spares, "a node whose replica says nothing takes no voter's place",
                 "[node][seats]") {
  die("n3");
  lag["n4"] = 500;
  pass(5min + 1s);
  CHECK(asked() == words{"learner n4 at n4@h4:1"});
  silent_for = 30s;
  silent.insert("n4");
  lag["n5"] = 500;
  pass(10s);
  CHECK(asked() == words{"learner n5 at n5@h5:1"});
  SECTION("but another one") {
    lag.clear();
    silent.erase("n5");
    pass(1min);
    CHECK(asked() == words{"voter n5", "remove n3"});
  }
  SECTION("until it speaks") {
    silent.erase("n4");
    lag.erase("n4");
    pass(1min);
    CHECK(asked() == words{"voter n4", "remove n3"});
  }
  SECTION("unless somebody wants it to vote") {
    silent.clear();
    ask(voter_change::add, "n4", 1);
    lag.erase("n4");
    silent.insert("n3");
    pass(1min);
    CHECK(end_of(1) == errc::none);
  }
}

TEST_CASE_METHOD(leader_with_spares,
                 "a replica that said nothing gets no vote before its node ends", "[node][seats]") {
  silent_for = 30s;
  silent.insert("n3");
  pass(5min);
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n4"});
  step(seats::link_down{"n5"_node});
  die("n4");
  asked();
  pass(10min);
  CHECK(asked().empty()); // n3 is linked
  step(seats::link_down{"n3"_node});
  silent.erase("n3");
  link("n3");
  pass(10s);
  CHECK(asked() == words{"learner n3 at n3@h3:1", "voter n3", "remove n4"});
}

// -- as many as there is room for ------------------------------------------------------------

/// a and b vote, and there is a link to a. The table has room for two members.
struct full_table {
  full_table() {
    members.members[raft::member_id{1}] = {true, id_of("a") + "@h:1"};
    members.members[raft::member_id{2}] = {true, id_of("b") + "@h:2"};
    losses.begin(start);
  }

  std::optional<node_id> look(duration after) {
    return losses.look(start + after, members, false, [](auto& node) { return node == "a"_node; });
  }

  void fill() {
    for (auto* node : {"c", "d"})
      losses.shows(test::node_named(node), true, start);
  }

  cluster::voter_losses losses{{.replace_after = 1s, .max_nodes = 2}};
  raft::configuration members;
  time_point start{1h};
};

TEST_CASE_METHOD(full_table, "as many members as it has room for cost no voter its seat",
                 "[node][seats]") {
  losses.members_are(members);
  fill();
  CHECK(!look(0s));
  CHECK(look(1s) == "b"_node);
  CHECK_FALSE(losses.has_left_out());
}

TEST_CASE_METHOD(full_table, "where there is no room for all members, voters have it",
                 "[node][seats]") {
  losses.members_are(members);
  fill();
  losses.shows("b"_node, true, start);
  losses.shows("e"_node, true, start);
  CHECK(losses.has_left_out());
  CHECK(!look(0s));
  CHECK(!look(1h));
  CHECK(losses.gone().empty());
  losses.shows("b"_node, false, start + 1h);
  CHECK(!look(1h));
  CHECK(look(1h + 1s) == "b"_node);
  CHECK(losses.flaws().empty());
}

TEST_CASE_METHOD(full_table, "a voter for which there is no room is taken to be there",
                 "[node][seats]") {
  members.members[raft::member_id{3}] = {true, id_of("c") + "@h:1"};
  members.members[raft::member_id{4}] = {true, id_of("d") + "@h:1"};
  losses.members_are(members);
  fill();
  losses.shows("b"_node, true, start);
  CHECK(losses.is_unknown("b"_node));
  CHECK(!look(0s));
  CHECK(!look(1h));
}

TEST_CASE_METHOD(full_table, "a voter that was left out when it did not vote is taken to be there",
                 "[node][seats]") {
  fill();
  losses.shows("b"_node, true, start);
  losses.members_are(members);
  CHECK(!look(0s));
  CHECK(!look(1h));
  CHECK(losses.gone().empty());
  CHECK(losses.is_unknown("b"_node));
  SECTION("until the members show it dead") {
    losses.shows("b"_node, false, start + 1h);
    CHECK_FALSE(losses.is_unknown("b"_node));
    CHECK(!look(1h));
    CHECK(look(1h + 1s) == "b"_node);
  }
  SECTION("or say that it is there, and then show it dead") {
    losses.shows("b"_node, true, start + 1h);
    CHECK_FALSE(losses.is_unknown("b"_node));
    CHECK(!look(2h));
    losses.shows("b"_node, false, start + 2h);
    CHECK(!look(2h));
    CHECK(look(2h + 1s) == "b"_node);
  }
  SECTION("as long as it votes") {
    members.members.erase(raft::member_id{2});
    losses.members_are(members);
    CHECK_FALSE(losses.is_unknown("b"_node));
  }
  CHECK(losses.flaws().empty());
}

TEST_CASE("who leads more members than it has room for says so, and shows which voter it does not "
          "know",
          "[node][seats]") {
  leader_with_spares it{{.max_nodes = 6}};
  for (auto* node : {"n4", "n5", "n6", "n7", "n8"})
    it.step(seats::member_shows{test::node_named(node), true});
  it.pass(1s);
  auto said = it.first<seats::warn>();
  REQUIRE(said);
  CHECK_THAT(said->text,
             ContainsSubstring("more than 6 members are there: a voter of which they say nothing"));
  it.pass(1min);
  CHECK_FALSE(it.first<seats::warn>()); // said once
  it.seat("n9", true);
  it.commit();
  CHECK(it.pending("n9")
        == "replacement: it is not known whether it is there, as there are too many members; "
           "remove it with troupe voters if it is gone");
  it.pass(1h);
  CHECK(it.asked().empty());
}

TEST_CASE_METHOD(leader_with_spares,
                 "a voter that comes and goes puts off the replacement of another one by five "
                 "minutes at most",
                 "[node][seats]") {
  die("n3");
  auto flap = [this] {
    die("n2");
    pass(5s);
    come_back("n2");
    pass(15s);
  };
  for (auto since = 0s; since < 9min + 40s; since += 20s)
    flap();
  CHECK(asked().empty());
  for (auto since = 0s; since < 1min; since += 20s)
    flap();
  auto made = asked();
  REQUIRE_FALSE(made.empty());
  CHECK(made.front() == replaced.front());
  CHECK(made.back() == replaced.back());
  CHECK(voters() == std::set<std::string>{"n1", "n2", "n4"});
}

} // namespace voter_losses_test
