// Handles of actors in the messages of peers.

#include "net/node_fixture.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using test::show_handles;
using test::test_node;

namespace {

/// A node with links to two others that know nothing of each other.
struct middle {
  test_node ann{{.node = 1}};
  test_node bob{{.node = 2}};
  test_node carl{{.node = 3}};
  net::link_ptr to_ann = bob.dial(ann.listen()).value();
  net::link_ptr to_carl = bob.dial(carl.listen()).value();
  std::vector<caf::actor> made{};

  ~middle() {
    for (auto& each : made)
      caf::anon_send_exit(each, caf::exit_reason::kill);
  }

  /// An actor of bob's.
  caf::strong_actor_ptr make() {
    made.push_back(bob.system().spawn(
      [](caf::event_based_actor*) -> caf::behavior { return {[](caf::unit_t) {}}; }));
    return caf::actor_cast<caf::strong_actor_ptr>(made.back());
  }
};

} // namespace

SCENARIO("handles in a message are those of the sender's actors and of the receiver's", "[net]") {
  GIVEN("a node with links to two others") {
    middle between;
    auto own = between.make();
    auto anns = between.to_ann->entry_point();
    auto carls = between.to_carl->entry_point();
    auto ask_ann
      = [&](const auto&... what) { return between.bob.ask(between.to_ann, 2s, what...); };
    THEN("in a struct, those of a third node arrive empty") {
      CHECK(ask_ann(show_handles{{own, carls, anns, nullptr}, caf::actor_cast<caf::actor>(carls)})
            == "x-x--");
      CHECK(ask_ann(show_handles{{}, caf::actor_cast<caf::actor>(own)}) == "x");
    }
    THEN("as an element, one of a third node has the message dropped, and the link stays") {
      CHECK(ask_ann(std::int32_t{1}, own) == "x");
      CHECK(ask_ann(std::int32_t{1}, anns) == "x");
      CHECK(ask_ann(std::int32_t{1}, caf::strong_actor_ptr{}) == "-");
      CHECK_THAT(ask_ann(std::int32_t{1}, carls), ContainsSubstring("timeout"));
      CHECK(ask_ann(std::vector{caf::actor_cast<caf::actor>(own)}) == "1");
      CHECK_THAT(
        ask_ann(std::vector{caf::actor_cast<caf::actor>(own), caf::actor_cast<caf::actor>(carls)}),
        ContainsSubstring("timeout"));
      CHECK(between.ann.only_link()->dropped_messages() == 2);
      CHECK(between.bob.greet(between.to_ann) == "hello, says 1");
    }
  }
}

SCENARIO("a peer may tell of a bounded number of its actors", "[net]") {
  GIVEN("a node that has told another one of as many as it may") {
    middle between;
    // The entry point of bob, CAF's own helper and whoever asks take places, too.
    constexpr auto most = 9'990;
    show_handles some;
    for (auto count = 0; count < most; ++count)
      some.all.push_back(between.make());
    auto said = between.bob.ask(between.to_ann, 10s, some);
    CHECK(std::ranges::count(said, 'x') == most);
    THEN("more of them arrive empty, and those that are known go on") {
      show_handles more;
      std::vector<caf::actor> as_elements;
      for (auto count = 0; count < 100; ++count) {
        more.all.push_back(between.make());
        between.make();
        as_elements.push_back(between.made.back());
      }
      more.all.push_back(some.all.front());
      auto answer = between.bob.ask(between.to_ann, 10s, more);
      CHECK(std::ranges::count(answer, '-') > 50);
      CHECK(answer.ends_with("x-"));
      CHECK_THAT(between.bob.ask(between.to_ann, 2s, as_elements), ContainsSubstring("timeout"));
    }
  }
}
