#include "troupe/scheduler/messages.hpp" // the header under test
#include "scheduler/clocked_scheduler.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/json.hpp"

#include <catch2/catch_test_macros.hpp>

#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;
using test::clocked_scheduler;
using test::work;

namespace {

/// Returns the bytes of `value` as they go from actor to actor.
template <class T>
caf::byte_buffer to_caf_bytes(const T& value) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  REQUIRE(sink.apply(value));
  return bytes;
}

/// Returns whether `bytes` are one whole T, which then is in `value`.
template <class T>
bool from_caf_bytes(const caf::byte_buffer& bytes, T& value) {
  caf::binary_deserializer source{nullptr, bytes};
  return source.apply(value) && source.remaining() == 0;
}

/// Checks that `value` comes out of each form as it went in.
template <class T>
void check_forms(const T& value) {
  T received{};
  REQUIRE(from_caf_bytes(to_caf_bytes(value), received));
  CHECK(received == value);
  auto stored = from_bytes<T>(to_bytes(value));
  REQUIRE(stored);
  CHECK(*stored == value);
  auto text = to_json(value);
  REQUIRE(text);
  auto read = from_json<T>(*text);
  REQUIRE(read);
  CHECK(*read == value);
}

submit full_submission() {
  auto task = work("b", {0});
  task.input = "in";
  task.needs = {.millicores = 500, .memory_bytes = 1'000, .gpus = 1, .slots = 2};
  task.group = "night";
  task.labels = {{"disk", "fast"}};
  task.timeout = 5s;
  task.retry = retry_policy{.max_attempts = 7, .wait = {1ms, 2s}};
  task.priority = priority::urgent;
  task.compensation = "undo";
  return {.name = "flow",
          .tasks = {work("a"), task},
          .key = "once",
          .priority = priority::high,
          .policy = failure_policy::compensate,
          .retry = {.max_attempts = 2},
          .start_at = wall_time{24h * 365}};
}

/// Returns a scheduler with something of everything.
clocked_scheduler busy_scheduler() {
  clocked_scheduler all;
  auto ann = all.add("ann", 2);
  all.add("bob", 1);
  all.ask(full_submission());
  auto run
    = all.ask(submit{.name = "run", .tasks = {work("a"), work("b", {0}), work("c"), work("d")}})
        .run;
  all.complete(ann, "a", "result");
  all.pass(1s);
  all.ask(define_schedule{
    .name = "daily", .cron = "@daily", .what = {.name = "run", .tasks = {work("a")}}});
  all.ask(cancel_run{run});
  all.ask(submit{.name = "waits", .tasks = {{.id = "x", .handler = "nobody's"}}});
  return all;
}

} // namespace

TEST_CASE("messages arrive as they were sent, in every form", "[scheduler][wire]") {
  check_forms(full_submission());
  check_forms(clocked_scheduler::worker_named("ann", 3));
  check_forms(define_schedule{.name = "daily", .cron = "@daily", .what = full_submission()});
  check_forms(outcome{.what = {run_id{1}, 2, 3},
                      .kind = outcome_kind::failed,
                      .why = {errc::failed, "out of eggs"},
                      .retryable = true});
  auto all = busy_scheduler();
  check_forms(*all.machine.answer(watch_assignments{worker_id{1}, 1}));
  check_forms(*all.machine.answer(find_run{run_id{2}}));
  check_forms(*all.machine.answer(watch_run{run_id{2}}));
  check_forms(*all.machine.answer(watch_run{run_id{2}, 1}));
  check_forms(*all.machine.answer(find_result{run_id{2}, 0}));
  check_forms(all.machine.answer(list_runs{}));
  check_forms(all.machine.answer(list_workers{}));
  check_forms(all.machine.answer(list_schedules{}));
  check_forms(all.machine.answer(find_statistics{}));
}

TEST_CASE("a snapshot cut short anywhere is refused", "[scheduler][wire]") {
  auto whole = busy_scheduler().machine.snapshot();
  auto bytes = to_bytes(whole);
  auto read = from_bytes<scheduler_snapshot>(bytes);
  REQUIRE(read);
  CHECK(*read == whole);
  std::size_t readable = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size)
    readable += from_bytes<scheduler_snapshot>(std::string_view{bytes}.substr(0, size)) ? 1U : 0U;
  CHECK(readable == 0);
}

TEST_CASE("a number that is no state is refused on its way", "[scheduler][wire]") {
  run_receipt receipt{.run = run_id{1}, .state = static_cast<run_state>(99)};
  run_receipt received;
  CHECK_FALSE(from_caf_bytes(to_caf_bytes(receipt), received));
}

TEST_CASE("type ids stay where other versions expect them", "[scheduler][wire]") {
  CHECK(caf::type_id_v<scheduler_actor> == 1600);
  CHECK(caf::type_id_v<run_receipt> == 1606);
  CHECK(caf::type_id_v<submit> == 1610);
  CHECK(caf::type_id_v<report> == 1620);
  CHECK(caf::type_id_v<watch_assignments> == 1623);
  CHECK(caf::type_id_v<find_statistics> == 1637);
  CHECK(caf::type_id_v<list_schedules> == 1642);
}
