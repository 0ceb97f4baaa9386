#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/sim/service_scenario.hpp"
#include "troupe/sim/session_client.hpp"

namespace troupe::sim {

/// What workers and those who submit saw of a scheduler.
struct scheduler_record {
  /// Values that the scheduler said it took, of each task.
  std::map<std::pair<scheduler::run_id, std::uint32_t>, std::set<std::string>> taken;
  /// Runs that were submitted, with their tasks, and those that were seen completed.
  std::map<scheduler::run_id, std::uint32_t> submitted;
  std::set<scheduler::run_id> completed;
  /// Results as they were read, of each task.
  std::map<std::pair<scheduler::run_id, std::uint32_t>, std::set<std::string>> read;
  /// Reports of unknown outcome, so that a result may be theirs.
  std::set<std::string> unsure;
  std::uint64_t clients = 0;
  std::uint64_t executions = 0;
  std::uint64_t answers = 0;
  bool is_over = false;
};

/// One that submits small graphs and reads their results, or a worker that runs their tasks,
/// takes its time, dies now and then and comes back with a higher boot.
template <class Home>
class scheduler_client
  : public session_client<scheduler_client<Home>, Home, scheduler::task_scheduler> {
  using base = session_client<scheduler_client<Home>, Home, scheduler::task_scheduler>;
  using service = host::replicated_core<scheduler::task_scheduler>;

public:
  explicit scheduler_client(Home& here)
    : base(here),
      number_(++here.setting().record.clients),
      is_worker_(number_ % 3 != 0),
      name_("client-" + std::to_string(number_)) {}

  void begin() {
    is_worker_ ? work() : manage();
  }

  void answered(const scheduler::effect& what) {
    ++record().answers;
    std::visit([&](const auto& each) { handle(each); }, what);
  }

  void seen() {
    if (!is_worker_)
      look_on();
    else if (std::exchange(checks_in_, false))
      checked_in();
    else
      take_orders();
  }

  void lost() {
    if (reported_)
      for (auto& each : reported_->outcomes)
        record().unsure.insert(each.value);
    reported_.reset();
    if (is_worker_)
      die();
    run_.reset();
  }

private:
  struct job {
    scheduler::attempt_id what;
    time_point ends{};
  };

  static constexpr std::uint32_t tasks = 6;

  [[nodiscard]] scheduler_record& record() {
    return this->here().setting().record;
  }

  void rest_a_little() {
    this->rest(std::chrono::milliseconds{20 + this->here().random().below(80)});
  }

  // -- one that submits ---------------------------------------------------------------

  void manage() {
    if (run_)
      return look_at_run();
    if (record().is_over)
      return;
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

  void handle(const troupe::answered<scheduler::run_receipt>& what) {
    run_ = what.value.run;
    record().submitted[*run_] = tasks;
    rest_a_little();
  }

  struct view {
    bool is_completed = false;
    bool is_over = false;
    std::string state;
    std::vector<std::string> results;
  };

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

  void look_on() {
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

  // -- a worker -----------------------------------------------------------------------

  void work() {
    if (!record().is_over && this->here().random().one_in(300))
      die();
    if (!worker_) {
      scheduler::register_worker what;
      what.name = name_;
      what.owner = name_;
      what.boot = boot_;
      what.capacity.slots = 2;
      what.handlers = {"work"};
      return this->ask(std::move(what));
    }
    scheduler::report done{*worker_, boot_, {}};
    auto now = this->here().now();
    std::erase_if(jobs_, [&](const job& each) {
      if (each.ends > now)
        return false;
      scheduler::outcome what;
      what.what = each.what;
      what.value = name_ + " did " + std::to_string(each.what.run.value) + '/'
                   + std::to_string(each.what.task) + " as "
                   + std::to_string(++record().executions);
      done.outcomes.push_back(std::move(what));
      return true;
    });
    if (!done.outcomes.empty()) {
      reported_ = done;
      return this->ask(std::move(done));
    }
    if (now >= renew_at_) {
      renew_at_ = now + std::chrono::milliseconds{500};
      checks_in_ = true;
      return this->inquire(check_, sign_of_life<scheduler::check_in>());
    }
    this->inquire(orders_, scheduler::watch_assignments{*worker_, boot_, seen_});
  }

  template <class Words>
  [[nodiscard]] Words sign_of_life() const {
    Words what{*worker_, boot_, seen_, {}};
    for (auto& each : jobs_)
      what.open.push_back(each.what);
    return what;
  }

  void checked_in() {
    if (!*check_ && check_->error().code == errc::conflict)
      return this->ask(sign_of_life<scheduler::renew_worker>());
    rest_a_little();
  }

  void take_orders() {
    if (!*orders_) { // it does not know this worker any more
      worker_.reset();
      jobs_.clear();
      return rest_a_little();
    }
    seen_ = (*orders_)->sequence;
    for (auto& each : (*orders_)->assignments)
      if (std::ranges::none_of(jobs_, [&](auto& known) { return known.what == each.what; }))
        jobs_.push_back(
          {each.what,
           this->here().now() + std::chrono::milliseconds{this->here().random().below(300)}});
    rest_a_little();
  }

  void handle(const troupe::answered<scheduler::worker_receipt>& what) {
    worker_ = what.value.worker;
    rest_a_little();
  }

  void handle(const troupe::answered<scheduler::report_receipt>& what) {
    std::set<scheduler::attempt_id> stale;
    for (auto& each : what.value.stale)
      stale.insert(each.what);
    for (auto& each : reported_->outcomes)
      if (!stale.contains(each.what))
        record().taken[{each.what.run, each.what.task}].insert(each.value);
    reported_.reset();
    rest_a_little();
  }

  void handle(const refused&) {
    if (reported_)
      reported_.reset(); // nothing of it was taken
    if (is_worker_)
      die();
    rest_a_little();
  }

  template <class Other>
  void handle(const Other&) {
    rest_a_little();
  }

  void die() {
    ++boot_;
    checks_in_ = false;
    worker_.reset();
    jobs_.clear();
    seen_ = 0;
  }

  std::uint64_t number_;
  bool is_worker_;
  std::string name_;

  std::uint64_t submissions_ = 0;
  std::optional<scheduler::run_id> run_;
  std::shared_ptr<view> view_ = std::make_shared<view>();

  std::uint64_t boot_ = 1;
  std::optional<scheduler::worker_id> worker_;
  std::uint64_t seen_ = 0;
  std::vector<job> jobs_;
  time_point renew_at_{};
  std::optional<scheduler::report> reported_;
  bool checks_in_ = false;
  std::shared_ptr<result<scheduler::worker_receipt>> check_
    = std::make_shared<result<scheduler::worker_receipt>>(problem{errc::not_found, "not asked"});
  std::shared_ptr<result<scheduler::worker_orders>> orders_
    = std::make_shared<result<scheduler::worker_orders>>(problem{errc::not_found, "not asked"});
};

struct scheduler_service_model {
  using machine = scheduler::task_scheduler;
  using record = scheduler_record;
  template <class Home>
  using client = scheduler_client<Home>;

  static scheduler::event opening(std::uint64_t) {
    scheduler::scheduler_options how;
    how.lease = std::chrono::seconds{2};
    how.max_losses = 10'000;
    return scheduler::configure{how};
  }

  /// Every run that was submitted completes; of each task one result is recorded, for good.
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
