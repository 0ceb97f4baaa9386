#pragma once

#include <cstdint>

#include "caf/actor_system.hpp"
#include "troupe/host/service.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/scheduler/task_scheduler.hpp"

namespace troupe::scheduler {

/// Lets a host put a task_scheduler on the network. Spawn it with
/// `host::spawn<scheduler_service>(sys, options)`; pass a host to make it durable.
/// find_statistics returns its statistics.
class scheduler_service
  : public host::service<task_scheduler, scheduler_commands, scheduler_queries> {
public:
  using options = scheduler_options;

  static constexpr const char* name = "troupe.scheduler";

  using service::service;

  static event opening(const scheduler_options& bounds, std::uint64_t) {
    return configure{bounds};
  }
};

} // namespace troupe::scheduler
