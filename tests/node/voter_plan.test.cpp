#include "troupe/node/voter_plan.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <variant>
#include <vector>

using namespace std::literals;
using namespace troupe;
using cluster::voter_plan;

namespace {

/// A group that does what the plan says. Nodes are a, b, c … with the seats 1, 2, 3 …; `a` leads.
struct planned_group {
  planned_group() {
    now.self = now.leader = raft::seat_id{1};
    now.now = raft::role::leader;
    now.last = now.commit = 1'000;
    seat("a", true);
    link("a");
  }

  static raft::seat_id seat_of(const std::string& node) {
    return raft::seat_id{static_cast<std::uint64_t>(node.front() - 'a') + 1};
  }

  static std::string contact(const std::string& node) {
    return node + "@127.0.0.1:" + std::to_string(1'000 + seat_of(node).value);
  }

  void seat(const std::string& node, bool votes) {
    now.members.members[seat_of(node)] = {votes, contact(node)};
  }

  /// The node is there and could vote.
  void link(const std::string& node) {
    linked[node] = {seat_of(node), cluster::to_seat_contact(contact(node)).address};
  }

  std::optional<voter_plan::change> next() {
    now.others.clear();
    for (auto& [seat, who] : now.members.members)
      if (seat != now.self) {
        auto match = behind.contains(seat) ? raft::log_index{10} : now.last;
        now.others.push_back({seat, who, match, 10ms, false, !silent.contains(seat)});
      }
    return voter_plan{now, "a", linked, wishes}.next();
  }

  /// Makes changes until there is none. Returns them as words.
  std::vector<std::string> run() {
    std::vector<std::string> made;
    while (auto change = next()) {
      REQUIRE(made.size() < 20);
      made.push_back(std::visit([this](auto& what) { return make(what); }, *change));
    }
    return made;
  }

  static std::string name(raft::seat_id which) {
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
    return "move " + name(what.seat) + " to " + what.contact;
  }

  std::string make(const raft::replica::transfer&) {
    wishes.remove.clear(); // the next leader has wishes of its own
    return "hand over";
  }

  template <class Other>
  std::string make(const Other&) {
    return "nonsense";
  }

  raft::replica::status now;
  std::map<std::string, voter_plan::candidate> linked;
  cluster::voter_wishes wishes;
  std::set<raft::seat_id> behind;
  std::set<raft::seat_id> silent;
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

TEST_CASE_METHOD(planned_group, "nobody votes who has not said that it knows of its seat",
                 "[node][voters]") {
  now.last = now.commit = 20; // even nothing at all is nearly all of such a log
  behind = silent = {seat_of("b"), seat_of("c")};
  link("b");
  link("c");
  CHECK(run() == steps{"learner b", "learner c"});
  silent.clear();
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

TEST_CASE_METHOD(planned_group, "a voter that is to go is replaced before", "[node][voters]") {
  for (auto* node : {"b", "c", "d"})
    link(node);
  run();
  SECTION("another one") {
    wishes.remove = {"b"};
    CHECK(run() == steps{"learner d", "voter d", "remove b"});
  }
  SECTION("the leader, who hands over then") {
    wishes.remove = {"a"};
    CHECK(run() == steps{"learner d", "voter d", "hand over"});
  }
  SECTION("unless there is nobody") {
    linked.erase("d");
    wishes.remove = {"b"};
    CHECK_FALSE(voter_plan{now, "a", linked, wishes}.has_replacement());
    CHECK(run() == steps{"remove b"});
  }
}

TEST_CASE_METHOD(planned_group, "who is asked to vote does so beside the others",
                 "[node][voters]") {
  for (auto* node : {"b", "c", "d"})
    link(node);
  run();
  wishes.add = {"d"};
  CHECK(run() == steps{"learner d", "voter d"});
}

TEST_CASE_METHOD(planned_group, "a seat whose disk was lost goes, and its node learns anew",
                 "[node][voters]") {
  link("b");
  link("c");
  run();
  SECTION("when the node comes with another seat") {
    linked["b"].seat = raft::seat_id{9};
    CHECK(run() == steps{"remove b", "learner i", "voter i"});
  }
  SECTION("when it was seen to have forgotten") {
    wishes.forgotten = {seat_of("b")};
    linked.erase("b");
    CHECK(run() == steps{"remove b"});
  }
}

TEST_CASE_METHOD(planned_group, "a member is found where its node is now", "[node][voters]") {
  link("b");
  link("c");
  run();
  linked["b"].address = "127.0.0.1:7777";
  CHECK(run() == steps{"move b to b@127.0.0.1:7777"});
}
