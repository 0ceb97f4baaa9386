#pragma once

#include <cstdint>

namespace troupe {

/// Faults that can be built into a program on purpose, to see that the tests would find
/// them: a test binary defines TROUPE_FLAW as one of these names. None costs anything where
/// it is not planted, and no other program defines it.
enum class flaw : std::uint8_t {
  none,
  /// Votes and terms are not written to the disk.
  vote_not_persisted,
  /// A replica counts entries, and tells of them, before they are synced.
  sync_skipped,
  /// Entries of older terms are committed by counting their copies.
  old_terms_counted,
  /// A follower takes entries whatever stands before them.
  entries_unchecked,
  /// A candidate gets a vote whatever its log lacks.
  logs_not_compared,
  /// A leader answers reads without asking whether it still leads.
  stale_reads,
  /// The time of a new leader begins with its own clock.
  time_goes_back,
  /// Members change several at a time, and before a leader has committed anything.
  careless_changes,
  /// A repeated request is carried out again.
  no_dedup,
  /// A lock table forgets its last token when it is restored.
  token_reused,
  /// A follower's idea of the group's time runs by its own clock, whatever the leader says.
  own_time_kept,
  /// A state table forgets how many writes it has seen when it is restored.
  counts_forgotten,
  /// A state table takes a write whose writer has not seen that its key is gone.
  removals_overlooked,
  /// A group takes what a service proposed under an earlier leadership of the same replica.
  old_proposals_taken,
  /// A leader without room on its disk takes back what the one other member may have.
  shared_taken_back,
  /// A learner that has acknowledged nothing gets a vote.
  silent_promoted,
  /// Entries that a replica has lost count as had by it.
  forgotten_counted,
};

#ifdef TROUPE_FLAW
inline constexpr auto planted_flaw = flaw::TROUPE_FLAW;
#else
inline constexpr auto planted_flaw = flaw::none;
#endif

} // namespace troupe
