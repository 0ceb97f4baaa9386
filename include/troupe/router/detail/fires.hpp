#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/message.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/fire_line.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Gives a message of the program, which was taken, to the agent to which it passes. `self` is the
/// router.
inline void bring(const caf::strong_actor_ptr& self, entrance& shared,
                  const agent_table::passage& to, std::size_t bytes, const caf::message& payload,
                  const said_by_program& said, compat::execution_context* context) {
  auto made = message_for(to.agent, payload,
                          [&] { return shared.own_origin(*self->home_system, said).info(); });
  shared.inboxes.give(self, {}, to, {made, {}, bytes, {}, true, turn_of(said.how.get())}, context);
}

/// Sends what a program gives to its router and nobody waits for, in the thread of the program:
/// finds out where it goes, takes room for it or says why not, and has it on its way. A message to
/// an agent of this process goes there at once, unless it would overtake what was sent before; all
/// else goes to the router's actor `self`, which `bring(ticket)` brings a batch to.
template <class Bring>
class fires {
public:
  fires(caf::actor_system& sys, entrance& shared, const caf::actor& self, const Bring& bring)
    : system_(sys), shared_(shared), self_(self), bring_(bring) {}

  /// Errors: see router_access::send().
  [[nodiscard]] problem send(const recipients& to, const caf::message& payload,
                             said_by_program&& said) const {
    if (is_confirmed(class_of(said.how.get())))
      return send_surely(to, payload, std::move(said));
    auto expires = said.how && said.how->ttl;
    auto goes_first = is_critical(said.how.get());
    if (to.who != audience::agent || expires)
      return send_anywhere(to, payload, std::move(said));
    auto may_pass = shared_.fires.may_pass();
    std::optional<std::size_t> bytes;
    auto says_size = shared_.wants_sizes.load(std::memory_order_relaxed);
    if (says_size)
      bytes = compat::size_of(system_, payload);
    auto place = shared_.agents.bring(to.name, bytes, turn_of(said.how.get()), may_pass);
    if (says_size != place.to.wants_size)
      shared_.wants_sizes.store(place.to.wants_size, std::memory_order_relaxed);
    if (place.to.wants_size && !place.to.is_taken && !bytes)
      place = shared_.agents.bring(to.name, compat::size_of(system_, payload).value_or(0),
                                   turn_of(said.how.get()), may_pass);
    if (place.to.is_taken && place.how) {
      bring(caf::actor_cast<caf::strong_actor_ptr>(self_), shared_,
            {std::move(place.to.agent), *place.how}, place.to.bytes, payload, said, nullptr);
      return {};
    }
    if (place.to.is_taken)
      return push({std::move(place.to), payload, std::move(said)});
    if (place.to.agent)
      return shared_.inboxes.refuse(agent_id{to.name});
    far_place far;
    question of{false, said.how ? text_bytes(*said.how) : 0, longest_life, goes_first};
    if (!bytes)
      bytes = compat::size_of(system_, payload);
    if (bytes && shared_.ways.take_far(to.name, *bytes, of, far))
      return push({std::move(far), payload, std::move(said)});
    return send_anywhere(to, payload, std::move(said));
  }

private:
  /// Of class confirm or once.
  [[nodiscard]] problem send_surely(const recipients& to, const caf::message& payload,
                                    said_by_program&& said) const {
    auto bytes = compat::size_of(system_, payload);
    if (auto why
        = shared_.take_confirm(to, false, bytes, text_bytes(*said.how), life_of(*said.how)))
      return why;
    sure_place where{agent_id{to.name}, *bytes + routes::letter_bytes};
    auto why = push({where, payload, std::move(said)});
    if (why)
      shared_.confirms.give_back(where.agent, where.bytes);
    return why;
  }

  [[nodiscard]] problem send_anywhere(const recipients& to, const caf::message& payload,
                                      said_by_program&& said) const {
    auto expires = said.how && said.how->ttl;
    auto where = shared_.plan(system_, to,
                              {false, said.how ? text_bytes(*said.how) : 0,
                               expires ? life_of(*said.how) : longest_life,
                               is_critical(said.how.get()), turn_of(said.how.get()).tenant},
                              payload);
    if (where.refusal)
      return where.refusal;
    if (!where.stops.empty())
      if (auto why = push({std::move(where.stops), payload, std::move(said)}))
        return why;
    return where.report.refused + where.report.left_out > 0 ? not_all(where.report) : problem{};
  }

  problem push(fire what) const {
    return shared_.fires.push(std::move(what), bring_) ? problem{} : node_stops();
  }

  caf::actor_system& system_;
  entrance& shared_;
  const caf::actor& self_;
  const Bring& bring_;
};

} // namespace troupe::router::detail
