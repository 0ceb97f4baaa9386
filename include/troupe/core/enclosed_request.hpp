#pragma once

#include <cstdint>

namespace troupe {

/// A flag in the number of a request that lies in a message of other actors, whose header has
/// another number or none. Numbers that CAF gives do not come so far.
inline constexpr std::uint64_t enclosed_request = std::uint64_t{1} << 57U;

} // namespace troupe
