#pragma once

/// For tests of programs that use troupe: a cluster in one process, a clock that moves
/// when it is told to, child processes to be killed, a network to be broken, waiting for what
/// others do.
#include "troupe/testing/child_process.hpp"
#include "troupe/testing/cluster.hpp"
#include "troupe/testing/comes_true.hpp"
#include "troupe/testing/fake_clock.hpp"
#include "troupe/testing/namespace_network.hpp"
#include "troupe/testing/proxy.hpp"
