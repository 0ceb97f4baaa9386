#pragma once

#include <functional>
#include <memory>
#include <string>

#include "caf/actor_control_block.hpp"
#include "troupe/core/ids.hpp"

namespace troupe {

/// The id of a node as text, as services keep it, without a copy for each who asks; null if it is
/// not known.
using shared_node_id = std::shared_ptr<const std::string>;

/// Returns the id of the node behind the handle of an actor: for one in this process the own id,
/// for one in another process what the link to there proves. Thread-safe.
using node_finder = std::function<shared_node_id(const caf::strong_actor_ptr&)>;

/// Who is at the other end of a link.
struct link_peer {
  /// Of the node or the client; all zero if it is not known.
  node_id id{};
  bool is_member = false;
  /// By its certificate, over an encrypted link.
  bool is_proven = false;
};

/// Returns who is behind the handle of an actor in another process. Thread-safe.
using link_peer_finder = std::function<link_peer(const caf::strong_actor_ptr&)>;

} // namespace troupe
