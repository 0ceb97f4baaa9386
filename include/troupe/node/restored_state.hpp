#pragma once

#include <utility>

#include "troupe/core/codec.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/group/group_backup.hpp"
#include "troupe/group/snapshot_maker.hpp"
#include "troupe/host/durable_core.hpp"
#include "troupe/host/types.hpp"
#include "troupe/scheduler/task_scheduler.hpp"

namespace troupe::cluster {

/// Forgets the workers of the old cluster in a backup from which a new one begins: none of them
/// can come back, as the nodes of the new cluster have other ids. Without this, tasks would be
/// given to them until they are silent for their lease. Attempts that they had are lost, which
/// costs a task one of scheduler_options::max_losses; it runs again with the first worker of the
/// new cluster.
///
/// `scheduler`: the number of that service (hosted_services::scheduler_number). A backup without
/// it stays as it is. Errors: damaged, incompatible (of a newer release); `what` is then unchanged.
/// Cost: decodes and encodes the backup once.
inline problem forget_workers(host::group_backup& what, host::service_id scheduler) {
  using machine_type = scheduler::task_scheduler;
  auto state = from_bytes<host::group_state>(what.state);
  if (!state)
    return {errc::damaged, "the state in the backup cannot be read; take another backup"};
  auto section = state->sections.find(scheduler);
  if (section == state->sections.end())
    return {};
  auto saved = from_bytes<host::durable_snapshot<machine_type>>(
    section->second, host::memory_for<machine_type>(section->second.size()));
  if (!saved)
    return {errc::damaged, "the tasks in the backup cannot be read; take another backup"};
  if (!host::durable_core<machine_type>::knows(saved->rules))
    return {errc::incompatible, "the backup is of a newer release; upgrade first"};
  if (auto why = machine_type::verify(saved->inside))
    return why;
  machine_type tasks;
  tasks.restore(saved->at, saved->inside);
  machine_type::effects nobody_asked;
  for (auto& each : saved->inside.workers) // else those that are left would get what the first had
    tasks.step(saved->at, 0, scheduler::set_maintenance{each.worker, true}, nobody_asked);
  for (auto& each : saved->inside.workers)
    tasks.step(saved->at, 0, scheduler::worker_lost{each.words.owner, each.words.boot, {}},
               nobody_asked);
  saved->inside = tasks.snapshot();
  auto bytes = try_to_bytes(*saved);
  if (!bytes)
    return bytes.error();
  section->second = *std::move(bytes);
  what.state = to_bytes(*state);
  return {};
}

} // namespace troupe::cluster
