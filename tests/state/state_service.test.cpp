#include "troupe/state/state_service.hpp" // the header under test
#include "support/temporary_folder.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/host/durable.hpp"
#include "troupe/storage/sqlite_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "caf/actor_system.hpp"
#include "caf/scheduler/test_coordinator.hpp"
#include "caf/scoped_actor.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::state;
using Catch::Matchers::ContainsSubstring;
using host::call;
using host::session_id;

namespace {

struct config : caf::actor_system_config {
  config() {
    init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                  caf::id_block::troupe_state>();
    set("caf.scheduler.policy", "testing");
    host::add_service<state_service>(*this);
  }
};

/// One system whose scheduler and clock move only when the test says so. Disks have
/// threads of their own, so the test waits for what it expects of them.
struct fixture {
  config cfg;
  caf::actor_system sys{cfg};
  caf::scheduler::test_coordinator& sched
    = dynamic_cast<caf::scheduler::test_coordinator&>(sys.scheduler());
  caf::scoped_actor self{sys};
  test::temporary_folder folder;

  template <class Condition>
  void until(Condition condition) {
    auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline)
        FAIL("waited 20 s in vain");
      sched.run();
      std::this_thread::yield();
    }
  }

  template <class Handle, class... Ts>
  auto send(const Handle& hdl, const Ts&... what) {
    return self->request(hdl, caf::infinite, what...);
  }

  template <class Result, class Pending>
  caf::expected<Result> receive(Pending&& pending) {
    until([this] { return !self->mailbox().empty(); });
    caf::expected<Result> result{caf::error{}};
    pending.receive([&](Result& value) { result = std::move(value); },
                    [&](caf::error& why) { result = std::move(why); });
    return result;
  }

  template <class T>
  caf::expected<typename T::result> ask(const state_actor& hdl, const call& who, const T& what) {
    return receive<typename T::result>(send(hdl, who, what));
  }

  template <class T>
  typename T::result look(const state_actor& hdl, const T& question) {
    return *receive<typename T::result>(send(hdl, question));
  }

  state_actor start(bool on_disk) {
    if (!on_disk)
      return *host::spawn<state_service>(sys);
    auto log = std::make_unique<storage::sqlite_log>(folder / "state");
    auto hdl = host::spawn<state_service>(sys, {}, host::durable{std::move(log)});
    REQUIRE(hdl);
    return *hdl;
  }

  void stop(state_actor& hdl) {
    self->send_exit(hdl, caf::exit_reason::user_shutdown);
    sched.run();
    hdl = nullptr;
  }
};

const entry_key alpha{consistency::eventual, value_type::lww_register, "alpha"};

put text(std::string_view value) {
  return {.key = alpha, .value = to_value(value)};
}

} // namespace

TEST_CASE_METHOD(fixture, "a state service answers alike on every host", "[state][service]") {
  auto on_disk = GENERATE(false, true);
  INFO((on_disk ? "durable" : "in memory"));
  auto hdl = start(on_disk);
  auto session = *receive<session_id>(send(hdl, host::open_session{}));
  auto first = ask(hdl, {session, 1}, text("one"));
  REQUIRE(first);
  SECTION("a refusal is a troupe::errc with a sentence") {
    auto what = text("two");
    what.expect_version = 0;
    auto refusal = ask(hdl, {}, what);
    REQUIRE_FALSE(refusal);
    CHECK(refusal.error() == errc::conflict);
    CHECK_THAT(to_string(refusal.error()), ContainsSubstring("read it again"));
  }
  SECTION("a repeat gets the answer that was given, and writes nothing") {
    REQUIRE(ask(hdl, {session, 2}, text("two")));
    CHECK(*ask(hdl, {session, 1}, text("one")) == *first);
    CHECK(to_text(look(hdl, get{alpha}).entries.at(0).value) == "two");
  }
  SECTION("a watch waits for news") {
    auto known = look(hdl, watch_state{.wait = 10s}); // a snapshot does not wait
    CHECK(known.complete);
    auto waiting = send(hdl, watch_state{.wait = 10s}.next(known));
    sched.run();
    CHECK(self->mailbox().empty());
    REQUIRE(ask(hdl, {}, text("two")));
    auto news = receive<state_changes>(waiting);
    REQUIRE(news);
    CHECK(news->changes.size() == 1);
    SECTION("and ends without, in the end") {
      auto nothing = send(hdl, watch_state{.wait = 10s}.next(*news));
      sched.run();
      sched.advance_time(10s);
      CHECK(receive<state_changes>(nothing)->changes.empty());
    }
  }
  SECTION("a watch that cannot be is refused") {
    auto waiting = send(hdl, watch_state{.scope = {.prefix = std::string(513, 'k')}, .wait = 1s});
    CHECK(receive<state_changes>(waiting).error() == errc::too_large);
  }
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "revisions of another life are above", "[state][service]") {
  auto hdl = start(false);
  auto old = ask(hdl, {}, text("one"));
  REQUIRE(old);
  stop(hdl);
  hdl = start(false); // in memory: all is lost
  auto known = look(hdl, watch_state{.after = old->version, .wait = 10s});
  CHECK(known.complete);
  CHECK(known.revision > old->version);
  auto late = text("two");
  late.context = old->clock;
  CHECK(ask(hdl, {}, late).error() == errc::conflict);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "other nodes can spawn the state service by name", "[state][service]") {
  auto made = sys.spawn<caf::actor>("troupe.state",
                                    caf::make_message(state_options{}, caf::strong_actor_ptr{}));
  REQUIRE(made);
  auto hdl = caf::actor_cast<state_actor>(*made);
  CHECK(ask(hdl, {}, text("one")));
  stop(hdl);
}
