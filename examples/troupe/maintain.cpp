#include <string>
#include <vector>

#include "caf/scoped_actor.hpp"
#include "commands.hpp"
#include "connect.hpp"
#include "troupe/core/names.hpp"

namespace cli {

using namespace troupe;

namespace {

/// The record of the node that is called so, by its name or its id.
result<registry::record> find_node(cluster_client& client, const std::string& called,
                                   duration wait) {
  auto nodes = all_records(client, registry::record_kind::node, wait);
  if (!nodes)
    return nodes.error();
  std::vector<registry::record> found;
  for (auto& each : *nodes)
    if (each.value.key.name == called || each.value.key.owner == called)
      found.push_back(each.value);
  if (found.empty())
    return problem{errc::not_found,
                   "no node is called '" + shortened(called) + "'; see troupe status"};
  if (found.size() > 1)
    return problem{errc::bad_argument, std::to_string(found.size()) + " nodes are called '" + called
                                         + "'; give the id that troupe status --json shows"};
  if (found.front().endpoints.empty())
    return problem{errc::unreachable,
                   "node '" + called + "' says no address; ask where it runs, with node::maintain"};
  return found.front();
}

result<router::maintenance_receipt> ask(cluster_client& client, const registry::record& node,
                                        bool on, duration wait) {
  auto& endpoint = node.endpoints.front();
  auto link = client.link_to({endpoint.host, endpoint.port}, wait);
  if (!link)
    return link.error();
  auto entry = (*link)->entry_point();
  if (!entry || to_string((*link)->peer().node) != node.key.owner)
    return problem{errc::unreachable, "node '" + node.key.name + "' is not at its address "
                                        + to_string(net::address{endpoint.host, endpoint.port})
                                        + "; is it ending, or started anew?"};
  result<router::maintenance_receipt> answer{
    problem{errc::timed_out, "no answer in time; wait longer with --timeout"}};
  caf::scoped_actor self{client.system()};
  self->request(caf::actor_cast<caf::actor>(entry), wait, router::maintain_node{on})
    .receive([&](const router::maintenance_receipt& got) { answer = got; },
             [&](const caf::error& why) { answer = to_problem(why); });
  return answer;
}

} // namespace

int run_maintain(const common_options& common, const maintain_command& what) {
  auto client = connect_to_services(common);
  if (!client)
    return complain(client.error());
  auto node = find_node(**client, what.node, common.wait());
  if (!node)
    return complain(node.error());
  auto done = ask(**client, *node, !what.off, common.wait());
  if (!done)
    return complain(done.error());
  if (common.json)
    print({{"event", "maintenance"},
           {"node", node->key.name},
           {"id", node->key.owner},
           {"on", done->on}});
  else
    std::cout << "node " << node->key.name
              << (done->on ? " takes no new tasks; those that it runs end" : " takes tasks again")
              << std::endl;
  return ok;
}

} // namespace cli
