#pragma once

#include <string>

#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"

namespace troupe::cluster {

/// How a node sees another member.
struct member_view {
  std::string node;
  boot_number boot = 0;
  /// "alive", "suspect", "dead" or "left".
  std::string status;
  /// Where it gets datagrams, "host:port".
  std::string address;

  friend bool operator==(const member_view&, const member_view&) = default;

  TROUPE_FIELDS(member_view, node, boot, status, address);
};

} // namespace troupe::cluster
