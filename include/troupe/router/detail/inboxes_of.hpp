#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "troupe/core/agent_id.hpp"
#include "troupe/core/page_room.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/router/detail/confirm_desk.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/inbox_report.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::router::detail {

/// Answers list_inboxes. Cost: O(limit log n), whatever waits.
inline inbox_page inboxes_of(const entrance& shared, const confirm_desk& accepted,
                             const list_inboxes& what) {
  auto is_one = !what.agent.empty();
  auto first = is_one ? what.agent : what.after;
  auto most
    = is_one ? 1 : std::clamp<std::size_t>(what.limit, 1, max_page) + 2; // `after`, and the next
  std::map<agent_id, inbox_report> all;
  shared.agents.add_to(all, first, most);
  shared.confirms.add_to(all, first, most);
  if (!is_one)
    all.erase(what.after);
  inbox_page page;
  page_room room{what.limit};
  for (auto& [agent, each] : all) {
    if (is_one && agent != what.agent)
      break;
    if (!room.left()) {
      page.next = page.inboxes.back().agent;
      break;
    }
    each.agent = agent;
    if (each.accepted > 0)
      accepted.add_to(each);
    room.take(sizeof(inbox_report) + agent.text().size() + each.why.size());
    page.inboxes.push_back(std::move(each));
  }
  return page;
}

/// Answers expire_messages.
inline result<expire_receipt> let_go_of(const entrance& shared, confirm_desk& accepted,
                                        const expire_messages& what) {
  if (what.agent.empty())
    return problem{errc::bad_argument, "no agent is named; name the one whose messages are to go"};
  expire_receipt made{.expired = accepted.let_go(what.agent)};
  std::map<agent_id, inbox_report> left;
  shared.confirms.add_to(left, what.agent, 1);
  if (auto found = left.find(what.agent); found != left.end())
    made.left = found->second.accepted;
  return made;
}

} // namespace troupe::router::detail
