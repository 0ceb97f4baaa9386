#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/owner_id.hpp"
#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/sim/scenarios/service_scenario.hpp"
#include "troupe/sim/world/scheduler_worker.hpp"
#include "troupe/sim/world/session_client.hpp"

namespace troupe::sim {

/// A client that submits small graphs and reads their results. From time to time it reports a live
/// worker as dead, as a node does that is cut off from it.
template <class Home>
class scheduler_user
  : public session_client<scheduler_user<Home>, Home, scheduler::task_scheduler> {
  using base = session_client<scheduler_user<Home>, Home, scheduler::task_scheduler>;
  using service = host::replicated_core<scheduler::task_scheduler>;

public:
  scheduler_user(Home& here, std::string name) : base(here), name_(std::move(name)) {}

  void begin() {
    auto& random = this->here().random();
    if (auto& boots = record().boots; !record().is_over && !boots.empty() && random.one_in(20)) {
      auto which = static_cast<std::ptrdiff_t>(random.below(boots.size()));
      auto& [name, boot] = *std::next(boots.begin(), which);
      return this->ask(scheduler::worker_lost{owner_id{name}, boot, {}});
    }
    if (run_)
      return look_at_run();
    if (!record().is_over)
      submit();
  }

  void answered(const scheduler::effect& what) {
    ++record().answers;
    if (auto* taken = std::get_if<troupe::answered<scheduler::run_receipt>>(&what)) {
      run_ = taken->value.run;
      record().submitted[*run_] = tasks;
    }
    rest_a_little();
  }

  void seen() {
    if (view_->is_over && !view_->is_completed)
      this->here().setting().found.broken("run " + std::to_string(run_->value)
                                          + " ended: " + view_->state);
    if (view_->is_completed) {
      record().completed.insert(*run_);
      for (std::uint32_t each = 0; each < view_->results.size(); ++each)
        record().read[{*run_, each}].insert(view_->results[each]);
      run_.reset();
    }
    rest_a_little();
  }

  /// Has no effect: a run that was submitted is checked anyway.
  void lost() {}

private:
  struct view {
    bool is_completed = false;
    bool is_over = false;
    std::string state;
    std::vector<std::string> results;
  };

  static constexpr std::uint32_t tasks = 6;

  [[nodiscard]] scheduler_record& record() {
    return this->here().setting().record;
  }

  void rest_a_little() {
    this->rest(std::chrono::milliseconds{20 + this->here().random().below(80)});
  }

  void submit() {
    scheduler::submit what;
    what.key = name_ + '/' + std::to_string(++submissions_);
    for (std::uint32_t each = 0; each < tasks; ++each) {
      scheduler::task_spec task;
      task.id = std::to_string(each);
      task.handler = "work";
      if (each > 0) // a tree
        task.parents.push_back((each - 1) / 2);
      what.tasks.push_back(std::move(task));
    }
    this->ask(std::move(what));
  }

  void look_at_run() {
    this->look(view_, [run = *run_](const service& state) {
      view found;
      if (auto details = state.answer(scheduler::find_run{run})) {
        found.is_completed = details->run.state == scheduler::run_state::completed;
        found.is_over = details->run.state >= scheduler::run_state::completed;
        found.state = std::string{name_of(details->run.state)} + ' ' + details->run.why.detail;
      }
      for (std::uint32_t each = 0; found.is_completed && each < tasks; ++each)
        if (auto result = state.answer(scheduler::find_result{run, each}))
          found.results.push_back(result->value);
      return found;
    });
  }

  std::string name_;
  std::uint64_t submissions_ = 0;
  std::optional<scheduler::run_id> run_;
  std::shared_ptr<view> view_ = std::make_shared<view>();
};

/// Of three clients, two are workers, with one slot and with two.
template <class Home>
class scheduler_client {
public:
  explicit scheduler_client(Home& here) {
    auto number = ++here.setting().record.clients;
    auto name = "client-" + std::to_string(number);
    if (number % 3 != 0)
      worker_ = std::make_unique<scheduler_worker<Home>>(here, name, number % 3);
    else
      user_ = std::make_unique<scheduler_user<Home>>(here, name);
  }

  template <class Reply>
  void receive(process_id from, const Reply& what) {
    worker_ ? worker_->receive(from, what) : user_->receive(from, what);
  }

  void wake() {
    worker_ ? worker_->wake() : user_->wake();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return worker_ ? worker_->next_deadline() : user_->next_deadline();
  }

private:
  std::unique_ptr<scheduler_worker<Home>> worker_;
  std::unique_ptr<scheduler_user<Home>> user_;
};

struct scheduler_service_model {
  using machine = scheduler::task_scheduler;
  using record = scheduler_record;
  template <class Home>
  using client = scheduler_client<Home>;

  static scheduler::event opening(std::uint64_t) {
    scheduler::scheduler_options how;
    how.lease = std::chrono::seconds{2};
    how.silence = std::chrono::seconds{4};
    how.max_losses = 10'000;
    return scheduler::configure{how};
  }

  /// Checks that every submitted run completed, and that each task has one permanent result.
  static void check(const scheduler_record& what, findings& found) {
    auto name = [](const auto& task) {
      return "task " + std::to_string(task.second) + " of run " + std::to_string(task.first.value);
    };
    for (auto& [run, count] : what.submitted)
      if (!what.completed.contains(run))
        found.broken("run " + std::to_string(run.value) + " was submitted and never completed");
    for (auto& [task, values] : what.taken)
      if (values.size() > 1)
        found.broken(name(task) + " was recorded " + std::to_string(values.size()) + " times");
    for (auto& [task, values] : what.read) {
      if (values.size() > 1)
        found.broken(name(task) + " has had more than one result");
      auto taken = what.taken.find(task);
      if (taken != what.taken.end() ? taken->second != values
                                    : !what.unsure.contains(*values.begin()))
        found.broken(name(task) + " has a result that no worker was told was taken");
    }
  }
};

using scheduler_scenario = service_scenario<scheduler_service_model>;

} // namespace troupe::sim
