#include "node/node_fixture.hpp"
#include "troupe/core/random.hpp"
#include "troupe/node/cluster_client.hpp"

#include <array>

using namespace std::literals;
using namespace troupe;
using troupe::test::answer_of;
using troupe::test::links_of;

namespace {

/// Two members beside the host; their link rests soon.
testing::cluster::change impatient(const test::lines& log, duration idle_after) {
  return [log, idle_after](std::size_t, node_options& how) {
    how.links.idle_after = idle_after;
    how.lost_after = 100ms;
    how.log = log;
  };
}

} // namespace

TEST_CASE("a link that nobody uses is closed, without loss, and made again", "[node]") {
  test::lines log;
  testing::cluster c{3, impatient(log, 100ms)};
  for (std::size_t each : {1U, 2U})
    REQUIRE(
      c[each].agent("echo-" + std::to_string(each), [](const std::string& text) { return text; }));
  for (auto round = 0; round < 3; ++round) {
    REQUIRE(c.until([&] { return answer_of(c[1], "echo-2") == "hello"; }));
    CHECK(c.until([&] { return links_of(c[1]) == 1 && links_of(c[2]) == 1; })); // to the host
    CHECK(answer_of(c[2], "echo-1") == "hello");
  }
  CHECK_FALSE(log.contain("lost"));
  auto found = c[0].registry().service().ask(registry::count_records{}, 5s);
  REQUIRE(found);
  CHECK(found->nodes.active == 3);
  SECTION("but not one that a handle needs") {
    auto handle = c[1].find("echo-2");
    REQUIRE(handle);
    caf::scoped_actor self{c[1].system()};
    CHECK_FALSE(c.until([&] { return links_of(c[1]) != 2; }, 1s));
    std::string answer;
    self->request(*handle, 5s, "direct"s)
      .receive([&](std::string& text) { answer = std::move(text); }, [](const caf::error&) {});
    CHECK(answer == "direct");
  }
}

TEST_CASE("a light client lets go of the node that only showed it the way", "[node]") {
  testing::cluster c{2};
  net::address way{"127.0.0.1", c[1].port()};
  net::link_options links;
  links.idle_after = 100ms;
  auto connected = cluster_client::connect({way}, 5s, links, c.client_identity());
  REQUIRE(connected);
  auto& client = **connected;
  CHECK(c.until([&] { return client.links() == 1; }));
  CHECK(client.address() == to_string(net::address{"127.0.0.1", c[0].port()}));
  CHECK(client.services().registry.ask(registry::count_records{}, 5s));
  SECTION("but not of one that the program asked for") {
    auto link = client.link_to(way, 5s);
    REQUIRE(link);
    CHECK_FALSE(c.until([&] { return client.links() == 1; }, 500ms));
    CHECK((*link)->reason().empty());
  }
}

TEST_CASE("a light client keeps the way if the program asks for it in time", "[node]") {
  testing::cluster c{2};
  net::address way{"127.0.0.1", c[1].port()};
  net::link_options links;
  links.idle_after = 1s;
  auto client = cluster_client::connect({way}, 5s, links, c.client_identity());
  REQUIRE(client);
  auto link = (*client)->link_to(way, 5s);
  REQUIRE(link);
  CHECK_FALSE(c.until([&] { return !(*link)->reason().empty(); }, 1500ms));
}

TEST_CASE("no message is lost over links that come and go", "[node]") {
  test::lines log;
  testing::cluster c{3, impatient(log, 20ms)};
  std::array<std::atomic<std::uint32_t>, 3> heard{};
  std::array<std::atomic<bool>, 3> in_order{true, true, true};
  for (std::size_t each : {1U, 2U})
    REQUIRE(c[each].agent(
      "count-" + std::to_string(each),
      [&, each](std::uint32_t number) {
        if (number != heard[each]++)
          in_order[each] = false;
      },
      [](const std::string& text) { return text; }));
  REQUIRE(c.until([&] { return answer_of(c[1], "count-2") == "hello"; }));
  REQUIRE(c.until([&] { return answer_of(c[2], "count-1") == "hello"; }));
  constexpr std::uint32_t count = 120;
  random_source random{20};
  for (std::uint32_t each = 0; each < count; ++each) {
    CHECK(c[1].send(to_agent("count-2"), each));
    // Just when the other may be asked whether it uses the link.
    ::poll(nullptr, 0, static_cast<int>(random.below(50)));
    CHECK(c[2].send(to_agent("count-1"), each));
  }
  CHECK(c.until([&] { return heard[1] == count && heard[2] == count; }));
  CHECK((in_order[1] && in_order[2]));
  CHECK_FALSE(log.contain("lost"));
}
