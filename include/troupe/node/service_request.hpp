#pragma once

#include <chrono>
#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// How long what a node asks on its own account waits for the services.
inline constexpr duration service_patience = std::chrono::seconds{10};

/// Asks a service on behalf of an actor: `then(result<Request::result>)` runs on `self` within
/// service_patience, if that still lives. See host::client::async() for `hurries`.
template <class Client, class Request, class Then>
void ask_service(caf::event_based_actor* self, Client& service, const Request& what, Then then,
                 bool hurries = false) {
  service.async(
    what, service_patience,
    [home = caf::weak_actor_ptr{self->ctrl()}, then](result<typename Request::result> answer) {
      run_on(home, [then, answer = std::move(answer)] { then(answer); });
    },
    hurries);
}

/// The same, of no interest how it ends.
template <class Client, class Request>
void tell_service(Client& service, const Request& what) {
  service.async(what, service_patience, [](const auto&) {});
}

} // namespace troupe::cluster
