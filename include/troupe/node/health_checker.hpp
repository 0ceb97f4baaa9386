#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/time.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/registry/messages.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::cluster {

/// Pings the agents that callers did not reach and tells the registry of those who answer: they
/// are healthy again. Part of an actor, and used on it only.
class health_checker {
public:
  /// Returns the router of a node, null if it is out of reach.
  using find_router = std::function<caf::strong_actor_ptr(const std::string& node)>;

  health_checker(caf::event_based_actor* self, registry_client registry, find_router router_of)
    : self_(self), registry_(std::move(registry)), router_of_(std::move(router_of)) {}

  /// The agent `id` shows unhealthy.
  void add(const registry::record_key& what, std::string id) {
    unhealthy_.insert_or_assign(what, std::move(id));
  }

  /// It is healthy, or not there.
  void remove(const registry::record_key& what) {
    unhealthy_.erase(what);
  }

  /// As remove(), of all for which `condition` holds.
  template <class Condition>
  void remove_if(Condition condition) {
    std::erase_if(unhealthy_, [&](auto& each) { return condition(each.first); });
  }

  /// Pings at most `max_checks`, the next ones at the next call. Who has not answered the last
  /// ping gets no other.
  void check() {
    auto next = unhealthy_.upper_bound(last_);
    for (auto left = std::min(unhealthy_.size(), max_checks); left > 0; --left, ++next) {
      if (next == unhealthy_.end())
        next = unhealthy_.begin();
      last_ = next->first;
      ping(next->first, next->second);
    }
  }

  static constexpr std::size_t max_checks = 100;

private:
  void ping(const registry::record_key& what, const std::string& id) {
    auto there = router_of_(what.owner);
    if (!there || !pinged_.insert(what).second)
      return;
    compat::relay(
      self_, there, answer_within, caf::make_message(router::envelope{id, compat::ping()}),
      [this, what](const caf::message&) {
        pinged_.erase(what);
        registry_.async(registry::report_outcome{what, registry::call_outcome::succeeded},
                        answer_within, [](const auto&) {});
      },
      [this, what](const caf::error&) { pinged_.erase(what); });
  }

  static constexpr duration answer_within = std::chrono::seconds{10};

  caf::event_based_actor* self_;
  registry_client registry_;
  find_router router_of_;
  /// With their ids.
  std::map<registry::record_key, std::string> unhealthy_;
  std::set<registry::record_key> pinged_;
  registry::record_key last_;
};

} // namespace troupe::cluster
