#ifndef TROUPE_NODE_IMPL_SERVICES_IPP
#define TROUPE_NODE_IMPL_SERVICES_IPP

#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/caf/wait.hpp"
#include "troupe/host/replicated.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/configure.hpp"
#include "troupe/node/init.hpp"
#include "troupe/node/services.hpp"
#include "troupe/registry/name_service.hpp"
#include "troupe/router/router_service.hpp"
#include "troupe/scheduler/scheduler_service.hpp"
#include "troupe/state/state_service.hpp"

namespace troupe {

TROUPE_COMPILED void configure(caf::actor_system_config& cfg) {
  detail::init_own_messages();
  net::configure_links(cfg);
  host::add_service<lock::lock_service>(cfg);
  host::add_service<registry::name_service>(cfg);
  host::add_service<router::router_service>(cfg);
  host::add_service<scheduler::scheduler_service>(cfg);
  host::add_service<state::state_service>(cfg);
}

} // namespace troupe

namespace troupe::cluster {

/// For hosts that would throw them away.
inline host::core_options without_snapshots(host::core_options limits) {
  limits.snapshot_every = std::numeric_limits<decltype(limits.snapshot_every)>::max();
  return limits;
}

template <class Service, class Host>
problem hosted_services::add(const typename Service::options& options, Host host,
                             const host::core_options& limits) {
  auto made = host::spawn<Service>(*sys_, options, std::move(host), limits, {}, nodes_);
  if (!made)
    return to_problem(made.error());
  handles_[Service::name] = caf::actor_cast<caf::strong_actor_ptr>(*made);
  return {};
}

template <class Service>
problem hosted_services::add_member(const typename Service::options& options,
                                    std::shared_ptr<host::group_member> member,
                                    const host::core_options& limits) {
  gauges_[Service::name] = member->gauge();
  return add<Service>(options, host::replicated{std::move(member)}, limits);
}

inline problem hosted_services::add_own(const own_service& which,
                                        std::shared_ptr<host::group_member> member,
                                        const host::core_options& limits,
                                        const std::function<void(const problem&)>& warn) {
  if (member)
    gauges_[which.name] = member->gauge();
  auto made = which.start(*sys_, std::move(member), limits, warn);
  if (!made)
    return made.error();
  handles_[which.name] = *std::move(made);
  return {};
}

TROUPE_COMPILED result<hosted_services>
hosted_services::start(caf::actor_system& sys, const service_options& how, node_finder nodes,
                       const std::function<void(const problem&)>& warn) {
  hosted_services made{sys, std::move(nodes)};
  auto limits = without_snapshots(how.journal);
  auto why = made.add<registry::name_service>({}, host::in_memory{}, limits);
  if (!why)
    why = made.add<lock::lock_service>(how.locks, host::in_memory{}, limits);
  if (!why)
    why = made.add<scheduler::scheduler_service>(how.scheduler, host::in_memory{}, limits);
  if (!why)
    why = made.add<state::state_service>(how.state, host::in_memory{}, limits);
  for (auto& each : how.own)
    if (!why)
      why = made.add_own(each, nullptr, limits, warn);
  if (why)
    return why;
  return made;
}

TROUPE_COMPILED result<hosted_services> hosted_services::start(caf::actor_system& sys,
                                                               const host::group& group,
                                                               const service_options& how,
                                                               node_finder nodes) {
  hosted_services made{sys, std::move(nodes)};
  auto at = [&group](host::service_id number) { return group.seat(number); };
  auto why = made.add_member<registry::name_service>({}, at(names_number), how.journal);
  if (!why)
    why = made.add_member<lock::lock_service>(how.locks, at(locks_number), how.journal);
  if (!why)
    why = made.add_member<scheduler::scheduler_service>(how.scheduler, at(scheduler_number),
                                                        how.journal);
  if (!why)
    why = made.add_member<state::state_service>(how.state, at(state_number), how.journal);
  for (auto& each : how.own)
    if (!why)
      why = made.add_own(each, at(host::number_of_own(each.name)), how.journal, {});
  if (why)
    return why;
  return made;
}

TROUPE_COMPILED void hosted_services::stop() {
  if (handles_.empty())
    return;
  std::vector<caf::strong_actor_ptr> all;
  for (auto& [name, each] : std::exchange(handles_, {}))
    all.push_back(each);
  wait_for_ends(*sys_, all, [&] {
    for (auto& each : all)
      caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
  });
}

} // namespace troupe::cluster

#endif
