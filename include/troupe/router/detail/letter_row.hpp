#pragma once

#include <optional>
#include <string>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/message_options.hpp"

namespace troupe::router::detail {

/// A message that a node has accepted, as it lies on the disk.
struct stored_letter {
  agent_id to;
  message_id id{};
  /// See origin.
  node_id node{};
  agent_id from{};
  bool is_here = false;
  bool is_member = false;
  bool is_proven = false;
  /// By the calendar of this node.
  wall_time sent_at{};
  std::optional<wall_time> expires_at{};
  message_options how{};
  /// See to_stored().
  std::string content{};
  /// Of class once: the node that it may have been sent to.
  node_id sent_to{};

  TROUPE_FIELDS(stored_letter, to, id, node, from, is_here, is_member, is_proven, sent_at,
                expires_at, how, content, sent_to);
};

} // namespace troupe::router::detail
