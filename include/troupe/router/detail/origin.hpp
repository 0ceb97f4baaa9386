#pragma once

#include <cstddef>

#include "caf/message.hpp"
#include "caf/message_builder.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router::detail {

/// Who sent a message, as its router knows.
struct origin {
  /// Where it began; its id is all zero if that is not known.
  link_peer where{};
  /// The agent there that sent it; empty if that was none.
  agent_id agent{};
  /// Whether it began on this node.
  bool is_here = false;

  /// The bytes of who sent it in a letter.
  [[nodiscard]] std::size_t said_bytes() const {
    return is_here || where.id == node_id{} ? agent.text().size() : 2 * node_id::size;
  }

  [[nodiscard]] message_info info() const {
    return {agent, where.id, where.is_member, where.is_proven};
  }
};

/// Returns what an agent gets of `payload`, with what `find_info()` says in front if it wants
/// that. An error alone stays alone, so that hand_to() refuses it. Cost: for an agent that wants
/// it, a copy of the payload's elements and of the ids.
template <class FindInfo>
caf::message message_for(const agent_table::entry& agent, const caf::message& payload,
                         const FindInfo& find_info) {
  if (!agent.takes_info || payload.match_elements<caf::error>())
    return payload;
  caf::message_builder both; // CAF 0.18 declares message::concat() only
  both.append(find_info());
  both.append_from(payload, 0, payload.size());
  return both.move_to_message();
}

} // namespace troupe::router::detail
