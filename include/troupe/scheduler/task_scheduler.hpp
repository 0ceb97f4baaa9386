#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/core/result.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/detail/admission.hpp"
#include "troupe/scheduler/detail/ready_queue.hpp"
#include "troupe/scheduler/detail/run_table.hpp"
#include "troupe/scheduler/detail/saving.hpp"
#include "troupe/scheduler/detail/views.hpp"
#include "troupe/scheduler/detail/worker_pool.hpp"
#include "troupe/scheduler/queries.hpp"
#include "troupe/scheduler/snapshot.hpp"

namespace troupe::scheduler {

/// Decides which task of which workflow runs on which worker, and what is true of a
/// task when workers, links and messages are lost. A pure state machine: no clock, no
/// thread, no I/O.
///
/// Workers fetch their orders (watch_assignments) and bring in outcomes (report), so
/// no handle of theirs is state. An attempt is a lease with a number: when its time is
/// over, its worker silent or its task cancelled, it is over for good, and whatever
/// its worker reports of it later is refused. So each task ends once and has one
/// result, while it may have been begun more than once.
///
/// What an attempt takes of its worker stays taken until the worker reports the end or
/// its boot is dead: capacity is never promised twice, not even while two sides
/// disagree on what is cancelled.
///
/// Steps cost O(log n) in tasks and workers for each task that they touch, a
/// submission also O(edges), a worker that comes or goes O(tasks that could tell).
class task_scheduler {
public:
  using event = scheduler::event;
  using effects = scheduler::effects;
  using query = find_run;
  using snapshot_type = scheduler_snapshot;

  static constexpr std::uint32_t rules = 1;

  /// Handles one request made at `now`, after all that time itself brought about.
  /// Each is answered in this call; configure has no answer.
  ///
  /// Refusals: bad_argument (a field out of range; a graph with a cycle), too_large (a
  /// workflow or an input), limit_reached (runs, tasks, bytes, workers), not_found (no
  /// such run; no such worker or boot: register), conflict (a worker of an older boot).
  void step(time_point now, request_id id, const event& what, effects& out) {
    pass(now);
    std::visit([&](const auto& request) { handle(id, request, out); }, what);
    settle_all();
  }

  /// Lets time pass: leases, time-outs, retries, delays. Harmless when early.
  /// @pre `now` never goes backwards.
  void tick(time_point now, effects&) {
    pass(now);
    settle_all();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (alarms_.empty())
      return std::nullopt;
    return alarms_.begin()->at;
  }

  // -- questions -------------------------------------------------------------------

  [[nodiscard]] result<worker_orders> answer(const watch_assignments& question) const {
    auto* who = worker_of(question.worker, question.boot);
    if (who == nullptr)
      return unknown_worker(question.worker);
    return detail::orders_for(*who, runs_, question, options_, now_);
  }

  [[nodiscard]] bool has_news(const watch_assignments& question) const {
    auto* who = worker_of(question.worker, question.boot);
    return who == nullptr || who->sequence != question.after;
  }

  [[nodiscard]] result<run_details> answer(const find_run& question) const {
    auto* found = runs_.find(question.run);
    if (found == nullptr)
      return unknown_run(question.run);
    return detail::details_of(*found, question, queue_, pool_, now_);
  }

  [[nodiscard]] run_list answer(const list_runs& question) const {
    return detail::list_of(runs_, question, now_);
  }

  [[nodiscard]] result<task_result> answer(const find_result& question) const {
    auto* found = runs_.find(question.run);
    if (found == nullptr)
      return unknown_run(question.run);
    if (question.task >= found->size())
      return problem{errc::not_found, "run " + std::to_string(question.run.value) + " has "
                                        + std::to_string(found->size()) + " tasks and none number "
                                        + std::to_string(question.task)};
    auto& asked = found->tasks[question.task];
    return task_result{asked.state, asked.attempt, asked.value, asked.why};
  }

  [[nodiscard]] result<run_news> answer(const watch_run& question) const {
    auto* found = runs_.find(question.run);
    if (found == nullptr)
      return unknown_run(question.run);
    return detail::news_of(*found, question, options_.max_changes, now_);
  }

  [[nodiscard]] bool has_news(const watch_run& question) const {
    auto* found = runs_.find(question.run);
    return found == nullptr || found->revision != question.after || is_final(found->state);
  }

  [[nodiscard]] worker_list answer(const list_workers& question) const {
    return detail::list_of(pool_, question, now_);
  }

  [[nodiscard]] scheduler_statistics answer(const find_statistics&) const {
    return detail::statistics_of(statistics_, runs_, pool_, unplaceable_.size());
  }

  // -- snapshot --------------------------------------------------------------------

  /// Returns the state as of the last call. Equal states give equal snapshots.
  [[nodiscard]] scheduler_snapshot snapshot() const {
    scheduler_snapshot saved{.options = options_,
                             .configured = configured_,
                             .random = random_,
                             .last_run = last_run_,
                             .last_worker = last_worker_,
                             .statistics = answer(find_statistics{})};
    for (auto& [id, each] : pool_.all())
      saved.workers.push_back(detail::save(each, now_));
    for (auto& [id, each] : runs_.all())
      saved.runs.push_back(detail::save(each, options_.max_changes, now_));
    saved.finished.assign(runs_.finished().begin(), runs_.finished().end());
    return saved;
  }

  /// Goes on at `now` from where `saved` was taken, exactly so if `now` is the time of
  /// the last call before.
  /// @pre `saved` comes from snapshot(); the host has verified its checksum.
  void restore(time_point now, const scheduler_snapshot& saved) {
    *this = {};
    now_ = now;
    options_ = saved.options;
    configured_ = saved.configured;
    random_ = saved.random;
    last_run_ = saved.last_run;
    last_worker_ = saved.last_worker;
    statistics_ = saved.statistics;
    for (auto& each : saved.workers) {
      auto& who = pool_.add(each.worker, each.words);
      detail::load(who, each, now);
      for (auto& [what, left] : who.leftovers)
        pool_.take(who, left.needs);
    }
    for (auto& each : saved.runs) {
      auto& loaded = runs_.add(detail::load(each, now));
      for (std::uint32_t position = 0; position < loaded.size(); ++position)
        if (auto& open = loaded.tasks[position]; open.state == task_state::running) {
          auto* who = pool_.find(open.worker);
          assert(who != nullptr);
          who->running.emplace(open.sequence, name(loaded, position));
          pool_.take(*who, open.spec.needs);
        }
    }
    for (auto id : saved.finished)
      runs_.restore_finished(id);
    line_up_all();
  }

private:
  using run = detail::run;
  using task = detail::task;
  using worker = detail::worker;
  using task_name = detail::task_name;
  using ready_queue = detail::ready_queue;

  enum class alarm_kind : std::uint8_t { worker, run, task };

  /// Rings when the one moment that its subject waits for has come.
  struct alarm {
    time_point at;
    alarm_kind kind;
    std::uint64_t id = 0;
    std::uint32_t task = 0;

    friend auto operator<=>(const alarm&, const alarm&) = default;
  };

  static constexpr duration look_again = std::chrono::seconds{1};

  // -- time ------------------------------------------------------------------------

  void pass(time_point now) {
    assert(now >= now_);
    now_ = now;
    while (!alarms_.empty() && alarms_.begin()->at <= now) {
      auto due = *alarms_.begin();
      alarms_.erase(alarms_.begin());
      switch (due.kind) {
        case alarm_kind::worker:
          ring(*pool_.find(worker_id{due.id}));
          break;
        case alarm_kind::run:
          start(*runs_.find(run_id{due.id}));
          break;
        case alarm_kind::task:
          ring(*runs_.find(run_id{due.id}), due.task);
          break;
      }
    }
  }

  void ring(worker& who) {
    if (who.silent && who.lease_ends + options_.silence <= now_)
      return (void)forget(who);
    if (!who.silent && who.lease_ends <= now_)
      go_silent(who);
    refresh(who);
  }

  void ring(run& owner, std::uint32_t position) {
    auto& due = owner.tasks[position];
    due.alarm.reset();
    switch (due.state) {
      case task_state::pending:
        make_ready(owner, position);
        break;
      case task_state::ready:
        if (pool_.all().empty())
          set_alarm(owner, position, now_ + std::max(options_.unplaceable_patience, look_again));
        else
          fail(owner, position, detail::why_unplaceable(due, queue_, pool_));
        break;
      case task_state::running:
        ++statistics_.timed_out;
        leave_over(owner, position);
        try_again(owner, position,
                  {errc::timed_out, "attempt " + std::to_string(due.attempt) + " took longer than "
                                      + to_string(due.spec.timeout) + " (task_spec::timeout)"});
        break;
      case task_state::completed:
      case task_state::failed:
      case task_state::cancelled:
      case task_state::skipped:
        assert(!"a task that is over waits for nothing");
    }
    settle(owner);
  }

  void set_alarm(run& owner, std::uint32_t position, std::optional<time_point> at) {
    auto& changed = owner.tasks[position];
    if (changed.alarm)
      alarms_.erase({*changed.alarm, alarm_kind::task, owner.id.value, position});
    changed.alarm = at;
    if (at)
      alarms_.insert({*at, alarm_kind::task, owner.id.value, position});
  }

  void set_alarm(worker& who) {
    alarms_.erase({who.alarm, alarm_kind::worker, who.id.value});
    who.alarm = who.silent ? who.lease_ends + options_.silence : who.lease_ends;
    if (who.paused_until > now_)
      who.alarm = std::min(who.alarm, who.paused_until);
    alarms_.insert({who.alarm, alarm_kind::worker, who.id.value});
  }

  // -- requests: workflows -----------------------------------------------------------

  void handle(request_id, const configure& request, effects&) {
    if (!std::exchange(configured_, true) || options_.seed != request.options.seed)
      random_ = random_source{request.options.seed};
    if (options_ == request.options)
      return;
    options_ = request.options;
    line_up_all();
  }

  void handle(request_id id, const submit& request, effects& out) {
    if (!request.key.empty())
      if (auto* known = runs_.find(request.key))
        return accept(id, run_receipt{known->id, known->state, true}, out);
    if (auto why = detail::check(request, options_); why.code != errc::none)
      return refuse(id, std::move(why), out);
    if (runs_.live() >= options_.max_runs)
      return refuse(id, full("runs", "max_runs", options_.max_runs), out);
    if (runs_.live_tasks() + request.tasks.size() > options_.max_live_tasks)
      return refuse(id, full("tasks", "max_live_tasks", options_.max_live_tasks), out);
    std::uint64_t bytes = 0;
    for (auto& given : request.tasks)
      bytes += detail::bytes_of(given);
    if (!runs_.make_room(bytes, options_.max_bytes))
      return refuse(id, full("bytes", "max_bytes", options_.max_bytes), out);
    auto& made = runs_.add(make_run(request));
    for (auto& each : made.tasks)
      join_line(each);
    ++statistics_.runs_submitted;
    if (request.delay > duration::zero()) {
      made.starts_at = now_ + request.delay;
      alarms_.insert({*made.starts_at, alarm_kind::run, made.id.value});
    } else {
      start(made);
    }
    accept(id, receipt_of(made), out);
  }

  [[nodiscard]] run make_run(const submit& request) {
    run made;
    made.id = run_id{++last_run_};
    made.name = request.name;
    made.key = request.key;
    made.priority = request.priority;
    made.policy = request.policy;
    made.retry = request.retry;
    made.submitted = now_;
    made.submitted_tasks = static_cast<std::uint32_t>(request.tasks.size());
    made.tasks.resize(request.tasks.size());
    for (std::size_t position = 0; position < made.tasks.size(); ++position) {
      auto& each = made.tasks[position];
      each.spec = request.tasks[position];
      each.waits_for = static_cast<std::uint32_t>(each.spec.parents.size());
      each.since = now_;
    }
    made.link();
    return made;
  }

  void handle(request_id id, const cancel_run& request, effects& out) {
    auto* found = runs_.find(request.run);
    if (found == nullptr)
      return refuse(id, unknown_run(request.run), out);
    if (!is_final(found->state)) {
      problem why{errc::cancelled, "the run was cancelled"};
      if (found->why.code == errc::none)
        found->why = why;
      stop_rest(*found, task_state::cancelled, why);
      finish(*found, run_state::cancelled);
    }
    accept(id, receipt_of(*found), out);
  }

  void handle(request_id id, const pause_run& request, effects& out) {
    auto* found = runs_.find(request.run);
    if (found == nullptr)
      return refuse(id, unknown_run(request.run), out);
    if (!is_final(found->state) && found->state != run_state::paused) {
      for (std::uint32_t position = 0; position < found->size(); ++position)
        if (found->tasks[position].state == task_state::ready)
          take_out(*found, position);
      if (found->starts_at)
        alarms_.erase({*found->starts_at, alarm_kind::run, found->id.value});
      found->before_pause = std::exchange(found->state, run_state::paused);
      found->note_change();
    }
    accept(id, receipt_of(*found), out);
  }

  void handle(request_id id, const resume_run& request, effects& out) {
    auto* found = runs_.find(request.run);
    if (found == nullptr)
      return refuse(id, unknown_run(request.run), out);
    if (found->state == run_state::paused) {
      found->state = found->before_pause;
      found->note_change();
      if (found->state == run_state::waiting) {
        found->starts_at = std::max(*found->starts_at, now_);
        alarms_.insert({*found->starts_at, alarm_kind::run, found->id.value});
      }
      for (std::uint32_t position = 0; position < found->size(); ++position)
        if (found->tasks[position].state == task_state::ready)
          line_up(*found, position);
    }
    accept(id, receipt_of(*found), out);
  }

  // -- requests: workers -------------------------------------------------------------

  void handle(request_id id, const register_worker& request, effects& out) {
    if (auto why = detail::check(request); why.code != errc::none)
      return refuse(id, std::move(why), out);
    auto* known = pool_.find(request.owner, request.name);
    if (known != nullptr && request.boot < known->words.boot)
      return refuse(id,
                    {errc::conflict, "worker " + request.name + " of boot "
                                       + std::to_string(known->words.boot) + " is registered; boot "
                                       + std::to_string(request.boot) + " is over, stop it"},
                    out);
    if (known != nullptr && request.boot > known->words.boot) {
      forget(*known);
      known = nullptr;
    }
    if (known == nullptr) {
      if (pool_.all().size() >= options_.max_workers)
        return refuse(id, full("workers", "max_workers", options_.max_workers), out);
      known = &pool_.add(worker_id{++last_worker_}, request);
      offer(*known);
    } else if (known->words != request || known->draining) {
      withdraw_offer(*known);
      known->words = request;
      known->draining = false;
      offer(*known);
    }
    hear(*known);
    accept(id, receipt_of(*known), out);
  }

  void handle(request_id id, const renew_worker& request, effects& out) {
    auto* who = worker_of(request.worker, request.boot);
    if (who == nullptr)
      return refuse(id, unknown_worker(request.worker), out);
    hear(*who);
    if (request.seen > 0)
      compare_books(*who, request);
    auto receipt = receipt_of(*who);
    forget_if_gone(*who);
    accept(id, receipt, out);
  }

  void handle(request_id id, const deregister_worker& request, effects& out) {
    auto* who = worker_of(request.worker, request.boot);
    if (who == nullptr)
      return refuse(id, unknown_worker(request.worker), out);
    hear(*who);
    if (!std::exchange(who->draining, true))
      withdraw_offer(*who);
    refresh(*who);
    auto receipt = receipt_of(*who);
    forget_if_gone(*who);
    accept(id, receipt, out);
  }

  void handle(request_id id, const set_maintenance& request, effects& out) {
    auto* who = pool_.find(request.worker);
    if (who == nullptr)
      return refuse(id, unknown_worker(request.worker), out);
    who->maintenance = request.on;
    refresh(*who);
    accept(id, receipt_of(*who), out);
  }

  void handle(request_id id, const worker_lost& request, effects& out) {
    std::vector<worker_id> lost;
    for (auto& [each, who] : pool_.all())
      if (who.words.owner == request.owner && who.words.boot <= request.boot
          && (request.name.empty() || who.words.name == request.name))
        lost.push_back(each);
    loss_receipt receipt{.workers = static_cast<std::uint32_t>(lost.size())};
    for (auto each : lost)
      receipt.attempts += forget(*pool_.find(each));
    accept(id, receipt, out);
  }

  void handle(request_id id, const report& request, effects& out) {
    auto* who = worker_of(request.worker, request.boot);
    if (who == nullptr) {
      statistics_.stale_outcomes += request.outcomes.size();
      return refuse(id, unknown_worker(request.worker), out);
    }
    hear(*who);
    report_receipt receipt;
    for (auto& each : request.outcomes)
      if (take(*who, each))
        ++receipt.taken;
      else
        receipt.stale.push_back({each.what});
    statistics_.stale_outcomes += receipt.stale.size();
    refresh(*who);
    forget_if_gone(*who);
    accept(id, std::move(receipt), out);
  }

  // -- outcomes ----------------------------------------------------------------------

  /// Returns whether `what` was still wanted.
  bool take(worker& who, const outcome& what) {
    auto* owner = runs_.find(what.what.run);
    auto position = what.what.task;
    if (owner == nullptr || position >= owner->size()
        || owner->tasks[position].state != task_state::running
        || owner->tasks[position].attempt != what.what.attempt
        || owner->tasks[position].worker != who.id)
      return take_leftover(who, what);
    if (what.kind == outcome_kind::progress) {
      owner->tasks[position].progress_permille = std::min<std::uint16_t>(what.permille, 1'000);
      owner->note_change(position, options_.max_changes);
      return true;
    }
    release(who, *owner, position);
    switch (what.kind) {
      case outcome_kind::completed:
        complete(*owner, position, what.value);
        break;
      case outcome_kind::failed:
        ++statistics_.failed;
        if (what.retryable)
          try_again(*owner, position, sentence(what.why));
        else
          fail(*owner, position, sentence(what.why));
        break;
      case outcome_kind::busy:
        ++statistics_.busy;
        who.paused_until = now_ + options_.busy_pause;
        end_attempt(*owner, position);
        make_ready(*owner, position);
        break;
      case outcome_kind::stopped:
        lose(*owner, position);
        break;
      case outcome_kind::progress:
        break; // above
    }
    settle(*owner);
    return true;
  }

  /// An attempt that is over gives its room back; its outcome is of no use, unless it
  /// says that it ended as it was told to.
  bool take_leftover(worker& who, const outcome& what) {
    auto found = who.leftovers.find(what.what);
    if (found == who.leftovers.end() || what.kind == outcome_kind::progress)
      return false;
    give_back(who, found);
    return what.kind == outcome_kind::stopped;
  }

  void give_back(worker& who, std::map<attempt_id, detail::leftover>::iterator which) {
    who.cancellations.erase(which->second.sequence);
    pool_.give_back(who, which->second.needs);
    who.leftovers.erase(which);
  }

  /// What the worker was told and does not know of is lost.
  void compare_books(worker& who, const renew_worker& request) {
    std::set<attempt_id> open(request.open.begin(), request.open.end());
    std::vector<attempt_id> lost;
    for (auto& [sequence, what] : who.running)
      if (sequence <= request.seen && !open.contains(what))
        lost.push_back(what);
    for (auto at = who.leftovers.begin(); at != who.leftovers.end();) {
      auto each = at++;
      if (each->second.sequence <= request.seen && !open.contains(each->first))
        give_back(who, each);
    }
    for (auto& what : lost) {
      auto& owner = *runs_.find(what.run);
      if (owner.tasks[what.task].state != task_state::running
          || owner.tasks[what.task].attempt != what.attempt)
        continue; // ended with another one
      release(who, owner, what.task);
      lose(owner, what.task);
      settle(owner);
    }
    refresh(who);
  }

  [[nodiscard]] problem sentence(problem why) const {
    if (why.code == errc::none)
      why.code = errc::failed;
    if (why.detail.size() > options_.max_payload_bytes)
      why.detail.resize(options_.max_payload_bytes);
    return why;
  }

  // -- workers -----------------------------------------------------------------------

  void hear(worker& who) {
    who.lease_ends = now_ + options_.lease;
    who.silent = false;
    refresh(who);
  }

  /// Call after whatever may give a worker more room, or less.
  void refresh(worker& who) {
    pool_.update(now_, options_.placement, who);
    if (who.listed)
      queue_.reopen(who.id);
    set_alarm(who);
  }

  void offer(worker& who) {
    queue_.add_worker(who.id, [&](const detail::demand& asks) {
      return detail::worker_pool::is_good(who.words, asks);
    });
    auto waiting = unplaceable_;
    for (auto& each : waiting) {
      auto& owner = *runs_.find(each.run);
      if (!is_placeable(owner.tasks[each.task]))
        continue;
      take_out(owner, each.task);
      line_up(owner, each.task);
    }
  }

  void withdraw_offer(worker& who) {
    queue_.remove_worker(who.id, [&](ready_queue::line_number line) {
      auto places = queue_.places(line);
      for (auto& each : places) {
        auto& owner = *runs_.find(each.what.run);
        if (is_placeable(owner.tasks[each.what.task]))
          continue;
        take_out(owner, each.what.task);
        line_up(owner, each.what.task);
      }
    });
  }

  /// Its tasks run elsewhere from here on, while it may still be at them.
  void go_silent(worker& who) {
    who.silent = true;
    end_all(who, [&](run& owner, std::uint32_t position) { leave_over(owner, position); });
  }

  /// Returns how many attempts were lost with the worker.
  std::uint32_t forget(worker& who) {
    withdraw_offer(who);
    auto result = end_all(who, [](run&, std::uint32_t) {});
    alarms_.erase({who.alarm, alarm_kind::worker, who.id.value});
    pool_.remove(who);
    return result;
  }

  void forget_if_gone(worker& who) {
    if (who.draining && who.running.empty() && who.leftovers.empty())
      forget(who);
  }

  template <class End>
  std::uint32_t end_all(worker& who, End end) {
    std::uint32_t result = 0;
    auto running = who.running;
    for (auto& [sequence, what] : running) {
      auto& owner = *runs_.find(what.run);
      auto& each = owner.tasks[what.task];
      if (each.state != task_state::running || each.attempt != what.attempt)
        continue; // cancelled, as another one was lost too often
      end(owner, what.task);
      lose(owner, what.task);
      settle(owner);
      ++result;
    }
    return result;
  }

  // -- attempts ----------------------------------------------------------------------

  /// Gives ready tasks to workers until there is no room or nothing that fits.
  void dispatch() {
    while (pool_.anybody_has_room()) {
      auto line = queue_.first();
      if (!line)
        return;
      auto place = queue_.head(*line);
      auto& owner = *runs_.find(place.what.run);
      auto* who = pool_.find_room(owner.tasks[place.what.task].spec.needs,
                                  [&](worker_id id) { return queue_.is_good(*line, id); });
      if (who == nullptr) {
        queue_.block(*line);
        continue;
      }
      queue_.remove(*line, place);
      begin_attempt(owner, place.what.task, *who);
    }
  }

  void begin_attempt(run& owner, std::uint32_t position, worker& who) {
    auto& next = owner.tasks[position];
    auto& queue = statistics_.queues[detail::run_table::level_of(owner, next)];
    next.waited = now_ - next.since;
    ++queue.started;
    queue.waited_total += next.waited;
    queue.waited_longest = std::max(queue.waited_longest, next.waited);
    ++statistics_.attempts;
    ++next.attempt;
    next.progress_permille = 0;
    next.worker = who.id;
    next.sequence = ++who.sequence;
    who.running.emplace(next.sequence, name(owner, position));
    pool_.take(who, next.spec.needs);
    pool_.update(now_, options_.placement, who);
    set_state(owner, position, task_state::running);
    if (next.spec.timeout > duration::zero())
      set_alarm(owner, position, now_ + next.spec.timeout);
  }

  /// The worker is done with the attempt.
  void release(worker& who, run& owner, std::uint32_t position) {
    auto& ended = owner.tasks[position];
    who.running.erase(ended.sequence);
    pool_.give_back(who, ended.spec.needs);
  }

  /// The attempt is over, and the worker is told so. Until it reports the end the room
  /// is taken.
  void leave_over(run& owner, std::uint32_t position) {
    auto& ended = owner.tasks[position];
    auto& who = *pool_.find(ended.worker);
    who.running.erase(ended.sequence);
    auto sequence = ++who.sequence;
    who.leftovers.emplace(name(owner, position), detail::leftover{sequence, ended.spec.needs});
    who.cancellations.emplace(sequence, name(owner, position));
  }

  void end_attempt(run& owner, std::uint32_t position) {
    auto& ended = owner.tasks[position];
    ended.ran = now_ - ended.since;
    set_alarm(owner, position, std::nullopt);
  }

  void complete(run& owner, std::uint32_t position, const std::string& value) {
    if (value.size() > options_.max_payload_bytes) {
      ++statistics_.failed;
      return fail(owner, position, detail::check_payload("the result", value.size(), options_));
    }
    if (!runs_.make_room(value.size(), options_.max_bytes)) {
      ++statistics_.failed;
      return try_again(owner, position, full("bytes", "max_bytes", options_.max_bytes));
    }
    end_attempt(owner, position);
    ++statistics_.completed;
    runs_.set_value(owner, position, value);
    close(owner, position, task_state::completed, {});
    owner.for_each_child(position, [&](std::uint32_t child) {
      auto& next = owner.tasks[child];
      if (--next.waits_for == 0 && next.state == task_state::pending)
        make_ready(owner, child);
    });
  }

  /// The attempt failed for a reason that may pass.
  void try_again(run& owner, std::uint32_t position, const problem& why) {
    auto& failed = owner.tasks[position];
    auto& policy = failed.spec.retry ? *failed.spec.retry : owner.retry;
    if (++failed.failures >= policy.max_attempts)
      return fail(owner, position, why);
    end_attempt(owner, position);
    runs_.set_problem(owner, position, why);
    set_state(owner, position, task_state::pending);
    set_alarm(owner, position, now_ + policy.wait.delay(failed.failures, random_));
  }

  /// The attempt was lost with its worker, which says nothing of the task.
  void lose(run& owner, std::uint32_t position) {
    auto& lost = owner.tasks[position];
    ++statistics_.lost;
    if (++lost.losses > options_.max_losses)
      return fail(owner, position,
                  {errc::failed, std::to_string(lost.losses)
                                   + " workers were lost at this task; it may be what kills them "
                                     "(scheduler_options::max_losses)"});
    end_attempt(owner, position);
    make_ready(owner, position);
  }

  // -- tasks -------------------------------------------------------------------------

  void make_ready(run& owner, std::uint32_t position) {
    auto& next = owner.tasks[position];
    std::uint64_t bytes = next.spec.input.size();
    for (auto parent : next.spec.parents)
      bytes += owner.tasks[parent].value.size();
    if (bytes > options_.max_assignment_bytes)
      return fail(owner, position,
                  {errc::too_large, "its input and the results of its parents have "
                                      + std::to_string(bytes) + " bytes; return less, at most "
                                      + std::to_string(options_.max_assignment_bytes)
                                      + " together (scheduler_options::max_assignment_bytes)"});
    set_state(owner, position, task_state::ready);
    line_up(owner, position);
  }

  /// Puts a ready task where it waits: in line, or aside if no worker is good for it.
  void line_up(run& owner, std::uint32_t position) {
    auto& next = owner.tasks[position];
    if (!owner.starts_tasks())
      return;
    if (is_placeable(next))
      return queue_.push(next.line, place_of(owner, position));
    next.unplaceable = true;
    unplaceable_.insert({owner.id, position});
    set_alarm(owner, position, now_ + options_.unplaceable_patience);
  }

  void take_out(run& owner, std::uint32_t position) {
    auto& each = owner.tasks[position];
    if (!owner.starts_tasks())
      return;
    if (!std::exchange(each.unplaceable, false))
      return queue_.remove(each.line, place_of(owner, position));
    unplaceable_.erase({owner.id, position});
    set_alarm(owner, position, std::nullopt);
  }

  [[nodiscard]] ready_queue::place place_of(const run& owner, std::uint32_t position) const {
    auto& next = owner.tasks[position];
    auto rank = next.since.time_since_epoch();
    rank -= options_.ageing * static_cast<std::int64_t>(detail::run_table::level_of(owner, next));
    rank -= options_.retry_head_start * (std::int64_t{next.failures} + next.losses);
    return {rank.count(), {owner.id, position}};
  }

  [[nodiscard]] bool is_placeable(const task& next) const {
    return std::ranges::any_of(queue_.workers(next.line), [&](worker_id id) {
      return detail::fits(next.spec.needs, {.slots = 0}, pool_.find(id)->words.capacity);
    });
  }

  void join_line(task& each) {
    each.line = queue_.join(each.spec, [&](const detail::demand& asks) {
      std::vector<worker_id> good;
      for (auto& [id, who] : pool_.all())
        if (!who.draining && detail::worker_pool::is_good(who.words, asks))
          good.push_back(id);
      return good;
    });
  }

  /// The task has failed for good.
  void fail(run& owner, std::uint32_t position, const problem& why) {
    if (owner.tasks[position].state == task_state::ready)
      take_out(owner, position);
    if (owner.tasks[position].state == task_state::running)
      end_attempt(owner, position);
    close(owner, position, task_state::failed, why);
    if (owner.why.code == errc::none)
      owner.why = {why.code,
                   "task " + detail::in_quotes(owner.tasks[position].spec.id) + ": " + why.detail};
    if (owner.policy == failure_policy::continue_what_can)
      skip_descendants(owner, position);
    else
      stop_rest(
        owner, task_state::skipped,
        {errc::cancelled, "task " + detail::in_quotes(owner.tasks[position].spec.id) + " failed"});
  }

  void skip_descendants(run& owner, std::uint32_t failed) {
    problem why{errc::cancelled,
                "task " + detail::in_quotes(owner.tasks[failed].spec.id) + " failed"};
    std::vector<std::uint32_t> open{failed};
    while (!open.empty()) {
      auto position = open.back();
      open.pop_back();
      owner.for_each_child(position, [&](std::uint32_t child) {
        if (is_final(owner.tasks[child].state))
          return;
        close(owner, child, task_state::skipped, why);
        open.push_back(child);
      });
    }
  }

  /// Ends whatever is not over: what runs is cancelled, what waits is `waiting_ends`.
  void stop_rest(run& owner, task_state waiting_ends, const problem& why) {
    for (std::uint32_t position = 0; position < owner.size(); ++position) {
      auto& each = owner.tasks[position];
      if (is_final(each.state))
        continue;
      auto ends = waiting_ends;
      if (each.state == task_state::running) {
        end_attempt(owner, position);
        leave_over(owner, position);
        ends = task_state::cancelled;
      } else if (each.state == task_state::ready) {
        take_out(owner, position);
      }
      close(owner, position, ends, why);
    }
  }

  void close(run& owner, std::uint32_t position, task_state state, const problem& why) {
    auto& ended = owner.tasks[position];
    set_alarm(owner, position, std::nullopt);
    runs_.set_problem(owner, position, why);
    set_state(owner, position, state);
    queue_.leave(std::exchange(ended.line, ready_queue::no_line));
  }

  void set_state(run& owner, std::uint32_t position, task_state state) {
    runs_.set_state(owner, position, state);
    owner.tasks[position].since = now_;
    owner.note_change(position, options_.max_changes);
  }

  // -- runs --------------------------------------------------------------------------

  void start(run& owner) {
    owner.starts_at.reset();
    owner.state = run_state::running;
    owner.started = now_;
    owner.note_change();
    for (std::uint32_t position = 0; position < owner.size(); ++position)
      if (owner.tasks[position].waits_for == 0
          && owner.tasks[position].state == task_state::pending)
        make_ready(owner, position);
    settle(owner);
  }

  /// Call after whatever may have ended the last task of a run.
  void settle(run& owner) {
    if (!is_final(owner.state) && owner.live() == 0)
      finish(owner, owner.why.code == errc::none ? run_state::completed : run_state::failed);
  }

  void finish(run& owner, run_state state) {
    if (owner.starts_at)
      alarms_.erase(
        {*std::exchange(owner.starts_at, std::nullopt), alarm_kind::run, owner.id.value});
    owner.state = state;
    owner.ended = now_;
    owner.note_change();
    runs_.finish(owner);
    ++statistics_.runs_finished;
  }

  void settle_all() {
    dispatch();
    runs_.keep_finished(options_.max_finished_runs);
  }

  /// Works out from workers and tasks what is kept for speed.
  void line_up_all() {
    queue_ = {};
    alarms_.clear();
    unplaceable_.clear();
    for (auto& [id, each] : pool_.all())
      refresh(*pool_.find(id));
    for (auto& [id, each] : runs_.all()) {
      if (is_final(each.state))
        continue;
      auto& owner = *runs_.find(id);
      if (owner.starts_at && owner.state == run_state::waiting)
        alarms_.insert({*owner.starts_at, alarm_kind::run, id.value});
      for (std::uint32_t position = 0; position < owner.size(); ++position)
        line_up_again(owner, position);
    }
  }

  void line_up_again(run& owner, std::uint32_t position) {
    auto& each = owner.tasks[position];
    if (is_final(each.state))
      return;
    join_line(each);
    if (each.alarm)
      alarms_.insert({*each.alarm, alarm_kind::task, owner.id.value, position});
    if (each.unplaceable)
      unplaceable_.insert({owner.id, position});
    else if (each.state == task_state::ready && owner.starts_tasks())
      queue_.push(each.line, place_of(owner, position));
  }

  // -- answers -----------------------------------------------------------------------

  template <class Result>
  static void accept(request_id id, Result value, effects& out) {
    out.push_back(answered<Result>{id, std::move(value)});
  }

  static void refuse(request_id id, problem why, effects& out) {
    out.push_back(refused{id, std::move(why)});
  }

  static run_receipt receipt_of(const run& owner) {
    return {owner.id, owner.state, false};
  }

  [[nodiscard]] worker_receipt receipt_of(const worker& who) const {
    return {who.id, who.state(), options_.lease};
  }

  static attempt_id name(const run& owner, std::uint32_t position) {
    return {owner.id, position, owner.tasks[position].attempt};
  }

  [[nodiscard]] const worker* worker_of(worker_id id, std::uint64_t boot) const {
    auto* found = pool_.find(id);
    return found != nullptr && found->words.boot == boot ? found : nullptr;
  }

  [[nodiscard]] worker* worker_of(worker_id id, std::uint64_t boot) {
    auto* found = pool_.find(id);
    return found != nullptr && found->words.boot == boot ? found : nullptr;
  }

  static problem unknown_run(run_id id) {
    return {errc::not_found, "there is no run " + std::to_string(id.value)
                               + "; it was never submitted, or it is over and was dropped"};
  }

  static problem unknown_worker(worker_id id) {
    return {errc::not_found, "worker " + std::to_string(id.value)
                               + " is not registered with this boot; stop its tasks and register"};
  }

  static problem full(const std::string& what, const std::string& option, std::uint64_t bound) {
    return {errc::limit_reached,
            "all " + std::to_string(bound) + " " + what
              + " are in use; retry with backoff or raise scheduler_options::" + option};
  }

  // -- state -------------------------------------------------------------------------

  scheduler_options options_;
  bool configured_ = false;
  random_source random_;
  detail::run_table runs_;
  detail::worker_pool pool_;
  std::uint64_t last_run_ = 0;
  std::uint64_t last_worker_ = 0;
  scheduler_statistics statistics_ = detail::no_statistics();
  time_point now_ = time_point::min();

  // -- worked out from the state, for speed --------------------------------------------

  ready_queue queue_;
  std::set<alarm> alarms_;
  /// Ready tasks of running runs for which no worker is good.
  std::set<task_name> unplaceable_;
};

static_assert(machine<task_scheduler>);

} // namespace troupe::scheduler
