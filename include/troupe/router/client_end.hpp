#pragma once

#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/behavior.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/spawn_options.hpp"
#include "caf/unit.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"

namespace troupe::router {

/// The entry point of a process without a router: tells the routers that answer it what has
/// arrived, so that they may send more. Lives as long as somebody holds it.
class client_end : public compat::near_links<caf::event_based_actor> {
public:
  using compat::near_links<caf::event_based_actor>::near_links;

  caf::behavior make_behavior() override {
    ignore_strays(this);
    return {[](caf::unit_t) {}}; // what it is asked, compat::ping(), CAF answers for it
  }

  static caf::strong_actor_ptr make(caf::actor_system& sys) {
    return caf::actor_cast<caf::strong_actor_ptr>(sys.spawn<client_end, caf::hidden>());
  }
};

} // namespace troupe::router
