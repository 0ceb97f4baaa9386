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
  /// The caller's time limit ran out. For a lock (the place in its line is given up) and for a
  /// query, retry is safe. A request to an agent may have been handled: check the state before a
  /// retry.
  timed_out = 3,
  /// Another owner holds the lock. Retry is safe.
  lock_held = 4,
  /// The token is not the one of the current lease. Stop using the resource.
  stale_token = 5,
  /// The caller had gone, or its session had ended, before there was an answer.
  withdrawn = 6,
  /// The session is unknown or no longer has the answer. The outcome is unknown: check the state,
  /// then open a new session.
  session_expired = 7,
  /// The disk is full; nothing was changed. Retry once there is space.
  storage_full = 8,
  /// Data on the disk are corrupt or missing: restore from a backup. A value that was damaged in
  /// transit: send or read it again.
  damaged = 9,
  /// Written by a newer version than this one. Upgrade first.
  incompatible = 10,
  /// The request may or may not have taken effect. Check the state before a retry.
  outcome_unknown = 11,
  /// The other side is overloaded right now. Retry with backoff.
  busy = 12,
  /// Another agent has this name. Choose another.
  name_taken = 13,
  /// There is nothing of that name. Check its spelling, or create it first.
  not_found = 14,
  /// The other side cannot be reached. Nothing was done; retry once it is back.
  unreachable = 15,
  /// Cancelled on request.
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
  /// Fewer than a majority of the voters can be reached (the sentence names the missing ones), or
  /// there was no leader within the caller's time. Nothing was done; retry once they are back.
  no_quorum = 22,
  /// Something of that name exists, but it has another type than the caller asked for. Do not
  /// retry.
  wrong_type = 23,
  /// The caller may not do this: its certificate lacks a right, which the sentence names, or is
  /// revoked or expired, or it speaks for another node. Nothing was done; do not retry.
  denied = 24,
  /// The ttl of a message ran out before its agent could get it: it was not delivered. Send it
  /// again
  /// if it still matters.
  expired = 25,
  /// The agent cannot handle the message now; the sentence names the time after which it can (see
  /// router::later()). Retry then.
  later = 26,
};

/// The names of errc, in order of their numbers.
inline constexpr std::array<std::string_view, 27> errc_names{
  "none",      "bad_argument",    "limit_reached", "timed_out",   "lock_held",    "stale_token",
  "withdrawn", "session_expired", "storage_full",  "damaged",     "incompatible", "outcome_unknown",
  "busy",      "name_taken",      "not_found",     "unreachable", "cancelled",    "failed",
  "in_use",    "too_large",       "conflict",      "not_leader",  "no_quorum",    "wrong_type",
  "denied",    "expired",         "later"};

/// Returns the name of `code` as written above, "unknown" for any other value.
constexpr std::string_view name_of(errc code) noexcept {
  auto index = static_cast<std::size_t>(code);
  return index < errc_names.size() ? errc_names[index] : "unknown";
}

static_assert(name_of(errc::later) == "later");

} // namespace troupe
