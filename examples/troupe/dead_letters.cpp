#include <chrono>
#include <iostream>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "asked_nodes.hpp"
#include "cluster_lists.hpp"
#include "commands.hpp"
#include "connect.hpp"
#include "letter_choice.hpp"
#include "troupe/core/json_tree.hpp"

namespace cli {

using namespace troupe;

namespace {

void show(const common_options& common, const asked_nodes& nodes, const registry::record& node,
          const router::dead_letter& what) {
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

/// Calls `take` with each dead letter of that node.
template <class Take>
problem for_each_letter(const common_options& common, cluster_client& client,
                        const registry::record& node, Take take) {
  router::list_dead_letters question{.limit = 1'000};
  for (;;) {
    auto page = ask_node(client, node, question, common.wait());
    if (!page)
      return page.error();
    for (auto& each : page->letters)
      take(each);
    if (!page->more || page->letters.empty())
      return {};
    question.after = page->letters.back().place;
  }
}

int list_all(const common_options& common, cluster_client& client, const asked_nodes& nodes) {
  auto has_any = false;
  auto status = ask_each(common, nodes, [&](auto& node) {
    return for_each_letter(common, client, node, [&](auto& each) {
      has_any = true;
      show(common, nodes, node, each);
    });
  });
  if (!has_any && status == ok && !common.json)
    print_line(std::cout, "no dead letters");
  tell_of_away(common, nodes);
  return status;
}

/// Returns whether anything has happened there.
bool tell(const common_options& common, const registry::record& node, const std::string& id,
          const router::redrive_receipt& what) {
  if (what == router::redrive_receipt{})
    return false;
  if (common.json)
    print({{"event", "redriven"},
           {"node", node.key.name},
           {"id", id},
           {"redriven", what.redriven},
           {"applied_already", what.applied_already},
           {"refused", what.refused},
           {"unreadable", what.unreadable}});
  else
    for (auto& line : in_lines(what, id, node.key.name))
      print_line(std::cout, printable(line));
  return true;
}

/// Returns whether anything has happened there.
bool tell(const common_options& common, const registry::record& node, const std::string& id,
          const router::purge_receipt& what) {
  if (what.purged == 0)
    return false;
  if (common.json)
    print({{"event", "purged"}, {"node", node.key.name}, {"id", id}, {"purged", what.purged}});
  else
    print_line(std::cout,
               printable(counted(what.purged, "dead letter") + (what.purged == 1 ? " is" : " are")
                         + " purged at " + node.key.name));
  return true;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream from{text};
  for (std::string line; std::getline(from, line);)
    all.push_back(line);
  return all;
}

/// Its content.
bool tell(const common_options& common, const registry::record& node, const std::string& id,
          const router::shown_dead_letter& what) {
  json content = what.json; // of another release, perhaps
  if (auto read = parse_json(what.json))
    content = *read;
  if (common.json)
    print({{"event", "shown"}, {"node", node.key.name}, {"id", id}, {"message", content}});
  else
    for (auto& line : lines_of(content.dump(2, ' ', false, json::error_handler_t::replace)))
      print_line(std::cout, printable(line)); // others choose its texts
  return true;
}

/// Redrives or purges all at each node.
template <class Wish>
int change_all(const common_options& common, cluster_client& client, const asked_nodes& nodes) {
  auto has_any = false;
  auto status = ask_each(common, nodes, [&](auto& node) -> problem {
    auto done = ask_node(client, node, Wish{}, common.wait());
    if (!done)
      return done.error();
    has_any = tell(common, node, "all", *done) || has_any;
    return {};
  });
  if (!has_any && status == ok && !common.json)
    print_line(std::cout, "no dead letters");
  tell_of_away(common, nodes);
  return status;
}

/// With what is not known, as nodes are away.
problem missing(problem why, const asked_nodes& nodes) {
  if (auto at = why.detail.rfind("; "); !nodes.away.empty() && at != std::string::npos)
    why.detail.insert(at, " (not asked, as away: " + names_of_away(nodes) + ')');
  return why;
}

/// The id that `called` stands for, all of it or not. One that was handled already is kept by no
/// node, so only all of its id stands for it.
result<std::string> whole_id(const common_options& common, cluster_client& client,
                             const asked_nodes& nodes, const std::string& called) {
  if (router::to_message_id(called) || !may_begin_letter(called))
    return called;
  std::set<std::string> ids;
  for (auto& node : nodes.to_ask)
    if (auto why = for_each_letter(common, client, node, [&](const router::dead_letter& each) {
          ids.insert(to_string(each.id));
        }))
      return at_node(node, why); // it may keep another one of which this is the beginning
  return choose_letter(called, ids);
}

problem no_letter(const std::string& id) {
  return {errc::not_found, "no node keeps the dead letter " + id + "; see troupe dead-letters"};
}

/// Redrives it at the first node that keeps it, as another would deliver it a second time, and
/// shows it there; purges it at each.
template <class Wish>
int change_one(const common_options& common, cluster_client& client, const asked_nodes& nodes,
               const std::string& called) {
  constexpr auto goes_once = !std::is_same_v<Wish, router::purge_dead_letters>;
  auto id = whole_id(common, client, nodes, called);
  if (!id)
    return complain(common,
                    id.error().code == errc::not_found ? missing(id.error(), nodes) : id.error());
  auto status = ok;
  auto is_found = false;
  for (auto& each : nodes.to_ask) {
    auto done = ask_node(client, each, Wish{*id}, common.wait());
    if (done) {
      is_found = true;
      tell(common, each, *id, *done);
      if (goes_once)
        break;
      continue;
    }
    auto code = done.error().code;
    if (code == errc::not_found)
      continue;
    if (code == errc::bad_argument)
      return complain(common, done.error());
    status = complain(common, at_node(each, done.error()));
    auto may_go = code == errc::busy || code == errc::timed_out || code == errc::outcome_unknown;
    if (code == errc::denied || (goes_once && may_go))
      break; // denied: so says each node
  }
  if (is_found && !goes_once)
    tell_of_away(common, nodes); // where it may be kept as well
  if (is_found || status != ok)
    return status;
  return complain(common, missing(no_letter(*id), nodes));
}

} // namespace

int run_dead_letters(const common_options& common, const dead_letters_command& what) {
  auto client = connect(common);
  if (!client)
    return complain(common, client.error());
  auto nodes = find_nodes_to_ask(common, **client, what.node);
  if (!nodes)
    return complain(common, nodes.error());
  auto change = [&]<class Wish>(const std::string& id, Wish) {
    return id == "all" ? change_all<Wish>(common, **client, *nodes)
                       : change_one<Wish>(common, **client, *nodes, id);
  };
  if (what.purge)
    return change(*what.purge, router::purge_dead_letters{});
  if (what.show)
    return change_one<router::show_dead_letter>(common, **client, *nodes, *what.show);
  if (what.redrive)
    return change(*what.redrive, router::redrive_dead_letter{});
  return list_all(common, **client, *nodes);
}

} // namespace cli
