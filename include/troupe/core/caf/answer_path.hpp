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

/// The way of an actor's answers: those to other nodes go by the actor that brings answers over
/// links, one after the other as there is room, so that no burst of them fills a link. Straight to
/// who asked if this process has no such actor.
///
/// That one gets the request delegated, with a ready_answer, and answers it. For the actor that has
/// it; must not outlive the actor system. Cost for an answer to another node: a look into the
/// registry of the system.
class answer_path {
public:
  /// What the actor is called in the registry of its system.
  static constexpr auto name = "troupe.answers";

  explicit answer_path(caf::actor_system& sys) : sys_(sys) {}

  template <class Result>
  void deliver(caf::response_promise& to, Result what) {
    auto who = to.next();
    auto is_here = !who || who->node() == sys_.node();
    // It may begin after the services of its node, and end before them.
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
