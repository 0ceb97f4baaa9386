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
#include "troupe/registry/messages.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/state/messages.hpp"

namespace troupe::cluster {

using registry_client = host::client<registry::registry_protocol>;
using names_client = host::client<registry::names_protocol>;
using locks_client = host::client<lock::lock_protocol>;
using scheduler_client = host::client<scheduler::scheduler_protocol>;
using state_client = host::client<state::state_protocol>;

/// One client for each service of a cluster; copies share their sessions. Calls wait, within
/// their deadlines, while the services are out of reach.
struct service_clients {
  TROUPE_COMPILED explicit service_clients(caf::actor_system& sys,
                                           const host::client_options& how = {});

  registry_client registry;
  names_client names;
  locks_client locks;
  scheduler_client scheduler;
  state_client state;

  /// Ends them all, copies included, so that their actor system can end.
  TROUPE_COMPILED void close();

  /// The same, and waits up to `wait` until the services have heard of it, as far as they are in
  /// reach: sessions end at once, then, not after their term.
  TROUPE_COMPILED void close(duration wait);

  /// They will be out of reach for a while: see host::client::refuse().
  TROUPE_COMPILED void refuse(const problem& why);

  /// See host::client::on_doubt().
  TROUPE_COMPILED void on_doubt(const std::function<void()>& job);

  /// The services are there from now on, by their names; those that are missing nowhere. They had
  /// come to these records, as far as that is known.
  TROUPE_COMPILED void bind(const std::map<std::string, caf::strong_actor_ptr>& where,
                            const std::map<std::string, request_id>& records);
};

} // namespace troupe::cluster

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/node/impl/service_clients.ipp"
#endif
