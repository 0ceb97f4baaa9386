#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "troupe/raft/types.hpp"

/// Majorities of a group's voters. Groups change one voter at a time, so that any two majorities
/// overlap. Joint configurations are supported for groups that change otherwise.
namespace troupe::raft {

/// State of an election.
enum class election : std::uint8_t {
  pending = 0,
  won = 1,
  lost = 2,
};

/// Returns the largest value that a majority of `voters` has reached. A voter that is not in
/// `reached` counts as `Value{}`. Without voters, returns the maximum.
template <class Value>
Value agreed(const std::set<member_id>& voters, const std::map<member_id, Value>& reached) {
  if (voters.empty())
    return std::numeric_limits<Value>::max();
  std::vector<Value> values;
  values.reserve(voters.size());
  for (auto seat : voters) {
    auto found = reached.find(seat);
    values.push_back(found == reached.end() ? Value{} : found->second);
  }
  auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle, std::greater{});
  return *middle;
}

/// The same for a joint configuration: both halves have to reach it (thesis 4.3).
template <class Value>
Value agreed(const std::set<member_id>& incoming, const std::set<member_id>& outgoing,
             const std::map<member_id, Value>& reached) {
  return std::min(agreed(incoming, reached), agreed(outgoing, reached));
}

/// Counts votes. A voter that is not in `votes` has not voted yet.
inline election count(const std::set<member_id>& voters, const std::map<member_id, bool>& votes) {
  std::size_t granted = 0;
  std::size_t open = 0;
  for (auto seat : voters) {
    auto found = votes.find(seat);
    if (found == votes.end())
      ++open;
    else if (found->second)
      ++granted;
  }
  auto majority = voters.empty() ? 0 : voters.size() / 2 + 1;
  if (granted >= majority)
    return election::won;
  return granted + open >= majority ? election::pending : election::lost;
}

inline election count(const std::set<member_id>& incoming, const std::set<member_id>& outgoing,
                      const std::map<member_id, bool>& votes) {
  auto first = count(incoming, votes);
  auto second = count(outgoing, votes);
  if (first == second)
    return first;
  return first == election::lost || second == election::lost ? election::lost : election::pending;
}

} // namespace troupe::raft
