#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "caf/message.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router {

/// Sends a program's messages through a router: that of a node, or a router_service here or
/// elsewhere. Thread-safe. Calls that return a result block, so they must not be made from
/// inside an actor: send router::dispatch messages to the router from there.
class router_client {
public:
  template <class Handle>
  router_client(caf::actor_system& sys, const Handle& router)
    : system_(&sys), router_(caf::actor_cast<caf::actor>(router)) {}

  [[nodiscard]] const caf::actor& router() const {
    return router_;
  }

  /// Lets go of the router; nothing may be sent after that.
  void reset() {
    router_ = nullptr;
  }

  /// Sends `what` to one or many; at most once, without word of what became of it: a router that
  /// has too much to send already drops it. node::send() and post() tell.
  template <class... Ts>
  void send(recipients to, Ts&&... what) const {
    send_message(std::move(to), caf::make_message(std::forward<Ts>(what)...));
  }

  /// Sends `what` to many and says to how many.
  template <class... Ts>
  result<send_report> broadcast(recipients to, Ts&&... what) const {
    return request<send_report>(std::move(to), default_wait, std::forward<Ts>(what)...);
  }

  /// Sends `what` to one agent and waits up to `wait` for its answer, a Result. Errors:
  /// not_found, unreachable, limit_reached (nothing was sent), too_large (nothing was sent; or the
  /// answer is), outcome_unknown (the link was lost before the answer, or too many bytes of answers
  /// wait for it), timed_out; failed with the agent's own words for its errors.
  template <class Result, class... Ts>
  result<Result> request(recipients to, duration wait, Ts&&... what) const {
    result<caf::message> answer
      = request_message(std::move(to), wait, caf::make_message(std::forward<Ts>(what)...));
    if (!answer)
      return answer.error();
    if (!answer->match_elements<Result>())
      return other_type(*answer);
    return std::move(answer->get_mutable_as<Result>(0));
  }

  /// Sends `what` to one or many and waits up to `wait` until it is handed over: to one agent
  /// once that has it in its mailbox, to many when it is on the way. What they make of it,
  /// nobody says. Routers of nodes only. Errors: not_found (no such agent), unreachable,
  /// limit_reached, too_large (nothing was sent), outcome_unknown, timed_out.
  template <class... Ts>
  result<send_report> post(recipients to, duration wait, Ts&&... what) const {
    return post_message(std::move(to), wait, caf::make_message(std::forward<Ts>(what)...));
  }

  /// Returns the handle of an agent, for messages at the speed of CAF. It is good as long
  /// as the link to its node; messages after that are lost, requests run into their
  /// time-out. Errors as request().
  template <class Handle = caf::actor>
  result<Handle> find(const std::string& id, duration wait = default_wait) const {
    auto found = resolve(id, wait);
    if (!found)
      return found.error();
    return caf::actor_cast<Handle>(*found);
  }

  static constexpr duration default_wait = std::chrono::seconds{10};

private:
  TROUPE_COMPILED void send_message(recipients to, caf::message what) const;

  TROUPE_COMPILED result<caf::message> request_message(recipients to, duration wait,
                                                       caf::message what) const;

  TROUPE_COMPILED result<send_report> post_message(recipients to, duration wait,
                                                   caf::message what) const;

  TROUPE_COMPILED result<caf::strong_actor_ptr> resolve(const std::string& id, duration wait) const;

  /// The agent says something else than its caller has asked for.
  TROUPE_COMPILED static problem other_type(const caf::message& what);

  caf::actor_system* system_;
  caf::actor router_;
};

} // namespace troupe::router

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/router/impl/router_client.ipp"
#endif
