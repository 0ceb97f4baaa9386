#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/response_promise.hpp"
#include "caf/stateful_actor.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/delivery.hpp"
#include "troupe/router/detail/open_requests.hpp"
#include "troupe/router/directory.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router {

/// What a router asks of its node. Called on the router's actor; must not block.
struct router_events {
  /// There is something to send to that node and no link to it.
  std::function<void(const std::string& node)> link_wanted;
  /// An agent of this node has ended by itself.
  std::function<void(const std::string& agent)> agent_ended;
};

/// Brings messages to agents, wherever they live: the entry point of its node. Finds out
/// who is meant, hands on to agents here, sends to the routers of other nodes, and fails
/// requests as soon as their link is gone (CAF would let them run into their time-out).
/// An agent gets the application's own message and sees no envelope.
///
/// Delivery is at most once. Messages from one sender to one agent keep their order as
/// long as the link lasts.
///
/// Public functions other than make_behavior() are for the node, through router_access.
class router_state {
public:
  static inline const char* name = "troupe.router";

  router_state(caf::event_based_actor* self, std::string node, router_options options,
               router_events events)
    : self_(self),
      node_(std::move(node)),
      options_(options),
      events_(std::move(events)),
      agents_(self) {
    self_->set_down_handler([this](const caf::down_msg& gone) { end_agent(gone.source); });
  }

  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {
      [this](envelope& what) { receive(what); },
      [this](dispatch& what) { send(what); },
      [this](const find_agent& what) -> caf::result<caf::strong_actor_ptr> {
        if (auto found = agents_.find(what.id))
          return *found;
        return to_error(no_agent(what.id));
      },
      [this](const resolve_agent& what) { resolve(what); },
      [this](const find_service& what) -> caf::result<service_place> {
        if (auto found = services_.find(what.name); found != services_.end())
          return found->second;
        return to_error({errc::not_found, "no service '" + what.name
                                            + "' is known here; wait until the node has joined"});
      },
      [this](const find_router_statistics&) { return statistics(); },
    };
  }

  // -- the node's agents -------------------------------------------------------------

  /// Returns limit_reached or name_taken.
  [[nodiscard]] problem add_agent(const std::string& id, const caf::strong_actor_ptr& handle) {
    return agents_.add(id, handle, options_.max_agents);
  }

  /// Hands nothing to the agent from here on. Returns it, null if there was none.
  caf::strong_actor_ptr remove_agent(const std::string& id) {
    return agents_.remove(id);
  }

  // -- what the node knows -------------------------------------------------------------

  [[nodiscard]] directory& places() {
    return places_;
  }

  void set_service(const std::string& what, service_place where) {
    services_.insert_or_assign(what, std::move(where));
  }

  // -- links -------------------------------------------------------------------------

  /// Link number `number` leads to the router `entry` of `node`.
  void link_up(const std::string& node, std::uint64_t number, caf::strong_actor_ptr entry) {
    auto& there = peers_[node];
    there.number = number;
    there.entry = std::move(entry);
    there.wanted = false;
    for (auto& send_now : std::exchange(there.line, {})) {
      --waiting_;
      send_now(&there, {});
    }
  }

  /// Fails what was sent over it and not answered.
  void link_down(const std::string& node, std::uint64_t number) {
    auto found = peers_.find(node);
    if (found == peers_.end() || found->second.number != number)
      return; // another link has taken its place
    found->second.entry = nullptr;
    counts_.failed += pending_.lost(node, [&](caf::response_promise& answer) {
      answer.deliver(to_error(
        {errc::outcome_unknown, "the link to node " + node
                                  + " was lost before the answer; the agent may have got the "
                                    "request"}));
    });
    if (found->second.line.empty())
      peers_.erase(found);
  }

  /// There is no link to `node` and will be none for now: refuses what waits for it.
  void link_failed(const std::string& node, const problem& why) {
    auto found = peers_.find(node);
    if (found == peers_.end() || found->second.entry)
      return;
    for (auto& send_now : std::exchange(found->second.line, {})) {
      --waiting_;
      send_now(nullptr, why);
    }
    peers_.erase(node);
  }

  [[nodiscard]] router_statistics statistics() const {
    auto result = counts_;
    result.agents = static_cast<std::uint32_t>(agents_.size());
    result.pending = static_cast<std::uint32_t>(pending_.size());
    result.waiting = static_cast<std::uint32_t>(waiting_);
    for (auto& [node, each] : peers_)
      if (each.entry)
        ++result.links;
    return result;
  }

private:
  struct peer {
    std::uint64_t number = 0;
    caf::strong_actor_ptr entry;
    /// What waits for the link; called with null if there will be none.
    std::deque<std::function<void(peer*, const problem&)>> line;
    bool wanted = false;
  };

  // -- messages that come in ----------------------------------------------------------

  void receive(envelope& what) {
    auto only = what.to.size() == 1;
    for (auto& each : what.to) {
      if (auto found = agents_.find(each)) {
        hand_to(*found, only ? self_->take_current_message_id() : caf::make_message_id(),
                what.payload);
        continue;
      }
      ++counts_.unknown;
      if (only && self_->current_message_id().is_request())
        self_->make_response_promise().deliver(to_error(no_agent(each)));
    }
  }

  void hand_to(const caf::strong_actor_ptr& agent, caf::message_id id,
               const caf::message& payload) {
    ++counts_.delivered;
    detail::hand_to(self_, agent, id, payload);
  }

  // -- messages that go out ------------------------------------------------------------

  void send(dispatch& what) {
    auto one = what.to.who == audience::agent || what.to.who == audience::any_with_capability;
    if (one)
      send_to_one(what);
    else
      send_to_many(what);
  }

  void send_to_one(dispatch& what) {
    auto id = self_->current_message_id();
    if (auto here = what.to.who == audience::agent ? agents_.find(what.to.name) : nullptr)
      return hand_to(*here, self_->take_current_message_id(), what.payload);
    auto found = places_.find(what.to, 1);
    if (found.empty()) {
      ++counts_.unknown;
      if (id.is_request())
        self_->make_response_promise().deliver(to_error(detail::nobody(what.to)));
      return;
    }
    auto& where = found.front();
    if (where.node == node_) {
      if (auto here = agents_.find(where.agent))
        return hand_to(*here, self_->take_current_message_id(), what.payload);
    }
    envelope letter{{where.agent}, std::move(what.from), std::move(what.payload)};
    if (id.is_request())
      ask(where.node, caf::make_message(std::move(letter)), what.timeout);
    else
      fire(where.node, std::move(letter));
  }

  void resolve(const resolve_agent& what) {
    if (auto here = agents_.find(what.id))
      return self_->make_response_promise().deliver(*here);
    auto found = places_.find(to_agent(what.id), 1);
    if (found.empty() || found.front().node == node_)
      return self_->make_response_promise().deliver(to_error(detail::nobody(to_agent(what.id))));
    ask(found.front().node, caf::make_message(find_agent{what.id}), what.timeout);
  }

  void send_to_many(dispatch& what) {
    auto found = places_.find(what.to, options_.max_recipients);
    std::map<std::string, std::vector<std::string>> by_node;
    for (auto& each : found)
      by_node[each.node].push_back(each.agent);
    send_report report;
    for (auto& [node, agents] : by_node) {
      auto count = static_cast<std::uint32_t>(agents.size());
      if (node == node_) {
        for (auto& each : agents)
          if (auto here = agents_.find(each)) {
            hand_to(*here, caf::make_message_id(), what.payload);
            ++report.sent;
          }
      } else if (fire(node, {std::move(agents), what.from, what.payload})) {
        report.sent += count;
      } else {
        report.unreachable += count;
      }
    }
    if (self_->current_message_id().is_request())
      self_->make_response_promise().deliver(report);
  }

  /// Sends without an answer; returns false if there is no room to wait for a link.
  bool fire(const std::string& node, envelope letter) {
    return with_link(node, [this, letter = std::move(letter)](peer* there, const problem&) mutable {
      if (there == nullptr) {
        ++counts_.unreachable;
        return;
      }
      ++counts_.forwarded;
      there->entry->enqueue(nullptr, caf::make_message_id(), caf::make_message(std::move(letter)),
                            self_->context());
    });
  }

  void ask(const std::string& node, caf::message letter, duration timeout) {
    auto promise = self_->make_response_promise();
    if (pending_.size() >= options_.max_pending) {
      ++counts_.refused;
      return promise.deliver(to_error(detail::too_many_pending(pending_.size())));
    }
    auto span = detail::patience(timeout);
    auto id = pending_.open(promise, node);
    auto go = [this, id, span, letter = std::move(letter)](peer* there,
                                                           const problem& why) mutable {
      if (there == nullptr) {
        ++counts_.unreachable;
        return pending_.finish(
          id, [&](caf::response_promise& answer) { answer.deliver(to_error(why)); });
      }
      ++counts_.forwarded;
      pending_.sent(id);
      compat::relay(
        self_, there->entry, span, std::move(letter),
        [this, id](caf::message answer) {
          pending_.finish(id, [&](caf::response_promise& to) { to.deliver(std::move(answer)); });
        },
        [this, id](const caf::error& said) {
          pending_.finish(
            id, [&](caf::response_promise& to) { to.deliver(detail::in_our_words(said)); });
        });
    };
    if (!with_link(node, std::move(go)))
      pending_.finish(id, [&](caf::response_promise& answer) {
        answer.deliver(to_error(
          {errc::limit_reached, std::to_string(waiting_)
                                  + " messages wait for links; retry with backoff or raise "
                                    "router_options::max_waiting"}));
      });
  }

  /// Calls `send_now` once there is a link to `node`; returns false if too much waits.
  bool with_link(const std::string& node, std::function<void(peer*, const problem&)> send_now) {
    auto& there = peers_[node];
    if (there.entry) {
      send_now(&there, {});
      return true;
    }
    if (waiting_ >= options_.max_waiting) {
      ++counts_.refused;
      return false;
    }
    ++waiting_;
    there.line.push_back(std::move(send_now));
    if (!std::exchange(there.wanted, true))
      events_.link_wanted(node);
    return true;
  }

  // -- errors -------------------------------------------------------------------------

  static problem no_agent(const std::string& id) {
    return {errc::not_found,
            "no agent '" + id.substr(0, max_shown) + "' is on this node; look it up again"};
  }

  void end_agent(const caf::actor_addr& who) {
    for (auto& id : agents_.end_of(who))
      events_.agent_ended(id);
  }

  static constexpr std::size_t max_shown = 64;

  caf::event_based_actor* self_;
  std::string node_;
  router_options options_;
  router_events events_;
  directory places_;
  detail::agent_table agents_;
  std::map<std::string, service_place, std::less<>> services_;
  std::map<std::string, peer, std::less<>> peers_;
  detail::open_requests<std::string> pending_;
  std::size_t waiting_ = 0;
  router_statistics counts_;
};

using node_router = caf::stateful_actor<router_state>;

/// A router, for the node that owns it. Thread-safe: calls become jobs of its actor.
class router_access {
public:
  router_access(caf::actor_system& sys, std::string node, router_options options,
                router_events events)
    : inside_(sys.spawn<node_router>(std::move(node), options, std::move(events))) {}

  /// Runs `job(router_state&)` on the router; returns false if that has ended.
  template <class Job>
  bool run(Job job) const {
    return run_on_state<router_state>(inside_, std::move(job));
  }

  [[nodiscard]] const caf::actor& handle() const {
    return inside_;
  }

private:
  caf::actor inside_;
};

} // namespace troupe::router
