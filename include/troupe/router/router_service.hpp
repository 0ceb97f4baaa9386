#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_addr.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/behavior.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/exit_reason.hpp"
#include "caf/message.hpp"
#include "caf/node_id.hpp"
#include "caf/response_promise.hpp"
#include "caf/result.hpp"
#include "caf/stateful_actor.hpp"
#include "caf/system_messages.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/page_room.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/open_requests.hpp"
#include "troupe/router/directory.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router {

/// The actor of a router_service: brings messages to the agents that were registered with it,
/// here or in the processes of those who did. It hands on to agents of its own process;
/// what goes to others it sends itself and brings back the answer, as two links do not make a
/// third.
///
/// Delivery is at most once, in order from one sender to one agent. What an agent was asked
/// fails as soon as that or its link is gone.
class router_service_state {
public:
  static inline const char* name = "troupe.router-service";

  router_service_state(caf::event_based_actor* self, const caf::strong_actor_ptr& owner,
                       const router_options& options)
    : self_(self), options_(options) {
    self_->set_down_handler([this](const caf::down_msg& gone) { forget(gone.source); });
    if (!owner)
      return;
    owner_ = owner->address();
    self_->monitor(owner);
  }

  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {
      [this](dispatch& what) { send(what); },
      [this](const add_agent& what) { return add(what); },
      [this](const remove_agent& what) { return remove(what.id); },
      [this](const list_agents& what) { return list(what); },
      [this](const find_agent& what) { return find(what.id, what.takes); },
      [this](const resolve_agent& what) { return find(what.id, what.takes); },
      [this](const find_router_statistics&) {
        auto result = counts_;
        result.agents = static_cast<std::uint32_t>(agents_.size());
        result.pending = static_cast<std::uint32_t>(pending_.size());
        return result;
      },
    };
  }

private:
  // -- agents ------------------------------------------------------------------------

  caf::result<agent_receipt> add(const add_agent& what) {
    if (auto why = check(what))
      return to_error(why);
    location made{what.id, {}, what.capabilities, what.groups, what.load};
    auto known = agents_.find(what.id).handle;
    if (known && known == what.agent) {
      auto changed = places_.list(to_agent(what.id), {}, 1).front() != made;
      places_.put(std::move(made));
      return agent_receipt{changed};
    }
    if (auto why = agents_.add(self_, what.id, what.agent, options_.max_agents))
      return to_error(why);
    places_.put(std::move(made));
    return agent_receipt{true};
  }

  [[nodiscard]] problem check(const add_agent& what) const {
    if (auto why = troupe::check(what.id))
      return why;
    if (!what.agent)
      return {errc::bad_argument, "agent " + shortened(what.id.text())
                                    + " has no handle here; register it from its own process, as "
                                      "handles of a third one arrive empty"};
    if (!has_link(what.agent->node()))
      return {errc::unreachable, "agent " + shortened(what.id.text())
                                   + " lives in a third process; register it from there"};
    for (auto why :
         {check_names("capabilities", what.capabilities), check_names("groups", what.groups)})
      if (why)
        return why;
    return {};
  }

  /// Whether an actor of `node` can be used both here and by whoever asks now.
  [[nodiscard]] bool has_link(const caf::node_id& node) const {
    auto sender = self_->current_sender();
    auto asker = sender ? sender->node() : self_->node();
    return node == self_->node() || node == asker || (sender && asker == self_->node());
  }

  agent_receipt remove(const agent_id& id) {
    places_.remove(id, {});
    return {agents_.remove(self_, id) != nullptr};
  }

  [[nodiscard]] agent_page list(const list_agents& what) const {
    auto most = std::min<std::size_t>(what.limit, max_page);
    auto found = places_.list(what.among, what.after, most + 1);
    agent_page page;
    page.more = found.size() > most;
    found.resize(std::min(found.size(), most));
    for (auto& each : found)
      page.agents.push_back(
        {each.agent, std::move(each.capabilities), std::move(each.groups), each.load});
    return page;
  }

  [[nodiscard]] caf::result<caf::strong_actor_ptr> find(const agent_id& id,
                                                        const std::set<std::string>& takes) const {
    auto found = agents_.find(id).handle;
    if (!found)
      return to_error(detail::nobody(to_agent(id)));
    if (!has_link(found->node()))
      return to_error({errc::unreachable, "agent " + shortened(id.text())
                                            + " lives in a third process; send it messages "
                                              "through this router"});
    if (auto why = detail::check_type(id, found, takes))
      return to_error(std::move(why));
    return found;
  }

  void forget(const caf::actor_addr& gone) {
    if (owner_ && gone == owner_)
      return self_->quit(caf::exit_reason::user_shutdown);
    for (auto& id : agents_.end_of(gone))
      places_.remove(id, {});
    counts_.failed += pending_.lost(gone, [](caf::response_promise& answer) {
      answer.deliver(to_error({errc::outcome_unknown,
                               "the agent, or the link to it, was gone before the answer; it may "
                               "have got the request"}));
    });
  }

  // -- messages ----------------------------------------------------------------------

  void send(const dispatch& what) {
    auto one = what.to.who == audience::agent || what.to.who == audience::any_with_capability;
    if (one)
      send_to_one(what);
    else
      send_to_many(what);
  }

  void send_to_one(const dispatch& what) {
    auto found = places_.find(what.to, 1);
    auto asked = self_->current_message_id().is_request();
    if (found.empty()) {
      ++counts_.unknown;
      if (asked)
        self_->make_response_promise().deliver(to_error(detail::nobody(what.to)));
      return;
    }
    auto agent = agents_.find(found.front().agent).handle;
    if (!asked) {
      fire(agent, what.payload);
      return;
    }
    if (agent->node() != self_->node())
      return ask(agent, what);
    auto taken = detail::hand_to(agent, self_->current_sender(), self_->take_current_message_id(),
                                 what.payload, self_->context());
    ++(taken ? counts_.delivered : counts_.unknown);
  }

  void send_to_many(const dispatch& what) {
    send_report report;
    auto found = places_.find(what.to, options_.max_recipients);
    report.left_out = static_cast<std::uint32_t>(places_.count(what.to) - found.size());
    for (auto& each : found)
      if (fire(agents_.find(each.agent).handle, what.payload))
        ++report.sent;
    if (self_->current_message_id().is_request())
      self_->make_response_promise().deliver(report);
  }

  /// Returns false if the agent has just ended.
  bool fire(const caf::strong_actor_ptr& agent, const caf::message& payload) {
    auto taken = detail::hand_to(agent, nullptr, caf::make_message_id(), payload, self_->context());
    auto& passed = agent->node() == self_->node() ? counts_.delivered : counts_.forwarded;
    ++(taken ? passed : counts_.unknown);
    return taken;
  }

  /// The agent is elsewhere and may have no link to whoever asks: asks in its place.
  void ask(const caf::strong_actor_ptr& agent, const dispatch& what) {
    auto promise = self_->make_response_promise();
    if (pending_.size() >= options_.max_pending) {
      ++counts_.refused;
      return promise.deliver(to_error(detail::too_many_pending(pending_.size())));
    }
    ++counts_.forwarded;
    auto id = ++asked_;
    pending_.open(id, std::move(promise), agent->address());
    pending_.sent(id, agent->address());
    compat::relay(
      self_, agent, detail::patience(what.timeout), what.payload,
      [this, id](caf::message answer) {
        pending_.finish(
          id, [&](caf::response_promise& to, const auto&) { to.deliver(std::move(answer)); });
      },
      [this, id](const caf::error& said) {
        pending_.finish(id, [&](caf::response_promise& to, const auto&) {
          to.deliver(detail::in_our_words(said));
        });
      });
  }

  caf::event_based_actor* self_;
  router_options options_;
  detail::agent_table agents_;
  /// All on the node "": where they live is in their handles.
  directory places_;
  detail::open_requests<caf::actor_addr, caf::actor_addr, caf::response_promise> pending_;
  std::uint64_t asked_ = 0;
  caf::actor_addr owner_;
  router_statistics counts_;
};

/// A router that stands alone, for agents that a program registers by hand: with a node of its
/// own a program has a router already. Spawn it with `troupe::spawn<router_service>(sys,
/// options)` here or with `spawn_at` elsewhere; register agents with a
/// host::client<router_protocol>, send with a router_client. Of its options
/// those about bytes mean nothing: it makes no links, and does not bound what waits for them.
class router_service {
public:
  using actor = caf::stateful_actor<router_service_state>;
  using options = router_options;
  using handle = router_actor;

  static constexpr const char* name = "troupe.router";
};

} // namespace troupe::router
