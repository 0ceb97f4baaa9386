// Services here and on another node: the same code, the same answers.
#include "node/node_fixture.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/registry/name_service.hpp"
#include "troupe/registry/registry_service.hpp"
#include "troupe/scheduler/scheduler_service.hpp"
#include "troupe/state/state_service.hpp"

#include <catch2/generators/catch_generators.hpp>

#include "caf/send.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

/// A service spawned on the second node of two, by that node itself or by the other.
template <class Service, class Protocol>
struct placed {
  explicit placed(bool is_remote, const typename Service::options& options = {})
    : client(c[1].system()) {
    auto made = [&] {
      if (!is_remote)
        return spawn<Service>(c[1].system(), options);
      auto there = c[1].find_peer("n0");
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

  testing::cluster c{2};
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

TEST_CASE("a registry serves here and elsewhere", "[node][placement]") {
  auto is_remote = GENERATE(false, true);
  INFO((is_remote ? "on another node" : "here"));
  placed<registry::registry_service, registry::registry_protocol> at{is_remote};
  registry::record echo;
  echo.key = {registry::record_kind::agent, "echo", "ann"};
  echo.boot = echo.version = echo.token = 1;
  echo.capabilities = {"speak"};
  auto report = at.client.ask(registry::put_records{{echo}}, 5s);
  REQUIRE(report);
  CHECK(report->merged == 1);
  auto found = at.client.ask(registry::find_records{.capabilities = {"speak"}}, 5s);
  REQUIRE(found);
  REQUIRE(found->records.size() == 1);
  CHECK(found->records[0].value == echo);
  CHECK(at.client.ask(registry::heartbeat{"bob", 1}, 5s).error().code == errc::not_found);
}

TEST_CASE("a service of names serves here and elsewhere", "[node][placement]") {
  auto is_remote = GENERATE(false, true);
  INFO((is_remote ? "on another node" : "here"));
  placed<registry::name_service, registry::names_protocol> at{is_remote};
  CHECK(at.client.ask(registry::names::claim{{"echo"}, "ann", 1}, 5s));
  CHECK(at.client.ask(registry::names::claim{{"echo"}, "bob", 1}, 5s).error().code
        == errc::name_taken);
  CHECK(at.client.ask(registry::names::release{{"echo"}, "ann", 1}, 5s));
  CHECK(at.client.ask(registry::names::claim{{"echo"}, "bob", 1}, 5s));
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
  scheduler::worker hands{at.c[1].system(), at.client, "node", 1, {}, {}};
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
