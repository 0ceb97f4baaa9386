#include <string>
#include <vector>

#include "caf/scoped_actor.hpp"
#include "commands.hpp"
#include "connect.hpp"

namespace cli {

using namespace troupe;

namespace {

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
                                        + "; it may be ending, or have restarted"};
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
    return complain(common, client.error());
  auto node = find_node(**client, what.node, common.wait());
  if (!node)
    return complain(common, node.error());
  auto done = ask(**client, *node, !what.off, common.wait());
  if (!done)
    return complain(common, done.error());
  // So that a look at the cluster that comes next shows it.
  auto is_so = [on = done->on](const registry::record_view* seen) {
    return seen == nullptr || (seen->value.status == registry::record_status::maintenance) == on;
  };
  if (auto shown = await_shown(**client, node->key.owner, is_so, common.wait()); !shown)
    return complain(common, shown.error());
  if (common.json)
    print({{"event", "maintenance"},
           {"node", node->key.name},
           {"id", node->key.owner},
           {"on", done->on}});
  else
    std::cout << "node " << node->key.name
              << (done->on ? " takes no new tasks; running ones end as usual"
                           : " takes tasks again")
              << std::endl;
  return ok;
}

} // namespace cli
