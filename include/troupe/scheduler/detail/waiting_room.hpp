#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "troupe/scheduler/detail/ready_queue.hpp"
#include "troupe/scheduler/detail/run_table.hpp"
#include "troupe/scheduler/detail/worker_pool.hpp"

namespace troupe::scheduler::detail {

/// Tasks that wait for workers, and timers: which line each ready task waits in, which tasks
/// are set aside because no worker can run them, which workers are reserved for large tasks,
/// and the alarms. It only keeps this; dispatcher acts on it.
class waiting_room {
public:
  // -- state -----------------------------------------------------------------------

  scheduler_options options;
  run_table runs;
  worker_pool pool;
  time_point now = time_point::min();
  /// With rules 1 leases end by the time of the records, since rules 2 by event silence.
  std::uint32_t rules = 1;
  /// The last wall time that the host told.
  std::optional<wall_time> wall_now;

  // -- workers ---------------------------------------------------------------------

  /// Call after anything that may change the room of a worker.
  void refresh(worker& who) {
    if (who.state() != scheduler::worker_state::active)
      stop_keeping(who);
    pool.update(now, options.placement, who);
    if (who.listed)
      queue_.reopen(who.id);
    set_alarm(who);
  }

  /// Tasks may go to the worker from now on. Call refresh() afterwards.
  void offer(worker& who) {
    auto is_good = [&](const demand& asks) { return worker_pool::is_good(who.words, asks); };
    queue_.add_worker(who.id, is_good, [&](ready_queue::line_number line) {
      auto aside = queue_.aside(line);
      for (auto& each : aside)
        line_up_anew(each);
    });
  }

  /// No more tasks go to the worker.
  void withdraw_offer(worker& who) {
    stop_keeping(who);
    queue_.remove_worker(who.id, [&](ready_queue::line_number line) {
      auto places = queue_.places(line);
      for (auto& each : places)
        line_up_anew(each.what);
    });
  }

  // -- questions ---------------------------------------------------------------------

  /// Ready tasks that no registered worker can run, of runs that start tasks.
  [[nodiscard]] std::size_t unplaceable() const {
    return queue_.aside();
  }

  [[nodiscard]] const ready_queue& queue() const {
    return queue_;
  }

  // -- time ------------------------------------------------------------------------

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    if (alarms_.empty())
      return std::nullopt;
    return alarms_.begin()->at;
  }

  [[nodiscard]] std::optional<wall_time> next_appointment() const {
    if (appointments_.empty())
      return std::nullopt;
    return appointments_.begin()->first;
  }

  /// Rebuilds queue and alarms from runs and workers. Call after a change of options and after a
  /// restart.
  void line_up_all() {
    queue_ = {};
    alarms_.clear();
    appointments_.clear();
    for (auto& [id, each] : pool.all())
      refresh(*pool.find(id));
    for (auto& [id, each] : runs.all())
      if (!is_final(each.state))
        line_up_again(*runs.find(id));
  }

protected:
  enum class alarm_kind : std::uint8_t { worker, run, task };

  /// A timer. Each worker, run and task has at most one.
  struct alarm {
    time_point at;
    alarm_kind kind;
    std::uint64_t id = 0;
    std::uint32_t task = 0;

    friend auto operator<=>(const alarm&, const alarm&) = default;
  };

  /// The shortest wait before a task that could not be placed is looked at again.
  static constexpr duration least_patience = std::chrono::seconds{1};

  // -- alarms ------------------------------------------------------------------------

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
    who.alarm = who.silent  ? who.lease_ends + options.silence
                : rules < 2 ? who.lease_ends
                            : time_point::max();
    if (who.paused_until > now)
      who.alarm = std::min(who.alarm, who.paused_until);
    if (who.alarm < time_point::max())
      alarms_.insert({who.alarm, alarm_kind::worker, who.id.value});
  }

  /// Sets the timer for the start of the run. Returns false if it is to start now.
  bool appoint(const run& owner) {
    if (owner.starts_at && *owner.starts_at > now)
      alarms_.insert({*owner.starts_at, alarm_kind::run, owner.id.value});
    else if (owner.starts_on && (!wall_now || *owner.starts_on > *wall_now))
      appointments_.emplace(*owner.starts_on, owner.id);
    else
      return false;
    return true;
  }

  void forget_start(const run& owner) {
    if (owner.starts_at)
      alarms_.erase({*owner.starts_at, alarm_kind::run, owner.id.value});
    if (owner.starts_on)
      appointments_.erase({*owner.starts_on, owner.id});
  }

  // -- room --------------------------------------------------------------------------

  [[nodiscard]] worker* find_room(ready_queue::line_number line, const task& next) {
    auto good = [&](const worker& who) {
      return queue_.is_good(line, who.id) && (!who.kept_for || line_of(*who.kept_for) == line);
    };
    if (auto* some = queue_.only_workers(line, next.spec.needs))
      return pool.find_room(next.spec.needs, *some, good);
    return pool.find_room(next.spec.needs, good);
  }

  [[nodiscard]] ready_queue::line_number line_of(const task_name& what) const {
    return runs.find(what.run)->tasks[what.task].line;
  }

  /// No worker has room for the head of a line. After options.reserve_after it gets a worker
  /// reserved.
  void wait_for_room(const task_name& first) {
    auto& owner = *runs.find(first.run);
    auto& next = owner.tasks[first.task];
    if (!next.alarm && next.keeper == worker_id{})
      set_alarm(owner, first.task, std::max(next.since + options.reserve_after, now));
  }

  /// Reserves a worker for a task that has waited long for room: the worker gets no other tasks
  /// until this one fits. Otherwise small tasks could starve it.
  void keep_room(run& owner, std::uint32_t position) {
    auto& next = owner.tasks[position];
    worker* keeper = nullptr;
    for (auto id : queue_.workers(next.line)) {
      auto* who = pool.find(id);
      if (who->state() == scheduler::worker_state::active && !who->kept_for
          && fits(next.spec.needs, {.slots = 0}, who->words.capacity)
          && (keeper == nullptr
              || worker_pool::load_of(*who, options.placement)
                   < worker_pool::load_of(*keeper, options.placement)))
        keeper = who;
    }
    if (keeper == nullptr)
      return set_alarm(owner, position, now + std::max(options.reserve_after, least_patience));
    keeper->kept_for = task_name{owner.id, position};
    next.keeper = keeper->id;
  }

  /// Ends the reservation of the task, which no longer waits.
  void let_go(task& what) {
    if (what.keeper == worker_id{})
      return;
    auto& who = *pool.find(std::exchange(what.keeper, {}));
    who.kept_for.reset();
    if (who.listed)
      queue_.reopen(who.id);
  }

  /// Ends the reservation of the worker, which can no longer hold it. The task tries again later.
  void stop_keeping(worker& who) {
    if (!who.kept_for)
      return;
    auto what = *std::exchange(who.kept_for, std::nullopt);
    auto& owner = *runs.find(what.run);
    owner.tasks[what.task].keeper = {};
    set_alarm(owner, what.task, now + options.reserve_after);
  }

  // -- lines -------------------------------------------------------------------------

  /// Puts a ready task in line, or aside if no registered worker can run it.
  void line_up(run& owner, std::uint32_t position) {
    auto& next = owner.tasks[position];
    if (!owner.starts_tasks())
      return;
    if (is_placeable(next))
      return queue_.push(next.line, place_of(owner, position));
    next.unplaceable = true;
    queue_.set_aside(next.line, {owner.id, position});
    set_alarm(owner, position, now + options.unplaceable_patience);
  }

  void take_out(run& owner, std::uint32_t position) {
    auto& each = owner.tasks[position];
    if (!owner.starts_tasks())
      return;
    set_alarm(owner, position, std::nullopt);
    if (std::exchange(each.unplaceable, false)) {
      queue_.take_back(each.line, {owner.id, position});
      return;
    }
    let_go(each);
    queue_.remove(each.line, place_of(owner, position));
  }

  /// Moves the task from the line aside or back, if a change of workers requires it.
  void line_up_anew(const task_name& what) {
    auto& owner = *runs.find(what.run);
    auto& each = owner.tasks[what.task];
    if (is_placeable(each) != each.unplaceable)
      return;
    take_out(owner, what.task);
    line_up(owner, what.task);
  }

  [[nodiscard]] ready_queue::place place_of(const run& owner, std::uint32_t position) const {
    auto& next = owner.tasks[position];
    auto rank = next.since.time_since_epoch();
    rank -= options.ageing * static_cast<std::int64_t>(run_table::level_of(owner, next));
    rank += options.ageing * std::int64_t{next.spec.steps_behind};
    rank -= options.retry_head_start * (std::int64_t{next.failures} + next.losses);
    return {rank.count(), {owner.id, position}};
  }

  [[nodiscard]] bool is_placeable(const task& next) const {
    return std::ranges::any_of(queue_.workers(next.line), [&](worker_id id) {
      return fits(next.spec.needs, {.slots = 0}, pool.find(id)->words.capacity);
    });
  }

  void join_line(task& each) {
    each.line = queue_.join(each.spec, [&](const demand& asks) {
      std::vector<worker_id> good;
      for (auto& [id, who] : pool.all())
        if (!who.draining && worker_pool::is_good(who.words, asks))
          good.push_back(id);
      return good;
    });
  }

private:
  void line_up_again(run& owner) {
    if (owner.state == run_state::waiting && owner.starts_at)
      alarms_.insert({*owner.starts_at, alarm_kind::run, owner.id.value});
    if (owner.state == run_state::waiting && owner.starts_on)
      appointments_.emplace(*owner.starts_on, owner.id);
    for (std::uint32_t position = 0; position < owner.size(); ++position) {
      auto& each = owner.tasks[position];
      if (is_final(each.state))
        continue;
      join_line(each);
      if (each.alarm)
        alarms_.insert({*each.alarm, alarm_kind::task, owner.id.value, position});
      if (each.unplaceable)
        queue_.set_aside(each.line, {owner.id, position});
      else if (each.state == task_state::ready && owner.starts_tasks())
        queue_.push(each.line, place_of(owner, position));
    }
  }

protected:
  // -- derived from the state, for speed -----------------------------------------------

  ready_queue queue_;
  std::set<alarm> alarms_;
  /// Runs that start at a wall time.
  std::set<std::pair<wall_time, run_id>> appointments_;
};

} // namespace troupe::scheduler::detail
