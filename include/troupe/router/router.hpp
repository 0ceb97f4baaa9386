#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/outbound.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/detail/service_places.hpp"
#include "troupe/router/idle_links.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/peer_lines_types.hpp"
#include "troupe/router/router_events.hpp"

namespace troupe::router {

/// Ends an actor before its next message.
inline void kill_next(const caf::strong_actor_ptr& which) {
  which->enqueue(nullptr, caf::make_message_id(caf::message_priority::high),
                 caf::make_message(caf::exit_msg{which->address(), caf::exit_reason::kill}),
                 nullptr);
}

/// Brings messages to agents, wherever they live: the entry point of its node. Finds out
/// who is meant, hands on to agents here, sends to the routers of other nodes, and fails
/// requests as soon as their link is gone (CAF would let them run into their time-out).
/// An agent gets the application's own message and sees no envelope.
///
/// Delivery is at most once. Messages from one sender to one agent keep their order as
/// long as the link lasts; what goes to other nodes, and when, peer_lines decides. What waits for a
/// link, or for room on it, is bounded in bytes (see waiting_room); beyond that messages are
/// refused, and so are the answers of agents. A request is not sent after its caller was told that
/// it timed out. A link that neither side uses is closed (see idle_links) and made again for the
/// next message; those over which handles were found stay.
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
      outbound_(self, *entrance_, node, options, events_, idle, counts_) {
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
      [this](const rest_link& what) { outbound_.let_rest(what); },
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
    outbound_.link_up(node, number, std::move(entry));
  }

  /// Others have filled that link, or it has drained.
  void link_full(const node_id& node, std::uint64_t number, bool is_full) {
    outbound_.step(lines::link_full{node, number, is_full});
  }

  /// This side needs all its links from now on, used or not; or does so no more.
  void keep_links(bool all) {
    outbound_.step(lines::keep_links{all});
  }

  /// Fails what was sent over it and not answered. What waited for room on it waits for the next.
  void link_down(const node_id& node, std::uint64_t number) {
    outbound_.step(lines::link_down{node, number});
  }

  /// A link to that node has ended before it could be used, and any before it: word of their ends
  /// comes late, or as that of others.
  void link_missed(const node_id& node) {
    outbound_.step(lines::link_missed{node});
  }

  /// Gives the router of `node` to one who uses it directly, with a link if there is none. If it
  /// `holds` the link, that stays until it is lost; else as long as it is used.
  void reach(const node_id& node, std::function<void(result<caf::strong_actor_ptr>)> done,
             bool holds = true) {
    outbound_.visit(node, holds,
                    [done = std::move(done)](const caf::strong_actor_ptr& entry, std::uint64_t,
                                             const problem& why) {
                      if (!entry)
                        return done(why);
                      done(entry);
                    });
  }

  /// There is no link to `node` and will be none for now: refuses what waits for it.
  void link_failed(const node_id& node, const problem& why) {
    outbound_.step(lines::link_failed{node, why});
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
    outbound_.add_to(result);
    return result;
  }

private:
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
    auto number = outbound_.open_request(where.node, what.timeout,
                                         says_how_it_is ? where.agents.front() : agent_id{});
    if (!number)
      return ways().drop(where.node, where.bytes);
    auto why = outbound_.enclose(where, {wanted,
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
    outbound_.refuse(number->request_id().integer_value(), why);
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
    auto id = outbound_.open_request(node, what.timeout, {});
    if (!id)
      return;
    auto number = id->request_id().integer_value();
    outbound_.visit(
      node, true, // the answer is a handle
      [this, id = *id, number, asked = find_agent{what.id, what.takes}](
        const caf::strong_actor_ptr& entry, std::uint64_t link, const problem& why) {
        if (!entry) {
          if (outbound_.refuse(number, why))
            ++(why.code == errc::limit_reached ? counts_.refused : counts_.unreachable);
          return;
        }
        entrance_->pending.sent(number, link);
        ++counts_.forwarded;
        entry->enqueue(self_->ctrl(), id, caf::make_message(asked), self_->context());
      },
      number);
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
    if (outbound_
          .enclose(where, {word::nothing,
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
  router_statistics counts_;
  detail::outbound outbound_;
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
