#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caf/actor_addr.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/behavior.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/exit_reason.hpp"
#include "caf/message.hpp"
#include "caf/node_id.hpp"
#include "caf/result.hpp"
#include "caf/stateful_actor.hpp"
#include "caf/system_messages.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/page_room.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/open_requests.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/directory.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/router_core.hpp"

namespace troupe::router {

/// The actor of a router_service: brings messages to the agents that were registered with it,
/// here or in the processes of those who did. It hands on to agents of its own process;
/// what goes to others it sends itself and brings back the answer, as two links do not make a
/// third. A router_core decides, as for the router of a node; here it knows no links, but each
/// agent elsewhere is a way of its own.
///
/// Delivery is at most once, in order from one sender to one agent. What an agent was asked
/// fails as soon as that or its link is gone.
class router_service_state {
public:
  static inline const char* name = "troupe.router-service";

  router_service_state(caf::event_based_actor* self, const caf::strong_actor_ptr& owner,
                       const router_options& options)
    : self_(self),
      options_(options),
      places_(here_, without_bytes(options)),
      core_(here_, {.max_pending = options.max_pending, .max_recipients = options.max_recipients},
            places_, pending_) {
    self_->set_down_handler([this](const caf::down_msg& gone) { forget(gone.source); });
    if (!owner)
      return;
    owner_ = owner->address();
    self_->monitor(owner);
  }

  router_service_state(const router_service_state&) = delete;
  router_service_state& operator=(const router_service_state&) = delete;

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
        places_.add_to(result);
        core_.add_to(result);
        return result;
      },
    };
  }

private:
  using core = router_core<detail::asker, caf::message>;

  /// Agents of this process are on a node, all others on another one.
  static constexpr node_id here_{};
  static constexpr node_id elsewhere_{{std::byte{1}}};

  static router_options without_bytes(router_options how) {
    how.max_waiting_bytes = how.max_all_waiting_bytes = how.max_message_bytes
      = std::numeric_limits<std::uint64_t>::max();
    return how;
  }

  // -- agents ------------------------------------------------------------------------

  caf::result<agent_receipt> add(const add_agent& what) {
    if (auto why = check(what))
      return to_error(why);
    location made{what.id, node_of(what.agent), what.capabilities, what.groups, what.load};
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

  [[nodiscard]] node_id node_of(const caf::strong_actor_ptr& agent) const {
    return agent->node() == self_->node() ? here_ : elsewhere_;
  }

  agent_receipt remove(const agent_id& id) {
    detail::agent_table::remains nothing; // all is handed over at once
    auto gone = agents_.remove(self_, id, nothing);
    if (!gone)
      return {false};
    places_.remove(id, node_of(gone));
    if (agents_.id_of(gone->address(), {}).empty())
      ways_.erase(gone->address());
    return {true};
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
    auto node = gone.node() == self_->node() ? here_ : elsewhere_;
    detail::agent_table::remains nothing;
    for (auto& id : agents_.end_of(gone, nothing))
      places_.remove(id, node);
    if (auto way = ways_.extract(gone))
      step(core::way_lost{way.mapped(),
                          {errc::outcome_unknown,
                           "the agent, or the link to it, was gone before the answer; it may "
                           "have got the request"}});
  }

  // -- messages ----------------------------------------------------------------------

  /// It keeps nothing, so that a ttl counts only if it is over at once.
  void send(dispatch& what) {
    auto waits = self_->current_message_id().is_request();
    auto why = router::check(what.how);
    if (!why && what.how.delivery != delivery_class::fire)
      why = {errc::bad_argument,
             "a router_service delivers messages of class fire only; send one of another class "
             "through a node"};
    if (!why && what.how.wait_for_room)
      why = {errc::bad_argument, "a router_service has no room for messages to wait in; leave "
                                 "message_options::wait_for_room out, or send through a node"};
    if (why) {
      if (waits)
        self_->make_response_promise().deliver(to_error(why));
      return;
    }
    auto by = waits ? sender_of(self_->current_sender()) : detail::share_holder{};
    auto where = places_.plan(
      now(), what.to, {waits, 0, life_of(what.how)},
      [this](std::string_view id) {
        auto found = agents_.find(id).handle;
        return found && found->node() == self_->node() ? detail::presence::here
                                                       : detail::presence::none;
      },
      [] { return std::size_t{0}; });
    step(core::message{std::move(where), waits ? awaited::answer : awaited::nothing, what.timeout,
                       waits ? detail::asker::of(self_) : detail::asker{}, std::move(what.payload),
                       std::nullopt, std::move(by)});
  }

  /// An agent of this has a share of its own, and so has each process.
  [[nodiscard]] detail::share_holder sender_of(const caf::strong_actor_ptr& who) const {
    if (!who)
      return {};
    if (auto agent = agents_.id_of(who->address(), {}); !agent.empty())
      return {here_, std::move(agent)};
    return {elsewhere_, agent_id{to_string(who->node())}};
  }

  template <class Event>
  void step(Event what) {
    core_.step(now(), std::move(what), wanted_);
    carry_out();
  }

  void carry_out() {
    while (!wanted_.empty())
      for (auto& what : std::exchange(wanted_, {}))
        troupe::visit([this](auto& each) { perform(each); }, what);
    if (auto next = core_.next_deadline())
      timer_.arm(self_, caf::actor_clock::time_point{next->time_since_epoch()}, [this] {
        core_.tick(now(), wanted_);
        carry_out();
      });
  }

  [[nodiscard]] time_point now() const {
    return time_point{self_->clock().now().time_since_epoch()};
  }

  void perform(core::ask& what) {
    auto agent = agents_.find(what.agent).handle;
    if (what.request != 0) {
      ++counts_.delivered;
      return ask(agent, what.request, what.patience, what.what);
    }
    count(detail::hand_to(agent, what.by.who, what.by.id, what.what, self_->context(),
                          std::move(what.by.stages)));
  }

  void perform(core::hand& what) {
    std::uint32_t missed = 0;
    for (auto& each : what.agents)
      if (!count(detail::hand_to(agents_.find(each).handle, nullptr, caf::make_message_id(),
                                 what.what, self_->context())))
        ++missed;
    if (what.owed)
      core_.step(now(), core::handed{std::move(*what.owed), missed}, wanted_);
  }

  /// The agents are elsewhere and may have no link to whoever asks: asks in their place.
  void perform(core::letter& what) {
    auto& agents = what.where.agents;
    lines::link_number over = 0;
    for (auto& each : agents) {
      auto agent = agents_.find(each).handle;
      if (what.request == 0)
        detail::hand_to(agent, nullptr, caf::make_message_id(), what.what, self_->context());
      else
        over = ask_elsewhere(agent, what);
    }
    core_.step(now(),
               core::passed{what.where.node, what.where.bytes, what.request, over,
                            static_cast<std::uint32_t>(agents.size())},
               wanted_);
  }

  lines::link_number ask_elsewhere(const caf::strong_actor_ptr& agent, const core::letter& what) {
    ask(agent, what.request, what.patience, what.what);
    auto [way, is_new] = ways_.try_emplace(agent->address(), last_way_ + 1);
    last_way_ += is_new ? 1 : 0;
    return way->second;
  }

  void ask(const caf::strong_actor_ptr& agent, std::uint64_t request, duration patience,
           const caf::message& what) {
    if (what.match_elements<caf::error>())
      return finish(request, caf::make_message(to_error(detail::error_alone())));
    compat::relay(
      self_, agent, patience, what,
      [this, request](caf::message answer) { finish(request, std::move(answer)); },
      [this, request](const caf::error& said) {
        finish(request, caf::make_message(detail::in_our_words(said)));
      });
  }

  void finish(std::uint64_t request, caf::message answer) {
    pending_.finish(request, [&](detail::call<detail::asker>& to, const node_id& node) {
      places_.ended(to, node);
      to.by.tell(self_->ctrl(), std::move(answer), self_->context());
    });
  }

  void perform(core::tell& what) {
    troupe::visit(overloaded{[&](problem& why) { tell(what.by, to_error(std::move(why))); },
                             [&](const send_report& report) { tell(what.by, report); }},
                  what.what);
  }

  template <class Answer>
  void tell(detail::asker& whom, Answer what) {
    whom.tell(self_->ctrl(), caf::make_message(std::move(what)), self_->context());
  }

  /// Nobody hears here how calls end, and there are no links.
  template <class Other>
  void perform(const Other&) {}

  bool count(bool is_taken) {
    ++(is_taken ? counts_.delivered : counts_.unknown);
    return is_taken;
  }

  caf::event_based_actor* self_;
  router_options options_;
  detail::agent_table agents_;
  detail::routes places_;
  core::requests pending_;
  core core_;
  core::effects wanted_;
  deadline_timer timer_;
  /// Of agents elsewhere that were asked.
  std::map<caf::actor_addr, lines::link_number> ways_;
  lines::link_number last_way_ = 0;
  caf::actor_addr owner_;
  router_statistics counts_;
};

/// A router that stands alone, for agents that a program registers by hand: with a node of its
/// own a program has a router already. Spawn it with `troupe::spawn<router_service>(sys,
/// options)` here or with `spawn_at` elsewhere; register agents with a
/// host::client<router_protocol>, send with a router_client. Its agents get messages without a
/// message_info. Of its options
/// those about bytes mean nothing: it makes no links, and does not bound what waits for them.
class router_service {
public:
  using actor = caf::stateful_actor<router_service_state>;
  using options = router_options;
  using handle = router_actor;

  static constexpr const char* name = "troupe.router";
};

} // namespace troupe::router
