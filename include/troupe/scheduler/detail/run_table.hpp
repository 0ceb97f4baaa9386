#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "troupe/scheduler/detail/admission.hpp"
#include "troupe/scheduler/detail/run.hpp"

namespace troupe::scheduler::detail {

/// All live runs and the last ended ones. Counts their tasks and bytes.
class run_table {
public:
  [[nodiscard]] const std::map<run_id, run>& all() const {
    return runs_;
  }

  [[nodiscard]] run* find(run_id id) {
    auto found = runs_.find(id);
    return found != runs_.end() ? &found->second : nullptr;
  }

  [[nodiscard]] const run* find(run_id id) const {
    auto found = runs_.find(id);
    return found != runs_.end() ? &found->second : nullptr;
  }

  [[nodiscard]] run* find(const std::string& key) {
    auto found = keys_.find(key);
    return found != keys_.end() ? find(found->second) : nullptr;
  }

  [[nodiscard]] const run* find(const std::string& key) const {
    auto found = keys_.find(key);
    return found != keys_.end() ? find(found->second) : nullptr;
  }

  /// @pre run::counts and run::bytes are not filled in.
  run& add(run&& made) {
    if (!made.key.empty())
      keys_.emplace(made.key, made.id);
    auto& added = runs_.insert_or_assign(runs_.end(), made.id, std::move(made))->second;
    for (std::uint32_t position = 0; position < added.size(); ++position)
      count_in(added, position);
    return added;
  }

  /// Counts a task that was added to its run.
  void count_in(run& owner, std::uint32_t position) {
    auto& added = owner.tasks[position];
    count(owner, added, 1);
    grow(owner, detail::bytes_of(added.spec) + added.value.size() + added.why.detail.size());
  }

  void set_state(run& owner, std::uint32_t position, task_state state) {
    auto& changed = owner.tasks[position];
    count(owner, changed, -1);
    changed.state = state;
    count(owner, changed, 1);
  }

  void set_value(run& owner, std::uint32_t position, const std::string& value) {
    owner.tasks[position].value = value;
    grow(owner, value.size());
  }

  void set_problem(run& owner, std::uint32_t position, const problem& why) {
    auto& changed = owner.tasks[position].why;
    owner.bytes -= changed.detail.size();
    bytes_ -= changed.detail.size();
    changed = why;
    grow(owner, why.detail.size());
  }

  /// Ends a run, whose state is final. Keeps its last changes for watchers.
  void finish(run& owner, std::uint32_t max_changes) {
    if (auto first = owner.first_change(max_changes); first > 0)
      owner.forget_changes(first);
    grow(owner, bytes_of(owner.changes));
    for (std::size_t state = 0; state < task_states; ++state)
      tasks_[state] -= owner.counts[state];
    finished_.push_back(owner.id);
  }

  [[nodiscard]] const std::deque<run_id>& finished() const {
    return finished_;
  }

  /// As finish(), for a run that had ended when it was added.
  void restore_finished(run_id id) {
    auto& owner = runs_.at(id);
    grow(owner, bytes_of(owner.changes));
    finished_.push_back(id);
  }

  /// Drops the oldest ended runs until at most `max_finished` are left.
  void keep_finished(std::uint32_t max_finished) {
    while (finished_.size() > max_finished)
      drop_oldest();
  }

  /// Drops the oldest ended runs until there is room for `more` bytes. Returns whether there is.
  [[nodiscard]] bool make_room(std::uint64_t more, std::uint64_t max_bytes) {
    while (bytes_ + more > max_bytes && !finished_.empty())
      drop_oldest();
    return bytes_ + more <= max_bytes;
  }

  [[nodiscard]] std::uint64_t bytes() const {
    return bytes_;
  }

  /// Runs that have not ended.
  [[nodiscard]] std::size_t live() const {
    return runs_.size() - finished_.size();
  }

  /// Tasks of live runs, by state.
  [[nodiscard]] const std::array<std::uint64_t, task_states>& tasks() const {
    return tasks_;
  }

  [[nodiscard]] std::uint64_t live_tasks() const {
    return tasks_[0] + tasks_[1] + tasks_[2];
  }

  /// Ready tasks of live runs, by priority.
  [[nodiscard]] const std::array<std::uint64_t, priority_names.size()>& ready() const {
    return ready_;
  }

  static std::size_t level_of(const run& owner, const task& what) {
    return static_cast<std::size_t>(what.spec.priority.value_or(owner.priority));
  }

private:
  void count(run& owner, const task& what, int by) {
    auto state = static_cast<std::size_t>(what.state);
    owner.counts[state] += static_cast<std::uint32_t>(by);
    if (is_final(owner.state))
      return;
    tasks_[state] += static_cast<std::uint64_t>(by);
    if (what.state == task_state::ready)
      ready_[level_of(owner, what)] += static_cast<std::uint64_t>(by);
  }

  static std::uint64_t bytes_of(const std::vector<task_change>& changes) {
    constexpr std::uint64_t each = 40;
    return each * changes.size();
  }

  void grow(run& owner, std::uint64_t by) {
    owner.bytes += by;
    bytes_ += by;
  }

  void drop_oldest() {
    auto oldest = runs_.extract(finished_.front());
    finished_.pop_front();
    bytes_ -= oldest.mapped().bytes;
    keys_.erase(oldest.mapped().key);
  }

  std::map<run_id, run> runs_;
  std::map<std::string, run_id, std::less<>> keys_;
  std::deque<run_id> finished_;
  std::array<std::uint64_t, task_states> tasks_{};
  std::array<std::uint64_t, priority_names.size()> ready_{};
  std::uint64_t bytes_ = 0;
};

} // namespace troupe::scheduler::detail
