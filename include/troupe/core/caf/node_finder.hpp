#pragma once

#include <functional>
#include <string>

#include "caf/actor_control_block.hpp"

namespace troupe {

/// Returns the id of the node behind the handle of an actor in another process, as far as the link
/// to there proves it; empty if that is not known. Thread-safe.
using node_finder = std::function<std::string(const caf::strong_actor_ptr&)>;

} // namespace troupe
