#pragma once

#include <cassert>
#include <concepts>
#include <cstdint>
#include <string>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/workflow/dag.hpp"
#include "troupe/workflow/types.hpp"

namespace troupe::workflow {

/// Defines a workflow in C++, task by task. Calls after task() apply to that task. A task may
/// be defined before its parents.
///
///     auto nightly = dag_builder{"nightly"}
///                      .task("fetch").runs("download", "https://example.org/data")
///                      .task("count").after("fetch").runs("count").cores(2)
///                      .task("mail").after("fetch", "count").retries(3)
///                      .build();
class dag_builder {
public:
  explicit dag_builder(std::string name = {}) : given_{std::move(name), {}} {}

  /// Begins the next task.
  dag_builder& task(std::string id) {
    given_.tasks.emplace_back().id = std::move(id);
    return *this;
  }

  /// Names tasks that must have completed before this one starts.
  template <std::convertible_to<std::string>... Ids>
  dag_builder& after(Ids&&... parents) {
    (last().parents.emplace_back(std::forward<Ids>(parents)), ...);
    return *this;
  }

  dag_builder& runs(std::string handler, std::string input = {}) {
    last().handler = std::move(handler);
    last().input = std::move(input);
    return *this;
  }

  dag_builder& takes(duration run_time) {
    last().run_time = run_time;
    return *this;
  }

  dag_builder& cores(std::uint32_t count) {
    last().cores = count;
    return *this;
  }

  dag_builder& gpus(std::uint32_t count) {
    last().gpus = count;
    return *this;
  }

  dag_builder& memory_bytes(std::uint64_t bytes) {
    last().memory_bytes = bytes;
    return *this;
  }

  dag_builder& priority(std::int32_t value) {
    last().priority = value;
    return *this;
  }

  dag_builder& retries(std::uint32_t count) {
    last().retries = count;
    return *this;
  }

  dag_builder& timeout(duration span) {
    last().timeout = span;
    return *this;
  }

  /// Only workers of this group may run it.
  dag_builder& in_group(std::string name) {
    last().group = std::move(name);
    return *this;
  }

  /// Only workers with this label may run it.
  dag_builder& needs_label(std::string key, std::string value) {
    last().labels.insert_or_assign(std::move(key), std::move(value));
    return *this;
  }

  /// Returns the definition, unchecked.
  [[nodiscard]] const definition& as_definition() const {
    return given_;
  }

  /// Returns the dag, or what is wrong with it; see make_dag(). The builder may be used
  /// further and build again.
  [[nodiscard]] result<dag> build(const dag_options& options = {}) const {
    return make_dag(given_, options);
  }

private:
  /// @pre task() was called.
  workflow::task& last() {
    assert(!given_.tasks.empty());
    return given_.tasks.back();
  }

  definition given_;
};

} // namespace troupe::workflow
