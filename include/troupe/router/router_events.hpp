#pragma once

#include <cstdint>
#include <functional>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/core/problem.hpp"
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
  /// Somebody asks the node to leave its cluster: says why it does not.
  std::function<problem(bool force)> may_leave = [](bool) {
    return problem{errc::failed, "this router has no node that could leave; ask that of a node"};
  };
  /// Begin to leave; comes after the answer has gone out.
  std::function<void(bool force)> leave{};
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
