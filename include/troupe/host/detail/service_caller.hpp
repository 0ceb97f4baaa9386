#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "caf/actor.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "caf/message.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/host/client_options.hpp"
#include "troupe/host/detail/tied_actor.hpp"
#include "troupe/host/types.hpp"

namespace troupe::host::detail {

/// A request of any type.
class client_request {
public:
  client_request(duration within, bool is_command, bool is_urgent, bool is_kept)
    : wait(within), numbered(is_command), hurries(is_urgent), rests(is_kept) {}

  client_request(const client_request&) = delete;
  client_request& operator=(const client_request&) = delete;
  virtual ~client_request() = default;

  /// Returns the message to the service; `who` identifies a command.
  [[nodiscard]] virtual caf::message to_message(const call& who) const = 0;

  [[nodiscard]] virtual bool is_answer(const caf::message& what) const = 0;

  /// @pre is_answer(what)
  virtual void succeed(caf::message& what) = 0;

  virtual void fail(problem why) = 0;

  const duration wait;
  const bool numbered;
  /// See client_core::ask.
  const bool hurries;
  const bool rests;
};

/// Sends requests of all types to one service, with its own actor that runs a client_core.
/// Thread-safe. Ends the actor when it is destroyed. Once closed it no longer uses the actor, so
/// that calls have no effect and it may be destroyed after its actor system.
class service_caller {
public:
  TROUPE_COMPILED service_caller(caf::actor_system& sys, const client_options& options);

  TROUPE_COMPILED ~service_caller();

  service_caller(const service_caller&) = delete;
  service_caller& operator=(const service_caller&) = delete;

  /// Sets the place of the service; null: it cannot be reached for now. `record`: see
  /// client_core::reached.
  TROUPE_COMPILED void set_target(caf::strong_actor_ptr where, request_id record);

  TROUPE_COMPILED void refuse(const problem& why);

  /// See client_core::hinder.
  TROUPE_COMPILED void hinder(const problem& why);

  TROUPE_COMPILED void on_doubt(std::function<void()> job);

  TROUPE_COMPILED void close();

  /// Closes, and waits up to `wait` until the service has ended the sessions; also after close().
  /// Blocks. Not after the end of the actor system.
  TROUPE_COMPILED void close(duration wait);

  /// The request ends within its time. If the client was closed, drops the request, whose
  /// destructor ends it.
  TROUPE_COMPILED void ask(std::shared_ptr<client_request> what);

  /// Ends `what` when this is closed or ends what is tied to it, at once if it has already.
  TROUPE_COMPILED std::shared_ptr<tied_actor> tie(caf::actor what);

  TROUPE_COMPILED void end_tied();

  /// The problem of requests to a closed client.
  TROUPE_COMPILED static problem closed();

private:
  template <class Job>
  void run(Job job);

  caf::actor inside_;
  /// Held while the actor is used, so that nobody uses it once close() has returned: messages to
  /// the ended actor would be counted by its actor system, which may be gone.
  std::mutex mutex_;
  bool is_closed_ = false;
  bool ends_tied_ = false;
  std::vector<std::weak_ptr<tied_actor>> tied_;
};

} // namespace troupe::host::detail

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/host/impl/service_caller.ipp"
#endif
