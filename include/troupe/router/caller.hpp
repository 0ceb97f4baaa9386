#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "caf/actor.hpp"
#include "caf/fwd.hpp"
#include "caf/message.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router {

/// Asks agents through a router for threads that do not wait: each request ends with one call of
/// its handler, on an actor of this. Copies are one caller; where the last of them ends, open
/// requests end with cancelled. Thread-safe.
class caller {
public:
  using handler = std::function<void(result<caf::message>)>;
  /// Hears what a handler has thrown.
  using thrown_handler = std::function<void(const problem&)>;

  /// Requests without an answer yet; one more is refused.
  static constexpr std::size_t max_open = 100'000;

  /// Without `on_throw`, what a handler throws ends the program, as of a thread.
  TROUPE_COMPILED caller(caf::actor_system& sys, thrown_handler on_throw);

  /// Calls `done` with the answer to `what`, or with an error: within its timeout and a second.
  /// Errors: as router_client::request(); limit_reached and cancelled (after stop()), before this
  /// returns; cancelled also where the actor system ends before there is an answer.
  TROUPE_COMPILED void ask(const caf::actor& router, dispatch what, handler done) const;

  /// Sends `what` without a word of what becomes of it, from an actor of this, so that the router
  /// knows which process sends it. Returns false after stop().
  [[nodiscard]] TROUPE_COMPILED bool send(const caf::actor& router, dispatch what) const;

  /// Ends all open requests with cancelled, and returns when no handler runs any more; in a
  /// handler of this, at once.
  TROUPE_COMPILED void stop() const;

  /// Runs `job`, which must be brief, unless this has stopped; stop() waits for it. For what uses
  /// the actor system, which may end after stop(). Returns whether it ran.
  [[nodiscard]] TROUPE_COMPILED bool before_stop(const std::function<void()>& job) const;

private:
  class inside;

  std::shared_ptr<inside> inside_;
};

} // namespace troupe::router

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/router/impl/caller.ipp"
#endif
