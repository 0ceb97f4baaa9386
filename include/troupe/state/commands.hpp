#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "troupe/core/fields.hpp"
#include "troupe/core/time.hpp"
#include "troupe/state/entry.hpp"

/// The commands that change a state_table, and its bounds.
namespace troupe::state {

// -- configuration -------------------------------------------------------------------

/// Bounds of one table. Requests beyond them are refused.
struct state_options {
  /// Keys with a value: about 700 bytes each in addition to key and value.
  std::uint32_t max_keys = 100'000;
  /// Length of one key.
  std::uint32_t max_key_bytes = 512;
  std::uint32_t max_value_bytes = 1'048'576; // larger ones are refused: keep them elsewhere
  /// Total size of all keys and values.
  std::uint64_t max_bytes = 268'435'456;
  /// Concurrent values of one key.
  std::uint32_t max_siblings = 16;
  duration max_ttl = std::chrono::hours{24} * 3'660; // about ten years; omit the ttl for more
  /// Changes kept for watchers. A watcher that is further behind gets the current state of each
  /// key that changed meanwhile, not each change. As many removed keys are remembered; a watcher
  /// that has missed more removals starts again with a snapshot.
  std::uint32_t max_changes = 10'000;
  /// Bytes of keys and values in those changes, and of the removed keys.
  std::uint64_t max_change_bytes = 524'288; // every snapshot of the table contains them
  /// Name of this replica in its writes, 1 to 64 bytes of UTF-8. Fixed when the table is first
  /// created; if empty or out of these bounds, a generated name.
  std::string replica{};

  friend bool operator==(const state_options&, const state_options&) = default;

  TROUPE_FIELDS(state_options, max_keys, max_key_bytes, max_value_bytes, max_bytes, max_siblings,
                max_ttl, max_changes, max_change_bytes, replica);
};

// -- events: what a caller may ask -----------------------------------------------------

/// The state of a key after a write.
struct written {
  entry_key key;
  /// Version of the write; above all that this table gave before.
  std::uint64_t version = 0;
  /// What the writer has now seen: the context of its next write. Does not include siblings that
  /// the writer has not read.
  vector_clock clock;
  /// Values that the key has now.
  std::uint32_t siblings = 0;
  wall_time written_at{};
  std::optional<wall_time> expires_at;

  friend bool operator==(const written&, const written&) = default;

  TROUPE_FIELDS(written, key, version, clock, siblings, written_at, expires_at);
};

/// Puts a value under a key.
///
/// The context says what of the key the writer had seen: the clock of what it read. An
/// mv_register keeps, beside the new value, the values that are not in the context; with neither
/// a context nor an expect_version it keeps all. On the other registers the new value replaces
/// them, and a conflict is counted if the context lacked one. At level strong the put is refused
/// if the key was written or removed, or its value expired, since the context was read, or if
/// the state was restored from a backup since.
struct put {
  using result = written;

  entry_key key;
  bytes value{};
  /// Refused with conflict unless this is the version of the key; zero: the key has no value.
  std::optional<std::uint64_t> expect_version{};
  /// How long the value stays, by the calendar; empty: permanently.
  std::optional<duration> ttl{};
  std::optional<vector_clock> context{};
  /// SHA-256 of the value: the put is refused with damaged if the value does not match.
  std::optional<digest> content{};

  friend bool operator==(const put&, const put&) = default;

  TROUPE_FIELDS(put, key, value, expect_version, ttl, context, content);
};

/// Removes the values of a key; of an mv_register with a context, only those in the context. At
/// level strong the context is checked as that of a put.
struct remove_key {
  using result = written;

  entry_key key;
  std::optional<std::uint64_t> expect_version{};
  std::optional<vector_clock> context{};

  friend bool operator==(const remove_key&, const remove_key&) = default;

  TROUPE_FIELDS(remove_key, key, expect_version, context);
};

} // namespace troupe::state
