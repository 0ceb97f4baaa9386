#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <utility>

#include "caf/abstract_actor.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/error.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/sec.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/refusals.hpp"

/// What every router does with a message.
namespace troupe::router::detail {

/// Hands a message to an agent of this process. The agent answers `asks`, if `id` asks for an
/// answer. Else it sees no sender: CAF would send what it returns there, and an actor that does
/// not expect that answers with an error, which ends the agent. For the same reason no agent gets
/// an error alone: who asks with one gets wrong_type. Returns false if the agent has ended; then
/// CAF has answered the request, if it is one.
inline bool hand_to(const caf::strong_actor_ptr& agent, const caf::strong_actor_ptr& asks,
                    caf::message_id id, const caf::message& payload,
                    compat::execution_context* context,
                    caf::mailbox_element::forwarding_stack stages = {}) {
  if (payload.match_elements<caf::error>()) {
    asker{asks, id, std::move(stages)}.tell(agent, caf::make_message(to_error(error_alone())),
                                            context);
    return true;
  }
  return agent->enqueue(
    caf::make_mailbox_element(id.is_request() ? asks : nullptr, id, std::move(stages), payload),
    context);
}

/// Returns why `agent` is not one that takes all of `takes`: signatures, as CAF writes those of
/// typed actors. One of another process is asked there.
inline problem check_type(const agent_id& id, const caf::strong_actor_ptr& agent,
                          const std::set<std::string>& takes) {
  if (takes.empty() || agent->node() != agent->home_system->node())
    return {};
  auto known = agent->get()->message_types();
  for (auto& each : takes)
    if (!known.contains(each))
      return wrong_type(id, each);
  return {};
}

/// What the agent itself answered stays as it is.
inline caf::error in_our_words(const caf::error& why) {
  return why == caf::sec::request_timeout || why == caf::sec::request_receiver_down
           ? to_error(to_problem(why))
           : why;
}

/// An answer of any kind.
inline caf::message in_our_words(caf::message answer) {
  return answer.match_elements<caf::error>()
           ? caf::make_message(in_our_words(answer.get_as<caf::error>(0)))
           : answer;
}

} // namespace troupe::router::detail
