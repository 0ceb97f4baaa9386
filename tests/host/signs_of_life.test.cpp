#include "troupe/host/durable_core.hpp" // the header under test
#include "troupe/scheduler/task_scheduler.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace signs_of_life_test {

using namespace std::chrono_literals;
using namespace troupe;
using namespace troupe::host;
using namespace troupe::scheduler;

namespace {

/// A scheduler whose workers have leases of ten seconds, on a disk that syncs when it is told to.
class clocked_host {
public:
  using core = durable_core<task_scheduler>;

  core inside;
  time_point now{};
  std::vector<batch<task_scheduler>> to_write;
  std::optional<worker_id> registered;

  clocked_host() {
    core::effects out;
    inside.start(now, out);
    sort(out);
    give(notice<task_scheduler>{configure{{.lease = 10s}}});
    sync_all();
  }

  void give(const core::event& what, request_id caller = 0) {
    core::effects out;
    inside.step(now, caller, what, out);
    sort(out);
  }

  void ask(const scheduler::event& what) {
    give(command<task_scheduler>{{}, what}, 1);
    sync_all();
  }

  worker_id add(const std::string& name) {
    ask(register_worker{.name = name, .owner = owner_id{"node"}, .boot = 1, .handlers = {"work"}});
    return registered.value();
  }

  result<worker_receipt> check(worker_id who) {
    check_in words{who, 1, 0, {}};
    inside.hear_of(now, words);
    return inside.answer(words);
  }

  /// Lets time pass as a host does that has a timer; what is written is synced at once.
  void pass(duration span) {
    for (auto end = now + span;;) {
      auto due = inside.next_deadline();
      if (!due || *due > end) {
        now = end;
        return;
      }
      now = std::max(now, *due);
      tick();
      sync_all();
    }
  }

  void tick() {
    core::effects out;
    inside.tick(now, out);
    sort(out);
  }

  void sync_all() {
    while (!to_write.empty()) {
      to_write.clear();
      give(core::synced{});
    }
  }

  [[nodiscard]] worker_state state_of(worker_id who) const {
    for (auto& each : inside.answer(list_workers{}).workers)
      if (each.worker == who)
        return each.state;
    FAIL("it is not known");
    return {};
  }

private:
  void sort(core::effects& out) {
    for (auto& each : out)
      if (auto* write = std::get_if<core::append>(&each))
        to_write.push_back(write->records);
      else if (auto* answer = std::get_if<core::answered>(&each))
        if (auto* receipt = std::get_if<answered<worker_receipt>>(&answer->what))
          registered = receipt->value.worker;
  }
};

} // namespace

TEST_CASE("signs of life cost no records", "[host]") {
  clocked_host host;
  auto ann = host.add("ann");
  auto records = host.inside.index();
  for (int each = 0; each < 1'000; ++each) {
    host.pass(3s);
    REQUIRE(host.check(ann));
  }
  CHECK(host.inside.index() == records);
  CHECK(host.state_of(ann) == worker_state::active);

  SECTION("their end is one record, when the term is over and not before") {
    host.pass(10s - 1ns);
    CHECK(host.inside.index() == records);
    host.pass(2s);
    CHECK(host.inside.index() == records + 1);
    CHECK(host.state_of(ann) == worker_state::silent);
    CHECK(host.check(ann).error().code == errc::conflict);
  }
  SECTION("who was silent and renews has a full term") {
    host.pass(12s);
    REQUIRE(host.state_of(ann) == worker_state::silent);
    host.ask(renew_worker{ann, 1});
    CHECK(host.state_of(ann) == worker_state::active);
    host.pass(9s);
    CHECK(host.state_of(ann) == worker_state::active);
    CHECK(host.check(ann));
  }
  SECTION("a report is one, too") {
    for (int each = 0; each < 10; ++each) {
      host.pass(3s);
      host.ask(report{ann, 1, {}});
    }
    CHECK(host.state_of(ann) == worker_state::active);
  }
  SECTION("a registration that is repeated is one, too, as its answer grants a lease") {
    for (int each = 0; each < 10; ++each) {
      host.pass(3s);
      REQUIRE(host.add("ann") == ann);
    }
    host.pass(10s - 1ns);
    CHECK(host.state_of(ann) == worker_state::active);
    host.pass(2s);
    CHECK(host.state_of(ann) == worker_state::silent);
  }
  SECTION("that of another boot or another name is not") {
    for (int each = 0; each < 4; ++each) {
      host.pass(3s);
      host.add("ben");
      host.ask(
        register_worker{.name = "ann", .owner = owner_id{"node"}, .boot = 0, .handlers = {"work"}});
    }
    CHECK(host.state_of(ann) == worker_state::silent);
  }
  SECTION("what a worker says when it begins to leave is one, too") {
    host.ask(scheduler::submit{.tasks = {{.id = "a", .handler = "work"}}});
    for (int each = 0; each < 10; ++each) {
      host.pass(3s);
      host.ask(deregister_worker{ann, 1});
    }
    auto seen = host.inside.answer(list_workers{}).workers.at(0);
    CHECK(seen.attempts == 1);
    CHECK(seen.cancelled == 0);
  }
  SECTION("a sign that comes while its end is written down does not count") {
    host.now += 20s;
    host.tick();
    REQUIRE(host.to_write.size() == 1);
    CHECK(host.check(ann).error().code == errc::busy);
    host.sync_all();
    CHECK(host.state_of(ann) == worker_state::silent);
    CHECK(host.check(ann).error().code == errc::conflict);
  }
  SECTION("a full disk does not lose their end") {
    host.now += 20s;
    host.tick();
    REQUIRE(host.to_write.size() == 1);
    host.to_write.clear();
    host.give(clocked_host::core::not_written{{errc::storage_full, "no room"}});
    CHECK(host.state_of(ann) == worker_state::active);
    host.pass(1s);
    CHECK(host.state_of(ann) == worker_state::silent);
  }
  SECTION("nor has a disk that is full for long their end twice") {
    host.now += 20s;
    host.tick();
    for (auto end = host.now + 1min; host.now < end; host.now = *host.inside.next_deadline()) {
      host.tick();
      REQUIRE(host.to_write.size() == 1);
      host.to_write.clear();
      host.give(clocked_host::core::not_written{{errc::storage_full, "no room"}});
    }
    host.tick();
    host.sync_all();
    CHECK(host.state_of(ann) == worker_state::silent);
    CHECK(host.inside.index() == records + 1);
  }
}

TEST_CASE("a host that leads anew grants all who live a full term", "[host]") {
  clocked_host host;
  auto ann = host.add("ann");
  host.pass(9s);
  clocked_host::core::effects out;
  host.inside.follow({errc::not_leader, "another node leads"}, out);
  CHECK_FALSE(host.inside.next_deadline()); // whoever leads counts
  host.now += 1h;
  host.inside.lead(host.now, out);
  host.pass(9s);
  CHECK(host.state_of(ann) == worker_state::active);
  host.pass(3s);
  CHECK(host.state_of(ann) == worker_state::silent);
}

TEST_CASE("under rules 1 leases end by the records, and signs of life have to be some", "[host]") {
  clocked_host::core old;
  auto take = [&](request_id index, time_point at, const scheduler::event& what) {
    REQUIRE(old.replay({index, at, command<task_scheduler>{{}, what}}).code == errc::none);
  };
  take(1, {},
       register_worker{.name = "ann", .owner = owner_id{"node"}, .boot = 1, .handlers = {"work"}});
  auto ann = old.answer(list_workers{}).workers.at(0).worker;
  CHECK(old.answer(check_in{ann, 1}).error().code == errc::conflict);
  take(2, time_point{5s}, renew_worker{ann, 1});
  take(3, time_point{30s}, worker_lost{owner_id{"nobody"}, 1});
  CHECK(old.answer(list_workers{}).workers.at(0).state == worker_state::silent);

  SECTION("a start of this release goes over to rules 2") {
    clocked_host::core::effects out;
    old.start(time_point{1min}, out);
    auto* written = std::get_if<clocked_host::core::append>(&out.at(0));
    REQUIRE(written != nullptr);
    CHECK(service_rules{std::get<use_rules>(written->records->at(0).what).number}.machine() == 2);
  }
  SECTION("one of several replicas waits until all know them") {
    clocked_host::core::effects out;
    CHECK(old.snapshot().inside.rules == 1);
    old.follow({errc::not_leader, "another node leads"}, out);
    old.lead(time_point{1min}, out);
    CHECK(out.empty());
    old.step(time_point{1min}, 0, clocked_host::core::rules_allowed{9}, out);
    REQUIRE(out.size() == 1);
    auto& written = std::get<clocked_host::core::append>(out[0]);
    CHECK(std::get<use_rules>(written.records->at(0).what).number == 2);
  }
  SECTION("the machine is told its own part of the number") {
    auto all = service_rules::known<task_scheduler>().number();
    REQUIRE(all > 2);
    REQUIRE(old.replay({4, time_point{30s}, use_rules{all}}).code == errc::none);
    CHECK(old.snapshot().inside.rules == 2);
  }
}

} // namespace signs_of_life_test
