#pragma once

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/random.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/detail/admission.hpp"
#include "troupe/scheduler/detail/ready_queue.hpp"
#include "troupe/scheduler/detail/run_table.hpp"
#include "troupe/scheduler/detail/views.hpp"
#include "troupe/scheduler/detail/waiting_room.hpp"
#include "troupe/scheduler/detail/worker_pool.hpp"

namespace troupe::scheduler::detail {

/// Assigns tasks to workers and keeps the life cycles of attempts, tasks, runs and workers.
/// Requests and answers are task_scheduler's.
///
/// Between two calls no ready task fits any worker that may run it.
class dispatcher : public waiting_room {
public:
  random_source random;
  scheduler_statistics statistics = no_statistics();

  // -- time ------------------------------------------------------------------------

  /// Handles what is due by `until`. Call dispatch() afterwards.
  void pass(time_point until) {
    assert(until >= now);
    now = until;
    while (!alarms_.empty() && alarms_.begin()->at <= now) {
      auto due = *alarms_.begin();
      alarms_.erase(alarms_.begin());
      switch (due.kind) {
        case alarm_kind::worker:
          ring(*pool.find(worker_id{due.id}));
          break;
        case alarm_kind::run:
          start(*runs.find(run_id{due.id}));
          break;
        case alarm_kind::task:
          ring(*runs.find(run_id{due.id}), due.task);
          break;
      }
    }
  }

  /// Starts the runs that are due by this wall time. Call dispatch() afterwards.
  void pass(wall_time until) {
    wall_now = std::max(wall_now.value_or(until), until);
    while (!appointments_.empty() && appointments_.begin()->first <= *wall_now)
      start(*runs.find(appointments_.extract(appointments_.begin()).value().second));
  }

  /// Gives ready tasks to workers until no worker has room or no task fits. Then drops the oldest
  /// ended runs above max_finished_runs.
  void dispatch() {
    while (pool.anybody_has_room()) {
      auto line = queue_.first();
      if (!line)
        break;
      auto first = queue_.head(*line);
      auto& owner = *runs.find(first.what.run);
      auto* who = find_room(*line, owner.tasks[first.what.task]);
      if (who == nullptr) {
        wait_for_room(first.what);
        queue_.block(*line, owner.tasks[first.what.task].spec.needs);
        continue;
      }
      take_out(owner, first.what.task);
      begin_attempt(owner, first.what.task, *who);
    }
    runs.keep_finished(options.max_finished_runs);
  }

  // -- runs ------------------------------------------------------------------------

  /// Adds a new run. Starts it at once, or when its start time comes.
  run& add(run&& made) {
    auto& added = runs.add(std::move(made));
    for (auto& each : added.tasks)
      join_line(each);
    ++statistics.runs_submitted;
    wait_for_start(added);
    return added;
  }

  /// @pre The run has not ended.
  void cancel(run& owner) {
    problem why{errc::cancelled, "the run was cancelled"};
    if (!owner.why)
      owner.why = why;
    stop_rest(owner, task_state::cancelled, why);
    finish(owner, run_state::cancelled);
  }

  /// @pre The run has not ended and is not paused.
  void pause(run& owner) {
    for (std::uint32_t position = 0; position < owner.size(); ++position)
      if (owner.tasks[position].state == task_state::ready)
        take_out(owner, position);
    forget_start(owner);
    owner.before_pause = std::exchange(owner.state, run_state::paused);
    owner.note_change();
  }

  /// @pre The run is paused.
  void resume(run& owner) {
    owner.state = owner.before_pause;
    owner.note_change();
    if (owner.state == run_state::waiting)
      return wait_for_start(owner);
    for (std::uint32_t position = 0; position < owner.size(); ++position)
      if (owner.tasks[position].state == task_state::ready)
        line_up(owner, position);
  }

  /// Drops changes beyond max_changes, which watchers do not see and snapshots leave out. Call
  /// before the options change: a larger max_changes would show them here, but not in a restored
  /// copy.
  void forget_surplus() {
    for (auto& [id, each] : runs.all())
      if (auto first = each.first_change(options.max_changes); !is_final(each.state) && first > 0)
        runs.find(id)->forget_changes(first);
  }

  // -- workers ---------------------------------------------------------------------

  /// The worker gave a sign of life.
  void hear(worker& who) {
    who.lease_ends = now + options.lease;
    who.silent = false;
    refresh(who);
  }

  /// Its tasks run elsewhere from now on, although it may still be running them.
  void go_silent(worker& who) {
    who.silent = true;
    lose_all(who, [&](run& owner, std::uint32_t position) { leave_over(owner, position); });
    refresh(who);
  }

  /// The boot of the worker is dead. Returns how many attempts were lost with it.
  std::uint32_t forget(worker& who) {
    withdraw_offer(who);
    who.draining = true; // keeps it out of lines made meanwhile, as for compensations
    auto result = lose_all(who, [](run&, std::uint32_t) {});
    alarms_.erase({who.alarm, alarm_kind::worker, who.id.value});
    pool.remove(who);
    return result;
  }

  void forget_if_gone(worker& who) {
    if (who.draining && who.running.empty() && who.leftovers.empty())
      forget(who);
  }

  /// Applies an outcome. Returns false if it is stale. Call refresh() after the last outcome of a
  /// worker.
  bool take(worker& who, const outcome& what) {
    auto* owner = runs.find(what.what.run);
    auto position = what.what.task;
    if (owner == nullptr || position >= owner->size() || !runs_at(*owner, what.what, who))
      return take_leftover(who, what);
    if (what.kind == outcome_kind::progress) {
      owner->tasks[position].progress_permille = std::min<std::uint16_t>(what.permille, 1'000);
      owner->note_change(position, options.max_changes);
      return true;
    }
    release(who, *owner, position);
    switch (what.kind) {
      case outcome_kind::completed:
        complete(*owner, position, what.value);
        break;
      case outcome_kind::failed:
        ++statistics.failed;
        if (what.retryable)
          try_again(*owner, position, sentence(what.why));
        else
          fail(*owner, position, sentence(what.why));
        break;
      case outcome_kind::busy:
        ++statistics.busy;
        who.paused_until = now + options.busy_pause;
        end_attempt(*owner, position);
        make_ready(*owner, position);
        break;
      case outcome_kind::stopped:
        lose(*owner, position);
        break;
      case outcome_kind::progress:
        break; // handled above
    }
    settle(*owner);
    return true;
  }

  /// Attempts of orders up to `seen` that the worker does not name are lost.
  void compare_books(worker& who, std::uint64_t seen, const std::vector<attempt_id>& named) {
    std::set<attempt_id> open(named.begin(), named.end());
    std::vector<attempt_id> lost;
    for (auto& [sequence, what] : who.running)
      if (sequence <= seen && !open.contains(what))
        lost.push_back(what);
    for (auto at = who.leftovers.begin(); at != who.leftovers.end();) {
      auto each = at++;
      if (each->second.sequence <= seen && !open.contains(each->first))
        give_back(who, each);
    }
    for (auto& what : lost) {
      auto& owner = *runs.find(what.run);
      if (!runs_at(owner, what, who))
        continue; // ended with another one
      release(who, owner, what.task);
      lose(owner, what.task);
      settle(owner);
    }
    refresh(who);
  }

private:
  // -- alarms ------------------------------------------------------------------------

  void ring(worker& who) {
    if (who.silent && who.lease_ends + options.silence <= now) {
      forget(who);
      return;
    }
    if (rules < 2 && !who.silent && who.lease_ends <= now)
      return go_silent(who);
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
        if (!due.unplaceable)
          keep_room(owner, position);
        else if (pool.all().empty())
          set_alarm(owner, position, now + std::max(options.unplaceable_patience, least_patience));
        else
          fail(owner, position, why_unplaceable(due, queue_, pool));
        break;
      case task_state::running:
        ++statistics.timed_out;
        leave_over(owner, position);
        try_again(owner, position,
                  {errc::timed_out, "attempt " + std::to_string(due.attempt) + " took longer than "
                                      + to_string(due.spec.timeout) + " (task_spec::timeout)"});
        break;
      case task_state::completed:
      case task_state::failed:
      case task_state::cancelled:
      case task_state::skipped:
        assert(false && "a task that is over waits for nothing");
    }
    settle(owner);
  }

  // -- workers -----------------------------------------------------------------------

  template <class End>
  std::uint32_t lose_all(worker& who, End end) {
    std::uint32_t result = 0;
    auto running = who.running;
    for (auto& [sequence, what] : running) {
      auto& owner = *runs.find(what.run);
      if (!runs_at(owner, what, who))
        continue; // ended with another one
      end(owner, what.task);
      lose(owner, what.task);
      settle(owner);
      ++result;
    }
    return result;
  }

  [[nodiscard]] static bool runs_at(const run& owner, const attempt_id& what, const worker& who) {
    auto& each = owner.tasks[what.task];
    return each.state == task_state::running && each.attempt == what.attempt
           && each.worker == who.id;
  }

  /// Frees the room of an attempt that the scheduler had ended. Its outcome is stale, except for
  /// the `stopped` that it was asked for.
  bool take_leftover(worker& who, const outcome& what) {
    auto found = who.leftovers.find(what.what);
    if (found == who.leftovers.end() || what.kind == outcome_kind::progress)
      return false;
    give_back(who, found);
    return what.kind == outcome_kind::stopped;
  }

  void give_back(worker& who, std::map<attempt_id, leftover>::iterator which) {
    who.cancellations.erase(which->second.sequence);
    pool.give_back(who, which->second.needs);
    who.leftovers.erase(which);
  }

  // -- attempts ----------------------------------------------------------------------

  void begin_attempt(run& owner, std::uint32_t position, worker& who) {
    auto& next = owner.tasks[position];
    auto& queue = statistics.queues[run_table::level_of(owner, next)];
    next.waited = now - next.since;
    ++queue.started;
    queue.waited_total += next.waited;
    queue.waited_longest = std::max(queue.waited_longest, next.waited);
    ++statistics.attempts;
    ++next.attempt;
    next.progress_permille = 0;
    next.worker = who.id;
    next.sequence = ++who.sequence;
    who.running.emplace(next.sequence, name(owner, position));
    pool.take(who, next.spec.needs);
    pool.update(now, options.placement, who);
    set_state(owner, position, task_state::running);
    if (next.spec.timeout > duration::zero())
      set_alarm(owner, position, now + next.spec.timeout);
  }

  /// Frees the room of an attempt whose worker has ended it.
  void release(worker& who, run& owner, std::uint32_t position) {
    auto& ended = owner.tasks[position];
    who.running.erase(ended.sequence);
    pool.give_back(who, ended.spec.needs);
  }

  /// Ends the attempt and tells the worker to stop it. Its room stays taken until the worker
  /// reports the end.
  void leave_over(run& owner, std::uint32_t position) {
    auto& ended = owner.tasks[position];
    auto& who = *pool.find(ended.worker);
    who.running.erase(ended.sequence);
    auto sequence = ++who.sequence;
    who.leftovers.emplace(name(owner, position), leftover{sequence, ended.spec.needs});
    who.cancellations.emplace(sequence, name(owner, position));
  }

  void end_attempt(run& owner, std::uint32_t position) {
    auto& ended = owner.tasks[position];
    ended.ran = now - ended.since;
    set_alarm(owner, position, std::nullopt);
  }

  void complete(run& owner, std::uint32_t position, const std::string& value) {
    if (value.size() > options.max_payload_bytes) {
      ++statistics.failed;
      return fail(owner, position, check_payload("the result", value.size(), options));
    }
    if (!runs.make_room(value.size(), options.max_bytes)) {
      ++statistics.failed;
      return try_again(owner, position, full("bytes", "max_bytes", options.max_bytes));
    }
    end_attempt(owner, position);
    ++statistics.completed;
    runs.set_value(owner, position, value);
    close(owner, position, task_state::completed, {});
    if (owner.undoes(position))
      return undone(owner, owner.tasks[position].spec.parents.front());
    owner.for_each_child(position, [&](std::uint32_t child) {
      auto& next = owner.tasks[child];
      if (--next.waits_for == 0 && next.state == task_state::pending)
        make_ready(owner, child);
    });
  }

  /// The attempt failed; the task is retried if its policy allows it.
  void try_again(run& owner, std::uint32_t position, const problem& why) {
    auto& failed = owner.tasks[position];
    auto& policy = failed.spec.retry ? *failed.spec.retry : owner.retry;
    if (++failed.failures >= policy.max_attempts)
      return fail(owner, position, why);
    end_attempt(owner, position);
    runs.set_problem(owner, position, why);
    set_state(owner, position, task_state::pending);
    set_alarm(owner, position, now + policy.wait.delay(failed.failures, random));
  }

  /// The attempt was lost with its worker, so it does not count as a failure of the task.
  void lose(run& owner, std::uint32_t position) {
    auto& lost = owner.tasks[position];
    ++statistics.lost;
    if (++lost.losses > options.max_losses)
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
    if (bytes > options.max_assignment_bytes && !owner.undoes(position))
      return fail(owner, position,
                  {errc::too_large, "its input and the results of its parents have "
                                      + std::to_string(bytes) + " bytes; return less, at most "
                                      + std::to_string(options.max_assignment_bytes)
                                      + " together (scheduler_options::max_assignment_bytes)"});
    set_state(owner, position, task_state::ready);
    line_up(owner, position);
  }

  /// The task has failed permanently.
  void fail(run& owner, std::uint32_t position, const problem& why) {
    if (owner.tasks[position].state == task_state::ready)
      take_out(owner, position);
    if (owner.tasks[position].state == task_state::running)
      end_attempt(owner, position);
    close(owner, position, task_state::failed, why);
    auto who = "task " + in_quotes(owner.tasks[position].spec.id);
    if (!owner.why)
      owner.why = {why.code, who + ": " + why.detail};
    if (owner.undoes(position)) // a failed compensation does not keep the others from running
      undone(owner, owner.tasks[position].spec.parents.front());
    else if (owner.policy == failure_policy::continue_what_can)
      skip_descendants(owner, position, {errc::cancelled, who + " failed"});
    else
      stop_rest(owner, task_state::skipped, {errc::cancelled, who + " failed"});
  }

  void skip_descendants(run& owner, std::uint32_t failed, const problem& why) {
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

  /// Ends all tasks that have not ended: running ones are cancelled, waiting ones get the state
  /// `waiting_ends`.
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
    runs.set_problem(owner, position, why);
    set_state(owner, position, state);
    queue_.leave(std::exchange(ended.line, ready_queue::no_line));
  }

  void set_state(run& owner, std::uint32_t position, task_state state) {
    runs.set_state(owner, position, state);
    owner.tasks[position].since = now;
    owner.note_change(position, options.max_changes);
  }

  // -- runs --------------------------------------------------------------------------

  void wait_for_start(run& owner) {
    if (!appoint(owner))
      start(owner);
  }

  void start(run& owner) {
    owner.starts_at.reset();
    owner.starts_on.reset();
    owner.state = run_state::running;
    owner.started = now;
    owner.note_change();
    for (std::uint32_t position = 0; position < owner.size(); ++position) {
      auto& each = owner.tasks[position];
      if (each.waits_for == 0 && each.state == task_state::pending)
        make_ready(owner, position);
    }
    settle(owner);
  }

  /// Call after anything that may have ended the last task of a run.
  void settle(run& owner) {
    if (is_final(owner.state) || owner.live() > 0)
      return;
    if (owner.why && owner.policy == failure_policy::compensate
        && owner.size() == owner.submitted_tasks)
      compensate(owner);
    if (owner.live() == 0)
      finish(owner, !owner.why ? run_state::completed : run_state::failed);
  }

  void finish(run& owner, run_state state) {
    forget_start(owner);
    owner.starts_at.reset();
    owner.starts_on.reset();
    owner.state = state;
    owner.ended = now;
    owner.note_change();
    runs.finish(owner, options.max_changes);
    ++statistics.runs_finished;
  }

  /// Adds a compensation task for each completed task that has one. It becomes ready once all
  /// later tasks are undone: the graph is walked backwards and waits_for counts down again.
  void compensate(run& owner) {
    auto can_be_undone = [](const task& each) {
      return each.state == task_state::completed && !each.spec.compensation.empty();
    };
    if (std::ranges::none_of(owner.tasks, can_be_undone))
      return;
    if (owner.state == run_state::paused)
      owner.before_pause = run_state::compensating;
    else
      owner.state = run_state::compensating;
    owner.note_change();
    owner.tasks.reserve(
      owner.submitted_tasks
      + static_cast<std::size_t>(std::ranges::count_if(owner.tasks, can_be_undone)));
    for (std::uint32_t position = 0; position < owner.submitted_tasks; ++position) {
      auto& done = owner.tasks[position];
      done.waits_for = 0;
      owner.for_each_child(position, [&](std::uint32_t child) {
        done.waits_for += owner.tasks[child].state == task_state::completed ? 1 : 0;
      });
      if (can_be_undone(done))
        add_undo(owner, position);
    }
    std::vector<std::uint32_t> last;
    for (std::uint32_t position = 0; position < owner.submitted_tasks; ++position)
      if (auto& done = owner.tasks[position];
          done.state == task_state::completed && done.waits_for == 0)
        last.push_back(position);
    for (auto position : last)
      undo(owner, position);
  }

  void add_undo(run& owner, std::uint32_t position) {
    task added;
    added.spec = owner.tasks[position].spec;
    added.spec.id = "undo:" + added.spec.id;
    added.spec.handler = std::exchange(added.spec.compensation, {});
    added.spec.parents = {position};
    added.since = now;
    join_line(added);
    owner.tasks[position].undo = owner.size();
    owner.tasks.push_back(std::move(added));
    runs.count_in(owner, owner.size() - 1);
  }

  /// Undoes a completed task, once all tasks after it are undone.
  void undo(run& owner, std::uint32_t position) {
    if (auto by = owner.tasks[position].undo; by != task::none)
      make_ready(owner, by);
    else
      undone(owner, position);
  }

  void undone(run& owner, std::uint32_t position) {
    std::vector<std::uint32_t> open{position};
    while (!open.empty()) {
      auto parents = owner.tasks[open.back()].spec.parents;
      open.pop_back();
      for (auto parent : parents) {
        if (--owner.tasks[parent].waits_for > 0)
          continue;
        if (auto by = owner.tasks[parent].undo; by != task::none)
          make_ready(owner, by);
        else
          open.push_back(parent);
      }
    }
  }

  // -- sentences ---------------------------------------------------------------------

  static attempt_id name(const run& owner, std::uint32_t position) {
    return {owner.id, position, owner.tasks[position].attempt};
  }

  [[nodiscard]] problem sentence(problem why) const {
    if (!why)
      why.code = errc::failed;
    if (why.detail.size() > options.max_payload_bytes)
      why.detail.resize(options.max_payload_bytes);
    return why;
  }
};

} // namespace troupe::scheduler::detail
