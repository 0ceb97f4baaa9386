#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

/// What only the services can tell.
struct services_report {
  worker_count workers;
  scheduler::scheduler_statistics runs;
  std::size_t locks = 0;
};

struct report {
  /// As the node that was asked has it.
  cluster::node_view seen;
  std::vector<registry::record_view> nodes;
  registry::status_counts agents;
  /// Nothing while they are out of reach: then all else is what that node heard last.
  std::optional<services_report> services;
};

result<report> ask_services(cluster_client& client, duration wait) {
  report made;
  services_report services;
  auto runs = client.services().scheduler.ask(scheduler::find_statistics{}, wait);
  if (!runs)
    return runs.error();
  services.runs = *runs;
  auto workers = count_workers(client, wait);
  if (!workers)
    return workers.error();
  services.workers = *workers;
  auto locks = all_locks(client, wait);
  if (!locks)
    return locks.error();
  services.locks = locks->size();
  auto nodes = all_records(client, registry::record_kind::node, wait);
  if (!nodes)
    return nodes.error();
  made.nodes = *std::move(nodes);
  auto counts = client.services().registry.ask(registry::count_records{}, wait);
  if (!counts)
    return counts.error();
  made.agents = counts->agents;
  auto seen = client.look(wait);
  if (!seen)
    return seen.error();
  if (seen->leader.empty())
    return problem{errc::no_quorum, "leadership was lost meanwhile"};
  made.seen = *std::move(seen);
  made.services = services;
  return made;
}

result<report> ask_one_node(cluster_client& client, duration wait) {
  report made;
  auto seen = client.look(wait);
  if (!seen)
    return seen.error();
  made.seen = *std::move(seen);
  auto nodes = known_records(client, registry::record_kind::node, made.seen, wait);
  if (!nodes)
    return nodes.error();
  made.nodes = *std::move(nodes);
  auto agents = known_records(client, registry::record_kind::agent, made.seen, wait);
  if (!agents)
    return agents.error();
  for (auto& each : *agents)
    ++(each.status == registry::record_status::active        ? made.agents.active
       : each.status == registry::record_status::maintenance ? made.agents.maintenance
       : each.status == registry::record_status::inactive    ? made.agents.inactive
                                                             : made.agents.disconnected);
  return made;
}

result<report> look_around(cluster_client& client, duration wait) {
  if (finds_services(client, wait))
    if (auto found = ask_services(client, wait); found || !is_of_services(found.error().code))
      return found;
  return ask_one_node(client, wait);
}

bool leads(const registry::record& node, const report& found) {
  if (!found.services)
    return false;
  auto& seats = found.seen.group.seats;
  if (!seats.empty())
    return std::ranges::any_of(
      seats, [&](auto& each) { return each.leads && each.node == node.key.owner; });
  auto role = node.metadata.find("role");
  return role != node.metadata.end() && role->second == "host";
}

void print_json(const report& found) {
  std::string leader;
  auto members = json::array();
  for (auto& each : found.nodes) {
    if (leads(each.value, found))
      leader = each.value.key.name;
    json member{{"node", each.value.key.name},
                {"id", each.value.key.owner},
                {"address", place_of(each.value)},
                {"status", std::string{name_of(each.status)}},
                {"boot", each.value.boot}};
    if (found.services)
      member["unseen_s"] = seconds(each.unseen_for);
    members.push_back(std::move(member));
  }
  auto called = [&](const std::string& id) {
    for (auto& each : found.nodes)
      if (each.value.key.owner == id)
        return each.value.key.name;
    return id.substr(0, 8);
  };
  auto has_group = !found.seen.group.seats.empty();
  json line{{"members", members},
            {"group", has_group ? to_json(found.seen.group, called) : json{}}};
  add_standing(line, found.seen, leader);
  line["asked"] = found.seen.name;
  line["agents"] = {{"active", found.agents.active},
                    {"maintenance", found.agents.maintenance},
                    {"inactive", found.agents.inactive},
                    {"disconnected", found.agents.disconnected}};
  if (found.services) {
    line["workers"] = found.services->workers.workers;
    line["slots"] = found.services->workers.slots;
    line["slots_used"] = found.services->workers.used;
    line["locks"] = found.services->locks;
    line["workflows"] = {{"live", found.services->runs.runs_live},
                         {"finished", found.services->runs.runs_finished}};
  }
  print(line);
}

void print_text(const report& found) {
  for (auto& each : found.nodes)
    std::cout << each.value.key.name << "  " << name_of(each.status) << "  " << place_of(each.value)
              << "  started " << each.value.boot << (each.value.boot == 1 ? " time" : " times")
              << (leads(each.value, found) ? "  leader" : "") << '\n';
  auto& agents = found.agents;
  std::cout << found.nodes.size() << " members, " << agents.active << " agents active and "
            << agents.maintenance + agents.inactive + agents.disconnected << " not";
  if (auto& known = found.services)
    std::cout << ", " << known->workers.workers << " workers with " << known->workers.used << " of "
              << known->workers.slots << " slots in use, " << known->locks << " locks, "
              << known->runs.runs_live << " workflows live and " << known->runs.runs_finished
              << " finished\n";
  else
    std::cout << ", as node " << found.seen.name << " heard last\n";
  auto& seen = found.seen;
  if (!found.services)
    std::cout << describe_leaderless(seen) << '\n';
  else if (!seen.group.seats.empty())
    std::cout << describe(seen.group) << '\n';
  if (seen.changes_of_leader > 0)
    std::cout << "leadership has changed " << seen.changes_of_leader
              << (seen.changes_of_leader == 1 ? " time" : " times") << " since node " << seen.name
              << " started\n";
  std::cout << std::flush;
}

} // namespace

int run_status(const common_options& common) {
  auto client = connect(common);
  if (!client)
    return complain(client.error());
  auto found = look_around(**client, common.wait());
  if (!found)
    return complain(found.error());
  if (common.json)
    print_json(*found);
  else
    print_text(*found);
  return ok;
}

} // namespace cli
