#pragma once

/// The database of an agent that has the effect of each message of class once exactly once.

#include "troupe/router/once_store.hpp"

namespace troupe {

using router::once_options;
using router::once_store;

} // namespace troupe
