#pragma once

#include "caf/error.hpp"
#include "caf/message.hpp"
#include "caf/scheduled_actor.hpp"
#include "caf/sec.hpp"
#include "caf/system_messages.hpp"

namespace troupe {

/// Lets an actor that peers can reach survive all that they send: by default, an error as a
/// message, or an exit message of a stranger, ends a CAF actor. A message that it does not
/// understand is answered with unexpected_message if it was a request. Exit messages of this
/// process still end it.
inline void ignore_strays(caf::scheduled_actor* self) {
  self->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  self->set_default_handler([](caf::scheduled_actor* me, caf::message&) -> caf::skippable_result {
    if (!me->current_message_id().is_request())
      me->drop_current_message_id(); // an error would end a sender that is no better than CAF's
                                     // default
    return caf::make_error(caf::sec::unexpected_message);
  });
  self->set_exit_handler([](caf::scheduled_actor* me, caf::exit_msg& what) {
    auto ours = !what.source || what.source.node() == me->node();
    if (ours && what.reason)
      me->quit(what.reason);
  });
}

} // namespace troupe
