#include "troupe/router/router_core.hpp" // the header under test
#include "router/router_core_text.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace router_core_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;
using core = test::text_core;

namespace {

const auto m = test::node_named("m");
const auto a = test::node_named("a");
const auto b = test::node_named("b");

using texts = std::vector<std::string>;

struct bounds {
  router_options router{};
  std::size_t max_recipients = 10;
  std::size_t window_bytes = 1'000;
};

/// The router of node m, which has the agents "near" and "next"; "far" and "other" are on a, and
/// "third" is on b. A letter takes ten bytes of a parcel.
struct host {
  router_options options;
  router::detail::routes ways;
  core::requests pending;
  core machine;
  time_point now{};
  std::set<std::string, std::less<>> here{"near", "next"};

  explicit host(const bounds& how = {})
    : options(how.router),
      ways(m, options),
      machine(m,
              {.max_pending = options.max_pending,
               .max_recipients = how.max_recipients,
               .lines = {.idle = {.idle_after = 60s, .unused_after = 0s},
                         .window_bytes = how.window_bytes,
                         .max_visits = 2}},
              ways, pending) {
    ways.put({"near", m, {}, {"team", "home"}});
    ways.put({"next", m, {}, {"home"}});
    ways.put({"far", a, {"work"}, {"team"}});
    ways.put({"other", a, {}, {"team"}});
    ways.put({"third", b, {}, {"team"}});
  }

  template <class Event>
  texts step(Event what) {
    core::effects said;
    machine.step(now, std::move(what), said);
    return test::to_texts(said);
  }

  router::detail::route plan(const recipients& to, awaited wants) {
    return ways.plan(
      now, to, {wants == awaited::answer},
      [this](std::string_view id) {
        return here.contains(id) ? router::detail::presence::here : router::detail::presence::none;
      },
      [] { return std::size_t{100}; });
  }

  core::effects send_only(const recipients& to, awaited wants, const std::string& by,
                          duration timeout, std::optional<duration> ttl = std::nullopt) {
    auto expires_at = ttl ? std::optional{now + *ttl} : std::nullopt;
    core::effects said;
    machine.step(
      now, core::message{plan(to, wants), wants, timeout, by, "hello", expires_at, {{}, by}}, said);
    return said;
  }

  /// Puts the letters into their parcels.
  texts send(const recipients& to, awaited wants = awaited::nothing, const std::string& by = "me",
             duration timeout = 10s, std::optional<duration> ttl = std::nullopt) {
    auto said = send_only(to, wants, by, timeout, ttl);
    auto words = test::to_texts(said);
    for (auto& each : said)
      if (auto* letter = std::get_if<core::letter>(&each))
        for (auto& more : step(lines::event{
               lines::enclosed{letter->where.node, 10, letter->where.bytes, letter->request}}))
          words.push_back(more);
    return words;
  }

  texts ask(const std::string& agent, const std::string& by = "me", duration timeout = 10s) {
    return send(to_agent(agent), awaited::answer, by, timeout);
  }

  texts look_up(const std::string& agent, const std::string& by = "me", bool is_far = false) {
    return step(core::look_up{agent, is_far, 10s, by, "handle", {{}, by}});
  }

  texts link_up(const node_id& node, lines::link_number number) {
    return step(lines::event{lines::link_up{node, number}});
  }

  texts turn_over() {
    return step(lines::event{lines::turn_over{}});
  }

  texts pass(duration span) {
    now += span;
    core::effects said;
    machine.tick(now, said);
    return test::to_texts(said);
  }

  /// An answer of that node to request `number`; returns who hears it.
  std::string answer(const node_id& by, std::uint64_t number) {
    std::string whom;
    pending.finish_by(
      by, enclosed_request | number,
      [&](router::detail::call<std::string>& each, const node_id&) { whom = each.by; });
    return whom;
  }

  [[nodiscard]] router_statistics counted() const {
    router_statistics sum;
    ways.add_to(sum);
    machine.add_to(sum);
    return sum;
  }
};

} // namespace

// -- agents of the node itself ------------------------------------------------------------

TEST_CASE("a message to an agent of the node itself is handed on, and who waits hears once",
          "[router]") {
  host r;
  CHECK(r.send(to_agent("near")) == texts{"hand 'hello' to near"});
  CHECK(r.send(to_agent("near"), awaited::receipt) == texts{"hand 'hello' to near, owed to me"});
  CHECK(r.step(core::handed{{"me", {1}, "near"}, 0})
        == texts{"tell me: sent 1, refused 0, left out 0"});
  CHECK(r.ask("near") == texts{"ask near 'hello' for me"});
  CHECK(r.pending.size() == 0); // the agent answers by itself
  CHECK(r.counted().waiting_bytes == 0);
}

TEST_CASE("who waits for an agent that has just ended is told so", "[router]") {
  host r;
  CHECK(r.step(core::missed{"near", "me"}) == texts{"tell me: not_found"});
  CHECK(r.step(core::handed{{"me", {1}, "near"}, 1}) == texts{"tell me: not_found"});
  CHECK(r.step(core::handed{{"me", {5, 2, 1}, {}}, 2})
        == texts{"tell me: sent 3, refused 2, left out 1"});
}

TEST_CASE("who waits hears that an agent had no room", "[router]") {
  host r;
  CHECK(r.step(core::handed{{"me", {1}, "near"}, 0, 1}) == texts{"tell me: limit_reached"});
  CHECK(r.step(core::handed{{"me", {5, 2, 1}, {}}, 1, 1})
        == texts{"tell me: sent 3, refused 3, left out 1"});
}

TEST_CASE("a message that goes nowhere is refused to whoever waits", "[router]") {
  host r;
  CHECK(r.ask("nobody") == texts{"tell me: not_found"});
  CHECK(r.send(to_any("rest"), awaited::receipt) == texts{"tell me: not_found"});
  CHECK(r.send(to_agent("nobody")).empty());
  CHECK(r.counted().unknown == 3);
  CHECK(r.step(core::message{
          {.refusal = {errc::too_large, "for many"}}, awaited::receipt, {}, "me", "hello"})
        == texts{"tell me: too_large"});
}

// -- letters ------------------------------------------------------------------------------

TEST_CASE("a message for another node is a letter, and goes when there is a link", "[router]") {
  host r;
  CHECK(r.send(to_agent("far")) == texts{"letter 'hello' to far@a", "want a", "await turn"});
  CHECK(r.ask("far") == texts{"letter 'hello' to far@a, asks 1"});
  CHECK(r.counted().waiting == 2);
  CHECK(r.counted().waiting_bytes > 200);
  CHECK(r.counted().forwarded == 0);
  CHECK(r.link_up(a, 7)
        == texts{"send a#7: parcel 1 of 2 asks " + std::to_string(enclosed_request | 1U)});
  CHECK(r.counted().forwarded == 2);
  CHECK(r.counted().waiting_bytes == 0);
  CHECK(r.counted().pending == 1);
  CHECK(r.answer(b, 1).empty()); // it was not asked
  CHECK(r.answer(a, 1) == "me");
  CHECK(r.answer(a, 1).empty());
  CHECK(r.counted().pending == 0);
}

TEST_CASE("a request too many is refused, and no bytes wait for it", "[router]") {
  host r{{.router = {.max_pending = 1}}};
  r.ask("far");
  auto waiting = r.counted().waiting_bytes;
  auto said = r.send_only(to_agent("far"), awaited::answer, "you", 10s);
  auto& why = std::get<problem>(std::get<core::tell>(said.front()).what);
  CHECK(why.code == errc::limit_reached);
  CHECK(why.detail.find("1 requests wait") != std::string::npos);
  CHECK(why.detail.find("0 of the same sender") != std::string::npos);
  CHECK(why.detail.find("router_options::max_pending") != std::string::npos);
  CHECK(r.look_up("far", "you") == texts{"tell you: limit_reached"});
  CHECK(r.send(to_agent("far")) == texts{"letter 'hello' to far@a"}); // it asks for nothing
  CHECK(r.counted().waiting_bytes == 2 * waiting);
  CHECK(r.counted().refused == 2);
}

TEST_CASE("one sender leaves room for the requests of others, whatever it asks for", "[router]") {
  host r{{.router = {.max_pending = 10}}};
  auto get = [&](const std::string& by) {
    auto count = 0;
    while (r.ask("far", by).back() != "tell " + by + ": limit_reached")
      ++count;
    return count;
  };
  CHECK(get("greedy") == 5);
  CHECK(get("other") == 3);
  CHECK(r.look_up("third", "greedy") == texts{"tell greedy: limit_reached"});
  CHECK(r.look_up("third", "new").front() == "want b");
  INFO("and has room again when a request has ended, however that was");
  SECTION("answered") {
    r.link_up(a, 1);
    for (std::uint64_t each = 1; each <= 3; ++each)
      REQUIRE(r.answer(a, each) == "greedy");
    CHECK(get("greedy") == 1);
  }
  SECTION("late") {
    r.pass(10s);
    CHECK(get("greedy") == 5);
  }
  SECTION("with its link") {
    r.link_up(a, 1);
    r.step(lines::event{lines::link_down{a, 1}});
    CHECK(r.pending.size() == 1);
    CHECK(get("greedy") == 5);
  }
  SECTION("or with the router") {
    r.pending.clear([](auto&) {});
    CHECK(get("greedy") == 5);
  }
}

TEST_CASE("those of whom nothing is known share all places", "[router]") {
  host r{{.router = {.max_pending = 3}}};
  for (auto each = 0; each < 3; ++each)
    CHECK(r.ask("far", "").front().starts_with("letter"));
  CHECK(r.ask("far", "") == texts{"tell : limit_reached"});
}

TEST_CASE("whoever asks is told of a message that cannot be written", "[router]") {
  host r;
  auto said = r.send_only(to_agent("far"), awaited::answer, "me", 10s);
  auto& letter = std::get<core::letter>(said.front());
  CHECK(r.step(core::unwritable{a, letter.where.bytes, letter.request})
        == texts{"tell me: bad_argument"});
  CHECK(r.counted().waiting_bytes == 0);
  CHECK(r.counted().pending == 0);
  CHECK(r.counted().refused == 1);
  said = r.send_only(to_agent("far"), awaited::nothing, "me", 10s);
  CHECK(r.step(core::unwritable{a, std::get<core::letter>(said.front()).where.bytes}).empty());
  CHECK(r.counted().refused == 2);
}

// -- messages that expire -----------------------------------------------------------------------

namespace {

/// That number, as requests and letters have it.
std::string numbered(std::uint64_t number) {
  return std::to_string(enclosed_request | number);
}

} // namespace

TEST_CASE("a message that expires while it waits is taken out then, and whoever waits is told",
          "[router]") {
  host r;
  r.send(to_agent("far"), awaited::answer, "asks", 1min, 3s);
  r.send(to_agent("far"), awaited::receipt, "posts", 1min, 2s);
  r.send(to_agent("other"), awaited::nothing, "", 0s, 1s);
  r.send(to_agent("far"));
  auto one = r.counted().waiting_bytes / 4;
  CHECK(r.machine.next_deadline() == r.now + 1s);
  CHECK(r.pass(999ms).empty());
  CHECK(r.pass(1ms) == texts{"cut " + numbered(3) + " from parcel 1"});
  CHECK(r.counted().waiting_bytes < 4 * one);
  CHECK(r.counted().waiting == 3);
  CHECK(r.pass(1s) == texts{"tell posts: expired", "cut " + numbered(2) + " from parcel 1"});
  CHECK(r.pass(1s) == texts{"tell asks: expired", "cut " + numbered(1) + " from parcel 1"});
  CHECK(r.counted().expired == 3);
  CHECK(r.counted().pending == 0);
  CHECK(r.counted().waiting_bytes <= one);
  CHECK(r.link_up(a, 1) == texts{"send a#1: parcel 1 of 1"});
  CHECK(r.counted().forwarded == 1);
  CHECK(r.counted().waiting_bytes == 0);
}

TEST_CASE("a message to many expires on all nodes that it waits for", "[router]") {
  host r{{.max_recipients = 1}};
  CHECK(r.send(to_group("team"), awaited::answer, "me", 10s, 1s)
        == texts{"letter 'hello' to other@a, may expire as 1",
                 "letter 'hello' to far@a, may expire as 2",
                 "letter 'hello' to third@b, may expire as 3", "hand 'hello' to near, owed to me",
                 "want a", "await turn", "want b"});
  CHECK(r.link_up(b, 1) == texts{"send b#1: parcel 2 of 1 asks " + numbered(3)});
  CHECK(r.pass(1s)
        == texts{"cut " + numbered(1) + " from parcel 1",
                 "cut " + numbered(2) + " from parcel 1, the last"});
  CHECK(r.counted().expired == 2);
  CHECK(r.counted().waiting_bytes == 0);
}

TEST_CASE("what has expired does not go, however late the clock is looked at", "[router]") {
  host r;
  r.send(to_agent("far"), awaited::answer, "me", 10s, 1s);
  r.now += 1s;
  CHECK(r.link_up(a, 1)
        == texts{"tell me: expired", "cut " + numbered(1) + " from parcel 1, the last"});
  CHECK(r.turn_over().empty());
  CHECK(r.counted().forwarded == 0);
  CHECK(r.counted().expired == 1);
}

TEST_CASE("a message that was sent expires no more on this node", "[router]") {
  host r;
  r.link_up(a, 1);
  r.send(to_agent("far"), awaited::answer, "me", 10s, 1s);
  r.send(to_agent("far"), awaited::nothing, "", 0s, 1s);
  r.turn_over();
  CHECK(r.machine.next_deadline() == r.now + 10s);
  CHECK(r.pass(1s).empty());
  CHECK(r.counted().expired == 0);
  CHECK(r.answer(a, 1) == "me");
}

TEST_CASE("a message that has another end first does not expire", "[router]") {
  host r;
  SECTION("its time-out") {
    r.send(to_agent("far"), awaited::answer, "me", 1s, 2s);
    CHECK(r.pass(1s).front() == "tell me: timed_out");
  }
  SECTION("no link") {
    r.send(to_agent("far"), awaited::answer, "me", 10s, 1s);
    r.send(to_agent("far"), awaited::nothing, "me", 0s, 1s);
    CHECK(r.step(lines::event{lines::link_failed{a, {errc::unreachable, "nobody answers"}}}).front()
          == "tell me: unreachable");
  }
  SECTION("it cannot be written") {
    for (auto wants : {awaited::answer, awaited::nothing}) {
      auto said = r.send_only(to_agent("far"), wants, "me", 10s, 1s);
      auto& letter = std::get<core::letter>(said.front());
      r.step(core::unwritable{a, letter.where.bytes, letter.request});
    }
  }
  SECTION("it has gone past the lines") {
    auto said = r.send_only(to_agent("far"), awaited::nothing, "me", 0s, 1s);
    auto& letter = std::get<core::letter>(said.front());
    r.step(core::passed{a, letter.where.bytes, letter.request, 1});
  }
  CHECK(r.pass(10s).empty());
  CHECK(r.counted().expired == 0);
}

TEST_CASE("a letter expires only once it lies in a parcel, out of which it can be taken",
          "[router]") {
  host r;
  auto said = r.send_only(to_agent("far"), awaited::answer, "me", 10s, 1s);
  auto& letter = std::get<core::letter>(said.front());
  r.now += 2s;
  CHECK(r.step(lines::event{lines::enclosed{a, 10, letter.where.bytes, letter.request}})
        == texts{"want a", "await turn"});
  CHECK(r.machine.next_deadline() == r.now - 1s);
  CHECK(r.pass(0s) == texts{"tell me: expired", "cut " + numbered(1) + " from parcel 1, the last"});
  CHECK(r.counted().waiting_bytes == 0);
}

TEST_CASE("a message that has expired on its way to the router goes to nobody", "[router]") {
  host r;
  r.ways.put({"near", m, {"sum"}, {"team"}});
  for (auto ttl : {0s, -1s}) {
    CHECK(r.send(to_agent("near"), awaited::answer, "me", 10s, ttl) == texts{"tell me: expired"});
    CHECK(r.send(to_agent("far"), awaited::receipt, "me", 10s, ttl) == texts{"tell me: expired"});
    CHECK(r.send(to_group("team"), awaited::answer, "me", 10s, ttl) == texts{"tell me: expired"});
    CHECK(r.send(to_agent("far"), awaited::nothing, "", 0s, ttl).empty());
  }
  CHECK(r.counted().expired == 14);
  CHECK(r.counted().waiting_bytes == 0);
  CHECK(r.counted().pending == 0);
  INFO("and it is not said to be there when it goes nowhere");
  CHECK(r.send(to_agent("nobody"), awaited::answer, "me", 10s, 0s) == texts{"tell me: not_found"});
  INFO("and no work is given with it");
  r.ways.put({"third", b, {"sum"}});
  std::map<std::string, int> hits;
  for (auto each = 0; each < 20; ++each) {
    auto where = r.plan(to_any("sum"), awaited::answer);
    ++hits[where.stops.front().agents.front().text()];
    CHECK(r.ways.expire(where).code == errc::expired);
  }
  CHECK(hits == std::map<std::string, int>{{"near", 10}, {"third", 10}});
}

// -- many ---------------------------------------------------------------------------------

TEST_CASE("a message to many goes once to each node, and its sender hears to how many",
          "[router]") {
  host r;
  CHECK(r.send(to_group("team"), awaited::answer)
        == texts{"letter 'hello' to far,other@a", "letter 'hello' to third@b",
                 "hand 'hello' to near, owed to me", "want a", "await turn", "want b"});
  CHECK(r.send(to_group("home")) == texts{"hand 'hello' to near,next"});
  CHECK(r.send(to_group("nobody"), awaited::receipt)
        == texts{"tell me: sent 0, refused 0, left out 0"});
  r.ways.remove("near", m);
  CHECK(r.send(to_group("team"), awaited::receipt)
        == texts{"letter 'hello' to far,other@a", "letter 'hello' to third@b",
                 "tell me: sent 3, refused 0, left out 0"});
  CHECK(r.counted().pending == 0);
}

TEST_CASE("a message for more agents than a letter may name goes in several, with the bytes of one",
          "[router]") {
  host r{{.max_recipients = 2}};
  for (auto* each : {"x1", "x2", "x3"})
    r.ways.put({each, a, {}, {"team"}});
  CHECK(r.send(to_group("team"))
        == texts{"letter 'hello' to x2,x3@a", "letter 'hello' to other,x1@a",
                 "letter 'hello' to far@a", "letter 'hello' to third@b", "hand 'hello' to near",
                 "want a", "await turn", "want b"});
  r.link_up(a, 1);
  r.link_up(b, 2);
  CHECK(r.counted().waiting_bytes == 0);
}

TEST_CASE("a message that goes in several letters gives back the bytes that it was taken for",
          "[router]") {
  host r{{.max_recipients = 1}};
  r.link_up(a, 1);
  auto other = r.plan(to_agent("far"), awaited::nothing); // on its way to the router
  auto bytes = r.counted().waiting_bytes;
  REQUIRE(bytes == other.stops.front().bytes);
  r.send(to_group("team"));
  CHECK(r.counted().waiting_bytes > bytes);
  r.turn_over();
  r.link_up(b, 2);
  CHECK(r.counted().waiting_bytes == bytes);
}

// -- how requests end -----------------------------------------------------------------------

TEST_CASE("a request whose caller was told that it timed out is not sent any more", "[router]") {
  host r;
  r.ask("far", "early", 1s);
  r.ask("far", "late", 2s);
  CHECK(r.machine.next_deadline() == r.now + 1s);
  CHECK(r.pass(999ms).empty());
  CHECK(r.pass(1ms)
        == texts{"tell early: timed_out", "failed far@a: timed out",
                 "cut " + std::to_string(enclosed_request | 1U) + " from parcel 1"});
  CHECK(r.machine.next_deadline() == r.now + 1s);
  CHECK(r.link_up(a, 1)
        == texts{"send a#1: parcel 1 of 1 asks " + std::to_string(enclosed_request | 2U)});
  CHECK(r.counted().waiting_bytes == 0);
  CHECK(r.pass(1s) == texts{"tell late: timed_out", "failed far@a: timed out"}); // it was sent
  CHECK(r.answer(a, 2).empty());
  CHECK(r.machine.next_deadline() == std::nullopt);
}

TEST_CASE("a request that was answered is not late", "[router]") {
  host r;
  r.link_up(a, 1);
  r.ask("far");
  r.turn_over();
  CHECK(r.answer(a, 1) == "me");
  CHECK(r.pass(10s).empty());
}

TEST_CASE("a wait is neither endless nor nothing", "[router]") {
  host r;
  r.ask("far", "me", duration::max());
  CHECK(r.machine.next_deadline() == r.now + longest_wait);
  r.ask("far", "me", -1s);
  CHECK(r.machine.next_deadline() == r.now + 1ms);
}

TEST_CASE("a new link that is up before the old one is down fails what went over that",
          "[router]") {
  host r;
  r.link_up(a, 1);
  r.ask("far", "old");
  r.turn_over();
  CHECK(r.link_up(a, 2) == texts{"tell old: outcome_unknown", "lost a#1: outcome_unknown"});
  CHECK(r.counted().failed == 1);
  r.ask("far", "new");
  r.turn_over();
  CHECK(r.step(lines::event{lines::link_down{a, 1}}).empty());
  CHECK(r.answer(a, 1).empty());
  CHECK(r.answer(a, 2) == "new");
}

TEST_CASE("letters of a link that is replaced go on, and without a link they are told",
          "[router]") {
  host r{{.window_bytes = 10}};
  r.link_up(a, 1);
  r.ask("far", "sent");
  r.turn_over();
  r.ask("far", "waits");
  r.send(to_agent("other"));
  CHECK(r.turn_over().empty()); // the window is full
  SECTION("over the next link") {
    CHECK(r.link_up(a, 2)
          == texts{"tell sent: outcome_unknown", "lost a#1: outcome_unknown",
                   "send a#2: parcel 2 of 2 asks " + std::to_string(enclosed_request | 2U)
                     + ", mark 2"});
    CHECK(r.answer(a, 2) == "waits");
  }
  SECTION("or nowhere") {
    CHECK(r.step(lines::event{lines::link_down{a, 1}})
          == texts{"tell sent: outcome_unknown", "lost a#1: outcome_unknown", "want a"});
    CHECK(r.step(lines::event{lines::link_failed{a, {errc::unreachable, "nobody answers"}}})
          == texts{"tell waits: unreachable", "failed far@a: unreachable",
                   "refuse a: parcel 2 of 2 asks " + std::to_string(enclosed_request | 2U)
                     + ", unreachable"});
    CHECK(r.counted().unreachable == 2);
  }
  CHECK(r.counted().waiting_bytes == 0);
  CHECK(r.counted().failed == 1);
}

TEST_CASE("how a call ends says something of its agent only where that was to answer in time",
          "[router]") {
  host r;
  SECTION("not where a receipt was awaited") {
    r.send(to_agent("far"), awaited::receipt, "me", 1s);
    auto said = r.pass(1s);
    CHECK(said.size() == 2); // and the letter is cut
    CHECK(said.front() == "tell me: timed_out");
    CHECK(r.pass(1s).empty());
  }
  SECTION("not where the wait was short") {
    r.ask("far", "me", 99ms);
    CHECK(r.pass(99ms).size() == 2); // and the letter is cut
    r.ask("far", "me", 100ms);
    CHECK(r.pass(100ms).size() == 3);
  }
  SECTION("not where the link was lost") {
    r.link_up(a, 1);
    r.ask("far");
    r.turn_over();
    CHECK(r.step(lines::event{lines::link_down{a, 1}}).size() == 2);
  }
}

// -- work that any agent could do -------------------------------------------------------------

namespace {

/// Asks any agent that has that capability, `times` at once; returns who gets it how often.
std::map<std::string, int> ask_any(host& r, const std::string& capability, int times) {
  std::map<std::string, int> hits;
  for (auto each = 0; each < times; ++each)
    for (auto& what : r.send_only(to_any(capability), awaited::answer, "me", 10s))
      if (auto* asks = std::get_if<core::ask>(&what))
        ++hits[asks->agent.text()];
      else if (auto* letter = std::get_if<core::letter>(&what))
        ++hits[letter->where.agents.front().text()];
  return hits;
}

using hits = std::map<std::string, int>;

/// Whether agent near, the only one that has "sum", has nothing to do by this router: then another
/// one that has nothing either gets each second request. Ends all requests.
bool has_nothing(host& r) {
  r.ways.put({"third", b, {"sum"}});
  auto count = 0;
  for (auto each = 0; each < 100; ++each) {
    count += ask_any(r, "sum", 1)["third"];
    r.pass(10s);
  }
  r.ways.remove("third", b);
  return count == 50;
}

} // namespace

TEST_CASE("work for any agent goes to whoever has less under way, here or elsewhere", "[router]") {
  host r;
  r.ways.put({"near", m, {"sum"}});
  r.ways.put({"third", b, {"sum"}});
  CHECK(ask_any(r, "sum", 20) == hits{{"near", 10}, {"third", 10}});
  CHECK(r.counted().pending == 20); // also those to the agent here
  auto end = [&](const node_id& node) {
    for (std::uint64_t number = 1; number <= 20; ++number)
      r.pending.finish_by(node, enclosed_request | number,
                          [&](auto& each, const node_id& by) { r.ways.ended(each, by); });
  };
  SECTION("until it is answered") {
    end(m);
    auto next = ask_any(r, "sum", 8);
    CHECK(next["near"] > next["third"]);
  }
  SECTION("until it is late") {
    r.pass(10s);
    CHECK(r.counted().pending == 0);
    CHECK(ask_any(r, "sum", 20) == hits{{"near", 10}, {"third", 10}});
  }
  SECTION("until the agent has ended") {
    for (std::uint64_t number = 1; number <= 20; ++number)
      r.step(core::missed{"near", "", enclosed_request | number});
    CHECK(r.counted().pending == 0);
  }
}

TEST_CASE("an agent here that is given work in place of others answers its request", "[router]") {
  host r;
  r.ways.put({"near", m, {"sum"}});
  CHECK(r.send(to_any("sum"), awaited::answer) == texts{"ask near 'hello', asks 1"});
  CHECK(r.answer(a, 1).empty());
  CHECK(r.answer(m, 1) == "me");
  CHECK(r.send(to_any("sum"), awaited::answer, "you") == texts{"ask near 'hello', asks 2"});
  CHECK(r.step(core::missed{"near", "", enclosed_request | 2U}) == texts{"tell you: not_found"});
  CHECK(r.pass(10s).empty());
  CHECK(r.send(to_any("sum"), awaited::receipt) == texts{"hand 'hello' to near, owed to me"});
}

TEST_CASE("work that is refused is not under way", "[router]") {
  host r{{.router = {.max_pending = 1}}};
  r.ways.put({"near", m, {"sum"}});
  r.ways.put({"third", b, {"sum"}});
  REQUIRE(ask_any(r, "sum", 1).size() == 1);
  CHECK(ask_any(r, "sum", 100).empty());
  CHECK(r.pass(10s).size() >= 1);
  CHECK(r.counted().pending == 0);
  auto last = ""s;
  for (auto each = 0; each < 10; ++each) { // in turn, as both have nothing
    auto whom = ask_any(r, "sum", 1).begin()->first;
    CHECK(whom != last);
    last = whom;
    r.pass(10s);
  }
}

TEST_CASE("work that was refused, or is late, is not under way", "[router]") {
  host r{{.router = {.max_pending = 1}}};
  r.ways.put({"near", m, {"sum"}});
  REQUIRE(ask_any(r, "sum", 1) == hits{{"near", 1}});
  SECTION("late") {
    CHECK(r.pass(10s) == texts{"tell me: timed_out"});
    CHECK(has_nothing(r));
  }
  SECTION("refused") {
    CHECK(ask_any(r, "sum", 3).empty());
    r.pending.finish_by(m, enclosed_request | 1U,
                        [&](auto& each, const node_id& by) { r.ways.ended(each, by); });
    CHECK(has_nothing(r));
  }
}

// -- handles --------------------------------------------------------------------------------

TEST_CASE("a handle is looked up at the router of the agent's node", "[router]") {
  host r;
  CHECK(r.look_up("far") == texts{"want a"});
  CHECK(r.look_up("far", "you").empty());
  CHECK(r.look_up("far", "third") == texts{"tell third: limit_reached"}); // of visits
  CHECK(r.counted().refused == 1);
  CHECK(r.link_up(a, 3) == texts{"look 'handle' over 3, asks 1", "look 'handle' over 3, asks 2"});
  CHECK(r.answer(a, 1) == "me");
  CHECK(r.counted().forwarded == 2);
  CHECK(r.step(lines::event{lines::link_down{a, 3}}).front() == "tell you: outcome_unknown");
}

TEST_CASE("a handle that is of no use, or of nobody, is not looked up", "[router]") {
  host r;
  CHECK(r.look_up("nobody") == texts{"tell me: not_found"});
  CHECK(r.look_up("near") == texts{"tell me: not_found"}); // it is only said to be here
  CHECK(r.look_up("far", "me", true) == texts{"tell me: bad_argument"});
  CHECK(r.counted().pending == 0);
}

TEST_CASE("a look-up ends once, with its time or with the link that cannot be made", "[router]") {
  host r;
  r.look_up("far");
  SECTION("with its time") {
    CHECK(r.pass(10s) == texts{"tell me: timed_out"});
    CHECK(r.link_up(a, 1).empty());
    CHECK(r.counted().unreachable == 0);
  }
  SECTION("with the link") {
    CHECK(r.step(lines::event{lines::link_failed{a, {errc::unreachable, "nobody answers"}}})
          == texts{"tell me: unreachable"});
    CHECK(r.counted().unreachable == 1);
    CHECK(r.pass(10s).empty());
  }
}

TEST_CASE("agents of another node that are full there are sent nothing until there is room, or the "
          "link ends over which that was said",
          "[router]") {
  host r;
  auto is_refused = [&](const std::string& agent) {
    auto where = r.plan(to_agent(agent), awaited::nothing);
    if (!where.refusal)
      r.ways.drop(a, where.stops.front().bytes);
    return where.refusal.code == errc::limit_reached;
  };
  CHECK(r.step(core::told_full{a, 1, {"far"}}).empty()); // there is no such link
  CHECK_FALSE(is_refused("far"));
  r.step(lines::event{lines::link_up{a, 1}});
  CHECK(r.step(core::told_full{a, 1, {"far", "other"}})
        == texts{"await room for far over 1", "await room for other over 1"});
  CHECK(r.step(core::told_full{a, 1, {"far", "other"}}).empty()); // that is known
  CHECK(is_refused("far"));
  CHECK(is_refused("other"));
  CHECK(r.step(core::told_room{a, 1, "other"}).empty());
  CHECK(is_refused("far"));
  CHECK_FALSE(is_refused("other"));
  r.step(lines::event{lines::link_up{a, 2}});
  CHECK_FALSE(is_refused("far"));
  CHECK(r.step(core::told_full{a, 2, {"far"}}) == texts{"await room for far over 2"});
  CHECK(r.step(core::told_room{a, 1, "far"}).empty()); // asked over the link before
  CHECK(is_refused("far"));
  CHECK(r.step(core::told_full{a, 1, {"other"}}).empty()); // said over it
  CHECK_FALSE(is_refused("other"));
  r.step(lines::event{lines::link_down{a, 2}});
  CHECK_FALSE(is_refused("far"));
}

TEST_CASE("visits of the host itself are its own", "[router]") {
  host r;
  CHECK(r.step(lines::event{lines::visit{a, 1}}) == texts{"want a"});
  CHECK(r.step(lines::event{lines::visit{b, 2}}) == texts{"want b"});
  CHECK(r.link_up(a, 1) == texts{"admit a#1: 1"});
  CHECK(r.step(lines::event{lines::link_failed{b, {errc::unreachable, "nobody answers"}}})
        == texts{"turn away b: 2, unreachable"});
  CHECK(r.counted().unreachable == 0);
}

// -- links that nobody uses -----------------------------------------------------------------

TEST_CASE("a link over which an answer is awaited does not rest", "[router]") {
  host r;
  auto may_rest = [&] { return r.step(lines::event{lines::rest_asked{b, 1}}); };
  r.link_up(b, 1);
  r.ask("third", "me", 1h);
  r.turn_over();
  r.pass(2min);
  CHECK(may_rest() == texts{"answer b: no"});
  CHECK(r.answer(b, 1) == "me");
  r.pass(2min);
  CHECK(may_rest() == texts{"answer b: yes"});
}

TEST_CASE("a link over which an answer is awaited is not asked to rest", "[router]") {
  host r;
  auto z = test::node_named("z"); // of the two the one with the smaller id asks
  r.ways.put({"last", z});
  r.link_up(z, 1);
  r.ask("last", "me", 1h);
  r.turn_over();
  for (auto each = 0; each < 4; ++each)
    CHECK(r.pass(30s).empty());
  CHECK(r.answer(z, 1) == "me");
  auto said = r.pass(1min);
  REQUIRE(said.size() == 1);
  CHECK(said.front().starts_with("ask z"));
}

TEST_CASE("a link for which a message has been taken does not rest", "[router]") {
  host r;
  r.link_up(b, 1);
  r.pass(2min);
  auto where = r.plan(to_agent("third"), awaited::nothing);
  CHECK(r.step(lines::event{lines::rest_asked{b, 1}}) == texts{"answer b: no"});
}

// -- ways that are no links -------------------------------------------------------------------

TEST_CASE("what goes out past the lines ends with its own way", "[router]") {
  host r;
  for (auto* each : {"one", "two"}) {
    auto said = r.send_only(to_agent("far"), awaited::answer, each, 10s);
    auto& letter = std::get<core::letter>(said.front());
    CHECK(r.step(core::passed{a, letter.where.bytes, letter.request, each == "one"s ? 1U : 2U})
            .empty());
  }
  CHECK(r.counted().forwarded == 2);
  CHECK(r.counted().waiting_bytes == 0);
  CHECK(r.step(core::way_lost{1, {errc::outcome_unknown, "it has ended"}})
        == texts{"tell one: outcome_unknown"});
  CHECK(r.step(core::way_lost{1, {errc::outcome_unknown, "it has ended"}}).empty());
  CHECK(r.counted().failed == 1);
  CHECK(r.answer(a, 2) == "two");
}

} // namespace router_core_test
