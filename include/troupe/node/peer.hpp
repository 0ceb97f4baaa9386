#pragma once

#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "caf/node_id.hpp"

namespace troupe {

/// A process to spawn services on: what node::find_peer() gives for a name.
struct peer {
  caf::actor_system* here = nullptr;
  caf::node_id there;
  /// Services spawned there end with this actor; null leaves them running.
  caf::strong_actor_ptr owner;
};

} // namespace troupe
