#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/scheduler/worker_core.hpp"
#include "troupe/sim/laws/worker_laws.hpp"
#include "troupe/sim/world/session_client.hpp"

namespace troupe::sim {

/// What the workers and users of a scheduler saw.
struct scheduler_record {
  /// By task, the values that the scheduler acknowledged.
  std::map<std::pair<scheduler::run_id, std::uint32_t>, std::set<std::string>> taken;
  /// Submitted runs with their number of tasks, and runs that were seen as completed.
  std::map<scheduler::run_id, std::uint32_t> submitted;
  std::set<scheduler::run_id> completed;
  /// By task, the results that were read.
  std::map<std::pair<scheduler::run_id, std::uint32_t>, std::set<std::string>> read;
  /// Values of reports with unknown outcome, which may be results.
  std::set<std::string> unsure;
  /// The current boot of each worker, by name.
  std::map<std::string, std::uint64_t> boots;
  /// Attempts that were begun, and the worker of each.
  std::map<scheduler::attempt_id, std::string> begun;
  std::uint64_t clients = 0;
  std::uint64_t executions = 0;
  /// Attempts that were stopped, and orders for which a worker had no room.
  std::uint64_t stopped = 0;
  std::uint64_t busy = 0;
  /// Worker processes that drained before they ended.
  std::uint64_t drained = 0;
  std::uint64_t answers = 0;
  bool is_over = false;
};

/// A worker process in a simulated world: runs the worker_core that nodes run, over a session that
/// sends one request after the other. Some handlers take longer than a lease, and some ignore that
/// they are stopped. From time to time the process dies, or drains first, and starts again with a
/// higher boot. worker_laws checks each step.
template <class Home>
class scheduler_worker
  : public session_client<scheduler_worker<Home>, Home, scheduler::task_scheduler> {
  using base = session_client<scheduler_worker<Home>, Home, scheduler::task_scheduler>;
  using core = scheduler::worker_core;

public:
  scheduler_worker(Home& home, std::string name, std::uint64_t slots)
    : base(home), name_(std::move(name)), slots_(slots) {
    start();
  }

  /// A session is open.
  void begin() {
    is_open_ = true;
    send_next();
  }

  void wake() {
    live();
    base::wake();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = base::next_deadline();
    auto no_later = [&next](time_point when) { next = std::min(next.value_or(when), when); };
    if (auto due = inside_->next_deadline())
      no_later(*due);
    for (auto& [id, each] : jobs_)
      no_later(each.ends);
    if (!slow_.empty())
      no_later(slow_.begin()->first);
    for (auto& each : questions_)
      no_later(is_open_ && !asked_ ? std::min(each.since, each.until) : each.until);
    if (asked_ && !asked_->is_late)
      no_later(asked_->until);
    if (goes_at_)
      no_later(*goes_at_);
    return next;
  }

  void answered(const scheduler::effect& what) {
    ++record().answers;
    if (!asked_)
      return;
    auto take = overloaded{
      [&](const troupe::answered<scheduler::worker_receipt>& each) { hear(each.value); },
      [&](const troupe::answered<scheduler::report_receipt>& each) {
        note_taken(each.value);
        hear(each.value);
      },
      [&](const refused& each) { fail(each.why); },
      [&](const auto&) { here().setting().found.broken(name_ + " got another's answer"); },
    };
    troupe::visit(take, what);
    send_next();
  }

  void seen() {
    if (std::holds_alternative<scheduler::check_in>(asked_->what.what))
      hear_result(*check_);
    else if (auto id = asked_->what.id; here().random().one_in(2)) {
      slow_.emplace(here().now() + up_to(500), std::pair{id, *orders_});
      asked_.reset();
    } else
      hear_result(*orders_);
    send_next();
  }

  /// The outcome of the current request is unknown.
  void lost() {
    is_open_ = false;
    note_unsure();
    if (asked_)
      fail({errc::outcome_unknown, "the session is over"});
  }

private:
  using base::here;

  struct question {
    core::send what;
    time_point since; // earliest time to send it
    time_point until;
    /// The core was told that no answer came in time.
    bool is_late = false;
  };

  struct job {
    scheduler::attempt_id what;
    time_point ends;
    /// It ignores that it is stopped.
    bool is_stubborn = false;
    bool is_stopped = false;
  };

  [[nodiscard]] scheduler_record& record() {
    return here().setting().record;
  }

  [[nodiscard]] duration up_to(std::uint64_t milliseconds) {
    return std::chrono::milliseconds{here().random().below(milliseconds)};
  }

  // -- the process -----------------------------------------------------------------------

  void start() {
    scheduler::register_worker words;
    words.name = name_;
    words.owner = owner_id{name_};
    words.capacity.slots = slots_;
    words.handlers = {"work"};
    scheduler::worker_core_options how;
    how.answer_within = std::chrono::seconds{2};
    how.poll_for = std::chrono::seconds{1};
    inside_.emplace(words, how, here().random().next());
    record().boots[name_] = ++boot_;
    is_draining_ = false;
    goes_at_.reset();
    if (!record().is_over)
      goes_at_ = here().now() + std::chrono::seconds{1} + up_to(15'000);
  }

  /// Ends the process as by kill -9, and starts a new one.
  void die() {
    note_unsure();
    jobs_.clear();
    slow_.clear();
    questions_.clear();
    asked_.reset();
    start();
    this->give_up();
  }

  /// Ends the process, at once or after draining.
  void go() {
    if (is_draining_ || here().random().one_in(2))
      return die();
    is_draining_ = true;
    goes_at_ = here().now() + std::chrono::seconds{5};
    carry_out(inside_->step(here().now(), 0, core::drain{}));
  }

  void live() {
    auto now = here().now();
    if (goes_at_ && *goes_at_ <= now)
      go();
    give_up_waiting(now);
    while (!slow_.empty() && slow_.begin()->first <= now) {
      auto [id, orders] = std::move(slow_.extract(slow_.begin()).mapped());
      step(id, core::heard<scheduler::worker_orders>{std::move(orders)});
    }
    for (auto due = next_end(now); due != jobs_.end(); due = next_end(now)) {
      auto gone = jobs_.extract(due);
      step(gone.key(), core::ended{outcome_of(gone.mapped())});
    }
    carry_out(inside_->tick(now));
    send_next();
  }

  // -- handlers --------------------------------------------------------------------------

  typename std::map<request_id, job>::iterator next_end(time_point now) {
    return std::ranges::find_if(jobs_, [&](auto& each) { return each.second.ends <= now; });
  }

  result<std::string> outcome_of(const job& what) {
    if (what.is_stopped && !what.is_stubborn)
      return problem{errc::cancelled, "stopped"};
    return name_ + " did " + std::to_string(what.what.run.value) + '/'
           + std::to_string(what.what.task) + " as " + std::to_string(++record().executions);
  }

  void handle(core::begin& what) {
    auto& random = here().random();
    auto& attempt = what.what.what;
    if (!record().begun.emplace(attempt, name_).second)
      here().setting().found.broken(name_ + " begins what was begun before: "
                                    + std::to_string(attempt.run.value) + '/'
                                    + std::to_string(attempt.task));
    auto takes = up_to(random.one_in(8) ? 5'000 : 300);
    jobs_.emplace(what.id, job{attempt, here().now() + takes, random.one_in(2)});
    if (random.one_in(4))
      step(what.id, core::progressed{500});
  }

  void handle(core::stop& what) {
    ++record().stopped;
    auto found = jobs_.find(what.id);
    if (found == jobs_.end())
      return;
    found->second.is_stopped = true;
    if (!found->second.is_stubborn)
      found->second.ends = std::min(found->second.ends, here().now() + up_to(20));
  }

  // -- the core --------------------------------------------------------------------------

  void step(request_id id, core::event what) {
    carry_out(inside_->step(here().now(), id, std::move(what)));
  }

  void carry_out(core::effects out) {
    for (auto& each : inside_->take_violations())
      here().setting().found.broken(name_ + ": " + each);
    for (auto& each : out)
      troupe::visit([this](auto& what) { handle(what); }, each);
  }

  void handle(core::identify&) {
    step(0, core::identified{boot_, false});
  }

  void handle(core::send& what) {
    auto now = here().now();
    auto since = now;
    if (std::holds_alternative<scheduler::watch_assignments>(what.what))
      since += std::chrono::milliseconds{20} + up_to(80); // as if it had waited at the node
    questions_.push_back({std::move(what), since, now + what.wait});
  }

  void handle(core::registered& what) {
    if (what.why && what.why.code != errc::conflict)
      here().setting().found.broken(name_ + " is refused: " + what.why.detail);
  }

  void handle(core::drained&) {
    ++record().drained;
    goes_at_ = here().now();
  }

  // -- requests --------------------------------------------------------------------------

  void send_next() {
    if (!is_open_ || asked_)
      return;
    auto next = std::ranges::find_if(
      questions_, [now = here().now()](auto& each) { return each.since <= now; });
    if (next == questions_.end())
      return;
    asked_ = std::move(*next);
    questions_.erase(next);
    auto ask = overloaded{
      [this](const scheduler::check_in& each) { this->inquire(check_, each); },
      [this](const scheduler::watch_assignments& each) { this->inquire(orders_, each); },
      [this](const auto& each) {
        if constexpr (std::is_same_v<decltype(each), const scheduler::report&>)
          note_busy(each);
        this->ask(each);
      },
    };
    troupe::visit(ask, asked_->what.what);
  }

  /// Tells the core of each request whose answer did not come in time. A later answer is passed on
  /// all the same.
  void give_up_waiting(time_point now) {
    problem why{errc::timed_out, "no answer in time"};
    if (asked_ && !std::exchange(asked_->is_late, asked_->is_late || asked_->until <= now)
        && asked_->is_late)
      refuse(asked_->what, why);
    for (auto found = late(now); found != questions_.end(); found = late(now)) {
      auto gone = std::move(*found);
      questions_.erase(found);
      refuse(gone.what, why);
    }
  }

  typename std::deque<question>::iterator late(time_point now) {
    return std::ranges::find_if(questions_, [&](auto& each) { return each.until <= now; });
  }

  void fail(const problem& why) {
    auto gone = std::move(*std::exchange(asked_, std::nullopt));
    refuse(gone.what, why);
  }

  void refuse(const core::send& what, const problem& why) {
    auto tell
      = [&]<class Words>(const Words&) { step(what.id, core::heard<typename Words::result>{why}); };
    troupe::visit(tell, what.what);
  }

  template <class Result>
  void hear(const Result& value) {
    hear_result(result<Result>{value});
  }

  template <class Result>
  void hear_result(const result<Result>& answer) {
    auto gone = std::move(*std::exchange(asked_, std::nullopt));
    step(gone.what.id, core::heard<Result>{answer});
  }

  // -- the record ------------------------------------------------------------------------

  [[nodiscard]] const scheduler::report* reported() const {
    return asked_ ? std::get_if<scheduler::report>(&asked_->what.what) : nullptr;
  }

  void note_busy(const scheduler::report& what) {
    record().busy += static_cast<std::uint64_t>(
      std::ranges::count(what.outcomes, scheduler::outcome_kind::busy, &scheduler::outcome::kind));
  }

  void note_unsure() {
    if (auto* said = reported())
      for (auto& each : said->outcomes)
        if (each.kind == scheduler::outcome_kind::completed)
          record().unsure.insert(each.value);
  }

  void note_taken(const scheduler::report_receipt& answer) {
    std::set<scheduler::attempt_id> stale;
    for (auto& each : answer.stale)
      stale.insert(each.what);
    if (auto* said = reported())
      for (auto& each : said->outcomes)
        if (each.kind == scheduler::outcome_kind::completed && !stale.contains(each.what))
          record().taken[{each.what.run, each.what.task}].insert(each.value);
  }

  std::string name_;
  std::uint64_t slots_;
  std::uint64_t boot_ = 0;
  std::optional<judged_worker> inside_;
  bool is_draining_ = false;
  std::optional<time_point> goes_at_;
  std::map<request_id, job> jobs_;
  /// Whether a session is open. It sends one request after the other.
  bool is_open_ = false;
  std::optional<question> asked_;
  std::deque<question> questions_;
  /// Orders on their way by arrival time; other answers may overtake them.
  std::multimap<time_point, std::pair<request_id, result<scheduler::worker_orders>>> slow_;
  std::shared_ptr<result<scheduler::worker_receipt>> check_
    = std::make_shared<result<scheduler::worker_receipt>>(problem{errc::not_found, "not asked"});
  std::shared_ptr<result<scheduler::worker_orders>> orders_
    = std::make_shared<result<scheduler::worker_orders>>(problem{errc::not_found, "not asked"});
};

} // namespace troupe::sim
