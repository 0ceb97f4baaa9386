#pragma once

/// A service on one node that keeps its state when its process ends:
///
///     auto tickets = troupe::spawn<ticket_service>(sys, {}, troupe::durable{"tickets.db"});

#include "troupe/host/durable_file.hpp" // stores records in a file
#include "troupe/node/spawn.hpp"        // starts it

namespace troupe {

using host::durable;

} // namespace troupe
