#pragma once

/// @mainpage
///
/// The reference of all public headers. A program begins with troupe::node, or with
/// troupe::cluster_client if it only asks; their members give the clients of each part:
/// troupe::lock::lock_client, troupe::registry::registry_client, troupe::state::state_client,
/// troupe::scheduler::workflow_client, troupe::scheduler::worker, troupe::router::router_client.
/// Your own service is a troupe::machine on a host of troupe::host. Calls return a troupe::result;
/// an error is a troupe::problem with a troupe::errc.

/// All parts of troupe, one include for each. Each include works alone; including only what you
/// need compiles faster. Not here: troupe/await.hpp (coroutines; its troupe::task would be
/// ambiguous with workflow::task where both namespaces are used), troupe/service.hpp (services of
/// your own), troupe/testing.hpp and troupe/sim.hpp (tests).

#include "troupe/core.hpp"      // time, errors, encodings, the concept of a machine
#include "troupe/host.hpp"      // runs machines, in memory or durable
#include "troupe/lock.hpp"      // leases with fencing tokens
#include "troupe/net.hpp"       // links between nodes
#include "troupe/node.hpp"      // a process in a cluster
#include "troupe/registry.hpp"  // nodes, agents, services
#include "troupe/router.hpp"    // messages to agents
#include "troupe/scheduler.hpp" // runs workflows on workers
#include "troupe/security.hpp"  // identities, certificates, the CA
#include "troupe/state.hpp"     // keyed values
#include "troupe/storage.hpp"   // logs and databases
#include "troupe/workflow.hpp"  // graphs of tasks
