#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/detail/admission.hpp"
#include "troupe/scheduler/detail/dispatcher.hpp"
#include "troupe/scheduler/detail/saving.hpp"
#include "troupe/scheduler/detail/snapshot_check.hpp"
#include "troupe/scheduler/detail/timetable.hpp"
#include "troupe/scheduler/detail/views.hpp"
#include "troupe/scheduler/queries.hpp"
#include "troupe/scheduler/snapshot.hpp"

namespace troupe::scheduler {

/// Decides which worker runs which task of which workflow, also when workers, links and
/// messages are lost. A pure state machine: no clock, no thread, no I/O.
///
/// Workers fetch their orders (watch_assignments) and report outcomes (report), so the
/// state holds no handles of workers. An attempt is a lease with a number: it ends
/// permanently when its time-out passes, its worker falls silent or its task is cancelled,
/// and later reports of it are refused. So a task may be started more than once, but ends
/// once and has one result.
///
/// The capacity that an attempt takes stays taken until the worker reports the end of the
/// attempt or the worker's boot is dead. So capacity is never given twice, not even while
/// scheduler and worker disagree on what is cancelled.
///
/// A step costs O(log n) in tasks and workers for each task that it touches, plus O(edges)
/// for a submission, and O(waiting tasks) when a worker comes or goes.
class task_scheduler {
public:
  using event = scheduler::event;
  using effects = scheduler::effects;
  using query = find_run;
  using snapshot_type = scheduler_snapshot;
  static constexpr bool events_read_back_exactly = true;

  /// 1: leases of workers end by the time of the records. 2: the host says which worker is silent.
  static constexpr std::uint32_t rules = 2;

  /// Handles one request made at `now`, after everything that was due by then. Each is answered in
  /// this call; configure, wall and silence have no answer.
  ///
  /// Refusals: bad_argument (a field out of range, a graph with a cycle, an invalid cron
  /// expression), too_large (a workflow or an input), limit_reached (runs, tasks, bytes, workers,
  /// schedules), not_found (unknown run or schedule; unknown worker or boot: register), conflict
  /// (a worker of an older boot).
  void step(time_point now, request_id id, const event& what, effects& out) {
    inside_.pass(now);
    troupe::visit([&](const auto& request) { handle(id, request, out); }, what);
    inside_.dispatch();
  }

  /// Returns why step() would refuse `what` for its size; errc::none if not. Cost: O(tasks).
  [[nodiscard]] problem screen(const event& what) const {
    return troupe::visit([this](const auto& request) { return this->screened(request); }, what);
  }

  /// Handles what is due by `now`: leases, time-outs, retries, delays. Harmless when early.
  /// @pre `now` never goes backwards.
  void tick(time_point now, effects&) {
    inside_.pass(now);
    inside_.dispatch();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return inside_.next_deadline();
  }

  /// When the scheduler needs to be told the wall time (event wall).
  [[nodiscard]] std::optional<wall_time> next_wall_deadline() const {
    auto start = inside_.next_appointment();
    auto due = timetable_.next_deadline();
    return start && due ? std::min(start, due) : start ? start : due;
  }

  /// Later records are processed by the rules of this number.
  void use_rules(std::uint32_t number) {
    inside_.rules = number;
    inside_.line_up_all();
  }

  // -- signs of life ---------------------------------------------------------------

  [[nodiscard]] std::optional<duration> life_term() const {
    return inside_.rules < 2 || inside_.pool.all().empty() ? std::nullopt
                                                           : std::optional{inside_.options.lease};
  }

  [[nodiscard]] std::vector<std::uint64_t> lives() const {
    std::vector<std::uint64_t> found;
    if (inside_.rules >= 2)
      for (auto& [id, who] : inside_.pool.all())
        if (!who.silent)
          found.push_back(id.value);
    return found;
  }

  [[nodiscard]] std::optional<std::uint64_t> life_of(const check_in& question) const {
    return life_of(question.worker, question.boot);
  }

  /// Each request that prolongs the lease in the state, so that no silence is entered before that
  /// has ended. A registration that is repeated, as its answer was lost, is one of them.
  [[nodiscard]] std::optional<std::uint64_t> life_of(const event& what) const {
    if (auto* registered = std::get_if<register_worker>(&what)) {
      auto* known = inside_.pool.find(registered->owner, registered->name);
      return known != nullptr ? life_of(known->id, registered->boot) : std::nullopt;
    }
    if (auto* leaves = std::get_if<deregister_worker>(&what))
      return life_of(leaves->worker, leaves->boot);
    if (auto* renewed = std::get_if<renew_worker>(&what))
      return life_of(renewed->worker, renewed->boot);
    if (auto* reported = std::get_if<report>(&what))
      return life_of(reported->worker, reported->boot);
    return std::nullopt;
  }

  /// The node of the worker that a request is about; nothing if that is not registered. Only that
  /// node may send the request: the numbers of workers are no secret.
  template <class Request>
  requires requires(const Request& what) {
    { what.worker } -> std::convertible_to<worker_id>;
    { what.boot } -> std::convertible_to<std::uint64_t>;
  }
  [[nodiscard]] std::optional<std::string> owner_of(const Request& what) const {
    auto* who = find(what.worker, what.boot);
    return who != nullptr ? std::optional{who->words.owner.text()} : std::nullopt;
  }

  // -- questions -------------------------------------------------------------------

  /// Refusals: not_found (register first), conflict (renew).
  [[nodiscard]] result<worker_receipt> answer(const check_in& question) const {
    auto* who = find(question.worker, question.boot);
    if (who == nullptr)
      return unknown_worker(question.worker);
    if (inside_.rules < 2 || who->silent || !detail::agrees(*who, question.seen, question.open))
      return problem{errc::conflict, "the scheduler has other open attempts for worker "
                                       + std::to_string(question.worker.value)
                                       + "; send renew_worker"};
    return receipt_of(*who);
  }

  /// Refusals: not_found (register first).
  [[nodiscard]] result<worker_orders> answer(const watch_assignments& question) const {
    auto* who = find(question.worker, question.boot);
    if (who == nullptr)
      return unknown_worker(question.worker);
    return detail::orders_for(*who, inside_.runs, question, inside_.options, inside_.now);
  }

  [[nodiscard]] bool has_news(const watch_assignments& question) const {
    auto* who = find(question.worker, question.boot);
    return who == nullptr || who->sequence != question.after;
  }

  /// Spans are as of `now`, as in all answers that take it. Refusals: not_found.
  [[nodiscard]] result<run_details> answer(const find_run& question,
                                           time_point now = time_point::min()) const {
    auto* found = inside_.runs.find(question.run);
    if (found == nullptr)
      return unknown_run(question.run);
    return detail::details_of(*found, question, inside_.queue(), inside_.pool, at(now));
  }

  [[nodiscard]] run_list answer(const list_runs& question,
                                time_point now = time_point::min()) const {
    return detail::list_of(inside_.runs, question, at(now));
  }

  /// Refusals: not_found.
  [[nodiscard]] result<task_result> answer(const find_result& question) const {
    auto* found = inside_.runs.find(question.run);
    if (found == nullptr)
      return unknown_run(question.run);
    if (question.task >= found->size())
      return problem{errc::not_found, "run " + std::to_string(question.run.value) + " has "
                                        + std::to_string(found->size())
                                        + " tasks, numbered from 0; there is no number "
                                        + std::to_string(question.task)};
    auto& asked = found->tasks[question.task];
    return task_result{asked.state, asked.attempt, asked.value, asked.why};
  }

  /// Refusals: not_found.
  [[nodiscard]] result<run_news> answer(const watch_run& question,
                                        time_point now = time_point::min()) const {
    auto* found = inside_.runs.find(question.run);
    if (found == nullptr)
      return unknown_run(question.run);
    return detail::news_of(*found, question, inside_.options.max_changes, at(now));
  }

  [[nodiscard]] bool has_news(const watch_run& question) const {
    auto* found = inside_.runs.find(question.run);
    return found == nullptr || found->revision != question.after || is_final(found->state);
  }

  [[nodiscard]] schedule_list answer(const list_schedules& question) const {
    return timetable_.answer(question);
  }

  [[nodiscard]] worker_list answer(const list_workers& question,
                                   time_point now = time_point::min()) const {
    return detail::list_of(inside_.pool, question, at(now));
  }

  [[nodiscard]] scheduler_statistics answer(const find_statistics&) const {
    return detail::statistics_of(inside_.statistics, inside_.runs, inside_.pool,
                                 inside_.unplaceable());
  }

  // -- snapshot --------------------------------------------------------------------

  /// Returns the state as of the last call. Equal states give equal snapshots.
  [[nodiscard]] scheduler_snapshot snapshot() const {
    scheduler_snapshot saved{.options = inside_.options,
                             .configured = configured_,
                             .random = inside_.random,
                             .last_run = last_run_,
                             .last_worker = last_worker_,
                             .statistics = answer(find_statistics{}),
                             .wall_now = inside_.wall_now,
                             .schedules = timetable_.save(),
                             .rules = inside_.rules};
    for (auto& [id, each] : inside_.pool.all())
      saved.workers.push_back(detail::save(each, inside_.now));
    for (auto& [id, each] : inside_.runs.all())
      saved.runs.push_back(detail::save(each, inside_.options.max_changes, inside_.now));
    auto& finished = inside_.runs.finished();
    saved.finished.assign(finished.begin(), finished.end());
    return saved;
  }

  /// Continues at `now` from `saved`; exactly as the original if `now` is the time of its last
  /// call.
  /// @pre `saved` comes from snapshot() and has passed verify().
  void restore(time_point now, const scheduler_snapshot& saved) {
    *this = {};
    configured_ = saved.configured;
    last_run_ = saved.last_run;
    last_worker_ = saved.last_worker;
    inside_.now = now;
    inside_.rules = saved.rules;
    inside_.options = detail::bounded(saved.options);
    inside_.random = saved.random;
    inside_.statistics = saved.statistics;
    inside_.wall_now = saved.wall_now;
    timetable_.load(saved.schedules);
    for (auto& each : saved.workers)
      detail::load(inside_.pool, each, now);
    for (auto& each : saved.runs)
      detail::load(inside_.runs, inside_.pool, each, now);
    for (auto id : saved.finished)
      inside_.runs.restore_finished(id);
    inside_.line_up_all();
  }

  /// Returns damaged if parts of the snapshot refer to something that it lacks. Hosts call this
  /// before restore(). Cost: O(n log n) in workers, tasks and edges.
  [[nodiscard]] static problem verify(const scheduler_snapshot& saved) {
    return detail::snapshot_check{saved}();
  }

private:
  /// The time that the spans of an answer count from.
  [[nodiscard]] time_point at(time_point now) const {
    return std::max(now, inside_.now);
  }

  // -- requests: workflows -----------------------------------------------------------

  void handle(request_id, const configure& request, effects&) {
    if (!std::exchange(configured_, true) || inside_.options.seed != request.options.seed)
      inside_.random = random_source{request.options.seed};
    auto options = detail::bounded(request.options);
    if (inside_.options == options)
      return;
    inside_.forget_surplus();
    inside_.options = options;
    inside_.line_up_all();
  }

  void handle(request_id id, const submit& request, effects& out) {
    if (!request.key.empty())
      if (auto* known = inside_.runs.find(request.key))
        return accept(id, run_receipt{known->id, known->state, true}, out);
    if (auto made = admit(request))
      accept(id, receipt_of(**made), out);
    else
      refuse(id, made.error(), out);
  }

  /// Adds a run if it is valid and there is room for it.
  result<detail::run*> admit(const submit& request) {
    auto& runs = inside_.runs;
    auto& options = inside_.options;
    if (auto why = detail::check(request, options))
      return why;
    if (runs.live() >= options.max_runs)
      return detail::full("runs", "max_runs", options.max_runs);
    if (runs.live_tasks() + request.tasks.size() > options.max_live_tasks)
      return detail::full("tasks", "max_live_tasks", options.max_live_tasks);
    if (!runs.make_room(detail::bytes_of(request), options.max_bytes))
      return detail::full("bytes", "max_bytes", options.max_bytes);
    return &inside_.add(make_run(request));
  }

  [[nodiscard]] detail::run make_run(const submit& request) {
    detail::run made;
    made.id = run_id{++last_run_};
    made.name = request.name;
    made.key = request.key;
    made.priority = request.priority;
    made.policy = request.policy;
    made.retry = request.retry;
    made.submitted = inside_.now;
    if (request.delay > duration::zero())
      made.starts_at = inside_.now + request.delay;
    made.starts_on = request.start_at;
    made.submitted_tasks = static_cast<std::uint32_t>(request.tasks.size());
    made.tasks.resize(request.tasks.size());
    for (std::size_t position = 0; position < made.tasks.size(); ++position) {
      auto& each = made.tasks[position];
      each.spec = request.tasks[position];
      each.waits_for = static_cast<std::uint32_t>(each.spec.parents.size());
      each.since = inside_.now;
    }
    made.link();
    return made;
  }

  void handle(request_id id, const cancel_run& request, effects& out) {
    auto* found = inside_.runs.find(request.run);
    if (found == nullptr)
      return refuse(id, unknown_run(request.run), out);
    if (!is_final(found->state))
      inside_.cancel(*found);
    accept(id, receipt_of(*found), out);
  }

  void handle(request_id id, const pause_run& request, effects& out) {
    auto* found = inside_.runs.find(request.run);
    if (found == nullptr)
      return refuse(id, unknown_run(request.run), out);
    if (!is_final(found->state) && found->state != run_state::paused)
      inside_.pause(*found);
    accept(id, receipt_of(*found), out);
  }

  void handle(request_id id, const resume_run& request, effects& out) {
    auto* found = inside_.runs.find(request.run);
    if (found == nullptr)
      return refuse(id, unknown_run(request.run), out);
    if (found->state == run_state::paused)
      inside_.resume(*found);
    accept(id, receipt_of(*found), out);
  }

  // -- requests: their size ----------------------------------------------------------

  template <class Request>
  [[nodiscard]] static problem screened(const Request&) {
    return {};
  }

  [[nodiscard]] problem screened(const submit& request) const {
    if (!detail::is_large(request, inside_.options)
        || (!request.key.empty() && inside_.runs.find(request.key) != nullptr))
      return {};
    return detail::check(request, inside_.options);
  }

  [[nodiscard]] problem screened(const define_schedule& request) const {
    if (!detail::is_large(request.what, inside_.options) && !detail::is_long(request.name)
        && !detail::is_long(request.cron))
      return {};
    return detail::check(request, inside_.options);
  }

  [[nodiscard]] problem screened(const remove_schedule& request) const {
    return detail::is_long(request.name) ? unknown_schedule(request.name) : problem{};
  }

  [[nodiscard]] static problem screened(const register_worker& request) {
    return detail::check(request);
  }

  // -- requests: the calendar --------------------------------------------------------

  void handle(request_id id, const define_schedule& request, effects& out) {
    auto& options = inside_.options;
    if (auto why = detail::check(request, options))
      return refuse(id, std::move(why), out);
    auto* known = timetable_.find(request.name);
    if (known == nullptr && timetable_.size() >= options.max_schedules)
      return refuse(id, detail::full("schedules", "max_schedules", options.max_schedules), out);
    auto replaced = known != nullptr ? detail::bytes_of(known->words.what) : 0;
    if (timetable_.bytes() - replaced + detail::bytes_of(request.what) > options.max_schedule_bytes)
      return refuse(id, detail::full("bytes", "max_schedule_bytes", options.max_schedule_bytes),
                    out);
    timetable_.add(request);
    accept(id, schedule_receipt{request.name, known != nullptr}, out);
  }

  void handle(request_id id, const remove_schedule& request, effects& out) {
    if (timetable_.remove(request.name))
      return accept(id, schedule_receipt{request.name, true}, out);
    refuse(id, unknown_schedule(request.name), out);
  }

  void handle(request_id, const wall& told, effects&) {
    inside_.pass(told.now);
    timetable_.pass(told.now, [this](detail::timetable::entry& due, wall_time moment) {
      auto& standing = due.standing;
      auto* last = inside_.runs.find(standing.last_run);
      if (last != nullptr && !is_final(last->state) && !due.words.overlap) {
        ++standing.skipped;
        return;
      }
      auto what = due.words.what;
      what.key = due.words.name + "@" + minute_of(moment);
      if (inside_.runs.find(what.key) != nullptr)
        return; // this start was made already
      if (auto made = admit(what)) {
        ++standing.started;
        standing.last_run = (*made)->id;
      } else {
        ++standing.refused;
        standing.why = made.error();
      }
    });
  }

  // -- requests: workers -------------------------------------------------------------

  void handle(request_id id, const register_worker& request, effects& out) {
    auto& pool = inside_.pool;
    if (auto why = detail::check(request))
      return refuse(id, std::move(why), out);
    auto* known = pool.find(request.owner, request.name);
    if (known != nullptr && request.boot < known->words.boot)
      return refuse(id,
                    {errc::conflict, "worker " + request.name + " of boot "
                                       + std::to_string(known->words.boot) + " is registered; boot "
                                       + std::to_string(request.boot) + " is over, stop it"},
                    out);
    if (known != nullptr && request.boot > known->words.boot) {
      inside_.forget(*known);
      known = nullptr;
    }
    if (known == nullptr) {
      if (pool.all().size() >= inside_.options.max_workers)
        return refuse(id, detail::full("workers", "max_workers", inside_.options.max_workers), out);
      known = &pool.add(worker_id{++last_worker_}, request);
      known->maintenance = request.maintenance;
      inside_.offer(*known);
    } else if (known->words != request || known->draining) {
      inside_.withdraw_offer(*known);
      known->words = request;
      known->maintenance |= request.maintenance;
      known->draining = false;
      inside_.offer(*known);
    }
    inside_.hear(*known);
    accept(id, receipt_of(*known), out);
  }

  void handle(request_id id, const renew_worker& request, effects& out) {
    auto* who = find(request.worker, request.boot);
    if (who == nullptr)
      return refuse(id, unknown_worker(request.worker), out);
    inside_.hear(*who);
    if (request.seen > 0)
      inside_.compare_books(*who, request.seen, request.open);
    accept(id, receipt_of(*who), out);
    inside_.forget_if_gone(*who);
  }

  void handle(request_id, const silence& what, effects&) {
    auto* who = inside_.pool.find(worker_id{what.who});
    if (who == nullptr || who->silent)
      return;
    who->lease_ends = inside_.now; // signs of life without a record had prolonged it
    inside_.go_silent(*who);
  }

  void handle(request_id id, const deregister_worker& request, effects& out) {
    auto* who = find(request.worker, request.boot);
    if (who == nullptr)
      return refuse(id, unknown_worker(request.worker), out);
    if (!std::exchange(who->draining, true))
      inside_.withdraw_offer(*who);
    inside_.hear(*who);
    accept(id, receipt_of(*who), out);
    inside_.forget_if_gone(*who);
  }

  void handle(request_id id, const set_maintenance& request, effects& out) {
    auto* who = inside_.pool.find(request.worker);
    if (who == nullptr)
      return refuse(id, unknown_worker(request.worker), out);
    who->maintenance = request.on;
    inside_.refresh(*who);
    accept(id, receipt_of(*who), out);
  }

  void handle(request_id id, const worker_lost& request, effects& out) {
    std::vector<worker_id> lost;
    for (auto& [each, who] : inside_.pool.all())
      if (who.words.owner == request.owner && who.words.boot <= request.boot
          && (request.name.empty() || who.words.name == request.name))
        lost.push_back(each);
    loss_receipt receipt{.workers = static_cast<std::uint32_t>(lost.size())};
    for (auto each : lost)
      receipt.attempts += inside_.forget(*inside_.pool.find(each));
    accept(id, receipt, out);
  }

  void handle(request_id id, const report& request, effects& out) {
    auto* who = find(request.worker, request.boot);
    if (who == nullptr) {
      inside_.statistics.stale_outcomes += request.outcomes.size();
      return refuse(id, unknown_worker(request.worker), out);
    }
    if (auto why = detail::check(request))
      return refuse(id, std::move(why), out);
    report_receipt receipt;
    for (auto& each : request.outcomes)
      if (inside_.take(*who, each))
        ++receipt.taken;
      else
        receipt.stale.push_back({each.what});
    inside_.statistics.stale_outcomes += receipt.stale.size();
    inside_.hear(*who);
    accept(id, std::move(receipt), out);
    inside_.forget_if_gone(*who);
  }

  // -- answers -----------------------------------------------------------------------

  template <class Result>
  static void accept(request_id id, Result value, effects& out) {
    out.push_back(answered<Result>{id, std::move(value)});
  }

  static void refuse(request_id id, problem why, effects& out) {
    out.push_back(refused{id, std::move(why)});
  }

  static run_receipt receipt_of(const detail::run& owner) {
    return {owner.id, owner.state, false};
  }

  [[nodiscard]] worker_receipt receipt_of(const detail::worker& who) const {
    return {who.id, who.state(), inside_.options.lease};
  }

  [[nodiscard]] std::optional<std::uint64_t> life_of(worker_id id, std::uint64_t boot) const {
    return find(id, boot) != nullptr ? std::optional{id.value} : std::nullopt;
  }

  [[nodiscard]] const detail::worker* find(worker_id id, std::uint64_t boot) const {
    auto* found = inside_.pool.find(id);
    return found != nullptr && found->words.boot == boot ? found : nullptr;
  }

  [[nodiscard]] detail::worker* find(worker_id id, std::uint64_t boot) {
    auto* found = inside_.pool.find(id);
    return found != nullptr && found->words.boot == boot ? found : nullptr;
  }

  static problem unknown_run(run_id id) {
    return {errc::not_found, "there is no run " + std::to_string(id.value)
                               + "; it was never submitted, or it is over and was dropped"};
  }

  static problem unknown_schedule(const std::string& name) {
    return {errc::not_found,
            "there is no schedule " + detail::in_quotes(name) + "; list_schedules names all"};
  }

  static problem unknown_worker(worker_id id) {
    return {errc::not_found, "worker " + std::to_string(id.value)
                               + " is not registered with this boot; stop its tasks and register"};
  }

  // -- state -------------------------------------------------------------------------

  detail::dispatcher inside_;
  detail::timetable timetable_;
  bool configured_ = false;
  std::uint64_t last_run_ = 0;
  std::uint64_t last_worker_ = 0;
};

static_assert(
  machine<task_scheduler> && wall_timed<task_scheduler> && life_watching<task_scheduler>);

} // namespace troupe::scheduler
