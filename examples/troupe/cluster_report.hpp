#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "connect.hpp"
#include "troupe/cluster/swim_types.hpp"

/// The data of a cluster that `troupe status` and `troupe top` show.
namespace cli {

/// Data that only the services have.
struct services_report {
  std::vector<troupe::scheduler::worker_view> workers;
  troupe::scheduler::scheduler_statistics runs;
  std::size_t locks = 0;
};

struct cluster_report {
  /// The view of the node that was asked.
  troupe::cluster::node_view seen;
  /// Of the node at --at whose links are asked for; empty: they are not.
  std::optional<troupe::cluster::node_view> at;
  std::vector<troupe::registry::record_view> nodes;
  troupe::registry::status_counts agents;
  /// Empty while the services cannot be reached: then everything else is what that node last heard.
  std::optional<services_report> services;
};

/// Queries the services, or one node for what it knows. Takes up to the time of an election if
/// there is no leader, and up to `wait` for each answer.
troupe::result<cluster_report> look_around(troupe::cluster_client& client, troupe::duration wait);

/// The node whose links are shown.
const troupe::cluster::node_view& linked_node(const cluster_report& found);

/// The first address of a node; empty if it has given none.
std::string place_of(const troupe::registry::record& node);

/// The name of a node; the first digits of its id, if the name is not known.
std::string name_of_node(const cluster_report& found, const std::string& id);

/// What people call the peer of a link: the name in its certificate, or that of its node.
std::string name_of_peer(const cluster_report& found, const troupe::cluster::link_view& link);

bool leads(const troupe::registry::record& node, const cluster_report& found);

/// Its process goes on, and its replica of the group has ended.
bool has_lost_replica(const troupe::registry::record& node);

/// How the node that was asked sees the one with that id: "alive", "suspect", "dead" or "left";
/// empty if it is that node itself, or does not know it.
std::string seen_as(const cluster_report& found, const std::string& node);

/// How many members the node that was asked sees so, of those that it has named.
std::size_t count_seen(const cluster_report& found, troupe::cluster::member_status how);

/// The members of the group that are not reached, and of whose nodes the registry has heard nothing
/// since it began: they are not back since all nodes were away. Of nodes without a seat nobody
/// knows then.
std::vector<troupe::cluster::seat_view> seats_unheard_of(const cluster_report& found);

struct slot_count {
  std::uint64_t all = 0;
  std::uint64_t used = 0;
};

slot_count count_slots(const services_report& services);

/// How many tasks of a run ended, in any way.
std::uint32_t tasks_over(const troupe::scheduler::run_view& run);

/// One JSON object with everything except the individual workers.
json to_json(const cluster_report& found);

} // namespace cli
