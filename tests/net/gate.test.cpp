#include "troupe/net/gate.hpp" // the header under test

#include "net/node_fixture.hpp"

using namespace std::literals;
using namespace troupe;
using troupe::test::node_number;
using troupe::test::test_node;

SCENARIO("two nodes become linked when one knows the address of the other", "[net]") {
  GIVEN("a node that listens") {
    test_node ann{{.node = 1}};
    test_node bob{{.node = 2}};
    auto where = ann.listen();
    WHEN("the other dials its address") {
      auto got = bob.dial(where);
      THEN("each can ask the other") {
        REQUIRE(got);
        REQUIRE(ann.wait_for_links(1));
        REQUIRE(bob.wait_for_links(1));
        CHECK((*got)->peer().node == node_number(1));
        CHECK(ann.only_link()->peer().node == node_number(2));
        CHECK(bob.greet(*got) == "hello, says 1");
        CHECK(ann.greet(ann.only_link()) == "hello, says 2");
      }
    }
  }
}

SCENARIO("a node hears at once that a link has ended", "[net]") {
  GIVEN("two linked nodes") {
    test_node ann{{.node = 1}};
    auto bob = std::make_unique<test_node>(test::node_options{.node = 2});
    REQUIRE(bob->dial(ann.listen()));
    REQUIRE(ann.wait_for_links(1));
    WHEN("one of them is gone") {
      auto start = std::chrono::steady_clock::now();
      bob.reset();
      THEN("the other is told") {
        REQUIRE(ann.wait_for_links(0));
        CHECK(ann.downs() == 1);
        CHECK(ann.last_reason() == "closed by the peer");
        CHECK(std::chrono::steady_clock::now() - start < 2s);
        CHECK(ann.gate().links() == 0);
      }
    }
  }
}
