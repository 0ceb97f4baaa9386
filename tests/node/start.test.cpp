#include "node/node_fixture.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/node/configure.hpp"

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using troupe::test::answer_of;
using troupe::test::echo;

TEST_CASE("a cluster is not founded where one is found", "[node][start]") {
  testing::cluster c{1};
  auto founder = node::start({.name = "founder",
                              .listen = {"127.0.0.1", 0},
                              .join = {{"127.0.0.1", c[0].port()}},
                              .bootstrap = true});
  REQUIRE_FALSE(founder);
  CHECK(founder.error().code == errc::conflict);
  CHECK_THAT(founder.error().detail, ContainsSubstring("leave out bootstrap"));
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
  CHECK((*founder)->is_host());
}

TEST_CASE("others dial what a node advertises", "[node][start]") {
  // The second node listens everywhere, and says that it is at 127.0.0.2.
  testing::cluster c{3, [](std::size_t index, node_options& how) {
                       if (index == 1) {
                         how.listen = {"0.0.0.0", 0};
                         how.links.allow_plain_beyond_loopback = true;
                         how.advertise = net::address{"127.0.0.2", 0};
                       }
                     }};
  auto found = c[0].registry().ask(
    registry::get_record{registry::record_kind::node, "n1", to_string(c[1].id())}, 5s);
  REQUIRE((found && found->found));
  auto& endpoints = found->found->value.endpoints;
  REQUIRE(endpoints.size() == 1);
  CHECK(endpoints.front().host == "127.0.0.2");
  CHECK(endpoints.front().port == c[1].port());
  REQUIRE(c[1].agent("echo", echo()).code == errc::none);
  CHECK(c.until([&] { return answer_of(c[2], "echo") == "hello"; }));
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
    auto guest = node::start(
      {.name = "guest", .listen = {"127.0.0.1", 0}, .join = {{"127.0.0.1", c[0].port()}}}, &sys);
    REQUIRE(guest);
    CHECK(&(*guest)->system() == &sys);
    REQUIRE((*guest)->wait_joined(testing::cluster::patience));
    REQUIRE((*guest)->add_agent("double", own).code == errc::none);
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
  auto guest = node::start({.listen = {"127.0.0.1", 0}, .join = {{"127.0.0.1", c[0].port()}}});
  REQUIRE(guest);
  REQUIRE((*guest)->wait_joined(10s));
  (*guest)->stop();
  CHECK((*guest)->maintain().code == errc::cancelled);
}

TEST_CASE("agents of a node in maintenance get messages", "[node][start]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent("echo", echo()).code == errc::none);
  REQUIRE(c.until([&] { return answer_of(c[0], "echo") == "hello"; }));
  REQUIRE(c[1].maintain().code == errc::none);
  REQUIRE(c.until([&] {
    auto seen = c[0].registry().ask(
      registry::get_record{registry::record_kind::agent, "echo", to_string(c[1].id())}, 5s);
    return seen && seen->found && seen->found->status == registry::record_status::maintenance;
  }));
  for (auto each = 0; each < 20; ++each)
    CHECK(answer_of(c[0], "echo") == "hello");
}
