#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace troupe {

/// Every refusal that a caller of any part can meet. Numbers go over the wire:
/// append at the end, never reorder, never reuse.
enum class errc : std::uint8_t {
  /// Not an error.
  none = 0,
  /// A field of the request is outside its documented range. Do not retry.
  bad_argument = 1,
  /// A configured bound is reached. Retry later, with backoff.
  limit_reached = 2,
  /// The caller's time to wait ran out. A place in a lock's line is given up, and a question can be
  /// asked again: retry is safe. A request to an agent may have been handled: look before a repeat.
  timed_out = 3,
  /// Another owner holds the lock. Retry is safe.
  lock_held = 4,
  /// The token is not the one of the current lease. Stop using the resource.
  stale_token = 5,
  /// The caller was gone or its session over before there was an answer.
  withdrawn = 6,
  /// The session is unknown or has the answer no more. Outcome unknown: ask for
  /// the state, then open a new session.
  session_expired = 7,
  /// The disk is full; nothing was changed. Retry once there is space.
  storage_full = 8,
  /// What the disk gave back is not what was written. Restore from a backup.
  damaged = 9,
  /// Written by a newer version than this one. Upgrade first.
  incompatible = 10,
  /// The request may or may not have taken effect. Look at the state before a repeat.
  outcome_unknown = 11,
  /// The other side has too much to do right now. Retry with backoff.
  busy = 12,
  /// Another agent has this name. Choose another.
  name_taken = 13,
  /// There is nothing of that name. Check its spelling, or create it first.
  not_found = 14,
  /// No way to the other side. Retry once it is back; nothing was done.
  unreachable = 15,
  /// Ended because somebody asked for it.
  cancelled = 16,
  /// The work itself failed. The sentence is the application's own.
  failed = 17,
  /// Another process uses it: a port, a data directory, an identity.
  in_use = 18,
  /// Larger than a documented bound. Do not retry.
  too_large = 19,
  /// The value is not the one that the caller expected. Read it again.
  conflict = 20,
  /// Another replica leads the group. Ask that one, or retry.
  not_leader = 21,
  /// Fewer than a majority of the voters is reached: the sentence names those that are missing. Or
  /// none led in the caller's time. Nothing was done; retry once they are back.
  no_quorum = 22,
};

/// The names of errc, in order of their numbers.
inline constexpr std::array<std::string_view, 23> errc_names{
  "none",      "bad_argument",    "limit_reached", "timed_out",   "lock_held",    "stale_token",
  "withdrawn", "session_expired", "storage_full",  "damaged",     "incompatible", "outcome_unknown",
  "busy",      "name_taken",      "not_found",     "unreachable", "cancelled",    "failed",
  "in_use",    "too_large",       "conflict",      "not_leader",  "no_quorum"};

/// Returns the name of `code` as written above, "unknown" for any other value.
constexpr std::string_view name_of(errc code) noexcept {
  auto index = static_cast<std::size_t>(code);
  return index < errc_names.size() ? errc_names[index] : "unknown";
}

static_assert(name_of(errc::no_quorum) == "no_quorum");

} // namespace troupe
