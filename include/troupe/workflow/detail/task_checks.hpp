#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/workflow/detail/id_index.hpp"
#include "troupe/workflow/detail/text.hpp"
#include "troupe/workflow/task_graph.hpp"
#include "troupe/workflow/types.hpp"

/// Checks of a definition, with their error sentences.
namespace troupe::workflow::detail {

inline problem at_task(std::size_t position, std::string_view id, problem why) {
  why.detail = place_of(position, id) + ": " + why.detail;
  return why;
}

inline problem over_bound(std::string_view field, std::string_view unit, std::size_t value,
                          std::string_view option, std::uint32_t bound) {
  return {errc::too_large, std::string{field} + " has " + std::to_string(value) + " "
                             + std::string{unit} + "; give at most " + std::to_string(bound)
                             + " (dag_options::" + std::string{option} + ")"};
}

/// Checks a name: no control characters, not too long.
inline std::optional<problem> check_name(std::string_view field, std::string_view name,
                                         const dag_options& options) {
  if (name.size() > options.max_name_bytes)
    return over_bound(field, "bytes", name.size(), "max_name_bytes", options.max_name_bytes);
  if (!is_printable(name))
    return problem{errc::bad_argument, std::string{field} + " is " + in_quotes(name)
                                         + "; give UTF-8 without control characters"};
  return std::nullopt;
}

inline std::optional<problem> check_span(std::string_view field, duration span,
                                         const dag_options& options) {
  auto value = std::string{field} + " is " + seconds_text(span) + " s";
  if (span < duration::zero())
    return problem{errc::bad_argument, value + "; give 0 or more"};
  if (span > options.max_span)
    return problem{errc::too_large, value + "; give at most " + seconds_text(options.max_span)
                                      + " s (dag_options::max_span)"};
  return std::nullopt;
}

inline std::optional<problem> check_labels(const task& each, const dag_options& options) {
  if (each.labels.size() > options.max_labels)
    return over_bound("labels", "entries", each.labels.size(), "max_labels", options.max_labels);
  for (auto& [key, value] : each.labels)
    for (auto* text : {&key, &value})
      if (auto why = check_name("a label", *text, options))
        return why;
  return std::nullopt;
}

/// Checks one task without the others.
inline std::optional<problem> check_alone(const task& each, const dag_options& options) {
  if (each.id.empty())
    return problem{errc::bad_argument, "id is empty; give each task a name"};
  for (auto [field, name] : {std::pair{"id", &each.id}, std::pair{"handler", &each.handler},
                             std::pair{"group", &each.group}})
    if (auto why = check_name(field, *name, options))
      return why;
  if (auto why = check_span("run_time", each.run_time, options))
    return why;
  if (each.cores == 0)
    return problem{errc::bad_argument, "cores is 0; give 1 or more"};
  if (each.input.size() > options.max_input_bytes)
    return over_bound("input", "bytes", each.input.size(), "max_input_bytes",
                      options.max_input_bytes);
  if (each.timeout == duration::zero())
    return problem{errc::bad_argument, "timeout is 0 s; give more, or leave it out"};
  if (each.timeout)
    if (auto why = check_span("timeout", *each.timeout, options))
      return why;
  return check_labels(each, options);
}

/// Checks each task, and all of them together, but not their edges.
inline std::optional<problem> check_tasks(std::span<const task> tasks, const dag_options& options) {
  if (tasks.empty())
    return problem{errc::bad_argument, "tasks is empty; a workflow has at least one"};
  if (tasks.size() > options.max_tasks)
    return over_bound("tasks", "entries", tasks.size(), "max_tasks", options.max_tasks);
  std::size_t edges = 0;
  auto total = duration::zero();
  for (std::size_t position = 0; position < tasks.size(); ++position) {
    auto& each = tasks[position];
    if (auto why = check_alone(each, options))
      return at_task(position, each.id, *std::move(why));
    if (each.run_time > duration::max() - total)
      return at_task(position, each.id,
                     {errc::too_large,
                      "the run times up to here add up to more than 292 years; give less in sum"});
    total += each.run_time;
    edges += each.parents.size();
    if (edges > options.max_edges)
      return at_task(position, each.id,
                     {errc::too_large, "the tasks up to here have " + std::to_string(edges)
                                         + " parents together; give at most "
                                         + std::to_string(options.max_edges)
                                         + " (dag_options::max_edges)"});
  }
  return std::nullopt;
}

inline std::optional<problem> check_ids(std::span<const task> tasks, const id_index& index) {
  for (std::uint32_t rank = 1; rank < index.size(); ++rank) {
    auto& each = tasks[index[rank]];
    if (each.id == tasks[index[rank - 1]].id)
      return at_task(index[rank], each.id,
                     {errc::bad_argument, "tasks[" + std::to_string(index[rank - 1])
                                            + "] has the same id; give each task its own"});
  }
  return std::nullopt;
}

/// Returns the edges between ranks, or why the parents of a task are invalid.
inline result<std::vector<edge>> find_edges(std::span<const task> tasks, const id_index& index) {
  std::vector<edge> edges;
  for (std::uint32_t child = 0; child < index.size(); ++child) {
    auto& each = tasks[index[child]];
    auto first = edges.size();
    auto refuse = [&](std::string_view parent, std::string why) {
      return at_task(index[child], each.id,
                     {errc::bad_argument, "parent " + in_quotes(parent) + " is " + std::move(why)});
    };
    for (auto& name : each.parents) {
      auto parent = index.rank_of(name);
      if (!parent)
        return refuse(name, "no task of this workflow; add it, or take it out of parents");
      if (*parent == child)
        return refuse(name, "the task itself; take it out of parents");
      edges.emplace_back(*parent, child);
    }
    auto begin = edges.begin() + static_cast<std::ptrdiff_t>(first);
    std::sort(begin, edges.end());
    auto twice = std::adjacent_find(begin, edges.end());
    if (twice != edges.end())
      return refuse(tasks[index[twice->first]].id, "listed twice; list it once");
  }
  return edges;
}

/// Writes a cycle as "a → b → c → a"; the middle of a long one is only counted.
inline problem cycle_problem(std::span<const task_index> cycle, std::span<const task> tasks) {
  auto names = join_shortened(cycle.size(), " → ", [&](auto at) { return tasks[cycle[at]].id; });
  return {errc::bad_argument, "tasks wait for each other in a cycle: " + names + " → "
                                + tasks[cycle.front()].id + "; remove one of these dependencies"};
}

} // namespace troupe::workflow::detail
