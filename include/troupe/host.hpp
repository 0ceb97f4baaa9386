#pragma once

/// Runs machines: in memory or durable, and puts them on the network.

#include "troupe/core/caf/init.hpp"
#include "troupe/host/client.hpp"
#include "troupe/host/durable.hpp"
#include "troupe/host/in_memory.hpp"
#include "troupe/host/messages.hpp"
#include "troupe/host/service.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/host/types.hpp"
#include "troupe/host/watcher.hpp"
