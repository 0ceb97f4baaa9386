#include "troupe/router/detail/routes.hpp" // the header under test
#include "router/named_nodes.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  presence near = presence::here;

  explicit known_routes(const router_options& how = {}) : ways(n1, how) {
    ways.put({"near", n1, {}, {"team"}});
    ways.put({"far", n2, {"work"}, {"team"}});
    ways.put({"other", n3, {}, {"team"}});
  }

  route plan(const recipients& who, bool is_awaited = false, duration life = longest_life) {
    return plan(who, {is_awaited, 0, life});
  }

  route plan(const recipients& who, const question& of) {
    return ways.plan(
      time_point{}, who, of,
      [this](std::string_view id) { return id == "near" ? near : presence::none; },
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

TEST_CASE("what waits for all nodes is bounded, and each leaves room for others", "[router]") {
  known_routes r{{.max_waiting_bytes = 100'000, .max_all_waiting_bytes = 10'000}};
  auto fill = [&](const std::string& agent) {
    std::size_t taken = 0;
    for (;;) {
      auto where = r.plan(to_agent(agent));
      if (where.refusal) {
        CHECK(where.refusal.code == errc::limit_reached);
        CHECK(where.refusal.detail.find("router_options::max_all_waiting_bytes")
              != std::string::npos);
        return taken;
      }
      taken += where.stops.front().bytes;
    }
  };
  auto first = fill("far"); // out of reach
  CHECK(first > 4'800);
  CHECK(first <= 5'200); // with one that leaves less than it has
  auto second = fill("other");
  CHECK(second > 2'300);
  CHECK(second <= 2'600);
  CHECK(r.counted().waiting_bytes == first + second);
  CHECK(r.counted().refused == 2);
  INFO("and what has gone leaves room");
  r.ways.drop(n2, first);
  CHECK(r.counted().waiting_bytes == second);
  CHECK(fill("other") > 2'000);
  r.ways.drop(n3, 10'000);
  CHECK(r.counted().waiting_bytes == 0);
}

TEST_CASE("a message that is larger than the room for all is taken where nothing waits",
          "[router]") {
  known_routes r{{.max_all_waiting_bytes = 300}};
  r.payload = 1'000;
  auto large = r.plan(to_agent("far"));
  CHECK(large.refusal.code == errc::none);
  r.payload = 1;
  CHECK(r.plan(to_agent("other")).refusal.code == errc::limit_reached);
  r.ways.drop(n2, large.stops.front().bytes);
  CHECK(r.plan(to_agent("other")).refusal.code == errc::none);
}

TEST_CASE("a message whose life is over is not taken", "[router]") {
  known_routes r;
  for (auto life : {0ns, -1ns, duration::min()})
    for (auto& to : {to_agent("near"), to_agent("far"), to_agent("nobody"), to_group("team")}) {
      auto where = r.plan(to, true, life);
      CHECK(where.refusal.code == errc::expired);
      CHECK(where.stops.empty());
    }
  CHECK(r.asked_for_size == 0);
  CHECK(r.counted().expired == 12);
  CHECK(r.counted().unknown == 0);
  CHECK(r.plan(to_agent("near"), true, 1ns).refusal.code == errc::none);
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

TEST_CASE("work that any agent could do is counted as given only as long as it is on its way",
          "[router]") {
  known_routes r{{.max_waiting_bytes = 200}};
  r.ways.put({"spare", n3, {"work"}, {}, 10});
  auto to_far = [&](bool is_awaited) {
    auto where = r.plan(to_any("work"), is_awaited);
    auto given = where.refusal ? 0 : where.stops.front().given;
    CHECK((given != 0) == (is_awaited && !where.refusal));
    if (!where.refusal)
      r.ways.drop(where.stops.front().node, where.stops.front().bytes);
    return where;
  };
  SECTION("not if there is no room for it") {
    REQUIRE(r.plan(to_agent("far")).refusal.code == errc::none);
    REQUIRE(r.plan(to_agent("other")).refusal.code == errc::none);
    for (auto each = 0; each < 100; ++each)
      CHECK(r.plan(to_any("work"), true).refusal.code == errc::limit_reached);
    r.ways.drop(n2, 1'000);
    r.ways.drop(n3, 1'000);
  }
  SECTION("not once it has ended") {
    for (auto each = 0; each < 100; ++each) {
      auto where = to_far(true);
      auto& stop = where.stops.front();
      r.ways.ended(call<int>{0, stop.agents.front(), false, stop.given}, stop.node);
    }
  }
  // So nothing counts, and the one that has less to do gets more.
  std::size_t far = 0;
  for (auto each = 0; each < 8; ++each)
    far += to_far(true).stops.front().node == n2 ? 1 : 0;
  CHECK(far > 4);
}

TEST_CASE("work that has expired before it was sent is not under way", "[router]") {
  known_routes r;
  auto where = r.plan(to_any("work"), true);
  REQUIRE(where.stops.front().given != 0);
  CHECK(r.ways.expire(where).code == errc::expired);
  r.ways.put({"spare", n3, {"work"}});
  auto far = 0;
  for (auto each = 0; each < 100; ++each) {
    auto next = r.plan(to_any("work"), true);
    auto& stop = next.stops.front();
    far += stop.node == n2 ? 1 : 0;
    r.ways.drop(stop.node, stop.bytes);
    r.ways.ended(call<int>{0, stop.agents.front(), false, stop.given}, stop.node);
  }
  CHECK(far == 50); // in turn, as both have nothing
  CHECK(r.counted().waiting_bytes == 0);
}

TEST_CASE("work that any agent could do goes to one that can take more", "[router]") {
  known_routes r;
  auto is_awaited = GENERATE(true, false);
  auto send = [&] {
    auto where = r.plan(to_any("work"), is_awaited);
    if (where.refusal)
      return name_of(where.refusal.code);
    auto& stop = where.stops.front();
    if (stop.node != n1)
      r.ways.drop(stop.node, stop.bytes);
    r.ways.ended(call<int>{0, stop.agents.front(), false, stop.given}, stop.node);
    return std::string_view{stop.agents.front().text() == "other" ? "other" : "another"};
  };
  SECTION("not to one of this node that cannot") {
    r.ways.remove("far", n2);
    r.ways.put({"near", n1, {"work"}});
    r.near = presence::full;
  }
  SECTION("not to one of another node that cannot") {
    r.ways.set_linked(n2, true);
    REQUIRE(r.ways.hold_back(n2, "far"));
  }
  CHECK(send() == "limit_reached"); // nobody else could do it
  CHECK(r.counted().refused == 1);
  r.ways.put({"other", n3, {"work"}});
  for (auto each = 0; each < 100; ++each)
    CHECK(send() == "other");
  CHECK(r.counted().refused == 1);
}

TEST_CASE("an agent that is only said to be here is given no work", "[router]") {
  known_routes r;
  r.ways.put({"ghost", n1, {"haunt"}});
  CHECK(r.plan(to_any("haunt"), true).refusal.code == errc::not_found);
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
  // Its node may be away: it is known all the same, and the registry shows it.
  auto away = r.plan(to_agent("other")).refusal;
  CHECK(away.code == errc::not_found);
  CHECK(away.detail.find("known") == std::string::npos);
  CHECK(away.detail.find("or its node is back") != std::string::npos);
}

TEST_CASE("nothing is sent to an agent of another node that can take no more, until it can",
          "[router]") {
  known_routes r;
  r.ways.set_linked(n2, true);
  CHECK(r.ways.hold_back(n2, "far"));
  CHECK_FALSE(r.ways.hold_back(n2, "far")); // that is known
  auto full = r.plan(to_agent("far"));
  CHECK(full.refusal.code == errc::limit_reached);
  CHECK(full.refusal.detail.find("agent_options::inbox") != std::string::npos);
  CHECK(full.stops.empty());
  CHECK(r.counted().waiting_bytes == 0);
  CHECK(r.plan(to_agent("other")).refusal.code == errc::none);
  auto some = r.plan(to_group("team"));
  CHECK(some.report.sent == 2);
  CHECK(some.report.refused == 1);
  CHECK(some.refusal.code == errc::none);
  CHECK(r.counted().refused == 2);
  SECTION("as it says") {
    r.ways.may_send(n2, "far");
  }
  SECTION("as the link ends over which that was said") {
    r.ways.set_linked(n2, false);
    CHECK_FALSE(r.ways.hold_back(n2, "far")); // said over the link before
  }
  SECTION("as another link takes its place") {
    r.ways.set_linked(n2, true);
  }
  CHECK(r.plan(to_agent("far")).refusal.code == errc::none);
}

TEST_CASE("a message of the highest priority is sent to agents that can take no more, too",
          "[router]") {
  constexpr question critical{.is_critical = true};
  known_routes r;
  r.ways.set_linked(n2, true);
  REQUIRE(r.ways.hold_back(n2, "far"));
  r.near = presence::full;
  for (auto* each : {"near", "far"}) {
    CHECK(r.plan(to_agent(each)).refusal.code == errc::limit_reached);
    CHECK(r.plan(to_agent(each), critical).refusal.code == errc::none);
  }
  CHECK(r.plan(to_group("team"), critical).report == send_report{3, 0, 0});
  CHECK(r.plan(to_any("work"), critical).stops.front().node == n2); // there is no other
  r.ways.put({"other", n3, {"work"}, {"team"}});
  for (auto time = 0; time < 20; ++time)
    CHECK(r.plan(to_any("work"), critical).stops.front().node == n3);
}

TEST_CASE("a message of the highest priority needs room on its way", "[router]") {
  constexpr question critical{.is_critical = true};
  known_routes r{{.max_waiting_bytes = 1'000}};
  while (r.plan(to_agent("far"), critical).refusal.code == errc::none)
    REQUIRE(r.counted().waiting_bytes <= 1'200);
  CHECK(r.plan(to_agent("far"), critical).refusal.code == errc::limit_reached);
}

TEST_CASE("others for the same agent leave room on their way for one of the highest priority",
          "[router]") {
  constexpr question critical{.is_critical = true};
  known_routes r{{.max_waiting_bytes = 10'000}};
  while (r.plan(to_agent("far")).refusal.code == errc::none)
    REQUIRE(r.counted().waiting_bytes <= 10'000);
  CHECK(r.plan(to_agent("far"), critical).refusal.code == errc::none);
  CHECK(r.plan(to_agent("far")).refusal.code == errc::limit_reached);
}

TEST_CASE("of a message to some agents of a node those get it that can take more", "[router]") {
  known_routes r;
  r.ways.put({"farther", n2, {}, {"team"}});
  r.ways.set_linked(n2, true);
  REQUIRE(r.ways.hold_back(n2, "far"));
  auto where = r.plan(to_group("team"));
  CHECK(where.report.sent == 3);
  CHECK(where.report.refused == 1);
  auto there = std::ranges::find(where.stops, n2, &stop::node);
  REQUIRE(there != where.stops.end());
  CHECK(there->agents == std::vector<agent_id>{"farther"});
}

TEST_CASE("nothing is sent to an agent of this node that can take no more", "[router]") {
  known_routes r;
  r.near = presence::full;
  CHECK(r.plan(to_agent("near")).refusal.code == errc::limit_reached);
  r.ways.put({"near", n1, {"rare"}, {"team"}});
  for (auto time = 0; time < 3; ++time)
    CHECK(r.plan(to_any("rare"), true).refusal.code == errc::limit_reached);
  CHECK(r.plan(to_any("rare"), true).report == send_report{0, 1, 0});
  CHECK(r.counted().refused == 5);
  r.near = presence::here;
  // What it did not get is no work under way: it has as little as the other one.
  r.ways.put({"far", n2, {"rare"}});
  std::set<std::string> asked;
  for (auto time = 0; time < 2; ++time)
    asked.insert(r.plan(to_any("rare"), true).stops.front().agents.front().text());
  CHECK(asked.size() == 2);
}

TEST_CASE("a message for one agent elsewhere is taken at once where plan() would take it",
          "[router]") {
  const router_options how{
    .max_waiting_bytes = 4'000, .max_message_bytes = 500, .max_all_waiting_bytes = 9'000};
  known_routes fast{how};
  known_routes slow{how};
  std::vector<std::pair<node_id, std::size_t>> taken;
  auto both = [&](auto job) {
    job(fast.ways);
    job(slow.ways);
  };
  both([](routes& ways) {
    ways.put({"more", n2});
    ways.put({"gone", n1});
    ways.set_linked(n2, true);
  });
  std::mt19937 draw{5};
  auto below = [&](std::size_t most) { return static_cast<std::size_t>(draw() % most); };
  constexpr auto names = std::to_array<const char*>({"far", "more", "other", "gone", "nobody"});
  auto at_once = 0;
  for (auto round = 0; round < 20'000; ++round) {
    if (below(200) == 0) // sometimes
      both([](routes& ways) { ways.hold_back(n2, "far"); });
    if (below(20) == 0)
      both([](routes& ways) { ways.may_send(n2, "far"); });
    if (!taken.empty() && below(2) == 0) {
      auto each = taken.begin() + static_cast<std::ptrdiff_t>(below(taken.size()));
      both([&](routes& ways) { ways.drop(each->first, each->second); });
      taken.erase(each);
    }
    const std::string name = names[below(names.size())];
    question of{false, below(50), longest_life, below(10) == 0};
    fast.payload = slow.payload = below(500);
    far_place into;
    auto is_taken = fast.ways.take_far(name, fast.payload, of, into);
    auto where = slow.plan(to_agent(name), of);
    if (is_taken) {
      ++at_once;
      REQUIRE(where.refusal.code == errc::none);
      CHECK(into.node == where.stops.front().node);
      CHECK(into.agent == where.stops.front().agents.front());
      CHECK(into.bytes == where.stops.front().bytes);
    } else {
      REQUIRE(fast.plan(to_agent(name), of).refusal.code == where.refusal.code);
    }
    if (!where.refusal)
      taken.emplace_back(where.stops.front().node, where.stops.front().bytes);
    REQUIRE(fast.counted() == slow.counted());
  }
  CHECK(at_once > 1'000);
}

} // namespace routes_test
