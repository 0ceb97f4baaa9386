#pragma once

/// All of troupe, one line a part. Each line stands on its own; take the few that you need,
/// they compile faster.

#include "troupe/core.hpp"      // time, errors, encodings, the concept of a machine
#include "troupe/host.hpp"      // runs machines, in memory or durable
#include "troupe/lock.hpp"      // leases with fencing tokens
#include "troupe/net.hpp"       // links between nodes
#include "troupe/node.hpp"      // a process in a cluster
#include "troupe/registry.hpp"  // who is there
#include "troupe/router.hpp"    // messages to agents
#include "troupe/scheduler.hpp" // runs workflows on workers
#include "troupe/state.hpp"     // keyed values
#include "troupe/storage.hpp"   // logs and databases
#include "troupe/workflow.hpp"  // graphs of tasks
