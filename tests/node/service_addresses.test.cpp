#include "troupe/cluster/service_addresses.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <string>
#include <vector>

namespace service_addresses_test {

using namespace troupe;
using cluster::service_addresses;
using cluster::whereabouts;
using net::address;
using addresses = std::vector<address>;

namespace {

const address a{"a", 1};
const address b{"b", 1};
const address c{"c", 1};

whereabouts at(const std::string& where) {
  return {.address = where};
}

} // namespace

TEST_CASE("a node does not ask itself", "[node][finder]") {
  service_addresses it{{a, b}, 10};
  it.self_is(a);
  CHECK(it.all() == addresses{b});
  it.learn(a);
  CHECK(it.all() == addresses{b});
  it.self_is(std::nullopt); // it takes no links
  it.learn(a);
  CHECK(it.all() == addresses{b, a});
}

TEST_CASE("addresses are learned once, in their order, up to a bound", "[node][finder]") {
  service_addresses it{{a}, 3};
  it.learn(std::vector<std::string>{"b:1", "no address", "", "a:1", "b:1", "c:1", "d:1"});
  CHECK(it.all() == addresses{a, b, c});
}

TEST_CASE("where there is no room, the address of which nobody has told for longest goes",
          "[node][finder]") {
  service_addresses it{{a}, 3};
  it.learn(b);
  it.learn(c);
  it.learn(b); // it is there yet
  it.learn(std::vector<std::string>{"d:1", "e:1"});
  CHECK(it.all() == addresses{a, {"e", 1}, {"d", 1}});
  it.learn(std::vector<std::string>{"a:1", "d:1"});
  it.learn(c);
  CHECK(it.all() == addresses{a, c, {"d", 1}});
  it.self_is(address{"d", 1});
  it.learn(b);
  it.learn(std::vector<std::string>{"f:1"});
  CHECK(it.all() == addresses{a, {"f", 1}, b});
}

TEST_CASE("those that were given are kept beyond the bound", "[node][finder]") {
  service_addresses it{{a, b}, 1};
  it.learn(c);
  CHECK(it.all() == addresses{a, b});
}

TEST_CASE("a node that says that the services are here speaks of an earlier time",
          "[node][finder]") {
  service_addresses it{{a}, 10};
  CHECK(it.way_to(at("b:1")) == b);
  it.self_is(b);
  CHECK(it.way_to(at("b:1")) == std::nullopt);
  CHECK(it.way_to(at("c:1")) == c); // also one that it has not learned
  CHECK(it.way_to(at("")) == std::nullopt);
  CHECK(it.way_to(at("nonsense")) == std::nullopt);
}

TEST_CASE("a node that has the services is the way to them", "[node][finder]") {
  service_addresses it{{a}, 10};
  CHECK(it.place_by(a, {.handle = 7, .address = "b:1"}) == a);
  CHECK(it.place_by(a, at("b:1")) == b);
  CHECK(it.place_by(a, at("")) == std::nullopt);
}

TEST_CASE("where another cluster has answered, nobody is sent", "[node][finder]") {
  const problem other{errc::bad_argument, "b:1 is a node of another cluster"};
  service_addresses it{{a, b}, 3};
  it.judge(b, other);
  it.judge(c, other);                                     // which is not known
  it.judge(a, {errc::unreachable, "Connection refused"}); // it may only be down
  CHECK(it.vouched() == addresses{a});
  CHECK(it.all() == addresses{a, b}); // people may have a reason
  SECTION("until one of this cluster does") {
    it.judge(b, {errc::unreachable, "Connection refused"});
    CHECK(it.vouched() == addresses{a});
    it.judge(b, {});
    CHECK(it.vouched() == addresses{a, b});
  }
  SECTION("until a member tells of it") {
    it.learn(b);
    CHECK(it.vouched() == addresses{a, b});
  }
  SECTION("until it is this node") {
    it.self_is(b);
    it.self_is(std::nullopt);
    it.judge(a, {});
    it.learn(c);
    it.learn(b);
    CHECK(it.vouched() == addresses{a, c, b});
  }
}

} // namespace service_addresses_test
