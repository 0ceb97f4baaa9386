#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "caf/action.hpp"
#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/wait_for.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/fire_line.hpp"
#include "troupe/router/detail/fires.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/router.hpp"
#include "troupe/router/router_events.hpp"

namespace troupe::router {

/// A router, for the node that owns it. Thread-safe: calls become jobs of its actor.
class router_access {
public:
  /// With `peers` a request is answered by the node that was asked, or by nobody, and an agent can
  /// ask who sent a message over a link. `boot` counts the starts of the node: see message_id.
  router_access(caf::actor_system& sys, const node_id& node, router_options options,
                router_events events, idle_options idle = {}, link_peer_finder peers = {},
                boot_number boot = 0)
    : system_(&sys),
      entrance_(
        std::make_shared<detail::entrance>(node, boot, options, events.called, std::move(peers))),
      inside_(sys.spawn<node_router>(entrance_, node, options, std::move(events), idle)) {}

  /// Sends a message to one or many; does not block, but for the disk if it is to be synced. Errors
  /// (to one, nothing was sent): not_found, limit_reached (too much waits for its node; to many:
  /// nothing was sent to some of them), too_large, bad_argument (it cannot be written; or of
  /// `how`), expired (its ttl is zero or less), cancelled (the router has ended).
  [[nodiscard]] problem send(const recipients& to, const caf::message& payload,
                             message_options how) const {
    if (auto why = check(how))
      return why;
    if (how.wait_for_room)
      return detail::waits_for_one();
    if (how.durability == durability::synced)
      return send_synced(to, payload, std::move(how));
    detail::said_by_program said{detail::shared(std::move(how))};
    if (said.how && expires(*said.how))
      said.at = time_point{system_->clock().now().time_since_epoch()};
    return send(to, payload, std::move(said));
  }

  /// The same without a thread that waits: calls `done`, on any thread, once the message was sent
  /// or accepted as `how` says.
  void send(const recipients& to, const caf::message& payload, message_options how,
            std::function<void(const problem&)> done) const {
    if (auto why = check(how); why || how.durability == durability::memory)
      return done(why ? why : send(to, payload, std::move(how)));
    auto at = expires(how) ? time_point{system_->clock().now().time_since_epoch()} : time_point{};
    keep(to, payload, {detail::shared(std::move(how)), at}, std::move(done));
  }

  /// The same without options.
  [[nodiscard]] problem send(const recipients& to, const caf::message& payload) const {
    return send(to, payload, {nullptr, {}});
  }

  /// Refuses messages of class confirm and once from here on: the node ends.
  void accept_no_more() const {
    entrance_->confirms.close();
  }

  // -- answers over links, of nodes and of clients -------------------------------------

  /// The answers of agents to all behind link `number` go over that as far as it has room. `entry`,
  /// there, answers compat::ping(). To be said before the first message of that link is delivered.
  void answer_over(std::uint64_t number, caf::strong_actor_ptr entry) const {
    entrance_->going_out.link_up(number, std::move(entry));
  }

  /// That link has ended.
  void answer_no_more_over(std::uint64_t number) const {
    entrance_->going_out.link_down(number);
  }

  /// Others have filled that link, or it has drained.
  void hold_answers(std::uint64_t number, bool is_held) const {
    entrance_->going_out.hold(caf::actor_cast<caf::strong_actor_ptr>(inside_), number, is_held,
                              nullptr);
  }

  /// Runs `job(router_state&)` on the router; returns false if that has ended.
  template <class Job>
  bool run(Job job) const {
    return run_on_state<router_state>(inside_, std::move(job));
  }

  [[nodiscard]] const caf::actor& handle() const {
    return inside_;
  }

private:
  [[nodiscard]] problem send(const recipients& to, const caf::message& payload,
                             detail::said_by_program&& said) const {
    auto bring = [this](detail::fire_line::ticket which) {
      auto self = caf::actor_cast<caf::strong_actor_ptr>(inside_);
      auto* raw = caf::actor_cast<caf::stateful_actor<router_state>*>(inside_);
      return self->enqueue(self, caf::make_message_id(),
                           caf::make_message(caf::make_action(
                             [raw, which = std::move(which)] { raw->state.send(which); })),
                           compat::bringer);
    };
    return detail::fires{*system_, *entrance_, inside_, bring}.send(to, payload, std::move(said));
  }

  [[nodiscard]] problem send_synced(const recipients& to, const caf::message& payload,
                                    message_options how) const {
    return wait_for<problem>(
      [&](auto done) { send(to, payload, std::move(how), std::move(done)); }, longest_wait,
      [](unheard why) {
        return problem{errc::outcome_unknown,
                       why == unheard::gone
                         ? "the node has stopped meanwhile; its next start sends the message if it "
                           "is on the disk"
                         : "the disk of this node has not kept the message in time, and may do so "
                           "yet; check the disk"};
      });
  }

  /// Of class confirm, synced.
  void keep(const recipients& to, const caf::message& payload, detail::said_by_program said,
            std::function<void(const problem&)> done) const {
    auto bytes = compat::size_of(*system_, payload);
    if (auto why
        = entrance_->take_confirm(to, false, bytes, text_bytes(*said.how), life_of(*said.how)))
      return done(why);
    agent_id agent{to.name};
    auto taken = *bytes + detail::routes::letter_bytes;
    auto is_taken = run([agent, payload, taken, said = std::move(said), done](router_state& state) {
      state.keep(agent, payload, said, taken, done);
    });
    if (is_taken)
      return;
    entrance_->confirms.give_back(agent, taken);
    done(detail::node_stops());
  }

  caf::actor_system* system_;
  std::shared_ptr<detail::entrance> entrance_;
  caf::actor inside_;
};

} // namespace troupe::router
