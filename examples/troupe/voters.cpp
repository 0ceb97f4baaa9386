#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "cluster_lists.hpp"
#include "cluster_report.hpp"
#include "commands.hpp"
#include "connect.hpp"

namespace cli {

using namespace troupe;

namespace {

problem check(const voters_command& what) {
  auto wants_node = what.verb != "list";
  if (wants_node == what.node.empty())
    return {errc::bad_argument, wants_node ? what.verb + " needs the name or id of a NODE"
                                           : "list takes no NODE; leave it out"};
  if ((what.verb == "replace") == what.by.empty())
    return {errc::bad_argument, what.by.empty()
                                  ? "replace needs two nodes: the old and the new voter"
                                  : what.verb + " takes one node"};
  if (what.force && what.verb != "remove" && what.verb != "replace")
    return {errc::bad_argument, "--force goes with remove and replace; leave it out"};
  if (!what.by.empty() && what.node == what.by)
    return {errc::bad_argument, "replace needs two nodes: " + what.by + " cannot replace itself"};
  return {};
}

/// The id of the voter that `called` means: its name, its address, its id or how that begins.
result<std::string> find_voter(const cluster::voters_view& group, const std::string& called) {
  std::set<std::string> found;
  auto look = [&](auto is_meant) {
    for (auto& each : group.seats)
      if (each.votes && is_meant(each))
        found.insert(each.node);
  };
  look([&](auto& each) {
    return each.name == called || each.node == called || each.address == called;
  });
  if (found.empty())
    look([&](auto& each) { return begins_id(called, each.node); });
  if (found.size() == 1)
    return *found.begin();
  if (found.empty())
    return problem{errc::not_found,
                   "no voter '" + called
                     + "' is known, so there is nothing to replace; see troupe voters for their "
                       "names, and make another node a voter with troupe voters add"};
  std::string ids;
  for (auto& each : found)
    ids += (ids.empty() ? "" : ", ") + each.substr(0, 12);
  return problem{errc::bad_argument,
                 std::to_string(found.size()) + " voters are called '" + called
                   + "'; give the id of the one you mean, or its first digits: " + ids};
}

/// Whether that node is a voter no more, or is to be none.
bool is_going(const cluster::voters_view& group, const std::string& node) {
  return std::ranges::none_of(group.seats, [&](auto& each) { return each.node == node; })
         || std::ranges::any_of(
           group.pending, [&](auto& each) { return each.node == node && each.what == "removal"; });
}

/// The id of the removed node that `called` means.
std::optional<std::string> find_removed(cluster_client& client, const cluster::voters_view& group,
                                        const std::string& called, duration wait) {
  if (group.kept_out.empty())
    return std::nullopt;
  auto node = find_node(client, called, wait);
  if (!node
      || std::ranges::find(group.kept_out, to_string(node->key.owner)) == group.kept_out.end())
    return std::nullopt;
  return to_string(node->key.owner);
}

/// Why a node was not made a voter: if it cannot be reached, that is the reason; otherwise `why`.
problem why_no_voter(cluster_client& client, const std::string& called, const problem& why,
                     duration wait) {
  if (why.code != errc::bad_argument && why.code != errc::unreachable)
    return why;
  auto node = find_node(client, called, wait);
  if (!node)
    return why;
  auto& endpoint = node->endpoints.front();
  if (auto link = client.link_to({endpoint.host, endpoint.port}, wait); !link)
    return {errc::unreachable,
            "node " + node->key.name
              + " cannot become a voter, because it cannot be reached: " + link.error().detail};
  return why;
}

/// Why that node cannot do so, which takes a replica of the log; empty if it may have one.
problem without_replica(cluster_client& client, const std::string& called, const std::string& so,
                        duration wait) {
  auto node = find_node(client, called, wait);
  if (!node || !has_lost_replica(*node))
    return {};
  return {errc::bad_argument, "node " + node->key.name + " cannot " + so
                                + ", as its replica of the log has ended; see its log for the "
                                  "reason, and start it again"};
}

result<cluster::voters_view> add_voter(cluster_client& client, const std::string& called,
                                       duration wait) {
  if (auto why = without_replica(client, called, "become a voter", wait))
    return why;
  auto added = client.voters().change({cluster::voter_change::add, called, false}, wait);
  if (!added)
    return why_no_voter(client, called, added.error(), wait);
  return added;
}

/// Makes the new voter first, so that there are never fewer.
result<cluster::voters_view> replace(cluster_client& client, const voters_command& what,
                                     duration wait) {
  using cluster::voter_change;
  auto group = client.voters().list(wait);
  if (!group)
    return group;
  auto old = find_voter(*group, what.node);
  auto by = find_voter(*group, what.by);
  if (!old && old.error().code == errc::not_found && by)
    if (auto removed = find_removed(client, *group, what.node, wait))
      old = *removed; // asked again
  if (!old)
    return old.error();
  if (by && *by == *old)
    return problem{errc::bad_argument, "replace needs two nodes: " + what.node + " and " + what.by
                                         + " are the same one"};
  auto voters = std::ranges::count_if(group->seats, [](auto& each) { return each.votes; });
  if (by && static_cast<std::size_t>(voters) <= group->wanted && !is_going(*group, *old))
    return problem{errc::bad_argument,
                   what.by
                     + " votes already, so it takes nobody's place; name a node that does not "
                       "vote, or remove "
                     + what.node + " with troupe voters remove"};
  auto added = add_voter(client, what.by, wait);
  if (!added)
    return added;
  auto made = client.voters().change({voter_change::remove, *old, what.force}, wait);
  if (!made)
    return problem{made.error().code, what.by + " votes by now, but " + what.node
                                        + " was not removed: " + made.error().detail};
  return made;
}

/// The leader would wait for it to catch up.
result<cluster::voters_view> make_lead(cluster_client& client, const std::string& called,
                                       duration wait) {
  if (auto why = without_replica(client, called, "lead", wait))
    return why;
  return client.voters().change({cluster::voter_change::lead, called, false}, wait);
}

result<cluster::voters_view> change(cluster_client& client, const voters_command& what,
                                    duration wait) {
  using cluster::voter_change;
  if (what.verb == "list")
    return client.voters().list(wait);
  if (what.verb == "lead")
    return make_lead(client, what.node, wait);
  if (what.verb == "add")
    return add_voter(client, what.node, wait);
  if (what.verb == "replace")
    return replace(client, what, wait);
  return client.voters().change({voter_change::remove, what.node, what.force}, wait);
}

/// Why a node that was asked while nobody leads shows no voters.
problem why_no_voters(cluster_client& client, const cluster::node_view& seen, duration wait) {
  auto why = describe_leaderless(seen);
  if (is_of_lost_host(seen))
    return {errc::no_quorum, why}; // there are none
  auto nodes = all_records(client, registry::record_kind::node, wait);
  auto has_ended
    = nodes && std::ranges::any_of(*nodes, [&](auto& each) {
        return to_string(each.value.key.owner) == seen.node && has_lost_replica(each.value);
      });
  why += has_ended ? ", and the replica of node " + seen.name
                       + " has ended, see its log; give another voter with --at"
                   : ", and node " + seen.name
                       + " does not vote, so it knows no voters; give a voter with --at";
  return {errc::no_quorum, std::move(why)};
}

} // namespace

int run_voters(const common_options& common, const voters_command& what) {
  if (auto why = check(what))
    return complain(common, why);
  auto client = connect(common);
  if (!client)
    return complain(common, client.error());
  std::optional<cluster::node_view> alone; // what one node knows, if there is no leader
  result<cluster::voters_view> found{problem{errc::no_quorum, {}}};
  if (what.verb != "list" || finds_services(**client, common.wait()))
    found = change(**client, what, common.wait());
  if (!found && what.verb == "list" && is_of_services(found.error().code)) {
    auto seen = (*client)->look(common.wait());
    if (!seen)
      return complain(common, seen.error());
    if (!seen->group.seats.empty()) {
      found = seen->group;
      alone = *std::move(seen);
    } else if (found.error().detail.empty()) {
      found = why_no_voters(**client, *seen, common.wait());
    }
  }
  if (!found)
    return complain(common, found.error());
  auto nodes = all_records(**client, registry::record_kind::node, common.wait());
  auto called = [&](const std::string& id) {
    if (nodes)
      for (auto& each : *nodes)
        if (to_string(each.value.key.owner) == id)
          return each.value.key.name;
    for (auto& each : found->seats) // also of a node that has no record any more
      if (each.node == id)
        return each.name;
    return id.substr(0, 8);
  };
  std::set<std::string> ids;
  std::set<std::string> there;
  std::set<std::string> lost_replicas;
  if (nodes)
    for (auto& each : *nodes) {
      ids.insert(to_string(each.value.key.owner));
      if (is_gone(each))
        continue;
      there.insert(to_string(each.value.key.owner));
      if (has_lost_replica(each.value))
        lost_replicas.insert(to_string(each.value.key.owner));
    }
  if (common.json) {
    auto line = to_json(*found, called);
    line["voters_reachable"] = count_voters(*found).reached;
    auto ended = json::array();
    for (auto& each : lost_replicas)
      ended.push_back(called(each));
    line["replica_ended"] = nodes ? std::move(ended) : json(nullptr);
    line["replica_ended_ids"] = nodes ? json(lost_replicas) : json(nullptr);
    if (alone) {
      line["leaderless_s"] = seconds(alone->leaderless_for);
      if (says_why(*alone))
        line["why"] = alone->why.detail;
    }
    print(line);
    return ok;
  }
  for (auto& each : found->seats)
    ids.insert(each.node);
  auto shown = told_apart(ids, called);
  std::ranges::sort(found->seats, {}, [&](auto& each) { return shown(each.node); }); // as in status
  std::ranges::sort(found->spares, {}, shown);
  for (auto& each : found->seats) {
    std::cout << shown(each.node) << "  " << (each.votes ? "voter" : "learner") << "  "
              << each.address;
    if (!alone && (each.lag || !each.leads))
      std::cout << (each.lag ? "  " + std::to_string(*each.lag)
                                 + (*each.lag == 1 ? " entry behind" : " entries behind")
                             : "  has not acknowledged anything to this leader yet");
    std::cout << (each.is_reached ? "" : "  unreachable") << (each.leads ? "  leader" : "") << '\n';
  }
  for (auto& each : found->kept_out)
    if (std::ranges::none_of(found->seats, [&](auto& seat) { return seat.node == each; }))
      std::cout << shown(each)
                << (!nodes || there.contains(each)
                      ? "  removed; make it a voter again with troupe voters add\n"
                      : "  removed, and not there\n");
  for (auto& each : found->spares)
    std::cout << shown(each) << "  spare\n";
  for (auto& each : lost_replicas)
    std::cout << shown(each) << "  cannot vote until it is started again, see its log\n";
  for (auto& each : found->pending)
    std::cout << shown(each.node) << "  " << each.what << ": " << each.why << '\n';
  std::cout << describe_services(*found, alone ? alone->name : std::string{}, shown)
            << (alone ? describe_leaderless(*alone) : describe(*found)) << std::endl;
  return ok;
}

} // namespace cli
