#pragma once

#include <memory>
#include <string>
#include <vector>

#include "caf/type_id.hpp"
#include "troupe/core/caf/type_ids.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/lock/messages.hpp"
#include "troupe/net/message_rules.hpp"
#include "troupe/node/message_words.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/options.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/state/messages.hpp"

namespace troupe::cluster {

/// Messages of the types `Ts` need `what`.
template <class... Ts>
void let(net::message_rules& all, net::need what) {
  (all.set(caf::type_id_v<Ts>, what), ...);
}

/// Which messages clients may send to a node, by the rights in their certificates. All that is not
/// named here is for members, if it is troupe's own, and else for who may `use` the cluster: the
/// messages of applications and the commands of their services.
inline net::message_rules_ptr link_rules(const service_options& services) {
  auto name_of = [](caf::type_id_t type) {
    auto name = caf::query_type_name(type);
    return words_for_message({name.data(), name.size()});
  };
  auto all = std::make_shared<net::message_rules>(
    net::message_rules::own_types{type_ids::core, type_ids::end}, name_of);
  using enum net::need;

  // To look, and to find the way.
  let<host::call>(*all, read); // says nothing by itself: the command beside it does
  let<router::find_service, router::find_router_statistics, router::list_agents,
      router::list_dead_letters, router::list_inboxes>(*all, read);
  let<list_voters, show_node>(*all, read);
  let<lock::find_lock, lock::list_locks>(*all, read);
  let<registry::get_record, registry::find_records, registry::find_owner, registry::count_records,
      registry::watch_records>(*all, read);
  let<registry::names::find_claim, registry::names::list_claims>(*all, read);
  let<scheduler::find_run, scheduler::list_runs, scheduler::find_result, scheduler::watch_run,
      scheduler::list_workers, scheduler::find_statistics, scheduler::list_schedules>(*all, read);
  let<state::get, state::list_keys, state::watch_state, state::count_entries>(*all, read);
  for (auto& each : services.own)
    for (auto type : each.questions)
      all->set(type, read);
  for (auto& each : services.own)
    for (auto type : each.orders)
      all->set(type, use);

  // To work with it.
  let<host::open_session, host::close_session, host::keep_session>(*all, use);
  let<router::find_agent, router::resolve_agent, router::dispatch, router::post, router::add_agent,
      router::remove_agent>(*all, use);
  let<lock::acquire, lock::renew, lock::release>(*all, use);
  let<scheduler::submit, scheduler::cancel_run, scheduler::pause_run, scheduler::resume_run,
      scheduler::define_schedule, scheduler::remove_schedule>(*all, use);
  let<scheduler::register_worker, scheduler::renew_worker, scheduler::deregister_worker,
      scheduler::report, scheduler::watch_assignments, scheduler::check_in>(*all, use);
  let<state::put, state::remove_key>(*all, use);
  // What an application may well send in its own messages.
  let<problem, errc, std::vector<std::string>, lock::fencing_token, lock::lease>(*all, use);

  // To run it.
  let<router::leave_cluster, router::leave_node, router::departure_heard, router::maintain_node,
      router::redrive_dead_letter, router::purge_dead_letters, router::show_dead_letter,
      router::expire_messages, scheduler::set_maintenance>(*all, operate);
  let<change_voters, make_backup, read_backup>(*all, operate);
  let<lock::force_release>(*all, operate);
  return all;
}

} // namespace troupe::cluster
