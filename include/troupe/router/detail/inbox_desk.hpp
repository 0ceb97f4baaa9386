#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "caf/actor_addr.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/error.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/inbox_space.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Gives messages to the agents of this process: into their mailboxes at once, or into their
/// inboxes until there is room, and counts what becomes of them. Whoever asks an agent hears if it
/// cannot have the message.
///
/// Thread-safe. `self` is the router.
class inbox_desk {
public:
  /// What has become of a message for an agent.
  enum class given : std::uint8_t {
    /// It is in the mailbox.
    yes,
    /// It is in the inbox.
    waits,
    /// Whoever asks has been told.
    refused,
    /// The agent has just ended. Whoever asks has been told.
    gone,
  };

  /// A message for an agent, as it came.
  struct arrival {
    const caf::message& payload;
    /// Who asks the agent, if anybody does.
    asker by{};
    /// Zero: not known. If it `is_taken`: those for which it was.
    std::size_t bytes = 0;
    std::optional<time_point> expires_at{};
    /// agent_table::bring() has taken it.
    bool is_taken = false;
    /// Of class confirm or once all have the same: they keep their order.
    message_turn turn{};
    /// If whoever brings it has looked at the clock.
    std::optional<time_point> at{};
  };

  /// `agents` outlives this.
  explicit inbox_desk(agent_table& agents) : agents_(agents) {}

  inbox_desk(const inbox_desk&) = delete;
  inbox_desk& operator=(const inbox_desk&) = delete;

  void add_to(router_statistics& sum) const {
    sum.delivered = delivered_.load();
    sum.unknown = unknown_.load();
    sum.expired = expired_.load();
    sum.refused = refused_.load();
  }

  /// Gives a message to the agent of that id, to which it passes: at once, or once that has room.
  given give(const caf::strong_actor_ptr& self, const agent_id& id, const agent_table::passage& to,
             arrival what, compat::execution_context* context) {
    if (to.how.is_open) {
      auto is_counted = count_delivered(to.agent, 1);
      auto is_there = hand_over(self, to.agent, {what.payload, std::move(what.by)},
                                to.how.wants_sign, is_counted, context);
      return is_there ? given::yes : given::gone;
    }
    agent_table::inbox::effects out;
    waiting_message made{what.payload, std::move(what.by)};
    if (what.bytes == 0)
      what.bytes = compat::size_of(*self->home_system, what.payload).value_or(0);
    if (!what.is_taken)
      what.bytes += routes::letter_bytes;
    auto moment = what.at ? *what.at : now(self);
    auto taken = agents_.arrive(moment, to.agent.place, made, what.bytes, what.expires_at,
                                what.is_taken, out, what.turn);
    if (!taken && out.empty()) {
      made.by.tell(self, caf::make_message(to_error(ended(id))), context);
      return given::gone;
    }
    if (!out.empty())
      carry_out(self, to.agent, std::move(out), context);
    return taken ? given::waits : given::refused;
  }

  /// Takes what an agent answers to a sign, which says that it has handled what came before; false
  /// if `number`, of an answer from this process, is none of these.
  bool take_sign(const caf::strong_actor_ptr& self, const caf::mailbox_element& what,
                 std::uint64_t number, compat::execution_context* context) {
    if ((number & ~place_mask) != sign_flag)
      return false;
    if (what.payload.match_elements<caf::error>())
      return true; // it has ended, and gets nothing more
    agent_table::inbox::effects out;
    auto agent = agents_.signed_for(now(self), number & place_mask, out);
    carry_out(self, agent, std::move(out), context);
    return true;
  }

  /// Hands nothing to the agent from here on. Returns it, null if there was none.
  caf::strong_actor_ptr remove(caf::event_based_actor* self, const agent_id& id) {
    agent_table::remains left;
    auto gone = agents_.remove(self, id, left);
    tell(self->ctrl(), std::move(left), self->context());
    return gone;
  }

  /// That actor has ended. Returns the ids that it had.
  std::set<agent_id> end_of(caf::event_based_actor* self, const caf::actor_addr& who) {
    agent_table::remains left;
    auto gone = agents_.end_of(who, left);
    tell(self->ctrl(), std::move(left), self->context());
    return gone;
  }

  /// Nobody gets anything from here on.
  void close() {
    agent_table::remains left;
    agents_.clear(left);
    tell(nullptr, std::move(left), nullptr);
  }

  /// Answers `who` as soon as there is room for more messages for that agent.
  void await_room(const caf::strong_actor_ptr& self, const agent_id& id, room_asker who,
                  compat::execution_context* context) {
    if (auto space = agents_.await_room(id.text(), who))
      who.by.tell(self, caf::make_message(*space), context);
  }

  /// Counts what had expired when it came.
  problem count_expired(std::size_t recipients) {
    expired_.fetch_add(recipients, std::memory_order_relaxed);
    return expired();
  }

  /// Counts one that found no place.
  problem refuse(const agent_id& id) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return inbox_full(id);
  }

  /// Counts one for an agent that is not here.
  problem unknown(const caf::strong_actor_ptr& self, const agent_id& agent) {
    unknown_.fetch_add(1, std::memory_order_relaxed);
    return absent(self, agent);
  }

  /// The same for one that was here.
  problem ended(const agent_id& agent) {
    unknown_.fetch_add(1, std::memory_order_relaxed);
    return no_agent(agent);
  }

  /// Why that agent is not here, for others that take it to be. Unless it was here, those that have
  /// not heard yet that this node has begun a later life go by what it has said before.
  [[nodiscard]] problem absent(const caf::strong_actor_ptr& self, const agent_id& agent) const {
    auto may_come = now(self).time_since_epoch().count() < new_until_ && !agents_.has_left(agent);
    return may_come ? not_here_yet(agent) : no_agent(agent);
  }

  /// This node has just started, and its agents come from here on, for `within`.
  void begin(time_point now, duration within) {
    new_until_ = (now + within).time_since_epoch().count();
  }

private:
  [[nodiscard]] static time_point now(const caf::strong_actor_ptr& self) {
    return time_point{self->home_system->clock().now().time_since_epoch()};
  }

  /// Before they are, so that nobody sees one delivered that is not counted; but if the agent has
  /// ended, of which whoever asks hears before we do, it counts none and returns false.
  bool count_delivered(const agent_table::entry& agent, std::size_t messages) {
    auto lives = !compat::has_ended(agent.handle);
    delivered_.fetch_add(lives ? messages : 0, std::memory_order_relaxed);
    return lives;
  }

  /// Returns false if the agent has just ended; who asks has heard so then.
  bool hand_over(const caf::strong_actor_ptr& self, const agent_table::entry& agent,
                 waiting_message what, bool wants_sign, bool is_counted,
                 compat::execution_context* context) {
    auto taken = hand_to(agent.handle, what.by.who, what.by.id, what.payload, context,
                         std::move(what.by.stages));
    if (taken && !is_counted)
      ++delivered_;
    if (!taken && is_counted)
      --delivered_;
    if (!taken)
      unknown_.fetch_add(1, std::memory_order_relaxed);
    if (wants_sign && taken)
      agent.handle->enqueue(self, caf::message_id{sign_flag | agent.place}.with_normal_priority(),
                            ping_, context);
    return taken;
  }

  /// Hands over in order, also what others leave to this thread meanwhile.
  void carry_out(const caf::strong_actor_ptr& self, const agent_table::entry& agent,
                 agent_table::inbox::effects out, compat::execution_context* context) {
    using inbox = agent_table::inbox;
    while (!out.empty()) {
      auto hands = std::ranges::count_if(
        out, [](auto& each) { return std::holds_alternative<inbox::hand>(each); });
      auto is_counted = count_delivered(agent, static_cast<std::size_t>(hands));
      for (auto& each : out)
        troupe::visit(overloaded{[&](inbox::hand& next) {
                                   hand_over(self, agent, std::move(next.what), next.wants_sign,
                                             is_counted, context);
                                 },
                                 [&](inbox::refuse& next) {
                                   auto id = agents_.id_of(agent.handle->address(), {});
                                   tell(self, next.what.by, refuse(id), context);
                                 },
                                 [&](inbox::expire& next) {
                                   tell(self, next.what.by, count_expired(1), context);
                                 },
                                 [&](inbox::has_room&) {
                                   auto told = agents_.take_askers(agent.place);
                                   for (auto& who : told.waiters)
                                     who.by.tell(self, caf::make_message(told.each), context);
                                 }},
                      each);
      out.clear();
      if (hands > 0)
        agents_.handed(now(self), agent.place, out);
    }
  }

  static void tell(const caf::strong_actor_ptr& self, asker& whom, problem why,
                   compat::execution_context* context) {
    if (whom.id.is_request())
      whom.tell(self, caf::make_message(to_error(std::move(why))), context);
  }

  /// Of agents that are gone.
  void tell(const caf::strong_actor_ptr& self, agent_table::remains left,
            compat::execution_context* context) {
    for (auto& [id, what] : left.messages)
      tell(self, what.by, ended(id), context);
    for (auto& each : left.askers)
      each.by.tell(self, caf::make_message(inbox_space{}), context);
  }

  /// In the number of a ping that an agent gives a sign with; the rest is its place. Numbers of CAF
  /// do not come so far, and those of requests have other flags.
  static constexpr std::uint64_t sign_flag = std::uint64_t{1} << 56U;
  static constexpr std::uint64_t place_mask = sign_flag - 1;

  const caf::message ping_ = compat::ping();
  agent_table& agents_;
  std::atomic<std::uint64_t> delivered_{0};
  std::atomic<std::uint64_t> unknown_{0};
  std::atomic<std::uint64_t> expired_{0};
  /// For which there was no room in the inbox of their agent.
  std::atomic<std::uint64_t> refused_{0};
  /// Until then agents of this node are yet to come.
  std::atomic<duration::rep> new_until_{std::numeric_limits<duration::rep>::min()};
};

} // namespace troupe::router::detail
