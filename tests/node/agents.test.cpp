// The agents of one node: how they end, and what is no agent.

#include "node/node_fixture.hpp"

#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "troupe/node/cluster_client.hpp"

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using troupe::test::answer_of;
using troupe::test::echo;

TEST_CASE("an agent that has quit leaves nothing behind", "[node][agents]") {
  testing::cluster c{1};
  std::vector<caf::weak_actor_ptr> made;
  for (auto each = 0; each < 1'000; ++each) {
    auto name = "goes-" + std::to_string(each) + "@n0";
    REQUIRE(c[0].agent(name, [](agent_context& self, int) { self.quit(); }));
    made.push_back(caf::actor_cast<caf::weak_actor_ptr>(c[0].find(name).value()));
    REQUIRE(c[0].send(to_agent(name), 1));
  }
  auto is_there = [](const caf::weak_actor_ptr& each) { return each.lock() != nullptr; };
  CHECK(c.until([&] { return std::ranges::none_of(made, is_there); }));
}

TEST_CASE("an agent that takes the place of one that has just ended stays", "[node][agents]") {
  testing::cluster c{1};
  for (auto each = 0; each < 300; ++each) {
    auto add = [&] {
      return c[0]
        .agent(
          "heir", [](const std::string& text) { return text; },
          [](agent_context& self, int) { self.quit(); })
        .has_value();
    };
    REQUIRE(c.until(add)); // once the last one has ended
    REQUIRE(answer_of(c[0], "heir") == "hello");
    REQUIRE(c[0].send(to_agent("heir"), 1));
  }
}

TEST_CASE("an agent changes while it runs, and other nodes find it by what it is now",
          "[node][agents]") {
  testing::cluster c{2};
  agent_options several;
  several.unique = false;
  auto named = [](const std::string& name) { return [name](int) { return name; }; };
  auto changes = [](agent_context& self, std::uint32_t load) { self.update({.load = load}); };
  REQUIRE(c[0].agent("worker", several, named("first"), changes));
  REQUIRE(c[1].agent("worker", several, named("second"), changes));
  auto asked = [&c](std::size_t at, const router::recipients& whom) {
    auto got = c[at].request<std::string>(whom, 5s, 1);
    return got ? *got : std::string{name_of(got.error().code)};
  };
  CHECK(asked(1, to_any("print")) == "not_found");
  REQUIRE(c[0].update_agent("worker", {.add_capabilities = {"print"}}));
  CHECK(asked(0, to_any("print")) == "first"); // at once
  CHECK(c.until([&] { return asked(1, to_any("print")) == "first"; }));
  REQUIRE(c[0].update_agent("worker", {.remove_capabilities = {"print"}}));
  CHECK(asked(0, to_any("print")) == "not_found");
  CHECK(c.until([&] { return asked(1, to_any("print")) == "not_found"; }));
  // Of several, the one that has the least to do.
  REQUIRE(c[0].update_agent("worker", {.load = 10}));
  auto all_go_to = [&](const std::string& which) {
    for (auto each = 0; each < 20; ++each)
      if (asked(1, to_any("worker")) != which)
        return false;
    return true;
  };
  CHECK(c.until([&] { return all_go_to("second"); }));
  REQUIRE(c[1].send(to_any("worker"), std::uint32_t{20})); // to the second one
  CHECK(c.until([&] { return all_go_to("first"); }));
  CHECK(c[0].update_agent("nobody", {.load = 1}).error().code == errc::not_found);
  CHECK(c[0].update_agent("worker", {.add_groups = {""}}).error().code == errc::bad_argument);
}

TEST_CASE("an agent of functions ends when it is taken back", "[node][agents]") {
  testing::cluster c{1};
  auto& registry = c[0].system().registry();
  REQUIRE(c[0].agent("stays", echo()));
  auto before = registry.running();
  for (auto each = 0; each < 50; ++each) {
    auto name = "goes-" + std::to_string(each);
    REQUIRE(c[0].agent(name, echo()));
    c[0].remove_agent(name);
  }
  CHECK(c.until([&] { return registry.running() <= before; }));
  CHECK(answer_of(c[0], "stays") == "hello");
  CHECK(answer_of(c[0], "goes-0") == "not_found");
  REQUIRE(c[0].agent("goes-0", echo())); // its name is free
  CHECK(answer_of(c[0], "goes-0") == "hello");
  SECTION("an actor of one's own goes on") {
    auto own = c[0].system().spawn(
      [](caf::event_based_actor*) -> caf::behavior { return {[](int x) { return x; }}; });
    REQUIRE(c[0].add_agent("own", own));
    c[0].remove_agent("own");
    CHECK(c.until([&] { return answer_of(c[0], "own") == "not_found"; }));
    caf::scoped_actor self{c[0].system()};
    auto heard = 0;
    self->request(own, 5s, 7).receive([&](int x) { heard = x; }, [](const caf::error&) {});
    CHECK(heard == 7);
    self->send_exit(own, caf::exit_reason::user_shutdown);
  }
}

TEST_CASE("what a function of an agent throws ends that agent, and its caller is told",
          "[node][agents]") {
  test::lines log;
  testing::cluster c{2, [&](std::size_t, node_options& how) { how.log = log; }};
  auto throws = [](const std::string& what) -> std::string {
    if (what == "number")
      throw 42;
    throw std::runtime_error{"out of " + what};
  };
  auto who = GENERATE("exception"s, "number"s);
  REQUIRE(c[1].agent("shaky", throws));
  REQUIRE(c[1].agent("steady", echo()));
  REQUIRE(
    c.until([&] { return c[0].find("shaky").has_value() && c[0].find("steady").has_value(); }));
  auto answer = c[0].request<std::string>(to_agent("shaky"), 5s, who);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == errc::failed);
  CHECK_THAT(answer.error().detail,
             ContainsSubstring(who == "number" ? "not a std::exception" : "out of exception"));
  CHECK(log.contain("agent 'shaky' has ended, as one of its functions threw: "));
  CHECK(c.until([&] { return answer_of(c[0], "shaky") == "not_found"; }));
  CHECK(answer_of(c[0], "steady") == "hello");
}

namespace {

/// For an agent that says who has asked it.
std::string told(const message_info& from) {
  auto node = from.node == node_id{} ? ""s : to_string(from.node);
  return node + (from.from.empty() ? "" : "/" + from.from.text())
         + (from.is_member ? " member" : "") + (from.is_proven ? " proven" : "");
}

} // namespace

TEST_CASE("an agent sees who sent a message", "[node][agents]") {
  testing::cluster c{2};
  REQUIRE(c[0].agent("who", [](const message_info& from, int) { return told(from); }));
  auto ask = [](auto&& messages) {
    return messages.template request<std::string>(to_agent("who"), 5s, 1).value_or("nobody");
  };
  REQUIRE(c.until([&] { return c[1].find("who").has_value(); }));
  for (auto each : {std::size_t{0}, std::size_t{1}})
    CHECK(ask(c[each]) == to_string(c[each].id()) + " member proven");
  auto client = c.connect(0);
  REQUIRE(client);
  auto seen = ask((*client)->messages());
  CHECK_THAT(seen, !ContainsSubstring("member") && ContainsSubstring(" proven"));
  CHECK(seen.size() > std::string{" proven"}.size());
}

TEST_CASE(
  "an agent sees who sent a message also if a second node passes it on, and over insecure links",
  "[node][agents]") {
  auto insecure = GENERATE(false, true);
  CAPTURE(insecure);
  testing::cluster c{3, [&](std::size_t, node_options& how) { how.links.insecure = insecure; }};
  // Over links without certificates all is only claimed, except what this process says itself.
  auto proven = insecure ? ""s : " proven"s;
  for (std::size_t each = 0; each < c.size(); ++each)
    REQUIRE(c[each].agent("who-" + std::to_string(each),
                          [](const message_info& from, int) { return told(from); }));
  auto ask = [](auto&& messages, std::size_t whom) {
    auto said
      = messages.template request<std::string>(to_agent("who-" + std::to_string(whom)), 5s, 1);
    return said ? *said : std::string{name_of(said.error().code)};
  };
  for (std::size_t from = 0; from < c.size(); ++from)
    for (std::size_t to = 0; to < c.size(); ++to) {
      REQUIRE(c.until([&] { return c[from].find("who-" + std::to_string(to)).has_value(); }));
      CHECK(ask(c[from], to)
            == to_string(c[from].id()) + " member" + (from == to ? " proven"s : proven));
    }
  auto client = insecure
                  ? cluster_client::connect({{"127.0.0.1", c[1].port()}}, 10s, {.insecure = true})
                  : c.connect(1);
  REQUIRE(client);
  // The node that it is linked to passes on what is for the agents of the two others.
  auto seen = ask((*client)->messages(), 0);
  CHECK_THAT(seen, !ContainsSubstring("member") && !ContainsSubstring("/"));
  CHECK(seen.size() > proven.size());
  CHECK(seen.ends_with(proven));
  for (std::size_t node = 0; node < c.size(); ++node) {
    CHECK_FALSE(seen.starts_with(to_string(c[node].id())));
    CHECK(ask((*client)->messages(), node) == seen);
  }
}

TEST_CASE("what is no name is refused at once", "[node][agents]") {
  testing::cluster c{1};
  for (auto& bad : {std::string(256, 'x'), "two\nlines"s, "\xff"s}) {
    auto refused = node::start({.name = bad, .listen = {"127.0.0.1", 0}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::bad_argument);
    CHECK_THAT(refused.error().detail, ContainsSubstring("node_options::name: the name of "));
    CHECK(c[0].agent(bad, echo()).error().code == errc::bad_argument);
    CHECK(c[0].agent("a", {.capabilities = {bad}}, echo()).error().code == errc::bad_argument);
    CHECK(c[0].agent("a", {.groups = {bad}}, echo()).error().code == errc::bad_argument);
  }
  CHECK(c[0].agent("", echo()).error().code == errc::bad_argument);
  CHECK(answer_of(c[0], "a") == "not_found");
}

TEST_CASE("messages reach the agents of a node in maintenance, work that others can do does not",
          "[node][agents]") {
  testing::cluster c{3};
  auto called = [](const std::string& name) { return [name](int) { return name; }; };
  agent_options able{.capabilities = {"work"}, .groups = {"all"}};
  REQUIRE(c[1].agent("rests", able, called("rests")));
  REQUIRE(c[2].agent("goes-on", able, called("goes-on")));
  REQUIRE(c[1].maintain());
  REQUIRE(c[1].agent("later", called("later")));
  auto ask = [&](int from, const router::recipients& to) {
    auto said = c[static_cast<std::size_t>(from)].request<std::string>(to, 5s, 1);
    return said ? *said : std::string{name_of(said.error().code)};
  };
  auto answer = [&](const router::recipients& to) { return ask(0, to); };
  for (auto from : {0, 1}) // another node, and the one in maintenance itself
    CHECK(c.until([&] { return ask(from, to_agent("later")) == "later"; })); // and all before it
  CHECK(answer(to_agent("rests")) == "rests");
  CHECK(c.until([&] { return c[0].broadcast(to_group("all"), 1)->sent == 2; }));
  CHECK(c.until([&] { // what it hears of itself comes after its own word
    auto to_others = 0;
    for (auto each = 0; each < 8; ++each)
      to_others += ask(1, to_any("work")) == "goes-on" ? 1 : 0;
    return to_others == 8;
  }));
  for (auto from : {0, 1})
    for (auto each = 0; each < 8; ++each)
      CHECK(ask(from, to_any("work")) == "goes-on");
  c[2].remove_agent("goes-on");
  CHECK(c.until([&] { return answer(to_any("work")) == "rests"; }));
}

TEST_CASE(
  "of linked actors on two nodes the one that made the link ends with the other, and only it",
  "[node][agents]") {
  testing::cluster c{2};
  auto far = c[1].system().spawn(
    [] { return caf::behavior{[](const std::string& text) { return text; }}; });
  REQUIRE(c[1].add_agent("far", far));
  REQUIRE(c.until([&] { return c[0].find("far").has_value(); }));
  auto seen_here = c[0].find("far").value();
  auto link_one = [&] {
    return c[0].system().spawn([&](caf::event_based_actor* self) {
      self->link_to(seen_here);
      return caf::behavior{[](int number) { return number; }};
    });
  };
  caf::scoped_actor watcher{c[0].system()};
  auto ends = [&](const caf::actor& who) {
    watcher->monitor(who);
    auto heard = false;
    watcher->receive([&](const caf::down_msg& what) { heard = what.source == who; },
                     caf::after(10s) >> [] {});
    return heard;
  };
  auto first = link_one();
  auto second = link_one();
  for (auto& each : {first, second}) // so they have made their links
    watcher->request(each, 10s, 1).receive([](int) {}, [](const caf::error&) { FAIL(); });
  caf::anon_send_exit(first, caf::exit_reason::kill);
  CHECK(ends(first));
  caf::anon_send_exit(seen_here, caf::exit_reason::kill); // does not pass between nodes
  CHECK(answer_of(c[0], "far") == "hello");
  CHECK(answer_of(c[0], "far") == "hello");
  c[1].remove_agent("far");
  caf::anon_send_exit(far, caf::exit_reason::user_shutdown);
  CHECK(ends(second));
  CHECK(ends(seen_here));
}
