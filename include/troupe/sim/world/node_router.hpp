#pragma once

#include <set>

#include "troupe/cluster/claims.hpp"
#include "troupe/cluster/node_core.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/sim/laws/node_laws.hpp"

namespace troupe::sim {

/// Where messages to agents go from a simulated node, and which names of its own get some: what
/// a router keeps of that.
class node_router {
public:
  explicit node_router(const node_id& node) : node_(node) {}

  void hear(const cluster::node_core::found& what) {
    routes_.insert_or_assign({what.id, what.node}, what);
    if (what.node == node_ && what.what.token != 0)
      receivers_.insert(what.id);
  }

  void hear(const cluster::node_core::gone& what) {
    routes_.erase({what.id, what.node});
    if (what.node == node_)
      receivers_.erase(what.id);
  }

  void hear(const cluster::node_core::found_only& what) {
    std::erase_if(routes_, [&](auto& each) {
      return each.first.second != node_ && !what.agents.contains(each.first);
    });
  }

  void hear(const cluster::claims::lost_name& what) {
    receivers_.erase(what.name);
  }

  [[nodiscard]] const std::set<agent_id>& receivers() const {
    return receivers_;
  }

  [[nodiscard]] const node_routes& routes() const {
    return routes_;
  }

private:
  node_id node_;
  std::set<agent_id> receivers_;
  node_routes routes_;
};

} // namespace troupe::sim
