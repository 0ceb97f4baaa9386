#include "troupe/cluster/quorum_poll.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "support/take.hpp"

namespace quorum_poll_test {

using namespace std::literals;
using namespace troupe;
using cluster::finder_effects;
using cluster::finder_events;
using cluster::quorum_poll;
using net::address;
using addresses = std::vector<address>;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

const problem no_quorum{errc::no_quorum, "n2 is missing"};
const problem denied{errc::denied, "the certificate is revoked"};

address place(char which) {
  return {std::string(1, which), 1};
}

addresses first(std::size_t count) {
  addresses all;
  for (std::size_t each = 0; each < count; ++each)
    all.push_back(place(static_cast<char>('a' + each)));
  return all;
}

struct polled {
  explicit polled(std::size_t nodes, std::size_t max_dials = 10)
    : places(first(nodes), 100), requests(1min, max_dials) {}

  /// The node `a` answers, and says that of the quorum.
  void hear(const problem& why = no_quorum) {
    if (contact.meet(1, place('a'), 5, out))
      out.clear();
    it.tried(now, place('a'), {}, out);
    it.hear(now, why, out);
  }

  /// Whom it dials.
  addresses dialled() {
    addresses found;
    for (auto& each : test::take<finder_effects::dial>(out))
      found.push_back(each.where);
    return found;
  }

  /// That node can be reached over this link, and is asked. Returns the question.
  finder_effects::ask reach(char which, net::connection_id link) {
    it.dialled(now, place(which), link, out);
    auto asked = test::take<finder_effects::ask>(out);
    REQUIRE(asked.size() == 1);
    return asked.front();
  }

  /// What was said of the quorum last; nothing if nothing was.
  std::optional<finder_effects::without_quorum> said() {
    auto found = test::take<finder_effects::without_quorum>(out);
    return found.empty() ? std::nullopt : std::optional{found.back()};
  }

  std::optional<problem> refused() {
    auto found = test::take<finder_effects::refused>(out);
    return found.empty() ? std::nullopt : std::optional{found.back().why};
  }

  void pass(duration span) {
    now += span;
    it.tick(now, out);
  }

  [[nodiscard]] std::size_t flaws() const {
    return it.flaws([](net::connection_id) { return true; }).size();
  }

  cluster::service_addresses places;
  cluster::finder_options options{};
  cluster::finder_requests requests;
  cluster::finder_contact contact{options, requests};
  quorum_poll it{100, places, contact, requests};
  finder_effects::effects out;
  time_point now{1h};
};

} // namespace

TEST_CASE("a node that votes has its own word of the quorum", "[node][finder]") {
  polled p{1};
  p.it.seat_says(p.now, no_quorum, p.out);
  CHECK_FALSE(p.said()); // it does not vote
  p.it.seated(p.now, true, p.out);
  CHECK(p.it.votes());
  auto told = p.said();
  REQUIRE(told);
  CHECK(told->why == no_quorum);
  CHECK(told->is_own);
  p.hear({errc::no_quorum, "others say so"});
  CHECK_FALSE(p.said());
  p.it.seat_says(p.now, {}, p.out);
  CHECK(p.said()->why == problem{});
  p.it.seated(p.now, false, p.out);
  told = p.said();
  REQUIRE(told);
  CHECK(told->why.detail == "others say so");
  CHECK_FALSE(told->is_own);
}

TEST_CASE("a node that finds no leader, and sees few nodes, is in a minority", "[node][finder]") {
  polled p{2};
  p.it.see(p.now, {2, 5}, p.out);
  p.pass(1min);
  CHECK_FALSE(p.said()); // it has not looked
  p.it.tried(p.now, place('a'), {}, p.out);
  p.pass(1min);
  CHECK_FALSE(p.said());
  p.it.tried(p.now, place('b'), {}, p.out);
  CHECK(p.it.next_deadline() == p.now + 3s);
  p.pass(3s - 1ns);
  CHECK_FALSE(p.said()); // as long as an election may take
  p.pass(1ns);
  auto told = p.said();
  REQUIRE(told);
  CHECK(told->why.code == errc::no_quorum);
  CHECK(told->why.detail.starts_with("minority: 2 of 5 nodes are reachable"));
  CHECK_FALSE(told->is_own);
  CHECK_FALSE(p.it.next_deadline());
  SECTION("until more come") {
    p.it.see(p.now, {3, 5}, p.out);
    told = p.said();
    REQUIRE(told);
    CHECK(told->why == problem{});
  }
  SECTION("until it finds the services") {
    p.it.forget(p.now, p.out);
    told = p.said();
    REQUIRE(told);
    CHECK(told->why == problem{});
    p.pass(1min);
    CHECK_FALSE(p.said());
  }
  SECTION("unless somebody knows more") {
    p.hear();
    told = p.said();
    REQUIRE(told);
    CHECK(told->why == no_quorum);
  }
  SECTION("unless it votes") {
    p.it.seated(p.now, true, p.out);
    told = p.said();
    REQUIRE(told);
    CHECK(told->why == problem{});
  }
}

TEST_CASE("a node says with whom the services of a cluster in memory are lost", "[node][finder]") {
  polled p{1};
  p.it.see(p.now, {3, 3}, p.out); // the others do not know yet that it is dead
  p.it.kept_in_memory_at(place('a'));
  p.pass(1min);
  CHECK_FALSE(p.said()); // it has not looked
  p.it.tried(p.now, place('a'), {}, p.out);
  p.pass(3s - 1ns);
  CHECK_FALSE(p.said());
  p.pass(1ns);
  auto told = p.said();
  REQUIRE(told);
  CHECK(told->why.code == errc::no_quorum);
  CHECK(told->why.detail.starts_with(
    "this cluster keeps its services in the memory of the node at a:1, which does not answer"));
  SECTION("until it finds them") {
    p.it.forget(p.now, p.out);
    CHECK(p.said()->why == problem{});
  }
  SECTION("unless they are where others can take them over") {
    p.it.forget(p.now, p.out);
    p.it.kept_in_memory_at(std::nullopt);
    p.out.clear();
    p.it.tried(p.now, place('a'), {}, p.out);
    p.pass(1min);
    CHECK_FALSE(p.said());
  }
}

TEST_CASE("the services of a cluster in memory are lost only if their node does not answer",
          "[node][finder]") {
  polled p{7};
  p.it.see(p.now, {7, 7}, p.out);
  p.it.kept_in_memory_at(place('g'));
  for (auto which : {'a', 'b', 'c', 'd', 'e', 'f'}) // these have just lost it, too
    p.it.tried(p.now, place(which), {}, p.out);
  p.pass(1min);
  CHECK_FALSE(p.said());
  SECTION("it is dialled, and gives no link") {
    p.it.tried(p.now, place('g'), {errc::unreachable, "Connection refused"}, p.out);
    p.pass(3s);
    CHECK_THAT(p.said().value().why.detail, ContainsSubstring("in the memory of the node at g:1"));
  }
  SECTION("few nodes are seen") {
    p.it.see(p.now, {1, 7}, p.out);
    CHECK_THAT(p.said().value().why.detail, StartsWith("minority: 1 of 7"));
    p.it.tried(p.now, place('g'), {}, p.out);
    CHECK_THAT(p.said().value().why.detail, ContainsSubstring("in the memory of the node at g:1"));
  }
}

TEST_CASE("who sees more than half of the nodes, or is none of them, is in no minority",
          "[node][finder]") {
  polled p{1};
  auto seen = GENERATE(finder_events::present{}, finder_events::present{2, 3});
  p.it.see(p.now, seen, p.out);
  p.it.tried(p.now, place('a'), {}, p.out);
  p.pass(1min);
  CHECK_FALSE(p.said());
}

TEST_CASE("what a node sees for less than an election makes no minority", "[node][finder]") {
  polled p{1};
  p.it.see(p.now, {1, 2}, p.out);
  p.it.tried(p.now, place('a'), {}, p.out);
  p.pass(2s);
  p.it.see(p.now, {2, 2}, p.out);
  p.pass(500ms);
  p.it.see(p.now, {1, 2}, p.out);
  p.pass(2s);
  CHECK_FALSE(p.said());
  p.pass(1s);
  CHECK(p.said());
}

TEST_CASE("a node that has looked for long says that it is in a minority once it sees few nodes",
          "[node][finder]") {
  polled p{1};
  p.it.see(p.now, {3, 3}, p.out);
  p.it.tried(p.now, place('a'), {}, p.out);
  p.pass(2s);
  SECTION("after an election at the earliest") {
    p.it.see(p.now, {1, 3}, p.out);
    CHECK_FALSE(p.said());
    CHECK(p.it.next_deadline() == p.now + 1s);
    p.pass(1s);
    CHECK(p.said());
  }
  SECTION("at once, if that is over") {
    p.pass(1s);
    CHECK_FALSE(p.said());
    p.it.see(p.now, {1, 3}, p.out);
    auto told = p.said();
    REQUIRE(told);
    CHECK(told->why.detail.starts_with("minority: 1 of 3"));
    CHECK_FALSE(p.it.next_deadline());
    p.places.learn(place('b')); // which it has not tried
    p.it.see(p.now, {1, 3}, p.out);
    told = p.said();
    REQUIRE(told);
    CHECK(told->why == problem{});
    p.it.tried(p.now, place('b'), {}, p.out);
    CHECK_FALSE(p.said());
    CHECK(p.it.next_deadline() == p.now + 3s);
  }
}

TEST_CASE("the word of the contact counts once all others are tried", "[node][finder]") {
  polled p{3};
  p.hear();
  CHECK(p.dialled() == addresses{place('b'), place('c')});
  CHECK_FALSE(p.said());
  auto question = p.reach('b', 2);
  CHECK(question.link == 2);
  CHECK(question.wait == 0s);
  CHECK(p.it.asked_by(question.id) == place('b'));
  CHECK(p.it.asked_by(question.id + 1) == std::nullopt);
  CHECK(p.it.asks_over(2));
  CHECK_FALSE(p.it.asks_over(3));
  p.it.answered(place('b'));
  p.it.tried(p.now, place('b'), {}, p.out);
  CHECK_FALSE(p.it.asks_over(2));
  CHECK_FALSE(p.said());
  p.it.dialled(p.now, place('c'), problem{errc::unreachable, "no way"}, p.out);
  CHECK(p.said()->why == no_quorum);
  CHECK(p.flaws() == 0);
}

TEST_CASE("others are asked when the contact first says that there is no quorum",
          "[node][finder]") {
  polled p{2};
  p.hear({}); // it says nothing
  CHECK(p.dialled().empty());
  p.hear();
  CHECK(p.dialled() == addresses{place('b')});
  p.hear({errc::no_quorum, "n3 is missing, too"});
  CHECK(p.dialled().empty());
  p.it.dialled(p.now, place('b'), problem{errc::unreachable, "no way"}, p.out);
  CHECK(p.said()->why.detail == "n3 is missing, too");
  p.hear({});
  CHECK(p.said()->why == problem{}); // it is over
}

TEST_CASE("no more than five of many nodes are asked", "[node][finder]") {
  polled p{20};
  p.it.tried(p.now, place('c'), {}, p.out);
  p.hear();
  CHECK(p.dialled()
        == addresses{place('b'), place('d'), place('e'), place('f'), place('g')}); // not itself
  for (auto each : {'b', 'd', 'e'})
    p.it.dialled(p.now, place(each), problem{errc::unreachable, "no way"}, p.out);
  CHECK(p.said()->why == no_quorum); // five are tried
}

TEST_CASE("a node that hangs counts as tried in time, and its answer still counts",
          "[node][finder]") {
  polled p{3};
  p.hear();
  auto question = p.reach('b', 2);
  CHECK(p.it.next_deadline() == p.now + 1'500ms);
  p.it.dialled(p.now, place('b'), 9U, p.out); // it is asked already
  CHECK(test::take<finder_effects::ask>(p.out).empty());
  p.pass(1'500ms); // neither `b` nor the dial of `c` has come to anything
  CHECK(p.said()->why == no_quorum);
  CHECK(p.it.asked_by(question.id) == std::nullopt);
  CHECK(p.it.next_deadline() == std::nullopt);
  CHECK_FALSE(p.it.is_at_rest());
  question = p.reach('c', 3); // at last
  CHECK(p.it.asked_by(question.id) == place('c'));
  CHECK(p.it.next_deadline() == p.now + 1'500ms);
}

TEST_CASE("a node whose link ends is tried", "[node][finder]") {
  polled p{3};
  p.hear();
  p.reach('b', 2);
  p.reach('c', 3);
  p.it.link_down(p.now, 4, p.out);
  p.it.link_down(p.now, 2, p.out);
  CHECK_FALSE(p.it.asks_over(2));
  CHECK(p.it.asks_over(3));
  CHECK_FALSE(p.said());
  p.it.link_down(p.now, 3, p.out);
  CHECK(p.said()->why == no_quorum);
}

TEST_CASE("a node for which there is no dial left counts as tried", "[node][finder]") {
  polled p{3, 1};
  p.hear();
  CHECK(p.dialled() == addresses{place('b')});
  p.it.dialled(p.now, place('b'), problem{errc::unreachable, "no way"}, p.out);
  CHECK(p.said()->why == no_quorum);
}

TEST_CASE("a refusal counts once no other node leads to the services", "[node][finder]") {
  polled p{2};
  SECTION("no node answers") {
    p.it.tried(p.now, place('a'), denied, p.out);
    CHECK_FALSE(p.refused());
    p.it.tried(p.now, place('b'), {}, p.out);
    CHECK(p.refused() == denied);
  }
  SECTION("the contact has no majority") {
    p.hear();
    p.it.dialled(p.now, place('b'), denied, p.out);
    CHECK(p.refused() == denied);
  }
  SECTION("the contact may find them") {
    p.hear({});
    p.it.tried(p.now, place('b'), denied, p.out);
    CHECK_FALSE(p.refused());
    p.hear();
    CHECK(p.refused() == denied);
  }
  p.it.forget(p.now, p.out);
  CHECK(p.refused() == problem{});
  CHECK(p.it.is_at_rest());
}

TEST_CASE("what was heard before the services were found counts no more", "[node][finder]") {
  polled p{3};
  p.hear();
  p.dialled();
  auto question = p.reach('b', 2);
  p.pass(1s);
  p.it.tried(p.now, place('b'), {}, p.out);
  p.it.tried(p.now, place('c'), {}, p.out);
  CHECK(p.said());
  p.it.forget(p.now, p.out);
  CHECK(p.said()->why == problem{});
  CHECK(p.it.asked_by(question.id) == std::nullopt);
  CHECK(p.it.next_deadline() == std::nullopt);
  CHECK(p.it.is_at_rest());
  p.it.dialled(p.now, place('c'), 3U, p.out); // nobody is waited for
  CHECK(p.out.empty());
}

TEST_CASE("the contact is not asked beside itself", "[node][finder]") {
  polled p{2};
  p.contact.meet(1, place('a'), 5, p.out);
  p.it.hear(p.now, no_quorum, p.out);
  CHECK(p.dialled() == addresses{place('b')});
}

TEST_CASE("a poll knows what is wrong with its state", "[node][finder]") {
  polled p{2};
  p.hear();
  CHECK(p.flaws() == 0);
  p.contact.part();
  CHECK(p.flaws() == 1); // nobody says that there is no quorum
  p.requests.dials().take(test::take<finder_effects::dial>(p.out).front().id);
  CHECK(p.flaws() == 2);
}

} // namespace quorum_poll_test
