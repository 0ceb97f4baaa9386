#pragma once

#include <cstddef>

#include "troupe/core/ids.hpp"

namespace troupe::test {

/// The id of some node: another one for each number below 65,536, in the order of the numbers.
inline node_id node_number(unsigned number) {
  node_id made{};
  made.bytes[0] = static_cast<std::byte>(number >> 8U);
  made.bytes[1] = static_cast<std::byte>(number & 0xffU);
  return made;
}

} // namespace troupe::test
