#pragma once

#include <cstdint>

namespace troupe::net {

/// Which end of a connection this process is.
enum class side : std::uint8_t { dialled, accepted };

} // namespace troupe::net
