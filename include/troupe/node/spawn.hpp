#pragma once

#include <chrono>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/expected.hpp"
#include "caf/io/middleman.hpp"
#include "caf/message.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/result.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/node/peer.hpp"

namespace troupe {

/// Starts a service in this process, in memory or on the given host:
///
///     auto locks = troupe::spawn<lock::lock_service>(sys, {.max_locks = 100});
///
/// Blocks while it reads the journal of a durable host. Errors: those of the journal.
template <class Service, class Host = host::in_memory>
result<typename Service::handle> spawn(caf::actor_system& sys,
                                       const typename Service::options& options = {},
                                       Host host = {}, host::core_options limits = {}) {
  auto made = host::spawn<Service>(sys, options, std::move(host), limits);
  if (!made)
    return to_problem(made.error());
  return std::move(*made);
}

/// Starts a service in memory in another process, which has to be linked to this one, to offer the
/// service, as configure() does for those of troupe, and to allow it (node_options::allow_spawn).
/// The handle is like one of spawn(). The
/// service ends with the link, so that nothing is left when this process dies.
///
/// Blocks up to `wait`. Errors: timed_out (out of reach, or it does not let this process spawn),
/// failed (the service is not offered there).
template <class Service>
result<typename Service::handle> spawn_at(const peer& where,
                                          const typename Service::options& options = {},
                                          duration wait = std::chrono::seconds{5}) {
  auto made = where.here->middleman().remote_spawn<caf::actor>(
    where.there, Service::name, caf::make_message(where.owner, options), wait);
  if (!made)
    return to_problem(made.error());
  return caf::actor_cast<typename Service::handle>(*made);
}

} // namespace troupe
