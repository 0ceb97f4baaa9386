#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "troupe/cluster/service_names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/router/router_access.hpp"

namespace troupe::cluster {

/// Where the services of the cluster are, for those who ask this node.
struct leader_hint {
  /// Those that are on this node, by their names.
  std::map<std::string, caf::strong_actor_ptr> here{};
  /// The address where the others are; empty if unknown.
  std::string elsewhere{};
  /// Addresses of nodes that may know when those at `elsewhere` are gone.
  std::vector<std::string> others{};
  /// Why they will be nowhere for a while; errc::none: they may be found soon.
  problem why{};
};

/// Gives hints to the router, which answers those who ask. Not thread-safe.
class hint_board {
public:
  /// `has_group`: the node has a data folder, and thus takes part in the group of voters.
  hint_board(router::router_access router, bool has_group) : router_(std::move(router)) {
    if (has_group)
      told_.insert(voters_name);
    tell({});
  }

  void tell(const leader_hint& hint) {
    for (auto& [called, handle] : hint.here)
      told_.insert(called);
    router_.run([hint, told = told_](router::router_state& state) {
      for (auto& each : told) {
        auto found = hint.here.find(each);
        auto handle = found != hint.here.end() ? found->second : nullptr;
        state.set_service(each,
                          {handle, hint.elsewhere, hint.others, 0, handle ? problem{} : hint.why});
      }
    });
  }

private:
  router::router_access router_;
  /// All that were here once.
  std::set<std::string> told_{cluster_services.begin(), cluster_services.end()};
};

} // namespace troupe::cluster
