#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "commands.hpp"
#include "connect.hpp"

namespace cli {

using namespace troupe;

namespace {

std::string place_of(const registry::record& node) {
  if (node.endpoints.empty())
    return {};
  auto& first = node.endpoints.front();
  return to_string(net::address{first.host, first.port});
}

bool leads(const registry::record& node, const std::optional<cluster::voters_view>& voters) {
  if (voters)
    return std::ranges::any_of(
      voters->seats, [&](auto& each) { return each.leads && each.node == node.key.owner; });
  auto found = node.metadata.find("role");
  return found != node.metadata.end() && found->second == "host";
}

struct worker_count {
  std::size_t workers = 0;
  std::uint64_t slots = 0;
  std::uint64_t used = 0;
};

result<worker_count> count_workers(cluster_client& client, duration wait) {
  worker_count sum;
  scheduler::list_workers question;
  for (;;) {
    auto page = client.services().scheduler.ask(question, wait);
    if (!page)
      return page.error();
    if (page->workers.empty())
      return sum;
    for (auto& each : page->workers) {
      ++sum.workers;
      sum.slots += each.capacity.slots;
      sum.used += each.used.slots;
      question.after = each.worker;
    }
  }
}

} // namespace

int run_status(const common_options& common) {
  auto client = connect(common);
  if (!client)
    return complain(client.error());
  auto nodes = all_records(**client, registry::record_kind::node, common.wait());
  if (!nodes)
    return complain(nodes.error());
  auto counts = (*client)->services().registry.ask(registry::count_records{}, common.wait());
  if (!counts)
    return complain(counts.error());
  auto workers = count_workers(**client, common.wait());
  if (!workers)
    return complain(workers.error());
  auto runs = (*client)->services().scheduler.ask(scheduler::find_statistics{}, common.wait());
  if (!runs)
    return complain(runs.error());
  auto locks = all_locks(**client, common.wait());
  if (!locks)
    return complain(locks.error());
  std::optional<cluster::voters_view> voters; // only where there is a group
  if ((*client)->has_voters()) {
    auto found = (*client)->voters().list(common.wait());
    if (!found)
      return complain(found.error());
    voters = *std::move(found);
  }
  std::string leader;
  for (auto& each : *nodes)
    if (leads(each.value, voters))
      leader = each.value.key.name;
  auto& agents = counts->agents;
  if (common.json) {
    auto members = json::array();
    for (auto& each : *nodes)
      members.push_back({{"node", each.value.key.name},
                         {"id", each.value.key.owner},
                         {"address", place_of(each.value)},
                         {"status", std::string{name_of(each.status)}},
                         {"boot", each.value.boot},
                         {"unseen_s", seconds(each.unseen_for)}});
    auto called = [&](const std::string& id) {
      for (auto& each : *nodes)
        if (each.value.key.owner == id)
          return each.value.key.name;
      return id.substr(0, 8);
    };
    print({{"members", members},
           {"group", voters ? to_json(*voters, called) : json{}},
           {"leader", leader},
           {"agents",
            {{"active", agents.active},
             {"maintenance", agents.maintenance},
             {"inactive", agents.inactive},
             {"disconnected", agents.disconnected}}},
           {"workers", workers->workers},
           {"slots", workers->slots},
           {"slots_used", workers->used},
           {"locks", locks->size()},
           {"workflows", {{"live", runs->runs_live}, {"finished", runs->runs_finished}}}});
    return ok;
  }
  for (auto& each : *nodes)
    std::cout << each.value.key.name << "  " << name_of(each.status) << "  " << place_of(each.value)
              << "  started " << each.value.boot << (each.value.boot == 1 ? " time" : " times")
              << (leads(each.value, voters) ? "  leader" : "") << '\n';
  std::cout << nodes->size() << " members, " << agents.active << " agents active and "
            << agents.maintenance + agents.inactive + agents.disconnected << " not, "
            << workers->workers << " workers with " << workers->used << " of " << workers->slots
            << " slots in use, " << locks->size() << " locks, " << runs->runs_live
            << " workflows live and " << runs->runs_finished << " finished" << std::endl;
  if (voters)
    std::cout << describe(*voters) << std::endl;
  return ok;
}

} // namespace cli
