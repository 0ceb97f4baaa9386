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

/// Where tasks wait for workers, and everything for its time: which ready task stands in
/// which line, which is set aside as nobody is good for it, which worker keeps room for a
/// large one, and what rings when. Moves nothing on by itself; dispatcher does.
class waiting_room {
public:
  // -- state -----------------------------------------------------------------------

  scheduler_options options;
  run_table runs;
  worker_pool pool;
  time_point now = time_point::min();
  /// Up to rules 1 a lease ends by the time of the records; since then the host says so.
  std::uint32_t rules = 1;
  /// The calendar, as it was told last.
  std::optional<wall_time> wall_now;

  // -- workers ---------------------------------------------------------------------

  /// Call after whatever may give a worker more room, or less.
  void refresh(worker& who) {
    if (who.state() != scheduler::worker_state::active)
      stop_keeping(who);
    pool.update(now, options.placement, who);
    if (who.listed)
      queue_.reopen(who.id);
    set_alarm(who);
  }

  /// Tasks may go to the worker from here on. Call refresh() afterwards.
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

  /// Ready tasks of runs that start tasks, for which no worker is good.
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

  /// Works out from runs and workers what is kept for speed. After a change of options
  /// and after a restart.
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

  /// Rings when the one moment that its subject waits for has come.
  struct alarm {
    time_point at;
    alarm_kind kind;
    std::uint64_t id = 0;
    std::uint32_t task = 0;

    friend auto operator<=>(const alarm&, const alarm&) = default;
  };

  /// While no worker is registered at all, tasks that none is good for wait on.
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

  /// Returns whether the start of the run is to come.
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

  /// Nobody has room for the first of a line: it will get a worker of its own if that
  /// goes on.
  void wait_for_room(const task_name& first) {
    auto& owner = *runs.find(first.run);
    auto& next = owner.tasks[first.task];
    if (!next.alarm && next.keeper == worker_id{})
      set_alarm(owner, first.task, std::max(next.since + options.reserve_after, now));
  }

  /// The task has waited for room for long: a worker that can hold it gets nothing
  /// else until it can have it. Otherwise small tasks could keep it waiting for ever.
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

  /// The task does not wait in line any more.
  void let_go(task& what) {
    if (what.keeper == worker_id{})
      return;
    auto& who = *pool.find(std::exchange(what.keeper, {}));
    who.kept_for.reset();
    if (who.listed)
      queue_.reopen(who.id);
  }

  /// The worker cannot keep what it was to keep.
  void stop_keeping(worker& who) {
    if (!who.kept_for)
      return;
    auto what = *std::exchange(who.kept_for, std::nullopt);
    auto& owner = *runs.find(what.run);
    owner.tasks[what.task].keeper = {};
    set_alarm(owner, what.task, now + options.reserve_after);
  }

  // -- lines -------------------------------------------------------------------------

  /// Puts a ready task where it waits: in line, or aside if no worker is good for it.
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

  /// Moves the task if it waits in the wrong place, now that workers have changed.
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
  // -- worked out from the state, for speed --------------------------------------------

  ready_queue queue_;
  std::set<alarm> alarms_;
  /// Runs that start at a moment of the calendar.
  std::set<std::pair<wall_time, run_id>> appointments_;
};

} // namespace troupe::scheduler::detail
