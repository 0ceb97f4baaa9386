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
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/state/vector_clock.hpp"

/// What is kept under a key. No CAF here; messages.hpp gives the wire types their IDs.
namespace troupe::state {

// -- keys ----------------------------------------------------------------------------

/// What a reader may count on. Part of a key's identity, so it never changes.
/// Numbers go over the wire: append at the end.
enum class consistency : std::uint8_t {
  /// Replicas agree once they have heard the same. Written where the others are: with a majority.
  eventual = 0,
  /// And nobody sees an effect without its cause.
  causal = 1,
  /// One order of all writes; a write that has not seen the last one is refused.
  strong = 2,
};

inline constexpr std::array<std::string_view, 3> consistency_names{"eventual", "causal", "strong"};

constexpr std::string_view name_of(consistency level) noexcept {
  auto index = static_cast<std::size_t>(level);
  return index < consistency_names.size() ? consistency_names[index] : "unknown";
}

/// What a value is, and so what becomes of concurrent writes: registers hold bytes of
/// any kind. Part of a key's identity. Numbers go over the wire: append at the end.
enum class value_type : std::uint8_t {
  /// The last writer wins, by the calendar.
  lww_register = 0,
  /// All are kept, side by side, until a writer has seen them. Not for level strong.
  mv_register = 1,
  /// The highest version wins, whatever the calendars say.
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
};

/// Returns a key for a sentence, its text cut where it is long or not text.
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

/// One write, as it was made; it never changes on its way.
///
/// Which write it is, is told by (replica, version): versions of a replica rise with
/// each of its writes, over all keys, and none comes twice. They also rise along every
/// line of cause and effect (a replica goes above whatever it merges), so that a higher
/// one is never the cause of a lower.
/// Source: Preguica, Baquero, Almeida, Fonte, Goncalves, "Dotted version vectors" (2010);
/// Lamport, "Time, clocks, and the ordering of events" (1978).
struct entry {
  entry_key key;
  bytes value;
  std::uint64_t version = 0;
  /// Whose write it is.
  std::string replica;
  /// What its writer had seen of the key, this write not among it.
  vector_clock context;
  /// By the calendar of the replica.
  wall_time written_at{};
  /// Gone from then on.
  std::optional<wall_time> expires_at;
  /// SHA-256 of the value.
  digest content;
  /// See checksum_of().
  std::uint32_t checksum = 0;

  friend bool operator==(const entry&, const entry&) = default;
};

/// Returns the vector clock of a write: what its writer had seen, and the write itself.
inline vector_clock clock_of(const entry& value) {
  auto result = value.context;
  result.add(value.replica, value.version);
  return result;
}

/// Returns how one write stands to another of the same key: before, if the writer of
/// `right` had seen it. Cost: O(log n).
inline clock_order compare(const entry& left, const entry& right) {
  if (left.replica == right.replica && left.version == right.version)
    return clock_order::equal;
  if (right.context.knows(left.replica, left.version))
    return clock_order::before;
  if (left.context.knows(right.replica, right.version))
    return clock_order::after;
  return clock_order::concurrent;
}

// -- what tells damage ------------------------------------------------------------------

/// Returns the CRC-32C of all fields of a write from `key` to `content`, the value by its
/// digest. Fields that are added to `entry` later are not among them, or no old entry
/// would be believed any more.
TROUPE_COMPILED std::uint32_t checksum_of(const entry& value);

/// Writes down what tells later if the write is as it was.
TROUPE_COMPILED void seal(entry& value);

/// Returns damaged if what came from a disk or over a wire is not what was sealed.
TROUPE_COMPILED problem verify(const entry& value);

// -- inspection --------------------------------------------------------------------

template <class Inspector>
bool inspect(Inspector& f, entry_key& x) {
  return f.object(x).fields(f.field("level", x.level), f.field("type", x.type),
                            f.field("key", x.key));
}

template <class Inspector>
bool inspect(Inspector& f, entry& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("value", x.value),
                            f.field("version", x.version), f.field("replica", x.replica),
                            f.field("context", x.context), f.field("written_at", x.written_at),
                            f.field("expires_at", x.expires_at), f.field("content", x.content),
                            f.field("checksum", x.checksum));
}

} // namespace troupe::state

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/state/impl/entry.ipp"
#endif
