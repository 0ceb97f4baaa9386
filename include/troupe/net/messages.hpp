#pragma once

#include <cstdint>

#include "caf/actor_control_block.hpp"
#include "caf/allowed_unsafe_message_type.hpp"
#include "caf/message.hpp"
#include "caf/timespan.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/messages.hpp"

namespace troupe::net {

/// Asks the actor of a link (see link_actor.hpp) to ask `target`, on the other side, for
/// `what`. The answer is the target's. Never leaves the node.
struct relay {
  caf::timespan timeout{};
  caf::strong_actor_ptr target;
  caf::message what;
  /// The size of a piece of bulk data; zero for a request.
  std::uint32_t bulk_bytes = 0;
};

/// Tells the actor of a link that the link has ended. Never leaves the node.
struct link_lost {};

} // namespace troupe::net

CAF_BEGIN_TYPE_ID_BLOCK(troupe_net, ::troupe::type_ids::net)

  CAF_ADD_TYPE_ID(troupe_net, (troupe::net::relay))
  CAF_ADD_TYPE_ID(troupe_net, (troupe::net::link_lost))

CAF_END_TYPE_ID_BLOCK(troupe_net)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::net::relay)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::net::link_lost)

static_assert(caf::id_block::troupe_net::end <= troupe::type_ids::net + 100);
