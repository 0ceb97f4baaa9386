#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::router {

/// What waits at a node for one agent.
struct inbox_report {
  agent_id agent;
  /// The agent lives there. What waits in its inbox; it may have up to agent_inbox::max_held more,
  /// which are not counted.
  bool is_here = false;
  std::uint64_t waiting = 0;
  std::uint64_t waiting_bytes = 0;
  /// Those who send to it are refused, or hold back.
  bool is_full = false;
  /// Of class confirm or once: those that the node has accepted for it and that have not ended.
  std::uint64_t accepted = 0;
  std::uint64_t accepted_bytes = 0;
  /// Of the first of these: how long ago it was sent, how often the agent failed at it, as far as
  /// the node has heard, and what it said at last.
  duration age{};
  std::uint32_t failures = 0;
  std::string why{};
  /// Where they go; all zero: the agent is nowhere. And whether there is a link.
  node_id to{};
  bool is_linked = false;

  friend bool operator==(const inbox_report&, const inbox_report&) = default;

  TROUPE_FIELDS(inbox_report, agent, is_here, waiting, waiting_bytes, is_full, accepted,
                accepted_bytes, age, failures, why, to, is_linked);
};

/// By their agents.
struct inbox_page {
  std::vector<inbox_report> inboxes;
  /// There may be more: ask again with `after` this one; empty: there is none.
  agent_id next{};

  friend bool operator==(const inbox_page&, const inbox_page&) = default;

  TROUPE_FIELDS(inbox_page, inboxes, next);
};

/// What has become of a wish to let go of the messages that were accepted for an agent.
struct expire_receipt {
  /// Dead letters from here on.
  std::uint64_t expired = 0;
  /// The agent is in reach and gets these, or they are on their way to the disk.
  std::uint64_t left = 0;

  friend bool operator==(const expire_receipt&, const expire_receipt&) = default;

  TROUPE_FIELDS(expire_receipt, expired, left);
};

} // namespace troupe::router
