// What a peer may send, over links.

#include "net/node_fixture.hpp"
#include "support/certificates.hpp"
#include "troupe/net/message_rules.hpp"
#include "troupe/testing/comes_true.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using net::message_rules;
using net::need;
using security::rights;
using security::role;
using test::greet_request;
using test::test_node;
using test::throwaway_ca;

namespace {

security::facts a_client(rights may) {
  return {.name = "ann", .as = role::client, .may = may};
}

/// greet_request needs what is said, all else what it needs anyway.
net::message_rules_ptr greeting_needs(need what) {
  auto made = std::make_shared<message_rules>(
    message_rules::own_types{type_ids::core, type_ids::end}, [](caf::type_id_t type) {
      return type == caf::type_id_v<greet_request> ? "greet_request"s : ""s;
    });
  made->set(caf::type_id_v<greet_request>, what);
  return made;
}

} // namespace

SCENARIO("a request without the right to it is answered with what is missing", "[net]") {
  throwaway_ca ca;
  auto ann_is = ca.issue("ann");
  test_node ann{{.node = 1, .credentials = ann_is, .rules = greeting_needs(need::operate)}};
  auto where = ann.listen();
  auto greet_as = [&](role as, rights may) {
    test_node bob{{.node = 2,
                   .as = as,
                   .credentials = ca.issue("bob", as, may),
                   .rules = greeting_needs(need::read)}};
    auto got = bob.dial(where);
    REQUIRE((got ? "" : got.error().detail) == std::string{});
    return bob.greet(*got);
  };
  GIVEN("a client that lacks it") {
    auto said = greet_as(role::client, rights::use);
    THEN("it hears at once which one, and the receiver says so") {
      CHECK_THAT(said, ContainsSubstring("denied"));
      CHECK_THAT(said, ContainsSubstring("needs the right operate"));
      REQUIRE(testing::comes_true([&] { return !ann.dropped().empty(); }));
      CHECK_THAT(ann.dropped().front(), ContainsSubstring("the certificate of 'bob' has use"));
    }
  }
  GIVEN("a client that has it") {
    CHECK(greet_as(role::client, rights::operate) == "hello, says 1");
  }
  GIVEN("a member, whatever its certificate says of rights") {
    CHECK(greet_as(role::member, rights::read) == "hello, says 1");
  }
}

SCENARIO("without certificates a client may do what clients can, and no more", "[net]") {
  test_node ann{{.node = 1, .rules = greeting_needs(need::operate)}};
  test_node strict{{.node = 3, .rules = greeting_needs(need::membership)}};
  test_node bob{{.node = 2, .as = role::client}};
  auto to_ann = bob.dial(ann.listen());
  auto to_strict = bob.dial(strict.listen());
  REQUIRE(to_ann);
  REQUIRE(to_strict);
  CHECK(bob.greet(*to_ann) == "hello, says 1");
  CHECK_THAT(bob.greet(*to_strict), ContainsSubstring("for members"));
}

SCENARIO("a message that asks for no answer is dropped in silence, and the link stays", "[net]") {
  throwaway_ca ca;
  test_node ann{
    {.node = 1, .credentials = ca.issue("ann"), .rules = greeting_needs(need::membership)}};
  test_node bob{{.node = 2, .as = role::client, .credentials = ca.issue("bob", role::client)}};
  auto got = bob.dial(ann.listen());
  REQUIRE(got);
  for (auto count = 0; count < 100; ++count)
    caf::anon_send(caf::actor_cast<caf::actor>((*got)->entry_point()), greet_request{"x"});
  CHECK(testing::comes_true([&] { return ann.dropped().size() == 100; }));
  CHECK((*got)->reason().empty());
}

SCENARIO("only members spawn actors in another process", "[net]") {
  throwaway_ca ca;
  test_node ann{{.node = 1, .credentials = ca.issue("ann")}};
  test_node bob{{.node = 2, .as = role::client, .credentials = ca.issue("bob", role::client)}};
  auto got = bob.dial(ann.listen());
  REQUIRE(got);
  auto made = bob.system().middleman().remote_spawn<caf::actor>(
    (*got)->entry_point()->node(), "nothing", caf::make_message(), 200ms);
  CHECK_FALSE(made);
  CHECK(testing::comes_true([&] { return ann.only_link()->dropped_messages() > 0; }));
  CHECK(ann.dropped().empty()); // as CAF asks for the server that spawns on each link, unasked
}

TEST_CASE("peers that have gone are known for a while, and a new link of theirs counts", "[net]") {
  test::net_config config;
  caf::actor_system anns{config};
  caf::actor_system bobs{config};
  auto of = [](caf::actor_system& sys) {
    return caf::actor_cast<caf::strong_actor_ptr>(
      sys.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](caf::unit_t) {}}; }));
  };
  auto ann = of(anns);
  auto bob = of(bobs);
  net::peer_book book;
  book.enter(1, ann->node(), a_client(rights::read));
  book.enter(2, bob->node(), a_client(rights::use));
  book.leave(1);
  book.leave(7); // nobody's
  CHECK(book.find(ann) == a_client(rights::read));
  book.enter(3, ann->node(), a_client(rights::operate));
  CHECK(book.find(ann) == a_client(rights::operate));
  auto id = book.id_of(ann);
  REQUIRE(id);
  CHECK(*id == to_string(a_client(rights::operate).node));
  CHECK(book.id_of(ann) == id); // the same object: no copy for each message
  CHECK_FALSE(book.id_of(nullptr));
  auto forget_first = [&](net::connection_id first) {
    for (auto number = first; number < first + net::peer_book::max_gone; ++number) {
      book.enter(number, bob->node(), a_client(rights::use));
      book.leave(number);
    }
  };
  forget_first(10); // the link that ann had first
  CHECK(book.find(ann) == a_client(rights::operate));
  book.leave(3);
  forget_first(100'000);
  CHECK_FALSE(book.find(ann));
  CHECK_FALSE(book.id_of(ann));
  for (auto& each : {ann, bob})
    caf::anon_send_exit(each, caf::exit_reason::kill);
}

TEST_CASE("a peer that gives itself out for the process of another says nothing in its name",
          "[net]") {
  test::net_config config;
  caf::actor_system process{config};
  auto spawned = [&process] {
    return caf::actor_cast<caf::strong_actor_ptr>(
      process.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](caf::unit_t) {}}; }));
  };
  auto named = [](std::uint8_t last) {
    auto made = a_client(rights::use);
    made.node.bytes.back() = std::byte{last};
    return made;
  };
  auto end = [](const caf::strong_actor_ptr& which) {
    caf::anon_send_exit(which, caf::exit_reason::kill);
    REQUIRE(testing::comes_true([&] { return compat::has_ended(which); }));
  };
  auto ann = named(1);
  auto eve = named(2);
  net::peer_book book;
  auto first = spawned();
  SECTION("its last messages are nobody's once the other has a link") {
    book.enter(1, process.node(), eve, true);
    CHECK(book.find(first) == eve);
    end(first);
    book.leave(1);
    CHECK(book.find(first) == eve);
    book.enter(2, process.node(), ann, true);
    for (auto link : {3U, 4U, 5U}) { // also once that has gone, and come again
      CHECK_FALSE(book.find(first));
      CHECK_FALSE(book.id_of(first));
      CHECK(book.peer_of(first).id == node_id{});
      CHECK_FALSE(book.peer_of(first).is_proven);
      book.leave(link - 1);
      CHECK_FALSE(book.find(first));
      book.enter(link, process.node(), ann, true);
    }
    auto later = spawned();
    CHECK(book.find(later) == ann);
    CHECK(book.peer_of(later).id == ann.node);
    CHECK(book.peer_of(later).is_proven);
    end(later);
  }
  SECTION("what one peer sent over an earlier link is its own") {
    book.enter(1, process.node(), ann, true);
    end(first);
    book.leave(1);
    book.enter(2, process.node(), ann, true);
    CHECK(book.find(first) == ann);
  }
  end(first);
}

SCENARIO("who is behind a handle is known", "[net]") {
  throwaway_ca ca;
  auto bob_is = ca.issue("bob");
  test_node ann{{.node = 1, .credentials = ca.issue("ann")}};
  test_node bob{{.node = 2, .credentials = bob_is}};
  auto got = bob.dial(ann.listen());
  REQUIRE(got);
  REQUIRE(ann.wait_for_links(1));
  auto there = ann.only_link()->entry_point();
  CHECK(ann.peers()->find(there) == bob_is->self());
  CHECK_FALSE(ann.peers()->find(nullptr));
  CHECK_FALSE(ann.peers()->find((*got)->entry_point())); // its own
  CHECK_FALSE(compat::has_ended(there));
  (*got)->close("done");
  CHECK(testing::comes_true([&] { return compat::has_ended(there); }));
  CHECK(ann.peers()->find(there) == bob_is->self());
}
