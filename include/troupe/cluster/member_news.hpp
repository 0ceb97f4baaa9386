#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
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

namespace troupe::cluster {

/// What the log of a node says of the members that come and go: one line for each change, when it
/// happens. Only that a member has joined is said after `named_within`, as its name is known then,
/// or before its next change.
///
/// At most max_lines within `span`; changes beyond that are counted, and said in one line at its
/// end. Of more than max_nodes the one that has been gone for longest is forgotten; while none is
/// gone, changes of further ones are counted like that, too.
///
/// Machine. Not thread-safe. Cost of a call: O(log n).
class member_news {
public:
  static constexpr std::size_t max_lines = 20;
  static constexpr duration span = std::chrono::seconds{10};
  static constexpr duration named_within = std::chrono::seconds{2};

  struct line {
    std::string text;
    /// A member is dead.
    bool is_bad = false;
  };

  using lines = std::vector<line>;

  /// `nodes` outlives this, and changes between its calls.
  explicit member_news(const known_nodes& nodes, std::size_t max_nodes = 10'000)
    : nodes_(&nodes), max_nodes_(max_nodes) {}

  /// The members show that life of a node so from here on.
  /// @pre `now` never goes backwards.
  void shows(time_point now, const node_id& node, boot_number boot, member_status is, lines& out) {
    auto found = seen_.find(node);
    if (found == seen_.end()) {
      if (seen_.size() >= max_nodes_ && !forget_one_gone())
        return withhold(now, is, out);
      return meet(now, node, boot, is, out);
    }
    auto before = found->second;
    if (before.is == is && before.boot == boot)
      return;
    introduce(now, *found, out);
    found->second.is = is;
    found->second.boot = boot;
    put_in_order(*found);
    say(now, node, is, words_for(before, boot, is), out);
  }

  /// It has been gone for long.
  void forget(const node_id& node) {
    auto found = seen_.find(node);
    if (found == seen_.end())
      return;
    if (found->second.named_at)
      due_.erase({*found->second.named_at, node});
    gone_.erase(found->second.went);
    seen_.erase(found);
  }

  void tick(time_point now, lines& out) {
    while (!due_.empty() && due_.begin()->first <= now)
      introduce(now, *seen_.find(due_.begin()->second), out);
    if (began_ && *began_ + span <= now)
      end_span(out);
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = began_ ? std::optional{*began_ + span} : std::nullopt;
    if (!due_.empty())
      next = std::min(next.value_or(due_.begin()->first), due_.begin()->first);
    return next;
  }

private:
  struct seen {
    member_status is{};
    boot_number boot = 0;
    /// When it is said that it has joined; nothing: that was said, or need not be.
    std::optional<time_point> named_at{};
    /// As it was last called.
    std::string name{};
    /// Its place among those that are gone; zero: it is not.
    std::uint64_t went = 0;
  };

  static bool is_gone(member_status is) {
    return is == member_status::dead || is == member_status::left;
  }

  /// Of one that is gone already nobody needs to hear that it was there.
  void meet(time_point now, const node_id& node, boot_number boot, member_status is, lines& out) {
    auto& made = *seen_.emplace(node, seen{is, boot}).first;
    put_in_order(made);
    if (is_gone(is))
      return;
    made.second.named_at = now + named_within;
    due_.emplace(*made.second.named_at, node);
    if (is == member_status::alive)
      return;
    introduce(now, made, out);
    say(now, node, is, words_for(made.second, boot, is), out);
  }

  void put_in_order(std::pair<const node_id, seen>& who) {
    auto& [node, known] = who;
    gone_.erase(std::exchange(known.went, 0));
    if (is_gone(known.is))
      gone_.emplace(known.went = ++last_went_, node);
  }

  /// Returns whether there was one.
  bool forget_one_gone() {
    if (gone_.empty())
      return false;
    seen_.erase(gone_.begin()->second);
    gone_.erase(gone_.begin());
    return true;
  }

  /// Says that it has joined, unless that was said.
  void introduce(time_point now, std::pair<const node_id, seen>& who, lines& out) {
    auto& [node, known] = who;
    if (!known.named_at)
      return;
    due_.erase({*std::exchange(known.named_at, std::nullopt), node});
    say(now, node, member_status::alive, "has joined", out);
  }

  static const char* words_for(const seen& before, boot_number boot, member_status is) {
    auto was_gone = is_gone(before.is);
    switch (is) {
      case member_status::alive:
        return was_gone ? "is back" : boot > before.boot ? "has started again" : "is alive again";
      case member_status::suspect:
        return "is suspect: it does not answer";
      case member_status::dead:
        return "is dead: it has not answered in time";
      case member_status::left:
        return "has left: it has said that it stops";
    }
    return "";
  }

  void say(time_point now, const node_id& node, member_status is, const char* words, lines& out) {
    if (!has_room(now, out))
      return withhold(now, is, out);
    ++said_;
    out.push_back({"member " + name_of_node(node) + ' ' + words, is == member_status::dead});
  }

  /// That of one that has left the cluster is not known any more.
  std::string name_of_node(const node_id& node) {
    auto& name = seen_.at(node).name;
    auto called = nodes_->name_of(node);
    if (name.empty() || !to_string(node).starts_with(called))
      name = std::move(called);
    return name;
  }

  /// Begins a span where there is none.
  bool has_room(time_point now, lines& out) {
    if (began_ && *began_ + span <= now)
      end_span(out);
    if (!began_)
      began_ = now;
    return said_ < max_lines;
  }

  void withhold(time_point now, member_status is, lines& out) {
    static_cast<void>(has_room(now, out));
    ++withheld_[static_cast<std::size_t>(is)];
  }

  void end_span(lines& out) {
    began_.reset();
    said_ = 0;
    std::uint64_t all = 0;
    std::string text;
    for (auto is :
         {member_status::alive, member_status::suspect, member_status::dead, member_status::left})
      if (auto count = std::exchange(withheld_[static_cast<std::size_t>(is)], 0); count != 0) {
        text
          += (all == 0 ? ": " : ", ") + std::to_string(count) + " to " + std::string{name_of(is)};
        all += count;
      }
    if (all > 0)
      out.push_back(
        {std::to_string(all) + " more changes of members than the log tells one by one" + text,
         false});
  }

  const known_nodes* nodes_;
  std::size_t max_nodes_;
  std::map<node_id, seen> seen_;
  /// Those of which it is not said yet that they have joined.
  std::set<std::pair<time_point, node_id>> due_;
  /// Those that are gone, in that order.
  std::map<std::uint64_t, node_id> gone_;
  std::uint64_t last_went_ = 0;
  /// Since when lines are counted; nothing: there were none for a while.
  std::optional<time_point> began_;
  std::size_t said_ = 0;
  /// By member_status.
  std::array<std::uint64_t, 4> withheld_{};
};

} // namespace troupe::cluster
