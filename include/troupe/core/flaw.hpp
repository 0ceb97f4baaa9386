#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace troupe {

/// Faults that can be built into a program on purpose, to see that the tests would find
/// them: a program defines TROUPE_FLAW as one of these names, or a test TROUPE_FLAWS, and chooses.
/// None costs anything where it is not planted, and no other program defines either.
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
  /// Members change before their leader has committed an entry of its term.
  hasty_changes,
  /// A log that is cut keeps the members that stood behind the cut.
  members_kept,
  /// Answers that wait for the disk are given in a later term, too.
  answers_kept,
  /// Entries that were cut while they were written count as synced.
  cut_entries_counted,
  /// So do those whose place a snapshot has taken meanwhile.
  replaced_entries_counted,
  /// A snapshot takes the place of a log that has what it has, and more.
  suffix_dropped,
  /// A replica tells of its vote before it is synced.
  vote_told_early,
  /// A candidate asks for votes before its own is synced.
  votes_asked_early,
  /// A snapshot is acknowledged before it is synced.
  snapshot_told_early,
  /// A snapshot says who the members are now, not who they were.
  latest_members_saved,
  /// What a full disk has refused is not written again.
  refused_write_dropped,
  /// A client sends what it has sent twice again in its next session.
  lost_session_repeated,
  /// A client repeats a command under a new number.
  repeat_renumbered,
  /// A client takes an answer to what it sent in an earlier session.
  old_session_heard,
  /// A worker goes on with its attempts when its lease is over.
  lease_overstayed,
  /// A worker tells of an outcome again that the scheduler has heard.
  outcome_repeated,
  /// A worker offers the room of attempts that it has given up and that have not ended.
  room_promised_twice,
  /// A leader that is alone goes on though an earlier one has committed what it lacks.
  loss_overlooked,
  /// One that has stopped for that stands again.
  astray_stands,
  /// A replica does not know after a restart what was committed.
  commit_forgotten,
  /// A replica that has lost what others know to be committed leads, and votes.
  astray_votes,
  /// A session that its client has chosen begins again when it has ended.
  ended_session_begins,
  /// A client says of a session that it knew the service later than when it chose it.
  beginning_renewed,
  /// A snapshot of a group has the states of its services as of different entries.
  sections_apart,
  /// After a snapshot that the disk did not take a group makes no other one.
  failed_snapshot_waited_for,
  /// A voter is removed though too few of the others are heard.
  silence_overlooked,
  /// A seat whose node has another one stays.
  void_seat_kept,
  /// A lock that some share is given to somebody who wants it alone.
  sharers_overlooked,
  /// A command of a session is not carried out, and answered as one before it was.
  answered_as_another,
  /// A voter is removed though the others may have died since they were heard last.
  stale_word_counted,
  /// New rules come into force though a member does not know them.
  rules_rushed,
};

inline constexpr std::array<std::string_view, 49> flaw_names{"none",
                                                             "vote_not_persisted",
                                                             "sync_skipped",
                                                             "old_terms_counted",
                                                             "entries_unchecked",
                                                             "logs_not_compared",
                                                             "stale_reads",
                                                             "time_goes_back",
                                                             "careless_changes",
                                                             "no_dedup",
                                                             "token_reused",
                                                             "own_time_kept",
                                                             "counts_forgotten",
                                                             "removals_overlooked",
                                                             "old_proposals_taken",
                                                             "shared_taken_back",
                                                             "silent_promoted",
                                                             "forgotten_counted",
                                                             "hasty_changes",
                                                             "members_kept",
                                                             "answers_kept",
                                                             "cut_entries_counted",
                                                             "replaced_entries_counted",
                                                             "suffix_dropped",
                                                             "vote_told_early",
                                                             "votes_asked_early",
                                                             "snapshot_told_early",
                                                             "latest_members_saved",
                                                             "refused_write_dropped",
                                                             "lost_session_repeated",
                                                             "repeat_renumbered",
                                                             "old_session_heard",
                                                             "lease_overstayed",
                                                             "outcome_repeated",
                                                             "room_promised_twice",
                                                             "loss_overlooked",
                                                             "astray_stands",
                                                             "commit_forgotten",
                                                             "astray_votes",
                                                             "ended_session_begins",
                                                             "beginning_renewed",
                                                             "sections_apart",
                                                             "failed_snapshot_waited_for",
                                                             "silence_overlooked",
                                                             "void_seat_kept",
                                                             "sharers_overlooked",
                                                             "answered_as_another",
                                                             "stale_word_counted",
                                                             "rules_rushed"};

/// Returns the flaw of that name, none if there is none.
constexpr flaw flaw_of(std::string_view name) {
  for (std::size_t each = 0; each < flaw_names.size(); ++each)
    if (flaw_names[each] == name)
      return static_cast<flaw>(each);
  return flaw::none;
}

#ifdef TROUPE_FLAWS
/// One program for all of them, which plants one before anything else is done.
inline flaw planted_flaw = flaw::none;
#elif defined(TROUPE_FLAW)
inline constexpr auto planted_flaw = flaw::TROUPE_FLAW;
#else
inline constexpr auto planted_flaw = flaw::none;
#endif

} // namespace troupe
