#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/utf8.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/cron.hpp"
#include "troupe/workflow/types.hpp"

/// Checks of requests that do not depend on the state. Each returns the first fault found,
/// errc::none if there is none.
namespace troupe::scheduler::detail {

inline constexpr std::size_t max_name_bytes = 255;
inline constexpr std::size_t max_words = 1'000;
/// Longest time-out, delay and back-off.
inline constexpr duration max_span = std::chrono::hours{24 * 366};
inline constexpr std::uint32_t max_tries = workflow::max_retries + 1;

inline problem bad(std::string detail) {
  return {errc::bad_argument, std::move(detail)};
}

inline problem full(const std::string& what, const std::string& option, std::uint64_t bound) {
  return {errc::limit_reached,
          "all " + std::to_string(bound) + " " + what
            + " are in use; retry with backoff or raise scheduler_options::" + option};
}

/// Returns `text` in quotes, or only its length if it is too long or not UTF-8.
inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 64;
  auto whole = text.size() <= longest && is_utf8(text);
  return whole ? "\"" + std::string{text} + "\"" : std::to_string(text.size()) + " bytes";
}

inline problem check_name(const std::string& field, std::string_view name, bool may_be_empty) {
  if (name.size() > max_name_bytes || (name.empty() && !may_be_empty))
    return bad(field + " has " + std::to_string(name.size()) + " bytes; give "
               + (may_be_empty ? "at most " : "1 to ") + std::to_string(max_name_bytes));
  if (!is_utf8(name))
    return bad(field + " is not UTF-8; give text");
  return {};
}

inline problem check_labels(const std::string& field, const labels& given) {
  if (given.size() > max_words)
    return bad(field + " has " + std::to_string(given.size()) + " entries; give at most "
               + std::to_string(max_words));
  for (auto& [key, value] : given) {
    if (auto why = check_name(field + " key", key, false))
      return why;
    if (auto why = check_name(field + " value", value, true))
      return why;
  }
  return {};
}

inline problem check_span(const std::string& field, duration span) {
  if (span >= duration::zero() && span <= max_span)
    return {};
  return bad(field + " is " + to_string(span) + "; give 0 ms to " + to_string(max_span));
}

inline problem check_resources(const std::string& field, const resources& given) {
  if (given.slots == 0)
    return bad(field + ".slots is 0; give at least 1");
  if (std::max({given.millicores, given.memory_bytes, given.gpus, given.slots}) > max_resource)
    return bad(field + " has an amount above " + std::to_string(max_resource));
  return {};
}

inline problem check_retry(const std::string& field, const retry_policy& given) {
  if (given.max_attempts == 0 || given.max_attempts > max_tries)
    return bad(field + ".max_attempts is " + std::to_string(given.max_attempts) + "; give 1 to "
               + std::to_string(max_tries));
  if (auto why = check_span(field + ".wait.first", given.wait.first))
    return why;
  return check_span(field + ".wait.max", given.wait.max);
}

inline problem check_payload(const std::string& field, std::size_t bytes,
                             const scheduler_options& options) {
  if (bytes <= options.max_payload_bytes)
    return {};
  return {errc::too_large, field + " has " + std::to_string(bytes) + " bytes; give at most "
                             + std::to_string(options.max_payload_bytes)
                             + " (scheduler_options::max_payload_bytes)"};
}

inline problem check_task(const task_spec& given, const scheduler_options& options) {
  auto field = [&](std::string_view name) {
    return "task " + in_quotes(given.id) + ": " + std::string{name};
  };
  if (auto why = check_name("task id", given.id, false))
    return why;
  if (auto why = check_name(field("handler"), given.handler, false))
    return why;
  if (auto why = check_name(field("compensation"), given.compensation, true))
    return why;
  if (auto why = check_name(field("group"), given.group, true))
    return why;
  if (auto why = check_labels(field("labels"), given.labels))
    return why;
  if (auto why = check_payload(field("input"), given.input.size(), options))
    return why;
  if (auto why = check_resources(field("needs"), given.needs))
    return why;
  if (auto why = check_span(field("timeout"), given.timeout))
    return why;
  if (given.priority && name_of(*given.priority) == "unknown")
    return bad(field("priority is unknown; give low, medium, high or urgent"));
  if (given.steps_behind > max_steps_behind)
    return bad(field("steps_behind is " + std::to_string(given.steps_behind) + "; give at most "
                     + std::to_string(max_steps_behind)));
  if (given.retry)
    return check_retry(field("retry"), *given.retry);
  return {};
}

/// Checks that ids are unique, parents exist, and the graph has no cycle. O(n log n + edges).
inline problem check_graph(const std::vector<task_spec>& tasks, const scheduler_options& options) {
  std::vector<std::uint32_t> order(tasks.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(
    order, {}, [&](auto position) -> auto& { return tasks[position].id; });
  auto same = std::ranges::adjacent_find(
    order, {}, [&](auto position) -> auto& { return tasks[position].id; });
  if (same != order.end())
    return bad("two tasks have the id " + in_quotes(tasks[*same].id) + "; give each its own");

  std::vector<std::uint32_t> waits_for(tasks.size());
  std::vector<std::uint32_t> seen_at(tasks.size());
  std::size_t edges = 0;
  for (std::uint32_t position = 0; position < tasks.size(); ++position) {
    auto& given = tasks[position];
    edges += given.parents.size();
    if (edges > options.max_edges)
      return {errc::too_large, "the tasks have more than " + std::to_string(options.max_edges)
                                 + " parents (scheduler_options::max_edges)"};
    waits_for[position] = static_cast<std::uint32_t>(given.parents.size());
    for (auto parent : given.parents) {
      if (parent >= tasks.size())
        return bad("task " + in_quotes(given.id) + " has parent number " + std::to_string(parent)
                   + "; there are " + std::to_string(tasks.size()) + " tasks, from number 0");
      if (std::exchange(seen_at[parent], position + 1) == position + 1)
        return bad("task " + in_quotes(given.id) + " names its parent "
                   + in_quotes(tasks[parent].id) + " twice");
    }
  }

  // Removes tasks whose parents are all removed; what is left is on or behind a cycle.
  // Source: Kahn, "Topological sorting of large networks", CACM 5 (1962).
  std::vector<std::uint32_t> from(tasks.size() + 1);
  for (auto& given : tasks)
    for (auto parent : given.parents)
      ++from[parent + 1];
  std::partial_sum(from.begin(), from.end(), from.begin());
  std::vector<std::uint32_t> children(edges);
  auto next = from;
  for (std::uint32_t child = 0; child < tasks.size(); ++child)
    for (auto parent : tasks[child].parents)
      children[next[parent]++] = child;
  std::vector<std::uint32_t> free;
  for (std::uint32_t position = 0; position < tasks.size(); ++position)
    if (waits_for[position] == 0)
      free.push_back(position);
  for (std::size_t done = 0; done < free.size(); ++done)
    for (auto at = from[free[done]]; at < from[free[done] + 1]; ++at)
      if (--waits_for[children[at]] == 0)
        free.push_back(children[at]);
  if (free.size() == tasks.size())
    return {};

  // Each task left has a parent that is left: going from parent to parent finds the cycle.
  auto at = static_cast<std::uint32_t>(
    std::ranges::find_if(waits_for, [](auto count) { return count > 0; }) - waits_for.begin());
  std::vector<std::uint32_t> path;
  std::ranges::fill(seen_at, 0U);
  while (seen_at[at] == 0) {
    path.push_back(at);
    seen_at[at] = static_cast<std::uint32_t>(path.size());
    at = *std::ranges::find_if(tasks[at].parents,
                               [&](auto parent) { return waits_for[parent] > 0; });
  }
  std::string cycle = in_quotes(tasks[at].id);
  constexpr std::size_t longest = 8;
  for (auto step = path.size(); step-- > seen_at[at] - 1U;) {
    if (path.size() - step > longest) {
      cycle += " -> ...";
      break;
    }
    cycle += " -> " + in_quotes(tasks[path[step]].id);
  }
  return bad("the tasks wait for each other: " + cycle + "; take out one of these parents");
}

inline problem check(const submit& request, const scheduler_options& options) {
  if (auto why = check_name("name", request.name, true))
    return why;
  if (auto why = check_name("key", request.key, true))
    return why;
  if (name_of(request.priority) == "unknown")
    return bad("priority is unknown; give low, medium, high or urgent");
  if (name_of(request.policy) == "unknown")
    return bad("policy is unknown; give fail_fast, continue_what_can or compensate");
  if (auto why = check_retry("retry", request.retry))
    return why;
  if (auto why = check_span("delay", request.delay))
    return why;
  if (request.start_at && request.delay != duration::zero())
    return bad("delay and start_at are both given; give one");
  if (request.tasks.empty())
    return bad("tasks is empty; give at least one");
  if (request.tasks.size() > options.max_tasks)
    return {errc::too_large, "the workflow has " + std::to_string(request.tasks.size())
                               + " tasks; give at most " + std::to_string(options.max_tasks)
                               + " (scheduler_options::max_tasks)"};
  for (auto& given : request.tasks)
    if (auto why = check_task(given, options))
      return why;
  return check_graph(request.tasks, options);
}

inline problem check(const define_schedule& request, const scheduler_options& options) {
  constexpr std::size_t longest = 200;
  if (request.name.empty() || request.name.size() > longest || !is_utf8(request.name))
    return bad("name has " + std::to_string(request.name.size()) + " bytes; give 1 to "
               + std::to_string(longest) + " of text");
  if (!request.what.key.empty() || request.what.start_at || request.what.delay != duration::zero())
    return bad("the workflow of a schedule has a key, a delay or a start time; leave them out, "
               "as the schedule decides when it runs");
  if (auto cron = cron_expression::parse(request.cron); !cron)
    return cron.error();
  return check(request.what, options);
}

inline problem check(const register_worker& request) {
  if (auto why = check_name("name", request.name, false))
    return why;
  if (auto why = check_name("owner", request.owner.text(), false))
    return why;
  if (auto why = check_resources("capacity", request.capacity))
    return why;
  if (request.handlers.empty())
    return bad("handlers is empty; name at least one");
  if (request.handlers.size() > max_words || request.groups.size() > max_words)
    return bad("handlers and groups have " + std::to_string(request.handlers.size()) + " and "
               + std::to_string(request.groups.size()) + " entries; give at most "
               + std::to_string(max_words) + " of each");
  for (auto& handler : request.handlers)
    if (auto why = check_name("handler", handler, false))
      return why;
  for (auto& group : request.groups)
    if (auto why = check_name("group", group, true))
      return why;
  return check_labels("labels", request.labels);
}

/// Refuses outcome kinds that this version does not know.
inline problem check(const report& request) {
  for (auto& each : request.outcomes)
    if (name_of(each.kind) == "unknown")
      return bad("outcome kind " + std::to_string(static_cast<int>(each.kind))
                 + " is unknown; give completed, failed, busy, stopped or progress");
  return {};
}

// -- before a request is written ---------------------------------------------------------
//
// Cheap tests for requests that are too large to pass the checks above. The checks give the
// reason.

inline bool is_long(std::string_view name) {
  return name.size() > max_name_bytes;
}

inline bool is_large(const labels& given) {
  return given.size() > max_words || std::ranges::any_of(given, [](auto& each) {
           return is_long(each.first) || is_long(each.second);
         });
}

inline bool is_large(const submit& request, const scheduler_options& options) {
  if (is_long(request.name) || is_long(request.key) || request.tasks.size() > options.max_tasks)
    return true;
  std::size_t edges = 0;
  return std::ranges::any_of(request.tasks, [&](auto& each) {
    edges += each.parents.size();
    return edges > options.max_edges || is_long(each.id) || is_long(each.handler)
           || is_long(each.compensation) || is_long(each.group) || is_large(each.labels)
           || each.input.size() > options.max_payload_bytes;
  });
}

/// Returns `given` with spans and counts cut so that sums do not overflow.
inline scheduler_options bounded(scheduler_options given) {
  for (auto* span : {&given.lease, &given.silence, &given.busy_pause, &given.unplaceable_patience,
                     &given.reserve_after})
    *span = std::clamp(*span, duration::zero(), max_span);
  constexpr duration day = std::chrono::hours{24}; // times at most max_steps_behind: 27 years
  for (auto* span : {&given.ageing, &given.retry_head_start})
    *span = std::clamp(*span, duration::zero(), day);
  given.max_losses = std::min(given.max_losses, max_tries);
  return given;
}

/// Bytes that a task takes while its run is kept, without its result. An estimate that is the
/// same on every machine.
inline std::uint64_t bytes_of(const task_spec& given) {
  constexpr std::uint64_t task_itself = 500;
  auto sum = task_itself + given.id.size() + given.handler.size() + given.input.size()
             + given.group.size() + given.compensation.size() + given.parents.size() * 8;
  for (auto& [key, value] : given.labels)
    sum += key.size() + value.size();
  return sum;
}

inline std::uint64_t bytes_of(const submit& given) {
  std::uint64_t sum = 0;
  for (auto& each : given.tasks)
    sum += bytes_of(each);
  return sum;
}

} // namespace troupe::scheduler::detail
