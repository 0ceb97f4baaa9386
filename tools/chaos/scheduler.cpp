#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "chaos/workloads.hpp"
#include "cli.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/scheduler/workflow_client.hpp"

/// Workflows under faults. Beside the models of other checkers, the history has two verbs:
/// submit -> the number of the run, collect -> the results of its tasks; the key is that of
/// the submission.
namespace cli::chaos {

using namespace troupe;
using namespace std::literals;

namespace {

/// Each task returns a text that no other execution returns, so that a second recorded result is
/// detected.
constexpr auto unique_text = R"({"argv":["cat","/proc/sys/kernel/random/uuid"]})";

/// A graph of one task, two that depend on it, and one that depends on both.
scheduler::submit diamond(const std::string& key) {
  scheduler::submit made;
  made.name = "chaos";
  made.key = key;
  for (std::uint32_t number = 0; number < 4; ++number) {
    auto& each = made.tasks.emplace_back();
    each.id = "task" + std::to_string(number);
    each.handler = scheduler::exec_handler;
    each.input = unique_text;
  }
  made.tasks[1].parents = {0};
  made.tasks[2].parents = {0};
  made.tasks[3].parents = {1, 2};
  return made;
}

class scheduler_workload final : public workload {
public:
  void go_on(client& who) override {
    if (look_at_old_key(ring_, who, [&](auto& old) { return look_at(who, old.name); }))
      return;
    auto key = ring_.take(who.random(), who.now_ns());
    if (auto run = submit(who, key))
      static_cast<void>(collect(who, key, *run, 10s));
    who.rest(50ms);
  }

  problem finish(client& who) override {
    for (auto& each : ring_.left(who.now_ns()))
      if (auto why = look_at(who, each.name))
        return why;
    return {};
  }

  /// Checks that all observations of a key agree.
  void check(const sim::history& lines, findings& found) const override {
    std::map<std::pair<std::string, std::string>, std::string> known;
    std::map<std::string, std::string> keys;
    for (auto& each : lines.operations()) {
      if (each.what.how != sim::outcome::ok)
        continue;
      auto value = each.what.result.value_or("");
      auto& first = known.try_emplace({each.key, each.what.verb}, value).first->second;
      if (first != value)
        found.violations.push_back(each.what.verb + " of " + each.key + " gave " + first
                                   + " and then " + value);
      if (each.what.verb != "submit")
        continue;
      auto& key = keys.try_emplace(value, each.key).first->second;
      if (key != each.key)
        found.violations.push_back(each.key + " and " + key + " are both run " + value);
    }
    found.violations.insert(found.violations.end(), failed_.begin(), failed_.end());
  }

  [[nodiscard]] std::vector<std::string> node_words() const override {
    return {"--allow-exec", "--slots", "4"};
  }

private:
  /// Submits it again, which has to give the same run, and reads its results again.
  problem look_at(client& who, const std::string& key) {
    auto run = submit(who, key);
    if (!run)
      return run.error();
    auto results = collect(who, key, *run, 30s);
    return results ? problem{} : results.error();
  }

  static result<scheduler::run_id> submit(client& who, const std::string& key) {
    auto ask = [&]() -> result<scheduler::run_id> {
      auto got = who.services().scheduler.ask(diamond(key), client::patience);
      if (!got)
        return got.error();
      return got->run;
    };
    return who.perform(key, wants("submit"), ask, judge_plain, [](const scheduler::run_id& what) {
      return std::optional{std::to_string(what.value)};
    });
  }

  /// Waits for the end of a run and reads its results, up to `wait`.
  result<std::string> collect(client& who, const std::string& key, scheduler::run_id run,
                              duration wait) {
    auto ask = [&] { return results(who, key, run, recorder::clock::now() + wait); };
    return who.perform(
      key, wants("collect"), ask, [](const problem&) { return verdict{}; },
      [](const std::string& what) { return std::optional{what}; },
      wait - client::patience); // `wait` includes the patience
  }

  result<std::string> results(client& who, const std::string& key, scheduler::run_id run,
                              recorder::clock::time_point deadline) {
    auto& service = who.services().scheduler;
    scheduler::workflow_client workflows{service, client::patience};
    auto ended = workflows.run(run).wait({}, deadline - recorder::clock::now());
    if (!ended)
      return ended.error();
    if (ended->state != scheduler::run_state::completed)
      fail(key + " ended as " + std::string{name_of(ended->state)} + ": " + ended->why.detail);
    std::string all;
    for (std::uint32_t task = 0; task < 4; ++task) {
      auto one = service.ask(scheduler::find_result{run, task}, client::patience);
      if (!one)
        return one.error();
      auto value = json::parse(one->value, nullptr, false);
      if (one->state != scheduler::task_state::completed || !value.is_object())
        fail("task " + std::to_string(task) + " of " + key + " has no result: " + one->why.detail);
      all += value.is_object() ? value.value("output", "") : "";
    }
    return all;
  }

  void fail(const std::string& what) {
    std::lock_guard guard{mutex_};
    failed_.insert(what);
  }

  key_ring ring_{{"run-", 1, 0, 1}};
  std::mutex mutex_;
  std::set<std::string> failed_;
};

} // namespace

std::unique_ptr<workload> make_scheduler_workload() {
  return std::make_unique<scheduler_workload>();
}

} // namespace cli::chaos
