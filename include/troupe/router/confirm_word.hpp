#pragma once

#include "troupe/channel/types.hpp"
#include "troupe/core/fields.hpp"

namespace troupe::router {

/// From router to router: what a channel says of the messages of class confirm that have come from
/// there. Only to one that has sent some.
struct confirm_word {
  channel::acknowledgement said;

  friend bool operator==(const confirm_word&, const confirm_word&) = default;

  TROUPE_FIELDS(confirm_word, said);
};

} // namespace troupe::router
