#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/flaw.hpp"
#include "troupe/raft/detail/read_rounds.hpp"
#include "troupe/raft/detail/replication.hpp"
#include "troupe/raft/detail/turn.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// The work of a leader: appends commands and member changes, advances the commit index, confirms
/// reads, hands leadership over. Exists from a won election until the replica is no longer leader.
class leadership {
public:
  /// Begins with an entry of its own term, which lets it commit inherited entries (thesis 3.6.2).
  /// Rounds of heartbeats continue from `last_round`.
  leadership(std::uint64_t last_round, const turn& t)
    : replication_(last_round), confirmed_(last_round) {
    for (auto index = t.commit + 1; index <= t.log().last_index(); ++index)
      uncommitted_bytes_ += size_of(t.log().at(index));
    replication_.update_members(t);
    push(no_op{}, t);
    term_start_ = t.log().last_index();
    begin_round(t);
  }

  [[nodiscard]] const replication& others() const {
    return replication_;
  }

  // -- time -------------------------------------------------------------------------------

  /// Whether no majority has answered within the election time-out: another leader may exist.
  [[nodiscard]] bool has_lost_quorum(const turn& t) const {
    return t.now >= quorum_lost_at(t.self, t.members(), t.how);
  }

  void tick(const turn& t) {
    if (handover_ && t.now >= handover_->ends)
      handover_.reset();
    if (t.now >= heartbeat_at_)
      begin_round(t);
  }

  [[nodiscard]] time_point next_deadline(member_id self, const configuration& members,
                                         const options& how) const {
    auto next = std::min(heartbeat_at_, quorum_lost_at(self, members, how));
    next = std::min(next, tell_commit_at_.value_or(next));
    return handover_ ? std::min(next, handover_->ends) : next;
  }

  // -- requests ---------------------------------------------------------------------------

  void propose(request_id id, const std::vector<std::string>& commands, const turn& t) {
    if (handover_)
      return refuse(id, hands_over(), t);
    std::uint64_t bytes = 0;
    for (auto& each : commands) {
      if (each.size() > t.how.max_command_bytes)
        return refuse(id,
                      {errc::too_large, "a command has " + std::to_string(each.size())
                                          + " bytes, at most "
                                          + std::to_string(t.how.max_command_bytes)
                                          + " are taken; send less at once, or raise "
                                            "raft::options::max_command_bytes"},
                      t);
      bytes += each.size();
    }
    auto waiting = t.log().last_index() - t.commit;
    if (waiting + commands.size() > t.how.max_uncommitted
        || uncommitted_bytes_ + bytes > t.how.max_uncommitted_bytes)
      return refuse(id,
                    {errc::limit_reached, std::to_string(waiting)
                                            + " entries are not committed yet; retry with backoff"},
                    t);
    auto first = t.log().last_index() + 1;
    for (auto& each : commands)
      push(each, t);
    t.put(replica_types::proposed{id, first, t.disk.term()});
  }

  /// A read waits for a round of heartbeats that begins after it arrived (thesis 6.4).
  void read(request_id id, const replica_types::read& what, const turn& t) {
    if (reads_.size() >= t.how.max_reads)
      return refuse(id,
                    {errc::limit_reached, std::to_string(reads_.size())
                                            + " reads wait for their round; retry with backoff"},
                    t);
    if (planted_flaw == flaw::stale_reads)
      return t.put(replica_types::read_at{id, t.commit});
    reads_.add(id, std::max(t.commit, term_start_), replication_.round() + 1, what.may_wait);
    begin_wanted_round(t);
  }

  /// Whether this learner lacks so many entries that as a voter it would delay commits, or has not
  /// acknowledged the latest configuration: then it may be dead or have another disk, even if the
  /// log is so short that it lacks little.
  [[nodiscard]] bool is_behind(member_id seat, const turn& t) const {
    auto match = replication_.match(seat);
    auto knows = match >= t.log().members_index() || planted_flaw == flaw::silent_promoted;
    return replication_.contains(seat)
           && (!knows || match + t.how.max_message_entries < t.log().last_index());
  }

  /// Whether the latest configuration is not committed yet, or no entry of this term is.
  [[nodiscard]] static bool is_changing(const turn& t) {
    auto is_settled
      = t.log().term_at(t.commit) == t.disk.term() || planted_flaw == flaw::hasty_changes;
    return !is_settled || t.log().members_index() > t.commit;
  }

  /// See replica_types::status::members_for.
  [[nodiscard]] std::optional<duration> members_for(time_point now) const {
    return members_at_ ? std::optional{now - *members_at_} : std::nullopt;
  }

  /// Changes are made one at a time, and only after an entry of the leader's own term is committed:
  /// otherwise two majorities might not overlap (thesis 4.1; Ongaro, raft-dev, July 2015).
  void change_members(request_id id, configuration next, const turn& t) {
    if (handover_)
      return refuse(id, hands_over(), t);
    if (is_changing(t) && planted_flaw != flaw::careless_changes)
      return refuse(id, {errc::busy, "another change is under way; retry when it is done"}, t);
    if (next.members.size() > t.how.max_members)
      return refuse(id,
                    {errc::limit_reached, "a group has at most " + std::to_string(t.how.max_members)
                                            + " members; remove one first"},
                    t);
    push(std::move(next), t);
    members_at_ = t.now;
    replication_.update_members(t);
    t.put(replica_types::proposed{id, t.log().last_index(), t.disk.term()});
  }

  /// Takes no proposals until `to` has all entries and stands for election, or for one election
  /// time-out (thesis 3.10).
  void hand_over(request_id id, member_id to, const turn& t) {
    if (handover_)
      return refuse(id, hands_over(), t);
    if (to == member_id{})
      to = replication_.most_advanced(t.members());
    if (!replication_.contains(to) || !t.members().votes(to))
      return refuse(
        id, {errc::bad_argument, "leadership can only move to another voter; name one, or add one"},
        t);
    handover_ = handover{to, t.now + t.how.election_timeout};
    t.put(replica_types::proposed{id, t.log().last_index(), t.disk.term()});
    let_take_over(to, t);
  }

  /// Whether leadership is on its way to that member.
  [[nodiscard]] bool hands_over_to(member_id member) const {
    return handover_ && handover_->to == member;
  }

  // -- answers of other members -----------------------------------------------------------

  void take(member_id from, const append_answer& what, const turn& t) {
    if (!replication_.contains(from))
      return;
    if (replication_.take(from, what, t) && hands_over_to(from))
      let_take_over(from, t);
    confirm_reads(t);
  }

  void take(member_id from, const snapshot_answer& what, const turn& t) {
    replication_.take(from, what, t);
  }

  void take(const replica_types::loaded& what, const turn& t) {
    replication_.take(what, t);
  }

  void lose_link(member_id seat) {
    replication_.lose_link(seat);
  }

  void renew_snapshot() {
    replication_.renew_snapshot();
  }

  // -- the end of each step ---------------------------------------------------------------

  /// Advances the commit index, counting only entries of the leader's own term (thesis 3.6.2).
  /// Returns whether it advanced.
  bool advance_commit(const turn& t) {
    auto index = std::min(replication_.agreed_index(t), t.log().last_index());
    auto is_own
      = t.log().term_at(index) == t.disk.term() || planted_flaw == flaw::old_terms_counted;
    if (index <= t.commit || !is_own)
      return false;
    for (auto each = t.commit + 1; each <= index; ++each)
      uncommitted_bytes_ -= size_of(t.log().at(each));
    t.commit = index;
    if (!tell_commit_at_)
      tell_commit_at_ = t.now + t.how.tell_commits_within;
    return true;
  }

  /// The disk failed to write. A leader that is the only member drops the entries that are not
  /// synced and stays leader, because no other replica could lead. Returns false, and does nothing,
  /// if there are other members, if the configuration that says so is not synced (other members may
  /// have the entries before it), or if no entry of this term is committed yet. A leader that was
  /// removed is not the only member.
  bool take_back(const problem& why, const turn& t) {
    auto& members = t.members().members;
    auto is_alone = members.size() == 1
                    && (members.contains(t.self) || planted_flaw == flaw::shared_taken_back);
    if (!is_alone || t.log().members_index() > t.disk.synced() || t.commit < term_start_)
      return false;
    auto first = t.disk.synced() + 1;
    if (first > t.log().last_index())
      return true;
    for (auto each = first; each <= t.log().last_index(); ++each)
      uncommitted_bytes_ -= size_of(t.log().at(each));
    t.disk.truncate(first);
    t.put(replica_types::taken_back{first, why});
    return true;
  }

  /// Sends entries and, if it is time, the commit index to members that lack them.
  void send_on(const turn& t) {
    auto tells = tell_commit_at_ && t.now >= *tell_commit_at_;
    if (tells)
      tell_commit_at_.reset();
    replication_.send_on(tells, t);
  }

  /// Ends the leadership: refuses waiting reads. Returns its last round.
  std::uint64_t end(const turn& t) {
    for (auto& each : reads_.take_all())
      refuse(each.id, {errc::not_leader, "this node has stopped leading; ask the new leader"}, t);
    return replication_.round();
  }

private:
  struct handover {
    member_id to;
    time_point ends{};
  };

  static void refuse(request_id id, problem why, const turn& t) {
    t.put(replica_types::refused{id, std::move(why), {}});
  }

  static problem hands_over() {
    return {errc::busy, "leadership is handed over; retry in a moment"};
  }

  template <class What>
  void push(What what, const turn& t) {
    entry line{t.log().last_index() + 1, t.disk.term(), t.time, std::move(what)};
    uncommitted_bytes_ += size_of(line);
    t.disk.push(std::move(line));
  }

  void begin_round(const turn& t) {
    heartbeat_at_ = t.now + t.how.heartbeat;
    replication_.begin_round(t);
    confirm_reads(t);
  }

  /// Answers the reads that a majority has confirmed, and begins a round for those that wait.
  void confirm_reads(const turn& t) {
    auto round = replication_.round();
    confirmed_ = std::max(confirmed_, std::min(replication_.agreed_round(t), round));
    for (auto& each : reads_.confirm(confirmed_))
      t.put(replica_types::read_at{each.id, each.index});
    begin_wanted_round(t);
  }

  /// One at a time: reads that arrive during a round share the next.
  void begin_wanted_round(const turn& t) {
    auto round = replication_.round();
    if (confirmed_ == round && reads_.want_more_than(round))
      begin_round(t);
  }

  [[nodiscard]] time_point quorum_lost_at(member_id self, const configuration& members,
                                          const options& how) const {
    auto heard = replication_.quorum_heard(self, members);
    return heard ? *heard + how.election_timeout : time_point::max();
  }

  void let_take_over(member_id to, const turn& t) {
    if (replication_.match(to) == t.log().last_index())
      t.tell(to, take_over{});
  }

  replication replication_;
  read_rounds reads_;
  std::uint64_t confirmed_; // the last round that a majority has answered
  log_index term_start_ = 0;
  std::optional<time_point> members_at_; // when this leader last changed the members, if it did
  std::uint64_t uncommitted_bytes_ = 0;
  time_point heartbeat_at_{};
  std::optional<time_point> tell_commit_at_; // when to send the commit index on its own
  std::optional<handover> handover_;
};

} // namespace troupe::raft::detail
