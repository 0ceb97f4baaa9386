#pragma once

#include <string>

#include "troupe/core/fields.hpp"

namespace troupe::detail {

/// One element of a message, as it lies on a disk: see core/caf/stored_message.hpp.
struct stored_element {
  std::string type;
  std::string value;

  TROUPE_FIELDS(stored_element, type, value);
};

} // namespace troupe::detail
