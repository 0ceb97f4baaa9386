// Services here and on another node: the same code, the same answers.
#include "node/node_fixture.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/node/spawn.hpp"
#include "troupe/registry/name_service.hpp"
#include "troupe/router/router_client.hpp"
#include "troupe/router/router_service.hpp"
#include "troupe/scheduler/scheduler_service.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/state/state_service.hpp"

#include <catch2/generators/catch_generators.hpp>

#include "caf/send.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

using router_program = host::client<router::router_protocol>;

/// Answers a text with its own name before it.
auto sayer(const std::string& name) {
  return [name](const std::string& text) { return name + ": " + text; };
}

template <class Handle>
router::add_agent as_agent(const std::string& id, const Handle& who,
                           std::set<std::string> capabilities = {},
                           std::set<std::string> groups = {}) {
  return {id, caf::actor_cast<caf::strong_actor_ptr>(who), std::move(capabilities),
          std::move(groups)};
}

/// A service spawned on the second node of two, by that node itself or by the other.
template <class Service, class Protocol>
struct placed {
  explicit placed(bool is_remote, const typename Service::options& options = {})
    : client(c[1].system()) {
    auto made = [&] {
      if (!is_remote)
        return spawn<Service>(c[1].system(), options);
      auto there = test::find_peer(c, 1, "n0");
      REQUIRE(there);
      return spawn_at<Service>(*there, options);
    }();
    REQUIRE(made);
    handle = caf::actor_cast<caf::strong_actor_ptr>(*made);
    CHECK((handle->node() == c[1].system().node()) == !is_remote);
    client.set_target(handle);
  }

  ~placed() {
    client.reset();
    caf::anon_send_exit(handle, caf::exit_reason::user_shutdown);
  }

  testing::cluster c{2, [](std::size_t, node_options& how) { how.allow_spawn = true; }};
  host::client<Protocol> client;
  caf::strong_actor_ptr handle;
};

} // namespace

TEST_CASE("a lock service serves here and elsewhere", "[node][placement]") {
  auto is_remote = GENERATE(false, true);
  INFO((is_remote ? "on another node" : "here"));
  placed<lock::lock_service, lock::lock_protocol> at{is_remote, {.max_locks = 1}};
  lock::lock_client locks{at.client};
  auto first = locks.acquire("db", {.ttl = 10s});
  REQUIRE(first);
  CHECK(locks.acquire("db", {.ttl = 10s}).error().code == errc::lock_held);
  CHECK(locks.acquire("disk", {.ttl = 10s}).error().code == errc::limit_reached);
  CHECK(locks.renew(*first, 20s));
  REQUIRE(locks.release(*first));
  auto second = locks.acquire("db", {.ttl = 10s});
  REQUIRE(second);
  CHECK(second->token > first->token);
}

TEST_CASE("a service of names serves here and elsewhere", "[node][placement]") {
  auto is_remote = GENERATE(false, true);
  INFO((is_remote ? "on another node" : "here"));
  placed<registry::name_service, registry::names_protocol> at{is_remote};
  CHECK(at.client.ask(registry::names::claim{{"echo"}, owner_id{"ann"}, 1}, 5s));
  CHECK(at.client.ask(registry::names::claim{{"echo"}, owner_id{"bob"}, 1}, 5s).error().code
        == errc::name_taken);
  CHECK(at.client.ask(registry::names::release{{"echo"}, owner_id{"ann"}, 1}, 5s));
  CHECK(at.client.ask(registry::names::claim{{"echo"}, owner_id{"bob"}, 1}, 5s));
}

TEST_CASE("a state service serves here and elsewhere", "[node][placement]") {
  auto is_remote = GENERATE(false, true);
  INFO((is_remote ? "on another node" : "here"));
  placed<state::state_service, state::state_protocol> at{is_remote};
  state::state_client values{at.c[1].system(), at.client};
  state::entry_key key{state::consistency::strong, state::value_type::version_register, "k"};
  auto first = values.put(key, "one");
  REQUIRE(first);
  CHECK(values.put(key, "two", {.expect_version = first->version + 1}).error().code
        == errc::conflict);
  CHECK(values.put(key, "two", {.expect_version = first->version}));
  auto found = values.get(key);
  REQUIRE(found);
  REQUIRE(found->entries.size() == 1);
  CHECK(state::to_text(found->entries[0].value) == "two");
}

TEST_CASE("a scheduler serves here and elsewhere", "[node][placement]") {
  auto is_remote = GENERATE(false, true);
  INFO((is_remote ? "on another node" : "here"));
  placed<scheduler::scheduler_service, scheduler::scheduler_protocol> at{is_remote};
  scheduler::worker hands{at.c[1].system(), at.client, owner_id{"node"}, 1, {}, {}};
  auto run = at.client.ask(
    scheduler::submit{.name = "nap", .tasks = {{.id = "nap", .handler = "sleep", .input = "0"}}},
    5s);
  REQUIRE(run);
  CHECK(at.c.until([&] {
    auto found = at.client.ask(scheduler::find_run{run->run}, 5s);
    return found && found->run.state == scheduler::run_state::completed;
  }));
  CHECK(hands.drain(10s));
}

TEST_CASE("a router serves here and elsewhere", "[node][placement]") {
  auto is_remote = GENERATE(false, true);
  INFO((is_remote ? "on another node" : "here"));
  placed<router::router_service, router::router_protocol> at{is_remote, {.max_agents = 2}};
  // One agent on each side, whichever the router's is.
  REQUIRE(at.c[0].agent("at n0", sayer("n0")));
  auto own = at.c[1].system().spawn([](caf::event_based_actor*) -> caf::behavior {
    return {[](const std::string& text) { return "n1: " + text; }};
  });
  REQUIRE(at.c[1].add_agent("at n1", own));
  caf::actor far;
  REQUIRE(at.c.until([&] {
    auto found = at.c[1].find("at n0");
    far = found ? *found : caf::actor{};
    return found.has_value();
  }));
  auto near = at.c[1].find("at n1");
  REQUIRE(near);

  auto added = at.client.ask(as_agent("far", far, {"speak"}, {"all"}), 5s);
  REQUIRE(added);
  CHECK(added->changed);
  REQUIRE(at.client.ask(as_agent("near", *near, {"speak", "listen"}, {"all"}), 5s));
  CHECK(at.client.ask(as_agent("far", *near), 5s).error().code == errc::name_taken);
  CHECK(at.client.ask(as_agent("third", far), 5s).error().code == errc::limit_reached);
  CHECK(at.client.ask(as_agent("", far), 5s).error().code == errc::bad_argument);
  CHECK_FALSE(at.client.ask(as_agent("far", far, {"speak"}, {"all"}), 5s)->changed);

  router::router_client messages{at.c[1].system(), at.handle};
  auto say = [&](const router::recipients& to) {
    auto answer = messages.request<std::string>(to, 5s, "hello"s);
    return answer ? *answer : std::string{name_of(answer.error().code)};
  };
  CHECK(say(to_agent("far")) == "n0: hello");
  CHECK(say(to_agent("near")) == "n1: hello");
  CHECK(say(to_agent("nobody")) == "not_found");
  CHECK(say(to_any("listen")) == "n1: hello");
  CHECK(std::set{say(to_any("speak")), say(to_any("speak"))}
        == std::set{"n0: hello"s, "n1: hello"s}); // in turn
  auto heard = [&](const router::recipients& to) {
    auto report = messages.broadcast(to, "hello"s);
    return report ? report->sent : 0;
  };
  CHECK(heard(to_group("all")) == 2);
  CHECK(heard(to_all("listen")) == 1);
  CHECK(heard(to_everyone()) == 2);
  CHECK(heard(to_group("none")) == 0);

  CHECK(messages.find("far")->node() == at.c[0].system().node());
  CHECK(messages.find("nobody").error().code == errc::not_found);
  auto first = at.client.ask(router::list_agents{.limit = 1}, 5s);
  REQUIRE(first);
  CHECK(first->more);
  CHECK(first->agents == std::vector<router::agent_view>{{"far", {"speak"}, {"all"}}});
  auto rest = at.client.ask(router::list_agents{to_any("speak"), "far"}, 5s);
  REQUIRE(rest);
  CHECK_FALSE(rest->more);
  CHECK(rest->agents == std::vector<router::agent_view>{{"near", {"listen", "speak"}, {"all"}}});

  CHECK(at.client.ask(router::remove_agent{"far"}, 5s)->changed);
  CHECK_FALSE(at.client.ask(router::remove_agent{"far"}, 5s)->changed);
  CHECK(say(to_agent("far")) == "not_found");
  at.c[1].remove_agent("at n1"); // of its node alone
  CHECK(say(to_agent("near")) == "n1: hello");
  caf::anon_send_exit(*near, caf::exit_reason::user_shutdown);
  CHECK(at.c.until([&] { return say(to_agent("near")) == "not_found"; }));
}

TEST_CASE("what is only sent through a router arrives in order on both sides",
          "[node][placement]") {
  auto is_remote = GENERATE(false, true);
  INFO((is_remote ? "on another node" : "here"));
  placed<router::router_service, router::router_protocol> at{is_remote};
  auto log = std::make_shared<std::string>();
  auto agent = at.c[1].system().spawn([log](caf::event_based_actor*) -> caf::behavior {
    return {[log](const std::string& text) { *log += text; }, [log](int) { return *log; }};
  });
  REQUIRE(at.client.ask(as_agent("log", agent), 5s));
  router::router_client messages{at.c[1].system(), at.handle};
  for (auto* each : {"a", "b", "c"})
    messages.send(to_agent("log"), std::string{each});
  // Another sender's message may overtake those.
  CHECK(at.c.until([&] {
    auto heard = messages.request<std::string>(to_agent("log"), 5s, 0);
    return heard && *heard == "abc";
  }));
  caf::anon_send_exit(agent, caf::exit_reason::user_shutdown);
}

TEST_CASE("a router takes no agent that it or who asks may have no link to", "[node][placement]") {
  testing::cluster c{3, [](std::size_t, node_options& how) { how.allow_spawn = true; }};
  auto place = test::find_peer(c, 1, "n0");
  REQUIRE(place);
  auto there = spawn_at<router::router_service>(*place);
  REQUIRE(there);
  REQUIRE(c[2].agent("at n2", sayer("n2")));
  REQUIRE(c.until([&] { return c[1].find("at n2").has_value(); }));
  router_program one{c[1].system(), *there};
  auto refused = one.ask(as_agent("third", *c[1].find("at n2")), 5s).error();
  CHECK(refused.code == errc::bad_argument);
  CHECK(refused.detail.find("from its own process") != std::string::npos);
  one.reset();
}
