#include "asked_nodes.hpp"

#include <iostream>
#include <set>
#include <string>
#include <utility>

#include "cluster_lists.hpp"
#include "cluster_report.hpp"
#include "connect.hpp"

namespace cli {

using namespace troupe;

result<asked_nodes> find_nodes_to_ask(const common_options& common, cluster_client& client,
                                      const std::string& node) {
  auto wait = common.wait();
  auto is_led = finds_services(client, wait);
  asked_nodes made;
  cluster_report seen;
  auto view = client.look(wait);
  if (!view)
    return view.error();
  seen.seen = *std::move(view);
  if (!is_led)
    tell_leaderless(common, seen.seen);
  auto all = all_records(client, registry::record_kind::node, wait);
  if (!all)
    return all.error();
  seen.nodes = *std::move(all);
  for (auto& each : seen.nodes)
    made.names.emplace(each.value.key.owner, each.value.key.name);
  auto agents = all_records(client, registry::record_kind::agent, wait);
  if (!agents)
    return agents.error();
  for (auto& each : *agents)
    if (auto found = made.names.find(each.value.key.owner); found != made.names.end())
      made.agents.emplace(each.value.key.name, found->second);
  if (!node.empty()) {
    auto found = find_node(client, node, wait);
    if (!found)
      return found.error();
    made.to_ask.push_back(*std::move(found));
    return made;
  }
  std::set<std::string> ids;
  for (auto& [id, name] : made.names)
    ids.insert(to_string(id));
  auto called = [&](const std::string& id) { return name_of_node(seen, id); };
  auto shown = told_apart(ids, called);
  for (auto& each : seen.nodes) {
    auto& id = each.value.key.owner;
    auto is_there = each.status != registry::record_status::disconnected
                    && !has_stopped(seen.seen, id) && !each.value.endpoints.empty();
    if (is_there)
      made.to_ask.push_back(each.value);
    else
      made.away.push_back(shown(to_string(id)));
  }
  for (auto& each : seats_unheard_of(seen))
    made.away.push_back(each.address);
  return made;
}

std::string names_of_away(const asked_nodes& nodes) {
  std::string all;
  for (auto& each : nodes.away)
    all += (all.empty() ? "" : ", ") + each;
  return all;
}

void tell_of_away(const common_options& common, const asked_nodes& nodes) {
  if (nodes.away.empty())
    return;
  if (common.json)
    print({{"event", "not_asked"}, {"nodes", nodes.away}}, std::cerr);
  else
    print_line(std::cerr, printable("not asked, as away: " + names_of_away(nodes)
                                    + "; ask again when they are back"));
}

std::string name_of_node(const asked_nodes& nodes, const node_id& which) {
  if (which == node_id{})
    return {};
  auto found = nodes.names.find(which);
  return found != nodes.names.end() ? found->second : to_string(which);
}

problem at_node(const registry::record& node, problem why) {
  if (why.code != errc::denied)
    why.detail = "node " + node.key.name + ": " + why.detail;
  return why;
}

} // namespace cli
