#include <iostream>

#include "asked_nodes.hpp"
#include "cluster_lists.hpp"
#include "commands.hpp"
#include "connect.hpp"

namespace cli {

using namespace troupe;

int run_maintain(const common_options& common, const maintain_command& what) {
  auto client = connect_to_services(common);
  if (!client)
    return complain(common, client.error());
  auto node = find_node(**client, what.node, common.wait());
  if (!node)
    return complain(common, node.error());
  auto done = ask_node(**client, *node, router::maintain_node{!what.off}, common.wait());
  if (!done)
    return complain(common, at_node(*node, done.error()));
  // So that a look at the cluster that comes next shows it.
  auto is_so = [on = done->on](const registry::record_view* seen) {
    return seen == nullptr || (seen->value.status == registry::record_status::maintenance) == on;
  };
  if (auto shown = await_shown(**client, node->key.owner, is_so, common.wait()); !shown)
    return complain(common, shown.error());
  if (common.json)
    print({{"event", "maintenance"},
           {"node", node->key.name},
           {"id", to_string(node->key.owner)},
           {"on", done->on}});
  else
    std::cout << "node " << node->key.name
              << (done->on ? " takes no new tasks; running ones end as usual"
                           : " takes tasks again")
              << std::endl;
  return ok;
}

} // namespace cli
