#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "troupe/core/fields.hpp"
#include "troupe/state/entry.hpp"

namespace troupe::state {

/// The position of a write or a removal in the order by which the last writer wins.
struct write_stamp {
  wall_time at{};
  std::string replica;
  std::uint64_t version = 0;

  friend auto operator<=>(const write_stamp&, const write_stamp&) = default;

  TROUPE_FIELDS(write_stamp, at, replica, version);
};

inline write_stamp stamp_of(const entry& value) {
  return {value.written_at, value.replica, value.version};
}

/// What a replica knows of one key: its current writes, the clock of all writes that it has
/// taken in, and the last removal. A set without entries is a tombstone.
struct sibling_set {
  /// More than one only if they are concurrent and the type keeps them. Sorted by (version,
  /// replica), so that the newest is the last.
  std::vector<entry> entries;
  /// All writes that it has taken in, including those that were replaced or removed.
  vector_clock clock;
  /// The last removal, by the order of the type.
  std::optional<write_stamp> removed;

  friend bool operator==(const sibling_set&, const sibling_set&) = default;

  TROUPE_FIELDS(sibling_set, entries, clock, removed);
};

namespace detail {

/// Returns whether the order of `type` puts `left` below `right`.
inline bool loses_to(value_type type, const write_stamp& left, const write_stamp& right) {
  if (type == value_type::version_register)
    return std::tie(left.version, left.replica) < std::tie(right.version, right.replica);
  return left < right;
}

/// For a register with one value: keeps only the greatest write, or nothing if the removal is
/// not less.
inline void keep_greatest(sibling_set& set, value_type type) {
  auto& entries = set.entries;
  auto last = std::ranges::max_element(entries, [type](auto& left, auto& right) {
    return loses_to(type, stamp_of(left), stamp_of(right));
  });
  if (last == entries.end())
    return;
  if (set.removed && !loses_to(type, *set.removed, stamp_of(*last)))
    return entries.clear();
  auto winner = std::move(*last);
  entries.clear();
  entries.push_back(std::move(winner));
}

inline void sort_by_version(std::vector<entry>& entries) {
  std::ranges::sort(entries, [](auto& left, auto& right) {
    return std::tie(left.version, left.replica) < std::tie(right.version, right.replica);
  });
}

inline void drop_seen(sibling_set& set, const vector_clock& context) {
  std::erase_if(set.entries, [&](auto& each) { return context.knows(each.replica, each.version); });
  set.clock.merge(context);
}

inline void note_removal(sibling_set& set, const std::optional<write_stamp>& when,
                         value_type type) {
  if (when && (!set.removed || loses_to(type, *set.removed, *when)))
    set.removed = when;
}

} // namespace detail

/// Merges `other` into `set`: a least upper bound, so it is associative, commutative and
/// idempotent, and replicas that have merged the same agree.
///
/// An mv_register keeps each write that the other side has, too, or does not know; the
/// other types keep the greatest write, regardless of what its writer had seen.
/// Sources: Almeida, Baquero, Goncalves, Preguica, Fonte, "Scalable and accurate causality
/// tracking for eventually consistent stores" (2014), section 4; Shapiro and others, "A
/// comprehensive study of convergent and commutative replicated data types" (2011),
/// specifications 8 and 10.
/// @pre Both are of the same key, and writes with the same (replica, version) are the same.
/// Cost: O(n * m) in siblings.
inline void join(sibling_set& set, const sibling_set& other, value_type type) {
  auto has = [](const sibling_set& where, const entry& what) {
    return std::ranges::any_of(
      where.entries, [&](auto& each) { return compare(each, what) == clock_order::equal; });
  };
  auto is_over = [&](const sibling_set& known, const entry& what) {
    return type == value_type::mv_register && known.clock.knows(what.replica, what.version)
           && !has(known, what);
  };
  std::vector<entry> fresh;
  for (auto& each : other.entries)
    if (!has(set, each) && !is_over(set, each))
      fresh.push_back(each);
  std::erase_if(set.entries, [&](auto& each) { return is_over(other, each); });
  std::ranges::move(fresh, std::back_inserter(set.entries));
  set.clock.merge(other.clock);
  detail::note_removal(set, other.removed, type);
  if (type == value_type::mv_register)
    detail::sort_by_version(set.entries);
  else
    detail::keep_greatest(set, type);
}

/// Adds a write of this replica: it replaces what its writer had seen. (join() cannot be used: a
/// set of this write alone would claim to know all earlier writes of the replica, including
/// those that the writer had not seen.)
/// @pre The version of `what` is above all that the replica gave before.
inline void add_write(sibling_set& set, entry what, value_type type) {
  if (type == value_type::mv_register)
    detail::drop_seen(set, what.context);
  set.clock.merge(what.context);
  set.clock.raise(what.replica, what.version);
  set.entries.push_back(std::move(what));
  if (type != value_type::mv_register)
    detail::keep_greatest(set, type);
}

/// Adds a removal by this replica for a caller that had seen `context`. An mv_register loses
/// the writes in `context`; the other types lose all writes that are not above `when`.
/// @pre The version of `when` is above all that the replica gave before.
inline void add_removal(sibling_set& set, const write_stamp& when, const vector_clock& context,
                        value_type type) {
  set.clock.merge(context);
  set.clock.raise(when.replica, when.version);
  detail::note_removal(set, when, type);
  if (type == value_type::mv_register)
    detail::drop_seen(set, context);
  else
    detail::keep_greatest(set, type);
}

/// Expires one of its writes. All replicas do the same, and it hides no write that is above the
/// expired one, however late that arrives.
inline void add_expiry(sibling_set& set, const entry& what, value_type type) {
  detail::note_removal(set, stamp_of(what), type);
  std::erase_if(set.entries, [&](auto& each) { return compare(each, what) == clock_order::equal; });
}

} // namespace troupe::state
