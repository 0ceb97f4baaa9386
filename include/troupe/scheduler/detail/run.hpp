#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/detail/ready_queue.hpp"
#include "troupe/scheduler/queries.hpp"

namespace troupe::scheduler::detail {

/// A task as the scheduler keeps it.
struct task {
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  task_spec spec;
  task_state state = task_state::pending;
  /// The fencing token: grows with each start.
  std::uint32_t attempt = 0;
  /// Attempts that count against the retry policy.
  std::uint32_t failures = 0;
  std::uint32_t losses = 0;
  std::uint16_t progress_permille = 0;
  /// Ready, but no registered worker can run it.
  bool unplaceable = false;
  /// Parents that have not completed. While the run is compensated: completed children that are
  /// not undone.
  std::uint32_t waits_for = 0;
  /// Position of the task that undoes it.
  std::uint32_t undo = none;
  ready_queue::line_number line = ready_queue::no_line;
  /// The worker of the last attempt, and the number of its order.
  worker_id worker;
  std::uint64_t sequence = 0;
  /// The worker that is reserved for it.
  worker_id keeper;
  /// When it entered its state.
  time_point since{};
  /// Ready: it fails as unplaceable, or gets a keeper. Running: it times out. Pending: it is
  /// retried.
  std::optional<time_point> alarm;
  duration waited{};
  duration ran{};
  std::string value;
  problem why;
};

/// A workflow as the scheduler keeps it.
struct run {
  run_id id;
  std::string name;
  std::string key;
  run_state state = run_state::waiting;
  run_state before_pause = run_state::running;
  scheduler::priority priority = scheduler::priority::medium;
  failure_policy policy = failure_policy::fail_fast;
  retry_policy retry;
  std::vector<task> tasks;
  std::uint32_t submitted_tasks = 0;
  time_point submitted{};
  time_point started{};
  time_point ended{};
  /// While it waits: one of these is its start.
  std::optional<time_point> starts_at;
  std::optional<wall_time> starts_on;
  problem why;
  std::uint64_t bytes = 0;
  std::array<std::uint32_t, task_states> counts{};

  /// The children of all tasks in one list, and where those of each task begin.
  std::vector<std::uint32_t> children;
  std::vector<std::uint32_t> children_from;

  std::uint64_t revision = 0;
  /// Changes up to this revision have been dropped from the list.
  std::uint64_t changes_before = 0;
  std::vector<task_change> changes;

  [[nodiscard]] std::uint32_t size() const {
    return static_cast<std::uint32_t>(tasks.size());
  }

  [[nodiscard]] std::uint32_t count(task_state which) const {
    return counts[static_cast<std::size_t>(which)];
  }

  /// Tasks that have not ended.
  [[nodiscard]] std::uint32_t live() const {
    return count(task_state::pending) + count(task_state::ready) + count(task_state::running);
  }

  /// New attempts may start.
  [[nodiscard]] bool starts_tasks() const {
    return state == run_state::running || state == run_state::compensating;
  }

  /// The task was added to undo another, its one parent.
  [[nodiscard]] bool undoes(std::uint32_t position) const {
    return position >= submitted_tasks;
  }

  /// @pre the task was submitted.
  template <class Visit>
  void for_each_child(std::uint32_t parent, Visit visit) {
    for (auto at = children_from[parent]; at < children_from[parent + 1]; ++at)
      visit(children[at]);
  }

  /// Fills in children and task::undo. O(tasks + edges).
  /// @pre all parents are positions of tasks.
  void link() {
    children_from.assign(std::size_t{submitted_tasks} + 1, 0);
    for (std::uint32_t child = 0; child < submitted_tasks; ++child)
      for (auto parent : tasks[child].spec.parents)
        ++children_from[parent + 1];
    std::partial_sum(children_from.begin(), children_from.end(), children_from.begin());
    children.resize(children_from.back());
    auto next = children_from;
    for (std::uint32_t child = 0; child < submitted_tasks; ++child)
      for (auto parent : tasks[child].spec.parents)
        children[next[parent]++] = child;
    for (auto position = submitted_tasks; position < size(); ++position)
      tasks[tasks[position].spec.parents.front()].undo = position;
  }

  // -- watching ----------------------------------------------------------------------

  /// Records a change of task number `position`. Keeps at least the last `max_changes`.
  void note_change(std::uint32_t position, std::uint32_t max_changes) {
    auto& changed = tasks[position];
    if (changes.size() >= 2 * std::size_t{max_changes} + 1)
      forget_changes(changes.size() - max_changes);
    changes.push_back({++revision, position, changed.state, changed.attempt, changed.worker,
                       changed.progress_permille});
  }

  void note_change() {
    ++revision;
  }

  void forget_changes(std::size_t number) {
    auto last = changes.begin() + static_cast<std::ptrdiff_t>(number);
    changes_before = std::prev(last)->revision;
    changes.erase(changes.begin(), last);
  }

  /// Position of the first change that watchers get. Older ones, which are dropped in batches,
  /// must not show.
  [[nodiscard]] std::size_t first_change(std::uint32_t max_changes) const {
    return changes.size() > max_changes ? changes.size() - max_changes : 0;
  }

  /// A watcher behind this revision gets all states.
  [[nodiscard]] std::uint64_t changes_after(std::uint32_t max_changes) const {
    auto first = first_change(max_changes);
    return first == 0 ? changes_before : changes[first - 1].revision;
  }
};

} // namespace troupe::scheduler::detail
