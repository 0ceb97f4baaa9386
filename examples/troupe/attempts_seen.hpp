#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/time.hpp"
#include "troupe/scheduler/queries.hpp"

namespace cli {

/// How an attempt to run a task ended.
enum class attempt_end : std::uint8_t {
  has_completed,
  has_failed,
  /// Its worker fell silent, or its node was lost.
  was_lost,
  /// The worker could not take it.
  was_given_back,
  was_cancelled,
  /// It failed or was lost; which of the two is unknown.
  is_unclear,
};

/// An attempt to run a task.
struct attempt_seen {
  std::uint32_t task = 0;
  /// Counts from 1.
  std::uint32_t number = 0;
  troupe::scheduler::worker_id worker{};
  /// Since the start of the run.
  troupe::duration begin{};
  troupe::duration end{};
  /// Nothing while it runs, or if it is not known yet.
  std::optional<attempt_end> how{};
  std::string why{};
  bool runs = true;
};

/// Collects all attempts of a run, also those that failed or were lost: the scheduler keeps only
/// the last attempt of each task, so this records each change while the run is followed. A task
/// whose attempt failed is pending until its next one may begin; a task whose attempt was lost is
/// ready at once. So the changes distinguish failures from losses; where changes were missed, the
/// counts of the task and the lost workers do.
///
/// A change is seen after it happened. Times are the latest that agree with the answer in which a
/// change was first seen, with the order of all changes, and with the duration of the last attempt
/// of a task, which is exact.
///
/// `Service` answers watch_run, find_run and list_workers, as cluster::scheduler_client does.
class attempts_seen {
public:
  /// Attempts beyond this are counted, but not kept.
  static constexpr std::size_t max_attempts = 20'000;

  /// `is_new`: this program has just submitted the run, so that its beginning can be seen.
  attempts_seen(troupe::scheduler::run_id run, bool is_new, troupe::duration wait)
    : run_(run), wait_(wait), is_new_(is_new), revision_(is_new ? 1 : 0) {}

  /// Queries the changes. Does nothing without an answer: the next call gets all of them.
  template <class Service>
  void look(Service& service) {
    for (auto is_behind = true; is_behind;) {
      auto news = service.ask(troupe::scheduler::watch_run{run_, revision_, {}, 1'000}, wait_);
      if (!news)
        return;
      now_ = std::max(now_, news->run.ran);
      is_behind = !news->complete && news->revision < news->run.revision;
      for (auto& each : news->changes)
        take(each);
      if (news->complete && !compare(service, extent::catch_up))
        return;
      revision_ = news->revision;
    }
    if (has_open_questions_ || !has_looked_)
      has_looked_ = compare(service, extent::explain) || has_looked_;
    if (has_unnamed_)
      read_workers(service);
  }

  /// Queries a finished run for the last time: attempts that were not seen, and durations.
  template <class Service>
  void finish(Service& service) {
    look(service);
    compare(service, extent::catch_up);
    read_workers(service);
  }

  /// The attempts by task and number. Each ends before the next one of its task begins.
  [[nodiscard]] std::vector<attempt_seen> all() const {
    auto times = settled();
    std::vector<attempt_seen> found;
    for (auto& [task, standing] : tasks_) {
      auto first = found.size();
      for (auto& each : standing.attempts)
        found.push_back(times.at(each.index));
      for (auto next = found.size(); next-- > first + 1;) { // backwards: each moves earlier ones
        auto& before = found[next - 1];
        before.end = std::min(before.end, found[next].begin);
        before.begin = std::min(before.begin, before.end);
      }
    }
    return found;
  }

  /// Number of attempts with unknown times.
  [[nodiscard]] std::uint64_t unseen() const {
    return unseen_;
  }

  /// Number of attempts beyond max_attempts.
  [[nodiscard]] std::uint64_t left_out() const {
    return left_out_;
  }

  [[nodiscard]] std::string name_of(std::uint32_t task) const {
    auto found = tasks_.find(task);
    return found == tasks_.end() ? std::string{} : found->second.id;
  }

  [[nodiscard]] std::string worker_of(const attempt_seen& what) const {
    auto found = workers_.find(what.worker);
    return found == workers_.end() ? "worker " + std::to_string(what.worker.value) : found->second;
  }

  /// Time since the start of the run, as of the last answer.
  [[nodiscard]] troupe::duration now() const {
    return now_;
  }

private:
  /// The purpose of a comparison.
  enum class extent : std::uint8_t {
    /// Details of seen changes: names, reasons, durations. Tasks that have advanced further are
    /// left for the next query, because changes are ordered, and a comparison is not.
    explain,
    /// Also attempts that no change has shown.
    catch_up,
  };

  /// The position of an event among all changes of the run; empty: it was not seen.
  using place = std::optional<std::uint64_t>;

  struct attempt_kept : attempt_seen {
    std::size_t index = 0;
    place began_as{};
    place ended_as{};
    std::optional<troupe::duration> ran{};
    /// Its task was ready at once, which does not happen after a failure.
    bool has_not_failed = false;
  };

  struct task_standing {
    std::string id;
    /// Of these the ends of attempts are explained.
    std::uint32_t failures = 0;
    std::uint32_t losses = 0;
    std::vector<attempt_kept> attempts;
    /// Number of the last attempt, seen or not.
    std::uint32_t last_number = 0;
    /// Attempts that were not kept, since the last comparison of the counts.
    std::uint64_t not_kept = 0;

    attempt_kept* last() {
      return attempts.empty() || attempts.back().number != last_number ? nullptr : &attempts.back();
    }
  };

  // -- what changes tell -----------------------------------------------------------------

  void take(const troupe::scheduler::task_change& change) {
    using troupe::scheduler::task_state;
    auto& standing = tasks_[change.task];
    if (change.attempt == 0 || change.attempt < standing.last_number)
      return; // not begun, or seen before
    ++order_;
    if (change.attempt > standing.last_number)
      begin(standing, change.task, change.attempt, change.worker, order_);
    auto* last = standing.last();
    if (last == nullptr || !last->runs || change.state == task_state::running)
      return;
    last->has_not_failed = change.state == task_state::ready;
    end(standing, *last, change.state, order_);
  }

  /// Attempt `number` began; the attempts before it are over.
  void begin(task_standing& standing, std::uint32_t task, std::uint32_t number,
             troupe::scheduler::worker_id worker, place as) {
    if (auto* last = standing.last(); last != nullptr && last->runs)
      end(standing, *last, std::nullopt, std::nullopt);
    auto between = number - standing.last_number - 1;
    unseen_ += between;
    standing.not_kept += between;
    standing.last_number = number;
    if (count_ >= max_attempts) {
      ++left_out_;
      ++standing.not_kept;
      return;
    }
    has_unnamed_ |= !workers_.contains(worker);
    auto& made = standing.attempts.emplace_back();
    made.task = task;
    made.number = number;
    made.worker = worker;
    made.begin = made.end = now_;
    made.index = count_++;
    made.began_as = as;
  }

  /// Its task is in the state `now`, if that is known.
  void end(task_standing& standing, attempt_kept& what,
           std::optional<troupe::scheduler::task_state> now, place as) {
    using troupe::scheduler::task_state;
    what.end = now_;
    what.ended_as = as;
    what.runs = false;
    if (now == task_state::completed) {
      what.how = attempt_end::has_completed;
      return;
    }
    has_open_questions_ = true;
    if (now == task_state::cancelled) {
      what.how = attempt_end::was_cancelled;
    } else if (now == task_state::pending) {
      what.how = attempt_end::has_failed;
      ++standing.failures;
    }
  }

  // -- what a comparison tells -----------------------------------------------------------

  /// Compares with the present state of all tasks: learns their names, how attempts ended, and the
  /// durations of the last ones. Returns whether there was an answer.
  template <class Service>
  bool compare(Service& service, extent how_far) {
    if (has_open_questions_)
      read_workers(service);
    auto is_any_open = false;
    for (troupe::scheduler::find_run question{.run = run_};;) {
      auto page = service.ask(question, wait_);
      if (!page)
        return false;
      now_ = std::max(now_, page->run.ran);
      if (page->tasks.empty())
        break;
      for (auto& each : page->tasks)
        is_any_open |= !compare(question.first++, each, page->run.ran, how_far);
    }
    has_open_questions_ = is_any_open;
    return true;
  }

  /// Whether nothing about it is left to query.
  bool compare(std::uint32_t task, const troupe::scheduler::task_view& now, troupe::duration at,
               extent how_far) {
    using troupe::scheduler::task_state;
    auto& standing = tasks_[task];
    standing.id = now.id;
    auto is_running = now.state == task_state::running;
    if (now.attempt > standing.last_number) {
      if (how_far == extent::explain)
        return std::ranges::all_of(standing.attempts,
                                   [](auto& each) { return each.how || each.runs; });
      if (is_running || is_new_ || has_looked_) {
        begin(standing, task, now.attempt, now.worker, std::nullopt);
      } else { // it ended before it was seen
        auto between = now.attempt - std::exchange(standing.last_number, now.attempt);
        unseen_ += between;
        standing.not_kept += between;
      }
    }
    if (auto* last = standing.last(); last != nullptr) {
      if (is_running && last->runs)
        last->begin = std::min(last->begin, std::max(at - now.ran, troupe::duration::zero()));
      else if (last->runs && how_far == extent::explain)
        return true; // the next query shows how it ended
      else if (last->runs)
        end(standing, *last, now.state, std::nullopt);
      if (!is_running)
        last->ran = now.ran;
    }
    explain(standing, now);
    return true;
  }

  /// Finds out how attempts ended whose end no change has shown.
  void explain(task_standing& standing, const troupe::scheduler::task_view& now) const {
    using troupe::scheduler::task_state;
    auto failures
      = now.failures - std::min(now.failures, std::exchange(standing.failures, now.failures));
    auto losses = now.losses - std::min(now.losses, std::exchange(standing.losses, now.losses));
    auto not_kept = std::exchange(standing.not_kept, 0);
    std::vector<attempt_kept*> open;
    for (auto& each : standing.attempts)
      if (!each.runs && !each.how)
        open.push_back(&each);
    judge(open, failures, losses, not_kept,
          now.state == task_state::failed ? standing.last() : nullptr);
    // If a task ended together with others, its reason is not the one of the failed attempt.
    auto* last = standing.last();
    if (last != nullptr && !last->runs
        && (last->how == attempt_end::was_cancelled || now.state == task_state::pending
            || now.state == task_state::failed))
      last->why = now.why.detail;
  }

  /// `fatal`: the one with which the task failed, which need not be among the failures.
  void judge(const std::vector<attempt_kept*>& open, std::uint32_t failures, std::uint32_t losses,
             std::uint64_t not_kept, const attempt_kept* fatal) const {
    std::vector<attempt_kept*> failing;
    std::vector<attempt_kept*> left;
    for (auto* each : open)
      (each->has_not_failed ? left : failing).push_back(each);
    auto is_fatal = std::ranges::find(failing, fatal) != failing.end();
    auto all_failed = [&](std::size_t among) {
      return failures == among
             || (failures + 1 == among && is_fatal && (losses == 0 || among == 1));
    };
    if (losses == open.size() + not_kept) {
      for (auto* each : open)
        each->how = attempt_end::was_lost;
      return;
    }
    if (all_failed(failing.size() + not_kept) || (not_kept == 0 && all_failed(failing.size()))) {
      for (auto* each : std::exchange(failing, {}))
        each->how = attempt_end::has_failed;
      failures = 0;
    }
    left.insert(left.end(), failing.begin(), failing.end());
    auto gone = static_cast<std::size_t>(
      std::ranges::count_if(left, [&](auto* each) { return !active_.contains(each->worker); }));
    auto is_clear = losses == 0 || (not_kept == 0 && (losses == left.size() || losses == gone));
    auto others = left.size() - std::min<std::size_t>(losses, left.size());
    for (auto* each : left) {
      auto is_lost = losses == left.size() || (losses > 0 && !active_.contains(each->worker));
      auto has_failed = !each->has_not_failed && (failures + (is_fatal ? 1U : 0U) >= others);
      auto was_given_back = each->has_not_failed || failures == 0;
      each->how = !is_clear        ? attempt_end::is_unclear
                  : is_lost        ? attempt_end::was_lost
                  : has_failed     ? attempt_end::has_failed
                  : was_given_back ? attempt_end::was_given_back
                                   : attempt_end::is_unclear;
    }
  }

  template <class Service>
  void read_workers(Service& service) {
    std::set<troupe::scheduler::worker_id> active;
    for (troupe::scheduler::list_workers question{};;) {
      auto page = service.ask(question, wait_);
      if (!page)
        return;
      if (page->workers.empty())
        break;
      for (auto& each : page->workers) {
        workers_[each.worker] = each.name;
        if (each.state != troupe::scheduler::worker_state::silent)
          active.insert(each.worker);
        question.after = each.worker;
      }
    }
    active_ = std::move(active);
    has_unnamed_ = false;
  }

  // -- times -----------------------------------------------------------------------------

  /// All attempts by index, with the latest times that agree with the order of the changes and with
  /// the known durations.
  [[nodiscard]] std::vector<attempt_kept> settled() const {
    constexpr int most_rounds = 100; // few are needed, unless the clock of the cluster jumped
    std::vector<attempt_kept> made(count_);
    for (auto& [task, standing] : tasks_)
      for (auto& each : standing.attempts)
        made[each.index] = each;
    struct event {
      std::uint64_t order;
      attempt_kept* of;
      bool is_end;
    };
    std::vector<event> events;
    for (auto& each : made) {
      if (each.began_as)
        events.push_back({*each.began_as, &each, false});
      if (each.ended_as)
        events.push_back({*each.ended_as, &each, true});
    }
    std::ranges::sort(events, std::greater{}, &event::order);
    auto is_settled = false;
    auto lower = [&](troupe::duration& what, troupe::duration to) {
      if (to >= what)
        return;
      what = to;
      is_settled = false;
    };
    auto agree = [&](attempt_kept& each) {
      if (each.runs || !each.ran)
        return;
      lower(each.begin, each.end - *each.ran);
      lower(each.end, each.begin + *each.ran);
    };
    for (auto round = 0; round < most_rounds && !std::exchange(is_settled, true); ++round) {
      for (auto& each : made)
        agree(each);
      auto latest = troupe::duration::max();
      for (auto& each : events) {
        auto& time = each.is_end ? each.of->end : each.of->begin;
        lower(time, latest);
        latest = time;
        agree(*each.of);
      }
    }
    for (auto& each : made) {
      each.begin = std::max(each.begin, troupe::duration::zero());
      each.end = std::max(each.end, each.begin);
    }
    return made;
  }

  troupe::scheduler::run_id run_;
  troupe::duration wait_;
  bool is_new_;
  bool has_looked_ = false;
  /// Revision 1 is the submission, when no task runs yet; zero would ask for no changes.
  std::uint64_t revision_;
  std::uint64_t order_ = 0;
  troupe::duration now_{};
  std::map<std::uint32_t, task_standing> tasks_;
  std::map<troupe::scheduler::worker_id, std::string> workers_;
  std::set<troupe::scheduler::worker_id> active_;
  bool has_unnamed_ = false;
  std::size_t count_ = 0;
  std::uint64_t unseen_ = 0;
  std::uint64_t left_out_ = 0;
  /// An attempt did not complete, and the reason is not known yet.
  bool has_open_questions_ = false;
};

} // namespace cli
