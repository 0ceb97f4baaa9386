#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/result.hpp"
#include "troupe/workflow/detail/id_index.hpp"
#include "troupe/workflow/detail/task_checks.hpp"
#include "troupe/workflow/task_graph.hpp"
#include "troupe/workflow/types.hpp"

namespace troupe::workflow {

/// A valid workflow: immutable, made by make_dag() or a dag_builder. Tasks are numbered in
/// the order of their ids, and each lists its parents in that order. So the same workflow
/// gives the same dag, in whatever order its tasks were written.
class dag {
public:
  [[nodiscard]] const std::string& name() const {
    return given_.name;
  }

  /// Returns the number of tasks, at least one.
  [[nodiscard]] task_index size() const {
    return graph_.size();
  }

  /// Returns all tasks, sorted by id.
  [[nodiscard]] std::span<const task> tasks() const {
    return given_.tasks;
  }

  [[nodiscard]] const task& operator[](task_index which) const {
    return given_.tasks[which];
  }

  /// Returns the number of the task `id`; nothing if there is none. O(log n).
  [[nodiscard]] std::optional<task_index> find(std::string_view id) const {
    auto found = std::lower_bound(
      given_.tasks.begin(), given_.tasks.end(), id,
      [](const task& each, std::string_view wanted) { return each.id < wanted; });
    if (found == given_.tasks.end() || found->id != id)
      return std::nullopt;
    return static_cast<task_index>(found - given_.tasks.begin());
  }

  /// Returns the dependency graph, with levels and as a Boost graph.
  [[nodiscard]] const task_graph& graph() const {
    return graph_;
  }

  /// children() and parents() are sorted and have each task once.
  [[nodiscard]] std::span<const task_index> children(task_index of) const {
    return graph_.children(of);
  }

  [[nodiscard]] std::span<const task_index> parents(task_index of) const {
    return graph_.parents(of);
  }

  /// Returns all tasks, each after its parents: level by level, and by id within one.
  [[nodiscard]] std::span<const task_index> topological_order() const {
    return graph_.order();
  }

  /// Returns the tasks without parents.
  [[nodiscard]] std::span<const task_index> sources() const {
    return graph_.level(0);
  }

  /// Returns the tasks without children.
  [[nodiscard]] std::vector<task_index> sinks() const {
    std::vector<task_index> result;
    for (task_index each = 0; each < size(); ++each)
      if (children(each).empty())
        result.push_back(each);
    return result;
  }

  /// Returns its definition with sorted tasks, to be sent or stored.
  [[nodiscard]] const definition& as_definition() const {
    return given_;
  }

  friend bool operator==(const dag& left, const dag& right) {
    return left.given_ == right.given_;
  }

private:
  friend result<dag> make_dag(definition given, const dag_options& options);

  dag(definition given, task_graph graph) : given_(std::move(given)), graph_(std::move(graph)) {}

  definition given_;
  task_graph graph_;
};

/// Makes a dag of `given`, or says what is wrong with it and where. Positions in error
/// sentences are those in `given`.
///
/// Refusals: bad_argument (no task; an empty id or one used twice; a parent that is
/// missing, the task itself or listed twice; a cycle; a negative run time; no cores; names
/// with unprintable characters), too_large (beyond a limit of `options`, or run times of
/// more than 292 years in sum).
/// Cost: O((tasks + edges) log tasks) comparisons of ids.
inline result<dag> make_dag(definition given, const dag_options& options = {}) {
  if (auto why = detail::check_name("name", given.name, options))
    return *std::move(why);
  if (auto why = detail::check_tasks(given.tasks, options))
    return *std::move(why);
  detail::id_index index{given.tasks};
  if (auto why = detail::check_ids(given.tasks, index))
    return *std::move(why);
  auto edges = detail::find_edges(given.tasks, index);
  if (!edges)
    return edges.error();
  definition sorted{std::move(given.name), {}};
  sorted.tasks.reserve(given.tasks.size());
  for (std::uint32_t rank = 0; rank < index.size(); ++rank) {
    auto& each = sorted.tasks.emplace_back(std::move(given.tasks[index[rank]]));
    std::sort(each.parents.begin(), each.parents.end());
  }
  task_graph graph{static_cast<task_index>(sorted.tasks.size()), *edges};
  if (!graph.acyclic())
    return detail::cycle_problem(graph.find_cycle(), sorted.tasks);
  return dag{std::move(sorted), std::move(graph)};
}

} // namespace troupe::workflow
