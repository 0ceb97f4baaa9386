#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record_table.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// Decides by what the members show how other nodes show in the table: active, or disconnected.
/// Part of `node_core`.
///
/// - A node is active while the members show it alive, or suspect it. It is disconnected once they
///   show it dead, or once it has stopped for lost_after.
/// - The records of a later life than the members show are active: its statement is on its way.
/// - What the members forget is forgotten in the table.
///
/// Machine. Not thread-safe. Cost of a call: O(log n), and what the table does; of `begin_anew`
/// O(n).
class member_standings {
public:
  /// @pre `table` outlives this
  member_standings(duration lost_after, registry::record_table& table)
    : lost_after_(lost_after), table_(table) {}

  member_standings(const member_standings&) = delete;
  member_standings& operator=(const member_standings&) = delete;

  static bool is_there(member_status is) {
    return is == member_status::alive || is == member_status::suspect;
  }

  /// The members show that life of a node so. `settle` has the table show it.
  /// @pre `now` never goes backwards.
  void note(time_point now, const std::string& node, boot_number boot, member_status is) {
    auto& each = standings_[node];
    auto was = each;
    leave_off(node, each);
    each = {boot, is_there(is), std::nullopt};
    if (is == member_status::left && (was.is_there || was.until || was.boot != boot))
      stay(was.until.value_or(now + lost_after_), node, each);
  }

  /// Has the table show that node as it stands: after note(), and when its records have come.
  void settle(time_point now, const std::string& node) {
    auto place = standings_.find(node);
    auto known = table_.answer(registry::find_owner{node});
    if (place == standings_.end() || known.boot == 0)
      return;
    auto& [boot, is_there, until] = place->second;
    auto is_active = is_there || until || known.boot > boot;
    auto shows
      = is_active ? registry::record_status::active : registry::record_status::disconnected;
    registry::effects none;
    if (known.liveness != shows)
      table_.step(now, 0, registry::verdict{node, known.boot, shows}, none);
  }

  void forget(time_point now, const std::string& node) {
    if (auto place = standings_.find(node); place != standings_.end()) {
      leave_off(node, place->second);
      standings_.erase(place);
    }
    auto known = table_.answer(registry::find_owner{node});
    registry::effects none;
    if (known.boot != 0)
      table_.step(now, 0, registry::forget{node, known.boot}, none);
  }

  /// This node is new for the members, and so are they for it: those that it does not hear of again
  /// are gone.
  void begin_anew(time_point now) {
    for (auto& [node, each] : standings_)
      if (std::exchange(each.is_there, false) && !each.until)
        stay(now + 6 * lost_after_, node, each);
  }

  /// Those that have stopped, and have not come back, are disconnected.
  void tick(time_point now) {
    while (!stays_.empty() && stays_.begin()->first <= now) {
      auto node = stays_.begin()->second;
      leave_off(node, standings_.at(node));
      settle(now, node);
    }
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return stays_.empty() ? std::nullopt : std::optional{stays_.begin()->first};
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    auto staying = std::ranges::count_if(standings_,
                                         [&](auto& each) { return each.second.until.has_value(); });
    auto is_due = [&](auto& each) {
      return !each.second.until || stays_.contains({*each.second.until, each.first});
    };
    if (static_cast<std::size_t>(staying) == stays_.size()
        && std::ranges::all_of(standings_, is_due))
      return {};
    return {"a node that has stopped shows as there for ever"};
  }

private:
  /// How a member stands, in that life.
  struct standing {
    boot_number boot = 0;
    bool is_there = false;
    /// It has stopped, and may come back.
    std::optional<time_point> until{};
  };

  void stay(time_point until, const std::string& node, standing& what) {
    what.until = until;
    stays_.emplace(until, node);
  }

  void leave_off(const std::string& node, standing& what) {
    if (what.until)
      stays_.erase({*std::exchange(what.until, std::nullopt), node});
  }

  const duration lost_after_;
  registry::record_table& table_;
  /// How the members show each other node.
  std::map<std::string, standing> standings_;
  /// Until when those that have stopped show as they were.
  std::set<std::pair<time_point, std::string>> stays_;
};

} // namespace troupe::cluster
