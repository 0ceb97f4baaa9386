#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "caf/message.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/check_types.hpp"
#include "troupe/core/caf/signatures.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/pending.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/caller.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router {

/// Sends a program's messages through a router: that of a node, or a router_service here or
/// elsewhere. Thread-safe; copies are one. Calls that return a result block, so they must not be
/// made from inside an actor: use async_request() or an agent_handle() there. Good to no effect,
/// with cancelled, also after the end of its node.
class router_client {
public:
  /// What a handler throws that a pending<T> has is told to `on_throw`; without that it ends the
  /// program.
  template <class Handle>
  router_client(caf::actor_system& sys, const Handle& router, caller::thrown_handler on_throw = {})
    : system_(&sys),
      router_(caf::actor_cast<caf::actor>(router)),
      caller_(sys, std::move(on_throw)) {}

  [[nodiscard]] const caf::actor& router() const {
    return router_;
  }

  /// Returns a copy that sends through another router. stop() ends both.
  template <class Handle>
  [[nodiscard]] router_client through(const Handle& router) const {
    auto copy = *this;
    copy.router_ = caf::actor_cast<caf::actor>(router);
    return copy;
  }

  /// Ends what async_request() has asked, with cancelled, and returns when no handler runs any
  /// more: in a handler, at once. For all copies; those that come later are cancelled, too.
  void stop() const {
    caller_.stop();
  }

  /// Sends `what` to one or many; at most once, without word of what became of it: a router that
  /// has too much to send already drops it. node::send() and post() tell.
  template <class... Ts>
  void send(recipients to, message_options how, Ts&&... what) const {
    must_be_sendable<Ts...>();
    if (!check_types<Ts...>())
      send_message(std::move(to), std::move(how), caf::make_message(std::forward<Ts>(what)...));
  }

  /// The same without options. All that follow have both forms.
  template <class... Ts>
  requires without_options<Ts...>
  void send(recipients to, Ts&&... what) const {
    send(std::move(to), message_options{}, std::forward<Ts>(what)...);
  }

  /// Sends `what` to many and says to how many.
  template <class... Ts>
  result<send_report> broadcast(recipients to, message_options how, Ts&&... what) const {
    return request<send_report>(std::move(to), default_wait, std::move(how),
                                std::forward<Ts>(what)...);
  }

  template <class... Ts>
  requires without_options<Ts...> result<send_report> broadcast(recipients to, Ts&&... what)
  const {
    return broadcast(std::move(to), message_options{}, std::forward<Ts>(what)...);
  }

  /// Sends `what` to one agent and waits up to `wait` (at most longest_wait) for its answer, a
  /// Result; void for one that has none. Errors:
  /// bad_argument (a message type that is not registered; recipients that are many; of `how`),
  /// expired (its ttl ran out before the agent could get it), wrong_type (it takes no such message,
  /// or answers with something else), cancelled (the node has stopped),
  /// not_found, unreachable, limit_reached (nothing was sent), too_large (nothing was sent; or the
  /// answer is), outcome_unknown (the link was lost before the answer, or too many bytes of answers
  /// wait for it), timed_out; failed with the agent's own words for its errors.
  template <class Result, class... Ts>
  result<Result> request(recipients to, duration wait, message_options how, Ts&&... what) const {
    must_be_answer<Result>();
    must_be_sendable<Ts...>();
    if (auto why = check<Result, Ts...>(to))
      return why;
    return value_of<Result>(request_message(std::move(to), wait, std::move(how),
                                            caf::make_message(std::forward<Ts>(what)...)));
  }

  template <class Result, class... Ts>
  requires without_options<Ts...> result<Result> request(recipients to, duration wait, Ts&&... what)
  const {
    return request<Result>(std::move(to), wait, message_options{}, std::forward<Ts>(what)...);
  }

  /// The same without a thread that waits: what comes back has the answer later. Errors: as
  /// request(); limit_reached (caller::max_open requests wait already), cancelled (the node has
  /// stopped).
  template <class Result, class... Ts>
  requires without_options<Ts...> pending<Result> async_request(recipients to, duration wait,
                                                                Ts&&... what)
  const {
    return async_request<Result>(std::move(to), wait, message_options{}, std::forward<Ts>(what)...);
  }

  template <class Result, class... Ts>
  pending<Result> async_request(recipients to, duration wait, message_options how,
                                Ts&&... what) const {
    must_be_answer<Result>();
    must_be_sendable<Ts...>();
    promise<Result> made;
    auto answer
      = made.answer(std::min(wait, longest_wait) + std::chrono::seconds{2}); // see caller::ask()
    if (auto why = check<Result, Ts...>(to))
      made.set(why);
    else
      caller_.ask(
        router_,
        dispatch{
          std::move(to), {}, wait, caf::make_message(std::forward<Ts>(what)...), std::move(how)},
        [made](result<caf::message> got) { made.set(value_of<Result>(std::move(got))); });
    return answer;
  }

  /// Returns an actor that stands for the agent `id`, wherever that is at the time: what it gets,
  /// as CAF's own send() or request(), goes to the agent through the router. For actors; a request
  /// ends as request() does, with an error of ours. Nobody is looked up for it, so it cannot be
  /// monitored or linked in place of the agent. An answer after `longest` counts no more: the
  /// time-out of a request should be shorter. Null after stop(). Must end before its actor system.
  template <class Handle = caf::actor>
  [[nodiscard]] Handle agent_handle(agent_id id, duration longest = longest_request) const {
    return caf::actor_cast<Handle>(stand_in(std::move(id), longest));
  }

  /// Sends `what` to one or many and waits up to `wait` until it is handed over: to one agent
  /// once that has it in its mailbox, to many when it is on the way. What they make of it,
  /// nobody says. With `how.delivery` confirm, until the agent has handled it. Routers of nodes
  /// only. Errors: not_found (no such agent), unreachable,
  /// limit_reached, too_large (nothing was sent), outcome_unknown, timed_out.
  template <class... Ts>
  result<send_report> post(recipients to, duration wait, message_options how, Ts&&... what) const {
    must_be_sendable<Ts...>();
    if (auto why = check_types<Ts...>())
      return why;
    return post_message(std::move(to), wait, std::move(how),
                        caf::make_message(std::forward<Ts>(what)...));
  }

  template <class... Ts>
  requires without_options<Ts...> result<send_report> post(recipients to, duration wait,
                                                           Ts&&... what)
  const {
    return post(std::move(to), wait, message_options{}, std::forward<Ts>(what)...);
  }

  /// Returns the handle of an agent, for messages at the speed of CAF. It is good as long
  /// as the link to its node; messages after that are lost, requests run into their
  /// time-out. Nothing bounds what is sent on it, and nobody is told what is lost. A loop of sends
  /// that is faster than the link and the agent fills the memory of both processes and delays all
  /// else on the link; above link_options::max_queued_bytes that is closed, and what was on it is
  /// lost: see "Handles" in docs/parts/router.md for figures. Use it for requests, or for messages
  /// of which few are on their way; else send(). With a caf::typed_actor the agent must say that it
  /// takes its messages, see node::agent(). Errors: as request(); wrong_type (it does not).
  template <class Handle = caf::actor>
  result<Handle> find(agent_id id, duration wait = default_wait) const {
    auto found = resolve(std::move(id), wait, signatures_of<Handle>(*system_));
    if (!found)
      return found.error();
    return caf::actor_cast<Handle>(*found);
  }

  static constexpr duration default_wait = std::chrono::seconds{10};
  static constexpr duration longest_request = std::chrono::minutes{1};

private:
  /// What is to be known before anything is sent.
  template <class Result, class... Ts>
  static problem check(const recipients& to) {
    if (!std::is_same_v<Result, send_report> && !is_to_one(to))
      return many_answers(to);
    return check_types<Result, Ts...>();
  }

  /// The agent may say something else than its caller has asked for.
  template <class Result>
  static result<Result> value_of(result<caf::message> answer) {
    if (!answer)
      return std::move(answer).error();
    if constexpr (std::is_void_v<Result>) {
      if (answer->empty())
        return {};
    } else if (answer->match_elements<Result>()) {
      return std::move(answer->template get_mutable_as<Result>(0));
    }
    return other_type(*answer);
  }

  TROUPE_COMPILED void send_message(recipients to, message_options how, caf::message what) const;

  TROUPE_COMPILED result<caf::message>
  request_message(recipients to, duration wait, message_options how, caf::message what) const;

  TROUPE_COMPILED result<send_report> post_message(recipients to, duration wait,
                                                   message_options how, caf::message what) const;

  TROUPE_COMPILED result<caf::strong_actor_ptr> resolve(agent_id id, duration wait,
                                                        std::set<std::string> takes) const;

  [[nodiscard]] TROUPE_COMPILED caf::actor stand_in(agent_id id, duration longest) const;

  /// Runs `use`, which uses the actor system, unless that may have ended.
  TROUPE_COMPILED problem begin(const std::function<void()>& use) const;

  TROUPE_COMPILED static problem many_answers(const recipients& to);

  TROUPE_COMPILED static problem other_type(const caf::message& what);

  caf::actor_system* system_;
  caf::actor router_;
  caller caller_;
};

} // namespace troupe::router

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/router/impl/router_client.ipp"
#endif
