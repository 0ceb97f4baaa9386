// A request that is refused for its size is not written down first.

#include "troupe/host/durable_core.hpp"
#include "troupe/lock/lock_table.hpp"
#include "troupe/registry/name_table.hpp"
#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/state/state_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace screening_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::host;

namespace {

const std::string megabyte(1'000'000, 'x');

/// A core with a disk that is done at once, and counts what it got.
template <class M>
struct counting_host {
  using core = durable_core<M>;

  core inside;
  std::size_t written = 0;
  problem refusal; // the last one, by the host

  explicit counting_host(const typename M::event& opening) {
    give(0, notice<M>{opening});
  }

  void give(request_id caller, const typename core::event& what) {
    typename core::effects out;
    inside.step({}, caller, what, out);
    while (!out.empty())
      for (auto& each : std::exchange(out, {}))
        if (auto* found = std::get_if<typename core::append>(&each)) {
          written += found->records->size();
          inside.step({}, 0, typename core::synced{}, out);
        } else if (auto* why = std::get_if<typename core::rejected>(&each)) {
          refusal = why->why;
        }
  }
};

/// Returns the machine's own refusal of `what`.
template <class M>
problem refused_by(M subject, const typename M::event& opening, const typename M::event& what) {
  typename M::effects out;
  subject.step({}, 1, opening, out);
  out.clear();
  subject.step({}, 2, what, out);
  REQUIRE(out.size() == 1);
  return std::get<refused>(out[0]).why;
}

/// Checks that a host refuses each of them as the machine would, and writes none.
template <class M>
void none_is_written(const typename M::event& opening,
                     const std::vector<typename M::event>& requests) {
  static_assert(screening<M>);
  for (auto& what : requests) {
    CAPTURE(what.index());
    counting_host<M> host{opening};
    auto before = host.written;
    host.give(1, command<M>{{}, what});
    CHECK(host.written == before);
    CHECK(host.refusal == refused_by(M{}, opening, what));
  }
}

} // namespace

TEST_CASE("a lock request that is too large is refused before it is written", "[host]") {
  none_is_written<lock::lock_table>(
    lock::configure{}, {lock::acquire{megabyte, "ann", 1s}, lock::acquire{"a", megabyte, 1s},
                        lock::acquire{"a", "ann", 1s, 0s, megabyte}, lock::acquire{"a", "ann", 0s},
                        lock::renew{megabyte, {1}, 1s}, lock::renew{megabyte, {1}, 0s},
                        lock::release{megabyte, {1}}, lock::force_release{megabyte}});
}

TEST_CASE("what earlier releases took and this one does not is refused before it is written, and "
          "carried out where a journal has it",
          "[host]") {
  using lock::lock_table;
  lock::acquire latin1{"z\xfcrich", "ann", 10s};
  counting_host<lock_table> host{lock::configure{}};
  auto before = host.written;
  host.give(1, command<lock_table>{{}, latin1});
  CHECK(host.written == before);
  CHECK(host.refusal.code == errc::bad_argument);
  SECTION("also while options change") {
    durable_core<lock_table> starting;
    durable_core<lock_table>::effects out;
    starting.step({}, 0, notice<lock_table>{lock::configure{}}, out);
    out.clear();
    starting.step({}, 1, command<lock_table>{{}, latin1}, out);
    REQUIRE(out.size() == 1);
    CHECK(std::get<durable_core<lock_table>::rejected>(out[0]).why == host.refusal);
  }
  SECTION("from a journal it comes to the same tokens as before") {
    durable_core<lock_table> replayed;
    REQUIRE_FALSE(replayed.replay({1, {}, notice<lock_table>{lock::configure{}}}));
    REQUIRE_FALSE(replayed.replay({2, {}, command<lock_table>{{}, latin1}}));
    auto held = replayed.answer(lock::find_lock{latin1.name});
    REQUIRE(held.holders.size() == 1);
    CHECK(held.holders[0].value.token == lock::fencing_token{1});
  }
}

TEST_CASE("a claim of names that is too large is refused before it is written", "[host]") {
  namespace names = registry::names;
  none_is_written<registry::name_table>(
    names::configure{},
    {names::claim{{"echo", megabyte}, owner_id{"n1"}, 1},
     names::claim{{"echo"}, owner_id{megabyte}, 1},
     names::claim{std::vector<agent_id>(100'000, "echo"), owner_id{"n1"}, 1},
     names::release{{megabyte}, owner_id{"n1"}, 1}, names::owner_gone{owner_id{megabyte}, 1}});
}

TEST_CASE("a state request that is too large is refused before it is written", "[host]") {
  using namespace state;
  entry_key key{consistency::eventual, value_type::lww_register, "a"};
  auto long_key = key;
  long_key.key = megabyte;
  none_is_written<state_table>(state::configure{{.max_value_bytes = 1'000}},
                               {put{long_key}, put{key, bytes(1'001)}, remove_key{long_key}});
}

TEST_CASE("a scheduler request that is too large is refused before it is written", "[host]") {
  using namespace scheduler;
  auto with = [](auto change) {
    submit result{.tasks = {{.id = "a", .handler = "echo"}}};
    change(result);
    return result;
  };
  auto heavy = with([](submit& what) { what.tasks[0].input = megabyte; });
  none_is_written<task_scheduler>(
    scheduler::configure{},
    {heavy, with([](submit& what) { what.name = megabyte; }),
     with([](submit& what) { what.key = megabyte; }),
     with([](submit& what) { what.tasks[0].handler = megabyte; }),
     with([](submit& what) { what.tasks[0].labels["a"] = megabyte; }),
     with([](submit& what) { what.tasks.resize(200'000, what.tasks[0]); }),
     define_schedule{"a", "0 3 * * *", heavy}, define_schedule{"a", megabyte, {}},
     remove_schedule{megabyte}, register_worker{.name = megabyte, .owner = owner_id{"n1"}}});
}

TEST_CASE("a request is judged by the options that are on their way", "[host]") {
  durable_core<lock::lock_table> host;
  durable_core<lock::lock_table>::effects out;
  lock::acquire wide{std::string(300, 'x'), "ann", 1s};
  host.step({}, 0, notice<lock::lock_table>{lock::configure{{.max_name_bytes = 300}}}, out);
  host.step({}, 1, command<lock::lock_table>{{}, wide}, out);
  REQUIRE(out.size() == 1); // the first append; no refusal
  host.step({}, 0, durable_core<lock::lock_table>::synced{}, out);
  host.step({}, 0, durable_core<lock::lock_table>::synced{}, out);
  CHECK(host.answer(lock::find_lock{wide.name}).holders.size() == 1);
}

TEST_CASE("a repeat gets its answer also where its first try would now be refused", "[host]") {
  using lock::lock_table;
  counting_host<lock_table> host{lock::configure{{.max_name_bytes = 300}}};
  host.give(1, open_session{});
  command<lock_table> first{{{2}, 1, 0}, lock::acquire{std::string(300, 'x'), "ann", 1s}};
  host.give(2, first);
  host.give(0, notice<lock_table>{lock::configure{}});
  auto before = host.written;
  host.give(3, first);
  CHECK(host.written == before + 1);
  CHECK(host.refusal.code == errc::none);
  first.who.number = 2; // a new one
  host.give(4, first);
  CHECK(host.written == before + 1);
  CHECK(host.refusal.code == errc::bad_argument);
}

} // namespace screening_test
