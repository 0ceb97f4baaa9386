#pragma once

#include <cstdint>
#include <functional>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/departure_report.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/detail/call_outcomes.hpp"

namespace troupe::router {

/// What a router asks of its node. Called on the router's actor; must not block.
struct router_events {
  /// There is something to send to that node and no link to it.
  std::function<void(const node_id& node)> link_wanted;
  /// An agent of this node has ended by itself.
  std::function<void(const agent_id& agent)> agent_ended;
  /// So a call to an agent of another node has ended, as far as others should hear of it; see
  /// call_outcomes. Called on any thread.
  std::function<void(const node_id& node, const agent_id& agent, call_end how)> called{};
  /// Somebody asks the node, which has so many messages, to leave its cluster; `done` may be called
  /// on any thread, once what it leaves behind is known.
  std::function<void(bool force, duration deliver_within, const kept_messages& kept,
                     std::function<void(const result<departure_report>&)> done)>
    leave = [](bool, duration, const kept_messages&, const auto& done) {
      done(problem{errc::failed, "this router has no node that could leave; ask that of a node"});
    };
  /// One of those who asked has the report: their links may end.
  std::function<void()> departure_heard = [] {};
  /// Somebody asks the node for maintenance, or to end it; `done` may be called on any thread.
  std::function<void(bool on, done_handler done)> maintain = [](bool, const done_handler& done) {
    done(
      {errc::failed, "this router has no node that could be in maintenance; ask that of a node"});
  };
  /// Close that link: neither side uses it, and nothing is on the way.
  std::function<void(const node_id& node, std::uint64_t number)> link_idle
    = [](const node_id&, std::uint64_t) {};
};

} // namespace troupe::router
