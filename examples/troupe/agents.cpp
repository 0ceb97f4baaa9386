#include <algorithm>
#include <chrono>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cluster_lists.hpp"
#include "commands.hpp"
#include "connect.hpp"
#include "troupe/cluster/known_nodes.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/base64.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/utf8.hpp"
#include "troupe/registry/agent_name.hpp"

namespace cli {

using namespace troupe;

namespace {

/// An answer that is not UTF-8 cannot be in JSON: its bytes are in "text_base64" instead.
json to_line(const agent_id& agent, const std::string& answer) {
  json line{{"event", "answer"}, {"agent", agent.text()}};
  if (is_utf8(answer))
    line["text"] = answer;
  else
    line["text_base64"] = to_base64(std::as_bytes(std::span{answer}));
  return line;
}

struct agents_found {
  std::vector<registry::record_view> nodes;
  std::vector<registry::record_view> agents;
};

/// The agents as one node knows them.
result<agents_found> find_agents(cluster_client& cluster, const common_options& common) {
  auto nodes = all_records(cluster, registry::record_kind::node, common.wait());
  if (!nodes)
    return nodes.error();
  auto agents = all_records(cluster, registry::record_kind::agent, common.wait());
  if (!agents)
    return agents.error();
  if (auto seen = cluster.look(common.wait()); seen && seen->leader.empty())
    tell_leaderless(common, *seen);
  return agents_found{*std::move(nodes), *std::move(agents)};
}

/// Whether a node without a data folder has started again since, as another one. Of one that has a
/// data folder no other node takes the names.
bool has_successor(const registry::record_view& gone,
                   const std::vector<registry::record_view>& nodes) {
  return gone.value.metadata.contains(cluster::known_nodes::fleeting_mark)
         && std::ranges::any_of(nodes, [&](auto& each) {
              return each.value.key.name == gone.value.key.name && !is_gone(each);
            });
}

/// Why an agent could not be asked: its node, if that is away, otherwise `why`, with the name of
/// its node.
problem where_it_is(cluster_client& cluster, const common_options& common, const agent_id& agent,
                    problem why) {
  if (why.code != errc::not_found && why.code != errc::unreachable
      && why.code != errc::outcome_unknown)
    return why;
  constexpr duration moment = std::chrono::seconds{1}; // there may be no node to ask
  auto wait = std::min(common.wait(), moment);
  auto agents = all_records(cluster, registry::record_kind::agent, wait);
  if (!agents)
    return why;
  auto nodes = all_records(cluster, registry::record_kind::node, wait);
  if (!nodes)
    return why;
  for (auto& node : *nodes)
    if (auto id = to_string(node.value.key.owner); why.detail.find(id) != std::string::npos)
      why.detail.replace(why.detail.find(id), id.size(), node.value.key.name);
  if (why.code == errc::outcome_unknown)
    return why;
  for (auto& each : *agents)
    for (auto& node : *nodes)
      if (registry::agent_of(each.value) == agent && each.value.key.owner == node.value.key.owner) {
        auto where = "agent '" + agent.text() + "' is on node " + node.value.key.name;
        if (node.status != registry::record_status::active
            && node.status != registry::record_status::maintenance)
          return {errc::unreachable,
                  where + ", which has been " + std::string{name_of(node.status)} + " for "
                    + in_words(node.unseen_for)
                    + (has_successor(node, *nodes)
                         ? "; a node of that name has started since, whose agents can be asked "
                           "within 15 s: retry"
                         : "; start that node again, or choose another of troupe agents")};
        if (why.code == errc::unreachable)
          return {why.code, where + ": " + why.detail};
      }
  return why;
}

} // namespace

int run_agents(const common_options& common) {
  auto cluster = connect(common);
  if (!cluster)
    return complain(common, cluster.error());
  auto found = find_agents(**cluster, common);
  if (!found)
    return complain(common, found.error());
  std::map<node_id, std::string> names;
  for (auto& each : found->nodes)
    names[each.value.key.owner] = each.value.key.name;
  if (found->agents.empty() && !common.json)
    std::cout << "no agents" << std::endl;
  for (auto& each : found->agents) {
    auto& what = each.value;
    auto known = names.find(what.key.owner);
    auto node = known != names.end() ? known->second : to_string(what.key.owner);
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
    return complain(common, cluster.error());
  router::message_options how;
  if (what.ttl_s)
    how.ttl = to_span(*what.ttl_s);
  for (auto each : {router::delivery_class::confirm, router::delivery_class::once})
    if (what.delivery_class == name_of(each))
      how.delivery = each;
  for (auto each : {router::message_priority::low, router::message_priority::high,
                    router::message_priority::critical})
    if (what.priority == name_of(each))
      how.priority = each;
  auto is_confirmed = router::is_confirmed(how.delivery);
  if (what.synced && !is_confirmed)
    return complain(
      common, {errc::bad_argument, "--synced is for --class confirm and once; give one of them"});
  if (what.synced)
    how.durability = router::durability::synced;
  if (!is_confirmed) // such a message waits for its agent
    await_agent(**cluster, agent_id{what.agent}, common.wait());
  if (!what.wants_answer) {
    auto sent = (*cluster)->send(router::to_agent(what.agent), common.wait(), how, what.text);
    if (!sent && is_confirmed && sent.error().code == errc::outcome_unknown)
      return complain(common,
                      {errc::outcome_unknown,
                       "the node that was to take the message has ended, or the link to it, before "
                       "it said what became of that. It may have been handled, or go on once the "
                       "node is back: see troupe inbox and troupe dead-letters; send it again if "
                       "it does no harm twice"});
    if (!sent)
      return complain(common, where_it_is(**cluster, common, what.agent, sent.error()));
    if (common.json)
      print({{"event", is_confirmed ? "handled" : "sent"}, {"agent", what.agent}});
    else
      std::cout << (is_confirmed ? "handled by " : "sent to ") << what.agent << std::endl;
    return ok;
  }
  auto answer
    = (*cluster)->request<std::string>(router::to_agent(what.agent), common.wait(), how, what.text);
  if (!answer)
    return complain(common, where_it_is(**cluster, common, what.agent, answer.error()));
  if (common.json)
    print(to_line(what.agent, *answer));
  else
    std::cout << *answer << std::endl;
  return ok;
}

} // namespace cli
