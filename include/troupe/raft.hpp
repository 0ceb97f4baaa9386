#pragma once

/// Consensus: a log replicated by a majority. Needs no CAF.

#include "troupe/raft/quorum.hpp"
#include "troupe/raft/replica.hpp"
#include "troupe/raft/types.hpp"
