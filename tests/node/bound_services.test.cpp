#include "troupe/cluster/bound_services.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "support/take.hpp"

namespace bound_services_test {

using namespace std::literals;
using namespace troupe;
using cluster::bound_services;
using cluster::finder_binding;
using cluster::finder_effects;
using cluster::whereabouts;
using net::address;
using word = bound_services::word;

namespace {

const address a{"a", 1};
const address elsewhere{"b", 1};

/// All services on one node; that of the registry has the number `first`.
whereabouts all_there(cluster::service_handle first = 1) {
  whereabouts what{.handle = first, .revision = 5};
  for (auto* each : cluster::cluster_services)
    what.all[each] = first++;
  return what;
}

struct bound {
  bound() {
    CHECK(it.bind(*bound_services::made_of(7, a, all_there()), 5));
  }

  finder_effects::ask asked() {
    auto found = test::take<finder_effects::ask>(out);
    REQUIRE(found.size() == 1);
    return found.front();
  }

  request_id watch() {
    it.watch(now, out);
    return asked().id;
  }

  request_id doubt() {
    it.doubt(now, out);
    return asked().id;
  }

  [[nodiscard]] std::vector<std::string> flaws(net::connection_id up) const {
    return it.flaws([up](net::connection_id link) { return link == up; });
  }

  cluster::finder_options options{.addresses = {}, .check_every = 1s, .check_at_rest = 4s};
  cluster::finder_requests requests{1min, 10};
  bound_services it{options, requests};
  finder_effects::effects out;
  time_point now{1h};
};

} // namespace

TEST_CASE("services are bound together, or not at all", "[node][finder]") {
  auto what = all_there();
  auto made = bound_services::made_of(7, a, what);
  REQUIRE(made);
  CHECK(made->link == 7);
  CHECK(made->where == a);
  CHECK(made->handles == what.all);
  CHECK_FALSE(made->has_voters);
  for (auto* each : cluster::cluster_services) {
    auto less = what;
    less.all.erase(each);
    CHECK_FALSE(bound_services::made_of(7, a, less));
    less.all[each] = 0; // not on that node
    CHECK_FALSE(bound_services::made_of(7, a, less));
  }
}

TEST_CASE("the voters are bound where the cluster has them", "[node][finder]") {
  auto what = all_there();
  what.all[cluster::voters_name] = 0; // on another node
  CHECK_FALSE(bound_services::made_of(7, a, what));
  what.all[cluster::voters_name] = 9;
  auto made = bound_services::made_of(7, a, what);
  REQUIRE(made);
  CHECK(made->has_voters);
  CHECK(made->handles.at(cluster::voters_name) == 9);
}

TEST_CASE("services of programs are bound where they are, other actors of troupe are not",
          "[node][finder]") {
  auto what = all_there();
  what.all["mine"] = 20;
  what.all["elsewhere"] = 0;
  what.all["troupe.seat"] = 21;
  what.records = {{"mine", 100}, {cluster::locks_name, 200}, {"elsewhere", 300}};
  auto made = bound_services::made_of(7, a, what);
  REQUIRE(made);
  CHECK(made->handles.at("mine") == 20);
  CHECK(made->handles.size() == cluster::cluster_services.size() + 1);
  CHECK(made->records
        == std::map<std::string, request_id>{{"mine", 100}, {cluster::locks_name, 200}});
}

TEST_CASE("a binding is news if the link or an actor is another", "[node][finder]") {
  bound b;
  auto same = *bound_services::made_of(7, a, all_there());
  CHECK_FALSE(b.it.bind(same, 6));
  CHECK(b.it.at().revision == 6);
  auto moved = same;
  moved.link = 8;
  CHECK(b.it.bind(moved, 6));
  CHECK(b.it.is_over(8));
  CHECK_FALSE(b.it.is_over(7));
  CHECK(b.it.bind(*bound_services::made_of(8, a, all_there(30)), 6)); // elected again
  CHECK(b.it.is_at(a));
  CHECK_FALSE(b.it.is_at(elsewhere));
  b.it.unbind();
  CHECK_FALSE(b.it);
  CHECK_FALSE(b.it.is_over(8));
  CHECK_FALSE(b.it.is_at(a));
  CHECK(b.it.bind(same, 6));
}

TEST_CASE("the node of the services holds one question, for longer at rest", "[node][finder]") {
  bound b;
  b.it.watch(b.now, b.out);
  auto held = b.asked();
  CHECK(held.link == 7);
  CHECK(held.known == 5);
  CHECK(held.wait == 4s);
  CHECK(held.within == 4s + 500ms);
  b.it.watch(b.now, b.out);
  CHECK(b.out.empty());
  b.it.stop_asking();
  b.options.check_at_rest = {};
  b.it.watch(b.now, b.out);
  CHECK(b.asked().wait == 1s);
}

TEST_CASE("who waits for an answer has the node asked once more, at once", "[node][finder]") {
  bound b;
  auto watched = b.watch();
  b.it.doubt(b.now, b.out);
  auto asked = b.asked();
  CHECK(asked.wait == 0s);
  CHECK(asked.within == 500ms);
  CHECK(b.it.asks(asked.id));
  CHECK(b.it.asks(watched));
  CHECK_FALSE(b.it.asks(asked.id + 1));
  b.it.doubt(b.now, b.out); // that is being asked
  CHECK(b.out.empty());
  CHECK(b.it.heard(b.now, asked.id, all_there()) == word::stays);
  CHECK_FALSE(b.it.doubted());
  CHECK(b.it.watched());
  b.doubt();
}

TEST_CASE("what the node says of the services decides whether they stay", "[node][finder]") {
  bound b;
  SECTION("they are there") {
    CHECK(b.it.heard(b.now, b.watch(), all_there()) == word::stays);
  }
  SECTION("they are elsewhere") {
    CHECK(b.it.heard(b.now, b.watch(), whereabouts{.address = "b:1"}) == word::moved);
  }
  SECTION("they are other actors") {
    CHECK(b.it.heard(b.now, b.watch(), all_there(30)) == word::moved);
  }
  SECTION("it does not answer") {
    CHECK(b.it.heard(b.now, b.watch(), problem{errc::timed_out, "late"}) == word::silent);
  }
  CHECK_FALSE(b.it.watched());
}

TEST_CASE("what is held there next is held until that changes", "[node][finder]") {
  bound b;
  auto later = all_there();
  later.revision = 9;
  CHECK(b.it.heard(b.now, b.doubt(), later) == word::stays);
  CHECK(b.it.at().revision == 5); // what the held question waits for stays
  CHECK(b.it.heard(b.now, b.watch(), later) == word::stays);
  b.it.watch(b.now, b.out);
  CHECK(b.asked().known == 9);
}

TEST_CASE("a node that has too much to do keeps its clients", "[node][finder]") {
  bound b;
  problem busy{errc::busy, "later"};
  CHECK(b.it.heard(b.now, b.watch(), busy) == word::stays);
  b.it.watch(b.now, b.out); // after a pause
  CHECK(b.out.empty());
  CHECK(b.it.watched()->due == b.now + 1s);
  CHECK_FALSE(b.it.late_watch(b.now + 999ms));
  CHECK(b.it.watched());
  CHECK_FALSE(b.it.late_watch(b.now + 1s));
  auto held = b.watch();
  CHECK(b.it.heard(b.now, b.doubt(), busy) == word::stays);
  CHECK(b.it.asks(held));
  CHECK_FALSE(b.it.doubted());
  b.doubt(); // at once: somebody waits
}

TEST_CASE("a node that does not answer in time is late", "[node][finder]") {
  bound b;
  b.watch();
  b.doubt();
  CHECK_FALSE(b.it.late_doubt(b.now + 499ms));
  CHECK(b.it.late_doubt(b.now + 500ms)->where == a);
  CHECK_FALSE(b.it.late_watch(b.now + 4s));
  CHECK(b.it.late_watch(b.now + 4'500ms)->where == a);
  b.it.unbind();
  CHECK_FALSE(b.it.watched());
  CHECK_FALSE(b.it.doubted());
}

TEST_CASE("bound services know what is wrong with their state", "[node][finder]") {
  bound b;
  b.watch();
  b.doubt();
  CHECK(b.flaws(7).empty());
  CHECK(b.flaws(8).size() == 3); // the link, and both questions
  b.it.bind(*bound_services::made_of(8, a, all_there()), 5);
  CHECK(b.flaws(8).size() == 4);
}

} // namespace bound_services_test
