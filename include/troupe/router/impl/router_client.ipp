#ifndef TROUPE_ROUTER_IMPL_ROUTER_CLIENT_IPP
#define TROUPE_ROUTER_IMPL_ROUTER_CLIENT_IPP

#include <chrono>
#include <utility>

#include "caf/sec.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/caf/wait.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/router_client.hpp"

namespace troupe::router {

namespace detail {

inline problem no_router() {
  return {errc::unreachable, "there is no way to the router for now; nothing was sent, retry"};
}

/// The router itself ends what takes too long, with better words.
inline duration beyond(duration wait) {
  return wait + std::chrono::seconds{1};
}

} // namespace detail

TROUPE_COMPILED void router_client::send_message(recipients to, caf::message what) const {
  caf::anon_send(router_, dispatch{std::move(to), {}, default_wait, std::move(what)});
}

TROUPE_COMPILED result<caf::message> router_client::request_message(recipients to, duration wait,
                                                                    caf::message what) const {
  if (!router_)
    return detail::no_router();
  return ask_and_wait(*system_, router_, detail::beyond(wait),
                      caf::make_message(dispatch{std::move(to), {}, wait, std::move(what)}));
}

TROUPE_COMPILED result<send_report> router_client::post_message(recipients to, duration wait,
                                                                caf::message what) const {
  if (!router_)
    return detail::no_router();
  return ask_and_wait<send_report>(*system_, router_, detail::beyond(wait),
                                   router::post{std::move(to), {}, wait, std::move(what)});
}

TROUPE_COMPILED result<caf::strong_actor_ptr> router_client::resolve(const std::string& id,
                                                                     duration wait) const {
  if (!router_)
    return detail::no_router();
  return ask_and_wait<caf::strong_actor_ptr>(*system_, router_, detail::beyond(wait),
                                             resolve_agent{id, wait});
}

TROUPE_COMPILED problem router_client::other_type(const caf::message& what) {
  return to_problem(caf::make_error(caf::sec::unexpected_response, what));
}

} // namespace troupe::router

#endif
