#pragma once

#include <memory>
#include <string>
#include <vector>

#include "troupe/host/messages.hpp"
#include "troupe/lock/messages.hpp"
#include "troupe/net/message_rules.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/options.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/state/messages.hpp"

namespace troupe::cluster {

/// Which messages clients may send to a node, by the rights in their certificates. All that is not
/// named here is for members, if it is troupe's own, and else for who may `use` the cluster: the
/// messages of applications and the commands of their services.
inline net::message_rules_ptr link_rules(const service_options& services) {
  auto all = std::make_shared<net::message_rules>();
  using enum net::need;

  // To look, and to find the way.
  all->set<host::call>(read); // says nothing by itself: the command beside it does
  all->set<router::find_service, router::find_router_statistics, router::list_agents>(read);
  all->set<list_voters, show_node>(read);
  all->set<lock::find_lock, lock::list_locks>(read);
  all->set<registry::get_record, registry::find_records, registry::find_owner,
           registry::count_records, registry::watch_records>(read);
  all->set<registry::names::find_claim, registry::names::list_claims>(read);
  all->set<scheduler::find_run, scheduler::list_runs, scheduler::find_result, scheduler::watch_run,
           scheduler::list_workers, scheduler::find_statistics, scheduler::list_schedules>(read);
  all->set<state::get, state::list_keys, state::watch_state, state::count_entries>(read);
  for (auto& each : services.own)
    for (auto type : each.questions)
      all->set(type, read);

  // To work with it.
  all->set<host::open_session, host::close_session, host::keep_session>(use);
  all->set<router::find_agent, router::resolve_agent, router::dispatch, router::post,
           router::add_agent, router::remove_agent>(use);
  all->set<lock::acquire, lock::renew, lock::release>(use);
  all->set<registry::report_outcome>(use);
  all->set<scheduler::submit, scheduler::cancel_run, scheduler::pause_run, scheduler::resume_run,
           scheduler::define_schedule, scheduler::remove_schedule>(use);
  all->set<scheduler::register_worker, scheduler::renew_worker, scheduler::deregister_worker,
           scheduler::report, scheduler::watch_assignments, scheduler::check_in>(use);
  all->set<state::put, state::remove_key>(use);
  // What an application may well send in its own messages.
  all->set<problem, errc, std::vector<std::string>, lock::fencing_token, lock::lease>(use);

  // To run it.
  all->set<router::leave_cluster, router::maintain_node, scheduler::set_maintenance>(operate);
  all->set<change_voters, make_backup, read_backup>(operate);
  all->set<lock::force_release>(operate);
  return all;
}

} // namespace troupe::cluster
