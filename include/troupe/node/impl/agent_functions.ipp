#ifndef TROUPE_NODE_IMPL_AGENT_FUNCTIONS_IPP
#define TROUPE_NODE_IMPL_AGENT_FUNCTIONS_IPP

#include <memory>
#include <stdexcept>
#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/exit_reason.hpp"
#include "caf/mailbox_element.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/node/agent_functions.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/once_store.hpp"

namespace troupe {

TROUPE_COMPILED agent_context::agent_context(caf::scheduled_actor* self, agent_id id,
                                             ended_handler on_quit, update_handler on_update,
                                             std::shared_ptr<router::once_store> store,
                                             stranger_handler on_stranger)
  : self_(self),
    id_(std::move(id)),
    on_quit_(std::move(on_quit)),
    on_update_(std::move(on_update)),
    store_(std::move(store)),
    on_stranger_(std::move(on_stranger)) {}

TROUPE_COMPILED void agent_context::quit(const problem& why) {
  if (why && on_quit_)
    on_quit_(why);
  self_->quit(why ? to_error(why) : caf::make_error(caf::exit_reason::normal));
}

TROUPE_COMPILED void agent_context::update(const cluster::agent_change& how) {
  if (on_update_)
    on_update_(how);
}

TROUPE_COMPILED caf::behavior agent_context::in_transactions(caf::behavior functions) {
  if (!store_)
    return functions;
  auto all = std::make_shared<caf::behavior>(std::move(functions));
  // What comes on a handle comes as it is.
  self_->set_default_handler([self = shared_from_this(), all](
                               caf::scheduled_actor*, caf::message& what) -> caf::skippable_result {
    auto made = self->keep(*all, {}, what);
    return caf::visit([](auto& each) { return caf::skippable_result{std::move(each)}; }, made);
  });
  return {[self = shared_from_this(), all](const router::kept_message& what) {
    return self->keep(*all, what.info, what.payload);
  }};
}

/// What of a message is committed is acknowledged after that, by the answer.
TROUPE_COMPILED caf::result<caf::message>
agent_context::keep(caf::behavior& functions, const message_info& from, caf::message what) {
  auto is_once = from.delivery == router::delivery_class::once;
  message_info::moment now{self_->clock().now().time_since_epoch()};
  if (is_once && from.expires_at && *from.expires_at <= now) // in the mailbox
    return to_error(router::detail::expired());
  compat::handled made;
  auto body = [&](storage::database&) -> problem {
    made = compat::call(functions, what);
    if (!made.is_taken)
      if (auto why = on_stranger_(self_, what))
        made.answer = caf::make_message(std::move(why));
    if (is_once && self_->current_mailbox_element()->mid.is_answered())
      throw std::logic_error{"it answers a message of class once after its transaction, by a "
                             "response promise; return the answer"};
    if (made.answer && made.answer->match_elements<caf::error>())
      return to_problem(made.answer->get_as<caf::error>(0));
    return {};
  };
  problem why;
  if (is_once) {
    auto done = store_->apply(id_, from.id, body);
    if (done && *done == router::once_store::applied::before)
      return caf::message{};
    why = done ? problem{} : done.error();
  } else if (auto done = store_->run(body); !done) {
    why = done.error();
  }
  if (made.answer && made.answer->match_elements<caf::error>())
    return made.answer->get_as<caf::error>(0); // as it was given
  if (why)
    return to_error(std::move(why));
  if (!made.answer)
    return caf::delegated<caf::message>{};
  return *std::move(made.answer);
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
