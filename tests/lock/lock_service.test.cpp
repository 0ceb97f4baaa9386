#include "troupe/lock/lock_service.hpp" // the header under test
#include "support/services.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <atomic>
#include <memory>
#include <vector>

using namespace std::literals;
using namespace troupe;
using namespace troupe::lock;
using Catch::Matchers::ContainsSubstring;
using host::call;
using host::session_id;

namespace {

struct clocked_locks : test::clocked_services<caf::id_block::troupe_lock, lock_service> {
  lock_view look(const lock_actor& hdl, const std::string& name) {
    return clocked_services::look(hdl, find_lock{name});
  }

  session_id open(const lock_actor& hdl) {
    return *ask(hdl, host::open_session{});
  }

  lock_actor start(bool on_disk = true) {
    return clocked_services::start<lock_service>(on_disk, "locks");
  }
};

} // namespace

TEST_CASE_METHOD(clocked_locks, "a lock service answers alike on every host", "[lock][service]") {
  auto on_disk = GENERATE(false, true);
  INFO((on_disk ? "durable" : "in memory"));
  auto hdl = start(on_disk);
  auto session = open(hdl);
  auto first = ask(hdl, call{session, 1}, acquire{"db", "ann", 10s, 0s});
  REQUIRE(first);
  SECTION("a refusal is a troupe::errc with a sentence") {
    auto second = ask(hdl, call{}, acquire{"db", "bob", 10s, 0s});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == errc::lock_held);
    CHECK_THAT(second.error().detail, ContainsSubstring("retry then, or wait in line"));
  }
  SECTION("a caller in line is answered when the lease runs out") {
    auto second = send(hdl, call{}, acquire{"db", "bob", 10s, 20s});
    until([&] { return look(hdl, "db").line.size() == 1; });
    world.advance(10s);
    auto granted = receive(second);
    REQUIRE(granted);
    CHECK(granted->token > first->token);
  }
  SECTION("a repeat gets the answer that was given, whatever happened since") {
    REQUIRE(ask(hdl, call{session, 2}, release{"db", first->token}));
    auto repeat = ask(hdl, call{session, 1}, acquire{"db", "ann", 10s, 0s});
    REQUIRE(repeat);
    CHECK(*repeat == *first);
    CHECK(look(hdl, "db").holders.empty());
  }
  SECTION("a repeat below what the client acknowledged is refused") {
    REQUIRE(ask(hdl, call{session, 2, 1}, renew{"db", first->token, 5s}));
    CHECK(ask(hdl, call{session, 1}, acquire{"db", "ann", 10s, 0s}).error().code
          == errc::session_expired);
  }
  SECTION("what a session waits for ends with it") {
    auto other = open(hdl);
    auto second = send(hdl, call{other, 1}, acquire{"db", "bob", 10s, 20s});
    until([&] { return look(hdl, "db").line.size() == 1; });
    auto closed = send(hdl, host::close_session{other});
    CHECK(receive(second).error().code == errc::withdrawn);
    CHECK(receive(closed));
    CHECK(look(hdl, "db").line.empty());
  }
  SECTION("a caller without a session that is gone leaves the line") {
    {
      auto other = send(hdl, call{}, acquire{"db", "bob", 10s, 20s});
      until([&] { return look(hdl, "db").line.size() == 1; });
    }
    until([&] { return look(hdl, "db").line.empty(); });
  }
  stop(hdl);
}

TEST_CASE_METHOD(clocked_locks, "a service keeps the sessions of those that ask apart",
                 "[lock][service]") {
  shared_node_id asking;
  auto as = [&](const std::string& who) { asking = std::make_shared<const std::string>(who); };
  auto hdl = start_on<lock_service>(host::in_memory{}, {}, [&](const caf::strong_actor_ptr& from) {
    return from ? asking : nullptr;
  });
  as("ann");
  auto session = open(hdl);
  as("bob");
  CHECK(ask(hdl, call{session, 1}, acquire{"bobs", "bob", 10s, 0s}).error().code
        == errc::session_expired);
  CHECK(ask(hdl, host::keep_session{session}).error().code == errc::session_expired);
  CHECK(ask(hdl, host::close_session{session})); // as of one that does not exist
  as("ann");
  CHECK(ask(hdl, host::keep_session{session}));
  CHECK(ask(hdl, call{session, 1}, acquire{"anns", "ann", 10s, 0s}));
  CHECK(look(hdl, "bobs").holders.empty());
  CHECK(look(hdl, "anns").holders.size() == 1);
  asking = nullptr; // its link ended long ago
  CHECK(ask(hdl, call{session, 2}, acquire{"late", "ann", 10s, 0s}).error().code
        == errc::unreachable);
  CHECK(ask(hdl, host::open_session{}).error().code == errc::unreachable);
  CHECK(ask(hdl, call{}, acquire{"late", "ann", 10s, 0s})); // needs no session
  as("ann");
  CHECK(ask(hdl, host::close_session{session}));
  CHECK(ask(hdl, host::keep_session{session}).error().code == errc::session_expired);
  stop(hdl);
}

TEST_CASE_METHOD(clocked_locks, "a durable lock service goes on where it ended",
                 "[lock][service]") {
  auto hdl = start();
  auto session = open(hdl);
  auto first = ask(hdl, call{session, 1}, acquire{"db", "ann", 10s, 0s});
  REQUIRE(first);
  auto waiting = send(hdl, call{session, 2}, acquire{"db", "bob", 10s, 20s});
  until([&] { return look(hdl, "db").line.size() == 1; });
  stop(hdl);
  CHECK_FALSE(receive(waiting));
  world.advance(1h); // downtime does not count
  hdl = start();
  CHECK(look(hdl, "db").holders.at(0).value == *first);
  CHECK(look(hdl, "db").line.size() == 1); // it has a session and may come back
  CHECK(*ask(hdl, call{session, 1}, acquire{"db", "ann", 10s, 0s}) == *first);
  auto again = send(hdl, call{session, 2}, acquire{"db", "bob", 10s, 20s});
  REQUIRE(ask(hdl, call{session, 3}, release{"db", first->token}));
  auto second = receive(again);
  REQUIRE(second);
  CHECK(second->token > first->token);
  stop(hdl);
}

TEST_CASE_METHOD(clocked_locks, "time goes on after a restart where it was noted",
                 "[lock][service]") {
  auto hdl = start();
  REQUIRE(ask(hdl, call{}, acquire{"db", "ann", 10s, 0s}));
  world.advance(4s); // noted every second
  stop(hdl);
  world.advance(1h);
  hdl = start();
  world.advance(5s);
  CHECK(look(hdl, "db").holders.size() == 1);
  world.advance(1s);
  until([&] { return look(hdl, "db").holders.empty(); });
  stop(hdl);
}

namespace {

/// A log whose appends from the second on end as told, until it is told `none`.
class failing_log {
public:
  using answers = std::shared_ptr<std::atomic<errc>>;

  explicit failing_log(answers next, answers next_save = std::make_shared<std::atomic<errc>>())
    : next_(std::move(next)), next_save_(std::move(next_save)) {}

  problem load(storage::stored_log&) {
    return {};
  }

  problem append(const std::vector<storage::stored_record>&) {
    return {*next_, "as the test wants it"};
  }

  problem save(const storage::snapshot_part&) {
    return {*next_save_, "as the test wants it"};
  }

  void mark(time_point) {}

private:
  answers next_;
  answers next_save_;
};

} // namespace

TEST_CASE_METHOD(clocked_locks, "a disk that fails", "[lock][service]") {
  auto next = std::make_shared<std::atomic<errc>>(errc::none);
  auto hdl = start_on<lock_service>(host::durable{std::make_unique<failing_log>(next)});
  REQUIRE(ask(hdl, call{}, acquire{"db", "ann", 10s, 0s}));
  SECTION("refuses while it is full, and leaves the state as it is") {
    *next = errc::storage_full;
    CHECK(ask(hdl, call{}, acquire{"log", "ann", 10s, 0s}).error().code == errc::storage_full);
    CHECK(look(hdl, "log").holders.empty());
    *next = errc::none;
    world.advance(1s); // it had a rest
    CHECK(ask(hdl, call{}, acquire{"log", "ann", 10s, 0s}));
  }
  SECTION("stops the service when nobody knows what is on it") {
    *next = errc::damaged;
    CHECK(ask(hdl, call{}, acquire{"log", "ann", 10s, 0s}).error().code == errc::damaged);
    CHECK(ask(hdl, find_lock{"db"}).error().code == errc::unreachable);
  }
  stop(hdl);
}

TEST_CASE_METHOD(clocked_locks,
                 "a disk that fails at a snapshot stops the service, a full one does not",
                 "[lock][service]") {
  auto next = std::make_shared<std::atomic<errc>>(errc::none);
  auto save = std::make_shared<std::atomic<errc>>(errc::storage_full);
  auto hdl = start_on<lock_service>(host::durable{std::make_unique<failing_log>(next, save)},
                                    {.snapshot_every = 1});
  for (auto* each : {"a", "b", "c"})
    CHECK(ask(hdl, call{}, acquire{each, "ann", 10s, 0s}));
  *save = errc::damaged;
  until([&] {
    auto answer = ask(hdl, call{}, acquire{"db", "ann", 10s, 0s});
    return !answer && answer.error().code == errc::unreachable;
  });
  stop(hdl);
}

TEST_CASE_METHOD(clocked_locks, "other nodes can spawn the lock service by name",
                 "[lock][service]") {
  auto hdl = start_by_name<lock_actor>("troupe.lock", lock_options{});
  CHECK(ask(hdl, call{}, acquire{"db", "ann", 10s, 0s}));
  stop(hdl);
}
