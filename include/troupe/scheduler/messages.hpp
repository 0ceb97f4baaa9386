#pragma once

#include "troupe/core/caf/inspect_enum.hpp"
#include "troupe/core/caf/inspect_time.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/scheduler/commands.hpp"
#include "troupe/scheduler/queries.hpp"

namespace troupe::scheduler {

using scheduler_commands
  = host::commands<submit, cancel_run, pause_run, resume_run, register_worker, renew_worker,
                   deregister_worker, set_maintenance, worker_lost, report, define_schedule,
                   remove_schedule>;
using scheduler_queries
  = host::queries<watch_assignments, find_run, list_runs, find_result, watch_run, list_workers,
                  find_statistics, list_schedules, check_in>;

/// What clients and workers of the scheduler include: the handle and its messages.
/// task_scheduler::step lists the refusals. Requests with watch_assignments and watch_run
/// need a timeout longer than their `wait`.
using scheduler_actor = host::service_handle<scheduler_commands, scheduler_queries>;

using scheduler_protocol = host::protocol<scheduler_commands, scheduler_queries>;

template <class Inspector>
bool inspect(Inspector& f, task_state& x) {
  return inspect_enum(f, x);
}

template <class Inspector>
bool inspect(Inspector& f, run_state& x) {
  return inspect_enum(f, x);
}

template <class Inspector>
bool inspect(Inspector& f, priority& x) {
  return inspect_enum(f, x);
}

template <class Inspector>
bool inspect(Inspector& f, failure_policy& x) {
  return inspect_enum(f, x);
}

template <class Inspector>
bool inspect(Inspector& f, worker_state& x) {
  return inspect_enum(f, x);
}

template <class Inspector>
bool inspect(Inspector& f, placement& x) {
  return inspect_enum(f, x);
}

template <class Inspector>
bool inspect(Inspector& f, outcome_kind& x) {
  return inspect_enum(f, x);
}

} // namespace troupe::scheduler

CAF_BEGIN_TYPE_ID_BLOCK(troupe_scheduler, ::troupe::type_ids::scheduler)

  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::scheduler_actor))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::scheduler_options))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::run_id))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::worker_id))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::attempt_id))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::task_spec))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::run_receipt))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::worker_receipt))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::loss_receipt))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::report_receipt))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::submit))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::cancel_run))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::pause_run))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::resume_run))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::register_worker))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::renew_worker))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::deregister_worker))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::set_maintenance))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::worker_lost))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::outcome))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::report))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::assignment))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::worker_orders))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::watch_assignments))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::run_view))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::run_details))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::find_run))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::run_list))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::list_runs))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::task_result))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::find_result))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::run_news))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::watch_run))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::worker_view))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::worker_list))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::list_workers))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::scheduler_statistics))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::find_statistics))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::schedule_receipt))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::define_schedule))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::remove_schedule))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::schedule_list))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::list_schedules))
  CAF_ADD_TYPE_ID(troupe_scheduler, (troupe::scheduler::check_in))

CAF_END_TYPE_ID_BLOCK(troupe_scheduler)

static_assert(caf::id_block::troupe_scheduler::end <= troupe::type_ids::scheduler + 100);
