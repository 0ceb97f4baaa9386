// What a scheduler on a disk owes its clients and workers, whenever it is killed.

#include "scheduler/clocked_scheduler.hpp"
#include "scheduler/simulated_worker.hpp"
#include "support/seeds.hpp"
#include "support/simulated_log.hpp"
#include "troupe/host/journal.hpp"
#include "troupe/scheduler/task_scheduler.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace durable_scheduler_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;
using test::random_source;
using test::simulated_worker;
using test::work;

namespace {

using core = host::durable_core<task_scheduler>;

/// A scheduler on a simulated disk that is killed again and again, beside a client and
/// two workers that live on and ask again.
class killed_scheduler {
public:
  explicit killed_scheduler(random_source random) : random_(random) {
    for (auto* name : {"ann", "bob"})
      workers_.emplace_back(test::clocked_scheduler::worker_named(name, 2), random_.next());
    configure();
  }

  void run(std::uint32_t steps) {
    for (std::uint32_t step = 0; step < steps; ++step) {
      pass(std::chrono::milliseconds{random_.below(800)});
      if (random_.one_in(15))
        kill();
      else if (random_.one_in(6))
        submit_something();
      else
        work_on(workers_[random_.below(workers_.size())]);
      check();
    }
  }

  /// Nobody is killed any more: all that was acknowledged comes to its end.
  void come_to_rest() {
    for (auto round = 0; round < 300; ++round) {
      pass(1s);
      for (auto& who : workers_)
        work_on(who);
    }
    check();
    for (auto& [key, run] : runs_) {
      INFO(key);
      REQUIRE(host_.answer(find_run{run})->run.state == run_state::completed);
    }
  }

private:
  // -- the shell -------------------------------------------------------------------

  /// Puts one request to the disk and returns its answer; nothing if the scheduler was
  /// killed before it gave one, with the request on the disk or not.
  template <class Command>
  std::optional<effect> ask(const Command& what) {
    effect answer;
    core::effects out;
    host_.step(now_, 1, host::command<task_scheduler>{{}, what}, out);
    while (!out.empty())
      for (auto& each : std::exchange(out, {})) {
        if (auto* records = std::get_if<core::append>(&each)) {
          disk_.write(host::to_stored(*records->records).value());
          if (random_.one_in(40)) {
            kill();
            return std::nullopt;
          }
          disk_.sync();
          if (random_.one_in(40)) {
            kill();
            return std::nullopt;
          }
          host_.step(now_, 0, core::synced{}, out);
        } else if (auto* state = std::get_if<core::save>(&each)) {
          for (auto parts = host::to_parts(*state->state).value(); auto& part : parts)
            REQUIRE_FALSE(disk_.save(part));
        } else if (auto* given = std::get_if<core::answered>(&each)) {
          answer = given->what;
        }
      }
    return answer;
  }

  template <class Command>
  std::optional<typename Command::result> accepted(const Command& what) {
    auto answer = ask(what);
    if (!answer)
      return std::nullopt;
    auto* good = std::get_if<scheduler::answered<typename Command::result>>(&*answer);
    return good != nullptr ? std::optional{good->value} : std::nullopt;
  }

  void settle(core::effects& out) {
    while (!out.empty())
      for (auto& each : std::exchange(out, {}))
        if (auto* records = std::get_if<core::append>(&each)) {
          REQUIRE_FALSE(disk_.append(host::to_stored(*records->records).value()));
          host_.step(now_, 0, core::synced{}, out);
        } else if (auto* state = std::get_if<core::save>(&each)) {
          for (auto parts = host::to_parts(*state->state).value(); auto& part : parts)
            REQUIRE_FALSE(disk_.save(part));
        }
  }

  void pass(duration span) {
    now_ += span;
    steady_ += span;
    core::effects out;
    host_.tick(now_, out);
    settle(out);
    for (auto& each : workers_)
      each.live(steady_);
  }

  void configure() {
    core::effects out;
    host_.step(now_, 0, host::notice<task_scheduler>{scheduler::configure{{.seed = 5}}}, out);
    settle(out);
  }

  void kill() {
    disk_.crash(random_);
    restart();
  }

  void restart() {
    host_ = core{host::core_options{.snapshot_every = 25}};
    REQUIRE(host::recover(host_, disk_).code == errc::none);
    now_ = host_.time();
    core::effects out;
    host_.start(now_, out);
    settle(out);
    configure();
  }

  // -- clients and workers -----------------------------------------------------------

  void submit_something() {
    auto number = runs_.size() + 1;
    submit what{.name = "flow",
                .tasks = {work("a"), work("b", {0}), work("c", {0}), work("d", {1, 2})},
                .key = std::to_string(number)};
    if (auto receipt = accepted(what))
      runs_.emplace(what.key, receipt->run);
  }

  void work_on(simulated_worker& who) {
    who.live(steady_);
    who.talk(steady_, [&](auto& words) { return bring(who, words); });
    who.take_begun();
    for (auto& each : who.jobs())
      if (random_.one_in(2))
        who.end(steady_, each, "value " + std::to_string(++last_value_));
  }

  template <class Question>
  result<typename Question::result> bring(simulated_worker&, Question& words) requires
    requires(const task_scheduler& all) {
    all.answer(words);
  }
  {
    host_.hear_of(now_, words);
    if constexpr (std::is_same_v<Question, watch_assignments>)
      return host_.answer(simulated_worker::as_it_arrives(words, random_));
    else
      return host_.answer(words);
  }

  template <class Command>
  result<typename Command::result> bring(simulated_worker& who, Command& words) {
    if constexpr (std::is_same_v<Command, report>)
      words = who.as_it_arrives(std::move(words), random_);
    auto answer = ask(words);
    if (!answer)
      return problem{errc::outcome_unknown, "the scheduler was killed"};
    auto* good = std::get_if<scheduler::answered<typename Command::result>>(&*answer);
    if (good == nullptr)
      return std::get<scheduler::refused>(*answer).why;
    if constexpr (std::is_same_v<Command, report>)
      acknowledged(words, good->value);
    return good->value;
  }

  void acknowledged(const report& said, const report_receipt& receipt) {
    auto stale = receipt.stale;
    for (auto& each : said.outcomes) {
      auto found = std::ranges::find(stale, each.what, &stale_outcome::what);
      if (found != stale.end())
        stale.erase(found);
      else if (each.kind == outcome_kind::completed)
        REQUIRE(results_.emplace(std::pair{each.what.run, each.what.task}, each.value).second);
    }
  }

  /// What was acknowledged is still there.
  void check() {
    for (auto& [key, run] : runs_) {
      auto found = host_.answer(find_run{run});
      REQUIRE(found);
      REQUIRE(found->run.key == key);
    }
    for (auto& [what, value] : results_) {
      auto found = host_.answer(find_result{what.first, what.second});
      REQUIRE(found);
      REQUIRE(found->state == task_state::completed);
      REQUIRE(found->value == value);
    }
  }

  random_source random_;
  /// Of the scheduler, which goes back to what is on its disk; and of those who live on.
  time_point now_{};
  time_point steady_{};
  test::simulated_log disk_;
  core host_{host::core_options{.snapshot_every = 25}};
  std::vector<simulated_worker> workers_;
  std::map<std::string, run_id> runs_;
  std::map<std::pair<run_id, std::uint32_t>, std::string> results_;
  std::uint64_t last_value_ = 0;
};

} // namespace

// How: the scheduler is killed between its records and in the middle of a write, about
// every tenth step; workers keep their books and report again.
TEST_CASE("a killed scheduler goes on with every task and result that it acknowledged",
          "[scheduler][property]") {
  test::for_each_seed(60, [](random_source random) {
    killed_scheduler all{random};
    all.run(150);
    all.come_to_rest();
  });
}

TEST_CASE("a durable scheduler with other bounds than the usual ones starts again",
          "[scheduler][property]") {
  core host;
  test::simulated_log disk;
  std::vector<errc> refusals;
  auto step = [&](core::event what) {
    core::effects out;
    host.step(host.time(), 1, std::move(what), out);
    while (!out.empty())
      for (auto& each : std::exchange(out, {}))
        if (auto* records = std::get_if<core::append>(&each)) {
          REQUIRE_FALSE(disk.append(host::to_stored(*records->records).value()));
          host.step(host.time(), 0, core::synced{}, out);
        } else if (auto* given = std::get_if<core::answered>(&each)) {
          if (auto* why = std::get_if<scheduler::refused>(&given->what))
            refusals.push_back(why->why.code);
        }
  };
  auto define = [&](std::string name, std::string input) {
    auto task = work("a");
    task.input = std::move(input);
    step(host::command<task_scheduler>{
      {}, define_schedule{.name = std::move(name), .cron = "@daily", .what = {.tasks = {task}}}});
  };
  step(host::notice<task_scheduler>{configure{{.max_schedules = 1, .max_schedule_bytes = 1'000}}});
  define("large", std::string(2'000, 'x'));
  define("first", "");
  define("second", "");
  CHECK(refusals == std::vector{errc::limit_reached, errc::limit_reached});
  core restarted;
  CHECK(host::recover(restarted, disk).code == errc::none);
  CHECK((to_bytes(restarted.snapshot()) == to_bytes(host.snapshot())));
}

} // namespace durable_scheduler_property
