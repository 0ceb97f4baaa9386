#pragma once

#include <array>
#include <string_view>

namespace troupe::cluster {

/// The services that a cluster has once, by the names that routers know them by. The same
/// as the names of the service traits, so that a light client needs none of those.
inline constexpr const char* names_name = "troupe.names";
inline constexpr const char* locks_name = "troupe.lock";
inline constexpr const char* scheduler_name = "troupe.scheduler";
inline constexpr const char* state_name = "troupe.state";

inline constexpr std::array cluster_services{names_name, locks_name, scheduler_name, state_name};

/// The name of the actor that answers for the voters on the leader; only clusters that keep their
/// services on a group of voters have it.
inline constexpr const char* voters_name = "troupe.voters";

/// Whether services and actors of troupe have names like this; those of programs have others.
constexpr bool is_ours(std::string_view name) {
  return name.starts_with("troupe.");
}

} // namespace troupe::cluster
