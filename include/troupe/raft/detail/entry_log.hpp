#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/flaw.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// The log of one replica in memory: the entries after the base (a snapshot, or nothing), and
/// the configurations in force.
class entry_log {
public:
  entry_log() {
    configurations_.try_emplace(0);
  }

  /// Drops all entries and continues after `base`.
  void reset(const snapshot_header& base) {
    base_index_ = base.index;
    base_term_ = base.term;
    base_at_ = base.at;
    entries_.clear();
    configurations_.clear();
    configurations_.emplace(base.index, base.members);
  }

  [[nodiscard]] log_index base_index() const {
    return base_index_;
  }

  [[nodiscard]] log_index last_index() const {
    return base_index_ + entries_.size();
  }

  [[nodiscard]] group_time base_at() const {
    return base_at_;
  }

  [[nodiscard]] term_number last_term() const {
    return entries_.empty() ? base_term_ : entries_.back().term;
  }

  [[nodiscard]] group_time last_at() const {
    return entries_.empty() ? base_at_ : entries_.back().at;
  }

  /// Returns the term of the entry at `index`; nothing if this log does not have it.
  [[nodiscard]] std::optional<term_number> term_at(log_index index) const {
    if (index == base_index_)
      return base_term_;
    if (index < base_index_ || index > last_index())
      return std::nullopt;
    return at(index).term;
  }

  /// @pre base_index() < index <= last_index()
  [[nodiscard]] const entry& at(log_index index) const {
    assert(index > base_index_ && index <= last_index());
    return entries_[static_cast<std::size_t>(index - base_index_ - 1)];
  }

  void push(entry line) {
    assert(line.index == last_index() + 1);
    if (auto* members = std::get_if<configuration>(&line.what))
      configurations_.emplace(line.index, *members);
    entries_.push_back(std::move(line));
  }

  /// Removes the entry at `from` and all after it.
  /// @pre base_index() < from
  void truncate(log_index from) {
    assert(from > base_index_);
    if (from <= last_index())
      entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(from - base_index_ - 1),
                     entries_.end());
    if (planted_flaw != flaw::members_kept)
      configurations_.erase(configurations_.lower_bound(from), configurations_.end());
  }

  /// Drops all entries up to `index`, which becomes the base.
  void compact(log_index index) {
    if (index <= base_index_)
      return;
    assert(index <= last_index());
    auto& line = at(index);
    auto term = line.term;
    auto stamp = line.at;
    auto in_force = std::prev(configurations_.upper_bound(index))->second;
    entries_.erase(entries_.begin(),
                   entries_.begin() + static_cast<std::ptrdiff_t>(index - base_index_));
    base_index_ = index;
    base_term_ = term;
    base_at_ = stamp;
    configurations_.erase(configurations_.begin(), configurations_.upper_bound(index));
    configurations_.emplace(index, std::move(in_force));
  }

  /// The latest configuration, which is in force, committed or not (thesis 4.1).
  [[nodiscard]] const configuration& members() const {
    return configurations_.rbegin()->second;
  }

  [[nodiscard]] log_index members_index() const {
    return configurations_.rbegin()->first;
  }

  /// Whether by this log no other replica was ever a voter.
  [[nodiscard]] bool nobody_else_voted(member_id self) const {
    return std::ranges::all_of(configurations_, [&](auto& each) {
      return each.second.promotions == 0
             && std::ranges::all_of(each.second.members, [&](auto& one) {
                  return one.first == self || !one.second.votes;
                });
    });
  }

  /// The configuration in force at `index`.
  [[nodiscard]] const configuration& members_at(log_index index) const {
    return std::prev(configurations_.upper_bound(index))->second;
  }

  /// Whether `seat` is a voter in any configuration in force at `index` or later.
  [[nodiscard]] bool votes_since(log_index index, member_id seat) const {
    return std::any_of(std::prev(configurations_.upper_bound(index)), configurations_.end(),
                       [&](auto& each) { return each.second.votes(seat); });
  }

  /// Returns where to compact to, so that of the entries up to `index` only the last ones stay,
  /// within both limits. Cost: O(entries that stay).
  /// @pre index <= last_index()
  [[nodiscard]] log_index keeping(log_index index, std::uint64_t max_entries,
                                  std::uint64_t max_bytes) const {
    std::uint64_t bytes = 0;
    std::uint64_t entries = 0;
    for (; index > base_index_ && entries < max_entries; --index, ++entries)
      if (bytes += size_of(at(index)); bytes > max_bytes)
        break;
    return index;
  }

  /// Returns entries from `first` to `last` within the limits, but at least one if there is any.
  [[nodiscard]] std::vector<entry> slice(log_index first, log_index last, std::size_t max_entries,
                                         std::size_t max_bytes) const {
    std::vector<entry> found;
    last = std::min(last, last_index());
    if (first > last)
      return found;
    found.reserve(static_cast<std::size_t>(
      std::min<std::uint64_t>(last - first + 1, std::uint64_t{max_entries})));
    std::size_t bytes = 0;
    for (auto index = first; index <= last && found.size() < max_entries; ++index) {
      bytes += size_of(at(index));
      if (!found.empty() && bytes > max_bytes)
        break;
      found.push_back(at(index));
    }
    return found;
  }

  /// Returns the last index at or before `index` whose term is not above `term`: the highest at
  /// which two logs that disagree at `index` may agree. The base if there is none.
  [[nodiscard]] log_index last_not_above(log_index index, term_number term) const {
    index = std::clamp(index, base_index_, last_index());
    auto end = entries_.begin() + static_cast<std::ptrdiff_t>(index - base_index_);
    auto above
      = std::upper_bound(entries_.begin(), end, term,
                         [](term_number bound, const entry& line) { return bound < line.term; });
    return base_index_ + static_cast<log_index>(above - entries_.begin());
  }

private:
  log_index base_index_ = 0;
  term_number base_term_ = 0;
  group_time base_at_{};
  std::deque<entry> entries_;
  std::map<log_index, configuration> configurations_;
};

} // namespace troupe::raft::detail
