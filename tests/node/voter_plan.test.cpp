#include "troupe/cluster/voter_plan.hpp" // the header under test
#include "troupe/cluster/change_pace.hpp"
#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "router/named_nodes.hpp"

using namespace std::literals;
using namespace troupe;
using cluster::voter_plan;
using test::operator""_node;

namespace {

/// A group that does what the plan says. Nodes are a, b, c … with the seats 1, 2, 3 …; `a` leads.
struct planned_group {
  planned_group() {
    now.self = now.leader = raft::member_id{1};
    now.now = raft::role::leader;
    now.last = now.commit = 1'000;
    now.members_for = duration::zero();
    seat("a", true);
    link("a");
  }

  static raft::member_id seat_of(const std::string& node) {
    return raft::member_id{static_cast<std::uint64_t>(node.front() - 'a') + 1};
  }

  static std::string contact(const std::string& node) {
    return to_string(test::node_named(node))
           + "@127.0.0.1:" + std::to_string(1'000 + seat_of(node).value);
  }

  void seat(const std::string& node, bool votes) {
    now.members.members[seat_of(node)] = {votes, contact(node)};
  }

  /// The node is there and could vote.
  void link(const std::string& node) {
    linked[test::node_named(node)]
      = {seat_of(node), cluster::to_seat_contact(contact(node)).address};
  }

  std::optional<voter_plan::change> next() {
    now.others.clear();
    for (auto& [seat, who] : now.members.members)
      if (seat != now.self) {
        auto match = behind.contains(seat) ? raft::log_index{10} : now.last;
        if (auto found = lag.find(seat); found != lag.end())
          match -= found->second;
        now.others.push_back({seat, who, match, silent.contains(seat) ? silence : 10ms,
                              by_snapshot.contains(seat), !mute.contains(seat)});
      }
    auto self = test::node_named(name(now.self));
    return voter_plan{now, self, linked, wishes}.next();
  }

  /// Makes changes until there is none, or another one leads. Returns them as words.
  std::vector<std::string> run() {
    std::vector<std::string> made;
    while (auto change = next()) {
      REQUIRE(made.size() < 200);
      made.push_back(troupe::visit([this](auto& what) { return make(what); }, *change));
      if (made.back() == "hand over")
        break;
    }
    return made;
  }

  static std::string name(raft::member_id which) {
    return {static_cast<char>('a' + which.value - 1)};
  }

  std::string make(const raft::replica::add_learner& what) {
    now.members.members[what.seat] = {false, what.contact};
    return "learner " + name(what.seat);
  }

  std::string make(const raft::replica::promote& what) {
    now.members.members.at(what.seat).votes = true;
    return "voter " + name(what.seat);
  }

  std::string make(const raft::replica::remove& what) {
    now.members.members.erase(what.seat);
    return "remove " + name(what.seat);
  }

  std::string make(const raft::replica::move& what) {
    now.members.members.at(what.seat).contact = what.contact;
    return "move " + name(what.seat) + " to " + name(what.seat) + '@'
           + cluster::to_seat_contact(what.contact).address;
  }

  std::string make(const raft::replica::keep_out& what) {
    now.members_for = duration::zero();
    now.members.kept_out.insert(what.name);
    now.members.forced_out.erase(what.name);
    if (what.forced)
      now.members.forced_out.insert(what.name);
    return (what.forced ? "force out " : "keep out ") + test::short_name(what.name);
  }

  std::string make(const raft::replica::let_in& what) {
    now.members.kept_out.erase(what.name);
    now.members.forced_out.erase(what.name);
    return "let in " + test::short_name(what.name);
  }

  std::string make(const raft::replica::confirm_members&) {
    now.members_for = duration::zero();
    return "confirm";
  }

  std::string make(const raft::replica::transfer& what) {
    handed_to = what.to;
    return "hand over";
  }

  /// They leave, replaced or not.
  void force_out(const std::set<node_id>& who) {
    wishes.leave = wishes.forced = who;
  }

  /// Another node leads: it knows nothing of what this one was asked.
  void lead(const std::string& node) {
    now.self = now.leader = seat_of(node);
    wishes = {};
  }

  template <class Other>
  std::string make(const Other&) {
    return "nonsense";
  }

  raft::replica::status now;
  std::map<node_id, voter_plan::candidate> linked;
  cluster::voter_wishes wishes;
  std::set<raft::member_id> behind;
  std::map<raft::member_id, raft::log_index> lag; // of others, entries that they lack
  std::set<raft::member_id> silent;
  duration silence = 5s; // of those
  std::set<raft::member_id> by_snapshot;
  std::set<raft::member_id> mute; // have not said that they know of their seats
  raft::member_id handed_to;      // nobody in particular where it is none
};

using steps = std::vector<std::string>;

} // namespace

TEST_CASE_METHOD(planned_group, "a group grows to three voters, the last two back to back",
                 "[node][voters]") {
  CHECK(run().empty());
  link("b");
  CHECK(run() == steps{"learner b"});
  link("c");
  CHECK(run() == steps{"learner c", "voter b", "voter c"});
  link("d");
  CHECK(run().empty());
}

TEST_CASE_METHOD(planned_group, "nobody votes who has not caught up", "[node][voters]") {
  behind = {seat_of("b"), seat_of("c")};
  link("b");
  link("c");
  CHECK(run() == steps{"learner b", "learner c"});
  behind.erase(seat_of("b"));
  CHECK(run().empty());
  behind.clear();
  CHECK(run() == steps{"voter b", "voter c"});
}

TEST_CASE_METHOD(planned_group, "a learner that gets a snapshot, or is silent, does not vote",
                 "[node][voters]") {
  link("b");
  link("c");
  auto& trouble = GENERATE(true, false) ? silent : by_snapshot;
  trouble = {seat_of("b")};
  CHECK(run() == steps{"learner b", "learner c"});
  wishes.add = {"b"_node}; // also where it is asked for
  CHECK(run().empty());
  trouble.clear();
  CHECK(run() == steps{"voter b", "voter c"});
}

TEST_CASE_METHOD(planned_group, "nobody votes who has not said that it knows of its seat",
                 "[node][voters]") {
  now.last = now.commit = 20; // even nothing at all is nearly all of such a log
  behind = mute = {seat_of("b"), seat_of("c")};
  link("b");
  link("c");
  CHECK(run() == steps{"learner b", "learner c"});
  mute.clear();
  CHECK(run() == steps{"voter b", "voter c"});
}

TEST_CASE_METHOD(planned_group, "as many vote as are wanted", "[node][voters]") {
  for (auto* node : {"b", "c", "d", "e", "f"})
    link(node);
  SECTION("one") {
    wishes.voters = 1;
    CHECK(run().empty());
  }
  SECTION("two") {
    wishes.voters = 2;
    CHECK(run() == steps{"learner b", "voter b"});
  }
  SECTION("five") {
    wishes.voters = 5;
    run();
    CHECK(now.members.voters().size() == 5);
  }
}

TEST_CASE_METHOD(planned_group, "two voters become three, however many more are wanted",
                 "[node][voters]") {
  seat("b", true);
  for (auto* node : {"b", "c"})
    link(node);
  wishes.voters = 5;
  CHECK(run() == steps{"learner c", "voter c"});
}

TEST_CASE_METHOD(planned_group, "who learns already votes before who comes", "[node][voters]") {
  seat("b", true);
  seat("d", false);
  for (auto* node : {"b", "c", "d"})
    link(node);
  CHECK(run() == steps{"voter d"});
}

TEST_CASE_METHOD(planned_group, "a voter that is to go is replaced before", "[node][voters]") {
  for (auto* node : {"b", "c", "d"})
    link(node);
  run();
  SECTION("another one") {
    wishes.leave = {"b"_node};
    CHECK(run() == steps{"learner d", "voter d", "remove b"});
  }
  SECTION("by a node that has caught up and votes") {
    wishes.leave = {"b"_node};
    behind = {seat_of("d")};
    CHECK(run() == steps{"learner d"});
    behind.clear();
    CHECK(run() == steps{"voter d", "remove b"});
  }
  SECTION("the leader, who hands over then") {
    wishes.leave = {"a"_node};
    CHECK(run() == steps{"learner d", "voter d", "hand over"});
  }
  SECTION("or stays while there is no other one") {
    linked.erase("d"_node);
    wishes.leave = {"b"_node};
    CHECK_FALSE(voter_plan{now, "a"_node, linked, wishes}.has_replacement());
    CHECK(run().empty());
    wishes.forced = {"b"_node};
    CHECK(run() == steps{"remove b"});
  }
}

TEST_CASE_METHOD(planned_group, "a removal waits for a replacement under each leader",
                 "[node][voters]") {
  for (auto* node : {"b", "c"})
    link(node);
  run();
  wishes.remove = {"b"_node};
  SECTION("if it is not forced") {
    CHECK(run() == steps{"keep out b"});
    lead("c");
    CHECK(run().empty());
    CHECK_FALSE(voter_plan{now, "c"_node, linked, wishes}.is_forced("b"_node));
    link("d");
    CHECK(run() == steps{"learner d", "voter d", "remove b"});
  }
  SECTION("and not if it is") {
    wishes.forced = {"b"_node};
    silent = {seat_of("c")};
    CHECK(run() == steps{"force out b"});
    silent.clear();
    lead("c");
    CHECK(voter_plan{now, "c"_node, linked, wishes}.is_forced("b"_node));
    CHECK(run() == steps{"remove b"});
  }
  SECTION("nor if it is forced later, however many are kept out") {
    CHECK(run() == steps{"keep out b"});
    for (std::size_t each = 1; each < raft::max_kept_out; ++each) {
      auto node = test::node_named("up-" + std::to_string(each));
      now.members.kept_out.insert(to_string(node));
      linked[node] = {};
    }
    wishes.forced = {"b"_node};
    CHECK(run() == steps{"force out b", "remove b"});
  }
  SECTION("which can be taken back") {
    wishes.forced = {"b"_node};
    silent = {seat_of("c")};
    CHECK(run() == steps{"force out b"});
    silent.clear();
    wishes.forced.clear();
    CHECK(run() == steps{"keep out b"});
    lead("c");
    CHECK(run().empty());
  }
}

TEST_CASE_METHOD(planned_group, "a voter that is to go stays while the group needs it",
                 "[node][voters]") {
  auto [voters, wished, goes] = GENERATE(table<std::size_t, std::size_t, bool>({
    {2, 1, true},
    {2, 2, false},
    {2, 3, false},
    {3, 1, true},
    {3, 2, true},
    {3, 3, false},
    {3, 5, false},
    {4, 3, true},
    {4, 4, true}, // three stand as many losses
    {4, 5, true},
    {5, 3, true}, // more than wished
    {5, 5, false},
    {6, 7, true},
    {7, 7, false},
  }));
  for (std::size_t each = 0; each < voters; ++each) {
    std::string node(1, static_cast<char>('a' + each));
    seat(node, true);
    link(node);
  }
  wishes.voters = wished;
  wishes.leave = {"b"_node};
  CAPTURE(voters, wished);
  CHECK(voter_plan{now, "a"_node, linked, wishes}.has_replacement() == goes);
  CHECK(run() == (goes ? steps{"remove b"} : steps{}));
}

TEST_CASE_METHOD(planned_group, "of four voters one goes before a fifth votes", "[node][voters]") {
  for (auto* node : {"b", "c", "d"}) {
    seat(node, true);
    link(node);
  }
  seat("e", false);
  link("e");
  wishes.voters = 5;
  wishes.leave = {"b"_node};
  CHECK(run() == steps{"remove b"});
}

TEST_CASE_METHOD(planned_group, "a learner that is forced out spares no voter less",
                 "[node][voters]") {
  for (auto* node : {"b", "c", "d"}) {
    seat(node, true);
    link(node);
  }
  seat("e", false);
  wishes.leave = {"b"_node, "e"_node};
  wishes.forced = {"e"_node};
  wishes.voters = 5;
  CHECK(run() == steps{"remove b", "remove e"});
}

TEST_CASE_METHOD(planned_group, "a voter that is forced out goes once those vote that can",
                 "[node][voters]") {
  auto voters = GENERATE(std::size_t{3}, std::size_t{5});
  for (auto* node : {"b", "c", "d", "e"})
    if (now.members.members.size() < voters) {
      seat(node, true);
      link(node);
    }
  seat("f", false);
  link("f");
  behind = {seat_of("f")};
  wishes.voters = voters;
  force_out({"b"_node});
  CHECK(run().empty());
  behind.clear();
  CHECK(run() == steps{"voter f", "remove b"});
}

TEST_CASE_METHOD(planned_group, "of four voters one stays while two are silent", "[node][voters]") {
  for (auto* node : {"b", "c", "d"}) {
    seat(node, true);
    link(node);
  }
  wishes.leave = {"b"_node};
  silent = {seat_of("c"), seat_of("d")};
  CHECK(run().empty());
  silent = {seat_of("d")};
  CHECK(run() == steps{"remove b"});
}

TEST_CASE_METHOD(planned_group, "a voter that is to go says what it waits for", "[node][voters]") {
  using hold = voter_plan::hold;
  wishes.voters = 3;
  auto held = [this](const std::string& node) {
    next(); // as things are
    return voter_plan{now, "a"_node, linked, wishes}.held_by(test::node_named(node));
  };
  wishes.leave = {"a"_node};
  CHECK(held("a") == hold::only_voter);
  for (auto* node : {"b", "c"}) {
    seat(node, true);
    link(node);
  }
  wishes.leave = {"b"_node};
  CHECK(held("b") == hold::no_replacement);
  silent = {seat_of("c")};
  CHECK(held("b") == hold::needed);
  silent.clear();
  seat("d", false);
  link("d");
  CHECK(held("b") == hold::replacement_learns);
  wishes.forced = {"b"_node};
  CHECK(held("b") == hold::others_learn);
  now.members.members.at(seat_of("d")).votes = true;
  CHECK(held("b") == hold::nothing);
  wishes.forced.clear();
  CHECK(held("b") == hold::nothing);
}

TEST_CASE_METHOD(planned_group, "of two that are to go one is replaced where one node can",
                 "[node][voters]") {
  for (auto* node : {"b", "c"}) {
    seat(node, true);
    link(node);
  }
  link("d");
  SECTION("the one that is not forced waits for the other one") {
    wishes.leave = {"b"_node, "c"_node};
    wishes.forced = {"c"_node};
    CHECK_FALSE(voter_plan{now, "a"_node, linked, wishes}.has_replacement());
    CHECK(run() == steps{"learner d", "voter d", "remove c"});
    CHECK(run().empty());
    link("e");
    CHECK(run() == steps{"learner e", "voter e", "remove b"});
  }
  SECTION("and the other one stays") {
    wishes.leave = {"b"_node, "c"_node};
    CHECK(voter_plan{now, "a"_node, linked, wishes}.has_replacement());
    CHECK(run() == steps{"learner d", "voter d", "remove b"});
    CHECK_FALSE(voter_plan{now, "a"_node, linked, wishes}.has_replacement());
  }
}

TEST_CASE_METHOD(planned_group, "two voters have a replacement for one where two could vote",
                 "[node][voters]") {
  seat("b", true);
  link("b");
  link("c");
  wishes.leave = {"b"_node};
  CHECK_FALSE(voter_plan{now, "a"_node, linked, wishes}.has_replacement());
  link("d");
  CHECK(voter_plan{now, "a"_node, linked, wishes}.has_replacement());
  CHECK(run() == steps{"learner c", "learner d", "voter c", "voter d", "remove b"});
}

TEST_CASE_METHOD(planned_group, "a removed voter stays out, whoever leads, until it is added",
                 "[node][voters]") {
  for (auto* node : {"b", "c", "d"})
    link(node);
  wishes.voters = 4;
  run();
  wishes.remove = {"b"_node};
  CHECK(run() == steps{"keep out b", "remove b"});
  SECTION("under the next leader") {
    lead("c");
    wishes.voters = 4;
    CHECK(run().empty());
    wishes.add = {"b"_node};
    CHECK(run() == steps{"let in b", "learner b", "voter b"});
  }
  SECTION("unless its removal was refused in the end") {
    wishes = {.voters = 4, .let_in = {"b"_node}};
    CHECK(run() == steps{"let in b", "learner b", "voter b"});
  }
}

TEST_CASE_METHOD(planned_group, "the next leader goes on with a removal", "[node][voters]") {
  for (auto* node : {"b", "c", "d"})
    link(node);
  run();
  wishes.remove = {"a"_node};
  CHECK(run() == steps{"keep out a", "learner d", "voter d", "hand over"});
  lead("b");
  CHECK(run() == steps{"remove a"});
}

TEST_CASE_METHOD(planned_group, "of many nodes that are kept out one that is away gives way",
                 "[node][voters]") {
  for (auto* node : {"b", "c"})
    link(node);
  run();
  for (std::size_t each = 0; each < raft::max_kept_out; ++each)
    now.members.kept_out.insert(to_string(test::node_named("away-" + std::to_string(100 + each))));
  wishes.remove = wishes.forced = {"b"_node};
  CHECK(voter_plan{now, "a"_node, linked, wishes}.can_keep_out("b"_node));
  CHECK(run() == steps{"let in away-100", "force out b", "remove b"});
  for (auto& each : now.members.kept_out)
    linked[*node_id::from_string(each)] = {};
  CHECK_FALSE(voter_plan{now, "a"_node, linked, wishes}.can_keep_out("c"_node));
  CHECK(voter_plan{now, "a"_node, linked, wishes}.can_keep_out("b"_node)); // it is already

  // Nor does one that is not there now, but has its seat yet.
  auto away = *now.members.kept_out.begin();
  linked.erase(*node_id::from_string(away));
  CHECK(voter_plan{now, "a"_node, linked, wishes}.can_keep_out("c"_node));
  now.members.members[raft::member_id{99}] = {true, away + "@here:1"};
  CHECK_FALSE(voter_plan{now, "a"_node, linked, wishes}.can_keep_out("c"_node));
}

TEST_CASE_METHOD(planned_group, "who is asked to vote does so beside the others",
                 "[node][voters]") {
  for (auto* node : {"b", "c", "d"})
    link(node);
  run();
  wishes.add = {"d"_node};
  CHECK(run() == steps{"learner d", "voter d"});
}

TEST_CASE_METHOD(planned_group, "a seat whose disk was lost goes, and its node learns anew",
                 "[node][voters]") {
  link("b");
  link("c");
  run();
  SECTION("when the node comes with another seat") {
    linked["b"_node].seat = raft::member_id{9};
    CHECK(run() == steps{"remove b", "learner i", "voter i"});
  }
  SECTION("when it was seen to have forgotten") {
    wishes.forgotten = {seat_of("b")};
    CHECK(run() == steps{"remove b"}); // and does not come again under that seat
    wishes.add = {"b"_node};
    CHECK(run().empty()); // nor where it is asked for
    linked["b"_node].seat = raft::member_id{9};
    CHECK(run() == steps{"learner i", "voter i"});
  }
  SECTION("when it was seen to have forgotten, and has another seat already") {
    wishes.forgotten = {seat_of("b")};
    linked["b"_node].seat = raft::member_id{9};
    CHECK(run() == steps{"remove b", "learner i", "voter i"});
  }
  SECTION("when it has forgotten, and another node can take its place") {
    link("d");
    wishes.forgotten = {seat_of("b")};
    CHECK(run() == steps{"remove b", "learner d", "voter d"});
  }
}

TEST_CASE_METHOD(planned_group, "a node whose identity is revoked loses its seat, and gets none",
                 "[node][voters]") {
  for (auto* node : {"b", "c"}) {
    seat(node, true);
    link(node);
  }
  SECTION("a voter at once, without a replacement") {
    wishes.revoked = {"b"_node};
    CHECK(run() == steps{"remove b"});
  }
  SECTION("a voter not before the others go on without it") {
    wishes.revoked = {"b"_node};
    silent = {seat_of("c")};
    CHECK(run().empty());
  }
  SECTION("a learner also where the voters do not go on") {
    seat("d", false);
    silent = {seat_of("b"), seat_of("c")};
    wishes.revoked = {"d"_node};
    CHECK(run() == steps{"remove d"});
  }
  SECTION("nor does it come where it is asked for") {
    link("d");
    wishes.revoked = {"d"_node};
    wishes.add = {"d"_node};
    CHECK(run().empty());
  }
}

TEST_CASE_METHOD(planned_group, "the leader does not take its own seat away", "[node][voters]") {
  link("b");
  link("c");
  run();
  wishes.forgotten = {seat_of("a")};
  CHECK(run().empty());
}

TEST_CASE_METHOD(planned_group, "who leads without a vote hands over to a voter that is there",
                 "[node][voters]") {
  for (auto* node : {"b", "c", "d"}) {
    seat(node, true);
    link(node);
  }
  seat("a", false);
  CHECK(run() == steps{"hand over"});
  wishes.leave = {"a"_node}; // it goes afterwards
  CHECK(run() == steps{"hand over"});
  wishes = {};

  SECTION("who leads then gives it a vote if one more is to vote") {
    lead("b");
    wishes.voters = 4;
    CHECK(run() == steps{"voter a"});
    lead("a");
    CHECK(run().empty());
  }

  SECTION("and not where enough vote") {
    lead("b");
    CHECK(run().empty());
  }

  SECTION("which is none that is silent, or behind another one") {
    silent = {seat_of("b")}; // with as long a log
    lag[seat_of("c")] = 1;
    CHECK(run() == steps{"hand over"});
    CHECK(handed_to == seat_of("d"));
    silent.insert(seat_of("d"));
    CHECK(run() == steps{"hand over"});
    CHECK(handed_to == seat_of("c"));
  }

  SECTION("which is the one with the longest log") {
    lag[seat_of("c")] = 1;
    lag[seat_of("d")] = 2;
    CHECK(run() == steps{"hand over"});
    CHECK(handed_to == seat_of("b"));
  }

  SECTION("and never to a learner") {
    silent = {seat_of("b"), seat_of("c")};
    seat("d", false);
    CHECK(run().empty());
  }

  SECTION("while nobody can take over it goes on") {
    silent = {seat_of("b")};
    behind = {seat_of("c")};
    seat("d", false);
    wishes.voters = 4;
    CHECK(run() == steps{"voter d", "hand over"});
  }
}

TEST_CASE_METHOD(planned_group, "a voter stays while too few of the others have caught up",
                 "[node][voters]") {
  link("b");
  link("c");
  run();
  auto how = GENERATE(0, 1, 2);
  auto& away = how == 0 ? silent : how == 1 ? mute : behind;
  away = {seat_of("b")};
  SECTION("which would be no majority without it") {
    auto goes = GENERATE("a"_node, "c"_node);
    force_out({goes});
    CHECK(run().empty());
    CHECK_FALSE(voter_plan{now, "a"_node, linked, wishes}.goes_on_without(goes));
    away.clear();
    CHECK(run() == (goes == "a"_node ? steps{"hand over"} : steps{"remove c"}));
  }
  SECTION("whatever learners there are") {
    force_out({"c"_node});
    for (auto* node : {"d", "e", "f"}) {
      now.members.members[seat_of(node)] = {false, contact(node)};
      if (how == 0)
        silent.insert(seat_of(node));
    }
    next(); // as things are
    CHECK_FALSE(voter_plan{now, "a"_node, linked, wishes}.goes_on_without("c"_node));
    now.members.members[seat_of("b")].votes = false;
    away = {};
    next();
    CHECK(voter_plan{now, "a"_node, linked, wishes}.goes_on_without(
      "c"_node)); // though learners are silent
  }
  SECTION("but who is silent goes") {
    force_out({"b"_node});
    CHECK(run() == steps{"remove b"});
  }
  SECTION("and of five one more goes than may be silent") {
    for (auto* node : {"d", "e"})
      link(node);
    wishes.voters = 5;
    away.clear();
    run();
    away = {seat_of("b")};
    force_out({"c"_node});
    CHECK(run() == steps{"remove c"});
    away = {seat_of("b"), seat_of("d")};
    force_out({"c"_node, "e"_node});
    CHECK(run().empty());
  }
}

TEST_CASE_METHOD(planned_group, "a voter counts as there until a second after its last word",
                 "[node][voters]") {
  link("b");
  link("c");
  run();
  silent = {seat_of("b")};
  force_out({"c"_node});
  silence = 1s;
  CHECK(run().empty());
  silence = 1s - 1ns;
  CHECK(run() == steps{"remove c"});
}

TEST_CASE_METHOD(planned_group, "a voter goes once the others have just acknowledged an entry",
                 "[node][voters]") {
  link("b");
  link("c");
  run();
  SECTION("which is written if the last one is old, or of an earlier leader") {
    now.members_for = GENERATE(std::optional<duration>{}, std::optional<duration>{2s});
    force_out({"c"_node});
    REQUIRE(std::holds_alternative<raft::replica::confirm_members>(next().value()));
    now.members_for = duration::zero();
    mute = {seat_of("b")}; // has not acknowledged it
    CHECK_FALSE(next());
    CHECK_FALSE(voter_plan{now, "a"_node, linked, wishes}.goes_on_without("c"_node));
    mute.clear();
    CHECK(run() == steps{"remove c"});
  }
  SECTION("which is written if the last one is older than the wish") {
    now.members_for = 1s;
    force_out({"c"_node});
    wishes.since = 1s;
    CHECK(run() == steps{"confirm", "remove c"});
  }
  SECTION("be it that on its own removal") {
    now.members_for = 1h;
    wishes.remove = wishes.forced = {"c"_node};
    wishes.since = 1ns;
    CHECK(run() == steps{"force out c", "remove c"});
  }
  SECTION("not where it hands over first") {
    now.members_for = 1h;
    force_out({"a"_node});
    CHECK(run() == steps{"hand over"});
  }
  SECTION("not for a seat that is worth nothing") {
    now.members_for = 1h;
    wishes.forgotten = {seat_of("c")};
    CHECK(run() == steps{"remove c"});
  }
}

TEST_CASE_METHOD(planned_group, "the only voter stays, and hands over to nobody",
                 "[node][voters]") {
  wishes.leave = {"a"_node};
  CHECK(run().empty());
}

TEST_CASE_METHOD(planned_group, "a removed node that is asked for again can take a place",
                 "[node][voters]") {
  for (auto* node : {"b", "c", "d"})
    link(node);
  run();
  now.members.kept_out = {to_string("d"_node)};
  wishes.leave = {"b"_node};
  CHECK_FALSE(voter_plan{now, "a"_node, linked, wishes}.has_replacement());
  wishes.add = {"d"_node};
  CHECK(voter_plan{now, "a"_node, linked, wishes}.has_replacement());
}

TEST_CASE("the members of a group change a bounded number of times in ten seconds",
          "[node][voters]") {
  cluster::change_pace pace;
  time_point now{1h};
  for (std::size_t each = 0; each < cluster::change_pace::max_changes; ++each) {
    CHECK(pace.is_free(now + each * 1ms));
    pace.count(now + each * 1ms);
  }
  CHECK_FALSE(pace.is_free(now + 1s));
  CHECK_FALSE(pace.is_free(now + cluster::change_pace::span - 1ms));
  CHECK(pace.is_free(now + cluster::change_pace::span));
  pace.count(now + cluster::change_pace::span);
  CHECK_FALSE(pace.is_free(now + cluster::change_pace::span));
}

TEST_CASE("a change that is refused again and again is proposed less and less often",
          "[node][voters]") {
  cluster::change_pace pace;
  random_source random{7};
  time_point now{1h};
  CHECK(pace.rests_until() <= now);
  auto rest = [&] {
    pace.refuse(now, random);
    return pace.rests_until() - now;
  };
  auto first = rest();
  CHECK(first >= 50ms);
  CHECK(first <= 100ms);
  duration longest{};
  for (auto time = 0; time < 100; ++time) {
    auto next = rest();
    CHECK(next >= 50ms);
    CHECK(next <= 1'050ms);
    longest = std::max(longest, next);
  }
  CHECK(longest > 900ms);
  SECTION("until one is made") {
    pace.count(now);
  }
  SECTION("or the group may accept it") {
    pace.accept();
  }
  CHECK(pace.rests_until() <= now);
  for (auto time = 0; time < 100; ++time) {
    CHECK(rest() <= 100ms);
    pace.accept();
  }
}

TEST_CASE("the others go on without a voter while a majority of them is reached",
          "[node][voters]") {
  cluster::voters_view group;
  auto seat = [&](const std::string& node, bool is_reached, bool votes = true) {
    auto& made = group.seats.emplace_back();
    made.node = node;
    made.votes = votes;
    made.is_reached = is_reached;
  };
  seat("a", true);
  seat("b", true);
  seat("c", false);
  seat("learner", true, false);
  auto goes_on_without = [&](const std::string& node) {
    auto others = cluster::voters_beside(group, node);
    REQUIRE(others);
    CHECK(others->all == group.seats.size() - 2);
    return others->go_on();
  };
  CHECK_FALSE(goes_on_without("a"));
  CHECK(goes_on_without("c"));
  CHECK_FALSE(cluster::voters_beside(group, "learner"));
  CHECK_FALSE(cluster::voters_beside(group, "stranger"));
  seat("d", true);
  CHECK(goes_on_without("a")); // two of three
  group.seats.resize(1);
  CHECK_FALSE(cluster::voters_beside(group, "a")->go_on()); // nobody votes any more
}

TEST_CASE_METHOD(planned_group, "a member is found where its node is now", "[node][voters]") {
  link("b");
  link("c");
  run();
  linked["b"_node].address = "127.0.0.1:7777";
  CHECK(run() == steps{"move b to b@127.0.0.1:7777"});
}

TEST_CASE("a log has the id of a member in digits, and its address", "[node][voters]") {
  const auto digits = std::string(62, '0') + "a7";
  node_id node;
  node.bytes.back() = std::byte{0xa7};
  CHECK(to_string(cluster::seat_contact{node, "10.0.0.7:4000"}) == digits + "@10.0.0.7:4000");
  CHECK(to_string(cluster::seat_contact{node, {}}) == digits + "@"); // as it is restored
  for (auto* address : {"10.0.0.7:4000", "[::1]:4000", ""})
    CHECK(cluster::to_seat_contact(digits + "@" + address) == cluster::seat_contact{node, address});
  CHECK(cluster::to_seat_contact(digits) == cluster::seat_contact{node, {}});
  for (auto* text : {"", "@", "@10.0.0.7:4000", "a7@10.0.0.7:4000", "10.0.0.7:4000"})
    CHECK(cluster::to_seat_contact(text).node == node_id{});
  raft::configuration members;
  CHECK_FALSE(cluster::keeps_out(members, node));
  members.kept_out = {digits};
  CHECK(cluster::keeps_out(members, node));
  CHECK_FALSE(cluster::keeps_out(members, node_id{}));
}

TEST_CASE_METHOD(planned_group, "a kept out name that no node can have gives way",
                 "[node][voters]") {
  link("b");
  link("c");
  run();
  now.members.kept_out.insert("nobody");
  for (std::size_t each = 1; each < raft::max_kept_out; ++each) {
    auto node = test::node_named("node-" + std::to_string(100 + each));
    linked[node] = {raft::member_id{1'000 + each}, "h:1"};
    now.members.kept_out.insert(to_string(node));
  }
  wishes.remove = wishes.forced = {"b"_node};
  CHECK(voter_plan{now, "a"_node, linked, wishes}.can_keep_out("b"_node));
  CHECK(run() == steps{"let in nobody", "force out b", "remove b"});
}
