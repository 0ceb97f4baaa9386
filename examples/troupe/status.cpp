#include <chrono>
#include <iostream>
#include <set>
#include <string>

#include "cluster_report.hpp"
#include "commands.hpp"
#include "table.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/platform/calendar.hpp"

namespace cli {

using namespace troupe;

namespace {

/// Those of the node that was asked, and of the members that are linked to it.
void print_ending_certificates(const cluster_report& found) {
  const auto soon = read_calendar() + security::ends_soon;
  auto& seen = found.seen;
  if (auto& until = seen.certificate_valid_until; until && *until < soon)
    std::cout << "the certificate of node " << seen.name << " is valid until " << to_rfc3339(*until)
              << "; renew it with troupe ca renew\n";
  for (auto& each : seen.links) // which keep the certificate that they were made with
    if (!each.tls.empty() && each.role == "member" && each.valid_until < soon)
      std::cout << "the certificate that node " << name_of_peer(found, each)
                << " has shown is valid until " << to_rfc3339(each.valid_until)
                << "; renew it with troupe ca renew, unless that is done\n";
}

void print_text(const cluster_report& found) {
  std::set<std::string> ids;
  for (auto& each : found.nodes)
    ids.insert(to_string(each.value.key.owner));
  auto called = [&](const std::string& id) { return name_of_node(found, id); };
  auto shown = told_apart(ids, called);
  for (auto& each : found.nodes) {
    auto id = to_string(each.value.key.owner);
    auto seen = seen_as(found, id);
    std::cout << shown(id) << "  " << name_of(each.status) << "  " << place_of(each.value)
              << "  started " << each.value.boot << (each.value.boot == 1 ? " time" : " times")
              << (leads(each.value, found) ? "  leader" : "")
              << (seen.empty() || seen == "alive" ? "" : "  seen as " + seen)
              << (has_lost_replica(each.value)
                    ? "  cannot vote until it is started again, see its log"
                    : "")
              << '\n';
  }
  for (auto& each : seats_unheard_of(found))
    std::cout
      << each.node.substr(0, 8) << "  away  " << each.address << "  "
      << (each.votes ? "voter" : "learner")
      << ", and unknown here: it is revoked, or not back since all nodes were away; or node "
      << found.seen.name << " has just started\n";
  auto& agents = found.agents;
  std::cout << counted(found.nodes.size(), "member") << ", " << counted(agents.active, "agent")
            << " active and " << agents.maintenance + agents.inactive + agents.disconnected
            << " not";
  if (auto& known = found.services) {
    auto slots = count_slots(*known);
    std::cout << ", " << counted(known->workers.size(), "worker") << " with " << slots.used
              << " of " << counted(slots.all, "slot") << " in use, "
              << counted(known->locks, "lock") << ", " << counted(known->runs.runs_live, "workflow")
              << " live and " << known->runs.runs_finished << " finished\n";
  } else
    std::cout << ", as node " << found.seen.name << " heard last\n";
  auto& seen = found.seen;
  if (!found.services)
    std::cout << describe_leaderless(seen) << '\n';
  else if (!seen.group.seats.empty())
    std::cout << describe(seen.group) << '\n';
  std::cout << describe_services(seen.group, seen.name, called);
  if (seen.changes_of_leader > 0)
    std::cout << "leadership has changed " << seen.changes_of_leader
              << (seen.changes_of_leader == 1 ? " time" : " times") << " since node " << seen.name
              << " started\n";
  print_ending_certificates(found);
  constexpr auto old_news = std::chrono::minutes{2}; // a process that goes on tries more often
  if (auto& ago = seen.refused_duplicate_ago; ago && *ago < old_news)
    std::cout
      << "two nodes use one identity: node " << seen.name << " has refused "
      << counted(seen.refused_duplicates, "connection")
      << " for that reason since it started, the last one " << in_words(*ago)
      << " ago, and its log says whose; stop the node with the copied data folder, and give it an "
         "empty one\n";
  std::cout << std::flush;
}

/// The links of the node at --at. One that another node relays has that one's address.
void print_links(const cluster_report& found) {
  table links{{"PEER", "ROLE", "RIGHTS", "TLS", "CERTIFICATE UNTIL", "ID", "VIA"}};
  for (auto& each : linked_node(found).links) {
    auto is_secure = !each.tls.empty();
    links.add({name_of_peer(found, each), each.role, each.role == "client" ? each.rights : "",
               is_secure ? each.tls : "none", is_secure ? to_rfc3339(each.valid_until) : "",
               each.node.substr(0, 16), each.via});
  }
  auto& shown = linked_node(found);
  std::cout << "\nlinks of node " << shown.name << ":\n";
  links.print(std::cout);
  if (auto more = shown.all_links - shown.links.size(); more > 0)
    std::cout << "and " << more << " more\n";
  std::cout << std::flush;
}

/// The first node of --at that answers.
result<cluster::node_view> look_at_first(cluster_client& client, const common_options& common) {
  auto where = addresses(common.at);
  if (!where)
    return where.error();
  problem last;
  for (auto& each : *where) {
    auto seen = client.look_at(each, common.wait());
    if (seen)
      return seen;
    last = seen.error();
  }
  return last;
}

} // namespace

int run_status(const common_options& common, bool shows_links) {
  auto client = connect(common);
  if (!client)
    return complain(common, client.error());
  auto found = look_around(**client, common.wait());
  if (!found)
    return complain(common, found.error());
  if (shows_links) {
    auto there = look_at_first(**client, common);
    if (!there)
      return complain(common, there.error());
    found->at = *std::move(there);
  }
  if (common.json)
    print(to_json(*found));
  else
    print_text(*found);
  if (shows_links && !common.json)
    print_links(*found);
  return ok;
}

} // namespace cli
