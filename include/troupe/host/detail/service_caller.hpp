#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "caf/actor.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/fwd.hpp"
#include "caf/message.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/host/client_options.hpp"
#include "troupe/host/types.hpp"

namespace troupe::host::detail {

/// Something that wants an answer, whatever its type.
class client_request {
public:
  client_request(duration within, bool is_command, bool is_urgent)
    : wait(within), numbered(is_command), hurries(is_urgent) {}

  client_request(const client_request&) = delete;
  client_request& operator=(const client_request&) = delete;
  virtual ~client_request() = default;

  /// Returns what goes to the service; a command says with `who` which one it is.
  [[nodiscard]] virtual caf::message to_message(const call& who) const = 0;

  [[nodiscard]] virtual bool is_answer(const caf::message& what) const = 0;

  /// @pre is_answer(what)
  virtual void succeed(caf::message& what) = 0;

  virtual void fail(problem why) = 0;

  const duration wait;
  const bool numbered;
  /// See client_core::ask.
  const bool hurries;
};

/// Sends requests of all types to one service, by an actor of its own that runs a client_core.
/// Thread-safe. Ends the actor when it is destroyed.
class service_caller {
public:
  TROUPE_COMPILED service_caller(caf::actor_system& sys, const client_options& options);

  TROUPE_COMPILED ~service_caller();

  service_caller(const service_caller&) = delete;
  service_caller& operator=(const service_caller&) = delete;

  /// The service is reached there from now on; null: nowhere, for the time being. `record`: see
  /// client_core::reached.
  TROUPE_COMPILED void set_target(caf::strong_actor_ptr where, request_id record);

  TROUPE_COMPILED void refuse(const problem& why);

  TROUPE_COMPILED void on_doubt(std::function<void()> job);

  TROUPE_COMPILED void close();

  /// Waits up to `wait` until the service has heard of it. Blocks.
  TROUPE_COMPILED void close(duration wait);

  /// The request ends within its time. Destroys it untold if the actor has ended.
  TROUPE_COMPILED void ask(std::shared_ptr<client_request> what);

  /// What requests to an actor that has ended end with.
  TROUPE_COMPILED static problem closed();

private:
  caf::actor inside_;
};

} // namespace troupe::host::detail

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/host/impl/service_caller.ipp"
#endif
