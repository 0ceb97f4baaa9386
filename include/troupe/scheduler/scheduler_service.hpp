#pragma once

#include <cstdint>

#include "caf/actor_system.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/scheduler/task_scheduler.hpp"

namespace troupe::scheduler {

/// What a host has to know of scheduling to put a task_scheduler on the network. Spawn
/// it with `host::spawn<scheduler_service>(sys, options)`, give a host to make it
/// durable. Its figures are in find_statistics.
class scheduler_service {
public:
  using machine = task_scheduler;
  using options = scheduler_options;
  using commands = scheduler_commands;
  using queries = scheduler_queries;
  using handle = scheduler_actor;

  static constexpr const char* name = "troupe.scheduler";

  explicit scheduler_service(caf::actor_system&) {}

  static event opening(const scheduler_options& bounds, std::uint64_t) {
    return configure{bounds};
  }

  template <class Result>
  static const Result& result_of(const answered<Result>& answer) {
    return answer.value;
  }

  static caf::error result_of(const refused& answer) {
    return to_error(answer.why);
  }
};

} // namespace troupe::scheduler
