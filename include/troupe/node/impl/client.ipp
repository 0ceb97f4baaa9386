#pragma once

#include "troupe/core/compiled.hpp"
#include "troupe/host/impl/service_caller.ipp"
#include "troupe/host/impl/tied_actor.ipp"
#include "troupe/host/impl/watch_actor.ipp"
#include "troupe/lock/impl/auto_renew_lock.ipp"
#include "troupe/lock/impl/lock_client.ipp"
#include "troupe/net/impl/gate.ipp"
#include "troupe/net/impl/join.ipp"
#include "troupe/node/impl/agent_functions.ipp"
#include "troupe/node/impl/cluster_client.ipp"
#include "troupe/node/impl/named_clients.ipp"
#include "troupe/node/impl/service_clients.ipp"
#include "troupe/node/impl/voters_client.ipp"
#include "troupe/registry/impl/registry_client.ipp"
#include "troupe/router/impl/caller.ipp"
#include "troupe/router/impl/content_text.ipp"
#include "troupe/router/impl/router_client.ipp"
#include "troupe/scheduler/impl/worker.ipp"
#include "troupe/scheduler/impl/workflow_client.ipp"
#include "troupe/state/impl/entry.ipp"
#include "troupe/state/impl/state_client.ipp"

#ifdef TROUPE_SEPARATE_COMPILATION
namespace troupe::detail {

const char TROUPE_LIBRARY = 0;

} // namespace troupe::detail
#endif
