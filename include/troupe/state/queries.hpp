#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/state/entry.hpp"

/// What anybody may ask of a state_table, as of its last call.
namespace troupe::state {

/// Which keys are meant: of one level and type if given, those that start with `prefix`.
struct key_scope {
  std::optional<consistency> level{};
  std::optional<value_type> type{};
  std::string prefix{};
  /// If not empty: this key alone.
  std::string key{};

  friend bool operator==(const key_scope&, const key_scope&) = default;
};

/// Returns whether `key` is among those that are meant.
inline bool contains(const key_scope& scope, const entry_key& key) {
  return (!scope.level || *scope.level == key.level) && (!scope.type || *scope.type == key.type)
         && key.key.starts_with(scope.prefix) && (scope.key.empty() || scope.key == key.key);
}

/// Returns the scope of one key.
inline key_scope only(const entry_key& key) {
  return {key.level, key.type, {}, key.key};
}

// -- look up -------------------------------------------------------------------------

/// What stands under a key.
struct entries_found {
  entry_key key;
  /// None if there is nothing; several if they are concurrent. The newest is the last.
  std::vector<entry> entries;
  /// What whoever reads this has seen: the context of the next put. Known for a while
  /// also of what is gone; at level strong always.
  vector_clock clock;
  /// Of the table: a watch after it goes on from here.
  std::uint64_t revision = 0;

  friend bool operator==(const entries_found&, const entries_found&) = default;
};

/// Returns the version of a key, as put::expect_version wants it: that of its newest
/// entry, zero if there is none.
inline std::uint64_t version_of(const std::vector<entry>& entries) {
  return entries.empty() ? 0 : entries.back().version;
}

struct get {
  using result = entries_found;

  entry_key key;
};

/// A key without its values.
struct key_summary {
  entry_key key;
  /// That of its newest entry, as are the fields below.
  std::uint64_t version = 0;
  std::uint32_t siblings = 1;
  std::uint64_t value_bytes = 0;
  digest content;
  wall_time written_at{};
  std::optional<wall_time> expires_at;

  friend bool operator==(const key_summary&, const key_summary&) = default;
};

/// One page of keys, in their order: level, type, text.
struct key_page {
  std::vector<key_summary> keys;
  /// There is more: ask again with `after` the last key.
  bool more = false;

  friend bool operator==(const key_page&, const key_page&) = default;
};

/// Asks for the keys in `scope` behind `after`, at most `limit` (and 1,000).
struct list_keys {
  using result = key_page;

  key_scope scope{};
  std::optional<entry_key> after{};
  std::uint32_t limit = 100;
};

// -- watch ---------------------------------------------------------------------------

/// Numbers go over the wire: append at the end.
enum class change_kind : std::uint8_t {
  /// Written, or part of a snapshot.
  put = 0,
  removed = 1,
  /// Its time ran out.
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
  /// What stands under the key from then on. A removal leaves the siblings that its
  /// caller had not seen.
  std::vector<entry> entries;

  friend bool operator==(const change&, const change&) = default;
};

struct state_changes {
  /// The changes up to here are known with this page and those before it.
  std::uint64_t revision = 0;
  /// A snapshot begins here: drop what you have.
  bool complete = false;
  std::vector<change> changes;
  /// The snapshot goes on: the keys up to here have come.
  std::optional<entry_key> rest;
  /// More can be had at once.
  bool more = false;

  friend bool operator==(const state_changes&, const state_changes&) = default;
};

/// Asks for what changed in `scope` after revision `after`; zero asks for a snapshot
/// first. Waits up to `wait` while there is nothing. A watcher that asks again and again, as
/// next() says, has the keys: first a snapshot, then every change in order, without a gap.
///
/// A snapshot comes in pages by the order of keys, as they stand when the page is made, between
/// them what changed of the keys that have come. It ends with a page after which the watcher
/// has the table exactly as of that page's revision. That takes 2 n / limit pages for n keys,
/// and up to n / (limit - c) more if c keys change between two pages.
///
/// A watcher that falls further behind than state_options::max_changes is told of each key
/// that changed meanwhile how it stands, in the order of their last changes; if it has missed
/// more removals than that, it begins anew with a snapshot. A page has at most `limit` (and
/// 1,000) changes and about 1 MiB, or one change.
struct watch_state {
  using result = state_changes;

  key_scope scope{};
  std::uint64_t after = 0;
  std::optional<entry_key> rest{};
  duration wait{};
  std::uint32_t limit = 1'000; // fewer end a snapshot later, or not while more keys change

  /// Returns the question that follows on `last`.
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

  /// Returns damaged unless all entries are as they were written.
  [[nodiscard]] static problem verify(const state_changes& answer) {
    for (auto& each : answer.changes)
      for (auto& what : each.entries)
        if (auto why = state::verify(what); why.code != errc::none)
          return why;
    return {};
  }
};

// -- count ---------------------------------------------------------------------------

/// The keys of one level, and what happened to them since the table was born.
struct level_counts {
  std::uint64_t keys = 0;
  /// Entries beyond one for each key.
  std::uint64_t siblings = 0;
  /// Of keys and values.
  std::uint64_t bytes = 0;
  /// Gone, but not forgotten yet.
  std::uint64_t tombstones = 0;
  std::uint64_t puts = 0;
  std::uint64_t removals = 0;
  std::uint64_t expiries = 0;
  /// Writes whose writer had not seen all that stood there.
  std::uint64_t conflicts = 0;

  friend bool operator==(const level_counts&, const level_counts&) = default;
};

struct state_counts {
  level_counts eventual;
  level_counts causal;
  level_counts strong;
  std::uint64_t revision = 0;
  /// What this replica signs its writes with.
  std::string replica;
  /// Changes kept for watchers.
  std::uint64_t changes = 0;

  friend bool operator==(const state_counts&, const state_counts&) = default;
};

struct count_entries {
  using result = state_counts;
};

// -- inspection ------------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, key_scope& x) {
  return f.object(x).fields(f.field("level", x.level), f.field("type", x.type),
                            f.field("prefix", x.prefix), f.field("key", x.key));
}

template <class Inspector>
bool inspect(Inspector& f, entries_found& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("entries", x.entries),
                            f.field("clock", x.clock), f.field("revision", x.revision));
}

template <class Inspector>
bool inspect(Inspector& f, get& x) {
  return f.object(x).fields(f.field("key", x.key));
}

template <class Inspector>
bool inspect(Inspector& f, key_summary& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("version", x.version),
                            f.field("siblings", x.siblings), f.field("value_bytes", x.value_bytes),
                            f.field("content", x.content), f.field("written_at", x.written_at),
                            f.field("expires_at", x.expires_at));
}

template <class Inspector>
bool inspect(Inspector& f, key_page& x) {
  return f.object(x).fields(f.field("keys", x.keys), f.field("more", x.more));
}

template <class Inspector>
bool inspect(Inspector& f, list_keys& x) {
  return f.object(x).fields(f.field("scope", x.scope), f.field("after", x.after),
                            f.field("limit", x.limit));
}

template <class Inspector>
bool inspect(Inspector& f, change& x) {
  return f.object(x).fields(f.field("revision", x.revision), f.field("kind", x.kind),
                            f.field("key", x.key), f.field("entries", x.entries));
}

template <class Inspector>
bool inspect(Inspector& f, state_changes& x) {
  return f.object(x).fields(f.field("revision", x.revision), f.field("complete", x.complete),
                            f.field("changes", x.changes), f.field("rest", x.rest),
                            f.field("more", x.more));
}

template <class Inspector>
bool inspect(Inspector& f, watch_state& x) {
  return f.object(x).fields(f.field("scope", x.scope), f.field("after", x.after),
                            f.field("rest", x.rest), f.field("wait", x.wait),
                            f.field("limit", x.limit));
}

template <class Inspector>
bool inspect(Inspector& f, level_counts& x) {
  return f.object(x).fields(f.field("keys", x.keys), f.field("siblings", x.siblings),
                            f.field("bytes", x.bytes), f.field("tombstones", x.tombstones),
                            f.field("puts", x.puts), f.field("removals", x.removals),
                            f.field("expiries", x.expiries), f.field("conflicts", x.conflicts));
}

template <class Inspector>
bool inspect(Inspector& f, state_counts& x) {
  return f.object(x).fields(f.field("eventual", x.eventual), f.field("causal", x.causal),
                            f.field("strong", x.strong), f.field("revision", x.revision),
                            f.field("replica", x.replica), f.field("changes", x.changes));
}

template <class Inspector>
bool inspect(Inspector& f, count_entries& x) {
  return f.object(x).fields();
}

} // namespace troupe::state
