#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/iterator/transform_iterator.hpp>

namespace troupe::workflow {

/// Number of a task in its graph, from zero.
using task_index = std::uint32_t;

/// An edge from a parent to its child.
using edge = std::pair<task_index, task_index>;

/// The dependencies of tasks by number, and an order in which they can run. Two sparse Boost
/// graphs, one along the edges and one against them, with 4 bytes per edge each.
///
/// The order is the same on every machine: level by level, and by number within a level.
/// The level of a task is the length of the longest path to it, in edges; zero if it has
/// no parents.
/// Source: Kahn, "Topological sorting of large networks", CACM 5 (1962).
class task_graph {
public:
  using boost_graph
    = boost::compressed_sparse_row_graph<boost::directedS, boost::no_property, boost::no_property,
                                         boost::no_property, task_index, std::uint32_t>;

  task_graph() = default;

  /// Makes a graph of `tasks` tasks. Edges may come in any order; children and
  /// parents keep it. Cost: O(tasks + edges).
  /// @pre both ends of each edge are below `tasks`.
  task_graph(task_index tasks, std::span<const edge> edges)
    : down_(boost::edges_are_unsorted_multi_pass, edges.begin(), edges.end(), tasks),
      up_(boost::edges_are_unsorted_multi_pass, boost::make_transform_iterator(edges.begin(), turn),
          boost::make_transform_iterator(edges.end(), turn), tasks) {
    put_in_order();
  }

  [[nodiscard]] task_index size() const {
    return boost::num_vertices(down_);
  }

  [[nodiscard]] std::uint32_t edge_count() const {
    return boost::num_edges(down_);
  }

  [[nodiscard]] std::span<const task_index> children(task_index of) const {
    return neighbours(down_, of);
  }

  [[nodiscard]] std::span<const task_index> parents(task_index of) const {
    return neighbours(up_, of);
  }

  /// Returns whether there is no cycle. If there is one, its tasks and their descendants are
  /// missing in order() and in all levels.
  [[nodiscard]] bool acyclic() const {
    return order_.size() == size();
  }

  /// Returns all tasks, each after its parents.
  [[nodiscard]] std::span<const task_index> order() const {
    return order_;
  }

  [[nodiscard]] std::size_t level_count() const {
    return level_ends_.size();
  }

  /// Returns the tasks of a level, by number. Their count is the width of the level.
  [[nodiscard]] std::span<const task_index> level(std::size_t number) const {
    auto begin = number == 0 ? 0 : level_ends_[number - 1];
    return order().subspan(begin, level_ends_[number] - begin);
  }

  /// Returns a cycle: each task is a parent of the next, and the last of the first. Begins with
  /// the lowest number. Empty if there is no cycle. Cost: O(tasks + edges).
  [[nodiscard]] std::vector<task_index> find_cycle() const {
    if (acyclic())
      return {};
    std::vector<bool> left(size(), true);
    for (auto each : order_)
      left[each] = false;
    // Each task left has a parent that is left: going from parent to parent finds the cycle.
    auto can_run = [&](task_index each) { return !left[each]; };
    auto at = static_cast<task_index>(std::find(left.begin(), left.end(), true) - left.begin());
    std::vector<task_index> way;
    std::vector<bool> seen(size(), false);
    while (!seen[at]) {
      seen[at] = true;
      way.push_back(at);
      auto above = parents(at);
      at = *std::find_if_not(above.begin(), above.end(), can_run);
    }
    way.erase(way.begin(), std::find(way.begin(), way.end(), at));
    std::reverse(way.begin(), way.end());
    std::rotate(way.begin(), std::min_element(way.begin(), way.end()), way.end());
    return way;
  }

  /// Returns the graph for Boost's algorithms.
  [[nodiscard]] const boost_graph& forward() const {
    return down_;
  }

private:
  static edge turn(const edge& each) {
    return {each.second, each.first};
  }

  static std::span<const task_index> neighbours(const boost_graph& graph, task_index of) {
    assert(of < boost::num_vertices(graph));
    auto [begin, end] = boost::adjacent_vertices(of, graph);
    return {begin, end};
  }

  void put_in_order() {
    std::vector<std::uint32_t> waits_for(size());
    std::vector<task_index> ready(size() + std::size_t{1}); // one more to write without asking
    std::size_t found = 0;
    for (task_index each = 0; each < size(); ++each) {
      waits_for[each] = boost::out_degree(each, up_);
      if (waits_for[each] == 0)
        ready[found++] = each;
    }
    std::vector<std::uint32_t> level_of(size());
    for (std::size_t next = 0; next < found;) {
      auto level = static_cast<std::uint32_t>(level_ends_.size());
      auto end = found;
      for (; next < end; ++next) {
        level_of[ready[next]] = level;
        for (auto child : children(ready[next])) {
          ready[found] = child;
          found += --waits_for[child] == 0 ? 1 : 0;
        }
      }
      level_ends_.push_back(end);
    }
    sort_levels(waits_for, level_of, found);
  }

  /// Counting sort: by level, then by number.
  void sort_levels(std::span<const std::uint32_t> waits_for,
                   std::span<const std::uint32_t> level_of, std::size_t found) {
    order_.resize(found);
    std::vector<std::size_t> next(level_ends_.size(), 0);
    if (!next.empty())
      std::copy(level_ends_.begin(), level_ends_.end() - 1, next.begin() + 1);
    for (task_index each = 0; each < size(); ++each)
      if (waits_for[each] == 0)
        order_[next[level_of[each]]++] = each;
  }

  boost_graph down_;
  boost_graph up_;
  std::vector<task_index> order_;
  std::vector<std::size_t> level_ends_;
};

} // namespace troupe::workflow
