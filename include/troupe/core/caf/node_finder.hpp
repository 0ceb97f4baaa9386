#pragma once

#include <functional>
#include <memory>
#include <string>

#include "caf/actor_control_block.hpp"

namespace troupe {

/// The id of a node as text, without a copy for each who asks; null if it is not known.
using shared_node_id = std::shared_ptr<const std::string>;

/// Returns the id of the node behind the handle of an actor: for one in this process the own id,
/// for one in another process what the link to there proves. Thread-safe.
using node_finder = std::function<shared_node_id(const caf::strong_actor_ptr&)>;

} // namespace troupe
