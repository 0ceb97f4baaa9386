#pragma once

#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "troupe/core/caf/compat.hpp"

namespace troupe::router::detail {

/// Who waits for an answer. A response_promise would do, but for that only the actor that made
/// it may keep it.
struct asker {
  caf::strong_actor_ptr who;
  caf::message_id id;
  caf::mailbox_element::forwarding_stack stages{};

  /// The sender of the current message of `self`, which gets no other answer.
  template <class Self>
  static asker of(Self* self) {
    auto* asks = self->current_mailbox_element();
    asker result{asks->sender, asks->mid, asks->stages};
    asks->mid.mark_as_answered();
    return result;
  }

  void tell(caf::strong_actor_ptr from, caf::message answer, compat::execution_context* context) {
    if (!id.is_request())
      return;
    if (!stages.empty()) { // the request came through a composition of actors
      auto next = std::move(stages.back());
      stages.pop_back();
      next->enqueue(
        caf::make_mailbox_element(std::move(who), id, std::move(stages), std::move(answer)),
        context);
    } else if (who) {
      who->enqueue(std::move(from), id.response_id(), std::move(answer), context);
    }
  }
};

} // namespace troupe::router::detail
