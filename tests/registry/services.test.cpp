#include "registry/clocked_table.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/host/durable.hpp"
#include "troupe/registry/name_service.hpp"     // a header under test
#include "troupe/registry/registry_service.hpp" // a header under test
#include "troupe/storage/sqlite_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "caf/actor_system.hpp"
#include "caf/scheduler/test_coordinator.hpp"
#include "caf/scoped_actor.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::registry;
using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;
using host::call;

namespace {

struct config : caf::actor_system_config {
  config() {
    init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                  caf::id_block::troupe_registry>();
    set("caf.scheduler.policy", "testing");
    host::add_service<registry_service>(*this);
    host::add_service<name_service>(*this);
  }
};

/// One system whose scheduler and clock move only when the test says so. Disks
/// have threads of their own, so the test waits for what it expects of them.
struct fixture {
  config cfg;
  caf::actor_system sys{cfg};
  caf::scheduler::test_coordinator& sched
    = dynamic_cast<caf::scheduler::test_coordinator&>(sys.scheduler());
  caf::scoped_actor self{sys};
  temporary_folder folder;

  /// Lets actors run until `condition` holds.
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

  template <class Handle, class T>
  auto ask(const Handle& hdl, const T& what) {
    return receive<typename T::result>(send(hdl, call{}, what));
  }

  template <class Handle, class T>
  auto look(const Handle& hdl, const T& question) {
    return *receive<typename T::result>(send(hdl, question));
  }

  template <class Handle>
  void stop(Handle& hdl) {
    self->send_exit(hdl, caf::exit_reason::user_shutdown);
    sched.run();
    hdl = nullptr;
  }

  template <class Service>
  typename Service::handle start_durable(const char* name) {
    auto log = std::make_unique<storage::sqlite_log>(folder / name);
    auto hdl = host::spawn<Service>(sys, {}, host::durable{std::move(log)});
    REQUIRE(hdl);
    return *hdl;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a registry answers over the network", "[registry][service]") {
  auto hdl = *host::spawn<registry_service>(sys);
  auto painter = agent("painter", "n1", 2);
  painter.capabilities = {"draw"};
  CHECK(*ask(hdl, put_records{{node("n1"), painter}}) == put_report{2, 0, 0, 0});
  SECTION("with what it knows") {
    CHECK(look(hdl, get_record{record_kind::agent, "painter@n1"}).found->value == painter);
    CHECK(look(hdl, find_records{.capabilities = {"draw"}}).records.size() == 1);
    CHECK(look(hdl, count_records{}).agents.active == 1);
    CHECK(look(hdl, find_owner{"n1"}).boot == 1);
    CHECK(ask(hdl, heartbeat{"n1", 1})->heartbeat_every == 10s);
    CHECK_FALSE(ask(hdl, report_outcome{painter.key, call_outcome::condemned})->healthy);
    CHECK(ask(hdl, forget{"n1", 1})->over);
  }
  SECTION("a refusal is a troupe::errc with a sentence") {
    auto answer = ask(hdl, heartbeat{"n9", 1});
    REQUIRE_FALSE(answer);
    CHECK(answer.error() == errc::not_found);
    CHECK_THAT(to_string(answer.error()), ContainsSubstring("put its records first"));
  }
  SECTION("a silent node turns inactive by itself") {
    sched.advance_time(30s);
    until([&] { return look(hdl, count_records{}).agents.inactive == 1; });
    CHECK(look(hdl, get_record{record_kind::agent, "painter@n1"}).found->unseen_for == 30s);
  }
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "a watcher is told when there is something to tell",
                 "[registry][service]") {
  auto hdl = *host::spawn<registry_service>(sys);
  CHECK(ask(hdl, put_records{{node("n1")}}));
  watch_records question{.wait = 10s};
  auto first = look(hdl, question); // does not wait: there is news
  CHECK(first.complete);
  REQUIRE(first.changes.size() == 1);
  question = question.next(first);
  auto pending = send(hdl, question);
  sched.run();
  CHECK(self->mailbox().empty());
  SECTION("as soon as a record changes") {
    compat::anon_send(hdl, call{}, put_records{{agent("a", "n1", 2)}});
    auto news = *receive<record_changes>(pending);
    REQUIRE(news.changes.size() == 1);
    CHECK(news.changes[0].kind == change_kind::added);
  }
  SECTION("but not of what is no news") {
    compat::anon_send(hdl, call{}, heartbeat{"n1", 1});
    sched.run();
    CHECK(self->mailbox().empty());
    sched.advance_time(10s);
    CHECK(receive<record_changes>(pending)->changes.empty()); // its wait is over
  }
  SECTION("when time changes a status") {
    sched.advance_time(9s);
    sched.run();
    compat::anon_send(hdl, call{}, verdict{"n1", 1, record_status::disconnected});
    auto news = *receive<record_changes>(pending);
    CHECK(news.changes.at(0).what.status == record_status::disconnected);
  }
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "a watcher sees a status change that only time brought about",
                 "[registry][service]") {
  auto hdl = *host::spawn<registry_service>(sys);
  CHECK(ask(hdl, put_records{{node("n1")}}));
  watch_records question{.wait = 50s};
  auto pending = send(hdl, question.next(look(hdl, question)));
  sched.run();
  sched.advance_time(30s);
  auto news = *receive<record_changes>(pending);
  CHECK(news.changes.at(0).what.status == record_status::inactive);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "a registry that lost everything gives watchers a snapshot",
                 "[registry][service]") {
  auto hdl = *host::spawn<registry_service>(sys);
  CHECK(ask(hdl, put_records{{node("n1")}}));
  auto last = look(hdl, watch_records{});
  stop(hdl);
  hdl = *host::spawn<registry_service>(sys);
  CHECK(ask(hdl, put_records{{node("n2")}}));
  auto news = look(hdl, watch_records{}.next(last));
  CHECK(news.complete);
  CHECK(news.changes.at(0).what.value.key.name == "n2");
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "names answer alike on every host", "[registry][names][service]") {
  auto on_disk = GENERATE(false, true);
  INFO((on_disk ? "durable" : "in memory"));
  auto hdl = on_disk ? start_durable<name_service>("names") : *host::spawn<name_service>(sys);
  auto first = *ask(hdl, names::claim{{"echo", "ping"}, "n1", 1});
  REQUIRE(first.claimed.size() == 2);
  auto second = ask(hdl, names::claim{{"echo"}, "n2", 1});
  REQUIRE_FALSE(second);
  CHECK(second.error() == errc::name_taken);
  CHECK_THAT(to_string(second.error()), ContainsSubstring("node n1 has the name echo"));
  CHECK(look(hdl, names::find_claim{"echo"}).found->owner == "n1");
  CHECK(ask(hdl, names::release{{"ping"}, "n1", 1})->names.size() == 1);
  CHECK(look(hdl, names::list_claims{}).claimed.size() == 1);
  CHECK(ask(hdl, names::owner_gone{"n1", 1})->names.size() == 1);
  CHECK(ask(hdl, names::claim{{"echo"}, "n2", 1})->claimed[0].token > first.claimed[1].token);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "names outlive their service", "[registry][names][service]") {
  auto hdl = start_durable<name_service>("names");
  auto first = *ask(hdl, names::claim{{"echo"}, "n1", 1});
  stop(hdl);
  hdl = start_durable<name_service>("names");
  CHECK(ask(hdl, names::claim{{"echo"}, "n2", 1}).error() == errc::name_taken);
  CHECK(*ask(hdl, names::claim{{"echo"}, "n1", 1}) == first);
  CHECK(ask(hdl, names::claim{{"ping"}, "n2", 1})->claimed[0].token > first.claimed[0].token);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "a durable registry goes on where it ended", "[registry][service]") {
  auto hdl = start_durable<registry_service>("registry");
  CHECK(ask(hdl, put_records{{node("n1"), agent("a", "n1", 2)}}));
  auto last = look(hdl, watch_records{});
  CHECK(ask(hdl, put_records{{removal(agent("a", "n1", 2))}}));
  stop(hdl);
  hdl = start_durable<registry_service>("registry");
  CHECK(look(hdl, find_records{}).records.size() == 1);
  auto news = look(hdl, watch_records{}.next(last));
  CHECK_FALSE(news.complete); // revisions go on, too
  CHECK(news.changes.at(0).kind == change_kind::removed);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "other nodes can spawn registry and names by name",
                 "[registry][service]") {
  auto made = sys.spawn<caf::actor>("troupe.registry",
                                    caf::make_message(registry_options{}, caf::strong_actor_ptr{}));
  REQUIRE(made);
  auto records = caf::actor_cast<registry_actor>(*made);
  CHECK(ask(records, put_records{{node("n1")}}));
  made = sys.spawn<caf::actor>("troupe.names",
                               caf::make_message(names::name_options{}, caf::strong_actor_ptr{}));
  REQUIRE(made);
  auto who = caf::actor_cast<names_actor>(*made);
  CHECK(ask(who, names::claim{{"echo"}, "n1", 1}));
  stop(records);
  stop(who);
}
