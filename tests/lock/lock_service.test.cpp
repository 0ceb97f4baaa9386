#include "troupe/lock/lock_service.hpp" // the header under test
#include "support/temporary_folder.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/host/durable.hpp"
#include "troupe/storage/sqlite_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/scheduler/test_coordinator.hpp"
#include "caf/scoped_actor.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::lock;
using Catch::Matchers::ContainsSubstring;
using host::call;
using host::session_id;

namespace {

struct config : caf::actor_system_config {
  config() {
    init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                  caf::id_block::troupe_lock>();
    set("caf.scheduler.policy", "testing");
    host::add_service<lock_service>(*this);
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
  test::temporary_folder folder;

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

  template <class T>
  caf::expected<lease> ask(const lock_actor& hdl, const call& who, const T& what) {
    return receive<lease>(send(hdl, who, what));
  }

  lock_view look(const lock_actor& hdl, const std::string& name) {
    return *receive<lock_view>(send(hdl, find_lock{name}));
  }

  session_id open(const lock_actor& hdl) {
    return *receive<session_id>(send(hdl, host::open_session{}));
  }

  lock_actor start_durable() {
    auto log = std::make_unique<storage::sqlite_log>(folder / "locks");
    auto hdl = host::spawn<lock_service>(sys, {}, host::durable{std::move(log)});
    REQUIRE(hdl);
    return *hdl;
  }

  lock_actor start(bool on_disk) {
    return on_disk ? start_durable() : *host::spawn<lock_service>(sys);
  }

  void stop(lock_actor& hdl) {
    self->send_exit(hdl, caf::exit_reason::user_shutdown);
    sched.run();
    hdl = nullptr;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a lock service answers alike on every host", "[lock][service]") {
  auto on_disk = GENERATE(false, true);
  INFO((on_disk ? "durable" : "in memory"));
  auto hdl = start(on_disk);
  auto session = open(hdl);
  auto first = ask(hdl, {session, 1}, acquire{"db", "ann", 10s, 0s});
  REQUIRE(first);
  SECTION("a refusal is a troupe::errc with a sentence") {
    auto second = ask(hdl, {}, acquire{"db", "bob", 10s, 0s});
    REQUIRE_FALSE(second);
    CHECK(second.error() == errc::lock_held);
    CHECK_THAT(to_string(second.error()), ContainsSubstring("retry then, or wait in line"));
  }
  SECTION("a caller in line is answered when the lease runs out") {
    auto second = send(hdl, call{}, acquire{"db", "bob", 10s, 20s});
    until([&] { return look(hdl, "db").line.size() == 1; });
    sched.advance_time(10s);
    auto granted = receive<lease>(second);
    REQUIRE(granted);
    CHECK(granted->token > first->token);
  }
  SECTION("a repeat gets the answer that was given, whatever happened since") {
    REQUIRE(ask(hdl, {session, 2}, release{"db", first->token}));
    auto repeat = ask(hdl, {session, 1}, acquire{"db", "ann", 10s, 0s});
    REQUIRE(repeat);
    CHECK(*repeat == *first);
    CHECK(look(hdl, "db").holders.empty());
  }
  SECTION("a repeat below what the client acknowledged is refused") {
    REQUIRE(ask(hdl, {session, 2, 1}, renew{"db", first->token, 5s}));
    CHECK(ask(hdl, {session, 1}, acquire{"db", "ann", 10s, 0s}).error() == errc::session_expired);
  }
  SECTION("what a session waits for ends with it") {
    auto other = open(hdl);
    auto second = send(hdl, call{other, 1}, acquire{"db", "bob", 10s, 20s});
    until([&] { return look(hdl, "db").line.size() == 1; });
    auto closed = send(hdl, host::close_session{other});
    CHECK(receive<lease>(second).error() == errc::withdrawn);
    CHECK(receive<session_id>(closed));
    CHECK(look(hdl, "db").line.empty());
  }
  SECTION("a caller without a session that is gone leaves the line") {
    {
      caf::scoped_actor other{sys};
      other->request(hdl, caf::infinite, call{}, acquire{"db", "bob", 10s, 20s});
      until([&] { return look(hdl, "db").line.size() == 1; });
    }
    until([&] { return look(hdl, "db").line.empty(); });
  }
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "a durable lock service goes on where it ended", "[lock][service]") {
  auto hdl = start_durable();
  auto session = open(hdl);
  auto first = ask(hdl, {session, 1}, acquire{"db", "ann", 10s, 0s});
  REQUIRE(first);
  auto waiting = send(hdl, call{session, 2}, acquire{"db", "bob", 10s, 20s});
  until([&] { return look(hdl, "db").line.size() == 1; });
  stop(hdl);
  CHECK_FALSE(receive<lease>(waiting));
  sched.advance_time(1h); // downtime does not count
  hdl = start_durable();
  CHECK(look(hdl, "db").holders.at(0).value == *first);
  CHECK(look(hdl, "db").line.size() == 1); // it has a session and may come back
  CHECK(*ask(hdl, {session, 1}, acquire{"db", "ann", 10s, 0s}) == *first);
  auto again = send(hdl, call{session, 2}, acquire{"db", "bob", 10s, 20s});
  REQUIRE(ask(hdl, {session, 3}, release{"db", first->token}));
  auto second = receive<lease>(again);
  REQUIRE(second);
  CHECK(second->token > first->token);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "time goes on after a restart where it was noted", "[lock][service]") {
  auto hdl = start_durable();
  REQUIRE(ask(hdl, {}, acquire{"db", "ann", 10s, 0s}));
  sched.advance_time(4s); // noted every second
  sched.run();
  stop(hdl);
  sched.advance_time(1h);
  hdl = start_durable();
  sched.advance_time(5s);
  CHECK(look(hdl, "db").holders.size() == 1);
  sched.advance_time(1s);
  until([&] { return look(hdl, "db").holders.empty(); });
  stop(hdl);
}

namespace {

/// A log whose appends from the second on end as told, until it is told `none`.
class failing_log {
public:
  explicit failing_log(std::shared_ptr<std::atomic<errc>> next) : next_(std::move(next)) {}

  problem load(storage::stored_log&) {
    return {};
  }

  problem append(const std::vector<storage::stored_record>&) {
    return {*next_, "as the test wants it"};
  }

  problem save(const storage::snapshot_part&) {
    return {};
  }

  void mark(time_point) {}

private:
  std::shared_ptr<std::atomic<errc>> next_;
};

} // namespace

TEST_CASE_METHOD(fixture, "a disk that fails", "[lock][service]") {
  auto next = std::make_shared<std::atomic<errc>>(errc::none);
  auto hdl
    = *host::spawn<lock_service>(sys, {}, host::durable{std::make_unique<failing_log>(next)});
  REQUIRE(ask(hdl, {}, acquire{"db", "ann", 10s, 0s}));
  SECTION("refuses while it is full, and leaves the state as it is") {
    *next = errc::storage_full;
    CHECK(ask(hdl, {}, acquire{"log", "ann", 10s, 0s}).error() == errc::storage_full);
    CHECK(look(hdl, "log").holders.empty());
    *next = errc::none;
    sched.advance_time(1s); // it had a rest
    CHECK(ask(hdl, {}, acquire{"log", "ann", 10s, 0s}));
  }
  SECTION("stops the service when nobody knows what is on it") {
    *next = errc::damaged;
    CHECK(ask(hdl, {}, acquire{"log", "ann", 10s, 0s}).error() == errc::damaged);
    CHECK(receive<lock_view>(send(hdl, find_lock{"db"})).error()
          == caf::sec::request_receiver_down);
  }
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "other nodes can spawn the lock service by name", "[lock][service]") {
  auto made = sys.spawn<caf::actor>("troupe.lock",
                                    caf::make_message(lock_options{}, caf::strong_actor_ptr{}));
  REQUIRE(made);
  auto hdl = caf::actor_cast<lock_actor>(*made);
  CHECK(ask(hdl, {}, acquire{"db", "ann", 10s, 0s}));
  stop(hdl);
}
