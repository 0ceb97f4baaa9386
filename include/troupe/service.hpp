#pragma once

/// Your own service, on the Raft group of a cluster or on one node.

#include "troupe/core/caf/message_block.hpp" // TROUPE_MESSAGES
#include "troupe/core/fields.hpp"            // TROUPE_FIELDS
#include "troupe/host/plain_machine.hpp"     // what most machines have in common
#include "troupe/host/plain_service.hpp"     // puts one on the network
#include "troupe/host/service.hpp"           // the same for any machine
#include "troupe/node/own_service.hpp"       // node_options::services.add()
