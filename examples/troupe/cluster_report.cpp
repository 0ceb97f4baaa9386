#include "cluster_report.hpp"
#include "cluster_lists.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "troupe/cluster/known_nodes.hpp"
#include "troupe/core/log_line.hpp"

namespace cli {

using namespace troupe;

namespace {

result<std::vector<scheduler::worker_view>> all_workers(cluster_client& client, duration wait) {
  std::vector<scheduler::worker_view> all;
  for (scheduler::list_workers question;;) {
    auto page = client.services().scheduler.ask(question, wait);
    if (!page)
      return page.error();
    if (page->workers.empty())
      return all;
    question.after = page->workers.back().worker;
    std::ranges::move(page->workers, std::back_inserter(all));
  }
}

/// What the node that answers knows of nodes and agents, also without a leader.
problem ask_registry(cluster_client& client, cluster_report& made, duration wait) {
  auto nodes = all_records(client, registry::record_kind::node, wait);
  if (!nodes)
    return nodes.error();
  made.nodes = *std::move(nodes);
  auto counts = client.services().registry.ask(registry::count_records{}, wait);
  if (!counts)
    return counts.error();
  made.agents = counts->agents;
  return {};
}

result<cluster_report> ask_services(cluster_client& client, duration wait) {
  cluster_report made;
  services_report services;
  auto runs = client.services().scheduler.ask(scheduler::find_statistics{}, wait);
  if (!runs)
    return runs.error();
  services.runs = *runs;
  auto workers = all_workers(client, wait);
  if (!workers)
    return workers.error();
  services.workers = *std::move(workers);
  auto locks = all_locks(client, wait);
  if (!locks)
    return locks.error();
  services.locks = locks->size();
  if (auto why = ask_registry(client, made, wait))
    return why;
  auto seen = client.look(wait);
  if (!seen)
    return seen.error();
  if (seen->leader.empty())
    return problem{errc::no_quorum, "leadership was lost meanwhile; ask again"};
  made.seen = *std::move(seen);
  made.services = std::move(services);
  return made;
}

result<cluster_report> ask_one_node(cluster_client& client, duration wait) {
  cluster_report made;
  auto seen = client.look(wait);
  if (!seen)
    return seen.error();
  made.seen = *std::move(seen);
  if (auto why = ask_registry(client, made, wait))
    return why;
  return made;
}

} // namespace

result<cluster_report> look_around(cluster_client& client, duration wait) {
  if (finds_services(client, wait))
    if (auto found = ask_services(client, wait); found || !is_of_services(found.error().code))
      return found;
  return ask_one_node(client, wait);
}

const cluster::node_view& linked_node(const cluster_report& found) {
  return found.at ? *found.at : found.seen;
}

std::string place_of(const registry::record& node) {
  if (node.endpoints.empty())
    return {};
  auto& first = node.endpoints.front();
  return to_string(net::address{first.host, first.port});
}

slot_count count_slots(const services_report& services) {
  slot_count sum;
  for (auto& each : services.workers) {
    sum.all += each.capacity.slots;
    sum.used += each.used.slots;
  }
  return sum;
}

std::uint32_t tasks_over(const scheduler::run_view& run) {
  std::uint32_t sum = 0;
  for (std::size_t state = 0; state < run.counts.size(); ++state)
    if (is_final(static_cast<scheduler::task_state>(state)))
      sum += run.counts[state];
  return sum;
}

std::string name_of_node(const cluster_report& found, const std::string& id) {
  for (auto& each : found.nodes)
    if (to_string(each.value.key.owner) == id)
      return each.value.key.name;
  return id.substr(0, 8);
}

bool leads(const registry::record& node, const cluster_report& found) {
  if (!found.services)
    return false;
  auto& seats = found.seen.group.seats;
  if (!seats.empty())
    return std::ranges::any_of(
      seats, [&](auto& each) { return each.leads && each.node == to_string(node.key.owner); });
  auto role = node.metadata.find("role");
  return role != node.metadata.end() && role->second == "host";
}

bool has_lost_replica(const registry::record& node) {
  return node.metadata.contains(cluster::known_nodes::ended_mark);
}

std::string name_of_peer(const cluster_report& found, const cluster::link_view& link) {
  if (!link.name.empty())
    return link.name;
  return link.role == "member" ? name_of_node(found, link.node) : link.node.substr(0, 8);
}

std::string seen_as(const cluster_report& found, const std::string& node) {
  auto& members = found.seen.members;
  auto seen = std::ranges::find(members, node, &cluster::member_view::node);
  return seen != members.end() ? seen->status : std::string{};
}

std::size_t count_seen(const cluster_report& found, cluster::member_status how) {
  auto& members = found.seen.members;
  return static_cast<std::size_t>(
    std::ranges::count(members, name_of(how), &cluster::member_view::status));
}

std::vector<cluster::seat_view> seats_unheard_of(const cluster_report& found) {
  std::vector<cluster::seat_view> unheard;
  auto is_known = [&](const cluster::seat_view& seat) {
    return seat.is_reached || seat.node == found.seen.node
           || std::ranges::any_of(
             found.nodes, [&](auto& each) { return to_string(each.value.key.owner) == seat.node; });
  };
  for (auto& seat : found.seen.group.seats)
    if (!is_known(seat))
      unheard.push_back(seat);
  return unheard;
}

namespace {

json unheard_of(const cluster_report& found) {
  auto all = json::array();
  for (auto& each : seats_unheard_of(found))
    all.push_back({{"id", each.node}, {"address", each.address}, {"votes", each.votes}});
  return all;
}

json sights_of(const cluster_report& found) {
  json all;
  using enum cluster::member_status;
  for (auto how : {alive, suspect, dead, left})
    all[std::string{name_of(how)}] = count_seen(found, how);
  return all;
}

json links_of(const cluster_report& found) {
  auto all = json::array();
  for (auto& each : linked_node(found).links) {
    auto is_secure = !each.tls.empty();
    all.push_back(
      {{"peer", name_of_peer(found, each)},
       {"id", each.node},
       {"role", each.role},
       {"rights", each.role == "client" ? json(each.rights) : json{}},
       {"tls", is_secure ? json(each.tls) : json{}},
       {"via", each.via.empty() ? json{} : json(each.via)},
       {"certificate_valid_until", is_secure ? json(to_rfc3339(each.valid_until)) : json{}}});
  }
  return all;
}

} // namespace

json to_json(const cluster_report& found) {
  std::string leader;
  auto members = json::array();
  for (auto& each : found.nodes) {
    if (leads(each.value, found))
      leader = each.value.key.name;
    json member{{"node", each.value.key.name},
                {"id", to_string(each.value.key.owner)},
                {"address", place_of(each.value)},
                {"status", std::string{name_of(each.status)}},
                {"boot", each.value.boot}};
    if (found.services)
      member["unseen_s"] = seconds(each.unseen_for);
    auto seen = seen_as(found, to_string(each.value.key.owner));
    member["replica_ended"] = has_lost_replica(each.value);
    member["seen_as"] = seen.empty() ? json(nullptr) : json(seen);
    members.push_back(std::move(member));
  }
  auto called = [&](const std::string& id) { return name_of_node(found, id); };
  auto has_group = !found.seen.group.seats.empty();
  json line{{"members", members},
            {"group", has_group ? to_json(found.seen.group, called) : json{}}};
  line["unheard"] = unheard_of(found);
  line["seen"] = sights_of(found);
  add_standing(line, found.seen, leader);
  line["asked"] = found.seen.name;
  line["links"] = links_of(found);
  line["all_links"] = linked_node(found).all_links;
  line["links_of"] = linked_node(found).name;
  auto& until = found.seen.certificate_valid_until;
  line["certificate_valid_until"] = until ? json(to_rfc3339(*until)) : json(nullptr);
  line["refused_duplicates"] = found.seen.refused_duplicates;
  auto& ago = found.seen.refused_duplicate_ago;
  line["refused_duplicate_ago_s"] = ago ? json(seconds(*ago)) : json(nullptr);
  line["agents"] = {{"active", found.agents.active},
                    {"maintenance", found.agents.maintenance},
                    {"inactive", found.agents.inactive},
                    {"disconnected", found.agents.disconnected}};
  if (found.services) {
    auto slots = count_slots(*found.services);
    line["workers"] = found.services->workers.size();
    line["slots"] = slots.all;
    line["slots_used"] = slots.used;
    line["locks"] = found.services->locks;
    line["workflows"] = {{"live", found.services->runs.runs_live},
                         {"finished", found.services->runs.runs_finished}};
  }
  return line;
}

} // namespace cli
