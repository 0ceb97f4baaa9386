#pragma once

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/error.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/cluster/member_view.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/names.hpp"
#include "troupe/lock/types.hpp"
#include "troupe/net/address.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/registry/agent_name.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record.hpp"

/// What a cluster says to several commands: its lists, whole, and the nodes that are found in them.
namespace cli {

/// All records of one kind, with any status, as the node that answers knows them.
inline troupe::result<std::vector<troupe::registry::record_view>>
all_records(troupe::cluster_client& cluster, troupe::registry::record_kind kind,
            troupe::duration wait) {
  troupe::registry::find_records question;
  question.kind = kind;
  question.statuses = troupe::registry::all_statuses();
  question.unhealthy_too = true;
  question.limit = 1'000;
  std::vector<troupe::registry::record_view> found;
  for (;;) {
    auto page = cluster.services().registry.ask(question, wait);
    if (!page)
      return page.error();
    found.insert(found.end(), page->records.begin(), page->records.end());
    if (!page->more || page->records.empty())
      return found;
    question.after = found.back().value.key;
  }
}

/// Waits until the node that answers shows of that one what is meant (null: nothing of it), which
/// others hear of a moment later. Returns whether it does in time.
template <class Condition>
troupe::result<bool> await_shown(troupe::cluster_client& cluster, const troupe::node_id& node,
                                 Condition is_meant, troupe::duration wait) {
  auto end = std::chrono::steady_clock::now() + wait;
  for (;;) {
    auto all = all_records(cluster, troupe::registry::record_kind::node, wait);
    if (!all)
      return all.error();
    auto found = std::ranges::find(
      *all, node, [](auto& each) -> auto& { return each.value.key.owner; });
    if (is_meant(found == all->end() ? nullptr : &*found))
      return true;
    if (std::chrono::steady_clock::now() >= end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

/// What has been said to be ready is known to the other nodes a moment later, and scripts do not
/// wait for that: what is not known is looked for that long.
constexpr troupe::duration others_hear_within = std::chrono::seconds{1};

/// Whether the node that answers knows an agent of that id: one that has claimed it, one of several
/// that may have it, which are found by it as by a capability, or one whose id ends with its node.
inline troupe::result<bool> is_known(troupe::cluster_client& cluster, const troupe::agent_id& agent,
                                     troupe::duration wait) {
  using namespace troupe::registry;
  auto shown = [&](find_records question) {
    question.statuses = all_statuses();
    question.unhealthy_too = true;
    question.limit = 1'000;
    return cluster.services().registry.ask(question, wait);
  };
  auto is_among = [&](const find_records& question) -> troupe::result<bool> {
    auto page = shown(question);
    if (!page)
      return page.error();
    return std::ranges::any_of(
      page->records, [&](const record_view& each) { return agent_of(each.value) == agent; });
  };
  auto& id = agent.text();
  auto claimed = is_among({.kind = record_kind::agent, .name = id});
  if (!claimed || *claimed)
    return claimed;
  if (!is_own_name(id))
    return is_among({.kind = record_kind::agent, .capabilities = {id}});
  auto nodes = shown({.kind = record_kind::node, .name = id.substr(id.rfind('@') + 1)});
  if (!nodes)
    return nodes.error();
  for (auto& each : nodes->records) {
    auto& node = each.value.key.owner;
    auto found
      = is_among({.kind = record_kind::agent, .name = unclaimed_name(agent, node), .owner = node});
    if (!found || *found)
      return found;
  }
  return false;
}

/// Waits until the node that answers knows an agent of that id, if it comes to be known that soon.
inline void await_agent(troupe::cluster_client& cluster, const troupe::agent_id& agent,
                        troupe::duration wait) {
  auto longest = std::min(wait, others_hear_within);
  auto end = std::chrono::steady_clock::now() + longest;
  for (;;) {
    auto known = is_known(cluster, agent, longest);
    if (!known || *known || std::chrono::steady_clock::now() >= end)
      return;
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
}

/// Asks the router of that node, over a link to its address.
template <class Question>
troupe::result<typename Question::result> ask_node(troupe::cluster_client& client,
                                                   const troupe::registry::record& node,
                                                   const Question& what, troupe::duration wait) {
  using answer_type = typename Question::result;
  auto& endpoint = node.endpoints.front();
  auto link = client.link_to({endpoint.host, endpoint.port}, wait);
  if (!link)
    return link.error();
  auto entry = (*link)->entry_point();
  if (!entry || (*link)->peer().node != node.key.owner)
    return troupe::problem{troupe::errc::unreachable,
                           "node '" + node.key.name + "' is not at its address "
                             + to_string(troupe::net::address{endpoint.host, endpoint.port})
                             + "; it may be ending, or have restarted"};
  troupe::result<answer_type> answer{
    troupe::problem{troupe::errc::timed_out, "no answer in time; wait longer with --timeout"}};
  caf::scoped_actor self{client.system()};
  self->request(caf::actor_cast<caf::actor>(entry), wait, what)
    .receive([&](const answer_type& got) { answer = got; },
             [&](const caf::error& why) { answer = troupe::to_problem(why); });
  return answer;
}

inline bool is_gone(const troupe::registry::record_view& node) {
  return node.liveness == troupe::registry::record_status::disconnected;
}

/// Whether that node has said that it stops. It shows as active for some seconds more, as it may
/// start again at once; without a data folder it never does, but as another node.
inline bool has_stopped(const troupe::cluster::node_view& seen, const troupe::node_id& node) {
  auto found
    = std::ranges::find(seen.members, to_string(node), &troupe::cluster::member_view::node);
  return found != seen.members.end() && found->status == "left";
}

/// Those that have this name or id; if there are none, those whose id begins so. Where some of them
/// are there, only these: a node without a data folder has another id at each start, and those of
/// its earlier lives are shown for a while.
inline std::vector<troupe::registry::record_view>
nodes_called(const std::string& what, const std::vector<troupe::registry::record_view>& all) {
  std::vector<troupe::registry::record_view> found;
  auto add_those = [&](auto is_meant) {
    std::ranges::copy_if(all, std::back_inserter(found),
                         [&](auto& each) { return is_meant(each.value.key); });
  };
  add_those([&](auto& key) { return key.name == what || to_string(key.owner) == what; });
  if (found.empty())
    add_those([&](auto& key) { return troupe::begins_id(what, to_string(key.owner)); });
  if (!std::ranges::all_of(found, is_gone))
    std::erase_if(found, is_gone);
  return found;
}

/// The record of the node with this name or id; a name of no node that is there is looked for until
/// others have heard of it.
inline troupe::result<troupe::registry::record>
find_node(troupe::cluster_client& client, const std::string& called, troupe::duration wait) {
  auto end = std::chrono::steady_clock::now() + std::min(wait, others_hear_within);
  std::vector<troupe::registry::record_view> found;
  for (;;) {
    auto nodes = all_records(client, troupe::registry::record_kind::node, wait);
    if (!nodes)
      return nodes.error();
    auto seen = client.look(wait);
    if (!seen)
      return seen.error();
    for (auto& each : *nodes)
      if (has_stopped(*seen, each.value.key.owner))
        each.liveness = troupe::registry::record_status::disconnected;
    found = nodes_called(called, *nodes);
    auto is_there = !std::ranges::all_of(found, is_gone);
    if (is_there || std::chrono::steady_clock::now() >= end)
      break;
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  if (found.empty())
    return troupe::problem{troupe::errc::not_found, "no node is called '"
                                                      + troupe::shortened(called)
                                                      + "'; see troupe status"};
  if (found.size() > 1)
    return troupe::problem{troupe::errc::bad_argument,
                           std::to_string(found.size()) + " nodes are called '" + called
                             + "'; give the first digits of its id that troupe status shows"};
  if (found.front().value.endpoints.empty())
    return troupe::problem{troupe::errc::unreachable,
                           "node '" + called
                             + "' says no address; ask where it runs, with node::maintain"};
  return found.front().value;
}

/// All locks that are held.
inline troupe::result<std::vector<troupe::lock::lock_view>>
all_locks(troupe::cluster_client& cluster, troupe::duration wait) {
  troupe::lock::list_locks question;
  question.limit = 1'000;
  std::vector<troupe::lock::lock_view> found;
  for (;;) {
    auto page = cluster.services().locks.ask(question, wait);
    if (!page)
      return page.error();
    found.insert(found.end(), page->locks.begin(), page->locks.end());
    if (!page->more || page->locks.empty())
      return found;
    question.after = found.back().name;
  }
}

} // namespace cli
