#ifndef TROUPE_NODE_IMPL_SERVICE_CLIENTS_IPP
#define TROUPE_NODE_IMPL_SERVICE_CLIENTS_IPP

#include "troupe/cluster/service_names.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/service_clients.hpp"

namespace troupe::cluster {

TROUPE_COMPILED service_clients::service_clients(caf::actor_system& sys,
                                                 const host::client_options& how)
  : named_clients(sys, how),
    registry(get(knowledge_name)),
    names(get(names_name)),
    locks(get(locks_name)),
    scheduler(get(scheduler_name)),
    state(get(state_name)) {
  know_by(nullptr);
}

TROUPE_COMPILED void service_clients::know_by(const caf::strong_actor_ptr& which,
                                              const problem& why) {
  pin(knowledge_name, which, why);
}

} // namespace troupe::cluster

#endif
