#pragma once

#include "troupe/core/problem.hpp"

namespace troupe {

/// Refuses a message whose node_finder finds nobody, where it counts who has sent it.
inline problem unknown_sender() {
  return {errc::unreachable, "who asks is not known any more, as its link has ended; ask again"};
}

} // namespace troupe
