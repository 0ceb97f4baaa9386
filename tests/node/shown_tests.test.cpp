// The tests that docs/testing.md shows: of programs that use troupe, with what these include.

#include "../../examples/050-own-service/tickets.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/spawn.hpp"
#include "troupe/testing.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>

using namespace std::literals;
using namespace troupe;

// [cluster]
/// What is tested: it is given a node, by the program as by the test.
problem offer_greetings(node& me) {
  return me.agent("greeter", [](const std::string& name) { return "hello, " + name; }).error_or();
}

TEST_CASE("a greeter answers other nodes until its own stops", "[node][testing]") {
  testing::cluster c{3}; // all have joined; it throws if one does not
  REQUIRE_FALSE(offer_greetings(c[1]));
  auto greeting
    = [&] { return c[2].request<std::string>(to_agent("greeter"), 1s, "ada"s).value_or("none"); };
  CHECK(c.until([&] { return greeting() == "hello, ada"; }));
  c.stop(1); // as SIGTERM does
  CHECK(c.until([&] { return greeting() == "none"; }));
}
// [cluster]

// [rules]
TEST_CASE("no more tickets are given than there are", "[node][testing]") {
  ticket_roll roll;
  ticket_roll::effects out;
  roll.step({}, 1, host::options_are<std::uint64_t>{2}, out);
  CHECK(roll.apply(take_ticket{}).value() == 1);
  CHECK(roll.apply(take_ticket{}).value() == 2);
  CHECK(roll.apply(take_ticket{}).error().code == errc::limit_reached);
  CHECK(roll.answer(count_tickets{}) == 2);
}
// [rules]

// [clock]
TEST_CASE("whoever waits gets the lock when the lease is over", "[node][testing]") {
  init(); // the message types, before the first actor
  testing::fake_clock world;
  auto locks = spawn<lock::lock_service>(world.system()).value();
  REQUIRE(world.ask(locks, host::call{}, lock::acquire{"door", "ann", 10s}));
  auto waits = world.send(locks, host::call{}, lock::acquire{"door", "bob", 10s, 1min});
  world.advance(10s - 1ns);
  CHECK_FALSE(waits.is_answered());
  world.advance(1ns);
  CHECK(world.receive(waits).value().owner == "bob");
  world.stop(locks);
}
// [clock]

// [proxy]
TEST_CASE("a request on a cut path ends in time, and the next one after it is healed passes",
          "[node][testing]") {
  testing::cluster c{1};
  REQUIRE_FALSE(offer_greetings(c[0]));
  testing::proxy network;
  auto front = network.open("127.0.0.2", {"127.0.0.1", c[0].port()}).value();
  auto client = cluster_client::connect({front}, 5s, {}, c.client_identity()).value();
  auto greeting = [&] { return client->request<std::string>(to_agent("greeter"), 500ms, "ada"s); };
  CHECK(testing::comes_true([&] { return greeting().has_value(); }));
  network.set_path("127.0.0.1", "127.0.0.2", {.cut = true}); // one way
  CHECK(greeting().error().code == errc::timed_out);
  network.heal();
  CHECK(testing::comes_true([&] { return greeting().has_value(); }));
}
// [proxy]
