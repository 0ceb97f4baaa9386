#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/dead_letter.hpp"
#include "troupe/router/message_options.hpp"

namespace troupe::router::detail {

/// How a message ended that was not handled.
struct stored_end {
  dead_reason reason = dead_reason::failed;
  std::string why{};
  wall_time ended_at{};
  std::uint32_t deliveries = 0;

  TROUPE_FIELDS(stored_end, reason, why, ended_at, deliveries);
};

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
  /// Of a dead letter, which nobody is to get until somebody wishes it.
  std::optional<stored_end> ended{};
  /// How often it was delivered again as one.
  std::uint32_t redrives = 0;
  /// How often the process of this node has ended while the agent had it there.
  std::uint32_t ends = 0;

  TROUPE_FIELDS(stored_letter, to, id, node, from, is_here, is_member, is_proven, sent_at,
                expires_at, how, content, sent_to, ended, redrives, ends);
};

} // namespace troupe::router::detail
