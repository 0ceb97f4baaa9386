#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>

#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/response_promise.hpp"
#include "caf/sec.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/enclosed_request.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/bundle.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/call_outcomes.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/peer_lines.hpp"
#include "troupe/router/router_events.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// The way of a router to other nodes: carries out what its peer_lines decide. Has their bundles,
/// the handles of the routers there, those who wait, and the clock. Part of the actor, and used on
/// it only.
class outbound {
public:
  /// Called with the router of a node and its link, or with null if there will be no link.
  using visitor = std::function<void(const caf::strong_actor_ptr& entry, lines::link_number link,
                                     const problem& why)>;

  /// `self` and what is passed by reference outlive this.
  outbound(caf::event_based_actor* self, entrance& shared, const node_id& node,
           const router_options& options, const router_events& events, const idle_options& idle,
           router_statistics& counts)
    : self_(self),
      shared_(shared),
      node_(node),
      events_(events),
      counts_(counts),
      max_pending_(options.max_pending),
      answer_within_(idle.answer_within),
      lines_(node, {.idle = idle,
                    .window_bytes = options.window_bytes,
                    .max_turn_letters = bundle::max_letters,
                    .max_visits = options.max_pending}) {}

  outbound(const outbound&) = delete;
  outbound& operator=(const outbound&) = delete;

  // -- requests ------------------------------------------------------------------------

  /// Opens a request to `node` for the sender of the current message, which is told if there are
  /// too many. How it ends says how `agent` is, if one is named.
  std::optional<caf::message_id> open_request(const node_id& node, duration timeout,
                                              agent_id agent) {
    auto& pending = shared_.pending;
    auto asks = asker::of(self_);
    if (auto open = pending.size(); open >= max_pending_) {
      ++counts_.refused;
      tell(asks, too_many_pending(open));
      return std::nullopt;
    }
    auto id = caf::message_id{enclosed_request | ++last_request_}.with_normal_priority();
    pending.open(id.request_id().integer_value(), {std::move(asks), std::move(agent)}, node,
                 now() + patience(timeout));
    await_deadlines();
    return id;
  }

  /// Ends a request; returns false if it is over already.
  bool refuse(std::uint64_t number, const problem& why) {
    return shared_.pending.finish(number, [&](call& each, const node_id&) { tell(each.by, why); });
  }

  // -- letters -------------------------------------------------------------------------

  /// Puts a letter into the bundle that goes at the end of this turn: once all is done that
  /// lies in the mailbox now. Errors: bad_argument, if the letter cannot be written.
  [[nodiscard]] problem enclose(const stop& where, const letter& what) {
    auto number = lines_.parcel_for(where.node);
    auto* into = &parcels_[number];
    auto before = into->bytes();
    auto result = into->add(self_->context(), what);
    if (result == bundle::added::no_room) {
      step(lines::parcel_full{where.node});
      number = lines_.parcel_for(where.node);
      into = &parcels_[number];
      before = into->bytes();
      result = into->add(self_->context(), what);
    }
    if (result == bundle::added::unwritable) {
      if (into->empty())
        parcels_.erase(number);
      shared_.ways.drop(where.node, where.bytes);
      return unwritable();
    }
    auto is_full = into->full();
    step(lines::enclosed{where.node, into->bytes() - before, where.bytes,
                         what.wanted != word::nothing ? what.number : 0});
    if (is_full)
      step(lines::parcel_full{where.node});
    return {};
  }

  /// Calls `then` once there is a link to `node`, behind all that waits for it. See lines::visit.
  void visit(const node_id& node, bool holds, visitor then, std::uint64_t request = 0) {
    auto number = ++last_visit_;
    visitors_.emplace(number, std::move(then));
    step(lines::visit{node, number, holds, request});
  }

  // -- links ---------------------------------------------------------------------------

  void link_up(const node_id& node, lines::link_number number, caf::strong_actor_ptr entry) {
    ends_.try_emplace(number, link_end{std::move(entry)});
    shared_.ways.set_linked(node, true);
    step(lines::link_up{node, number});
  }

  void step(const lines::event& what) {
    auto moment = now();
    if (lines_.looks_at_uses(moment, what))
      tell_uses(moment);
    lines_.step(moment, what, wanted_);
    carry_out();
  }

  /// The router of another node asks that the link may rest; the answer goes out before anything
  /// else.
  void let_rest(const rest_link& what) {
    auto node = node_id::from_string(what.node);
    if (!node)
      return reply(to_error(node.error()));
    auto link = lines_.link_to(*node);
    auto& asks = self_->current_sender();
    // Only the router of that node itself may stop what is sent to it.
    if (!link || !asks || asks->address() != ends_.at(*link).entry->address())
      return reply(false);
    step(lines::rest_asked{*node});
  }

  void add_to(router_statistics& sum) const {
    sum.links += static_cast<std::uint32_t>(lines_.links().size());
    sum.waiting += static_cast<std::uint32_t>(lines_.waiting());
  }

private:
  /// The other end of a link.
  struct link_end {
    caf::strong_actor_ptr entry;
    /// Requests that the peer answers when it has the parcels with these marks.
    std::map<std::uint64_t, caf::message_id> receipts{};
  };

  static time_point to_time(caf::actor_clock::time_point moment) {
    return time_point{moment.time_since_epoch()};
  }

  [[nodiscard]] time_point now() const {
    return to_time(self_->clock().now());
  }

  // -- requests ------------------------------------------------------------------------

  /// One timer for all requests: one for each would wake the clock's thread each time.
  void await_deadlines() {
    auto next = shared_.pending.next_deadline();
    if (!next)
      return;
    patience_.arm(self_, caf::actor_clock::time_point{next->time_since_epoch()}, [this] {
      auto late = in_our_words(caf::make_error(caf::sec::request_timeout));
      shared_.pending.expire(now(), [&](std::uint64_t number, call& each, const node_id& node) {
        each.by.tell(self_->ctrl(), caf::make_message(late), self_->context());
        note_failure(each, node, call_end::timed_out);
        step(lines::withdrawn{node, number});
      });
      await_deadlines();
    });
  }

  void note_failure(const call& which, const node_id& node, call_end how) {
    if (!which.agent.empty())
      shared_.outcomes.failed(now(), node, which.agent, how);
  }

  void tell(asker& asks, const problem& why) {
    asks.tell(self_->ctrl(), caf::make_message(to_error(why)), self_->context());
  }

  /// Answers the current message, if it asks for an answer.
  template <class Answer>
  void reply(Answer what) {
    if (self_->current_message_id().is_request())
      self_->make_response_promise().deliver(std::move(what));
  }

  // -- what the lines cannot see -------------------------------------------------------

  void tell_uses(time_point moment) {
    for (auto& [node, link] : lines_.links())
      if (shared_.ways.has_waiting(node) || shared_.pending.waits_for(link))
        lines_.step(moment, lines::used{node}, wanted_);
  }

  // -- what they want done -------------------------------------------------------------

  /// In order, also if something is sent while it is done.
  void carry_out() {
    if (std::exchange(is_carrying_out_, true))
      return;
    while (!wanted_.empty()) {
      doing_.swap(wanted_);
      for (auto& what : doing_)
        troupe::visit([this](auto& each) { perform(each); }, what);
      doing_.clear();
    }
    is_carrying_out_ = false;
    auto next = lines_.next_deadline();
    if (!next)
      return;
    timer_.arm(self_, caf::actor_clock::time_point{next->time_since_epoch()}, [this] {
      auto moment = now();
      tell_uses(moment);
      lines_.tick(moment, wanted_);
      carry_out();
    });
  }

  void perform(const lines::await_turn&) {
    run_on(caf::strong_actor_ptr{self_->ctrl()}, [this] { step(lines::turn_over{}); });
  }

  void perform(const lines::want_link& what) {
    events_.link_wanted(what.peer);
  }

  void perform(const lines::send& what) {
    auto parcel = parcels_.extract(what.parcel);
    counts_.forwarded += what.letters;
    for (auto& each : what.requests)
      shared_.pending.sent(each.number, what.link);
    shared_.ways.drop(what.peer, what.taken);
    auto& there = ends_.at(what.link);
    auto id = caf::make_message_id();
    if (what.mark) {
      id = self_->new_request_id(caf::message_priority::normal);
      there.receipts.emplace(*what.mark, id);
      compat::when_answered(self_, id,
                            [this, peer = what.peer, link = what.link, mark = *what.mark](
                              const caf::message&) { received(peer, link, mark); });
    }
    there.entry->enqueue(self_->ctrl(), id, caf::make_message(std::move(parcel.mapped())),
                         self_->context());
  }

  void received(const node_id& peer, lines::link_number link, std::uint64_t mark) {
    if (auto found = ends_.find(link); found != ends_.end())
      found->second.receipts.erase(mark);
    step(lines::received{peer, link, mark});
  }

  void perform(const lines::cut& what) {
    shared_.ways.drop(what.peer, what.taken);
    auto parcel = parcels_.find(what.parcel);
    if (what.is_last)
      parcels_.erase(parcel);
    else
      parcel->second.remove(what.request);
  }

  void perform(const lines::refuse& what) {
    parcels_.erase(what.parcel);
    counts_.unreachable += what.letters;
    shared_.ways.drop(what.peer, what.taken);
    for (auto& request : what.requests)
      shared_.pending.finish(request.number, [&](call& each, const node_id& node) {
        tell(each.by, what.why);
        note_failure(each, node, call_end::unreachable);
      });
  }

  void perform(const lines::admit& what) {
    visitors_.extract(what.visit).mapped()(ends_.at(what.link).entry, what.link, {});
  }

  void perform(const lines::turn_away& what) {
    visitors_.extract(what.visit).mapped()(nullptr, 0, what.why);
  }

  void perform(const lines::lost& what) {
    auto gone = ends_.extract(what.link);
    shared_.ways.set_linked(what.peer, lines_.link_to(what.peer).has_value());
    for (auto& [mark, id] : gone.mapped().receipts) // nobody says any more what has arrived
      compat::withdraw(self_, id.response_id());
    counts_.failed += shared_.pending.lost(what.link, [&](call& each) { tell(each.by, what.why); });
  }

  void perform(const lines::ask_to_rest& what) {
    auto heard = [this, peer = what.peer, link = what.link](bool agrees) {
      step(lines::rest_answered{peer, link, agrees});
    };
    compat::relay(
      self_, ends_.at(what.link).entry, answer_within_,
      caf::make_message(rest_link{to_string(node_)}),
      [heard](const caf::message& said) {
        heard(said.match_elements<bool>() && said.get_as<bool>(0));
      },
      [heard](const caf::error&) { heard(false); });
  }

  void perform(const lines::answer_rest& what) {
    reply(what.agrees);
  }

  void perform(const lines::close& what) {
    events_.link_idle(what.peer, what.link);
  }

  caf::event_based_actor* self_;
  entrance& shared_;
  node_id node_;
  const router_events& events_;
  router_statistics& counts_;
  std::size_t max_pending_;
  duration answer_within_;
  peer_lines lines_;
  /// What they want done, and what is being done of it.
  peer_lines::effects wanted_;
  peer_lines::effects doing_;
  bool is_carrying_out_ = false;
  std::unordered_map<lines::parcel_number, bundle> parcels_;
  std::map<std::uint64_t, visitor> visitors_;
  std::map<lines::link_number, link_end> ends_;
  std::uint64_t last_visit_ = 0;
  std::uint64_t last_request_ = 0;
  deadline_timer timer_;
  deadline_timer patience_;
};

} // namespace troupe::router::detail
