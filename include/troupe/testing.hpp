#pragma once

/// For tests of programs that use troupe: a cluster in one process, a clock that the test moves,
/// child processes to kill, a network to break, waits for a condition.
#include "troupe/testing/child_process.hpp"
#include "troupe/testing/cluster.hpp"
#include "troupe/testing/comes_true.hpp"
#include "troupe/testing/fake_clock.hpp"
#include "troupe/testing/namespace_network.hpp"
#include "troupe/testing/proxy.hpp"
