#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// A process in one of its lives.
using caller = std::pair<process_id, std::uint64_t>;

/// What nodes say to each other all the time, in the place of links with heartbeats.
struct node_beat {
  node_id node{};
  boot_number boot = 0;
  std::uint64_t life = 0;
  /// Of whom it has heard lately: a link needs both directions.
  std::map<process_id, std::uint64_t> hears{};
  /// The node that it takes the receiver for, and the latest boot of it that it has heard of.
  node_id receiver{};
  boot_number heard_of = 0;
};

/// The links of one node, as a gate has them: a link is up while both sides hear each other. A
/// later life takes the place of an earlier one, whose end is reported late; one with a boot that
/// is not later is refused while the earlier one is there, one with an earlier boot always.
class node_links {
public:
  /// How long a link lasts without a beat.
  static constexpr duration silence = std::chrono::seconds{1};

  struct change {
    bool is_up = false;
    node_id node;
    boot_number boot = 0;
    caller who{};
  };

  explicit node_links(caller self) : self_(self) {}

  /// Returns what it changes; the end of an earlier life goes to `late`.
  std::vector<change> hear(time_point now, process_id from, const node_beat& what,
                           std::vector<change>& late) {
    std::vector<change> changes;
    auto& heard = heard_[from];
    if (what.life < heard.life)
      return changes;
    heard = {what.node, what.life, now};
    auto& latest = latest_[what.node];
    latest = std::max(latest, what.boot);
    auto mine = what.hears.find(self_.first);
    auto found = links_.find(from);
    auto is_new = found == links_.end() || found->second.life != what.life;
    if (mine == what.hears.end() || mine->second != self_.second || (is_new && what.boot < latest))
      return changes;
    if (!is_new) {
      found->second.heard = now;
      return changes;
    }
    if (found != links_.end()) {
      auto& old = found->second;
      change over{false, old.node, old.boot, {from, old.life}};
      if (old.node == what.node && what.boot <= old.boot)
        return changes;
      (old.node == what.node ? late : changes).push_back(std::move(over));
    }
    links_[from] = {what.node, what.boot, what.life, now};
    changes.push_back({true, what.node, what.boot, {from, what.life}});
    return changes;
  }

  /// Ends the links that are silent.
  std::vector<change> tick(time_point now) {
    std::vector<change> changes;
    std::erase_if(links_, [&](auto& each) {
      auto& [node, boot, life, heard] = each.second;
      if (heard + silence > now)
        return false;
      changes.push_back({false, node, boot, {each.first, life}});
      return true;
    });
    return changes;
  }

  /// Fills in what `to` has to hear.
  void address(time_point now, process_id to, node_beat& what) const {
    for (auto& [who, each] : heard_)
      if (each.at + silence > now)
        what.hears[who] = each.life;
    if (auto known = heard_.find(to); known != heard_.end()) {
      what.receiver = known->second.node;
      what.heard_of = latest_.at(what.receiver);
    }
  }

  [[nodiscard]] std::optional<process_id> find(const node_id& node) const {
    for (auto& [who, each] : links_)
      if (each.node == node)
        return who;
    return std::nullopt;
  }

private:
  struct sender {
    node_id node;
    std::uint64_t life = 0;
    time_point at{};
  };

  struct link {
    node_id node;
    boot_number boot = 0;
    std::uint64_t life = 0;
    time_point heard{};
  };

  caller self_;
  std::map<process_id, sender> heard_;
  std::map<process_id, link> links_;
  std::map<node_id, boot_number> latest_;
};

} // namespace troupe::sim
