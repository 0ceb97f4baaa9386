#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "troupe/core/flaw.hpp"
#include "troupe/state/detail/change_log.hpp"
#include "troupe/state/types.hpp"

namespace troupe::state::detail {

/// All keys, including tombstones that are still remembered, in their order and in the order of
/// their last changes; counts them and knows which value expires next. The saved_key of a key is
/// never modified, as snapshots share it: a change replaces it.
class key_table {
public:
  /// When an entry expires.
  struct expiry {
    wall_time at;
    entry_key key;
    std::string replica;
    std::uint64_t version = 0;

    friend auto operator<=>(const expiry&, const expiry&) = default;
  };

  [[nodiscard]] const saved_key* find(const entry_key& key) const {
    auto found = keys_.find(key);
    return found != keys_.end() ? &*found->second : nullptr;
  }

  /// Makes revision `revision` of a key: calls `alter(sibling_set&)`. Returns the new set.
  /// Cost: O(log n), plus a copy of the old set.
  template <class Alter>
  const sibling_set& change(const entry_key& key, std::uint64_t revision, Alter alter) {
    auto& held = keys_.try_emplace(key).first->second;
    saved_key made{key, held->set, revision};
    alter(made.set);
    replace(held, frozen_key{std::move(made)});
    return held->set;
  }

  // -- what changed ----------------------------------------------------------------

  /// Forgets tombstones, the oldest first, until at most `most` with `most_bytes` of key text
  /// are left.
  void keep_gone(std::size_t most, std::uint64_t most_bytes) {
    while (gone_.size() > most || gone_bytes_ > most_bytes) {
      forgotten_up_to_ = *gone_.begin();
      auto key = changed_.find(forgotten_up_to_)->second->key;
      auto found = keys_.find(key);
      count_out(*found->second);
      keys_.erase(found);
    }
  }

  /// Forgets all tombstones. A watcher at an earlier revision than this one may miss removals.
  void forget_gone(std::uint64_t revision) {
    keep_gone(0, 0);
    forgotten_up_to_ = revision;
  }

  /// Returns the revision up to which removals may be forgotten.
  [[nodiscard]] std::uint64_t forgotten_up_to() const {
    return forgotten_up_to_;
  }

  /// Calls `take(saved_key)` with each key that changed after `revision`, tombstones included, in
  /// the order of their last changes, until it returns false; returns whether it never did.
  /// Complete if revision >= forgotten_up_to().
  template <class Take>
  bool for_each_changed(std::uint64_t revision, Take take) const {
    return std::all_of(changed_.upper_bound(revision), changed_.end(),
                       [&take](auto& each) { return take(*each.second); });
  }

  [[nodiscard]] const std::set<expiry>& expiries() const {
    return expiries_;
  }

  /// Calls `take` with each key in `scope` that has a value and sorts after `after`, in the order
  /// of keys, until it returns false. Cost: O(log n), plus the keys that it passes.
  template <class Take>
  void for_each_in(const key_scope& scope, const std::optional<entry_key>& after, Take take) const {
    for (auto level : {consistency::eventual, consistency::causal, consistency::strong})
      for (auto type :
           {value_type::lww_register, value_type::mv_register, value_type::version_register})
        if ((!scope.level || *scope.level == level) && (!scope.type || *scope.type == type)
            && !for_each_of({level, type, scope.key.empty() ? scope.prefix : scope.key}, scope,
                            after, take))
          return;
  }

  // -- counts ----------------------------------------------------------------------

  [[nodiscard]] const level_counts& counts(consistency level) const {
    return counts_.at(static_cast<std::size_t>(level));
  }

  [[nodiscard]] std::uint64_t live_keys() const {
    return counts_[0].keys + counts_[1].keys + counts_[2].keys;
  }

  [[nodiscard]] std::uint64_t bytes() const {
    return counts_[0].bytes + counts_[1].bytes + counts_[2].bytes;
  }

  /// For the counts of events (puts, removals, …).
  [[nodiscard]] level_counts& history(consistency level) {
    return counts_.at(static_cast<std::size_t>(level));
  }

  // -- snapshot --------------------------------------------------------------------

  /// Cost: O(n), about 0.16 us for each key of any size.
  void save(table_snapshot& to) const {
    to.forgotten_up_to = forgotten_up_to_;
    to.keys.reserve(keys_.size());
    for (auto& [key, held] : keys_)
      to.keys.push_back(held);
    for (std::size_t level = 0; level < counts_.size(); ++level) {
      auto& from = counts_[level];
      to.history[level] = {from.puts, from.removals, from.expiries, from.conflicts};
    }
  }

  void restore(const table_snapshot& saved) {
    *this = {};
    forgotten_up_to_ = saved.forgotten_up_to;
    for (auto& each : saved.keys)
      replace(keys_.try_emplace(keys_.end(), each->key)->second, each);
    for (std::size_t level = 0; level < counts_.size(); ++level) {
      auto& to = counts_[level];
      if (planted_flaw == flaw::counts_forgotten)
        continue;
      std::tie(to.puts, to.removals, to.expiries, to.conflicts)
        = std::tie(saved.history[level].puts, saved.history[level].removals,
                   saved.history[level].expiries, saved.history[level].conflicts);
    }
  }

private:
  /// Returns false if `take` did. All keys have the level and type of `first`.
  template <class Take>
  bool for_each_of(const entry_key& first, const key_scope& scope,
                   const std::optional<entry_key>& after, Take& take) const {
    auto each = after && first <= *after ? keys_.upper_bound(*after) : keys_.lower_bound(first);
    for (; each != keys_.end() && each->first.level == first.level && each->first.type == first.type
           && each->first.key.starts_with(first.key);
         ++each) {
      auto& [key, held] = *each;
      if (!scope.key.empty() && key.key != scope.key)
        break;
      if (!held->set.entries.empty() && contains(scope, key) && !take(*held))
        return false;
    }
    return true;
  }

  void replace(frozen_key& held, frozen_key with) {
    if (held->revision != 0)
      count_out(*held);
    held = std::move(with);
    count_in(held);
  }

  void count_in(const frozen_key& what) {
    auto& [key, set, revision] = *what;
    changed_.emplace_hint(changed_.end(), revision, what);
    auto& entries = set.entries;
    auto& level = history(key.level);
    if (entries.empty()) {
      ++level.tombstones;
      gone_.insert(gone_.end(), revision);
      gone_bytes_ += key.key.size();
      return;
    }
    ++level.keys;
    level.siblings += entries.size() - 1;
    level.bytes += size_of(entries);
    for (auto& each : entries)
      if (each.expires_at)
        expiries_.insert({*each.expires_at, key, each.replica, each.version});
  }

  void count_out(const saved_key& what) {
    auto& [key, set, revision] = what;
    auto& entries = set.entries;
    auto& level = history(key.level);
    if (entries.empty()) {
      --level.tombstones;
      gone_.erase(revision);
      gone_bytes_ -= key.key.size();
    } else {
      --level.keys;
      level.siblings -= entries.size() - 1;
      level.bytes -= size_of(entries);
      for (auto& each : entries)
        if (each.expires_at)
          expiries_.erase({*each.expires_at, key, each.replica, each.version});
    }
    changed_.erase(revision); // last, as this may hold the only reference to `what`
  }

  std::map<entry_key, frozen_key> keys_;
  /// The same keys by the revision of their last change.
  std::map<std::uint64_t, frozen_key> changed_;
  /// Revisions of the tombstones.
  std::set<std::uint64_t> gone_;
  std::uint64_t gone_bytes_ = 0; // of their key texts
  std::uint64_t forgotten_up_to_ = 0;
  std::set<expiry> expiries_;
  std::array<level_counts, 3> counts_{};
};

} // namespace troupe::state::detail
