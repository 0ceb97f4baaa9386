#pragma once

#include <memory>
#include <string>
#include <vector>

#include "caf/type_id.hpp"
#include "troupe/core/caf/type_ids.hpp"
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
  auto name_of = [](caf::type_id_t type) {
    auto name = caf::query_type_name(type);
    return std::string{name.data(), name.size()};
  };
  auto all = std::make_shared<net::message_rules>(
    net::message_rules::own_types{type_ids::core, type_ids::end}, name_of);
  auto set = [&]<class... Ts>(net::need what) { (all->set(caf::type_id_v<Ts>, what), ...); };
  using enum net::need;

  // To look, and to find the way.
  set.template operator()<host::call>(read); // says nothing by itself: the command beside it does
  set.template
  operator()<router::find_service, router::find_router_statistics, router::list_agents>(read);
  set.template operator()<list_voters, show_node>(read);
  set.template operator()<lock::find_lock, lock::list_locks>(read);
  set.template operator()<registry::get_record, registry::find_records, registry::find_owner,
                          registry::count_records, registry::watch_records>(read);
  set.template operator()<registry::names::find_claim, registry::names::list_claims>(read);
  set.template operator()<scheduler::find_run, scheduler::list_runs, scheduler::find_result,
                          scheduler::watch_run, scheduler::list_workers, scheduler::find_statistics,
                          scheduler::list_schedules>(read);
  set.template operator()<state::get, state::list_keys, state::watch_state, state::count_entries>(
    read);
  for (auto& each : services.own)
    for (auto type : each.questions)
      all->set(type, read);

  // To work with it.
  set.template operator()<host::open_session, host::close_session, host::keep_session>(use);
  set.template operator()<router::find_agent, router::resolve_agent, router::dispatch, router::post,
                          router::add_agent, router::remove_agent>(use);
  set.template operator()<lock::acquire, lock::renew, lock::release>(use);
  set.template operator()<registry::report_outcome>(use);
  set.template
  operator()<scheduler::submit, scheduler::cancel_run, scheduler::pause_run, scheduler::resume_run,
             scheduler::define_schedule, scheduler::remove_schedule>(use);
  set.template
  operator()<scheduler::register_worker, scheduler::renew_worker, scheduler::deregister_worker,
             scheduler::report, scheduler::watch_assignments, scheduler::check_in>(use);
  set.template operator()<state::put, state::remove_key>(use);
  // What an application may well send in its own messages.
  set.template
  operator()<problem, errc, std::vector<std::string>, lock::fencing_token, lock::lease>(use);

  // To run it.
  set.template operator()<router::leave_cluster, router::maintain_node, scheduler::set_maintenance>(
    operate);
  set.template operator()<change_voters, make_backup, read_backup>(operate);
  set.template operator()<lock::force_release>(operate);
  return all;
}

} // namespace troupe::cluster
