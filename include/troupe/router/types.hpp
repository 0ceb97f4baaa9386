#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/message_options.hpp"

/// Vocabulary of the router: who a message is for, and what bounds it.
namespace troupe::router {

/// Whom a name stands for. Numbers go over the wire: append at the end.
enum class audience : std::uint8_t {
  /// The agent of that id.
  agent = 0,
  /// One agent that has that capability: the less loaded one of two, in turn among equals.
  any_with_capability = 1,
  /// All agents that have that capability.
  all_with_capability = 2,
  /// All members of that group.
  group = 3,
  /// All agents of the cluster; the name says nothing.
  everyone = 4,
};

inline constexpr std::array<std::string_view, 5> audience_names{
  "agent", "any_with_capability", "all_with_capability", "group", "everyone"};

constexpr std::string_view name_of(audience value) noexcept {
  auto index = static_cast<std::size_t>(value);
  return index < audience_names.size() ? audience_names[index] : "unknown";
}

/// Who is to get a message. Made by to_agent() and those behind it, which tell ids of agents from
/// other names.
struct recipients {
  audience who = audience::agent;
  /// The id of the agent, or the name of the capability or the group.
  std::string name;

  friend bool operator==(const recipients&, const recipients&) = default;

  TROUPE_FIELDS(recipients, who, name);
};

inline recipients to_agent(agent_id id) {
  return {audience::agent, std::move(id).text()};
}

inline recipients to_any(std::string capability) {
  return {audience::any_with_capability, std::move(capability)};
}

inline recipients to_all(std::string capability) {
  return {audience::all_with_capability, std::move(capability)};
}

inline recipients to_group(std::string name) {
  return {audience::group, std::move(name)};
}

inline recipients to_everyone() {
  return {audience::everyone, {}};
}

/// Whether one agent is meant, whichever it is.
inline bool is_to_one(const recipients& who) {
  return who.who == audience::agent || who.who == audience::any_with_capability;
}

/// What is known of a message that an agent handles, beside its content. Who sent it comes from the
/// links and the routers of the members, never from the sender: a member is believed about its own
/// agents and its clients. From `priority` to `traceparent` it is what the sender says, and not
/// proven: see message_options. Empty if a message came past the routers; who sent it also if it
/// came without a sender.
struct message_info {
  using moment = std::chrono::time_point<std::chrono::steady_clock, duration>;

  /// The agent that sent it through an actor of its own; empty for a program or a client.
  agent_id from{};
  /// The node that sent it, or the client, also if that is linked to another node. All zero if that
  /// is not known.
  node_id node{};
  /// Whether a member sent it. False for what one has passed on, as for a client of it.
  bool is_member = false;
  /// Whether it came from this process, or over an encrypted link with certificates; false with
  /// link_options::insecure, where all the above is only claimed.
  bool is_proven = false;
  /// Number zero if it has none.
  message_id id{};
  /// When the router of the sender took it, by the calendar of that computer.
  wall_time sent_at{};
  message_priority priority = message_priority::normal;
  /// message_options::type, else the C++ types of the content, as in "std::string, int32_t".
  std::string type{};
  std::string correlation{};
  agent_id reply_to{};
  std::string tenant{};
  std::string traceparent{};
  /// When its ttl runs out, by the steady clock of this process.
  std::optional<moment> expires_at{};
  /// Until when whoever asked waits for an answer; nothing if nobody does.
  std::optional<moment> deadline{};
  delivery_class delivery = delivery_class::fire;

  friend bool operator==(const message_info&, const message_info&) = default;
};

/// One agent that a router_service brings messages to.
struct agent_view {
  agent_id id;
  std::set<std::string> capabilities{};
  std::set<std::string> groups{};
  /// Work in hand, in units of its own.
  std::uint32_t load = 0;

  friend bool operator==(const agent_view&, const agent_view&) = default;

  TROUPE_FIELDS(agent_view, id, capabilities, groups, load);
};

struct agent_page {
  std::vector<agent_view> agents;
  /// There is more: ask again with `after` the last id.
  bool more = false;

  friend bool operator==(const agent_page&, const agent_page&) = default;

  TROUPE_FIELDS(agent_page, agents, more);
};

/// The result of a change of an agent.
struct agent_receipt {
  /// Whether anything changed; a repeat changes nothing.
  bool changed = false;

  friend bool operator==(const agent_receipt&, const agent_receipt&) = default;

  TROUPE_FIELDS(agent_receipt, changed);
};

/// The longest wait for the answer to a request; longer ones are shortened to it.
inline constexpr duration longest_wait = std::chrono::hours{1};

/// Returns how long a request that asks for `wanted` waits for its answer.
inline duration patience(duration wanted) {
  return std::clamp<duration>(wanted, std::chrono::milliseconds{1}, longest_wait);
}

/// Bounds of one router.
struct router_options {
  /// Agents on this node.
  std::uint32_t max_agents = 100'000;
  /// Bytes of messages that wait for one other node: for a link, or for room on it. Beyond three
  /// quarters of it an agent may have more while it has less of the last quarter than is free, so
  /// that one that is flooded leaves room for others: alone it gets seven eighths. Beyond that,
  /// messages to it are refused with limit_reached until half of the bytes have been sent.
  std::uint64_t max_waiting_bytes = 8U << 20U; // 80 ms of a network of 1 Gbit/s
  /// Requests without an answer, to other nodes and to any agent with a capability; more are
  /// refused with limit_reached. Each client, each agent and the program itself may have another
  /// one while it has fewer than are free: alone half of them. And, for each other node or client,
  /// its requests to agents here: beyond it the oldest ends with outcome_unknown.
  std::uint32_t max_pending = 100'000;
  /// Recipients of one message to many; send_report counts those left out.
  std::uint32_t max_recipients = 10'000;
  /// Unacknowledged bytes of messages on a link, and as many of answers. Heartbeats of a group wait
  /// behind at most that much and one message of each.
  std::uint64_t window_bytes = 256U << 10U; // measured: larger ones are no faster
  /// Bytes of one message. At most half of link_options::max_queued_bytes, above which a link is
  /// closed.
  std::uint64_t max_message_bytes = 32U << 20U;
  /// Bytes of answers that wait for room on the link to one other node or client. Beyond it further
  /// requests end with outcome_unknown until half of the bytes have been sent.
  std::uint64_t max_answer_bytes = 64U << 20U;
  /// The same, on all links together: each may have more while it has less than is free.
  std::uint64_t max_all_answer_bytes = 256U << 20U;
  /// As max_waiting_bytes, for all other nodes together: each may have more while it has less than
  /// is free, so that nodes out of reach leave room for others. As much may wait for agents of this
  /// node, of which each may have more likewise; and until a node that has just started is told of
  /// the others.
  std::uint64_t max_all_waiting_bytes = 256U << 20U;
  /// Messages of class confirm or once that this node has accepted and that have not ended. Beyond
  /// it they are refused with limit_reached. An agent may have another one waiting while it has
  /// fewer than are free; so may a client, for all agents together.
  std::uint64_t max_confirms = 100'000;
  /// Their bytes, likewise.
  std::uint64_t max_confirm_bytes = 64U << 20U;
  /// How often an agent gets a message of class confirm or once that fails, before it is given up.
  std::uint32_t max_deliveries = 8;
  /// How long an agent may have a message of class confirm or once. Beyond it that is given up and
  /// does not come again, as the agent may handle it yet; the next one comes.
  duration longest_handling = std::chrono::hours{1}; // as long as a request waits at most
  /// Dead letters that this node keeps: messages of class confirm or once that ended here, or that
  /// it had accepted as synced, and were not handled. Beyond it the oldest give way.
  std::uint64_t max_dead_letters = 10'000;
  /// Their bytes, likewise.
  std::uint64_t max_dead_letter_bytes = 16U << 20U;

  TROUPE_FIELDS(router_options, max_agents, max_waiting_bytes, max_pending, max_recipients,
                window_bytes, max_message_bytes, max_answer_bytes, max_all_answer_bytes,
                max_all_waiting_bytes, max_confirms, max_confirm_bytes, max_deliveries,
                longest_handling, max_dead_letters, max_dead_letter_bytes);
};

/// What became of a message to many.
struct send_report {
  /// Agents that it was handed to or put on the way to; at most once each.
  std::uint32_t sent = 0;
  /// Agents for which, or for whose nodes, too much waits (agent_options::inbox,
  /// router_options::max_waiting_bytes).
  std::uint32_t refused = 0;
  /// Agents beyond router_options::max_recipients.
  std::uint32_t left_out = 0;

  friend bool operator==(const send_report&, const send_report&) = default;

  TROUPE_FIELDS(send_report, sent, refused, left_out);
};

/// What a router has done since its start.
struct router_statistics {
  std::uint64_t delivered = 0;   ///< handed to agents of this node
  std::uint64_t forwarded = 0;   ///< sent to other nodes; what is refused or waits is not
  std::uint64_t unknown = 0;     ///< for agents that are not known here
  std::uint64_t unreachable = 0; ///< for nodes out of reach
  std::uint64_t refused = 0;     ///< beyond a bound
  std::uint64_t failed = 0;      ///< requests that ended with their link
  std::uint64_t damaged = 0;     ///< bundles of other routers, and headers, that could not be read
  std::uint32_t agents = 0;
  std::uint32_t links = 0;
  std::uint32_t pending = 0;
  std::uint32_t waiting = 0;       ///< for a link, for room on it, or for an agent of this node
  std::uint64_t waiting_bytes = 0; ///< of those, and of those on their way to the router
  std::uint64_t uninvited = 0;     ///< answers of nodes that were not asked
  std::uint64_t expired = 0;       ///< whose ttl ran out before their agents could get them
  std::uint64_t given_up = 0;      ///< of class confirm or once, that agents here failed to handle
  std::uint32_t confirms = 0;      ///< of class confirm or once, accepted here and not ended
  std::uint32_t dead_letters = 0;  ///< kept here
  std::uint64_t dead_letters_dropped = 0; ///< that gave way to later ones

  friend bool operator==(const router_statistics&, const router_statistics&) = default;

  TROUPE_FIELDS(router_statistics, delivered, forwarded, unknown, unreachable, refused, failed,
                damaged, agents, links, pending, waiting, waiting_bytes, uninvited, expired,
                given_up, confirms, dead_letters, dead_letters_dropped);
};

} // namespace troupe::router
