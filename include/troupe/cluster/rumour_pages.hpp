#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "troupe/cluster/known_member.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"

namespace troupe::cluster {

/// All that a node knows of the members, and says of itself, in pages of about `limit` rumours: the
/// next one begins after `after`, the last node of the one before. The last page is empty. Of the
/// dead it has no statement, which would show them alive where they are not known, but for how long
/// they are gone. Cost: O(log n), and of what is returned.
inline std::pair<std::vector<rumour>, node_id>
rumour_page(time_point now, const known_members& members,
            const std::optional<signed_statement>& own, const node_id& after, std::size_t limit) {
  std::vector<rumour> found;
  auto last = after;
  auto next = members.upper_bound(after);
  auto is_own_due = own && own->what.node > after;
  while (found.size() < limit && (is_own_due || next != members.end())) {
    if (is_own_due && (next == members.end() || own->what.node < next->first)) {
      found.emplace_back(told_itself{*own});
      last = own->what.node;
      is_own_due = false;
      continue;
    }
    if (next->second.is == member_status::dead)
      found.emplace_back(past_death{accusation_of(*next), now - next->second.gone});
    else
      found.emplace_back(told_itself{next->second.told});
    if (next->second.is == member_status::suspect)
      found.emplace_back(accusation_of(*next));
    last = next++->first;
  }
  return {std::move(found), last};
}

} // namespace troupe::cluster
