#pragma once

/// A process in a cluster, and a light client of one.

#include "troupe/node/cluster_client.hpp"
#include "troupe/node/configure.hpp"
#include "troupe/node/init.hpp"
#include "troupe/node/node.hpp"
#include "troupe/node/options.hpp"
#include "troupe/node/spawn.hpp"
