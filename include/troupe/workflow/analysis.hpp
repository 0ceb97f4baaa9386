#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>
#include <vector>

#include "troupe/core/time.hpp"
#include "troupe/workflow/dag.hpp"
#include "troupe/workflow/task_graph.hpp"

/// Analysis of a workflow before it runs: shortest duration, largest width and other figures.
namespace troupe::workflow {

/// A path through a workflow, from a source to a sink.
template <class Time = duration>
struct path {
  std::vector<task_index> tasks;
  /// The sum of their run times.
  Time length{};

  friend bool operator==(const path&, const path&) = default;
};

/// Returns for each task the time from its start to the end of all its descendants: its
/// own run time plus the longest path below it. O(tasks + edges).
///
/// Here and below, `Time` is duration, whose sums are exact. Use double only to compare
/// with tools that add doubles and so break ties by rounding errors.
/// @pre `graph` is acyclic; `run_times` has one per task, and their sum fits.
template <class Time>
std::vector<Time> remaining_times(const task_graph& graph, const std::vector<Time>& run_times) {
  assert(graph.acyclic() && run_times.size() == graph.size());
  std::vector<Time> result(run_times.size());
  for (auto at = graph.order().rbegin(); at != graph.order().rend(); ++at) {
    Time longest{};
    for (auto child : graph.children(*at))
      longest = std::max(longest, result[child]);
    result[*at] = run_times[*at] + longest;
  }
  return result;
}

/// Returns the path with the largest sum of run times, which no number of workers can
/// beat. Of several, the one whose tasks have the lowest numbers, from the source on.
/// O(tasks + edges). Preconditions as above.
/// Source: Kelley and Walker, "Critical-path planning and scheduling", 1959.
template <class Time>
path<Time> critical_path(const task_graph& graph, const std::vector<Time>& run_times) {
  auto remaining = remaining_times(graph, run_times);
  auto shorter = [&](task_index left, task_index right) {
    return remaining[left] != remaining[right] ? remaining[left] < remaining[right] : left > right;
  };
  path<Time> result;
  if (graph.size() == 0)
    return result;
  for (auto next = graph.level(0); !next.empty(); next = graph.children(result.tasks.back()))
    result.tasks.push_back(*std::max_element(next.begin(), next.end(), shorter));
  result.length = remaining[result.tasks.front()];
  return result;
}

/// The figures of one dag.
struct analysis {
  std::uint32_t tasks = 0;
  std::uint32_t edges = 0;
  std::uint32_t sources = 0;
  std::uint32_t sinks = 0;
  /// Parts of the graph without an edge between them.
  std::uint32_t weakly_connected_components = 0;
  /// Tasks at each level; see task_graph.
  std::vector<std::uint32_t> level_widths;
  std::uint32_t max_level_width = 0;
  std::uint32_t max_in_degree = 0;
  std::uint32_t max_out_degree = 0;
  duration total_work{};
  path<> critical_path;

  /// Mean number of busy workers if there are always enough: work divided by critical
  /// path; 0 if no task takes time.
  [[nodiscard]] double average_parallelism() const {
    if (critical_path.length == duration::zero())
      return 0;
    return static_cast<double>(total_work.count())
           / static_cast<double>(critical_path.length.count());
  }
};

/// Returns the run time of each task, by number.
inline std::vector<duration> run_times(const dag& flow) {
  std::vector<duration> result;
  result.reserve(flow.size());
  for (auto& each : flow.tasks())
    result.push_back(each.run_time);
  return result;
}

namespace detail {

/// Counts the connected parts of a graph by joining sets along its edges.
/// Source: Tarjan and van Leeuwen, "Worst-case analysis of set union algorithms", 1984
/// (path halving).
inline std::uint32_t count_components(const task_graph& graph) {
  std::vector<task_index> above(graph.size());
  std::iota(above.begin(), above.end(), 0U);
  auto top_of = [&](task_index each) {
    while (above[each] != each)
      each = above[each] = above[above[each]];
    return each;
  };
  auto count = graph.size();
  for (task_index parent = 0; parent < graph.size(); ++parent)
    for (auto child : graph.children(parent)) {
      auto left = top_of(parent);
      auto right = top_of(child);
      count -= left != right ? 1 : 0;
      above[std::max(left, right)] = std::min(left, right);
    }
  return count;
}

} // namespace detail

/// Returns the figures of `flow`. O(tasks + edges).
inline analysis analyse(const dag& flow) {
  auto& graph = flow.graph();
  auto times = run_times(flow);
  analysis result;
  result.tasks = graph.size();
  result.edges = graph.edge_count();
  result.sources = static_cast<std::uint32_t>(graph.level(0).size());
  result.weakly_connected_components = detail::count_components(graph);
  for (std::size_t level = 0; level < graph.level_count(); ++level)
    result.level_widths.push_back(static_cast<std::uint32_t>(graph.level(level).size()));
  result.max_level_width = std::ranges::max(result.level_widths);
  for (task_index each = 0; each < graph.size(); ++each) {
    auto out = static_cast<std::uint32_t>(graph.children(each).size());
    auto in = static_cast<std::uint32_t>(graph.parents(each).size());
    result.sinks += out == 0 ? 1 : 0;
    result.max_out_degree = std::max(result.max_out_degree, out);
    result.max_in_degree = std::max(result.max_in_degree, in);
    result.total_work += times[each];
  }
  result.critical_path = critical_path(graph, times);
  return result;
}

/// Returns the redundant edges: those for which a longer path leads from the same parent to
/// the same child. Without them the graph is its transitive reduction.
/// O(tasks * edges) at worst, usually far less: a search from each task with several
/// children, down to the level of the lowest.
/// Source: Aho, Garey, Ullman, "The transitive reduction of a directed graph", 1972.
inline std::vector<edge> implied_edges(const task_graph& graph) {
  std::vector<std::uint32_t> level_of(graph.size());
  for (std::size_t level = 0; level < graph.level_count(); ++level)
    for (auto each : graph.level(level))
      level_of[each] = static_cast<std::uint32_t>(level);
  std::vector<edge> result;
  std::vector<task_index> reached_from(graph.size(), graph.size()); // nobody
  std::vector<task_index> open;
  for (task_index parent = 0; parent < graph.size(); ++parent) {
    auto children = graph.children(parent);
    std::uint32_t lowest = 0;
    for (auto child : children)
      lowest = std::max(lowest, level_of[child]);
    open.assign(children.begin(), children.end());
    while (!open.empty()) {
      auto at = open.back();
      open.pop_back();
      for (auto below : graph.children(at))
        if (level_of[below] <= lowest && std::exchange(reached_from[below], parent) != parent)
          open.push_back(below);
    }
    for (auto child : children)
      if (reached_from[child] == parent)
        result.emplace_back(parent, child);
  }
  return result;
}

/// Returns when the last task ends on `workers` equal workers that run one task at a time,
/// if a free worker always takes the ready task with the longest remaining time, or of
/// several the one with the lowest number. Not optimal, but with m workers at most
/// work / m + (1 - 1/m) * critical path, which is below twice the optimum.
/// O(n log n) in tasks, plus edges.
/// Source: Graham, "Bounds on multiprocessing timing anomalies", 1969.
/// @pre `workers` > 0, and the preconditions above
template <class Time>
Time list_schedule(const task_graph& graph, const std::vector<Time>& run_times,
                   std::uint32_t workers) {
  assert(workers > 0);
  auto remaining = remaining_times(graph, run_times);
  auto later = [&](task_index left, task_index right) {
    return remaining[left] != remaining[right] ? remaining[left] < remaining[right] : left > right;
  };
  std::priority_queue<task_index, std::vector<task_index>, decltype(later)> ready{later};
  using running_task = std::pair<Time, task_index>; // when it ends
  std::priority_queue<running_task, std::vector<running_task>, std::greater<>> running;
  std::vector<std::size_t> waits_for(graph.size());
  for (task_index each = 0; each < graph.size(); ++each) {
    waits_for[each] = graph.parents(each).size();
    if (waits_for[each] == 0)
      ready.push(each);
  }
  Time now{};
  while (!ready.empty() || !running.empty()) {
    for (; !ready.empty() && running.size() < workers; ready.pop())
      running.emplace(now + run_times[ready.top()], ready.top());
    now = running.top().first;
    for (; !running.empty() && running.top().first == now; running.pop())
      for (auto child : graph.children(running.top().second))
        if (--waits_for[child] == 0)
          ready.push(child);
  }
  return now;
}

/// The same for the run times of `flow`.
inline duration list_schedule(const dag& flow, std::uint32_t workers) {
  return list_schedule(flow.graph(), run_times(flow), workers);
}

} // namespace troupe::workflow
