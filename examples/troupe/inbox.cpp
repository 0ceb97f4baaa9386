#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "asked_nodes.hpp"
#include "cluster_lists.hpp"
#include "commands.hpp"
#include "connect.hpp"
#include "table.hpp"

namespace cli {

using namespace troupe;

namespace {

/// Rounded up.
std::string in_size(std::uint64_t bytes) {
  constexpr std::array<const char*, 4> units{"B", "KiB", "MiB", "GiB"};
  std::size_t unit = 0;
  for (; bytes >= 10'240 && unit + 1 < units.size(); ++unit)
    bytes = bytes / 1'024 + (bytes % 1'024 > 0 ? 1 : 0);
  return std::to_string(bytes) + ' ' + units[unit];
}

std::string amount(std::uint64_t messages, std::uint64_t bytes) {
  return messages == 0 ? "-" : std::to_string(messages) + " (" + in_size(bytes) + ')';
}

/// Where those go that the node has accepted, and what keeps them there.
std::string state_of(const asked_nodes& nodes, const registry::record& node,
                     const router::inbox_report& what) {
  std::string state = what.is_full ? "full" : "";
  auto add = [&state](const std::string& more) { state += (state.empty() ? "" : "; ") + more; };
  if (what.accepted == 0)
    return state;
  auto there = name_of_node(nodes, what.to);
  if (what.to != node_id{})
    add(there == node.key.name ? "here" : (what.is_linked ? "to " : "no link to ") + there);
  else if (auto last = nodes.agents.find(what.agent.text()); last != nodes.agents.end())
    add("no link to " + last->second); // where it was when that was heard of last
  else
    add("no node has the agent");
  if (what.failures > 0)
    add(counted(what.failures, "failure")
        + (what.why.empty() ? "" : ": " + in_our_words(what.why)));
  return state;
}

void show(const common_options& common, table& rows, const asked_nodes& nodes,
          const registry::record& node, const router::inbox_report& what) {
  if (!common.json) {
    rows.add({what.agent.text(), node.key.name, amount(what.waiting, what.waiting_bytes),
              amount(what.accepted, what.accepted_bytes),
              what.age > duration::zero() ? in_words(what.age) : "-", state_of(nodes, node, what)});
    return;
  }
  print({{"agent", what.agent.text()},
         {"node", node.key.name},
         {"is_here", what.is_here},
         {"waiting", what.waiting},
         {"waiting_bytes", what.waiting_bytes},
         {"full", what.is_full},
         {"accepted", what.accepted},
         {"accepted_bytes", what.accepted_bytes},
         {"age_ms", what.age / std::chrono::milliseconds{1}},
         {"to", name_of_node(nodes, what.to)},
         {"linked", what.is_linked},
         {"failures", what.failures},
         {"why", in_our_words(what.why)},
         {"state", state_of(nodes, node, what)}});
}

bool is_empty(const router::inbox_report& what) {
  return what.waiting == 0 && what.accepted == 0;
}

/// Returns whether there were any.
bool tell(const common_options& common, const registry::record& node, const std::string& agent,
          const router::expire_receipt& what) {
  if (what == router::expire_receipt{})
    return false;
  if (common.json) {
    print({{"event", "expired"},
           {"node", node.key.name},
           {"agent", agent},
           {"expired", what.expired},
           {"left", what.left}});
    return true;
  }
  if (what.expired > 0)
    print_line(std::cout,
               printable(counted(what.expired, "message") + " for " + agent + " at " + node.key.name
                         + (what.expired == 1 ? " is a dead letter now" : " are dead letters now")
                         + "; see troupe dead-letters"));
  if (what.left > 0)
    print_line(std::cout, printable(counted(what.left, "message") + " for " + agent + " at "
                                    + node.key.name + (what.left == 1 ? " goes on" : " go on")
                                    + ": a node in reach has the agent"));
  return true;
}

/// Ends what the nodes have accepted for an agent that nobody has.
int expire(const common_options& common, cluster_client& client, const asked_nodes& nodes,
           const std::string& agent) {
  auto has_any = false;
  auto status = ask_each(common, nodes, [&](auto& node) -> problem {
    auto done = ask_node(client, node, router::expire_messages{agent_id{agent}}, common.wait());
    if (!done)
      return done.error();
    has_any = tell(common, node, agent, *done) || has_any;
    return {};
  });
  if (!has_any && status == ok && !common.json)
    print_line(std::cout, "no message waits for " + printable(agent)
                            + (nodes.away.empty() ? "" : " at the nodes that were asked"));
  tell_of_away(common, nodes);
  return status;
}

/// Calls `take` with what waits there for each agent, or for that one.
template <class Take>
problem for_each_inbox(const common_options& common, cluster_client& client,
                       const registry::record& node, const agent_id& agent, Take take) {
  router::list_inboxes question{.limit = 1'000, .agent = agent};
  for (;;) {
    auto page = ask_node(client, node, question, common.wait());
    if (!page)
      return page.error();
    for (auto& each : page->inboxes)
      if (!is_empty(each))
        take(each);
    if (page->next.empty())
      return {};
    question.after = page->next;
  }
}

} // namespace

int run_inbox(const common_options& common, const inbox_command& what) {
  auto client = connect(common);
  if (!client)
    return complain(common, client.error());
  auto nodes = find_nodes_to_ask(common, **client, what.node);
  if (!nodes)
    return complain(common, nodes.error());
  if (what.expire)
    return expire(common, **client, *nodes, what.agent);
  table rows{{"AGENT", "NODE", "WAITING", "ACCEPTED", "OLDEST", "STATE"}};
  auto waits = false;
  auto status = ask_each(common, *nodes, [&](auto& node) {
    return for_each_inbox(common, **client, node, what.agent, [&](auto& each) {
      waits = true;
      show(common, rows, *nodes, node, each);
    });
  });
  if (waits && !common.json)
    rows.print(std::cout);
  else if (!common.json && status == ok)
    print_line(std::cout, "nothing waits"
                            + (what.agent.empty() ? "" : " for " + printable(what.agent))
                            + (nodes->away.empty() ? "" : " at the nodes that were asked"));
  tell_of_away(common, *nodes);
  return status;
}

} // namespace cli
