#pragma once

#include <map>
#include <string>
#include <vector>

#include "commands.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/registry/record.hpp"

/// The nodes that a command asks one after the other, each for what is only there.
namespace cli {

struct asked_nodes {
  std::vector<troupe::registry::record> to_ask;
  /// As they are away: by their names, or else their addresses.
  std::vector<std::string> away;
  /// Names of nodes, these and others.
  std::map<troupe::node_id, std::string> names;
  /// Those that agents are on, or were when they were heard of last, by the names of these.
  std::map<std::string, std::string> agents;
};

/// The one with that name or id, or all if it is empty; without a leader those of which the node at
/// --at knows, which is said.
troupe::result<asked_nodes> find_nodes_to_ask(const common_options& common,
                                              troupe::cluster_client& client,
                                              const std::string& node);

/// The names of those that are away, in one line.
std::string names_of_away(const asked_nodes& nodes);

/// Says which are away: what is there is not shown.
void tell_of_away(const common_options& common, const asked_nodes& nodes);

/// The name of that node, else its id; empty for zeros.
std::string name_of_node(const asked_nodes& nodes, const troupe::node_id& which);

/// With the name of the node that it is about, unless it is about whoever asks.
troupe::problem at_node(const troupe::registry::record& node, troupe::problem why);

/// Calls `ask` with each node that can be asked, and says of which it returns a problem. Returns
/// the status for the shell.
template <class Ask>
int ask_each(const common_options& common, const asked_nodes& nodes, Ask ask) {
  auto status = ok;
  for (auto& each : nodes.to_ask)
    if (troupe::problem why = ask(each)) {
      status = complain(common, at_node(each, why));
      if (why.code == troupe::errc::denied)
        break; // so says each node
    }
  return status;
}

} // namespace cli
