#pragma once

#include <cstdint>

#include "troupe/core/fixed_bytes.hpp"

namespace troupe {

/// Who a node is, for as long as it keeps its data directory: 32 random bytes, or the
/// SHA-256 of its public key where it has one. Ids order nodes; nothing else is read
/// from them.
using node_id = fixed_bytes<struct node_id_tag, 32>;

/// Which cluster, drawn at random when it is born. All zero: none yet.
using cluster_id = fixed_bytes<struct cluster_id_tag, 16>;

/// How often a node has started with its data directory, counted from one and kept
/// there: of two processes with one identity the higher is the later life.
using boot_number = std::uint64_t;

} // namespace troupe
