#pragma once

#include <cstdint>

#include "troupe/core/fixed_bytes.hpp"

namespace troupe {

/// The identity of a node, for as long as it keeps its data directory: 32 random bytes, or the
/// SHA-256 of its public key if it has one. Ids order nodes and carry no other meaning.
using node_id = fixed_bytes<struct node_id_tag, 32>;

/// The identity of a cluster, drawn at random when it is founded. All zero: no cluster yet.
using cluster_id = fixed_bytes<struct cluster_id_tag, 16>;

/// How often a node has started with its data directory, counted from one and kept
/// there: of two processes with the same identity, the one with the higher number started later.
using boot_number = std::uint64_t;

/// The largest believed increase of a boot number. A node never misses that many starts, and a
/// higher claim could leave no room for a higher number.
inline constexpr boot_number max_boot_jump = 1'000'000;

/// Whether the node with the id `node` may say something of `owner`: only of itself, if that is the
/// id of a node. Owners with other names, as those of clients, are free. So an owner is a text
/// where a service keeps it, as in a claim, a worker or a session, and in what is stored and sent
/// of it; a machine that acts on nodes alone has node_ids.
inline bool may_speak_for(const std::string& owner, const std::string& node) {
  return owner == node || !node_id::from_string(owner);
}

} // namespace troupe
