#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <string>

#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/host/client.hpp"
#include "troupe/lock/messages.hpp"
#include "troupe/node/service_names.hpp"
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
  explicit service_clients(caf::actor_system& sys, const host::client_options& how = {})
    : registry(sys, how), names(sys, how), locks(sys, how), scheduler(sys, how), state(sys, how) {}

  registry_client registry;
  names_client names;
  locks_client locks;
  scheduler_client scheduler;
  state_client state;

  /// Ends them all, copies included, so that their actor system can end.
  void close() {
    registry.close();
    names.close();
    locks.close();
    scheduler.close();
    state.close();
  }

  /// The same, and waits up to `wait` until the services have heard of it, as far as they are in
  /// reach: sessions end at once, then, not after their term.
  void close(duration wait) {
    close();
    auto end = std::chrono::steady_clock::now() + wait;
    auto left = [end] { return std::max<duration>(end - std::chrono::steady_clock::now(), {}); };
    registry.close(left());
    names.close(left());
    locks.close(left());
    scheduler.close(left());
    state.close(left());
  }

  /// They will be out of reach for a while: see host::client::refuse().
  void refuse(const problem& why) {
    registry.refuse(why);
    names.refuse(why);
    locks.refuse(why);
    scheduler.refuse(why);
    state.refuse(why);
  }

  /// See host::client::on_doubt().
  void on_doubt(const std::function<void()>& job) {
    registry.on_doubt(job);
    names.on_doubt(job);
    locks.on_doubt(job);
    scheduler.on_doubt(job);
    state.on_doubt(job);
  }

  /// The services are there from now on, by their names; those that are missing nowhere. They had
  /// come to these records, as far as that is known.
  void bind(const std::map<std::string, caf::strong_actor_ptr>& where,
            const std::map<std::string, request_id>& records) {
    auto set = [&](auto& client, const char* name) {
      auto found = where.find(name);
      auto record = records.find(name);
      client.set_target(found != where.end() ? found->second : nullptr,
                        record != records.end() ? record->second : 0);
    };
    set(registry, registry_name);
    set(names, names_name);
    set(locks, locks_name);
    set(scheduler, scheduler_name);
    set(state, state_name);
  }
};

} // namespace troupe::cluster
