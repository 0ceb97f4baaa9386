#pragma once

#include <string>
#include <variant>
#include <vector>

#include "router/named_nodes.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/peer_lines.hpp"

namespace troupe::test {

/// Says what peer_lines wants done: one text for each effect.
inline std::string to_text(const router::lines::effect& what) {
  using namespace router::lines;
  auto over = [](const auto& each) { return name_of(each.peer) + "#" + std::to_string(each.link); };
  auto asked = [](const auto& each) {
    std::string text;
    for (auto& one : each.requests)
      text += (text.empty() ? " asks " : ",") + std::to_string(one.number);
    return text;
  };
  auto parcel = [&](const auto& each) {
    return "parcel " + std::to_string(each.parcel) + " of " + std::to_string(each.letters)
           + asked(each);
  };
  return troupe::visit(
    overloaded{
      [](const await_turn&) { return std::string{"await turn"}; },
      [](const want_link& each) { return "want " + name_of(each.peer); },
      [&](const send& each) {
        return "send " + over(each) + ": " + parcel(each)
               + (each.mark ? ", mark " + std::to_string(*each.mark) : "");
      },
      [](const cut& each) {
        return "cut " + std::to_string(each.request) + " from parcel " + std::to_string(each.parcel)
               + (each.is_last ? ", the last" : "");
      },
      [&](const refuse& each) {
        return "refuse " + name_of(each.peer) + ": " + parcel(each) + ", "
               + std::string{name_of(each.why.code)};
      },
      [&](const admit& each) { return "admit " + over(each) + ": " + std::to_string(each.visit); },
      [](const turn_away& each) {
        return "turn away " + name_of(each.peer) + ": " + std::to_string(each.visit) + ", "
               + std::string{name_of(each.why.code)};
      },
      [&](const lost& each) {
        return "lost " + over(each) + ": " + std::string{name_of(each.why.code)};
      },
      [&](const ask_to_rest& each) { return "ask " + over(each); },
      [](const answer_rest& each) {
        return "answer " + name_of(each.peer) + (each.agrees ? ": yes" : ": no");
      },
      [&](const close& each) { return "close " + over(each); },
    },
    what);
}

inline std::vector<std::string> to_texts(const router::peer_lines::effects& all) {
  std::vector<std::string> texts;
  texts.reserve(all.size());
  for (auto& each : all)
    texts.push_back(to_text(each));
  return texts;
}

} // namespace troupe::test
