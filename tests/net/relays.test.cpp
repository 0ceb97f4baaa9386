// Links that a third node relays.

#include "net/node_fixture.hpp"
#include "support/certificates.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <future>
#include <memory>
#include <string>

namespace relays_test {

using namespace std::literals;
using namespace troupe;
using test::test_node;
using test::throwaway_ca;

namespace {

/// `where` need not be where the other node is: only the relay goes there.
const net::address place{"leader.test", 6767};

result<net::link_ptr> dial_through(test_node& from, const net::endpoint& relay,
                                   const net::address& where = place) {
  auto done = std::make_shared<std::promise<result<net::link_ptr>>>();
  from.gate().dial_through({relay}, where,
                           [done](result<net::link_ptr> got) { done->set_value(std::move(got)); });
  auto pending = done->get_future();
  REQUIRE(pending.wait_for(20s) == std::future_status::ready);
  return pending.get();
}

} // namespace

SCENARIO("a node has a link to another that only a third one reaches", "[net]") {
  GIVEN("three nodes, of which one relays to another") {
    throwaway_ca ca;
    auto is_secure = GENERATE(true, false);
    auto identity = [&](const std::string& name, net::role as = net::role::member) {
      return is_secure ? ca.issue(name, as) : nullptr;
    };
    auto ann_is = identity("ann");
    auto bob_is = identity("bob");
    test_node ann{{.node = 1, .credentials = ann_is}};
    auto relay
      = std::make_unique<test_node>(test::node_options{.node = 3, .credentials = identity("carl")});
    test_node bob{{.node = 2, .credentials = bob_is}};
    auto there = relay->listen();
    relay->gate().relay_to(place, {ann.listen()});
    WHEN("one is relayed") {
      auto got = dial_through(bob, there);
      REQUIRE((got ? "" : got.error().detail) == std::string{});
      REQUIRE(ann.wait_for_links(1));
      THEN("the two ends know each other as if there were nobody between") {
        CHECK((*got)->is_relayed());
        CHECK_FALSE(ann.only_link()->is_relayed());
        CHECK(relay->gate().links() == 0);
        if (is_secure) {
          CHECK((*got)->proven() == ann_is->self());
          CHECK(ann.only_link()->proven() == bob_is->self());
        }
      }
      THEN("messages of every size arrive both ways") {
        for (std::size_t size : {1U, 65'536U, 524'289U, 5'000'000U}) {
          std::string text(size, 'x');
          CHECK(bob.greet(*got, text) == text + ", says 1");
          CHECK(ann.greet(ann.only_link(), text) == text + ", says 2");
        }
      }
      THEN("it outlives the offer to relay") {
        relay->gate().relay_to({}, {});
        CHECK_FALSE(dial_through(bob, there));
        CHECK(bob.greet(*got) == "hello, says 1");
      }
      THEN("both hear at once that the relay is gone") {
        relay.reset();
        CHECK(bob.wait_for_links(0));
        CHECK(ann.wait_for_links(0));
      }
      THEN("its end is heard at the other end") {
        (*got)->close("for the test");
        CHECK(ann.wait_for_links(0));
      }
    }
    WHEN("it is asked to relay to another place") {
      auto got = dial_through(bob, there, {"elsewhere.test", 1});
      THEN("it refuses, and says why") {
        REQUIRE_FALSE(got);
        CHECK(got.error().code == errc::unreachable);
        CHECK(got.error().detail.find("does not relay") != std::string::npos);
      }
    }
    WHEN("the other node is gone") {
      ann.stop();
      auto got = dial_through(bob, there);
      THEN("that is said as well") {
        REQUIRE_FALSE(got);
        CHECK(got.error().detail.find("does not relay") != std::string::npos);
      }
    }
    WHEN("a client is relayed") {
      test_node client{
        {.node = 4, .as = net::role::client, .credentials = identity("dora", net::role::client)}};
      auto got = dial_through(client, there);
      THEN("it is a client at the other end") {
        REQUIRE(got);
        REQUIRE(ann.wait_for_links(1));
        CHECK(ann.only_link()->who().as == net::role::client);
        CHECK(client.greet(*got) == "hello, says 1");
      }
    }
  }
}

TEST_CASE("a relay relays for nobody whom it does not trust", "[net]") {
  throwaway_ca ca;
  throwaway_ca other;
  test_node ann{{.node = 1, .credentials = ca.issue("ann")}};
  test_node relay{{.node = 3, .credentials = ca.issue("carl")}};
  auto there = relay.listen();
  relay.gate().relay_to(place, {ann.listen()});
  test_node eve{{.node = 2, .credentials = other.issue("eve")}};
  CHECK_FALSE(dial_through(eve, there));
  test_node stray{{.node = 4, .cluster = 9, .credentials = ca.issue("finn")}};
  CHECK_FALSE(dial_through(stray, there));
  CHECK(ann.ups() == 0);
}

} // namespace relays_test
