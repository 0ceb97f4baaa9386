// Journals of earlier releases, which this one has to go on with.

#include "support/journal_fixture.hpp"
#include "troupe/scheduler/task_scheduler.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <utility>
#include <vector>

namespace journal_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;

namespace {

task_spec work(std::string id, std::vector<std::uint32_t> parents = {}) {
  return {.id = std::move(id),
          .handler = "work",
          .input = "in",
          .parents = std::move(parents),
          .compensation = "undo"};
}

submit diamond(std::string key, failure_policy policy) {
  auto tour = work("d", {1, 2});
  tour.needs = {.millicores = 500, .memory_bytes = 1'000, .gpus = 0, .slots = 1};
  tour.labels = {{"disk", "fast"}};
  tour.timeout = 20s;
  tour.retry = retry_policy{.max_attempts = 2, .wait = {1s, 2s}};
  tour.priority = priority::urgent;
  return {.name = "diamond",
          .tasks = {work("a"), work("b", {0}), work("c", {0}), tour},
          .key = std::move(key),
          .priority = priority::high,
          .policy = policy};
}

register_worker worker(std::string name, std::uint64_t boot) {
  return {.name = std::move(name),
          .owner = owner_id{"node"},
          .boot = boot,
          .capacity = {.millicores = 4'000, .memory_bytes = 10'000, .gpus = 1, .slots = 2},
          .handlers = {"work", "undo"},
          .groups = {"", "night"},
          .labels = {{"disk", "fast"}}};
}

/// A life of every kind of record, and of every kind of outcome.
std::vector<host::record<task_scheduler>> a_life() {
  std::vector<host::record<task_scheduler>> result;
  time_point now{};
  auto add = [&](decltype(host::record<task_scheduler>::what) what) {
    result.push_back({result.size() + 1, now, std::move(what)});
    now += 1s;
  };
  using command = host::command<task_scheduler>;
  using notice = host::notice<task_scheduler>;
  constexpr worker_id ann{1};
  constexpr worker_id bob{2};
  add(notice{configure{{.max_changes = 20, .seed = 3}}});
  add(notice{wall{wall_time{1'000h}}});
  add(host::open_session{});
  add(command{{{3}, 1, 0}, worker("ann", 1)});
  add(command{{{3}, 2, 0}, worker("bob", 1)});
  add(command{{{3}, 3, 2}, diamond("one", failure_policy::continue_what_can)});
  add(command{{}, report{ann, 1, {{.what = {run_id{1}, 0, 1}, .value = "flour"}}}});
  add(command{
    {},
    report{bob,
           1,
           {{.what = {run_id{1}, 1, 1}, .kind = outcome_kind::busy},
            {.what = {run_id{1}, 2, 1}, .kind = outcome_kind::progress, .permille = 500}}}});
  add(command{{},
              report{ann,
                     1,
                     {{.what = {run_id{1}, 2, 1},
                       .kind = outcome_kind::failed,
                       .why = {errc::failed, "out of eggs"},
                       .retryable = true},
                      {.what = {run_id{1}, 1, 2}, .kind = outcome_kind::stopped}}}});
  add(command{{}, diamond("two", failure_policy::compensate)});
  add(command{{}, report{ann, 1, {{.what = {run_id{2}, 0, 1}, .value = "two"}}}});
  add(command{{}, report{bob, 1, {{.what = {run_id{2}, 0, 1}, .value = "two"}}}});
  add(command{{}, pause_run{run_id{1}}});
  add(command{{}, renew_worker{ann, 1, 1, {}}});
  add(command{{}, set_maintenance{bob, true}});
  add(command{{}, submit{.name = "later", .tasks = {work("x")}, .delay = 1h}});
  add(command{{}, submit{.name = "at noon", .tasks = {work("x")}, .start_at = wall_time{1'012h}}});
  add(command{{},
              define_schedule{.name = "hourly",
                              .cron = "@hourly",
                              .what = {.name = "hourly", .tasks = {work("x")}}}});
  add(command{{},
              define_schedule{.name = "daily",
                              .cron = "@daily",
                              .what = {.name = "daily", .tasks = {work("x")}},
                              .overlap = true}});
  add(command{{}, remove_schedule{"daily"}});
  add(notice{wall{wall_time{1'001h}}});
  add(notice{wall{wall_time{1'002h + 5min}}});
  add(command{{}, worker_lost{owner_id{"node"}, 1, "bob"}});
  add(command{{}, worker("bob", 2)});
  add(command{{}, resume_run{run_id{1}}});
  now += 15s;
  add(host::time_passed{}); // leases end
  add(command{{}, worker("ann", 2)});
  add(command{{}, deregister_worker{worker_id{4}, 2}});
  add(command{{}, cancel_run{run_id{2}}});
  add(host::close_session{{3}});
  return result;
}

} // namespace

TEST_CASE("journals of earlier releases are read and come to the same state",
          "[scheduler][journal]") {
  test::check_journal_fixture<task_scheduler>(TROUPE_TESTS_DIR "/data/journals/scheduler-0.1.0.hex",
                                              a_life());
}

} // namespace journal_test
