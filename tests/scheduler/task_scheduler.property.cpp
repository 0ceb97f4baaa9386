// What must hold on every schedule, not only on those we thought of.

#include "troupe/scheduler/task_scheduler.hpp"
#include "scheduler/simulated_worker.hpp"
#include "support/seeds.hpp"
#include "troupe/core/codec.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace task_scheduler_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::scheduler;
using troupe::test::random_source;
using troupe::test::simulated_worker;

namespace {

using task_key = std::pair<run_id, std::uint32_t>;

/// As REQUIRE, but cheap enough for millions.
void must(bool holds, const char* what) {
  if (!holds)
    FAIL(what);
}

/// A second opinion on a scheduler, from what was submitted, what workers were told
/// and which of their outcomes were taken.
class task_witness {
public:
  void submitted(run_id run, const submit& what) {
    REQUIRE(runs_.emplace(run, what).second);
  }

  /// A worker got an order that is new to it.
  void ordered(const assignment& order, const register_worker& who) {
    task_key key{order.what.run, order.what.task};
    auto& spec = spec_of(order);
    REQUIRE(std::ranges::find(who.handlers, order.handler) != who.handlers.end());
    REQUIRE(in_group(who, spec.group));
    REQUIRE(order.needs == spec.needs);
    REQUIRE(attempts_[key].insert(order.what.attempt).second); // one worker for each attempt
    if (order.task.starts_with("undo:"))
      return check_undo(order);
    REQUIRE_FALSE(results_.contains(key)); // would be a late start: it is recorded already
    REQUIRE(order.parents.size() == spec.parents.size());
    for (std::size_t position = 0; position < order.parents.size(); ++position) {
      auto recorded = results_.find({order.what.run, spec.parents[position]});
      REQUIRE(recorded != results_.end());
      REQUIRE(order.parents[position].value == recorded->second);
    }
  }

  /// A worker's report was answered.
  void reported(const report& what, const report_receipt& receipt) {
    auto stale = receipt.stale;
    for (auto& each : what.outcomes) {
      auto found = std::ranges::find(stale, each.what, &stale_outcome::what);
      if (found != stale.end())
        stale.erase(found);
      else if (each.kind == outcome_kind::completed)
        completed(each);
    }
    REQUIRE(stale.empty());
    REQUIRE(receipt.taken + receipt.stale.size() == what.outcomes.size());
  }

  /// The scheduler says that this is how things stand.
  void check(const task_scheduler& all) {
    for (auto& [run, what] : runs_) {
      auto found = all.answer(find_run{run});
      if (!found)
        continue; // over for long
      std::vector<std::uint32_t> counts(task_states);
      for (std::uint32_t position = 0; position < found->tasks.size(); ++position) {
        auto& each = found->tasks[position];
        ++counts[static_cast<std::size_t>(each.state)];
        task_key key{run, position};
        auto [before, first] = final_.try_emplace(key, each.state);
        if (!first && is_final(before->second))
          must(before->second == each.state, "the first end of a task is its end");
        before->second = each.state;
        must(results_.contains(key) == (each.state == task_state::completed),
             "a task is completed when a result of it was taken");
      }
      must(counts == found->run.counts, "the counts of a run are those of its tasks");
    }
  }

  void check_results(const task_scheduler& all) const {
    for (auto& [key, value] : results_)
      if (auto found = all.answer(find_result{key.first, key.second}))
        REQUIRE(found->value == value);
  }

  [[nodiscard]] const std::map<run_id, submit>& runs() const {
    return runs_;
  }

private:
  static bool in_group(const register_worker& who, const std::string& group) {
    return who.groups.empty() ? group.empty()
                              : std::ranges::find(who.groups, group) != who.groups.end();
  }

  const task_spec& spec_of(const assignment& order) {
    auto& tasks = runs_.at(order.what.run).tasks;
    if (order.what.task < tasks.size())
      return tasks[order.what.task];
    auto undone = std::ranges::find(tasks, order.task.substr(5), &task_spec::id);
    REQUIRE(undone != tasks.end());
    return *undone;
  }

  /// What came after a task and completed is undone before the task.
  void check_undo(const assignment& order) {
    auto& tasks = runs_.at(order.what.run).tasks;
    auto done = [&](std::size_t position) {
      return results_.contains({order.what.run, static_cast<std::uint32_t>(position)});
    };
    auto undone = static_cast<std::uint32_t>(
      std::ranges::find(tasks, order.task.substr(5), &task_spec::id) - tasks.begin());
    REQUIRE(done(undone));
    REQUIRE(order.parents.size() == 1);
    REQUIRE(order.parents[0].value == results_.at({order.what.run, undone}));
    undo_began_[order.what.run].insert(undone);
    for (std::uint32_t child = 0; child < tasks.size(); ++child)
      if (done(child) && !tasks[child].compensation.empty()
          && std::ranges::find(tasks[child].parents, undone) != tasks[child].parents.end())
        REQUIRE(undo_began_[order.what.run].contains(child));
  }

  void completed(const outcome& what) {
    task_key key{what.what.run, what.what.task};
    REQUIRE(attempts_[key].contains(what.what.attempt));
    REQUIRE(*attempts_[key].rbegin() == what.what.attempt); // no later one was begun
    REQUIRE(results_.emplace(key, what.value).second);      // recorded once
  }

  std::map<run_id, submit> runs_;
  std::map<task_key, std::set<std::uint32_t>> attempts_;
  std::map<task_key, std::string> results_;
  std::map<task_key, task_state> final_;
  std::map<run_id, std::set<std::uint32_t>> undo_began_;
};

/// Follows a run by its news alone.
class run_watcher {
public:
  explicit run_watcher(run_id run) : run_(run) {}

  void look(const task_scheduler& all, random_source& random) {
    auto news = all.answer(watch_run{
      .run = run_, .after = revision_, .limit = static_cast<std::uint32_t>(1 + random.below(50))});
    if (!news)
      return;
    if (news->complete)
      states_ = news->states;
    for (auto& each : news->changes) {
      REQUIRE(each.revision > revision_);
      states_.resize(std::max<std::size_t>(states_.size(), each.task + 1));
      states_[each.task] = each.state;
      revision_ = each.revision;
    }
    revision_ = news->revision;
    if (revision_ == news->run.revision)
      check(*all.answer(find_run{run_}));
  }

private:
  void check(const run_details& truth) const {
    for (std::size_t position = 0; position < truth.tasks.size(); ++position)
      if (position < states_.size()) // tasks that undo others come later
        must(states_[position] == truth.tasks[position].state, "news tell the truth");
  }

  run_id run_;
  std::uint64_t revision_ = 0;
  std::vector<task_state> states_;
};

scheduler_options small_options() {
  return {.max_runs = 30,
          .max_finished_runs = 8,
          .max_changes = 12,
          .lease = 10s,
          .silence = 60s,
          .busy_pause = 500ms,
          .unplaceable_patience = 30s,
          .ageing = 5s,
          .retry_head_start = 2s,
          .reserve_after = 3s,
          .max_losses = 10,
          .seed = 7};
}

/// A scheduler, its twin and some workers, driven by chance.
class world {
public:
  explicit world(random_source random) : random_(random) {
    tell(configure{small_options()});
    for (std::uint32_t number = 0; number < 4; ++number)
      workers_.emplace_back(random_words(number), random_.next());
  }

  void run(std::uint32_t steps) {
    for (std::uint32_t step = 0; step < steps; ++step) {
      pass(std::chrono::milliseconds{random_.below(1500)});
      act();
      witness_.check(scheduler_);
      if (random_.one_in(20))
        twin_ = restored();
    }
  }

  /// Faults end: all runs do, too, and workers get back all their room.
  void come_to_rest() {
    for (auto& each : workers_)
      recover(each);
    tell_wall();
    ask(remove_schedule{"each minute"});
    for (auto& [run, what] : witness_.runs())
      tell(resume_run{run});
    for (std::uint32_t round = 0; !all_over(); ++round) {
      REQUIRE(round < 3'000);
      pass(1s);
      tell_wall();
      for (auto& each : workers_) {
        if (!each.is_up()) // it had begun to drain
          each.restart();
        work(each, outcome_kind::completed);
      }
      witness_.check(scheduler_);
    }
    witness_.check_results(scheduler_);
  }

private:
  // -- the machine -------------------------------------------------------------------

  template <class Command>
  effect tell(const Command& what) {
    effects out;
    effects twin_out;
    ++last_id_;
    scheduler_.step(now_, last_id_, what, out);
    twin_.step(now_, last_id_, what, twin_out);
    REQUIRE(out == twin_out);
    compare();
    if constexpr (std::is_same_v<Command, configure> || std::is_same_v<Command, wall>) {
      REQUIRE(out.empty());
      return refused{};
    } else {
      REQUIRE(out.size() == 1);
      REQUIRE(answered_by(out[0]) == last_id_);
      return out[0];
    }
  }

  template <class Command>
  std::optional<typename Command::result> ask(const Command& what) {
    auto answer = tell(what);
    auto* good = std::get_if<answered<typename Command::result>>(&answer);
    if (good == nullptr)
      REQUIRE_FALSE(std::get<refused>(answer).why.detail.empty());
    return good != nullptr ? std::optional{good->value} : std::nullopt;
  }

  void pass(duration span) {
    now_ += span;
    effects out;
    scheduler_.tick(now_, out);
    twin_.tick(now_, out);
    REQUIRE(out.empty());
    compare();
    for (auto& each : workers_)
      each.live(now_);
  }

  void compare() {
    must(scheduler_.next_wall_deadline() == twin_.next_wall_deadline(),
         "twins keep the same appointments");
    must(scheduler_.next_deadline() == twin_.next_deadline(), "twins wake alike");
    if (!random_.one_in(8))
      return;
    auto saved = scheduler_.snapshot();
    must(saved == twin_.snapshot(), "twins stay equal");
    must(to_bytes(saved) == to_bytes(twin_.snapshot()), "equal states have equal bytes");
    must(!task_scheduler::verify(saved), "a snapshot passes its own check");
  }

  task_scheduler restored() {
    auto saved = from_bytes<scheduler_snapshot>(to_bytes(scheduler_.snapshot()));
    REQUIRE(saved);
    task_scheduler result;
    result.restore(now_, *saved);
    return result;
  }

  // -- what happens ------------------------------------------------------------------

  void act() {
    auto& who = workers_[random_.below(workers_.size())];
    switch (random_.below(26)) {
      case 0:
      case 1:
        return submit_something();
      case 2:
        if (auto* run = any_run())
          tell(cancel_run{*run});
        return;
      case 3:
        if (auto* run = any_run())
          tell(pause_run{*run});
        return;
      case 4:
      case 5:
        if (auto* run = any_run())
          tell(resume_run{*run});
        return;
      case 6:
        who.kill();
        return;
      case 7:
        who.cut_off(now_ + std::chrono::seconds{random_.below(90)});
        return;
      case 8: // the node says what it saw
        if (!who.is_up())
          ask(worker_lost{who.words().owner, who.words().boot});
        return;
      case 9:
        if (who.id())
          ask(set_maintenance{*who.id(), random_.one_in(2)});
        return;
      case 10:
        if (who.id() && random_.one_in(3))
          ask(deregister_worker{*who.id(), who.words().boot});
        else if (who.is_up() && random_.one_in(8))
          who.drain(now_);
        return;
      case 24:
        return tell_wall();
      case 25:
        if (random_.one_in(6))
          define_something();
        return;
      case 11:
        if (!watchers_.empty())
          watchers_[random_.below(watchers_.size())].look(scheduler_, random_);
        return;
      default:
        if (!who.is_up() && random_.one_in(2))
          who.restart();
        return work(who, random_kind());
    }
  }

  const run_id* any_run() {
    if (witness_.runs().empty())
      return nullptr;
    auto position = random_.below(witness_.runs().size());
    return &std::next(witness_.runs().begin(), static_cast<std::ptrdiff_t>(position))->first;
  }

  void recover(simulated_worker& who) {
    if (!who.is_up())
      who.restart();
    who.reconnect();
    if (who.id())
      ask(set_maintenance{*who.id(), false});
  }

  /// One round of a worker: what it asks for arrives, or does not, then some of its handlers end.
  void work(simulated_worker& who, outcome_kind kind) {
    if (!who.is_up())
      return;
    who.live(now_);
    if (who.is_cut_off(now_)) {
      if (random_.one_in(3))
        who.hear_nothing(now_);
    } else {
      who.talk(now_, [&](auto& words) { return bring(who, words); });
    }
    for (auto& each : who.take_begun())
      witness_.ordered(each, who.words());
    for (auto& each : who.jobs())
      if (each.is_stopped ? !random_.one_in(3) : random_.one_in(2))
        end(who, each, kind);
  }

  /// Questions are answered at once.
  template <class Question>
  result<typename Question::result> bring(simulated_worker&, Question& words) requires
    requires(const task_scheduler& all) {
    all.answer(words);
  }
  {
    if constexpr (std::is_same_v<Question, watch_assignments>)
      return scheduler_.answer(simulated_worker::as_it_arrives(words, random_));
    else
      return scheduler_.answer(words);
  }

  /// A command may be lost, or its answer.
  template <class Command>
  result<typename Command::result> bring(simulated_worker& who, Command& words) {
    problem nobody_knows{errc::outcome_unknown, "no answer"};
    if constexpr (std::is_same_v<Command, report>)
      words = in_other_words(who.as_it_arrives(std::move(words), random_));
    if (random_.one_in(10))
      return nobody_knows;
    auto answer = tell(words);
    auto* good = std::get_if<answered<typename Command::result>>(&answer);
    if constexpr (std::is_same_v<Command, report>)
      if (good != nullptr)
        witness_.reported(words, good->value);
    if (random_.one_in(10))
      return nobody_knows;
    if (good == nullptr)
      return std::get<refused>(answer).why;
    return good->value;
  }

  /// What workers of another make could say of the same.
  report in_other_words(report what) {
    for (auto& each : what.outcomes)
      if (each.kind == outcome_kind::failed && random_.one_in(3))
        each.kind = random_.one_in(2) ? outcome_kind::busy : outcome_kind::stopped;
    return what;
  }

  void end(simulated_worker& who, const simulated_worker::job& which, outcome_kind kind) {
    if (kind == outcome_kind::progress)
      return who.progress(now_, which, static_cast<std::uint16_t>(random_.below(2000)));
    if (which.is_stopped && random_.one_in(2))
      return who.end(now_, which, problem{errc::cancelled, "as it was told to"});
    if (kind == outcome_kind::failed)
      return who.end(
        now_, which,
        problem{random_.one_in(5) ? errc::bad_argument : errc::failed, "as chance has it"});
    who.end(now_, which, who.words().name + std::to_string(++last_value_));
  }

  outcome_kind random_kind() {
    switch (random_.below(12)) {
      case 0:
      case 1:
      case 2:
        return outcome_kind::failed;
      case 3:
        return outcome_kind::progress;
      default:
        return outcome_kind::completed;
    }
  }

  [[nodiscard]] bool all_over() const {
    auto idle = [](const worker_view& each) { return each.used == resources{.slots = 0}; };
    return scheduler_.answer(find_statistics{}).runs_live == 0
           && std::ranges::all_of(scheduler_.answer(list_workers{}).workers, idle);
  }

  // -- what there is -----------------------------------------------------------------

  register_worker random_words(std::uint32_t number) {
    register_worker words{.name = "w" + std::to_string(number),
                          .owner = owner_id{"node" + std::to_string(number)},
                          .boot = 1,
                          .capacity = {.millicores = 4'000,
                                       .memory_bytes = 1'000 + random_.below(1'000),
                                       .gpus = random_.below(4),
                                       .slots = 1 + random_.below(4)},
                          .handlers = {"cook", "clean"}};
    if (random_.one_in(3))
      words.groups = {"", "night"};
    if (random_.one_in(3))
      words.labels = {{"disk", "fast"}};
    return words;
  }

  task_spec random_task(std::uint32_t position) {
    task_spec spec{.id = "t" + std::to_string(position),
                   .handler = random_.one_in(2) ? "cook" : "clean",
                   .input = "in"};
    for (std::uint32_t parent = 0; parent < position; ++parent)
      if (random_.one_in(4))
        spec.parents.push_back(parent);
    spec.needs = {.millicores = random_.below(4'050),
                  .memory_bytes = random_.below(1'500),
                  .gpus = random_.one_in(4) ? 1 + random_.below(3) : 0,
                  .slots = 1};
    if (random_.one_in(8))
      spec.group = "night";
    if (random_.one_in(8))
      spec.labels = {{"disk", "fast"}};
    if (random_.one_in(30))
      spec.handler = "juggle"; // nobody can
    if (random_.one_in(3))
      spec.timeout = std::chrono::seconds{1 + random_.below(20)};
    if (random_.one_in(4))
      spec.priority = static_cast<scheduler::priority>(random_.below(4));
    if (random_.one_in(4))
      spec.retry = retry_policy{.max_attempts = static_cast<std::uint32_t>(1 + random_.below(4))};
    if (random_.one_in(2))
      spec.compensation = "clean";
    return spec;
  }

  void submit_something() {
    submit what{.name = "run",
                .tasks = {},
                .priority = static_cast<scheduler::priority>(random_.below(4)),
                .policy = static_cast<failure_policy>(random_.below(3)),
                .retry = {.max_attempts = 5}};
    auto size = 1 + random_.below(9);
    for (std::uint32_t position = 0; position < size; ++position)
      what.tasks.push_back(random_task(position));
    if (random_.one_in(3))
      what.key = "key" + std::to_string(random_.below(6));
    if (random_.one_in(5))
      what.delay = std::chrono::seconds{random_.below(10)};
    else if (random_.one_in(5))
      what.start_at = wall_now() + std::chrono::seconds{random_.below(10)};
    auto receipt = ask(what);
    if (!receipt)
      return; // full
    if (receipt->repeated) {
      REQUIRE(witness_.runs().at(receipt->run).key == what.key);
      return;
    }
    witness_.submitted(receipt->run, what);
    watchers_.emplace_back(receipt->run);
  }

  // -- the calendar ------------------------------------------------------------------

  [[nodiscard]] wall_time wall_now() const {
    return wall_time{24h * 365} + now_.time_since_epoch();
  }

  void define_something() {
    define_schedule what{.name = "each minute",
                         .cron = "* * * * *",
                         .what = {.name = "periodic", .tasks = {random_task(0)}},
                         .overlap = random_.one_in(2)};
    if (random_.one_in(4))
      ask(remove_schedule{what.name});
    else if (ask(what))
      periodic_ = what;
  }

  void tell_wall() {
    tell(wall{wall_now()});
    for (auto& each : scheduler_.answer(list_runs{}).runs)
      if (!witness_.runs().contains(each.run)) {
        must(each.key.starts_with("each minute@"), "only a schedule starts runs of its own");
        witness_.submitted(each.run, periodic_.what);
        watchers_.emplace_back(each.run);
      }
  }

  random_source random_;
  define_schedule periodic_;
  time_point now_{};
  request_id last_id_ = 0;
  std::uint64_t last_value_ = 0;
  task_scheduler scheduler_;
  task_scheduler twin_;
  std::vector<simulated_worker> workers_;
  std::vector<run_watcher> watchers_;
  task_witness witness_;
};

} // namespace

// How: 300 random moves of clients, workers and faults, with a twin that is restored
// from a snapshot now and then and gets the same calls; then faults end.
TEST_CASE("no schedule records a result twice, overloads a worker or loses a task",
          "[scheduler][property]") {
  test::for_each_seed(200, [](random_source random) {
    world all{random};
    all.run(300);
    all.come_to_rest();
  });
}

} // namespace task_scheduler_property
