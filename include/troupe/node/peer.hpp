#pragma once

#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "caf/node_id.hpp"

namespace troupe {

/// A process on which spawn_at() spawns services. node::find_peer() returns it.
struct peer {
  caf::actor_system* here = nullptr;
  caf::node_id there;
  /// Services that are spawned there end with this actor; if null, they run on.
  caf::strong_actor_ptr owner;
};

} // namespace troupe
