#pragma once

/// Keyed values with versions, vector clocks and watchers.

#include "troupe/core/caf/init.hpp"
#include "troupe/state/commands.hpp"
#include "troupe/state/messages.hpp"
#include "troupe/state/state_client.hpp"
#include "troupe/state/state_service.hpp"
#include "troupe/state/state_table.hpp"
#include "troupe/state/types.hpp"
#include "troupe/state/vector_clock.hpp"
