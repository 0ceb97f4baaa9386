#include "troupe/router/idle_links.hpp" // the header under test
#include "router/named_nodes.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <variant>

namespace idle_links_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

const auto a = test::node_named("a");
const auto b = test::node_named("b");

} // namespace

TEST_CASE("a use that is told late does not take back a later one", "[router]") {
  idle_links links{a, {.idle_after = 60s}};
  idle_links::effects out;
  auto at = [](duration since) { return time_point{since}; };
  links.step(at(0s), idle::linked{b}, out);
  links.step(at(50s), idle::used{b, at(50s)}, out);
  links.step(at(55s), idle::used{b, at(10s)}, out);
  links.tick(at(60s), out);
  CHECK(links.next_deadline() == at(110s));
  CHECK(out.empty());
}

TEST_CASE("a link that has never been used is closed sooner", "[router]") {
  idle_links links{a, {.idle_after = 60s, .unused_after = 10s}};
  idle_links::effects out;
  auto at = [](duration since) { return time_point{since}; };
  links.step(at(5s), idle::linked{b}, out);
  links.step(at(6s), idle::used{b, at(2s)}, out); // an earlier link to it
  CHECK(links.next_deadline() == at(15s));
  links.tick(at(15s), out);
  REQUIRE(out.size() == 1);
  CHECK(std::get<idle::ask>(out.front()).peer == b);
  out.clear();
  SECTION("but not if the other side uses it") {
    links.step(at(15s), idle::answered{b, false}, out);
    CHECK(links.next_deadline() == at(75s));
    out.clear();
    SECTION("which the next one that is up knows nothing of") {
      links.step(at(20s), idle::unlinked{b}, out);
      links.step(at(21s), idle::linked{b}, out);
      CHECK(links.next_deadline() == at(31s));
    }
  }
  SECTION("and one that has been used after as long as any") {
    links.step(at(15s), idle::answered{b, true}, out);
    links.step(at(16s), idle::linked{b}, out);
    links.step(at(17s), idle::used{b, at(16s)}, out);
    links.tick(at(26s), out);
    CHECK(links.next_deadline() == at(76s));
  }
}

TEST_CASE("one that is asked agrees though it has seen the link a little later", "[router]") {
  idle_links links{b, {.idle_after = 60s, .unused_after = 10s}};
  idle_links::effects out;
  auto at = [](duration since) { return time_point{since}; };
  auto agrees = [&](time_point when) {
    out.clear();
    links.step(when, idle::asked{a}, out);
    return std::get<idle::answer>(out.front()).agrees;
  };
  links.step(at(1s), idle::linked{a}, out);
  CHECK_FALSE(agrees(at(5s)));
  CHECK(agrees(at(10s)));
  links.step(at(20s), idle::linked{a}, out);
  links.step(at(21s), idle::used{a, at(21s)}, out);
  CHECK_FALSE(agrees(at(50s)));
  CHECK(agrees(at(80s)));
}

TEST_CASE("where links are never idle none is closed", "[router]") {
  idle_links links{a, {.idle_after = 0s}};
  idle_links::effects out;
  auto at = [](duration since) { return time_point{since}; };
  links.step(at(0s), idle::linked{b}, out);
  CHECK_FALSE(links.next_deadline());
  CHECK(out.empty());
  links.step(at(1h), idle::asked{b}, out); // of a node that has other options
  REQUIRE(out.size() == 1);
  CHECK_FALSE(std::get<idle::answer>(out.front()).agrees);
}

TEST_CASE("a link without a use is closed no later than one with some", "[router]") {
  idle_links links{a, {.idle_after = 3s, .unused_after = 10s}};
  idle_links::effects out;
  links.step(time_point{1s}, idle::linked{b}, out);
  CHECK(links.next_deadline() == time_point{4s});
}

TEST_CASE("over a link that is closed nothing goes on, however late its end is told", "[router]") {
  idle_links links{a, {.idle_after = 60s}};
  idle_links::effects out;
  auto at = [](duration since) { return time_point{since}; };
  links.step(at(0s), idle::linked{b}, out);
  links.step(at(0s), idle::used{b, at(0s)}, out);
  links.tick(at(60s), out);
  links.step(at(61s), idle::answered{b, true}, out);
  REQUIRE(out.size() == 2);
  CHECK(std::get<idle::close>(out.back()).peer == b);
  links.tick(at(1h), out);
  CHECK(out.size() == 2);
}

TEST_CASE("one that has agreed goes on once the other cannot have closed the link", "[router]") {
  idle_links links{b, {.idle_after = 10s, .answer_within = 5s, .link_timeout = 30s}};
  idle_links::effects out;
  auto at = [](duration since) { return time_point{since}; };
  links.step(at(0s), idle::linked{a}, out);
  links.step(at(10s), idle::asked{a}, out);
  REQUIRE(out.size() == 1);
  CHECK(std::get<idle::answer>(out.front()).agrees);
  out.clear();
  SECTION("as a link that has ended would have been silent for too long") {
    links.tick(at(47s - 1ns), out);
    CHECK(out.empty());
    links.tick(at(47s), out);
    REQUIRE(out.size() == 1);
    CHECK(std::get<idle::go_on>(out.front()).peer == a);
  }
  SECTION("or as the other asks anew, and the link is needed by then") {
    auto needed = GENERATE(idle::keep{true}, idle::keep{false, {a}});
    links.step(at(11s), needed, out);
    CHECK(out.empty());
    links.step(at(16s), idle::asked{a}, out);
    REQUIRE(out.size() == 2);
    CHECK_FALSE(std::get<idle::answer>(out.front()).agrees);
    CHECK(std::get<idle::go_on>(out.back()).peer == a);
    CHECK_FALSE(links.next_deadline());
  }
}

TEST_CASE("links to some nodes are kept, used or not, and no others", "[router]") {
  const auto c = test::node_named("c");
  idle_links links{b, {.idle_after = 60s, .unused_after = 0s}};
  idle_links::effects out;
  auto at = [](duration since) { return time_point{since}; };
  auto agrees = [&](const node_id& peer, time_point when) {
    out.clear();
    links.step(when, idle::asked{peer}, out);
    return std::get<idle::answer>(out.back()).agrees;
  };
  links.step(at(0s), idle::linked{a}, out);
  links.step(at(0s), idle::linked{c}, out);
  SECTION("those that ask are refused") {
    links.step(at(1s), idle::keep{false, {a}}, out);
    CHECK_FALSE(agrees(a, at(59s)));
    CHECK(links.next_deadline()); // of the other
    links.step(at(59s), idle::keep{false, {c}}, out);
    CHECK_FALSE(agrees(a, at(60s))); // it begins to rest
    CHECK(agrees(a, at(90s)));
    CHECK_FALSE(agrees(c, at(90s)));
  }
  SECTION("those that would be asked are not") {
    links.step(at(1s), idle::keep{false, {c}}, out);
    links.step(at(2s), idle::unlinked{c}, out);
    links.step(at(3s), idle::linked{c}, out); // the next one as well
    CHECK_FALSE(links.next_deadline());
    links.step(at(4s), idle::keep{}, out);
    CHECK(links.next_deadline());
  }
}

} // namespace idle_links_test
