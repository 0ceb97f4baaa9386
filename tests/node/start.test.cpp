#include "node/node_fixture.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/listeners.hpp"
#include "troupe/node/configure.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using troupe::test::answer_of;
using troupe::test::echo;

namespace {

/// A port that nobody listens at.
std::uint16_t unused_port() {
  auto made = net::start_listen(net::resolve({"127.0.0.1", 0}).value().front()).value();
  return net::local_endpoint(made).port();
}

} // namespace

TEST_CASE("a cluster is not founded where one is found", "[node][start]") {
  testing::cluster c{1};
  auto founder = node::start({.name = "founder",
                              .listen = {"127.0.0.1", 0},
                              .join = {{"127.0.0.1", c[0].port()}},
                              .bootstrap = true});
  REQUIRE_FALSE(founder);
  CHECK(founder.error().code == errc::conflict);
  CHECK_THAT(founder.error().detail, ContainsSubstring("leave out node_options::bootstrap"));
}

TEST_CASE("a cluster is founded where nobody answers, if that is asked for", "[node][start]") {
  std::uint16_t free_port = 0;
  {
    testing::cluster gone{1};
    free_port = gone[0].port();
  }
  auto founder = node::start(
    {.listen = {"127.0.0.1", 0}, .join = {{"127.0.0.1", free_port}}, .bootstrap = true});
  REQUIRE(founder);
  CHECK(founder->is_host());
}

TEST_CASE("of two nodes that would found a cluster alone, neither does while it hears the other",
          "[node][start]") {
  auto first = unused_port();
  auto second = unused_port();
  auto start = [](std::uint16_t own, std::uint16_t other) {
    return std::async(std::launch::async, [own, other] {
      return node::start({.listen = {"127.0.0.1", own},
                          .join = {{"127.0.0.1", other}},
                          .bootstrap = true,
                          .links = {.insecure = true}});
    });
  };
  auto one = start(first, second);
  auto two = start(second, first);
  auto both = {one.get().has_value(), two.get().has_value()};
  // One of them may have founded before the other one was there, which has found that cluster.
  CHECK(std::ranges::count(both, true) <= 1);
}

TEST_CASE("a node that waits for others says who is missing", "[node][start]") {
  test::temporary_folder folder;
  auto lone = node::start({.name = "lone",
                           .listen = {"127.0.0.1", 0},
                           .join = {{"127.0.0.1", 1}},
                           .wait_joined = 5s,
                           .bootstrap_expect = 2,
                           .data = folder / "data",
                           .links = {.insecure = true}});
  REQUIRE_FALSE(lone);
  CHECK(lone.error().code == errc::timed_out);
  CHECK_THAT(lone.error().detail, ContainsSubstring("1 of the 2 nodes that found the cluster")
                                    && ContainsSubstring("no answer from 127.0.0.1:1"));
}

TEST_CASE("nodes found one cluster together, and keep it", "[node][start]") {
  test::temporary_folder folder;
  std::vector<net::address> all;
  for (auto each = 0; each < 3; ++each)
    all.push_back({"127.0.0.1", unused_port()});
  auto start = [&](std::size_t which) {
    return node::start({.listen = all[which],
                        .join = all,
                        .wait_joined = testing::patience,
                        .bootstrap_expect = 3,
                        .data = folder / std::to_string(which),
                        .links = {.insecure = true}});
  };
  auto start_all = [&] {
    std::vector<std::future<result<node>>> starting;
    for (std::size_t each = 0; each < 3; ++each)
      starting.push_back(std::async(std::launch::async, start, each));
    std::vector<node> made;
    for (auto& each : starting) {
      auto started = each.get();
      INFO(started.error_or());
      REQUIRE(started);
      made.push_back(*std::move(started));
    }
    return made;
  };
  {
    auto nodes = start_all();
    REQUIRE(nodes[0].agent("echo", echo()));
    CHECK(testing::comes_true([&] { return answer_of(nodes[2], "echo") == "hello"; }));
  }
  auto nodes = start_all(); // on their folders
  // Until there is a leader again, no name can be claimed.
  REQUIRE(testing::comes_true([&] { return nodes[1].agent("later", echo()).has_value(); }));
  CHECK(testing::comes_true([&] { return answer_of(nodes[0], "later") == "hello"; }));
}

TEST_CASE("a node that has started knows the agents that were there before", "[node][start]") {
  testing::cluster c{1};
  REQUIRE(c[0].agent("echo", echo()));
  for (auto round = 0; round < 5; ++round) {
    auto guest = test::join(c);
    REQUIRE(guest);
    CHECK(answer_of(*guest, "echo") == "hello");
  }
}

TEST_CASE("what is asked of a node that reaches the services waits until it knows the others",
          "[node][start]") {
  testing::cluster c{1};
  REQUIRE(c[0].agent("echo", echo()));
  for (auto round = 0; round < 5; ++round) {
    auto guest = test::join(c, {.wait_joined = {}});
    REQUIRE(guest);
    REQUIRE(guest->wait_for_services(testing::patience));
    CHECK(answer_of(*guest, "echo") == "hello");
    CHECK(guest->registry().agent("echo").value());
    CHECK(guest->wait_joined(testing::patience));
    CHECK(guest->send(to_agent("echo"), "hello"s));
  }
}

TEST_CASE("a node that finds no cluster does not start, and says where it looked",
          "[node][start]") {
  net::address nowhere{"127.0.0.1", 1}; // needs rights, and has nobody here
  auto lost = node::start({.name = "lost",
                           .listen = {"127.0.0.1", 0},
                           .join = {nowhere},
                           .wait_joined = 300ms,
                           .links = {.insecure = true}});
  REQUIRE_FALSE(lost);
  CHECK(lost.error().code == errc::timed_out);
  for (auto* part : {"lost", "300 ms", "127.0.0.1:1", "wait_joined"})
    CHECK_THAT(lost.error().detail, ContainsSubstring(part));
}

TEST_CASE("a node does not start with options that make no sense, and says which",
          "[node][start]") {
  auto why = [](node_options how) {
    how.listen = {"127.0.0.1", 0};
    auto made = node::start(std::move(how));
    return made ? problem{} : made.error();
  };
  for (auto& [refusal, option] : std::vector<std::pair<problem, std::string>>{
         {why({.name = std::string(300, 'x')}), "node_options::name"},
         {why({.join = {{"", 6767}}}), "node_options::join"},
         {why({.join = {{"127.0.0.1", 0}}}), "node_options::join"},
         {why({.voters = 0}), "node_options::voters"},
         {why({.voters = 8}), "node_options::voters"},
         {why({.bootstrap_expect = 8}), "node_options::bootstrap_expect is 8"},
         {why({.bootstrap_expect = 3}), "node_options::data"},
         {why({.bootstrap_expect = 3, .data = "unused"}), "node_options::join"},
         {why({.join = {{"127.0.0.1", 1}}, .bootstrap = true, .bootstrap_expect = 1}),
          "node_options::bootstrap is set"},
         {why({.lost_after = duration::zero()}), "node_options::lost_after"},
         {why({.lost_after = -1s}), "node_options::lost_after"},
         {why({.services = {.own = {{.name = "tickets", .type = "ticket_service", .start = {}}}}}),
          "'tickets' in node_options::services"}}) {
    CHECK(refusal.code == errc::bad_argument);
    CHECK(refusal.detail.find(option) != std::string::npos);
  }
}

TEST_CASE("who waits for a node to join hears that it stops", "[node][start]") {
  auto lone = node::start({.listen = {"127.0.0.1", 0},
                           .join = {{"127.0.0.1", 1}},
                           .wait_joined = duration::zero(),
                           .links = {.insecure = true}});
  REQUIRE(lone);
  auto waits = std::async(std::launch::async, [&] { return lone->wait_joined(duration::max()); });
  CHECK(waits.wait_for(100ms) == std::future_status::timeout);
  lone->stop();
  CHECK(waits.get().error_or().code == errc::cancelled);
  CHECK(lone->wait_joined(60s).error_or().code == errc::cancelled);
}

TEST_CASE("a node can be moved, and what it is moved onto stops", "[node][start]") {
  testing::cluster c{1};
  auto start = [&](const std::string& name) { return test::join(c, {.name = name}).value(); };
  auto first = start("first");
  REQUIRE(first.agent("of first", echo()));
  auto second = start("second");
  REQUIRE(second.agent("of second", echo()));
  first = std::move(second);
  CHECK(first.name() == "second");
  CHECK(answer_of(first, "of second") == "hello");
  CHECK(c.until([&] { return answer_of(c[0], "of second") == "hello"; }));
  CHECK(c.until([&] { return answer_of(c[0], "of first") != "hello"; }));
  REQUIRE(first.agent("made later", echo()));
  CHECK(c.until([&] { return answer_of(c[0], "made later") == "hello"; }));
  auto moved = std::move(first);
  CHECK(answer_of(c[0], "made later") == "hello"); // nothing has stopped
  first = std::move(moved);
  CHECK(answer_of(first, "made later") == "hello");
}

TEST_CASE("a node may end on another thread than those that have used it", "[node][start]") {
  test::temporary_folder folder;
  auto me = std::make_unique<node>(
    node::start({.listen = {"127.0.0.1", 0}, .data = folder / "data"}).value());
  auto port = me->port();
  REQUIRE(me->agent("echo", echo()));
  auto again = std::async(std::launch::async, [&] {
    me.reset();
    return node::start({.listen = {"127.0.0.1", port}, .data = folder / "data"});
  });
  REQUIRE(again.wait_for(testing::patience) == std::future_status::ready);
  CHECK(again.get().has_value()); // its port and its data folder are free
}

TEST_CASE("a node may end on another thread, also if its agents have used another node",
          "[node][start]") {
  auto other = node::start({.listen = {"127.0.0.1", 0}}).value();
  auto me = std::make_unique<node>(node::start({.listen = {"127.0.0.1", 0}}).value());
  promise<int> used;
  REQUIRE(me->agent("uses", [&](int number) {
    static_cast<void>(other.agent_handle("nobody")); // blocks nobody
    used.set(number);
  }));
  REQUIRE(me->send(to_agent("uses"), 1));
  CHECK(used.answer(10s).wait().value() == 1);
  auto ended = std::async(std::launch::async, [&] { me.reset(); });
  CHECK(ended.wait_for(testing::patience) == std::future_status::ready);
  REQUIRE(other.agent("echo", echo())); // on this thread, which holds the logger of `me` otherwise
}

TEST_CASE("messages of the application are registered before the first node, or never",
          "[node][start]") {
  testing::cluster c{1};
  CHECK_THROWS_AS(troupe::init<test::node_test>(), std::logic_error);
  CHECK_NOTHROW(troupe::init());
}

TEST_CASE("others dial what a node advertises", "[node][start]") {
  // The second node listens everywhere, and says that it is at 127.0.0.2.
  testing::cluster c{3, [](std::size_t index, node_options& how) {
                       if (index == 1) {
                         how.listen = {"0.0.0.0", 0};
                         how.advertise = net::address{"127.0.0.2", 0};
                       }
                     }};
  auto found = c[0].registry().service().ask(
    registry::get_record{registry::record_kind::node, "n1", c[1].id()}, 5s);
  REQUIRE((found && found->found));
  auto& endpoints = found->found->value.endpoints;
  REQUIRE(endpoints.size() == 1);
  CHECK(endpoints.front().host == "127.0.0.2");
  CHECK(endpoints.front().port == c[1].port());
  REQUIRE(c[1].agent("echo", echo()));
  CHECK(c.until([&] { return answer_of(c[2], "echo") == "hello"; }));
}

TEST_CASE("a node that listens everywhere says where it is, or does not start", "[node][start]") {
  for (auto* host : {"0.0.0.0", "0", "::", "0:0:0:0:0:0:0:0"}) {
    CAPTURE(host);
    auto made = troupe::node::start({.listen = {host, 0}});
    REQUIRE_FALSE(made);
    CHECK(made.error().code == errc::bad_argument);
    CHECK_THAT(made.error().detail, ContainsSubstring("node_options::listen is ")
                                      && ContainsSubstring("give node_options::advertise"));
  }
  auto made = troupe::node::start({.listen = {"127.0.0.1", 0}, .advertise = {{"0.0.0.0", 0}}});
  REQUIRE_FALSE(made);
  CHECK_THAT(made.error().detail, ContainsSubstring("node_options::advertise is 0.0.0.0"));
}

TEST_CASE("a node lives in an actor system of one's own and leaves it running", "[node][start]") {
  testing::cluster c{1};
  caf::actor_system_config cfg;
  configure(cfg);
  caf::actor_system sys{cfg};
  auto own = sys.spawn([](caf::event_based_actor*) -> caf::behavior {
    return {[](const std::string& text) { return text + text; }};
  });
  {
    auto guest = test::join(c, {.name = "guest"}, &sys);
    REQUIRE(guest);
    CHECK(&guest->system() == &sys);
    REQUIRE(guest->add_agent("double", own));
    CHECK(c.until([&] { return answer_of(c[0], "double") == "hellohello"; }));
  }
  caf::scoped_actor self{sys};
  auto answer = "none"s;
  self->request(own, 5s, "ho"s)
    .receive([&](const std::string& text) { answer = text; },
             [&](const caf::error& why) { answer = to_string(why); });
  CHECK(answer == "hoho");
  self->send_exit(own, caf::exit_reason::user_shutdown);
}

TEST_CASE("maintenance of a node that has stopped is refused at once", "[node][start]") {
  testing::cluster c{1};
  auto guest = test::join(c);
  REQUIRE(guest);
  guest->stop();
  CHECK(guest->maintain().error().code == errc::cancelled);
}

TEST_CASE("agents of a node in maintenance get messages", "[node][start]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent("echo", echo()));
  REQUIRE(c.until([&] { return answer_of(c[0], "echo") == "hello"; }));
  REQUIRE(c[1].maintain());
  REQUIRE(c.until([&] {
    auto seen = c[0].registry().service().ask(
      registry::get_record{registry::record_kind::agent, "echo", c[1].id()}, 5s);
    return seen && seen->found && seen->found->status == registry::record_status::maintenance;
  }));
  for (auto each = 0; each < 20; ++each)
    CHECK(answer_of(c[0], "echo") == "hello");
}
