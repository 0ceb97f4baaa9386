#include "troupe/router/detail/routes.hpp" // the header under test
#include "router/named_nodes.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace routes_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;
using namespace troupe::router::detail;

namespace {

const auto n1 = test::node_named("n1");
const auto n2 = test::node_named("n2");
const auto n3 = test::node_named("n3");

/// The routes of node n1, which has the agent "near"; "far" and "other" are on n2 and n3.
struct known_routes {
  routes ways;
  std::size_t payload = 100;
  int asked_for_size = 0;

  explicit known_routes(const router_options& how = {}) : ways(n1, how) {
    ways.put({"near", n1, {}, {"team"}});
    ways.put({"far", n2, {"work"}, {"team"}});
    ways.put({"other", n3, {}, {"team"}});
  }

  route plan(const recipients& who) {
    return ways.plan(
      who, 0, [](std::string_view id) { return id == "near"; },
      [this] {
        ++asked_for_size;
        return payload;
      });
  }

  router_statistics counted() const {
    router_statistics sum;
    ways.add_to(sum);
    return sum;
  }
};

} // namespace

TEST_CASE("a message to an agent of the node itself waits for nothing", "[router]") {
  known_routes r{{.max_waiting_bytes = 0}};
  auto where = r.plan(to_agent("near"));
  REQUIRE(where.stops.size() == 1);
  CHECK(where.stops.front().node == n1);
  CHECK(where.report.sent == 1);
  CHECK(r.asked_for_size == 0);
  CHECK(r.counted().waiting_bytes == 0);
}

TEST_CASE("a message for another node is taken with its bytes, names and all", "[router]") {
  known_routes r;
  auto where = r.plan(to_agent("far"));
  REQUIRE(where.stops.size() == 1);
  CHECK(where.stops.front().node == n2);
  CHECK(where.stops.front().bytes > r.payload + 3);
  CHECK(r.counted().waiting_bytes == where.stops.front().bytes);
  r.ways.drop(n2, where.stops.front().bytes);
  CHECK(r.counted().waiting_bytes == 0);
}

TEST_CASE("a message that goes nowhere is refused, and the reason counted", "[router]") {
  known_routes r{{.max_waiting_bytes = 200, .max_message_bytes = 1'000}};
  CHECK(r.plan(to_agent("nobody")).refusal.code == errc::not_found);
  CHECK(r.plan(to_any("rest")).refusal.code == errc::not_found);
  CHECK(r.counted().unknown == 2);
  CHECK(r.counted().refused == 0);
  r.payload = 1'000;
  auto large = r.plan(to_agent("far"));
  CHECK(large.refusal.code == errc::too_large);
  CHECK(large.refusal.detail.find("router_options::max_message_bytes") != std::string::npos);
  CHECK(large.stops.empty());
  r.payload = routes::npos;
  CHECK(r.plan(to_agent("far")).refusal.code == errc::bad_argument);
  r.payload = 100;
  CHECK(r.plan(to_agent("far")).refusal.code == errc::none);
  auto full = r.plan(to_any("work"));
  CHECK(full.refusal.code == errc::limit_reached);
  CHECK(full.refusal.detail.find("router_options::max_waiting_bytes") != std::string::npos);
  CHECK(r.counted().refused == 3);
  CHECK(r.plan(to_agent("other")).refusal.code == errc::none); // another node
}

TEST_CASE("a message of as many bytes as one may have is taken", "[router]") {
  known_routes any;
  auto bytes = any.plan(to_agent("far")).stops.front().bytes;
  known_routes exact{{.max_message_bytes = bytes}};
  CHECK(exact.plan(to_agent("far")).refusal.code == errc::none);
  known_routes less{{.max_message_bytes = bytes - 1}};
  CHECK(less.plan(to_agent("far")).refusal.code == errc::too_large);
}

TEST_CASE("an agent may be on the nodes that it is said to be on, and anywhere before that",
          "[router]") {
  known_routes r;
  CHECK(r.ways.may_be_on("far", n2, false));
  CHECK_FALSE(r.ways.may_be_on("far", n3, false));
  CHECK(r.ways.may_be_on("new", n2, false));
  CHECK_FALSE(r.ways.may_be_on("new", n2, true)); // on the router's own node, not yet said
  CHECK(r.ways.may_be_on("far", n2, true));       // on both
}

TEST_CASE("an agent of this node that is only said to be here is not known", "[router]") {
  known_routes r;
  r.ways.put({"ghost", n1});
  CHECK(r.plan(to_agent("ghost")).refusal.code == errc::not_found);
}

TEST_CASE("a message to many says to how many it goes, and whom it leaves out", "[router]") {
  SECTION("all") {
    known_routes r;
    auto where = r.plan(to_group("team"));
    CHECK(where.stops.size() == 3);
    CHECK(where.report == send_report{3, 0, 0});
    CHECK(r.asked_for_size == 1);
    CHECK(r.plan(to_group("nobody")).report == send_report{0, 0, 0});
  }
  SECTION("without those on nodes for which too much waits") {
    known_routes r{{.max_waiting_bytes = 200}};
    REQUIRE(r.plan(to_agent("far")).refusal.code == errc::none);
    auto where = r.plan(to_group("team"));
    CHECK(where.refusal.code == errc::none);
    CHECK(where.report == send_report{2, 1, 0});
    CHECK(r.counted().refused == 1);
  }
  SECTION("without those beyond the most that it reaches") {
    known_routes r{{.max_recipients = 2}};
    CHECK(r.plan(to_everyone()).report == send_report{2, 0, 1});
    CHECK(r.counted().refused == 1);
  }
  SECTION("or why it goes to nobody elsewhere") {
    known_routes r{{.max_message_bytes = 50}};
    auto where = r.plan(to_group("team"));
    CHECK(where.refusal.code == errc::too_large);
    CHECK(where.stops.empty());
    CHECK(r.counted().refused == 3);
  }
  SECTION("and takes back what it took for the others then") {
    known_routes r{{.max_message_bytes = 170}};
    r.ways.put({std::string(60, 'x'), n3, {}, {"team"}});
    CHECK(r.plan(to_group("team")).refusal.code == errc::too_large);
    CHECK(r.counted().waiting_bytes == 0);
  }
}

TEST_CASE("agents of other nodes that are not heard of any more are forgotten together",
          "[router]") {
  known_routes r;
  r.ways.keep_others({{"far", n2}});
  CHECK(r.ways.node_of("far") == n2);
  CHECK(r.ways.node_of("near") == n1);
  CHECK(r.ways.node_of("other") == node_id{});
}

} // namespace routes_test
