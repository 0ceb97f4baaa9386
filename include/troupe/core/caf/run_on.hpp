#pragma once

#include <utility>

#include "caf/action.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/message_priority.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/compat.hpp"

namespace troupe {

/// Runs `job()` on an actor, from any thread: CAF runs an action that arrives as a message, so that
/// no message type is needed. Returns false if the actor has ended. If this is called while links
/// deliver (compat::bringing), an actor near links runs the job in that thread.
template <class Job>
bool run_on(const caf::strong_actor_ptr& where, Job job) {
  return where
         && where->enqueue(nullptr, caf::make_message_id(),
                           caf::make_message(caf::make_action(std::move(job))), compat::bringer);
}

/// As above, before all messages that wait in the mailbox of the actor.
template <class Job>
bool run_next_on(const caf::strong_actor_ptr& where, Job job) {
  return where
         && where->enqueue(nullptr, caf::make_message_id(caf::message_priority::high),
                           caf::make_message(caf::make_action(std::move(job))), compat::bringer);
}

/// As run_on(), for an actor that is held weakly.
template <class Job>
bool run_on(const caf::weak_actor_ptr& where, Job job) {
  return run_on(where.lock(), std::move(job));
}

/// Runs `job(State&)` on an actor with that state.
/// @pre `where` is a stateful_actor<State>.
template <class State, class Job>
bool run_on_state(const caf::actor& where, Job job) {
  auto* raw = caf::actor_cast<caf::stateful_actor<State>*>(where);
  return run_on(caf::actor_cast<caf::strong_actor_ptr>(where),
                [raw, job = std::move(job)]() mutable { job(raw->state); });
}

} // namespace troupe
