#include "troupe/cluster/liveness.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "router/named_nodes.hpp"
#include "support/seen_effects.hpp"

namespace liveness_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using cluster::liveness;
using test::operator""_node;

namespace {

registry::record_key agent(const std::string& name) {
  return {registry::record_kind::agent, name, "n1"_node};
}

/// What a node says that the test calls so, as people do.
registry::record_view record_of(const std::string& node) {
  registry::record_view made;
  made.value.key = {registry::record_kind::node, node, test::node_named(node)};
  return made;
}

/// The leader's judgement of a few nodes.
struct judging : test::seen_effects<liveness> {
  explicit judging(cluster::liveness_options how
                   = {.lost_after = 5s, .check_every = 10s, .sweep_every = {}})
    : it(nodes, how) {}

  void step(liveness::event what, request_id id = 0) {
    it.step(now, id, std::move(what), out);
    CHECK(it.flaws().empty());
  }

  /// Runs all that is due meanwhile.
  void pass(duration span) {
    auto until = now + span;
    for (auto due = it.next_deadline(); due && *due <= until; due = it.next_deadline()) {
      now = std::max(now, *due);
      it.tick(now, out);
      CHECK(it.flaws().empty());
    }
    now = until;
  }

  /// n1 is linked with boot 3.
  void link() {
    nodes.put("n1"_node, record_of("n1"));
    step(liveness::lead{});
    step(liveness::link_up{"n1"_node, 3});
    CHECK(out.empty());
  }

  void see(cluster::member_status is, boot_number boot = 3) {
    step(liveness::seen{"n1"_node, boot, is});
  }

  void lose(boot_number boot = 3) {
    step(liveness::link_down{"n1"_node, boot, "closed"});
  }

  cluster::known_nodes nodes;
  time_point now{1h};
  liveness it;
};

/// A leader that looks through all names and workers.
struct sweeping : judging {
  sweeping() : judging{{.check_every = {}, .sweep_every = 30s, .sweep_page = 2}} {}

  void begin() {
    step(liveness::lead{{}, "me"_node});
  }

  /// The service of names gives that page of claims.
  liveness::list_names give(std::vector<registry::names::name_claim> claims, bool more = false) {
    auto asked = only<liveness::list_names>();
    step(liveness::names_listed{registry::names::claim_page{std::move(claims), more}}, asked.id);
    return asked;
  }

  /// The scheduler gives that page.
  liveness::list_workers give_workers(std::vector<liveness::worker> page) {
    auto asked = only<liveness::list_workers>();
    step(liveness::workers_listed{std::move(page)}, asked.id);
    return asked;
  }
};

registry::names::name_claim claim_of(const std::string& node, const std::string& name = "painter",
                                     bool is_fleeting = true) {
  return {name, test::node_named(node), 1, 7, is_fleeting};
}

/// Of a node without a data folder.
registry::record_view fleeting(const std::string& node) {
  auto made = record_of(node);
  made.value.metadata[cluster::known_nodes::fleeting_mark] = "yes";
  return made;
}

} // namespace

TEST_CASE("a node is lost once its link has been away for a while", "[node][liveness]") {
  judging j;
  j.link();
  j.lose();
  CHECK_THAT(j.only<liveness::warn>().text, ContainsSubstring("link to node n1 lost (closed)"));
  j.pass(5s - 1ms);
  CHECK(j.out.empty());
  j.pass(1ms);
  CHECK_THAT(j.only<liveness::warn>().text, ContainsSubstring("node n1 is lost"));
  auto lost = j.only<liveness::give_up>();
  CHECK(lost.owner == "n1"_node);
  CHECK(lost.boot == 3);
  CHECK(j.has_none<liveness::free_names>());
  j.pass(1h);
  CHECK(j.out.empty());
  SECTION("and again, if it is linked and goes again") {
    j.step(liveness::link_up{"n1"_node, 4});
    j.lose(4);
    j.pass(5s);
    CHECK(j.only<liveness::give_up>().boot == 4);
  }
}

TEST_CASE("a member without a link is there, and not linked", "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.link();
  CHECK(j.it.is_linked("n1"_node));
  j.see(alive);
  j.lose();
  CHECK_FALSE(j.it.is_linked("n1"_node));
  CHECK_FALSE(j.it.is_linked("n2"_node));
  j.pass(1min);
  CHECK(j.has_none<liveness::give_up>());
}

TEST_CASE("a member is not lost with its link", "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.link();
  j.see(alive);
  j.see(suspect);
  j.lose();
  j.pass(1min);
  CHECK(j.out.empty());
  SECTION("nor as a stranger of which there is a record") {
    j.step(liveness::shown{"n1"_node, 3});
    j.pass(1min);
    CHECK(j.out.empty());
  }
  SECTION("but once the members show it dead, at once") {
    j.see(dead);
    j.pass(0s);
    CHECK(j.only<liveness::give_up>().boot == 3);
    SECTION("until they show it alive") {
      j.see(alive);
      j.pass(1min);
      CHECK(j.has_none<liveness::give_up>());
      j.see(dead);
      j.pass(0s);
      j.only<liveness::give_up>();
    }
    SECTION("once for all") {
      j.see(dead);
      j.pass(1min);
      CHECK(j.has_none<liveness::give_up>());
    }
  }
}

TEST_CASE("a member that is dead is lost, whatever its link seems", "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.link();
  j.see(alive);
  j.see(dead);
  j.pass(0s);
  CHECK(j.only<liveness::give_up>().boot == 3);
  j.lose();
  j.pass(1min);
  CHECK(j.has_none<liveness::give_up>());
  SECTION("and is there again with a new link") {
    j.step(liveness::link_up{"n1"_node, 4});
    j.see(dead); // said of the life before
    j.pass(1min);
    CHECK(j.has_none<liveness::give_up>());
  }
}

TEST_CASE("what is said of an earlier life of a member changes nothing", "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.step(liveness::lead{});
  j.see(alive, 4);
  CHECK(j.out.empty());
  j.see(dead, 3);
  j.see(left, 3);
  j.see(alive, 3);
  j.see(dead, 3);
  j.pass(1min);
  CHECK(j.out.empty());
  j.see(dead, 4);
  j.pass(0s);
  CHECK(j.only<liveness::give_up>().boot == 4);
}

TEST_CASE("a later life that is awaited has its time, though an earlier one is dead",
          "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.step(liveness::lead{{{"n1"_node, 7}}});
  j.see(dead, 5);
  j.pass(0s);
  CHECK(j.has_none<liveness::give_up>());
}

TEST_CASE("a member that has begun again unseen is lost in its last life", "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  SECTION("where an earlier one was there") {
    j.step(liveness::lead{});
    j.see(alive, 3);
  }
  SECTION("where an earlier one is awaited") {
    j.step(liveness::lead{{{"n1"_node, 3}}});
  }
  j.see(dead, 5);
  j.pass(0s);
  CHECK(j.only<liveness::give_up>().boot == 5); // it may have workers of that
}

TEST_CASE("a member that has begun again unseen and has stopped is lost in its last life",
          "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.step(liveness::lead{});
  j.see(alive, 3);
  j.see(left, 5);
  j.pass(5s);
  CHECK(j.only<liveness::give_up>().boot == 5);
}

TEST_CASE("a member is lost once, however often it is called dead", "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.step(liveness::lead{});
  j.see(alive);
  j.out.clear();
  j.see(dead);
  j.see(dead);
  j.pass(0s);
  j.only<liveness::give_up>();
  j.see(dead);
  j.pass(1min);
  CHECK(j.has_none<liveness::give_up>());
}

TEST_CASE("a member that has stopped is lost after a while", "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.link();
  j.see(alive);
  j.see(left);
  SECTION("with its link") {
    j.pass(1min);
    CHECK(j.has_none<liveness::give_up>());
    j.lose();
  }
  SECTION("without one") {
    j.step(liveness::link_up{"n1"_node, 4});
    j.see(alive, 4);
    j.lose(4);
    j.out.clear();
    j.see(left, 4);
  }
  j.pass(5s - 1ms);
  CHECK(j.has_none<liveness::give_up>());
  SECTION("or at once, if it is dead") {
    j.see(dead, 4);
    CHECK(j.it.next_deadline() == j.now);
  }
  j.pass(1ms);
  j.only<liveness::give_up>();
}

TEST_CASE("a member without a data folder is lost once it has stopped, and its names are free",
          "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.link();
  j.see(alive);
  j.nodes.put("n1"_node, fleeting("n1"));
  SECTION("before its link ends") {
    j.see(left);
    CHECK_FALSE(j.it.is_linked("n1"_node));
    j.lose(); // which gives it no more time
  }
  SECTION("after its link has ended") {
    j.lose();
    CHECK(j.out.empty());
    j.see(left);
  }
  j.pass(duration::zero());
  CHECK(j.only<liveness::give_up>().boot == 3);
  CHECK(j.only<liveness::free_names>().boot == 3);
  j.lose();
  j.see(left);
  j.see(dead);
  j.pass(1min);
  CHECK(j.has_none<liveness::give_up>()); // once
}

TEST_CASE("a member without a data folder that has left is not lost", "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.link();
  j.see(alive);
  j.nodes.put("n1"_node, fleeting("n1"));
  j.step(liveness::left{"n1"_node, 3}); // and so it has given its names back
  j.see(left);
  j.lose();
  j.pass(1min);
  CHECK(j.has_none<liveness::give_up>());
}

TEST_CASE("a member without a data folder that starts again under its id is another life",
          "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.link();
  j.see(alive);
  j.nodes.put("n1"_node, fleeting("n1"));
  SECTION("once it has stopped") {
    j.see(left);
    j.pass(duration::zero());
    CHECK(j.only<liveness::give_up>().boot == 3);
    CHECK(j.only<liveness::free_names>().boot == 3);
    j.see(alive, 4);
    j.step(liveness::link_up{"n1"_node, 4});
  }
  SECTION("before that is heard") {
    j.step(liveness::link_up{"n1"_node, 4});
    j.see(left);
    j.see(alive, 4);
  }
  j.see(left);
  j.see(dead);
  j.lose();
  j.pass(1min);
  CHECK(j.it.is_linked("n1"_node));
  CHECK(j.has_none<liveness::give_up>());
  CHECK(j.has_none<liveness::free_names>());
}

TEST_CASE("a member that has stopped and comes back in time is not lost", "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.link();
  j.see(alive);
  j.see(left);
  j.lose();
  j.pass(4s);
  j.see(alive, 4);
  j.pass(1min);
  CHECK(j.has_none<liveness::give_up>());
}

TEST_CASE("who has left its cluster is not lost when the members show it gone",
          "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.link();
  j.see(alive);
  j.step(liveness::left{"n1"_node, 3});
  SECTION("with its link") {
    j.see(left);
    j.lose();
  }
  SECTION("without one") {
    j.lose();
    j.see(left);
  }
  SECTION("or dead") {
    j.lose();
    j.see(dead);
  }
  SECTION("or suspect first, as it answers nobody") {
    j.see(suspect);
    j.lose();
    j.see(dead);
  }
  j.pass(1min);
  CHECK(j.has_none<liveness::give_up>());
}

TEST_CASE("who has left and begun again is there, by its link or by the members",
          "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.link();
  j.see(alive);
  SECTION("its link is of the later life") {
    j.step(liveness::link_up{"n1"_node, 4});
  }
  SECTION("the members show that") {
    j.see(alive, 4);
  }
  j.step(liveness::left{"n1"_node, 3}); // comes late
  j.see(dead, 4);
  j.pass(duration::zero());
  CHECK(j.only<liveness::give_up>().boot == 4);
}

TEST_CASE("who has left and joins again before its link has ended can be lost",
          "[node][liveness]") {
  judging j;
  j.link();
  j.step(liveness::left{"n1"_node, 3});
  j.step(liveness::link_up{"n1"_node, 4});
  j.lose(4);
  j.pass(5s);
  CHECK(j.only<liveness::give_up>().boot == 4);
}

TEST_CASE("who begins to lead takes members for alive", "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.see(alive);
  CHECK(j.out.empty());
  SECTION("those that are") {
    j.step(liveness::lead{{{"n1"_node, 3}}});
    j.pass(1min);
    CHECK(j.has_none<liveness::give_up>());
  }
  SECTION("and not those that are dead") {
    j.see(dead);
    CHECK(!j.it.next_deadline());
    j.step(liveness::lead{{{"n1"_node, 3}}});
    j.pass(5s);
    CHECK(j.only<liveness::give_up>().boot == 3);
  }
}

TEST_CASE("a node that comes back in time is not lost", "[node][liveness]") {
  judging j;
  j.link();
  j.lose();
  j.pass(4s);
  j.step(liveness::link_up{"n1"_node, 3});
  j.pass(1min);
  CHECK(j.has_none<liveness::give_up>());
}

TEST_CASE("a node that has left is not lost", "[node][liveness]") {
  judging j;
  j.link();
  SECTION("whose link ends then") {
    j.step(liveness::left{"n1"_node, 3});
    j.lose();
  }
  SECTION("whose link has ended before") {
    j.lose();
    j.step(liveness::left{"n1"_node, 3});
  }
  j.pass(1min);
  CHECK(j.has_none<liveness::give_up>());
  SECTION("but may join again, and is lost then") {
    j.step(liveness::link_up{"n1"_node, 5});
    j.lose(5);
    j.pass(5s);
    CHECK(j.only<liveness::give_up>().boot == 5);
  }
}

TEST_CASE("an earlier life of a node that has left does not keep a later one from being lost",
          "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.link();
  SECTION("which is there when that is heard") {
    j.step(liveness::link_up{"n1"_node, 4});
    j.step(liveness::left{"n1"_node, 3});
    j.see(alive, 4);
    j.lose(4);
    j.see(dead, 4);
    j.pass(0s);
  }
  SECTION("which is waited for by then") {
    j.step(liveness::link_up{"n1"_node, 4});
    j.lose(4);
    j.step(liveness::left{"n1"_node, 3});
    j.pass(5s);
  }
  CHECK(j.only<liveness::give_up>().boot == 4);
}

TEST_CASE("who does not lead only takes note of links", "[node][liveness]") {
  judging j;
  j.step(liveness::link_up{"n1"_node, 3});
  j.step(liveness::link_up{"n2"_node, 1});
  j.step(liveness::link_down{"n2"_node, 1, "closed"});
  j.step(liveness::left{"n1"_node, 3});
  j.step(liveness::forgotten{"n1"_node, 3});
  j.pass(1h);
  CHECK(j.out.empty());
  CHECK_FALSE(j.it.next_deadline());
  j.step(liveness::lead{});
  j.step(liveness::link_down{"n1"_node, 3, "closed"});
  j.pass(5s);
  CHECK(j.only<liveness::give_up>().owner == "n1"_node);
}

TEST_CASE("who begins to lead waits for the nodes that were there before", "[node][liveness]") {
  judging j;
  j.step(liveness::link_up{"n1"_node, 3});
  j.step(liveness::lead{{{"n1"_node, 3}, {"n2"_node, 7}}});
  j.pass(5s);
  auto lost = j.only<liveness::give_up>();
  CHECK(lost.owner == "n2"_node);
  CHECK(lost.boot == 7);
}

TEST_CASE("who begins to lead says at once who is lost by then", "[node][liveness]") {
  using enum cluster::member_status;
  judging j;
  j.nodes.put("n3"_node, fleeting("n3"));
  j.step(liveness::seen{"n4"_node, 2, alive});
  j.step(
    liveness::lead{{{"n2"_node, 7}}, "me"_node, {{"n1"_node, 3}, {"n3"_node, 1}, {"n4"_node, 1}}});
  // Those who hear it may have missed the word of the last leader.
  auto lost = j.take<liveness::give_up>();
  REQUIRE(lost.size() == 2); // n4 is there
  CHECK(lost[0].owner == "n1"_node);
  CHECK(lost[0].boot == 3);
  CHECK(lost[1].owner == "n3"_node);
  auto freed = j.only<liveness::free_names>();
  CHECK(freed.owner == "n3"_node);
  CHECK(freed.boot == 1);
  CHECK(j.has_none<liveness::warn>()); // that one has told the log
  j.pass(5s);
  CHECK(j.only<liveness::give_up>().owner == "n2"_node);
  j.only<liveness::warn>();
  j.pass(1h);
  CHECK(j.out.empty());
  SECTION("until the node comes back") {
    j.see(alive, 4);
    j.see(dead, 4);
    j.pass(0s);
    CHECK(j.only<liveness::give_up>().boot == 4);
    j.only<liveness::warn>();
  }
}

TEST_CASE("who leads no more judges nobody", "[node][liveness]") {
  judging j;
  j.link();
  j.lose();
  j.out.clear();
  j.step(liveness::follow{});
  j.pass(1h);
  CHECK(j.out.empty());
  SECTION("and, as leader again, only those of whom it hears then") {
    j.step(liveness::lead{});
    j.pass(1h);
    CHECK(j.out.empty());
  }
}

TEST_CASE("the end of an earlier link is no loss of the present one", "[node][liveness]") {
  judging j;
  j.link();
  j.step(liveness::link_up{"n1"_node, 4});
  j.lose(3);
  j.pass(1min);
  CHECK(j.has_none<liveness::give_up>());
  SECTION("nor does a boot go back") {
    j.step(liveness::link_up{"n1"_node, 2});
    j.lose(2);
    j.pass(1min);
    CHECK(j.has_none<liveness::give_up>());
    j.lose(4);
    j.pass(5s);
    CHECK(j.only<liveness::give_up>().boot == 4);
  }
}

TEST_CASE("names are free where nobody comes back for them", "[node][liveness]") {
  judging j;
  j.link();
  SECTION("a node without a data folder is lost") {
    j.nodes.put("n1"_node, fleeting("n1"));
    j.lose();
    j.pass(5s);
    CHECK(j.only<liveness::free_names>().boot == 3);
  }
  SECTION("a node is forgotten") {
    j.step(liveness::forgotten{"n9"_node, 6});
    auto freed = j.only<liveness::free_names>();
    CHECK(freed.owner == "n9"_node);
    CHECK(freed.boot == 6);
    CHECK(j.out.empty());
  }
}

TEST_CASE("a node of which only a claim is left is given up, and its names are freed",
          "[node][liveness][names]") {
  sweeping j;
  j.begin();
  auto asked = j.give({claim_of("f1")});
  CHECK(asked.what.owner.empty());
  CHECK(asked.what.after.empty());
  CHECK(asked.what.limit == 2);
  SECTION("once it had the time of a lost one") {
    j.pass(5s - 1ms);
    CHECK(j.has_none<liveness::give_up>());
    j.pass(1ms);
    CHECK(j.only<liveness::give_up>().boot == 1);
    auto freed = j.only<liveness::free_names>();
    CHECK(freed.owner == "f1"_node);
    CHECK(freed.boot == 1);
    SECTION("and again, if that was lost, or it has got a name since") {
      j.pass(25s);
      j.give({claim_of("f1")});
      j.pass(5s);
      CHECK(j.only<liveness::free_names>().owner == "f1"_node);
    }
  }
  SECTION("not if its link comes in time") {
    j.step(liveness::link_up{"f1"_node, 1});
    j.pass(10s);
    CHECK(j.has_none<liveness::give_up>());
  }
  SECTION("not by who leads no more") {
    j.step(liveness::follow{});
    j.pass(1h);
    CHECK(j.has_none<liveness::give_up>());
    CHECK(j.has_none<liveness::list_names>());
  }
}

TEST_CASE("names of a node whose identity is revoked are freed once it is gone",
          "[node][liveness]") {
  sweeping j;
  SECTION("as it is lost") {
    j.begin();
    j.give({});
    j.step(liveness::link_up{"n1"_node, 1});
    j.step(liveness::expelled{{"n1"_node, "n9"_node}});
    j.give({claim_of("n1", "painter", false)});
    CHECK(j.has_none<liveness::free_names>()); // as its link is up
    j.lose(1);
  }
  SECTION("where it was lost before") {
    j.step(liveness::expelled{{"n1"_node, "n9"_node}});
    CHECK(j.has_none<liveness::list_names>()); // who leads sees to it
    j.begin();
    j.give({claim_of("n1", "painter", false), claim_of("n2", "other", false)});
  }
  SECTION("where it was lost before it was revoked") {
    j.begin();
    j.give({claim_of("n1", "painter", false)});
    j.pass(10s);
    CHECK(j.has_none<liveness::free_names>());
    j.step(liveness::expelled{{"n1"_node}});
    j.give({claim_of("n1", "painter", false)});
  }
  j.pass(5s);
  auto freed = j.only<liveness::free_names>();
  CHECK(freed.owner == "n1"_node);
  CHECK(freed.boot == 1);
}

TEST_CASE("names of a node whose identity is revoked no more are its own again",
          "[node][liveness]") {
  sweeping j;
  j.begin();
  j.give({});
  j.step(liveness::expelled{{"n1"_node}});
  j.give({});
  j.step(liveness::link_up{"n1"_node, 1});
  j.step(liveness::expelled{{"n2"_node}});
  j.give({});
  j.lose(1);
  j.pass(5s);
  CHECK(j.only<liveness::give_up>().owner == "n1"_node);
  CHECK(j.has_none<liveness::free_names>());
}

TEST_CASE("the owner of a silent worker is given up, also where nobody has heard of it",
          "[node][liveness]") {
  sweeping j;
  j.begin();
  auto asked = j.give_workers({{7, "n1"_node, 4, true}});
  CHECK(asked.above == 0);
  CHECK(asked.limit == 2);
  SECTION("once it had the time of a lost one") {
    j.pass(5s - 1ms);
    CHECK(j.has_none<liveness::give_up>());
    j.pass(1ms);
    auto lost = j.only<liveness::give_up>();
    CHECK(lost.owner == "n1"_node);
    CHECK(lost.boot == 4);
    CHECK(j.has_none<liveness::free_names>()); // it may come back with its folder
    j.pass(25s);
    j.give_workers({});
    j.pass(10s);
    CHECK(j.has_none<liveness::give_up>());
    SECTION("and again, if that was lost") {
      j.pass(20s);
      j.give_workers({{7, "n1"_node, 4, true}});
      j.pass(5s);
      CHECK(j.only<liveness::give_up>().boot == 4);
    }
  }
  SECTION("not if its link comes in time") {
    j.step(liveness::link_up{"n1"_node, 4});
    j.pass(10s);
    CHECK(j.has_none<liveness::give_up>());
  }
  SECTION("not if the members show it in time") {
    j.see(cluster::member_status::suspect, 4);
    j.pass(10s);
    CHECK(j.has_none<liveness::give_up>());
  }
  SECTION("not by who leads no more") {
    j.step(liveness::follow{});
    j.pass(1h);
    CHECK(j.has_none<liveness::give_up>());
    CHECK(j.has_none<liveness::list_workers>());
  }
}

TEST_CASE("the owner of a silent worker is given up, also where it is no node",
          "[node][liveness]") {
  sweeping j;
  j.begin();
  auto text = GENERATE("a program", "", "n1"); // a node of that name is another matter
  j.give_workers({{7, owner_id{text}, 4, true}});
  j.step(liveness::link_up{"n1"_node, 4});
  j.pass(5s);
  auto lost = j.only<liveness::give_up>();
  CHECK(to_string(lost.owner) == text);
  CHECK(lost.boot == 4);
  CHECK(j.has_none<liveness::free_names>());
}

TEST_CASE("names are freed whose owner is no node and cannot come back",
          "[node][liveness][names]") {
  sweeping j;
  j.begin();
  registry::names::name_claim of_program{"painter", owner_id{"a program"}, 1, 7, true};
  j.give({of_program, {"sculptor", owner_id{"a longer lived one"}, 1, 8, false}});
  j.pass(5s);
  CHECK(to_string(j.only<liveness::give_up>().owner) == "a program");
  CHECK(to_string(j.only<liveness::free_names>().owner) == "a program");
}

TEST_CASE("a sweep passes over workers that are not silent, and those whose owner is there",
          "[node][liveness]") {
  sweeping j;
  j.step(liveness::link_up{"n1"_node, 1});
  j.begin();
  j.give_workers({{1, "n1"_node, 1, true}, {2, "n2"_node, 1, false}});
  j.give_workers({{5, "me"_node, 1, true}});
  j.pass(29s);
  CHECK(j.has_none<liveness::give_up>());
}

TEST_CASE("a sweep goes through all workers, and goes on where an answer is late",
          "[node][liveness]") {
  sweeping j;
  j.begin();
  auto first = j.give_workers({{3, "n1"_node, 1, false}, {8, "n2"_node, 1, false}});
  auto second = j.only<liveness::list_workers>();
  CHECK(second.above == 8);
  j.pass(30s); // the answer is under way yet: nothing begins anew
  CHECK(j.has_none<liveness::list_workers>());
  SECTION("an answer counts once") {
    j.step(liveness::workers_listed{std::vector<liveness::worker>(2, {9, "n3"_node, 1, true})},
           first.id);
    j.pass(20s);
    CHECK(j.has_none<liveness::list_workers>());
    CHECK(j.has_none<liveness::give_up>());
  }
  SECTION("to its end") {
    j.step(liveness::workers_listed{std::vector<liveness::worker>{{9, "n3"_node, 1, false}}},
           second.id);
    CHECK(j.has_none<liveness::list_workers>());
    j.pass(30s);
    CHECK(j.only<liveness::list_workers>().above == 0);
  }
  SECTION("after no answer with the next sweep") {
    j.step(liveness::workers_listed{problem{errc::timed_out, {}}}, second.id);
    CHECK(j.has_none<liveness::list_workers>());
    j.pass(30s);
    CHECK(j.only<liveness::list_workers>().above == 0);
  }
}

TEST_CASE("a sweep passes over names whose owner is there, or may come back",
          "[node][liveness][names]") {
  sweeping j;
  j.step(liveness::link_up{"f1"_node, 1});
  j.begin();
  j.give({claim_of("f1"), claim_of("n1", "folder", false)}, true);
  j.give({claim_of("me")});
  j.pass(29s);
  CHECK(j.has_none<liveness::give_up>());
}

TEST_CASE("a sweep goes through all pages, and goes on where an answer is late",
          "[node][liveness][names]") {
  sweeping j;
  j.begin();
  auto first = j.give({claim_of("f1", "a"), claim_of("f1", "b")}, true);
  auto second = j.only<liveness::list_names>();
  CHECK(second.what.after == "b");
  j.pass(30s); // the answer is under way yet: nothing begins anew
  CHECK(j.has_none<liveness::list_names>());
  SECTION("an answer counts once") {
    j.step(liveness::names_listed{registry::names::claim_page{{claim_of("f2")}, true}}, first.id);
    CHECK(j.has_none<liveness::list_names>());
  }
  SECTION("to its end") {
    j.step(liveness::names_listed{registry::names::claim_page{}}, second.id);
    CHECK(j.has_none<liveness::list_names>());
    j.pass(30s);
    CHECK(j.only<liveness::list_names>().what.after.empty());
  }
  SECTION("after no answer with the next sweep") {
    j.step(liveness::names_listed{problem{errc::timed_out, {}}}, second.id);
    CHECK(j.has_none<liveness::list_names>());
    j.pass(30s);
    CHECK(j.only<liveness::list_names>().what.after.empty());
  }
  SECTION("a page that says there is more and has nothing ends it") {
    j.step(liveness::names_listed{registry::names::claim_page{{}, true}}, second.id);
    CHECK(j.has_none<liveness::list_names>());
  }
  SECTION("a leader that begins anew waits for no answer to the last one") {
    j.begin();
    auto anew = j.only<liveness::list_names>();
    j.step(liveness::names_listed{registry::names::claim_page{{claim_of("f2")}, true}}, second.id);
    CHECK(j.has_none<liveness::list_names>());
    j.step(liveness::names_listed{registry::names::claim_page{}}, anew.id);
    j.pass(30s);
    CHECK(j.only<liveness::list_names>().what.after.empty());
  }
}

TEST_CASE("a node of which there is a record, and that is not there, is lost in time",
          "[node][liveness]") {
  judging j;
  SECTION("whose record came when somebody led already") {
    j.step(liveness::lead{});
    j.step(liveness::shown{"n1"_node, 3});
    j.pass(3s);
    j.step(liveness::shown{"n1"_node, 3}); // once more gives it no more time
    j.pass(2s);
    CHECK(j.only<liveness::give_up>().boot == 3);
  }
  SECTION("not one that is linked") {
    j.link();
    j.step(liveness::shown{"n1"_node, 3});
    j.pass(5s);
    CHECK(j.has_none<liveness::give_up>());
  }
  SECTION("not by who does not lead") {
    j.step(liveness::shown{"n1"_node, 3});
    j.pass(5s);
    CHECK(j.has_none<liveness::give_up>());
  }
}

TEST_CASE("agents that callers did not reach are pinged until they answer", "[node][liveness]") {
  judging j;
  j.step(liveness::ill{agent("a"), "a"});
  j.pass(10s - 1ms); // whoever leads
  CHECK(j.out.empty());
  j.pass(1ms);
  auto sent = j.only<liveness::ping>();
  CHECK(sent.node == "n1"_node);
  CHECK(sent.agent == "a");
  SECTION("who has not answered the last ping gets no other") {
    j.pass(1min);
    CHECK(j.has_none<liveness::ping>());
    j.step(liveness::pong{false}, sent.id);
    CHECK(j.has_none<liveness::recovered>());
    j.pass(10s);
    CHECK(j.only<liveness::ping>().agent == "a");
  }
  SECTION("who answers is well again, once") {
    j.step(liveness::pong{true}, sent.id);
    CHECK(j.only<liveness::recovered>().what == agent("a"));
    j.step(liveness::pong{true}, sent.id);
    CHECK(j.has_none<liveness::recovered>());
  }
  SECTION("who has gone meanwhile is not well") {
    if (GENERATE(true, false))
      j.step(liveness::well{agent("a")});
    else
      j.step(liveness::listed{});
    j.step(liveness::pong{true}, sent.id);
    CHECK(j.has_none<liveness::recovered>());
    j.pass(1min);
    CHECK(j.has_none<liveness::ping>());
  }
  SECTION("who is listed stays ill") {
    j.step(liveness::listed{{agent("a")}});
    j.step(liveness::pong{false}, sent.id);
    j.pass(10s);
    CHECK(j.only<liveness::ping>().agent == "a");
  }
}

TEST_CASE("a check pings a bounded number of agents, in turn", "[node][liveness]") {
  judging j{{.check_every = 1s, .max_checks = 3}};
  for (auto* each : {"a", "b", "c", "d", "e"})
    j.step(liveness::ill{agent(each), each});
  auto pinged = [&] {
    std::string all;
    for (auto& each : j.take<liveness::ping>()) {
      all += each.agent.text();
      j.step(liveness::pong{false}, each.id);
    }
    return all;
  };
  j.pass(1s);
  CHECK(pinged() == "abc");
  j.pass(1s);
  CHECK(pinged() == "dea");
  j.pass(1s);
  CHECK(pinged() == "bcd");
  SECTION("none if that is not wished") {
    judging quiet{{.check_every = {}}};
    quiet.step(liveness::ill{agent("a"), "a"});
    quiet.pass(1h);
    CHECK(quiet.has_none<liveness::ping>());
  }
}

TEST_CASE("what a liveness keeps is bounded", "[node][liveness]") {
  judging j{
    {.lost_after = 5s, .check_every = 10s, .max_nodes = 2, .max_ill = 2, .sweep_every = {}}};
  for (auto& each : {"n1"_node, "n2"_node, "n3"_node})
    j.step(liveness::link_up{each, 1});
  for (auto* each : {"a", "b", "c"})
    j.step(liveness::ill{agent(each), each});
  j.step(liveness::lead{{{"n4"_node, 1}}});
  j.pass(10s);
  CHECK(j.take<liveness::ping>().size() == 2);
  j.step(liveness::ill{agent("a"), "again"}); // what is known may change
  CHECK(j.has_none<liveness::give_up>());
  j.step(liveness::link_down{"n1"_node, 1, "closed"});
  j.step(liveness::link_down{"n3"_node, 1, "closed"});
  j.pass(5s);
  CHECK(j.only<liveness::give_up>().owner == "n1"_node);
}

} // namespace liveness_test
