#pragma once

/// A simulated world: many processes under faults in one thread, one seed a run. Needs no CAF.

#include "troupe/sim/faults.hpp"
#include "troupe/sim/history.hpp"
#include "troupe/sim/lease_model.hpp"
#include "troupe/sim/lease_scenario.hpp"
#include "troupe/sim/linearizability.hpp"
#include "troupe/sim/lock_scenario.hpp"
#include "troupe/sim/lock_user.hpp"
#include "troupe/sim/mailbox.hpp"
#include "troupe/sim/models.hpp"
#include "troupe/sim/raft_disk_laws.hpp"
#include "troupe/sim/raft_laws.hpp"
#include "troupe/sim/raft_process.hpp"
#include "troupe/sim/raft_scenario.hpp"
#include "troupe/sim/recording_client.hpp"
#include "troupe/sim/scheduler_scenario.hpp"
#include "troupe/sim/service_process.hpp"
#include "troupe/sim/service_scenario.hpp"
#include "troupe/sim/session_client.hpp"
#include "troupe/sim/state_scenario.hpp"
#include "troupe/sim/world.hpp"
