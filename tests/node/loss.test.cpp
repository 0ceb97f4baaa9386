#include "node/node_fixture.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <future>
#include <set>
#include <string>

#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"

using namespace std::literals;
using namespace troupe;
using troupe::test::answer_of;
using troupe::test::echo;

namespace {

/// Quick to notice.
void hasten(std::size_t, node_options& how) {
  how.lost_after = 200ms;
}

/// How the registry shows an agent; empty if it does not.
std::string status_of(node& asked, const std::string& agent) {
  auto answer = asked.registry().service().ask(
    registry::get_record{registry::record_kind::agent, agent, {}}, 5s);
  return answer && answer->found ? std::string{name_of(answer->found->status)} : "";
}

/// Gets requests and never answers.
caf::actor spawn_silent(caf::actor_system& sys, const std::shared_ptr<std::atomic<int>>& heard) {
  return sys.spawn([heard](caf::event_based_actor* self) -> caf::behavior {
    auto kept = std::make_shared<std::vector<caf::typed_response_promise<std::string>>>();
    return {[self, heard, kept](const std::string&) -> caf::result<std::string> {
      auto promise = self->make_response_promise<std::string>();
      kept->push_back(promise);
      ++*heard;
      return promise;
    }};
  });
}

/// Those of a node that leads.
host::client<registry::names_protocol> names_of(node& leader) {
  caf::scoped_actor self{leader.system()};
  caf::strong_actor_ptr found;
  self->request(leader.router(), 5s, router::find_service{cluster::names_name})
    .receive([&](const router::service_place& where) { found = where.handle; },
             [](const caf::error& why) { FAIL(to_string(why)); });
  return {leader.system(), caf::actor_cast<registry::names_actor>(found)};
}

/// Has callers on `from` not reach an agent, as often as it takes.
void miss(node& from, const std::string& agent) {
  for (auto count = 0; count < 3; ++count)
    CHECK_FALSE(from.request<std::string>(to_agent(agent), 100ms, 1));
}

} // namespace

TEST_CASE("requests that wait for a node fail when its link is lost", "[node]") {
  testing::cluster c{3, hasten};
  auto heard = std::make_shared<std::atomic<int>>(0);
  auto silent = spawn_silent(c[1].system(), heard);
  REQUIRE(c[1].add_agent("silent", silent));
  REQUIRE(c.until([&] { return c[2].find("silent").has_value(); }));
  auto waiting = std::async(std::launch::async, [&] {
    return c[2].request<std::string>(to_agent("silent"), 60s, "anybody?"s);
  });
  REQUIRE(c.until([&] { return *heard == 1; }));
  auto began = std::chrono::steady_clock::now();
  c[1].stop();
  auto answer = waiting.get();
  CHECK(std::chrono::steady_clock::now() - began < 10s);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == errc::outcome_unknown);
  SECTION("later ones find nobody, and its agents show disconnected") {
    auto later = answer_of(c[2], "silent");
    CHECK((later == "unreachable" || later == "not_found"));
    CHECK(c.until([&] { return status_of(c[0], "silent") == "disconnected"; }));
    CHECK(c.until([&] { return answer_of(c[2], "silent") == "not_found"; }));
  }
  caf::anon_send_exit(silent, caf::exit_reason::user_shutdown);
}

TEST_CASE("names of a node that is lost and kept nothing are free", "[node]") {
  testing::cluster c{3, hasten};
  REQUIRE(c[1].agent("echo", echo()));
  CHECK(c[2].agent("echo", echo()).error().code == errc::name_taken);
  c.stop(1);
  CHECK(c.until([&] { return c[2].agent("echo", echo()); }));
  CHECK(c.until([&] { return answer_of(c[0], "echo") == "hello"; }));
}

TEST_CASE("an agent whose name another has claimed gets nothing more and is told", "[node]") {
  testing::cluster c{2};
  auto told = std::make_shared<std::atomic<bool>>(false);
  agent_options how;
  auto asks_to_be_told = GENERATE(false, true);
  if (asks_to_be_told)
    how.on_name_taken = [told](const problem& why) { *told = why.code == errc::name_taken; };
  auto made = c[1].system().spawn([](caf::event_based_actor*) -> caf::behavior {
    return {[](const std::string&) { return "mine"s; }};
  });
  REQUIRE(c[1].add_agent("only", made, how));
  caf::scoped_actor self{c[1].system()};
  self->monitor(made);
  // As if the leader had given up a node that is there.
  REQUIRE(names_of(c[0]).ask(registry::names::owner_gone{c[1].id(), c[1].boot()}, 5s));
  REQUIRE(c[0].agent("only", echo()));
  if (asks_to_be_told) {
    CHECK(c.until([&] { return told->load(); }));
    caf::anon_send_exit(made, caf::exit_reason::user_shutdown);
  }
  self->receive([&](const caf::down_msg& gone) {
    CHECK((gone.reason == errc::name_taken) == !asks_to_be_told);
  });
  CHECK(c.until([&] { return answer_of(c[1], "only") == "hello"; })); // of the other one
}

TEST_CASE("an agent that callers did not reach is pinged, and healthy once it answers", "[node]") {
  testing::cluster c{
    2, [](std::size_t, node_options& how) { how.services.registry.check_every = 50ms; }};
  auto owner = GENERATE(std::size_t{0}, std::size_t{1});
  auto& caller = c[1 - owner];
  std::promise<void> go_on;
  auto hangs = c[owner].system().spawn<caf::detached>(
    [wait = go_on.get_future().share()](caf::event_based_actor*) -> caf::behavior {
      return {[wait](const std::string&) { wait.get(); }, [](int) { return "slow"s; }};
    });
  REQUIRE(c[owner].add_agent("slow", hangs));
  auto health = [](node& at) {
    auto answer = at.registry().service().ask(
      registry::get_record{registry::record_kind::agent, "slow", {}}, 5s);
    return answer && answer->found && answer->found->healthy;
  };
  REQUIRE(c.until([&] { return health(caller); }));
  REQUIRE(
    c.until([&] { return caller.request<std::string>(to_agent("slow"), 1s, 1).has_value(); }));
  caf::anon_send(hangs, "hang"s);
  miss(caller, "slow");
  CHECK(c.until([&] { return !health(caller); }));
  CHECK_FALSE(c.until([&] { return health(caller); }, 300ms)); // it is alive, and answers nobody
  CHECK(health(c[owner])); // who has not called it knows nothing of that
  go_on.set_value();
  CHECK(c.until([&] { return health(caller); }));
  caf::anon_send_exit(hangs, caf::exit_reason::user_shutdown);
}

TEST_CASE("an agent that callers did not reach gets no work that others can do until it answers",
          "[node]") {
  testing::cluster c{
    2, [](std::size_t, node_options& how) { how.services.registry.check_every = 100ms; }};
  std::promise<void> go_on;
  auto hangs = c[0].system().spawn<caf::detached>(
    [wait = go_on.get_future().share()](caf::event_based_actor*) -> caf::behavior {
      return {[wait](const std::string&) { wait.get(); }, [](int) { return "slow"s; }};
    });
  agent_options able{.capabilities = {"work"}};
  REQUIRE(c[0].add_agent("slow", caf::actor_cast<caf::strong_actor_ptr>(hangs), able));
  REQUIRE(c[1].agent("well", able, [](int) { return "well"s; }));
  auto who_works = [&](std::size_t from) {
    std::set<std::string> found;
    for (auto count = 0; count < 4; ++count)
      found.insert(c[from].request<std::string>(to_any("work"), 1s, 1).value_or("nobody"));
    return found;
  };
  auto both = std::set{"slow"s, "well"s};
  for (auto from : {std::size_t{0}, std::size_t{1}})
    REQUIRE(c.until([&] { return who_works(from) == both; }));
  caf::anon_send(hangs, "hang"s);
  miss(c[1], "slow");
  CHECK(c.until([&] { return who_works(1) == std::set{"well"s}; }));
  go_on.set_value();
  CHECK(c.until([&] { return who_works(1) == both; }));
  caf::anon_send_exit(hangs, caf::exit_reason::user_shutdown);
}

TEST_CASE("requests that an agent leaves unanswered make it unhealthy, and an answer well",
          "[node]") {
  testing::cluster c{
    2, [](std::size_t, node_options& how) { how.services.registry.check_every = 1h; }};
  std::promise<void> go_on;
  auto hangs = c[0].system().spawn<caf::detached>(
    [wait = go_on.get_future().share()](caf::event_based_actor*) -> caf::behavior {
      return {[wait](const std::string&) { wait.get(); }, [](int) { return "slow"s; }};
    });
  auto is_unique = GENERATE(true, false);
  REQUIRE(c[0].add_agent("slow", caf::actor_cast<caf::strong_actor_ptr>(hangs),
                         agent_options{.unique = is_unique}));
  auto is_well = [&] {
    auto name = is_unique ? "slow"s : "slow@" + to_string(c[0].id());
    auto answer = c[1].registry().service().ask(
      registry::get_record{registry::record_kind::agent, name, {}}, 5s);
    return answer && answer->found && answer->found->healthy;
  };
  auto ask = [&](duration wait) {
    return c[1].request<std::string>(to_agent("slow"), wait, 1).has_value();
  };
  REQUIRE(c.until([&] { return ask(1s) && is_well(); }));
  caf::anon_send(hangs, "hang"s);
  for (auto count = 0; count < 10; ++count)
    CHECK_FALSE(ask(20ms)); // who is that impatient says nothing
  CHECK_FALSE(c.until([&] { return !is_well(); }, 200ms));
  for (auto count = 0; count < 3; ++count)
    CHECK_FALSE(ask(100ms));
  CHECK(c.until([&] { return !is_well(); }));
  go_on.set_value();
  CHECK(ask(5s));
  CHECK(c.until(is_well)); // nobody pings it for an hour
  caf::anon_send_exit(hangs, caf::exit_reason::user_shutdown);
}

TEST_CASE("an operator is told of a service that has ended", "[node]") {
  test::lines log;
  testing::cluster c{1, [&](std::size_t, node_options& how) { how.log = log; }};
  caf::scoped_actor self{c[0].system()};
  self->request(c[0].router(), 5s, router::find_service{"troupe.lock"})
    .receive(
      [](const router::service_place& found) {
        caf::anon_send_exit(caf::actor_cast<caf::actor>(found.handle), caf::exit_reason::kill);
      },
      [](const caf::error& why) { FAIL(to_string(why)); });
  CHECK(c.until([&] { return log.contain("service troupe.lock ended"); }));
}
