#pragma once

#include <string>
#include <variant>
#include <vector>

#include "router/named_nodes.hpp"
#include "router/peer_lines_text.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/router_core.hpp"

namespace troupe::test {

/// A router_core whose callers and contents are texts.
using text_core = router::router_core<std::string, std::string>;

/// Says what a router_core wants done: one text for each effect.
inline std::string to_text(const text_core::effect& what) {
  auto names = [](const std::vector<agent_id>& all) {
    std::string text;
    for (auto& each : all)
      text += (text.empty() ? "" : ",") + each.text();
    return text;
  };
  auto said = [](const auto& answer) {
    return troupe::visit(overloaded{
                           [](const problem& why) { return std::string{name_of(why.code)}; },
                           [](const router::send_report& report) {
                             return "sent " + std::to_string(report.sent) + ", refused "
                                    + std::to_string(report.refused) + ", left out "
                                    + std::to_string(report.left_out);
                           },
                         },
                         answer);
  };
  return troupe::visit(
    overloaded{
      [&](const text_core::letter& each) {
        return "letter '" + each.what + "' to " + names(each.where.agents) + "@"
               + name_of(each.where.node)
               + (each.request == 0                        ? ""
                  : each.wants == router::awaited::nothing ? ", may expire as "
                                                           : ", asks ")
               + (each.request == 0 ? "" : std::to_string(each.request - enclosed_request));
      },
      [&](const text_core::hand& each) {
        return "hand '" + each.what + "' to " + names(each.agents)
               + (each.owed ? ", owed to " + each.owed->by : "");
      },
      [](const text_core::ask& each) {
        return "ask " + each.agent.text() + " '" + each.what + "'"
               + (each.request == 0 ? " for " + each.by
                                    : ", asks " + std::to_string(each.request - enclosed_request));
      },
      [&](const text_core::tell& each) { return "tell " + each.by + ": " + said(each.what); },
      [](const text_core::call_failed& each) {
        return "failed " + each.agent.text() + "@" + name_of(each.node)
               + (each.how == router::call_end::timed_out ? ": timed out" : ": unreachable");
      },
      [](const text_core::look& each) {
        return "look '" + each.what + "' over " + std::to_string(each.link) + ", asks "
               + std::to_string(each.request - enclosed_request);
      },
      [](const text_core::await_room& each) {
        return "await room for " + each.agent.text() + " over " + std::to_string(each.link);
      },
      [](const auto& each) { return to_text(router::lines::effect{each}); },
    },
    what);
}

inline std::vector<std::string> to_texts(const text_core::effects& all) {
  std::vector<std::string> texts;
  texts.reserve(all.size());
  for (auto& each : all)
    texts.push_back(to_text(each));
  return texts;
}

} // namespace troupe::test
