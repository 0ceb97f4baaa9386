#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/core/result.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/service_places.hpp"
#include "troupe/router/directory.hpp"
#include "troupe/router/idle_links.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router {

/// What a router asks of its node. Called on the router's actor; must not block.
struct router_events {
  /// There is something to send to that node and no link to it.
  std::function<void(const std::string& node)> link_wanted;
  /// An agent of this node has ended by itself.
  std::function<void(const std::string& agent)> agent_ended;
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
  std::function<void(const std::string& node, std::uint64_t number)> link_idle
    = [](const std::string&, std::uint64_t) {};
};

/// Brings messages to agents, wherever they live: the entry point of its node. Finds out
/// who is meant, hands on to agents here, sends to the routers of other nodes, and fails
/// requests as soon as their link is gone (CAF would let them run into their time-out).
/// An agent gets the application's own message and sees no envelope.
///
/// Delivery is at most once. Messages from one sender to one agent keep their order as
/// long as the link lasts. A link that neither side uses is closed (see idle_links) and
/// made again for the next message; those over which handles were found stay.
///
/// Public functions other than make_behavior() are for the node, through router_access.
class router_state {
public:
  static inline const char* name = "troupe.router";

  router_state(caf::event_based_actor* self, std::shared_ptr<detail::entrance> entrance,
               std::string node, router_options options, router_events events, idle_options idle)
    : self_(self),
      entrance_(std::move(entrance)),
      node_(std::move(node)),
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
      [this](const rest_link& what) { let_rest(what.node); },
      [this](const find_agent& what) -> caf::result<caf::strong_actor_ptr> {
        if (auto found = entrance_->agents.find(what.id))
          return found;
        return to_error(detail::no_agent(what.id));
      },
      [this](const resolve_agent& what) { resolve(what); },
      [this](const find_service& what) { return services_.find(what); },
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

  /// Returns limit_reached or name_taken.
  [[nodiscard]] problem add_agent(const std::string& id, const caf::strong_actor_ptr& handle) {
    return entrance_->agents.add(self_, id, handle, options_.max_agents);
  }

  /// Hands nothing to the agent from here on. Returns it, null if there was none.
  caf::strong_actor_ptr remove_agent(const std::string& id) {
    return entrance_->agents.remove(self_, id);
  }

  // -- what the node knows -------------------------------------------------------------

  [[nodiscard]] directory& places() {
    return places_;
  }

  void set_service(const std::string& what, service_place where) {
    services_.set(what, std::move(where));
  }

  // -- links -------------------------------------------------------------------------

  /// Link number `number` leads to the router `entry` of `node`.
  void link_up(const std::string& node, std::uint64_t number, caf::strong_actor_ptr entry) {
    auto& there = peers_[node];
    there.number = number;
    there.entry = std::move(entry);
    there.outbox = {};
    there.wanted = there.held = there.rests = false;
    step_idle(idle::linked{node});
    flush(there);
  }

  /// This side needs all its links from now on, used or not; or does so no more.
  void keep_links(bool all) {
    step_idle(idle::keep{all});
  }

  /// Fails what was sent over it and not answered.
  void link_down(const std::string& node, std::uint64_t number) {
    auto found = peers_.find(node);
    if (found == peers_.end() || found->second.number != number)
      return; // another link has taken its place
    found->second.entry = nullptr;
    found->second.outbox = {};
    std::erase(outgoing_, &found->second);
    found->second.rests = found->second.held = false;
    step_idle(idle::unlinked{node});
    problem why{errc::outcome_unknown, "the link to node " + node
                                         + " was lost before the answer; the agent may have got "
                                           "the request"};
    counts_.failed += entrance_->pending.lost(node, [&](detail::asker& each) { tell(each, why); });
    if (found->second.line.empty()) {
      peers_.erase(found);
    } else { // came up while the link was let to rest
      found->second.wanted = true;
      events_.link_wanted(node);
    }
  }

  /// Gives the router of `node` to one who uses it directly, with a link if there is none. The
  /// link then stays until it is lost.
  void reach(const std::string& node, std::function<void(result<caf::strong_actor_ptr>)> done) {
    auto tell = [this, done](peer* there, const problem& why) {
      if (there == nullptr)
        return done(why);
      there->held = true;
      close_bundle(*there);
      done(there->entry);
    };
    if (!with_link(node, tell))
      done(too_much_waits());
  }

  /// There is no link to `node` and will be none for now: refuses what waits for it.
  void link_failed(const std::string& node, const problem& why) {
    auto found = peers_.find(node);
    if (found == peers_.end() || found->second.entry)
      return;
    for (auto& send_now : std::exchange(found->second.line, {})) {
      --waiting_;
      send_now(nullptr, why);
    }
    peers_.erase(node);
  }

  [[nodiscard]] router_statistics statistics() const {
    auto result = counts_;
    auto& counted = entrance_->counted();
    result.delivered += counted.delivered.load();
    result.unknown += counted.unknown.load();
    result.damaged += counted.damaged.load();
    result.agents = static_cast<std::uint32_t>(entrance_->agents.size());
    result.pending = static_cast<std::uint32_t>(entrance_->pending.size());
    result.waiting = static_cast<std::uint32_t>(waiting_);
    for (auto& [node, each] : peers_)
      if (each.entry)
        ++result.links;
    return result;
  }

private:
  struct peer {
    std::uint64_t number = 0;
    caf::strong_actor_ptr entry;
    /// Letters that go at the end of the turn, or when there are many.
    bundle outbox;
    /// What waits for the link; called with null if there will be none.
    std::deque<std::function<void(peer*, const problem&)>> line;
    bool wanted = false;
    /// Handles of actors there are in use, so the link must stay.
    bool held = false;
    /// Nothing may be sent until the link ends or the other side says that it stays.
    bool rests = false;
    caf::actor_clock::time_point used{};
  };

  /// Answers first: the links end with the node.
  void leave(bool force) {
    auto answer = self_->make_response_promise();
    if (auto why = events_.may_leave(force); why.code != errc::none)
      return answer.deliver(to_error(std::move(why)));
    answer.deliver(leave_receipt{node_});
    events_.leave(force);
  }

  void maintain(bool on) {
    auto answer = self_->make_response_promise();
    auto home = caf::weak_actor_ptr{self_->ctrl()};
    events_.maintain(on, [this, home, on, answer](const problem& why) {
      run_on(home, [this, on, why, answer]() mutable {
        if (why.code != errc::none)
          return answer.deliver(to_error(why));
        answer.deliver(maintenance_receipt{node_, on});
      });
    });
  }

  /// Answers the current message, if it asks for an answer.
  template <class Answer>
  void reply(Answer what) {
    if (self_->current_message_id().is_request())
      self_->make_response_promise().deliver(std::move(what));
  }

  void hand_to(const caf::strong_actor_ptr& agent, caf::message_id id,
               const caf::message& payload) {
    entrance_->hand_to(agent, self_->current_sender(), id, payload, self_->context());
  }

  // -- messages that go out ------------------------------------------------------------

  void send(dispatch& what, word wanted) {
    auto one = what.to.who == audience::agent || what.to.who == audience::any_with_capability;
    if (one)
      send_to_one(what, wanted);
    else
      send_to_many(what);
  }

  void send_to_one(dispatch& what, word wanted) {
    if (what.to.who == audience::agent && hand_over(what.to.name, what.payload, wanted))
      return;
    auto* where = places_.find_one(what.to);
    if (where == nullptr) {
      ++counts_.unknown;
      return reply(to_error(detail::nobody(what.to)));
    }
    if (where->node == node_ && hand_over(where->agent, what.payload, wanted))
      return;
    if (!self_->current_message_id().is_request())
      wanted = word::nothing;
    letter made{wanted, 0, where->agent, std::move(what.from), std::move(what.payload)};
    if (wanted == word::nothing)
      fire(where->node, std::move(made));
    else
      ask(where->node, std::move(made), what.timeout);
  }

  /// Gives it to an agent of this node; returns false if there is none of that id.
  bool hand_over(const std::string& agent, const caf::message& payload, word wanted) {
    auto here = entrance_->agents.find(agent);
    if (!here)
      return false;
    if (wanted == word::receipt) {
      hand_to(here, caf::make_message_id(), payload);
      reply(send_report{1, 0});
    } else {
      hand_to(here, self_->take_current_message_id(), payload);
    }
    return true;
  }

  void resolve(const resolve_agent& what) {
    if (auto here = entrance_->agents.find(what.id))
      return self_->make_response_promise().deliver(here);
    auto found = places_.find(to_agent(what.id), 1);
    if (found.empty() || found.front().node == node_)
      return self_->make_response_promise().deliver(to_error(detail::nobody(to_agent(what.id))));
    ask(found.front().node, what.timeout,
        [this, id = what.id](peer& there, caf::message_id number) {
          there.held = true; // the answer is a handle
          there.entry->enqueue(self_->ctrl(), number, caf::make_message(find_agent{id}),
                               self_->context());
          return problem{};
        });
  }

  void send_to_many(dispatch& what) {
    auto found = places_.find(what.to, options_.max_recipients);
    std::map<std::string, std::vector<std::string>> by_node;
    for (auto& each : found)
      by_node[each.node].push_back(each.agent);
    send_report report;
    for (auto& [node, agents] : by_node) {
      auto count = static_cast<std::uint32_t>(agents.size());
      if (node == node_) {
        for (auto& each : agents)
          if (auto here = entrance_->agents.find(each)) {
            hand_to(here, caf::make_message_id(), what.payload);
            ++report.sent;
          }
      } else if (fire(node, {std::move(agents), what.from, what.payload})) {
        report.sent += count;
      } else {
        report.unreachable += count;
      }
    }
    if (self_->current_message_id().is_request())
      self_->make_response_promise().deliver(report);
  }

  /// Sends `what`, of which nothing is wanted.
  void fire(const std::string& node, letter what) {
    if (auto* there = ready_peer(node))
      return forward(*there, what);
    with_link(node, [this, what = std::move(what)](peer* there, const problem&) {
      if (there == nullptr)
        ++counts_.unreachable;
      else
        forward(*there, what);
    });
  }

  void forward(peer& there, const letter& what) {
    if (enclose(there, what).code == errc::none)
      ++counts_.forwarded;
    else
      ++counts_.refused;
  }

  /// Sends to many agents of a node; returns false if there is no room to wait for a link.
  bool fire(const std::string& node, envelope letter) {
    return with_link(node, [this, letter = std::move(letter)](peer* there, const problem&) mutable {
      if (there == nullptr) {
        ++counts_.unreachable;
        return;
      }
      ++counts_.forwarded;
      close_bundle(*there); // what was sent before goes first
      there->entry->enqueue(nullptr, caf::make_message_id(), caf::make_message(std::move(letter)),
                            self_->context());
    });
  }

  /// Sends a letter and brings back what is wanted of it.
  void ask(const std::string& node, letter what, duration timeout) {
    ask(node, timeout, [this, what = std::move(what)](peer& there, caf::message_id id) mutable {
      what.number = id.request_id().integer_value();
      return enclose(there, what);
    });
  }

  /// Calls `send(peer&, message_id) -> problem` once there is a link, and passes on the answer.
  template <class Send>
  void ask(const std::string& node, duration timeout, Send send) {
    auto& pending = entrance_->pending;
    auto asks = detail::asker::of(self_);
    if (auto open = pending.size(); open >= options_.max_pending) {
      ++counts_.refused;
      return tell(asks, detail::too_many_pending(open));
    }
    auto id = self_->new_request_id(caf::message_priority::normal);
    auto number = id.request_id().integer_value();
    pending.open(number, std::move(asks), node);
    auto go = [this, id, number, span = detail::patience(timeout),
               send = std::move(send)](peer* there, const problem& why) mutable {
      if (there == nullptr) {
        ++counts_.unreachable;
        return refuse(number, why);
      }
      entrance_->pending.sent(number, to_time(self_->clock().now() + span));
      await_deadlines();
      if (auto failed = send(*there, id); failed.code != errc::none) {
        ++counts_.refused;
        return refuse(number, failed);
      }
      ++counts_.forwarded;
    };
    if (auto* there = ready_peer(node))
      go(there, {});
    else if (!with_link(node, std::move(go)))
      refuse(number, too_much_waits());
  }

  /// One timer for all requests: one for each would wake the clock's thread each time.
  void await_deadlines() {
    auto next = entrance_->pending.next_deadline();
    if (!next)
      return;
    patience_.arm(self_, caf::actor_clock::time_point{next->time_since_epoch()}, [this] {
      auto late = detail::in_our_words(caf::make_error(caf::sec::request_timeout));
      entrance_->pending.expire(to_time(self_->clock().now()), [&](detail::asker& asks) {
        asks.tell(self_->ctrl(), caf::make_message(late), self_->context());
      });
      await_deadlines();
    });
  }

  void refuse(std::uint64_t number, const problem& why) {
    entrance_->pending.finish(number, [&](detail::asker& asks) { tell(asks, why); });
  }

  void tell(detail::asker& asks, const problem& why) {
    asks.tell(self_->ctrl(), caf::make_message(to_error(why)), self_->context());
  }

  // -- bundles -------------------------------------------------------------------------

  /// Puts a letter into the bundle that goes at the end of this turn: once all is done that
  /// lies in the mailbox now, or when the bundle is full. A router that has nothing else to do
  /// sends at once. Errors: bad_argument, if it cannot be written.
  [[nodiscard]] problem enclose(peer& there, const letter& what) {
    auto result = there.outbox.add(self_->context(), what);
    if (result == bundle::added::no_room) {
      close_bundle(there);
      result = there.outbox.add(self_->context(), what);
    }
    if (result == bundle::added::unwritable)
      return {errc::bad_argument, "the message holds a value that cannot be sent to another "
                                  "node; send types that can be serialized"};
    if (there.outbox.letters() == 1)
      outgoing_.push_back(&there);
    if (there.outbox.full())
      close_bundle(there);
    if (++enclosed_ >= bundle::max_letters)
      close_bundles(); // of peers to whom there is less to say
    else if (!std::exchange(turn_ends_, true))
      run_on(caf::strong_actor_ptr{self_->ctrl()}, [this] {
        turn_ends_ = false;
        close_bundles();
      });
    return {};
  }

  void close_bundles() {
    enclosed_ = 0;
    for (auto* each : std::exchange(outgoing_, {}))
      close_bundle(*each);
  }

  /// Sends what lies in the bundle for a peer, if anything does.
  void close_bundle(peer& there) {
    if (!there.outbox.empty())
      there.entry->enqueue(self_->ctrl(), caf::make_message_id(),
                           caf::make_message(std::exchange(there.outbox, {})), self_->context());
  }

  // -- links that there may not be yet ---------------------------------------------------

  /// Null if something has to be waited for before `node` can be sent a message.
  peer* ready_peer(const std::string& node) {
    auto found = peers_.find(node);
    if (found == peers_.end() || !found->second.entry || found->second.rests)
      return nullptr;
    found->second.used = self_->clock().now();
    return &found->second;
  }

  /// Calls `send_now` once there is a link to `node`; returns false if too much waits.
  bool with_link(const std::string& node, std::function<void(peer*, const problem&)> send_now) {
    if (auto* there = ready_peer(node)) {
      send_now(there, {});
      return true;
    }
    if (waiting_ >= options_.max_waiting) {
      ++counts_.refused;
      return false;
    }
    auto& there = peers_[node];
    ++waiting_;
    there.line.push_back(std::move(send_now));
    if (!there.entry && !std::exchange(there.wanted, true))
      events_.link_wanted(node);
    return true;
  }

  /// Sends what has waited for the link.
  void flush(peer& there) {
    there.used = self_->clock().now();
    for (auto& send_now : std::exchange(there.line, {})) {
      --waiting_;
      send_now(&there, {});
    }
  }

  // -- links that nobody uses ----------------------------------------------------------

  static time_point to_time(caf::actor_clock::time_point moment) {
    return time_point{moment.time_since_epoch()};
  }

  void let_rest(const std::string& node) {
    auto found = peers_.find(node);
    auto& asks = self_->current_sender();
    // Only the router of that node itself may stop what is sent to it.
    if (found == peers_.end() || !found->second.entry || !asks
        || asks->address() != found->second.entry->address())
      return reply(false);
    step_idle(idle::asked{node});
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
      auto busy = each.held || entrance_->pending.waits_for(node);
      idle_.step(to_time(now), idle::used{node, to_time(busy ? now : each.used)}, idle_out_);
    }
  }

  void carry_out_idle() {
    for (auto& what : std::exchange(idle_out_, {}))
      std::visit([this](auto& each) { perform(each); }, what);
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
  peer* linked_peer(const std::string& node) {
    auto found = peers_.find(node);
    return found != peers_.end() && found->second.entry ? &found->second : nullptr;
  }

  void perform(const idle::ask& what) {
    auto* there = linked_peer(what.peer);
    if (there == nullptr)
      return;
    there->rests = true;
    close_bundle(*there);
    auto tell = [this, node = what.peer, number = there->number](bool agrees) {
      if (auto* now = linked_peer(node); now != nullptr && now->number == number)
        step_idle(idle::answered{node, agrees});
    };
    compat::relay(
      self_, there->entry, answer_within_, caf::make_message(rest_link{node_}),
      [tell](const caf::message& said) {
        tell(said.match_elements<bool>() && said.get_as<bool>(0));
      },
      [tell](const caf::error&) { tell(false); });
  }

  void perform(const idle::answer& what) {
    if (auto* there = linked_peer(what.peer); there != nullptr && what.agrees) {
      there->rests = true;
      close_bundle(*there);
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

  [[nodiscard]] problem too_much_waits() const {
    return {errc::limit_reached, std::to_string(waiting_)
                                   + " messages wait for links; retry with backoff or raise "
                                     "router_options::max_waiting"};
  }

  void end_agent(const caf::actor_addr& who) {
    for (auto& id : entrance_->agents.end_of(who))
      events_.agent_ended(id);
  }

  caf::event_based_actor* self_;
  std::shared_ptr<detail::entrance> entrance_;
  std::string node_;
  router_options options_;
  router_events events_;
  directory places_;
  detail::service_places services_;
  std::map<std::string, peer, std::less<>> peers_;
  std::size_t waiting_ = 0;
  /// Who may have an open bundle. One that has none is no harm, nor is one twice.
  std::vector<peer*> outgoing_;
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
  router_access(caf::actor_system& sys, std::string node, router_options options,
                router_events events, idle_options idle = {})
    : inside_(sys.spawn<node_router>(std::make_shared<detail::entrance>(), std::move(node), options,
                                     std::move(events), idle)) {}

  /// Runs `job(router_state&)` on the router; returns false if that has ended.
  template <class Job>
  bool run(Job job) const {
    return run_on_state<router_state>(inside_, std::move(job));
  }

  [[nodiscard]] const caf::actor& handle() const {
    return inside_;
  }

private:
  caf::actor inside_;
};

} // namespace troupe::router
