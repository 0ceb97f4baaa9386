#ifndef TROUPE_ROUTER_IMPL_ROUTER_CLIENT_IPP
#define TROUPE_ROUTER_IMPL_ROUTER_CLIENT_IPP

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "caf/actor_cast.hpp"
#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/sec.hpp"
#include "caf/send.hpp"
#include "caf/spawn_options.hpp"
#include "caf/system_messages.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/caf/wait.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/router_client.hpp"

namespace troupe::router {

namespace detail {

/// An agent, wherever it is. What comes goes on from the thread that brings it.
class agent_stand_in : public caf::event_based_actor {
public:
  agent_stand_in(caf::actor_config& cfg, caf::strong_actor_ptr router, agent_id id,
                 duration longest)
    : caf::event_based_actor(cfg),
      router_(std::move(router)),
      id_(std::move(id)),
      longest_(longest) {}

  caf::behavior make_behavior() override {
    ignore_strays(this);
    return {[](caf::ok_atom) {}};
  }

  using caf::event_based_actor::enqueue;

  bool enqueue(caf::mailbox_element_ptr what, compat::execution_context* context) override {
    if (what->mid.is_response() || is_for_itself(what->payload))
      return caf::event_based_actor::enqueue(std::move(what), context);
    what->payload
      = caf::make_message(dispatch{to_agent(id_), {}, longest_, std::move(what->payload)});
    return router_->enqueue(std::move(what), context);
  }

private:
  static bool is_for_itself(const caf::message& what) {
    return what.match_elements<caf::exit_msg>() || what.match_elements<caf::down_msg>();
  }

  const caf::strong_actor_ptr router_;
  const agent_id id_;
  const duration longest_;
};

} // namespace detail

TROUPE_COMPILED problem router_client::begin(const std::function<void()>& use) const {
  if (!router_)
    return {errc::unreachable, "there is no way to the router for now; nothing was sent, retry"};
  return caller_.before_stop(use) ? problem{} : detail::has_stopped();
}

TROUPE_COMPILED void router_client::send_message(recipients to, message_options how,
                                                 caf::message what) const {
  if (router_)
    static_cast<void>(
      caller_.send(router_, {std::move(to), {}, default_wait, std::move(what), std::move(how)}));
}

TROUPE_COMPILED result<caf::message> router_client::request_message(recipients to, duration wait,
                                                                    message_options how,
                                                                    caf::message what) const {
  std::optional<caf::scoped_actor> self;
  if (auto why = begin([&] { self.emplace(*system_); }))
    return why;
  return ask_and_wait(
    *self, router_, detail::beyond(wait),
    caf::make_message(dispatch{std::move(to), {}, wait, std::move(what), std::move(how)}));
}

TROUPE_COMPILED result<send_report> router_client::post_message(recipients to, duration wait,
                                                                message_options how,
                                                                caf::message what) const {
  std::optional<caf::scoped_actor> self;
  if (auto why = begin([&] { self.emplace(*system_); }))
    return why;
  return ask_and_wait<send_report>(
    *self, router_, detail::beyond(wait),
    router::post{std::move(to), {}, wait, std::move(what), std::move(how)});
}

TROUPE_COMPILED result<caf::strong_actor_ptr>
router_client::resolve(agent_id id, duration wait, std::set<std::string> takes) const {
  std::optional<caf::scoped_actor> self;
  if (auto why = begin([&] { self.emplace(*system_); }))
    return why;
  return ask_and_wait<caf::strong_actor_ptr>(*self, router_, detail::beyond(wait),
                                             resolve_agent{std::move(id), wait, std::move(takes)});
}

TROUPE_COMPILED caf::actor router_client::stand_in(agent_id id, duration longest) const {
  caf::actor made;
  static_cast<void>(begin([&] {
    made = system_->spawn<detail::agent_stand_in, caf::hidden>(
      caf::actor_cast<caf::strong_actor_ptr>(router_), std::move(id), longest);
  }));
  return made;
}

TROUPE_COMPILED problem router_client::many_answers(const recipients& to) {
  auto made_by = to.who == audience::everyone ? "to_everyone()"
                 : to.who == audience::group  ? "to_group()"
                                              : "to_all()";
  return {errc::bad_argument, std::string{made_by}
                                + " may be many agents, and their answers are not collected; "
                                  "request() from to_agent() or to_any(), or broadcast()"};
}

TROUPE_COMPILED problem router_client::other_type(const caf::message& what) {
  return {errc::wrong_type, "the agent's answer is " + troupe::detail::types_in(what)
                              + ", which is not what was asked for; ask for what its function "
                                "returns"};
}

} // namespace troupe::router

#endif
