#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/core/fields.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/state/entry.hpp"

/// Queries of a state_table. They are answered as of its last call.
namespace troupe::state {

/// Selects keys: those of `level` and `type`, if given, that start with `prefix`.
struct key_scope {
  std::optional<consistency> level{};
  std::optional<value_type> type{};
  std::string prefix{};
  /// If not empty: only this key.
  std::string key{};

  friend bool operator==(const key_scope&, const key_scope&) = default;

  TROUPE_FIELDS(key_scope, level, type, prefix, key);
};

/// Returns whether `scope` selects `key`.
inline bool contains(const key_scope& scope, const entry_key& key) {
  return (!scope.level || *scope.level == key.level) && (!scope.type || *scope.type == key.type)
         && key.key.starts_with(scope.prefix) && (scope.key.empty() || scope.key == key.key);
}

/// Returns the scope of one key.
inline key_scope only(const entry_key& key) {
  return {key.level, key.type, {}, key.key};
}

// -- look up -------------------------------------------------------------------------

/// The values of a key.
struct entries_found {
  entry_key key;
  /// Empty if the key has no value; several if they are concurrent. The newest is the last.
  std::vector<entry> entries;
  /// What the reader has now seen: the context of its next put. After a removal it is known
  /// until the removal is forgotten; at level strong it is always known.
  vector_clock clock;
  /// Revision of the table: a watch that starts after it misses nothing.
  std::uint64_t revision = 0;

  friend bool operator==(const entries_found&, const entries_found&) = default;

  TROUPE_FIELDS(entries_found, key, entries, clock, revision);
};

/// Returns the version of a key for put::expect_version: that of its newest entry, zero if it
/// has no entry.
inline std::uint64_t version_of(const std::vector<entry>& entries) {
  return entries.empty() ? 0 : entries.back().version;
}

struct get {
  using result = entries_found;

  entry_key key;

  TROUPE_FIELDS(get, key);
};

/// A key without its values.
struct key_summary {
  entry_key key;
  /// Version of its newest entry. The fields below, but for `siblings`, are of that entry, too.
  std::uint64_t version = 0;
  std::uint32_t siblings = 1;
  std::uint64_t value_bytes = 0;
  digest content;
  wall_time written_at{};
  std::optional<wall_time> expires_at;

  friend bool operator==(const key_summary&, const key_summary&) = default;

  TROUPE_FIELDS(key_summary, key, version, siblings, value_bytes, content, written_at, expires_at);
};

/// One page of keys, in their order: level, type, text.
struct key_page {
  std::vector<key_summary> keys;
  /// There are more keys: ask again with the last key as `after`.
  bool more = false;

  friend bool operator==(const key_page&, const key_page&) = default;

  TROUPE_FIELDS(key_page, keys, more);
};

/// Asks for the keys in `scope` that sort after `after`: at most `limit`, and never more than
/// 1,000.
struct list_keys {
  using result = key_page;

  key_scope scope{};
  std::optional<entry_key> after{};
  std::uint32_t limit = 100;

  TROUPE_FIELDS(list_keys, scope, after, limit);
};

// -- watch ---------------------------------------------------------------------------

/// Numbers go over the wire: append at the end.
enum class change_kind : std::uint8_t {
  /// Written, or part of a snapshot.
  put = 0,
  removed = 1,
  /// Its time to live is over.
  expired = 2,
};

inline constexpr std::array<std::string_view, 3> change_kind_names{"put", "removed", "expired"};

constexpr std::string_view name_of(change_kind kind) noexcept {
  auto index = static_cast<std::size_t>(kind);
  return index < change_kind_names.size() ? change_kind_names[index] : "unknown";
}

struct change {
  std::uint64_t revision = 0;
  change_kind kind = change_kind::put;
  entry_key key;
  /// The values of the key after the change. A removal leaves the siblings that its caller had
  /// not seen.
  std::vector<entry> entries;

  friend bool operator==(const change&, const change&) = default;

  TROUPE_FIELDS(change, revision, kind, key, entries);
};

struct state_changes {
  /// This page and those before it contain all changes up to this revision.
  std::uint64_t revision = 0;
  /// A snapshot begins with this page: discard all earlier state.
  bool complete = false;
  std::vector<change> changes;
  /// Set while the snapshot continues: the keys up to this one have been sent.
  std::optional<entry_key> rest;
  /// The next page is available at once.
  bool more = false;

  friend bool operator==(const state_changes&, const state_changes&) = default;

  TROUPE_FIELDS(state_changes, revision, complete, changes, rest, more);
};

/// Asks for what changed in `scope` after revision `after`; zero asks for a snapshot
/// first. Waits up to `wait` if nothing has changed. A watcher that asks again and again, with
/// next(), follows the keys: first a snapshot, then every change in order, without a gap.
///
/// A snapshot comes in pages, in the order of keys, each key as of the time the page is made.
/// Pages in between have the changes of keys already sent. After its last page the watcher
/// has the table exactly as of that page's revision. That takes 2 n / limit pages for n keys,
/// and up to n / (limit - c) more if c keys change between two pages.
///
/// A watcher that falls further behind than state_options::max_changes gets the current state of
/// each key that changed meanwhile, in the order of their last changes; if it has missed more
/// removals than that, it starts again with a snapshot. A page has at most `limit` changes, never
/// more than 1,000, and about 1 MiB, or one change.
struct watch_state {
  using result = state_changes;

  key_scope scope{};
  std::uint64_t after = 0;
  std::optional<entry_key> rest{};
  duration wait{};
  /// A snapshot ends later with a lower limit, and never if more keys than that change between
  /// two pages.
  std::uint32_t limit = 1'000;

  /// Returns the question to ask after the answer `last`.
  [[nodiscard]] watch_state next(const state_changes& last) const {
    return {scope, last.revision, last.rest, wait, limit};
  }

  /// See indexed_query: topics are the texts of keys.
  [[nodiscard]] interest about() const {
    return {scope.key.empty() ? scope.prefix : scope.key, !scope.key.empty()};
  }

  [[nodiscard]] watch_state later(std::uint64_t revision) const {
    return {scope, std::max(after, revision), rest, wait, limit};
  }

  /// Returns damaged unless the checksums of all entries are right.
  [[nodiscard]] static problem verify(const state_changes& answer) {
    for (auto& each : answer.changes)
      for (auto& what : each.entries)
        if (auto why = state::verify(what))
          return why;
    return {};
  }

  TROUPE_FIELDS(watch_state, scope, after, rest, wait, limit);
};

// -- count ---------------------------------------------------------------------------

/// The keys of one level, and what happened to them since the table was created.
struct level_counts {
  std::uint64_t keys = 0;
  /// Entries in excess of one for each key.
  std::uint64_t siblings = 0;
  /// Of keys and values.
  std::uint64_t bytes = 0;
  /// Removed or expired keys that are still remembered.
  std::uint64_t tombstones = 0;
  std::uint64_t puts = 0;
  std::uint64_t removals = 0;
  std::uint64_t expiries = 0;
  /// Writes and removals by a caller that had not seen all values of the key.
  std::uint64_t conflicts = 0;

  friend bool operator==(const level_counts&, const level_counts&) = default;

  TROUPE_FIELDS(level_counts, keys, siblings, bytes, tombstones, puts, removals, expiries,
                conflicts);
};

struct state_counts {
  level_counts eventual;
  level_counts causal;
  level_counts strong;
  std::uint64_t revision = 0;
  /// Name of this replica in its writes.
  std::string replica;
  /// Changes kept for watchers.
  std::uint64_t changes = 0;

  friend bool operator==(const state_counts&, const state_counts&) = default;

  TROUPE_FIELDS(state_counts, eventual, causal, strong, revision, replica, changes);
};

struct count_entries {
  using result = state_counts;

  TROUPE_FIELDS(count_entries);
};

} // namespace troupe::state
