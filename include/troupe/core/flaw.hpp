#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace troupe {

/// Faults that can be built into a test program on purpose, to prove that the tests find them: a
/// program defines TROUPE_FLAW as one of these names, or defines TROUPE_FLAWS and chooses at run
/// time. A fault that is not built in costs nothing, and no other program defines either macro.
enum class flaw : std::uint8_t {
  none,
  /// Votes and terms are not written to the disk.
  vote_not_persisted,
  /// A replica counts and acknowledges entries before they are synced.
  sync_skipped,
  /// Entries of older terms are committed by counting their copies.
  old_terms_counted,
  /// A follower appends entries without checking the entry before them.
  entries_unchecked,
  /// A candidate gets a vote even if its log lacks entries of the voter's.
  logs_not_compared,
  /// A leader answers reads without asking whether it still leads.
  stale_reads,
  /// The group's time under a new leader starts from the leader's own clock.
  time_goes_back,
  /// Several membership changes run at a time, even before the leader has committed anything.
  careless_changes,
  /// A retried request is executed again.
  no_dedup,
  /// A lock table forgets its last token when it is restored.
  token_reused,
  /// A follower keeps its own estimate of the group's time if that is ahead of the leader's time.
  own_time_kept,
  /// A state table forgets how many writes it has seen when it is restored.
  counts_forgotten,
  /// A state table accepts a write whose writer does not know that the key was removed.
  removals_overlooked,
  /// A group accepts a proposal that a service made under an earlier leadership of the same
  /// replica.
  old_proposals_taken,
  /// A leader with a full disk drops entries that the one other member may have.
  shared_taken_back,
  /// A learner that has acknowledged nothing becomes a voter.
  silent_promoted,
  /// Entries that a replica has lost still count as stored by it.
  forgotten_counted,
  /// Members change before their leader has committed an entry of its term.
  hasty_changes,
  /// A truncated log keeps the membership of an entry that was removed.
  members_kept,
  /// Answers that wait for the disk are sent even in a later term.
  answers_kept,
  /// Entries that were truncated while they were being written count as synced.
  cut_entries_counted,
  /// Entries that a snapshot replaced while they were being written count as synced.
  replaced_entries_counted,
  /// A snapshot replaces a log that contains all of it, and more.
  suffix_dropped,
  /// A replica sends its vote before the vote is synced.
  vote_told_early,
  /// A candidate requests votes before its own vote is synced.
  votes_asked_early,
  /// A snapshot is acknowledged before it is synced.
  snapshot_told_early,
  /// A snapshot records the latest members, not the members at its index.
  latest_members_saved,
  /// A write that a full disk has refused is not tried again.
  refused_write_dropped,
  /// A client sends a request again in its next session although the last session may have executed
  /// it.
  lost_session_repeated,
  /// A client retries a command under a new number.
  repeat_renumbered,
  /// A client accepts an answer to a request of an earlier session.
  old_session_heard,
  /// A worker continues its attempts after its lease has ended.
  lease_overstayed,
  /// A worker reports an outcome again that the scheduler has acknowledged.
  outcome_repeated,
  /// A worker offers the resources of attempts that it has given up but that have not ended.
  room_promised_twice,
  /// A leader that is the only voter continues although an earlier leader has committed entries
  /// that it lacks.
  loss_overlooked,
  /// A replica that has stepped down for that reason stands for election again.
  astray_stands,
  /// A replica forgets its commit index when it restarts.
  commit_forgotten,
  /// A replica that has lost entries which others know to be committed leads, and votes.
  astray_votes,
  /// A session whose id the client chose begins again after it has ended.
  ended_session_begins,
  /// A client states a later beginning for a session than when it chose the session's id.
  beginning_renewed,
  /// A snapshot of a group has the states of its services at different entries.
  sections_apart,
  /// After a snapshot that the disk refused, a group makes no other one.
  failed_snapshot_waited_for,
  /// A voter is removed although too few of the others have been heard from.
  silence_overlooked,
  /// A member stays although its node now has another member id.
  void_seat_kept,
  /// A shared lock is granted to an exclusive owner while others still share it.
  sharers_overlooked,
  /// A command of a session is not executed, and gets the answer of an earlier command.
  answered_as_another,
  /// A voter is removed although the others may have died since they were last heard from.
  stale_word_counted,
  /// New rules take effect although a member does not know them.
  rules_rushed,
  /// A replica that does not run a service drops the entries of that service.
  unread_dropped,
  /// A service gets entries a second time, with the snapshot of a replica that does not run it.
  unread_repeated,
  /// A node is given up although a later boot of it is linked.
  later_boot_lost,
  /// The end of the link of an earlier life of a node ends that of the present one.
  earlier_link_used,
  /// A node keeps a name that another node has claimed later.
  name_claimed_twice,
  /// A new leader does not give up nodes that were gone before.
  dead_worker_kept,
  /// A member does not contradict those that take it for dead.
  no_refutation,
  /// A member believes what a node has said before rather than what it has said last.
  old_incarnation_wins,
  /// A member passes each rumour on once.
  rumour_dropped_early,
  /// A member believes what a node is said to have said, whoever has signed it.
  unsigned_statement_believed,
  /// A learner is to become a voter although it lacks entries.
  laggard_promoted,
  /// A node believes what another one says of its member id.
  foreign_card_believed,
  /// A voter is removed before another one votes in its place.
  replacement_overlooked,
  /// A member whose disk has lost entries keeps its member id.
  forgotten_kept,
  /// A node goes by its own log although cards show that it has lost its vote since.
  old_vote_believed,
  /// Who waits for a change of voters gets no answer when leadership moves.
  asker_dropped,
  /// A leader asks for a hand-over that nobody waits for.
  hand_over_repeated,
  /// A leader frees no names whose owner it has not seen itself.
  names_not_swept,
  /// A leader gives up no silent worker whose owner it has not seen itself.
  workers_not_swept,
  /// A host carries out commands in a session that another identity has opened.
  foreign_session_used,
  /// A node is given up that the members show alive, as its link to the leader has ended.
  link_decides,
  /// A node is given up that the members suspect.
  suspect_lost,
  /// A node that has stopped keeps its worker.
  stop_forgiven,
  /// Records are taken from others without a look at what their node has signed.
  head_unverified,
  /// Records are taken from others though they are not those that their node has signed.
  digest_overlooked,
  /// Earlier records of a node take the place of later ones.
  old_records_win,
  /// Records of a node come that was forgotten while they were asked for.
  forgotten_revived,
  /// A node is believed what it says as another one.
  foreign_record_believed,
  /// A node that ends does not tell the members so.
  no_farewell,
  /// A voter that is gone is removed before another node votes in its place.
  dead_voter_dropped,
  /// A voter that is gone is replaced at once.
  death_rushed,
  /// A voter whose replica says nothing keeps its vote while its process is there.
  silent_voter_kept,
  /// A node that leads counts as knowing all, though others know of agents that it does not.
  leader_knows_all,
  /// A node does not believe others that the services have left the node where it has found them.
  earlier_leader_believed,
  /// A node takes itself for the node of the services when it leads no more.
  own_lead_kept,
  /// A node that does not reach the leader asks nobody to relay.
  relay_overlooked,
  /// A node promises another one to found no cluster without it, and does not write that down.
  founding_promise_in_memory,
  /// A node founds a cluster with the promises of a majority.
  founding_by_majority,
  /// A node promises a second node what it has promised a first one.
  founding_promised_twice,
  /// The workers of a node that leaves go on.
  workers_kept,
  /// Nodes that wait for room in the inbox of an agent are not told when there is some.
  room_forgotten,
  /// What a node said of its full agents counts also once another link took the place of the link
  /// that it was said over.
  fullness_kept,
  /// A message that found no room in the inbox of its agent is said to have arrived.
  refused_called_taken,
  /// A message passes those that another thread hands to its agent.
  handing_overtaken,
  /// What an agent has taken out of its mailbox makes room there twice.
  sign_counted_twice,
  /// Agents of a node have one share of the last quarter of what may wait for it.
  room_unshared,
  /// A tenant keeps its turn at an agent as long as something of it waits.
  turn_kept,
  /// A tenant may fill an inbox, so that others find no room there.
  tenant_takes_all,
  /// A receiver acknowledges a message when it comes, before its agent has handled it.
  acknowledged_unhandled,
  /// A message for which an agent has no room counts as handled.
  marked_unhandled,
  /// A sender that has restarted is taken for its earlier life.
  restart_taken_for_old,
  /// Messages are delivered although earlier ones have not come.
  gap_passed_over,
  /// Messages pass one that has failed, though their agent asks for order.
  failure_overtaken,
  /// A message that its agent has put off comes again before the time that the agent asked for.
  delay_overlooked,
  /// How often a message has failed is forgotten when its agent ends.
  failures_forgotten,
  /// A message whose agent never answers holds up all behind it.
  silence_endured,
  /// What has been handled is forgotten when its sender restarts.
  ends_forgotten,
  /// What an agent has is forgotten when its sender restarts.
  delivery_forgotten,
  /// The mark of a message of class once is committed before its effect.
  mark_without_effect,
  /// The effect of a message of class once is committed before its mark.
  effect_without_mark,
  /// Nobody waits for the agents of a node that has started again.
  return_not_awaited,
  /// A member that gets to its mail late accuses others as fast as ever: SWIM without Lifeguard.
  lifeguard_off,
  /// The side of a link that has dialled it sends heartbeats only as answers.
  heartbeats_left_to_peer,
  /// A node without a data folder that was dropped, and was only cut off, is not asked about again.
  dropped_for_good,
  /// Who leads waits for a node to come back that has stopped and has no data folder.
  other_id_awaited,
};

inline constexpr std::array<std::string_view, 114> flaw_names{"none",
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
                                                              "rules_rushed",
                                                              "unread_dropped",
                                                              "unread_repeated",
                                                              "later_boot_lost",
                                                              "earlier_link_used",
                                                              "name_claimed_twice",
                                                              "dead_worker_kept",
                                                              "no_refutation",
                                                              "old_incarnation_wins",
                                                              "rumour_dropped_early",
                                                              "unsigned_statement_believed",
                                                              "laggard_promoted",
                                                              "foreign_card_believed",
                                                              "replacement_overlooked",
                                                              "forgotten_kept",
                                                              "old_vote_believed",
                                                              "asker_dropped",
                                                              "hand_over_repeated",
                                                              "names_not_swept",
                                                              "workers_not_swept",
                                                              "foreign_session_used",
                                                              "link_decides",
                                                              "suspect_lost",
                                                              "stop_forgiven",
                                                              "head_unverified",
                                                              "digest_overlooked",
                                                              "old_records_win",
                                                              "forgotten_revived",
                                                              "foreign_record_believed",
                                                              "no_farewell",
                                                              "dead_voter_dropped",
                                                              "death_rushed",
                                                              "silent_voter_kept",
                                                              "leader_knows_all",
                                                              "earlier_leader_believed",
                                                              "own_lead_kept",
                                                              "relay_overlooked",
                                                              "founding_promise_in_memory",
                                                              "founding_by_majority",
                                                              "founding_promised_twice",
                                                              "workers_kept",
                                                              "room_forgotten",
                                                              "fullness_kept",
                                                              "refused_called_taken",
                                                              "handing_overtaken",
                                                              "sign_counted_twice",
                                                              "room_unshared",
                                                              "turn_kept",
                                                              "tenant_takes_all",
                                                              "acknowledged_unhandled",
                                                              "marked_unhandled",
                                                              "restart_taken_for_old",
                                                              "gap_passed_over",
                                                              "failure_overtaken",
                                                              "delay_overlooked",
                                                              "failures_forgotten",
                                                              "silence_endured",
                                                              "ends_forgotten",
                                                              "delivery_forgotten",
                                                              "mark_without_effect",
                                                              "effect_without_mark",
                                                              "return_not_awaited",
                                                              "lifeguard_off",
                                                              "heartbeats_left_to_peer",
                                                              "dropped_for_good",
                                                              "other_id_awaited"};

/// Returns the flaw called `name`; flaw::none if there is no such flaw.
constexpr flaw flaw_of(std::string_view name) {
  for (std::size_t each = 0; each < flaw_names.size(); ++each)
    if (flaw_names[each] == name)
      return static_cast<flaw>(each);
  return flaw::none;
}

#ifdef TROUPE_FLAWS
/// One program for all flaws; it sets this before anything else.
inline flaw planted_flaw = flaw::none;
#elif defined(TROUPE_FLAW)
inline constexpr auto planted_flaw = flaw::TROUPE_FLAW;
#else
inline constexpr auto planted_flaw = flaw::none;
#endif

} // namespace troupe
