#ifndef TROUPE_NODE_IMPL_SERVICE_CLIENTS_IPP
#define TROUPE_NODE_IMPL_SERVICE_CLIENTS_IPP

#include <algorithm>
#include <chrono>

#include "troupe/node/service_clients.hpp"
#include "troupe/node/service_names.hpp"

namespace troupe::cluster {

TROUPE_COMPILED service_clients::service_clients(caf::actor_system& sys,
                                                 const host::client_options& how)
  : registry(sys, how), names(sys, how), locks(sys, how), scheduler(sys, how), state(sys, how) {}

TROUPE_COMPILED void service_clients::close() {
  registry.close();
  names.close();
  locks.close();
  scheduler.close();
  state.close();
}

TROUPE_COMPILED void service_clients::close(duration wait) {
  close();
  auto end = std::chrono::steady_clock::now() + wait;
  auto left = [end] { return std::max<duration>(end - std::chrono::steady_clock::now(), {}); };
  registry.close(left());
  names.close(left());
  locks.close(left());
  scheduler.close(left());
  state.close(left());
}

TROUPE_COMPILED void service_clients::refuse(const problem& why) {
  registry.refuse(why);
  names.refuse(why);
  locks.refuse(why);
  scheduler.refuse(why);
  state.refuse(why);
}

TROUPE_COMPILED void service_clients::on_doubt(const std::function<void()>& job) {
  registry.on_doubt(job);
  names.on_doubt(job);
  locks.on_doubt(job);
  scheduler.on_doubt(job);
  state.on_doubt(job);
}

TROUPE_COMPILED void
service_clients::bind(const std::map<std::string, caf::strong_actor_ptr>& where,
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

} // namespace troupe::cluster

#endif
