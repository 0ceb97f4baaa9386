#pragma once

#include <functional>
#include <map>
#include <string>

#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/host/client.hpp"
#include "troupe/lock/messages.hpp"
#include "troupe/node/named_clients.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/state/messages.hpp"

namespace troupe::cluster {

using registry_client = host::client<registry::registry_protocol>;
using names_client = host::client<registry::names_protocol>;
using locks_client = host::client<lock::lock_protocol>;
using scheduler_client = host::client<scheduler::scheduler_protocol>;
using state_client = host::client<state::state_protocol>;

/// The clients of our own services, beside those of programs; copies of one share its sessions.
struct service_clients : named_clients {
  TROUPE_COMPILED explicit service_clients(caf::actor_system& sys,
                                           const host::client_options& how = {});

  /// That actor of a node answers for the registry from now on; null: none for now, for a while if
  /// it is known why.
  TROUPE_COMPILED void know_by(const caf::strong_actor_ptr& which, const problem& why = {});

  /// Of one node, which knows itself: see know_by().
  registry_client registry;
  names_client names;
  locks_client locks;
  scheduler_client scheduler;
  state_client state;
};

} // namespace troupe::cluster

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/service_clients.ipp"
#endif
