#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/router_core.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// What goes through a router.
struct content {
  caf::message payload;
  origin from{};
};

/// A message that a router has taken.
struct outgoing {
  recipients to;
  awaited wants = awaited::nothing;
  duration timeout{};
  asker by;
  content what;

  /// It has waited for so long since its times were said last.
  void shorten(duration waited) {
    auto& said = what.from.said;
    said.life -= said.life == longest_life ? duration::zero() : waited;
    said.patience -= said.patience == longest_life ? duration::zero() : waited;
    said.now += waited;
    timeout -= waited;
  }

  /// The bytes that it takes where it waits.
  [[nodiscard]] std::size_t bytes(caf::actor_system& sys) const {
    return compat::size_of(sys, what.payload).value_or(0) + what.from.said_bytes() + to.name.size()
           + routes::letter_bytes;
  }
};

/// Tells recipients from others.
inline std::string key_of(const recipients& who) {
  return std::to_string(static_cast<int>(who.who)) + who.name;
}

/// Tells whoever waits for an answer of `self` that there is none.
inline void tell(caf::event_based_actor* self, asker& whom, problem why) {
  whom.tell(self->ctrl(), caf::make_message(to_error(std::move(why))), self->context());
}

} // namespace troupe::router::detail
