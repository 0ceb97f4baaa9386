#pragma once

#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_registry.hpp"
#include "caf/actor_system.hpp"
#include "caf/message.hpp"
#include "caf/node_id.hpp"
#include "caf/response_promise.hpp"
#include "troupe/core/messages.hpp"

namespace troupe {

/// How an actor's answers are sent: those to other nodes go through the actor that sends answers
/// over links, one after the other as there is room, so that a burst of answers does not fill a
/// link. If this process has no such actor, they go directly to the caller.
///
/// That actor gets the request delegated, with a ready_answer, and answers it. An answer_path is
/// part of one actor and must not outlive the actor system. Cost of an answer to another node: a
/// lookup in the registry of the system.
class answer_path {
public:
  /// The name of that actor in the registry of its system.
  static constexpr auto name = "troupe.answers";

  explicit answer_path(caf::actor_system& sys) : sys_(sys) {}

  template <class Result>
  void deliver(caf::response_promise& to, Result what) {
    auto who = to.next();
    auto is_here = !who || who->node() == sys_.node();
    // That actor may start after the services of its node, and end before them.
    auto by = is_here ? caf::actor{} : sys_.registry().get<caf::actor>(name);
    if (!by)
      to.deliver(std::move(what));
    else
      to.delegate(by, ready_answer{caf::make_message(std::move(what))});
  }

private:
  caf::actor_system& sys_;
};

} // namespace troupe
