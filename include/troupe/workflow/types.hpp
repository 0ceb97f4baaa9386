#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "troupe/core/fields.hpp"
#include "troupe/core/time.hpp"

/// Vocabulary of the workflow part: tasks and workflows as a user defines them. No CAF here;
/// dag.hpp turns a definition into a valid graph.
namespace troupe::workflow {

/// A task runs once more than that at most; see scheduler::retry_policy.
inline constexpr std::uint32_t max_retries = 999;

/// One step of a workflow: what to run, what it needs, and whose results it waits for.
struct task {
  /// Unique within its workflow.
  std::string id;
  /// How long it takes, measured or estimated. Used in every analysis; a task without a handler
  /// sleeps for it.
  duration run_time{};
  /// Ids of the tasks that must have completed before this one starts, each once.
  std::vector<std::string> parents;
  /// Name of the handler that runs it. Empty: the task only sleeps for its run time.
  std::string handler;
  /// Text passed to the handler, with the results of the parents.
  std::string input;
  /// Resources that it needs of a worker. Cores and memory count only with
  /// scheduler::submission_options::resources.
  std::uint32_t cores = 1;
  std::uint32_t gpus = 0;
  std::uint64_t memory_bytes = 0;
  /// Higher goes first among tasks that are ready.
  std::int32_t priority = 0;
  /// How often it is retried after a failure, at most max_retries. If not given, as the submission
  /// says.
  std::optional<std::uint32_t> retries;
  /// How long one attempt may take. If not given, there is no limit.
  std::optional<duration> timeout;
  /// Group of workers that may run it. Empty: workers that name no group.
  std::string group;
  /// Labels that a worker must have to run it.
  std::map<std::string, std::string> labels;

  friend bool operator==(const task&, const task&) = default;

  TROUPE_FIELDS(task, id, run_time, parents, handler, input, cores, gpus, memory_bytes, priority,
                retries, timeout, group, labels);
};

/// A workflow as given, not yet checked. The form in which it is sent and stored.
struct definition {
  std::string name;
  std::vector<task> tasks;

  friend bool operator==(const definition&, const definition&) = default;

  TROUPE_FIELDS(definition, name, tasks);
};

/// Limits of one workflow. Workflows beyond them are refused.
struct dag_options {
  /// Tasks of one workflow.
  std::uint32_t max_tasks = 1'000'000;
  /// Parents of all tasks together, about 60 bytes each.
  std::uint32_t max_edges = 4'000'000;
  /// Bytes of ids and of the names of workflows, handlers, groups and labels.
  std::uint32_t max_name_bytes = 255;
  /// Bytes of the input of one task.
  std::uint32_t max_input_bytes = 1'048'576;
  /// Labels of one task.
  std::uint32_t max_labels = 64;
  /// Longest run time and longest timeout of a task.
  duration max_span = std::chrono::hours{24 * 366};

  friend bool operator==(const dag_options&, const dag_options&) = default;

  TROUPE_FIELDS(dag_options, max_tasks, max_edges, max_name_bytes, max_input_bytes, max_labels,
                max_span);
};

} // namespace troupe::workflow
