#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "troupe/core/time.hpp"

/// Vocabulary of the workflow part: what a user writes down. No CAF here; dag.hpp
/// turns a definition into a graph that is known to be sound.
namespace troupe::workflow {

/// One step of a workflow: what to run, what it needs, and whose results it waits for.
struct task {
  /// Unique within its workflow.
  std::string id;
  /// How long it takes, as measured or guessed: the weight in every analysis, and
  /// how long the handler "sleep" sleeps.
  duration run_time{};
  /// Ids of the tasks that must have completed before this one starts, each once.
  std::vector<std::string> parents;
  /// Name of the handler that runs it. The workflow's default if empty.
  std::string handler;
  /// What the handler is given, beside the results of the parents. Text.
  std::string input;
  /// What a worker must have free.
  std::uint32_t cores = 1;
  std::uint32_t gpus = 0;
  std::uint64_t memory_bytes = 0;
  /// Higher goes first among tasks that are ready.
  std::int32_t priority = 0;
  /// How often it is run again after a failure. The scheduler's default if nothing.
  std::optional<std::uint32_t> retries;
  /// How long one attempt may take. The scheduler's default if nothing.
  std::optional<duration> timeout;
  /// Group of workers that may run it. Any if empty.
  std::string group;
  /// Labels that a worker must have to run it.
  std::map<std::string, std::string> labels;

  friend bool operator==(const task&, const task&) = default;
};

/// A workflow as given, not looked at yet. What travels and is stored.
struct definition {
  std::string name;
  std::vector<task> tasks;

  friend bool operator==(const definition&, const definition&) = default;
};

/// Bounds of one workflow. Whatever lies beyond them is refused.
struct dag_options {
  /// Tasks of one workflow.
  std::uint32_t max_tasks = 1'000'000;
  /// Parents of all tasks together, about 60 bytes each.
  std::uint32_t max_edges = 4'000'000;
  /// Length of ids and of names of workflows, handlers, groups and labels.
  std::uint32_t max_name_bytes = 255;
  /// Of one task.
  std::uint32_t max_input_bytes = 1'048'576;
  /// Of one task.
  std::uint32_t max_labels = 64;
  /// Longest run time and longest timeout of a task.
  duration max_span = std::chrono::hours{24 * 366};

  friend bool operator==(const dag_options&, const dag_options&) = default;
};

// -- inspection ------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, task& x) {
  return f.object(x).fields(
    f.field("id", x.id), f.field("run_time", x.run_time), f.field("parents", x.parents),
    f.field("handler", x.handler), f.field("input", x.input), f.field("cores", x.cores),
    f.field("gpus", x.gpus), f.field("memory_bytes", x.memory_bytes),
    f.field("priority", x.priority), f.field("retries", x.retries), f.field("timeout", x.timeout),
    f.field("group", x.group), f.field("labels", x.labels));
}

template <class Inspector>
bool inspect(Inspector& f, definition& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("tasks", x.tasks));
}

template <class Inspector>
bool inspect(Inspector& f, dag_options& x) {
  return f.object(x).fields(f.field("max_tasks", x.max_tasks), f.field("max_edges", x.max_edges),
                            f.field("max_name_bytes", x.max_name_bytes),
                            f.field("max_input_bytes", x.max_input_bytes),
                            f.field("max_labels", x.max_labels), f.field("max_span", x.max_span));
}

} // namespace troupe::workflow
