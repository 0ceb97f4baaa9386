#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/known_nodes.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/queries.hpp"
#include "troupe/registry/record_table.hpp"
#include "troupe/registry/types.hpp"

namespace troupe::cluster {

/// Times of `member_standings`.
struct standing_times {
  /// How long a node with a data folder shows as it was once it has stopped: it may be back soon.
  duration lost_after{};
  /// How long a node without a data folder is kept once it is gone: it begins with nothing when it
  /// comes back, mostly under another id.
  duration drop_fleeting_after{};
  /// How long others are kept of whom nobody hears since this node has begun anew.
  duration forget_after{};
};

/// Decides by what the members show how other nodes show in the table: active, or disconnected.
/// Part of `node_core`.
///
/// - A node is active while the members show it alive, or suspect it. It is disconnected once they
///   show it dead, or once it has stopped for lost_after; if it has no data folder, once it has
///   stopped.
/// - The records of a later life than the members show are active: its statement is on its way.
/// - Of a node whose identity is revoked the table keeps nothing once the members do not show it
///   there any more.
/// - Nor of one without a data folder that has been gone for drop_fleeting_after. If it was not
///   dead, but cut off, its records are asked for as it is seen again.
/// - What the members forget is forgotten in the table. Where this node has begun anew among them,
///   they know nothing to forget: who is not heard of again is gone after some time, and due to be
///   forgotten after forget_after.
///
/// Machine. Not thread-safe. Cost of a call: O(log n), and what the table does; of `begin_anew`
/// O(n).
class member_standings {
public:
  /// @pre `nodes` and `table` outlive this
  member_standings(const standing_times& times, const known_nodes& nodes,
                   registry::record_table& table)
    : times_(times), nodes_(nodes), table_(table) {}

  member_standings(const member_standings&) = delete;
  member_standings& operator=(const member_standings&) = delete;

  struct passed {
    /// Those that were there in that life, of which nothing was heard since begin_anew(), and that
    /// are gone now.
    std::vector<std::pair<node_id, boot_number>> lost;
    /// Those of which the table keeps nothing any more.
    std::vector<node_id> forgotten;
  };

  static bool is_there(member_status is) {
    return is == member_status::alive || is == member_status::suspect;
  }

  /// The members show that life of a node so. `settle` has the table show it.
  /// @pre `now` never goes backwards.
  void note(time_point now, const node_id& node, boot_number boot, member_status is) {
    auto& each = standings_[node];
    auto was = each;
    leave_off(node, each);
    each = {.boot = boot, .is_there = is_there(is)};
    if (!is_there(is) && was.boot == boot) {
      each.is_dropped = was.is_dropped;
      if (was.drop_at)
        wait_for_drop(*was.drop_at, node, each);
    }
    auto may_be_back = is == member_status::left && !nodes_.is_fleeting(node);
    if (may_be_back && (was.is_there || was.until || was.boot != boot))
      stay(was.until && was.boot == boot ? *was.until : now + times_.lost_after, node, each);
  }

  /// Has the table show that node as it stands: after note(), and when its records have come.
  void settle(time_point now, const node_id& node) {
    auto place = standings_.find(node);
    auto is_known = place != standings_.end();
    auto is_out = expelled_.contains(node) || (is_known && place->second.is_dropped);
    if (is_out && (!is_known || !place->second.is_there))
      return clear(now, node); // others may say it once more
    auto known = table_.answer(registry::find_owner{node});
    if (!is_known || known.boot == 0)
      return;
    auto& each = place->second;
    auto is_active = each.is_there || each.until || known.boot > each.boot;
    if (!is_active && !each.drop_at) // what it says of itself may come just now
      wait_for_drop(now + times_.drop_fleeting_after, node, each);
    else if (is_active && each.drop_at) // it is there in a later life
      drops_.erase({*std::exchange(each.drop_at, std::nullopt), node});
    auto shows
      = is_active ? registry::record_status::active : registry::record_status::disconnected;
    registry::effects none;
    if (known.liveness != shows)
      table_.step(now, 0, registry::verdict{node, known.boot, shows}, none);
  }

  void forget(time_point now, const node_id& node) {
    if (auto place = standings_.find(node); place != standings_.end()) {
      leave_off(node, place->second);
      standings_.erase(place);
    }
    clear(now, node);
  }

  /// These nodes, and no others, are revoked.
  void expel(time_point now, std::set<node_id> nodes) {
    expelled_ = std::move(nodes);
    for (auto& each : expelled_)
      settle(now, each);
  }

  /// Whether the table keeps nothing of it, as it has been gone for drop_fleeting_after.
  [[nodiscard]] bool is_dropped(const node_id& node) const {
    auto found = standings_.find(node);
    return found != standings_.end() && found->second.is_dropped;
  }

  /// This node is new for the members, and so are they for it: those that it does not hear of again
  /// are gone.
  void begin_anew(time_point now) {
    for (auto& [node, each] : standings_) {
      if (std::exchange(each.is_there, false) && !each.until)
        stay(now + 6 * times_.lost_after, node, each);
      if (each.forget_at)
        continue;
      each.forget_at = now + times_.forget_after;
      unheard_.emplace(*each.forget_at, node);
    }
  }

  /// Those that have stopped, and have not come back, are disconnected. Returns what follows of
  /// begin_anew(), and which have been gone for so long that they are dropped.
  [[nodiscard]] passed tick(time_point now) {
    passed made;
    while (!stays_.empty() && stays_.begin()->first <= now) {
      auto node = stays_.begin()->second;
      auto& each = standings_.at(node);
      stays_.erase(stays_.begin());
      each.until.reset();
      settle(now, node);
      if (each.forget_at)
        made.lost.emplace_back(node, each.boot);
    }
    while (!drops_.empty() && drops_.begin()->first <= now) {
      auto node = drops_.begin()->second;
      auto& each = standings_.at(node);
      drops_.erase(drops_.begin());
      each.drop_at.reset();
      if (!nodes_.is_fleeting(node))
        continue;
      each.is_dropped = true;
      clear(now, node);
      made.forgotten.push_back(node);
    }
    while (!unheard_.empty() && unheard_.begin()->first <= now) {
      made.forgotten.push_back(unheard_.begin()->second);
      forget(now, made.forgotten.back());
    }
    return made;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    for (auto* each : {&stays_, &drops_, &unheard_})
      if (!each->empty())
        next = std::min(next.value_or(each->begin()->first), each->begin()->first);
    return next;
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&](const due& all, std::optional<time_point> standing::*when, const char* what) {
      auto is_due = [&](auto& each) {
        auto& [node, known] = each;
        return known.*when && all.contains({*(known.*when), node});
      };
      auto has_time = [&](auto& each) { return (each.second.*when).has_value(); };
      auto count = std::ranges::count_if(standings_, is_due);
      if (count != std::ranges::count_if(standings_, has_time)
          || static_cast<std::size_t>(count) != all.size())
        found.emplace_back(what);
    };
    expect(stays_, &standing::until, "a node that has stopped shows as there for ever");
    expect(drops_, &standing::drop_at, "a node that is gone is never looked at again");
    expect(unheard_, &standing::forget_at, "a node that nobody hears of is never forgotten");
    return found;
  }

private:
  /// How a member stands, in that life.
  struct standing {
    boot_number boot = 0;
    bool is_there = false;
    /// It has stopped, and may come back.
    std::optional<time_point> until{};
    /// It is gone; if it has no data folder, it is dropped then.
    std::optional<time_point> drop_at{};
    /// The table keeps nothing of it.
    bool is_dropped = false;
    /// Nothing was heard of it since this node has begun anew.
    std::optional<time_point> forget_at{};
  };

  using due = std::set<std::pair<time_point, node_id>>;

  void clear(time_point now, const node_id& node) {
    auto known = table_.answer(registry::find_owner{node});
    registry::effects none;
    if (known.boot != 0)
      table_.step(now, 0, registry::forget{node, known.boot}, none);
  }

  void stay(time_point until, const node_id& node, standing& what) {
    what.until = until;
    stays_.emplace(until, node);
  }

  void wait_for_drop(time_point until, const node_id& node, standing& what) {
    what.drop_at = until;
    drops_.emplace(until, node);
  }

  void leave_off(const node_id& node, standing& what) {
    if (what.until)
      stays_.erase({*std::exchange(what.until, std::nullopt), node});
    if (what.drop_at)
      drops_.erase({*std::exchange(what.drop_at, std::nullopt), node});
    if (what.forget_at)
      unheard_.erase({*std::exchange(what.forget_at, std::nullopt), node});
  }

  const standing_times times_;
  const known_nodes& nodes_;
  registry::record_table& table_;
  /// How the members show each other node.
  std::map<node_id, standing> standings_;
  std::set<node_id> expelled_;
  /// Until when those that have stopped show as they were.
  due stays_;
  /// When those are dropped that are gone, if they have no data folder.
  due drops_;
  /// When those are forgotten of which nothing was heard.
  due unheard_;
};

} // namespace troupe::cluster
