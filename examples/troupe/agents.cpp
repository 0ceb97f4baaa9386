#include <map>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "connect.hpp"

namespace cli {

using namespace troupe;

namespace {

struct agents_found {
  std::vector<registry::record_view> nodes;
  std::vector<registry::record_view> agents;
};

/// As the registry has them, or as one node knows them where nobody leads.
result<agents_found> find_agents(cluster_client& cluster, const common_options& common) {
  if (finds_services(cluster, common.wait())) {
    auto nodes = all_records(cluster, registry::record_kind::node, common.wait());
    if (nodes)
      if (auto agents = all_records(cluster, registry::record_kind::agent, common.wait()))
        return agents_found{*std::move(nodes), *std::move(agents)};
  }
  auto seen = cluster.look(common.wait());
  if (!seen)
    return seen.error();
  auto nodes = known_records(cluster, registry::record_kind::node, *seen, common.wait());
  if (!nodes)
    return nodes.error();
  auto agents = known_records(cluster, registry::record_kind::agent, *seen, common.wait());
  if (!agents)
    return agents.error();
  tell_leaderless(common, *seen);
  return agents_found{*std::move(nodes), *std::move(agents)};
}

} // namespace

int run_agents(const common_options& common) {
  auto cluster = connect(common);
  if (!cluster)
    return complain(cluster.error());
  auto found = find_agents(**cluster, common);
  if (!found)
    return complain(found.error());
  std::map<std::string, std::string> names; // of nodes, by their ids
  for (auto& each : found->nodes)
    names[each.value.key.owner] = each.value.key.name;
  for (auto& each : found->agents) {
    auto& what = each.value;
    auto known = names.find(what.key.owner);
    auto node = known != names.end() ? known->second : what.key.owner;
    if (common.json) {
      print({{"agent", what.key.name},
             {"node", node},
             {"status", std::string{name_of(each.status)}},
             {"healthy", each.healthy},
             {"capabilities", what.capabilities},
             {"groups", what.groups}});
      continue;
    }
    std::cout << what.key.name << "  " << name_of(each.status) << "  at " << node;
    for (auto& capability : what.capabilities)
      std::cout << "  " << capability;
    std::cout << std::endl;
  }
  return ok;
}

int run_message(const common_options& common, const message_command& what) {
  auto cluster = connect(common);
  if (!cluster)
    return complain(cluster.error());
  if (!what.wants_answer) {
    auto sent = (*cluster)->send(router::to_agent(what.agent), common.wait(), what.text);
    if (!sent)
      return complain(sent.error());
    if (common.json)
      print({{"event", "sent"}, {"agent", what.agent}});
    else
      std::cout << "sent to " << what.agent << std::endl;
    return ok;
  }
  auto answer
    = (*cluster)->request<std::string>(router::to_agent(what.agent), common.wait(), what.text);
  if (!answer)
    return complain(answer.error());
  if (common.json)
    print({{"event", "answer"}, {"agent", what.agent}, {"text", *answer}});
  else
    std::cout << *answer << std::endl;
  return ok;
}

} // namespace cli
