#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/enclosed_request.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/detail/service_places.hpp"
#include "troupe/router/idle_links.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router {

/// Ends an actor before its next message.
inline void kill_next(const caf::strong_actor_ptr& which) {
  which->enqueue(nullptr, caf::make_message_id(caf::message_priority::high),
                 caf::make_message(caf::exit_msg{which->address(), caf::exit_reason::kill}),
                 nullptr);
}

/// What a router asks of its node. Called on the router's actor; must not block.
struct router_events {
  /// There is something to send to that node and no link to it.
  std::function<void(const node_id& node)> link_wanted;
  /// An agent of this node has ended by itself.
  std::function<void(const agent_id& agent)> agent_ended;
  /// So a call to an agent of another node has ended, as far as others should hear of it; see
  /// call_outcomes. Called on any thread.
  std::function<void(const node_id& node, const agent_id& agent, call_end how)> called{};
  /// Somebody asks the node to leave its cluster: says why it does not.
  std::function<problem(bool force)> may_leave = [](bool) {
    return problem{errc::failed, "this router has no node that could leave; ask that of a node"};
  };
  /// Begin to leave; comes after the answer has gone out.
  std::function<void(bool force)> leave{};
  /// Somebody asks the node for maintenance, or to end it; `done` may be called on any thread.
  std::function<void(bool on, done_handler done)> maintain = [](bool, const done_handler& done) {
    done(
      {errc::failed, "this router has no node that could be in maintenance; ask that of a node"});
  };
  /// Close that link: neither side uses it, and nothing is on the way.
  std::function<void(const node_id& node, std::uint64_t number)> link_idle
    = [](const node_id&, std::uint64_t) {};
};

/// Brings messages to agents, wherever they live: the entry point of its node. Finds out
/// who is meant, hands on to agents here, sends to the routers of other nodes, and fails
/// requests as soon as their link is gone (CAF would let them run into their time-out).
/// An agent gets the application's own message and sees no envelope.
///
/// Delivery is at most once. Messages from one sender to one agent keep their order as
/// long as the link lasts. What waits for a link, or for room on it, is bounded in bytes (see
/// link_flow); beyond that messages are refused, and so are the answers of agents. A link that
/// neither side uses is closed (see idle_links) and made again for the next message; those over
/// which handles were found stay.
///
/// Public functions other than make_behavior() are for the node, through router_access.
class router_state {
public:
  static inline const char* name = "troupe.router";

  router_state(caf::event_based_actor* self, std::shared_ptr<detail::entrance> entrance,
               const node_id& node, router_options options, router_events events, idle_options idle)
    : self_(self),
      entrance_(std::move(entrance)),
      node_(node),
      options_(options),
      events_(std::move(events)),
      services_(self),
      idle_(node_, idle),
      answer_within_(idle.answer_within) {
    self_->set_down_handler([this](const caf::down_msg& gone) { end_agent(gone.source); });
  }

  router_state(const router_state&) = delete;
  router_state& operator=(const router_state&) = delete;

  ~router_state() {
    entrance_->close();
  }

  /// For what does not end at the entrance.
  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {
      [this](dispatch& what) { send(what, word::answer); },
      [this](post& what) {
        dispatch as{std::move(what.to), std::move(what.from), what.timeout,
                    std::move(what.payload)};
        send(as, self_->current_message_id().is_request() ? word::receipt : word::answer);
      },
      [this](const rest_link& what) { let_rest(what); },
      [this](const find_agent& what) -> caf::result<caf::strong_actor_ptr> {
        auto found = entrance_->agents.find(what.id).handle;
        if (!found)
          return to_error(detail::no_agent(what.id));
        if (auto why = detail::check_type(what.id, found, what.takes))
          return to_error(std::move(why));
        return found;
      },
      [this](const resolve_agent& what) { resolve(what); },
      [this](const find_service& what) { // the answer takes the sender away
        return services_.find(
          what, entrance_->origin_of(self_->ctrl(), self_->current_sender(), agent_id{}));
      },
      [this](const find_router_statistics&) { return statistics(); },
      [this](const leave_cluster& what) { leave(what.force); },
      [this](const maintain_node& what) { maintain(what.on); },
    };
  }

  // -- the node's agents -------------------------------------------------------------

  /// Ends all agents that live in this process; one that catches exits may go on.
  void end_agents() {
    for (auto& each : entrance_->agents.all())
      if (each->node() == self_->node())
        caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
  }

  /// Ends them before their next message, however many wait; none may go on.
  void kill_agents() {
    for (auto& each : entrance_->agents.all())
      if (each->node() == self_->node())
        kill_next(each);
  }

  /// Returns the ids of agents that live in this process.
  [[nodiscard]] std::vector<agent_id> agents_left() const {
    return entrance_->agents.ids_on(self_->node());
  }

  /// One that takes_info gets a message_info in front of what is sent to it. Returns limit_reached
  /// or name_taken.
  [[nodiscard]] problem add_agent(const agent_id& id, const caf::strong_actor_ptr& handle,
                                  bool takes_info = false) {
    return entrance_->agents.add(self_, id, handle, options_.max_agents, takes_info);
  }

  /// Hands nothing to the agent from here on. Returns it, null if there was none.
  caf::strong_actor_ptr remove_agent(const agent_id& id) {
    return entrance_->agents.remove(self_, id);
  }

  /// The same, if `agent` is the one of that id. By then another one may be.
  caf::strong_actor_ptr remove_agent(const agent_id& id, const caf::actor_addr& agent) {
    auto found = entrance_->agents.find(id).handle;
    return found && found->address() == agent ? remove_agent(id) : nullptr;
  }

  // -- what the node knows -------------------------------------------------------------

  [[nodiscard]] detail::routes& places() {
    return entrance_->ways;
  }

  /// Sends what was taken for `where`; nobody hears what becomes of it.
  void send(std::vector<detail::stop> where, const caf::message& payload) {
    auto from = entrance_->own_origin();
    for (auto& each : where)
      fire(each, from, payload);
  }

  /// Hands a message to an agent of this node, behind all that was sent before.
  void bring(const detail::agent_table::entry& agent, const caf::message& payload) {
    hand_to(agent, payload, entrance_->own_origin());
  }

  /// See service_places::set_gauges().
  void set_gauges(std::map<std::string, detail::service_places::gauge> all) {
    services_.set_gauges(std::move(all));
  }

  void set_service(const std::string& what, service_place where) {
    services_.set(what, std::move(where));
  }

  // -- links -------------------------------------------------------------------------

  /// Link number `number` leads to the router `entry` of `node`. One that it takes the place of
  /// has ended, though that may be told only later.
  void link_up(const node_id& node, std::uint64_t number, caf::strong_actor_ptr entry) {
    if (auto* before = linked_peer(node); before != nullptr && before->number != number)
      link_down(node, before->number);
    auto& there = peer_of(node);
    forget_receipts(there);
    there.number = number;
    there.entry = std::move(entry);
    there.wanted = there.held = there.rests = false;
    ways().link_up(node);
    step_idle(idle::linked{node});
    flush(there);
  }

  /// Others have filled that link, or it has drained.
  void link_full(const node_id& node, std::uint64_t number, bool is_full) {
    auto* there = linked_peer(node);
    if (there == nullptr || there->number != number)
      return;
    ways().hold(node, is_full);
    flush(*there);
  }

  /// This side needs all its links from now on, used or not; or does so no more.
  void keep_links(bool all) {
    step_idle(idle::keep{all});
  }

  /// Fails what was sent over it and not answered. What waited for room on it waits for the next.
  void link_down(const node_id& node, std::uint64_t number) {
    auto found = peers_.find(node);
    if (found == peers_.end() || found->second.number != number)
      return; // another link has taken its place
    auto& there = found->second;
    forget_receipts(there);
    there.entry = nullptr;
    there.rests = there.held = false;
    ways().link_down(node);
    step_idle(idle::unlinked{node});
    problem why{errc::outcome_unknown, "the link to node " + to_string(node)
                                         + " was lost before the answer; the agent may have got "
                                           "the request"};
    counts_.failed
      += entrance_->pending.lost(node, [&](detail::call& each) { tell(each.by, why); });
    if (there.line.empty() && there.outbox.what.empty())
      forget(found);
    else
      want_link(there);
  }

  /// A link to that node has ended before it could be used, and any before it: word of their ends
  /// comes late, or as that of others.
  void link_missed(const node_id& node) {
    auto found = peers_.find(node);
    if (found == peers_.end())
      return;
    auto& there = found->second;
    if (there.entry)
      return link_down(node, there.number);
    there.wanted = false;
    if (there.line.empty() && there.outbox.what.empty())
      forget(found);
    else
      want_link(there);
  }

  /// Gives the router of `node` to one who uses it directly, with a link if there is none. If it
  /// `holds` the link, that stays until it is lost; else as long as it is used.
  void reach(const node_id& node, std::function<void(result<caf::strong_actor_ptr>)> done,
             bool holds = true) {
    with_link(node, [done, holds](peer* there, const problem& why) {
      if (there == nullptr)
        return done(why);
      there->held = there->held || holds;
      done(there->entry);
    });
  }

  /// There is no link to `node` and will be none for now: refuses what waits for it.
  void link_failed(const node_id& node, const problem& why) {
    auto found = peers_.find(node);
    if (found == peers_.end() || found->second.entry)
      return;
    auto& there = found->second;
    close_bundle(there);
    for (auto& each : std::exchange(there.line, {})) {
      if (each.call)
        each.call(nullptr, why);
      counts_.unreachable += each.what.letters();
      ways().drop(node, each.taken);
      for (auto number : each.asked)
        end(number, why, call_end::unreachable);
    }
    forget(found);
  }

  [[nodiscard]] router_statistics statistics() const {
    auto result = counts_;
    auto& counted = entrance_->counted();
    result.delivered += counted.delivered.load();
    result.unknown += counted.unknown.load();
    result.damaged += counted.damaged.load();
    result.uninvited += counted.uninvited.load();
    result.agents = static_cast<std::uint32_t>(entrance_->agents.size());
    result.pending = static_cast<std::uint32_t>(entrance_->pending.size());
    entrance_->ways.add_to(result);
    entrance_->going_out.add_to(result);
    for (auto& [node, each] : peers_) {
      result.links += each.entry ? 1 : 0;
      result.waiting += static_cast<std::uint32_t>(each.outbox.what.letters());
      for (auto& next : each.line)
        result.waiting += static_cast<std::uint32_t>(next.call ? 1 : next.what.letters());
    }
    return result;
  }

private:
  struct peer;

  /// What goes to a peer at once.
  struct parcel {
    bundle what;
    /// Bytes that its letters were taken for.
    std::size_t taken = 0;
    /// The requests in it.
    std::vector<std::uint64_t> asked{};
    /// Instead of a bundle; called with null if there will be no link.
    std::function<void(peer*, const problem&)> call{};
  };

  struct peer {
    node_id node{};
    std::uint64_t number = 0;
    caf::strong_actor_ptr entry;
    /// Letters that go at the end of the turn, or when there are many, or when there is room.
    parcel outbox;
    /// What waits for the link, or for room on it, before the outbox.
    std::deque<parcel> line;
    /// Bundles of which the peer is to say that it has them.
    std::deque<caf::message_id> receipts;
    bool wanted = false;
    /// Handles of actors there are in use, so the link must stay.
    bool held = false;
    /// Nothing may be sent until the link ends or the other side says that it stays.
    bool rests = false;
    caf::actor_clock::time_point used{};
  };

  [[nodiscard]] detail::routes& ways() {
    return entrance_->ways;
  }

  /// Answers first: the links end with the node.
  void leave(bool force) {
    auto answer = self_->make_response_promise();
    if (auto why = events_.may_leave(force))
      return answer.deliver(to_error(std::move(why)));
    answer.deliver(leave_receipt{to_string(node_)});
    events_.leave(force);
  }

  void maintain(bool on) {
    constexpr std::size_t most = 100;
    if (maintained_.size() >= most)
      return reply(
        to_error({errc::busy, std::to_string(most)
                                + " requests to change the maintenance of this node wait "
                                  "for an answer; retry with backoff"}));
    // It stays here: CAF counts who has it without a lock.
    maintained_.emplace(++last_maintained_, self_->make_response_promise());
    auto home = caf::weak_actor_ptr{self_->ctrl()};
    events_.maintain(on, [this, home, on, number = last_maintained_](const problem& why) {
      run_on(home, [this, on, why, number] {
        auto found = maintained_.extract(number);
        if (!found)
          return;
        if (why)
          return found.mapped().deliver(to_error(why));
        found.mapped().deliver(maintenance_receipt{to_string(node_), on});
      });
    });
  }

  /// Answers the current message, if it asks for an answer.
  template <class Answer>
  void reply(Answer what) {
    if (self_->current_message_id().is_request())
      self_->make_response_promise().deliver(std::move(what));
  }

  bool hand_to(const detail::agent_table::entry& agent, const caf::message& payload,
               const detail::origin& from) {
    return entrance_->hand_to(agent.handle, nullptr, caf::make_message_id(),
                              detail::message_for(agent, payload, [&] { return from.info(); }),
                              self_->context());
  }

  // -- messages that go out ------------------------------------------------------------

  void send(dispatch& what, word wanted) {
    auto from = entrance_->origin_of(self_->ctrl(), self_->current_sender(), what.from);
    auto where = entrance_->plan(self_->system(), what.to, from.said_bytes(), what.payload);
    if (where.refusal)
      return reply(to_error(std::move(where.refusal)));
    if (what.to.who == audience::agent || what.to.who == audience::any_with_capability)
      send_to_one(where.stops.front(), from, what, wanted);
    else
      send_to_many(where, from, what);
  }

  void send_to_one(detail::stop& where, const detail::origin& from, dispatch& what, word wanted) {
    if (where.node == node_)
      return hand_over(where.agents.front(), from, what, wanted);
    if (!self_->current_message_id().is_request())
      return fire(where, from, what.payload);
    auto says_how_it_is = wanted == word::answer && what.timeout >= least_patience;
    auto number
      = open_request(where.node, what.timeout, says_how_it_is ? where.agents.front() : agent_id{});
    if (!number)
      return ways().drop(where.node, where.bytes);
    auto why = enclose(where, {wanted,
                               number->request_id().integer_value(),
                               std::move(where.agents),
                               from.agent,
                               std::move(what.payload),
                               {},
                               detail::patience(what.timeout),
                               !from.is_here,
                               from.where.id});
    if (!why)
      return;
    ++counts_.refused;
    refuse(number->request_id().integer_value(), why);
  }

  /// Gives it to an agent of this node.
  void hand_over(const agent_id& agent, const detail::origin& from, const dispatch& what,
                 word wanted) {
    auto here = entrance_->agents.find(agent);
    if (!here)
      return reply(to_error(detail::no_agent(agent)));
    if (wanted != word::receipt)
      entrance_->ask(
        self_->ctrl(), here.handle, detail::asker::of(self_), detail::patience(what.timeout),
        detail::message_for(here, what.payload, [&] { return from.info(); }), self_->context());
    else if (hand_to(here, what.payload, from))
      reply(send_report{1});
    else
      reply(to_error(detail::no_agent(agent)));
  }

  void resolve(const resolve_agent& what) {
    if (auto here = entrance_->agents.find(what.id).handle) {
      auto answer = self_->make_response_promise();
      if (auto why = detail::check_type(what.id, here, what.takes))
        return answer.deliver(to_error(std::move(why)));
      return answer.deliver(here);
    }
    auto node = ways().node_of(what.id);
    if (node == node_id{} || node == node_)
      return self_->make_response_promise().deliver(to_error(detail::nobody(to_agent(what.id))));
    if (auto& asks = self_->current_sender(); asks && asks->node() != self_->node())
      return reply(to_error({errc::bad_argument, "agent '" + what.id.text()
                                                   + "' lives on another node than the one asked, "
                                                     "and handles are of use only with a link to "
                                                     "its own; send to its id instead"}));
    auto number = open_request(node, what.timeout, {});
    if (!number)
      return;
    with_link(node, [this, number = *number,
                     asked = find_agent{what.id, what.takes}](peer* there, const problem& why) {
      if (there == nullptr) {
        ++counts_.unreachable;
        return refuse(number.request_id().integer_value(), why);
      }
      there->held = true; // the answer is a handle
      entrance_->pending.sent(number.request_id().integer_value());
      ++counts_.forwarded;
      there->entry->enqueue(self_->ctrl(), number, caf::make_message(asked), self_->context());
    });
  }

  void send_to_many(detail::route& where, const detail::origin& from, const dispatch& what) {
    for (auto& each : where.stops) {
      if (each.node != node_) {
        fire(each, from, what.payload);
        continue;
      }
      for (auto& agent : each.agents) {
        auto here = entrance_->agents.find(agent);
        if (!here || !hand_to(here, what.payload, from))
          --where.report.sent;
      }
    }
    reply(where.report);
  }

  /// Sends a message of which nothing is wanted.
  void fire(detail::stop& where, const detail::origin& from, const caf::message& payload) {
    if (where.node == node_) {
      for (auto& each : where.agents)
        if (auto here = entrance_->agents.find(each))
          hand_to(here, payload, from);
      return;
    }
    while (where.agents.size() > bundle::max_recipients) {
      detail::stop some{where.node, {}, where.bytes / 2};
      auto middle = where.agents.end() - bundle::max_recipients;
      some.agents.assign(std::move_iterator{middle}, std::move_iterator{where.agents.end()});
      where.agents.erase(middle, where.agents.end());
      where.bytes -= some.bytes;
      fire(some, from, payload);
    }
    if (enclose(where, {word::nothing,
                        0,
                        std::move(where.agents),
                        from.agent,
                        payload,
                        {},
                        {},
                        !from.is_here,
                        from.where.id})
          .code
        != errc::none)
      ++counts_.refused;
  }

  /// Who waits less long for an answer says nothing about the agent when it gives up.
  static constexpr duration least_patience = std::chrono::milliseconds{100};

  /// Opens a request to `node` for the sender of the current message, which is told if there are
  /// too many. How it ends says how `agent` is, if one is named.
  std::optional<caf::message_id> open_request(const node_id& node, duration timeout,
                                              agent_id agent) {
    auto& pending = entrance_->pending;
    auto asks = detail::asker::of(self_);
    if (auto open = pending.size(); open >= options_.max_pending) {
      ++counts_.refused;
      tell(asks, detail::too_many_pending(open));
      return std::nullopt;
    }
    auto id = caf::message_id{enclosed_request | ++last_request_}.with_normal_priority();
    pending.open(id.request_id().integer_value(), {std::move(asks), std::move(agent)}, node,
                 to_time(self_->clock().now() + detail::patience(timeout)));
    await_deadlines();
    return id;
  }

  /// One timer for all requests: one for each would wake the clock's thread each time.
  void await_deadlines() {
    auto next = entrance_->pending.next_deadline();
    if (!next)
      return;
    patience_.arm(self_, caf::actor_clock::time_point{next->time_since_epoch()}, [this] {
      auto late = detail::in_our_words(caf::make_error(caf::sec::request_timeout));
      entrance_->pending.expire(
        to_time(self_->clock().now()), [&](detail::call& each, const node_id& node) {
          each.by.tell(self_->ctrl(), caf::make_message(late), self_->context());
          note_failure(each, node, call_end::timed_out);
        });
      await_deadlines();
    });
  }

  void refuse(std::uint64_t number, const problem& why) {
    entrance_->pending.finish(number, [&](detail::call& each, const auto&) { tell(each.by, why); });
  }

  /// Refuses it because nothing reached its agent.
  void end(std::uint64_t number, const problem& why, call_end how) {
    entrance_->pending.finish(number, [&](detail::call& each, const node_id& node) {
      tell(each.by, why);
      note_failure(each, node, how);
    });
  }

  void note_failure(const detail::call& which, const node_id& node, call_end how) {
    if (!which.agent.empty())
      entrance_->outcomes.failed(to_time(self_->clock().now()), node, which.agent, how);
  }

  void tell(detail::asker& asks, const problem& why) {
    asks.tell(self_->ctrl(), caf::make_message(to_error(why)), self_->context());
  }

  // -- bundles -------------------------------------------------------------------------

  /// Puts a letter into the bundle that goes at the end of this turn: once all is done that
  /// lies in the mailbox now, or when the bundle is full. A router that has nothing else to do
  /// sends at once. Without a link, or room on it, the bundle waits. Errors: bad_argument, if the
  /// letter cannot be written.
  [[nodiscard]] problem enclose(const detail::stop& where, const letter& what) {
    auto& there = peer_of(where.node);
    auto result = there.outbox.what.add(self_->context(), what);
    if (result == bundle::added::no_room) {
      close_bundle(there);
      flush(there);
      result = there.outbox.what.add(self_->context(), what);
    }
    if (result == bundle::added::unwritable) {
      ways().drop(where.node, where.bytes);
      return detail::unwritable();
    }
    there.outbox.taken += where.bytes;
    there.used = self_->clock().now();
    if (what.wanted != word::nothing)
      there.outbox.asked.push_back(what.number);
    if (there.outbox.what.letters() == 1)
      outgoing_.push_back(&there);
    want_link(there);
    if (there.outbox.what.full()) {
      close_bundle(there);
      flush(there);
    }
    if (++enclosed_ >= bundle::max_letters)
      flush_all(); // also to peers to whom there is less to say
    else if (!std::exchange(turn_ends_, true))
      run_on(caf::strong_actor_ptr{self_->ctrl()}, [this] {
        turn_ends_ = false;
        flush_all();
      });
    return {};
  }

  void flush_all() {
    enclosed_ = 0;
    for (auto* each : std::exchange(outgoing_, {}))
      flush(*each);
  }

  /// Puts what lies in the bundle for a peer at the end of the line.
  static void close_bundle(peer& there) {
    if (!there.outbox.what.empty())
      there.line.push_back(std::exchange(there.outbox, {}));
  }

  /// Sends what waits for a peer, as far as there is room.
  void flush(peer& there) {
    if (!there.entry || there.rests)
      return;
    while (!there.line.empty()) {
      if (!there.line.front().call && !ways().has_room(there.node))
        return;
      auto next = std::move(there.line.front());
      there.line.pop_front();
      there.used = self_->clock().now();
      if (next.call)
        next.call(&there, {});
      else
        send_bundle(there, std::move(next));
    }
    if (!there.outbox.what.empty() && ways().has_room(there.node))
      send_bundle(there, std::exchange(there.outbox, {}));
  }

  void send_bundle(peer& there, parcel next) {
    counts_.forwarded += next.what.letters();
    for (auto number : next.asked)
      entrance_->pending.sent(number);
    auto id = caf::make_message_id();
    if (ways().send(there.node, next.taken, next.what.bytes())) {
      id = self_->new_request_id(caf::message_priority::normal);
      there.receipts.push_back(id);
      compat::when_answered(
        self_, id, [this, node = there.node, id](const caf::message&) { received(node, id); });
    }
    there.entry->enqueue(self_->ctrl(), id, caf::make_message(std::move(next.what)),
                         self_->context());
  }

  /// The router of `node` has a bundle; one of an earlier link says nothing.
  void received(const node_id& node, caf::message_id which) {
    auto* there = linked_peer(node);
    if (there == nullptr || there->receipts.empty() || there->receipts.front() != which)
      return;
    there->receipts.pop_front();
    ways().received(node);
    flush(*there);
  }

  /// Nobody says any more what has arrived.
  void forget_receipts(peer& there) {
    for (auto& each : std::exchange(there.receipts, {}))
      compat::withdraw(self_, each.response_id());
  }

  // -- links that there may not be yet ---------------------------------------------------

  peer& peer_of(const node_id& node) {
    auto& there = peers_[node];
    there.node = node;
    return there;
  }

  void forget(std::map<node_id, peer>::iterator which) {
    std::erase(outgoing_, &which->second);
    peers_.erase(which);
  }

  void want_link(peer& there) {
    if (!there.entry && !std::exchange(there.wanted, true))
      events_.link_wanted(there.node);
  }

  /// Calls `send_now` once there is a link to `node`, behind all that waits for it.
  void with_link(const node_id& node, std::function<void(peer*, const problem&)> send_now) {
    auto& there = peer_of(node);
    close_bundle(there);
    there.line.push_back({.what = {}, .call = std::move(send_now)});
    want_link(there);
    flush(there);
  }

  // -- links that nobody uses ----------------------------------------------------------

  static time_point to_time(caf::actor_clock::time_point moment) {
    return time_point{moment.time_since_epoch()};
  }

  void let_rest(const rest_link& what) {
    auto node = node_id::from_string(what.node);
    if (!node)
      return reply(to_error(node.error()));
    auto found = peers_.find(*node);
    auto& asks = self_->current_sender();
    // Only the router of that node itself may stop what is sent to it.
    if (found == peers_.end() || !found->second.entry || !asks
        || asks->address() != found->second.entry->address())
      return reply(false);
    step_idle(idle::asked{*node});
  }

  void step_idle(const idle::event& what) {
    tell_idle_what_is_used();
    idle_.step(to_time(self_->clock().now()), what, idle_out_);
    carry_out_idle();
  }

  /// Links are looked at when one of them may have been idle for long, not at each message.
  void tell_idle_what_is_used() {
    auto now = self_->clock().now();
    for (auto& [node, each] : peers_) {
      auto busy = each.held || !each.line.empty() || ways().is_busy(node)
                  || entrance_->pending.waits_for(node);
      idle_.step(to_time(now), idle::used{node, to_time(busy ? now : each.used)}, idle_out_);
    }
  }

  void carry_out_idle() {
    for (auto& what : std::exchange(idle_out_, {}))
      troupe::visit([this](auto& each) { perform(each); }, what);
    auto next = idle_.next_deadline();
    if (!next)
      return;
    timer_.arm(self_, caf::actor_clock::time_point{next->time_since_epoch()}, [this] {
      tell_idle_what_is_used();
      idle_.tick(to_time(self_->clock().now()), idle_out_);
      carry_out_idle();
    });
  }

  /// Null if its link has just ended.
  peer* linked_peer(const node_id& node) {
    auto found = peers_.find(node);
    return found != peers_.end() && found->second.entry ? &found->second : nullptr;
  }

  void perform(const idle::ask& what) {
    auto* there = linked_peer(what.peer);
    if (there == nullptr)
      return;
    flush(*there);
    there->rests = true;
    auto tell = [this, node = what.peer, number = there->number](bool agrees) {
      if (auto* now = linked_peer(node); now != nullptr && now->number == number)
        step_idle(idle::answered{node, agrees});
    };
    compat::relay(
      self_, there->entry, answer_within_, caf::make_message(rest_link{to_string(node_)}),
      [tell](const caf::message& said) {
        tell(said.match_elements<bool>() && said.get_as<bool>(0));
      },
      [tell](const caf::error&) { tell(false); });
  }

  void perform(const idle::answer& what) {
    if (auto* there = linked_peer(what.peer); there != nullptr && what.agrees) {
      flush(*there);
      there->rests = true;
    }
    reply(what.agrees);
  }

  void perform(const idle::close& what) {
    if (auto* there = linked_peer(what.peer))
      events_.link_idle(what.peer, there->number);
  }

  void perform(const idle::go_on& what) {
    if (auto* there = linked_peer(what.peer)) {
      there->rests = false;
      flush(*there);
    }
  }

  // -- errors -------------------------------------------------------------------------

  void end_agent(const caf::actor_addr& who) {
    for (auto& id : entrance_->agents.end_of(who))
      events_.agent_ended(id);
  }

  caf::event_based_actor* self_;
  std::shared_ptr<detail::entrance> entrance_;
  node_id node_;
  router_options options_;
  router_events events_;
  /// Who has asked for maintenance and has no answer yet.
  std::map<std::uint64_t, caf::response_promise> maintained_;
  std::uint64_t last_maintained_ = 0;
  detail::service_places services_;
  std::map<node_id, peer> peers_;
  /// Peers that may have an open bundle. Stale and repeated ones are harmless.
  std::vector<peer*> outgoing_;
  std::uint64_t last_request_ = 0;
  /// Letters in bundles since all were sent.
  std::size_t enclosed_ = 0;
  /// Whether the end of this turn lies in the mailbox.
  bool turn_ends_ = false;
  router_statistics counts_;
  idle_links idle_;
  idle_links::effects idle_out_;
  duration answer_within_;
  deadline_timer timer_;
  deadline_timer patience_;
};

/// The actor of a router. What its entrance takes never comes into its mailbox.
class node_router : public caf::stateful_actor<router_state> {
public:
  template <class... Ts>
  node_router(caf::actor_config& cfg, std::shared_ptr<detail::entrance> entrance, Ts&&... xs)
    : caf::stateful_actor<router_state>(cfg, entrance, std::forward<Ts>(xs)...),
      entrance_(std::move(entrance)) {}

  using caf::stateful_actor<router_state>::enqueue;

  bool enqueue(caf::mailbox_element_ptr what, compat::execution_context* context) override {
    if (entrance_->take(ctrl(), *what, context))
      return true;
    return caf::stateful_actor<router_state>::enqueue(std::move(what), context);
  }

private:
  /// Not in the state, which ends before the last message comes.
  std::shared_ptr<detail::entrance> entrance_;
};

/// A router, for the node that owns it. Thread-safe: calls become jobs of its actor.
class router_access {
public:
  /// With `peers` a request is answered by the node that was asked, or by nobody, and an agent can
  /// ask who sent a message over a link.
  router_access(caf::actor_system& sys, const node_id& node, router_options options,
                router_events events, idle_options idle = {}, link_peer_finder peers = {})
    : system_(&sys),
      entrance_(std::make_shared<detail::entrance>(node, options, events.called, std::move(peers))),
      inside_(sys.spawn<node_router>(entrance_, node, options, std::move(events), idle)) {}

  /// Sends a message to one or many; does not block. Errors (to one, nothing was sent): not_found,
  /// limit_reached (too much waits for its node; to many: nothing was sent to some of them),
  /// too_large, bad_argument (it cannot be written), cancelled (the router has ended).
  [[nodiscard]] problem send(const recipients& to, const caf::message& payload) const {
    if (to.who == audience::agent)
      if (auto here = entrance_->agents.find(std::string_view{to.name}))
        return outcome(run(
          [here = std::move(here), payload](router_state& state) { state.bring(here, payload); }));
    auto where = entrance_->plan(*system_, to, 0, payload);
    if (where.refusal)
      return where.refusal;
    auto taken = where.stops.empty()
                 || run([stops = std::move(where.stops), payload](router_state& state) mutable {
                      state.send(std::move(stops), payload);
                    });
    if (!taken)
      return outcome(false);
    return where.report.refused + where.report.left_out > 0 ? detail::not_all(where.report)
                                                            : problem{};
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
  static problem outcome(bool is_taken) {
    return is_taken ? problem{}
                    : problem{errc::cancelled, "the node is stopping; nothing was sent"};
  }

  caf::actor_system* system_;
  std::shared_ptr<detail::entrance> entrance_;
  caf::actor inside_;
};

} // namespace troupe::router
