#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/core/compiled.hpp"
#include "troupe/core/digest.hpp"
#include "troupe/core/fields.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/state/vector_clock.hpp"

/// Keys and their values. No CAF here; messages.hpp gives the wire types their IDs.
namespace troupe::state {

// -- keys ----------------------------------------------------------------------------

/// What a reader may rely on. Part of a key's identity, so it never changes.
/// Numbers go over the wire: append at the end.
enum class consistency : std::uint8_t {
  /// Replicas agree once they have received the same writes. A write goes to a majority here, too.
  eventual = 0,
  /// Also, no reader sees an effect without its cause.
  causal = 1,
  /// All writes have one order; a write whose context lacks the last one is refused.
  strong = 2,
};

inline constexpr std::array<std::string_view, 3> consistency_names{"eventual", "causal", "strong"};

constexpr std::string_view name_of(consistency level) noexcept {
  auto index = static_cast<std::size_t>(level);
  return index < consistency_names.size() ? consistency_names[index] : "unknown";
}

/// How concurrent writes are merged. Registers hold arbitrary bytes. Part of a key's identity.
/// Numbers go over the wire: append at the end.
enum class value_type : std::uint8_t {
  /// The last writer wins, by calendar time.
  lww_register = 0,
  /// All concurrent values are kept until a writer has seen them. Not for level strong.
  mv_register = 1,
  /// The highest version wins, regardless of calendar time.
  version_register = 2,
};

inline constexpr std::array<std::string_view, 3> value_type_names{"lww_register", "mv_register",
                                                                  "version_register"};

constexpr std::string_view name_of(value_type type) noexcept {
  auto index = static_cast<std::size_t>(type);
  return index < value_type_names.size() ? value_type_names[index] : "unknown";
}

/// Names one value. The same text at another level or of another type is another key.
struct entry_key {
  consistency level = consistency::eventual;
  value_type type = value_type::lww_register;
  std::string key;

  friend auto operator<=>(const entry_key&, const entry_key&) = default;

  TROUPE_FIELDS(entry_key, level, type, key);
};

/// Returns a key for use in a sentence; its text is shortened to 64 bytes, and left out if it is
/// not UTF-8.
inline std::string to_text(const entry_key& key) {
  constexpr std::size_t most = 64;
  auto text = is_utf8(key.key) ? std::string{utf8_prefix(key.key, most)} : std::string{};
  if (text.size() < key.key.size())
    text += "... (" + std::to_string(key.key.size()) + " bytes)";
  return std::string{name_of(key.level)} + ' ' + std::string{name_of(key.type)} + ' ' + text;
}

// -- values --------------------------------------------------------------------------

/// A value of any kind.
using bytes = std::vector<std::byte>;

inline bytes to_value(std::string_view text) {
  auto source = std::as_bytes(std::span{text});
  return {source.begin(), source.end()};
}

inline std::string_view view_of(const bytes& value) {
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}

inline std::string to_text(const bytes& value) {
  return std::string{view_of(value)};
}

/// One write; immutable.
///
/// (replica, version) identifies it: the versions of a replica rise with each of its writes, over
/// all keys, and are never reused. They also rise along every chain of cause and effect (a
/// replica's next version is above all versions that it has merged), so that a write with a
/// higher version is never the cause of one with a lower.
/// Source: Preguica, Baquero, Almeida, Fonte, Goncalves, "Dotted version vectors" (2010);
/// Lamport, "Time, clocks, and the ordering of events" (1978).
struct entry {
  entry_key key;
  bytes value;
  std::uint64_t version = 0;
  /// The replica that made the write.
  std::string replica;
  /// What its writer had seen of the key before this write.
  vector_clock context;
  /// Calendar time of the replica.
  wall_time written_at{};
  /// The entry is removed at this time.
  std::optional<wall_time> expires_at;
  /// SHA-256 of the value.
  digest content;
  /// See checksum_of().
  std::uint32_t checksum = 0;

  friend bool operator==(const entry&, const entry&) = default;

  TROUPE_FIELDS(entry, key, value, version, replica, context, written_at, expires_at, content,
                checksum);
};

/// Returns the vector clock of a write: what its writer had seen, and the write itself.
inline vector_clock clock_of(const entry& value) {
  auto result = value.context;
  result.add(value.replica, value.version);
  return result;
}

/// Returns the causal order of two writes of the same key: before, if the writer of `right` had
/// seen `left`. Cost: O(log n).
inline clock_order compare(const entry& left, const entry& right) {
  if (left.replica == right.replica && left.version == right.version)
    return clock_order::equal;
  if (right.context.knows(left.replica, left.version))
    return clock_order::before;
  if (left.context.knows(right.replica, right.version))
    return clock_order::after;
  return clock_order::concurrent;
}

// -- checksums --------------------------------------------------------------------------

/// Returns the CRC-32C of all fields of a write from `key` to `content`, with the value
/// represented by its digest. Must not include fields that are added to `entry` later: otherwise
/// old entries would fail the check.
TROUPE_COMPILED std::uint32_t checksum_of(const entry& value);

/// Sets the digest and the checksum of the write.
TROUPE_COMPILED void seal(entry& value);

/// Returns damaged if the digest or the checksum is wrong: the write changed since seal().
TROUPE_COMPILED problem verify(const entry& value);

} // namespace troupe::state

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/state/impl/entry.ipp"
#endif
