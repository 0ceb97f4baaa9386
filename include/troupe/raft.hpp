#pragma once

/// Consensus: a log that a majority keeps. Needs no CAF.

#include "troupe/raft/quorum.hpp"
#include "troupe/raft/replica.hpp"
#include "troupe/raft/types.hpp"
