#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "troupe/sim/history.hpp"

/// What must hold of locks that run out: acquire with ttl_ns -> token, renew of a token with
/// ttl_ns, release of a token.
namespace troupe::sim {

namespace detail {

/// All that was done with one grant of a lock.
struct lease_line {
  std::int64_t call = 0;
  std::int64_t end = 0;
  /// Until when nobody else may have it.
  std::int64_t lasts = 0;
};

inline std::int64_t number_in(const std::optional<std::string>& text) {
  return text ? std::stoll(*text) : 0;
}

} // namespace detail

/// Returns what is wrong with the leases of a history, in words:
/// - a token is granted once, and tokens rise in the order of the grants;
/// - a lease does not end before the ttl that was granted or renewed last has passed since that
///   was asked for, unless it was released;
/// - nobody renews or releases a lease after another was granted.
/// What nobody knows the outcome of may have been done at once. Cost: quadratic in the grants of
/// a key.
/// @pre tokens and ttl_ns are numbers.
inline std::vector<std::string> broken_leases(const history& what) {
  using detail::lease_line;
  using detail::number_in;
  std::vector<std::string> wrong;
  std::map<std::string, std::map<std::uint64_t, lease_line>> keys;
  auto token_in = [](const std::optional<std::string>& text) {
    return static_cast<std::uint64_t>(number_in(text));
  };
  auto is_acquire = [](const operation& each) {
    return each.what.verb == "acquire" || each.what.verb == "try_acquire";
  };
  for (auto& each : what.operations())
    if (is_acquire(each) && each.what.how == outcome::ok) {
      auto token = token_in(each.what.result);
      lease_line line{each.what.call, *each.end, each.what.call + number_in(each.what.second)};
      if (!keys[each.key].emplace(token, line).second)
        wrong.push_back("token " + std::to_string(token) + " of " + each.key
                        + " was granted twice");
    }
  // Clients do one thing at a time, so the operations on a token stand in their order.
  for (auto& each : what.operations()) {
    if (is_acquire(each) || each.what.how == outcome::fail)
      continue;
    auto token = token_in(each.what.argument);
    auto& grants = keys[each.key];
    auto found = grants.find(token);
    if (found == grants.end())
      continue; // of a grant that nobody saw
    auto& line = found->second;
    auto is_sure = each.what.how == outcome::ok;
    if (each.what.verb == "release") {
      line.lasts = std::min(line.lasts, each.what.call);
    } else {
      auto lasts = each.what.call + number_in(each.what.second);
      line.lasts = is_sure ? lasts : std::min(line.lasts, lasts);
    }
    for (auto later = std::next(found); is_sure && later != grants.end(); ++later)
      if (later->second.end < each.what.call)
        wrong.push_back(each.what.verb + " of token " + std::to_string(token) + " of " + each.key
                        + " went well after token " + std::to_string(later->first)
                        + " had been granted");
  }
  for (auto& [key, grants] : keys)
    for (auto first = grants.begin(); first != grants.end(); ++first)
      for (auto later = std::next(first); later != grants.end(); ++later) {
        auto name = "token " + std::to_string(later->first) + " of " + key;
        if (later->second.end < first->second.call)
          wrong.push_back(name + " was granted before the lower token "
                          + std::to_string(first->first));
        if (later->second.end < first->second.lasts)
          wrong.push_back(name + " was granted before the lease of token "
                          + std::to_string(first->first) + " could be over");
      }
  return wrong;
}

} // namespace troupe::sim
