#pragma once

/// The registry: nodes, agents, services; unique names.

#include "troupe/core/caf/init.hpp"
#include "troupe/registry/hash_ring.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/registry/name_service.hpp"
#include "troupe/registry/name_table.hpp"
#include "troupe/registry/own_records.hpp"
#include "troupe/registry/record_table.hpp"
#include "troupe/registry/registry_client.hpp"
#include "troupe/registry/types.hpp"
