#include <chrono>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "connect.hpp"

namespace cli {

using namespace troupe;

namespace {

/// The one that is meant, or all that are there.
result<std::vector<registry::record>> nodes_to_ask(cluster_client& client, const std::string& node,
                                                   duration wait) {
  if (!node.empty()) {
    auto found = find_node(client, node, wait);
    if (!found)
      return found.error();
    return std::vector{*std::move(found)};
  }
  auto all = all_records(client, registry::record_kind::node, wait);
  if (!all)
    return all.error();
  std::vector<registry::record> result;
  for (auto& each : *all)
    if ((each.status == registry::record_status::active
         || each.status == registry::record_status::maintenance)
        && !each.value.endpoints.empty())
      result.push_back(each.value);
  return result;
}

std::string name_of_node(const std::vector<registry::record>& nodes, const node_id& which) {
  if (which == node_id{})
    return {};
  auto id = to_string(which);
  for (auto& each : nodes)
    if (each.key.owner == id)
      return each.key.name;
  return id;
}

void show(const common_options& common, const std::vector<registry::record>& nodes,
          const registry::record& node, const router::dead_letter& what) {
  auto from = name_of_node(nodes, what.node);
  auto why = in_our_words(what.why);
  if (common.json) {
    print({{"id", to_string(what.id)},
           {"reason", std::string{name_of(what.reason)}},
           {"why", why},
           {"node", node.key.name},
           {"sender_node", from},
           {"sender", what.from.text()},
           {"agent", what.to.text()},
           {"type", what.type},
           {"ended_at_ms", what.ended_at.time_since_epoch() / std::chrono::milliseconds{1}},
           {"deliveries", what.deliveries},
           {"bytes", what.bytes}});
    return;
  }
  auto line = to_string(what.id) + "  " + std::string{name_of(what.reason)} + "  for "
              + what.to.text() + "  at " + node.key.name;
  if (!from.empty())
    line += "  from " + (what.from.empty() ? "" : what.from.text() + '@') + from;
  line += "  " + what.type + "  ended " + to_rfc3339(what.ended_at);
  if (what.reason != router::dead_reason::unknown) // there the agent's node does not say
    line
      += "  " + std::to_string(what.deliveries) + (what.deliveries == 1 ? " failure" : " failures");
  line += ": " + why;
  print_line(std::cout, printable(line)); // others choose most of its texts
}

problem list(const common_options& common, cluster_client& client,
             const std::vector<registry::record>& nodes, const registry::record& node) {
  router::list_dead_letters question{.limit = 1'000};
  for (;;) {
    auto page = ask_node(client, node, question, common.wait());
    if (!page)
      return page.error();
    for (auto& each : page->letters)
      show(common, nodes, node, each);
    if (!page->more || page->letters.empty())
      return {};
    question.after = page->letters.back().place;
  }
}

/// With the name of the node that it is about, unless it is about whoever asks.
problem at_node(const registry::record& node, problem why) {
  if (why.code != errc::denied)
    why.detail = "node " + node.key.name + ": " + why.detail;
  return why;
}

int list_all(const common_options& common, cluster_client& client,
             const std::vector<registry::record>& nodes) {
  int status = ok;
  for (auto& each : nodes)
    if (auto why = list(common, client, nodes, each)) {
      status = complain(common, at_node(each, why));
      if (why.code == errc::denied)
        break; // so says each node
    }
  return status;
}

void tell(const common_options& common, const registry::record& node, const std::string& id,
          const router::redrive_receipt& what) {
  if (common.json) {
    print({{"event", "redriven"},
           {"node", node.key.name},
           {"id", id},
           {"redriven", what.redriven},
           {"applied_already", what.applied_already},
           {"refused", what.refused},
           {"unreadable", what.unreadable}});
    return;
  }
  if (what.applied_already > 0)
    std::cout << id << " was applied already, at " << node.key.name << std::endl;
  else
    std::cout << what.redriven << (what.redriven == 1 ? " message is" : " messages are")
              << " on the way again at " << node.key.name
              << (what.refused > 0 ? "; " + std::to_string(what.refused)
                                       + (what.refused == 1 ? " more is" : " more are")
                                       + " refused: no room, so try again, or too old (class once)"
                                   : "")
              << (what.unreadable > 0 ? "; " + std::to_string(what.unreadable)
                                          + " cannot be read there, send them again"
                                      : "")
              << std::endl;
}

int redrive(const common_options& common, cluster_client& client,
            const std::vector<registry::record>& nodes, const std::string& id) {
  auto is_all = id == "all";
  auto is_found = is_all;
  problem missing{errc::not_found,
                  "no node keeps the dead letter " + id + "; see troupe dead-letters"};
  int status = ok;
  for (auto& each : nodes) {
    auto done
      = ask_node(client, each, router::redrive_dead_letter{is_all ? "" : id}, common.wait());
    if (done) {
      is_found = true;
      tell(common, each, id, *done);
      if (!is_all)
        return status; // another node may keep it as well, and would deliver it a second time
    } else if (is_all || done.error().code != errc::not_found) {
      if (!is_all && done.error().code == errc::bad_argument)
        return complain(common, done.error());
      if (!is_all && done.error().code == errc::busy)
        return complain(common, at_node(each, done.error()));
      status = complain(common, at_node(each, done.error()));
      is_found = true;
      if (done.error().code == errc::denied)
        return status; // so says each node
    }
  }
  return is_found ? status : complain(common, missing);
}

} // namespace

int run_dead_letters(const common_options& common, const dead_letters_command& what) {
  auto client = connect_to_services(common);
  if (!client)
    return complain(common, client.error());
  auto nodes = nodes_to_ask(**client, what.node, common.wait());
  if (!nodes)
    return complain(common, nodes.error());
  return what.redrive ? redrive(common, **client, *nodes, *what.redrive)
                      : list_all(common, **client, *nodes);
}

} // namespace cli
