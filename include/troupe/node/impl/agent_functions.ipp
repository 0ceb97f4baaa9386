#ifndef TROUPE_NODE_IMPL_AGENT_FUNCTIONS_IPP
#define TROUPE_NODE_IMPL_AGENT_FUNCTIONS_IPP

#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/exit_reason.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/node/agent_functions.hpp"

namespace troupe {

TROUPE_COMPILED agent_context::agent_context(caf::scheduled_actor* self, agent_id id,
                                             ended_handler on_quit, update_handler on_update)
  : self_(self),
    id_(std::move(id)),
    on_quit_(std::move(on_quit)),
    on_update_(std::move(on_update)) {}

TROUPE_COMPILED void agent_context::quit(const problem& why) {
  if (why && on_quit_)
    on_quit_(why);
  self_->quit(why ? to_error(why) : caf::make_error(caf::exit_reason::normal));
}

TROUPE_COMPILED void agent_context::update(const cluster::agent_change& how) {
  if (on_update_)
    on_update_(how);
}

TROUPE_COMPILED std::function<void(result<caf::message>)> agent_context::answer_later() {
  auto promise = self_->make_response_promise();
  if (!promise.pending() || promise.async())
    return [](const result<caf::message>&) {};
  if (open_.size() >= max_open) {
    promise.deliver(
      to_error({errc::limit_reached, "agent '" + id_.text() + "' has " + std::to_string(max_open)
                                       + " requests open; retry with backoff"}));
    return [](const result<caf::message>&) {};
  }
  open_.emplace(++last_, std::move(promise));
  return [number = last_, self = weak_from_this(),
          home = caf::weak_actor_ptr{self_->ctrl()}](result<caf::message> what) {
    // Harmless where the agent has ended: whoever asked has heard so.
    run_on(home, [number, self, what = std::move(what)]() mutable {
      if (auto context = self.lock())
        context->answer(number, std::move(what));
    });
  };
}

TROUPE_COMPILED void agent_context::answer(std::uint64_t number, result<caf::message> what) {
  auto found = open_.extract(number);
  if (!found)
    return;
  if (what)
    found.mapped().deliver(*std::move(what));
  else
    found.mapped().deliver(to_error(std::move(what).error()));
}

} // namespace troupe

#endif
