#pragma once

#include <functional>
#include <memory>
#include <string>

#include "caf/actor_control_block.hpp"

namespace troupe {

/// The id of a node as text, without a copy for each who asks; null if it is not known.
using shared_node_id = std::shared_ptr<const std::string>;

/// Returns the id of the node behind the handle of an actor in another process, as far as the link
/// to there proves it. Thread-safe.
using node_finder = std::function<shared_node_id(const caf::strong_actor_ptr&)>;

} // namespace troupe
