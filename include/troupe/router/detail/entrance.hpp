#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/error.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/sec.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/answers.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/call_outcomes.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/open_requests.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router::detail {

/// A request to another node.
struct call {
  asker by;
  /// Whose answer says that it is well. Empty: none does.
  agent_id agent;
};

/// The part of a router that works in the thread which brings a message: hands on what comes
/// for agents, and answers to those who wait for them. So between a link and either there is no
/// hand-over to a thread of the router, and messages keep the order of their link. Whatever
/// else a router gets, it handles in its own turn.
///
/// Thread-safe; outlives the state of its actor, which closes it.
class entrance {
public:
  entrance(const node_id& node, const router_options& options, call_outcomes::teller called,
           link_peer_finder peers)
    : ways(node, options),
      outcomes(std::move(called)),
      going_out(options),
      peers_(std::move(peers)),
      own_{node, true, true} {}

  agent_table agents;
  /// To the agents of all nodes.
  routes ways;
  /// By the numbers of their requests; sent over links, by their numbers.
  open_requests<node_id, std::uint64_t, call> pending;
  /// What becomes of these.
  call_outcomes outcomes;
  /// To those who ask over links.
  answers going_out;

  struct counts {
    std::atomic<std::uint64_t> delivered{0};
    std::atomic<std::uint64_t> unknown{0};
    std::atomic<std::uint64_t> damaged{0};
    std::atomic<std::uint64_t> uninvited{0};
  };

  [[nodiscard]] const counts& counted() const {
    return counts_;
  }

  /// Takes `what` if it is a message for agents, or an answer to one or to somebody behind a link;
  /// returns false if not, then it is as it was. `self` is the router.
  bool take(const caf::strong_actor_ptr& self, caf::mailbox_element& what,
            compat::execution_context* context) {
    if (closed_.load(std::memory_order_acquire))
      return false;
    if (what.mid.is_response())
      return bring_back(self, what, context);
    if (what.payload.match_elements<bundle>()) {
      deliver(self, what.sender, what.payload.get_mutable_as<bundle>(0), context);
      say_that_it_is_here(self, what, context);
    } else if (what.payload.match_elements<envelope>()) {
      auto& letter = what.payload.get_as<envelope>(0);
      deliver_to(
        letter.to, self, {what.sender, what.mid}, patience(quiet_patience), letter.payload,
        [&] { return origin_of(self, what.sender, agent_id{}).info(); }, context);
    } else if (what.payload.match_elements<ready_answer>()) {
      going_out.tell(self, {what.sender, what.mid, what.stages},
                     std::move(what.payload.get_mutable_as<ready_answer>(0).what), context,
                     patience(quiet_patience));
    } else if (compat::is_ping(what.payload)) {
      say_that_it_is_here(self, what, context);
    } else {
      return false;
    }
    return true;
  }

  /// Hands a message to an agent of this process, which answers `asks` if `id` asks for an
  /// answer. Returns false if the agent has just ended; who asks has heard so then.
  bool hand_to(const caf::strong_actor_ptr& agent, const caf::strong_actor_ptr& asks,
               caf::message_id id, const caf::message& payload, compat::execution_context* context,
               caf::mailbox_element::forwarding_stack stages = {}) {
    auto taken = detail::hand_to(agent, asks, id, payload, context, std::move(stages));
    (taken ? counts_.delivered : counts_.unknown).fetch_add(1, std::memory_order_relaxed);
    return taken;
  }

  /// Returns who asks the router for something; an agent of this process may say which of its ids
  /// it sends as. `self` is the router.
  [[nodiscard]] origin origin_of(const caf::strong_actor_ptr& self,
                                 const caf::strong_actor_ptr& sender, const agent_id& says) const {
    if (!sender)
      return {}; // perhaps from elsewhere: CAF does not say
    if (auto there = peer_of(sender); there.id != node_id{} || sender->node() != self->node())
      return {there, {}, false};
    return {own_, agents.id_of(sender->address(), says), true};
  }

  /// The origin of what this node sends itself.
  [[nodiscard]] origin own_origin() const {
    return {own_, {}, true};
  }

  /// Finds out where a message goes and takes it; see routes::plan().
  [[nodiscard]] route plan(caf::actor_system& sys, const recipients& to, std::size_t from_bytes,
                           const caf::message& payload) {
    return ways.plan(
      to, from_bytes, [this](std::string_view id) { return bool{agents.find(id)}; },
      [&] { return compat::size_of(sys, payload).value_or(routes::npos); });
  }

  /// Hands it to an agent of this process for `asks`, and brings back the answer, for which they
  /// wait so long.
  bool ask(const caf::strong_actor_ptr& self, const caf::strong_actor_ptr& agent, asker asks,
           duration wait, const caf::message& payload, compat::execution_context* context) {
    auto by = going_out.stand_in(self, std::move(asks), wait, context);
    return hand_to(agent, by.who, by.id, payload, context, std::move(by.stages));
  }

  /// Ends all requests and lets go of all agents. The answers have no sender: the router may be
  /// at the end of its life, when nobody may hold it any more.
  void close() {
    closed_.store(true, std::memory_order_release);
    pending.clear([](call& each) {
      each.by.tell(nullptr, caf::make_message(caf::make_error(caf::sec::broken_promise)), nullptr);
    });
    agents.clear();
    going_out.clear();
  }

private:
  /// Its router counts what has arrived.
  static void say_that_it_is_here(const caf::strong_actor_ptr& self,
                                  const caf::mailbox_element& what,
                                  compat::execution_context* context) {
    if (what.sender && what.mid.is_request())
      what.sender->enqueue(self, what.mid.response_id(), caf::message{}, context);
  }

  bool bring_back(const caf::strong_actor_ptr& self, caf::mailbox_element& what,
                  compat::execution_context* context) {
    if (going_out.take(self, what, context))
      return true;
    auto number = what.mid.request_id().integer_value();
    auto deliver = [&](call& to, const node_id& node) {
      if (!to.agent.empty() && !what.payload.match_elements<caf::error>())
        outcomes.answered(node, to.agent);
      going_out.tell(self, std::move(to.by), in_our_words(std::move(what.payload)), context);
    };
    // From this process, or without a sender, it is CAF's word for what never got there.
    if (!peers_ || !what.sender || what.sender->node() == self->node())
      return pending.finish(number, deliver);
    if (auto by = peers_(what.sender).id; by != node_id{} && pending.finish_by(by, number, deliver))
      return true;
    if (!pending.is_open(number))
      return false;
    counts_.uninvited.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  void deliver(const caf::strong_actor_ptr& self, const caf::strong_actor_ptr& asks, bundle& what,
               compat::execution_context* context) {
    auto arrived = what.take(context);
    if (arrived.damage)
      counts_.damaged.fetch_add(1, std::memory_order_relaxed);
    for (auto& each : arrived.letters) {
      // Built anew from the number, so that no letter passes for an answer.
      auto id = each.wanted == word::nothing || !asks
                  ? caf::make_message_id()
                  : caf::message_id{each.number & caf::message_id::request_id_mask}
                      .with_normal_priority();
      auto why = arrived.damage ? arrived.damage : each.unreadable;
      if (why)
        answer(self, asks, id, to_error(std::move(why)), context);
      else if (each.wanted == word::receipt)
        deliver_and_say(self, asks, id, each, context);
      else
        for (auto& agent : each.to)
          deliver_to(
            agent, self, {asks, id}, patience(each.patience), each.payload,
            [&] { return origin_of(self, asks, each).info(); }, context);
    }
  }

  /// The receipt is for what is in the mailbox.
  void deliver_and_say(const caf::strong_actor_ptr& self, const caf::strong_actor_ptr& asks,
                       caf::message_id id, const letter& what, compat::execution_context* context) {
    auto agent = agents.find(what.to.front());
    if (!agent)
      answer(self, asks, id, to_error(unknown(what.to.front())), context);
    else if (hand_to(
               agent.handle, nullptr, caf::make_message_id(),
               message_for(agent, what.payload, [&] { return origin_of(self, asks, what).info(); }),
               context))
      answer(self, asks, id, send_report{1}, context);
    else
      answer(self, asks, id, to_error(no_agent(what.to.front())), context);
  }

  template <class FindInfo>
  void deliver_to(const agent_id& id, const caf::strong_actor_ptr& self, asker asks, duration wait,
                  const caf::message& payload, const FindInfo& find_info,
                  compat::execution_context* context) {
    if (auto agent = agents.find(id))
      ask(self, agent.handle, std::move(asks), wait, message_for(agent, payload, find_info),
          context);
    else
      answer(self, asks.who, asks.id, to_error(unknown(id)), context);
  }

  /// Of the peer of a link, or of this node's own process.
  [[nodiscard]] link_peer peer_of(const caf::strong_actor_ptr& sender) const {
    return peers_ ? peers_(sender) : link_peer{};
  }

  /// Only a member is believed about what it passes on, and about the names of its agents.
  [[nodiscard]] origin origin_of(const caf::strong_actor_ptr& self,
                                 const caf::strong_actor_ptr& sender, const letter& what) const {
    auto by = origin_of(self, sender, agent_id{});
    if (by.where.id == node_id{} || !by.where.is_member)
      return by;
    if (what.is_passed_on)
      return what.first != node_id{} ? origin{{what.first, false, by.where.is_proven}} : origin{};
    if (!what.from.empty() && ways.may_be_on(what.from, by.where.id, bool{agents.find(what.from)}))
      by.agent = what.from;
    return by;
  }

  problem unknown(const agent_id& agent) {
    counts_.unknown.fetch_add(1, std::memory_order_relaxed);
    return no_agent(agent);
  }

  /// Answers the request `id` of `whom`, if it is one.
  template <class Answer>
  void answer(const caf::strong_actor_ptr& self, const caf::strong_actor_ptr& whom,
              caf::message_id id, Answer what, compat::execution_context* context) {
    if (whom && id.is_request())
      going_out.tell(self, {whom, id}, caf::make_message(std::move(what)), context);
  }

  /// Of who asks by an envelope, or a service: they say nothing of it.
  static constexpr duration quiet_patience = std::chrono::minutes{1};

  const link_peer_finder peers_;
  const link_peer own_;
  std::atomic<bool> closed_{false};
  counts counts_;
};

} // namespace troupe::router::detail
