#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <compare>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/scheduler/types.hpp"

namespace troupe::scheduler::detail {

/// Names a task of a run.
struct task_name {
  run_id run;
  std::uint32_t task = 0;

  friend auto operator<=>(const task_name&, const task_name&) = default;
};

/// What a task requires of a worker.
struct demand {
  std::string handler;
  std::string group;
  scheduler::labels labels;
  /// The task's needs, rounded up.
  std::uint64_t millicores = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpus = 0;
  std::uint64_t slots = 0;

  friend auto operator<=>(const demand&, const demand&) = default;
};

/// The tasks that wait for a worker, in the order in which they should get one.
///
/// Tasks with equal demands wait in one line, so that a worker that cannot run the first
/// is not considered again for each of the others. Lines are told apart by amounts rounded
/// up to the next power of two or the middle between two, so that there are few lines even
/// if no two tasks are equal. Only the head of a line is looked at.
/// Source of the lines: Verma et al., "Large-scale cluster management at Google with
/// Borg", EuroSys 2015, section 3.4, "equivalence classes".
///
/// Tasks are ordered by rank: the time a task became ready, less a head start for its
/// priority and for each failure or loss. All tasks age alike, so the order of two never
/// changes while they wait: ageing needs no timers, and no priority starves.
///
/// It can be rebuilt from the tasks, so it is not saved.
class ready_queue {
public:
  using line_number = std::uint32_t;
  static constexpr line_number no_line = std::numeric_limits<line_number>::max();

  struct place {
    /// Nanoseconds on the clock of the journal; below zero is fine.
    std::int64_t rank = 0;
    task_name what;

    friend auto operator<=>(const place&, const place&) = default;
  };

  // -- lines ---------------------------------------------------------------------

  /// Returns the line for `what`. `fits(demand)` returns the workers that can serve a new
  /// line, sorted. Call leave() when the task has ended.
  template <class Fits>
  line_number join(const task_spec& what, Fits fits) {
    auto asks = demand_of(what);
    auto [found, added] = numbers_.try_emplace(std::move(asks), no_line);
    if (added) {
      found->second = new_line();
      auto& made = lines_[found->second];
      made.asks = found->first;
      made.workers = fits(made.asks);
    }
    if (lines_[found->second].tasks++ == 0 && !added)
      --unused_;
    return found->second;
  }

  /// Lines without tasks are kept for later tasks, up to max_unused.
  void leave(line_number number) {
    if (--lines_[number].tasks == 0 && ++unused_ > max_unused)
      drop_unused();
  }

  /// Adds the worker to each line for which `good(demand)` is true, and calls `changed(line)`.
  template <class Good, class Changed>
  void add_worker(worker_id worker, Good good, Changed changed) {
    for (auto& [asks, number] : numbers_) {
      if (!good(asks))
        continue;
      auto& workers = lines_[number].workers;
      workers.insert(std::ranges::lower_bound(workers, worker), worker);
      changed(number);
    }
  }

  /// Removes the worker from its lines, and calls `changed(line)` for each.
  template <class Changed>
  void remove_worker(worker_id worker, Changed changed) {
    for (auto& [asks, number] : numbers_) {
      auto& workers = lines_[number].workers;
      auto found = std::ranges::lower_bound(workers, worker);
      if (found == workers.end() || *found != worker)
        continue;
      workers.erase(found);
      changed(number);
    }
  }

  [[nodiscard]] const std::vector<worker_id>& workers(line_number number) const {
    return lines_[number].workers;
  }

  [[nodiscard]] bool is_good(line_number number, worker_id worker) const {
    return std::ranges::binary_search(lines_[number].workers, worker);
  }

  [[nodiscard]] const demand& demand_of(line_number number) const {
    return lines_[number].asks;
  }

  // -- places --------------------------------------------------------------------

  void push(line_number number, const place& where) {
    auto& line = lines_[number];
    auto at = line.places.insert(where).first;
    ++size_;
    if (at != line.places.begin())
      return;
    if (auto next = std::next(at); next != line.places.end() && !line.blocked)
      heads_.erase({*next, number});
    line.blocked = false; // the new head may need less
    heads_.insert({where, number});
  }

  void remove(line_number number, const place& where) {
    auto& line = lines_[number];
    auto found = line.places.find(where);
    assert(found != line.places.end());
    auto was_head = found == line.places.begin();
    line.places.erase(found);
    --size_;
    if (!was_head)
      return;
    if (!line.blocked)
      heads_.erase({where, number});
    line.blocked = false;
    if (!line.places.empty()) {
      heads_.insert({*line.places.begin(), number});
      return;
    }
    line.refused.reset();
    line.regained.clear();
    refusing_.erase(number);
  }

  /// The unblocked line whose head has the lowest rank.
  [[nodiscard]] std::optional<line_number> first() const {
    if (heads_.empty())
      return std::nullopt;
    return heads_.begin()->second;
  }

  /// @pre the line is not empty.
  [[nodiscard]] const place& head(line_number number) const {
    return *lines_[number].places.begin();
  }

  [[nodiscard]] const std::set<place>& places(line_number number) const {
    return lines_[number].places;
  }

  /// No worker has room for `needs`, those of the head of the line. The line is skipped until
  /// one of its workers has more room.
  void block(line_number number, const resources& needs) {
    auto& line = lines_[number];
    heads_.erase({*line.places.begin(), number});
    line.blocked = true;
    line.refused = needs;
    line.regained.clear();
    refusing_.insert(number);
  }

  /// The worker has more room than before.
  void reopen(worker_id worker) {
    for (auto number : refusing_) {
      if (!is_good(number, worker))
        continue;
      auto& line = lines_[number];
      auto at = std::ranges::lower_bound(line.regained, worker);
      if (at == line.regained.end() || *at != worker)
        line.regained.insert(at, worker);
      if (std::exchange(line.blocked, false))
        heads_.insert({*line.places.begin(), number});
    }
  }

  /// Returns the workers that may have room for `needs`; null if all may.
  [[nodiscard]] const std::vector<worker_id>* only_workers(line_number number,
                                                           const resources& needs) const {
    auto& line = lines_[number];
    return line.refused && covers(needs, *line.refused) ? &line.regained : nullptr;
  }

  // -- aside ---------------------------------------------------------------------

  /// Tasks of the line that are too large for each of its workers.
  [[nodiscard]] const std::set<task_name>& aside(line_number number) const {
    return lines_[number].aside;
  }

  void set_aside(line_number number, const task_name& what) {
    lines_[number].aside.insert(what);
    ++aside_;
  }

  void take_back(line_number number, const task_name& what) {
    lines_[number].aside.erase(what);
    --aside_;
  }

  [[nodiscard]] std::size_t aside() const {
    return aside_;
  }

  /// Tasks in all lines.
  [[nodiscard]] std::size_t size() const {
    return size_;
  }

private:
  struct queue_line {
    demand asks;
    std::set<place> places;
    std::vector<worker_id> workers;
    std::set<task_name> aside;
    std::uint32_t tasks = 0;
    bool blocked = false;
    /// The needs that no worker had room for at the last try, and the workers with more room
    /// since.
    std::optional<resources> refused;
    std::vector<worker_id> regained;
  };

  static constexpr std::uint32_t max_unused = 1'024;

  static demand demand_of(const task_spec& what) {
    return {what.handler,
            what.group,
            what.labels,
            rounded_up(what.needs.millicores),
            rounded_up(what.needs.memory_bytes),
            rounded_up(what.needs.gpus),
            rounded_up(what.needs.slots)};
  }

  /// Rounds up to a number with two significant bits. @pre `value` <= max_resource
  static std::uint64_t rounded_up(std::uint64_t value) {
    auto dropped = std::max(static_cast<int>(std::bit_width(value)) - 2, 0);
    auto mask = (std::uint64_t{1} << static_cast<unsigned>(dropped)) - 1;
    return (value + mask) & ~mask;
  }

  static bool covers(const resources& needs, const resources& least) {
    return needs.slots >= least.slots && needs.millicores >= least.millicores
           && needs.memory_bytes >= least.memory_bytes && needs.gpus >= least.gpus;
  }

  line_number new_line() {
    if (free_.empty()) {
      lines_.emplace_back();
      return static_cast<line_number>(lines_.size() - 1);
    }
    auto result = free_.back();
    free_.pop_back();
    return result;
  }

  void drop_unused() {
    std::erase_if(numbers_, [this](auto& each) {
      if (lines_[each.second].tasks > 0)
        return false;
      assert(lines_[each.second].places.empty() && lines_[each.second].aside.empty());
      lines_[each.second] = {};
      free_.push_back(each.second);
      return true;
    });
    unused_ = 0;
  }

  std::map<demand, line_number> numbers_;
  std::vector<queue_line> lines_;
  std::vector<line_number> free_;
  std::uint32_t unused_ = 0;
  /// The heads of all lines that are neither empty nor blocked.
  std::set<std::pair<place, line_number>> heads_;
  /// Lines that have `refused` set.
  std::set<line_number> refusing_;
  std::size_t size_ = 0;
  std::size_t aside_ = 0;
};

} // namespace troupe::scheduler::detail
