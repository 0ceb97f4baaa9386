#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "troupe/core/flaw.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/raft/detail/astray.hpp"
#include "troupe/raft/detail/checks.hpp"
#include "troupe/raft/detail/elections.hpp"
#include "troupe/raft/detail/follower.hpp"
#include "troupe/raft/detail/leadership.hpp"
#include "troupe/raft/detail/member_changes.hpp"
#include "troupe/raft/detail/stable_storage.hpp"
#include "troupe/raft/detail/turn.hpp"
#include "troupe/raft/quorum.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft {

/// One replica of a group that agrees on a log: Raft with pre-vote, check-quorum, pipelined
/// appends, learners, one-server membership changes, leadership transfer, ReadIndex and
/// snapshots in parts. It has no disk, network or clock: effects say what to write and send,
/// events what was written and received.
///
/// All effects may be carried out at once, in order: messages that have to wait for the disk
/// are held here until `written`. One write is open at a time; changes meanwhile go into the
/// next. A leader sends entries while it writes them (thesis 10.2.1), and counts itself only
/// when they are synced. An entry is delivered when it is committed and synced here, so that
/// the state is never ahead of the local disk.
///
/// The time of its steps is local and steady and means nothing to other replicas. Entries
/// carry the time of the group (group_time), which continues when the leader changes.
///
/// Safe as long as disks keep what they reported as synced. Live as long as a majority of the
/// voters reach each other within the election time-out. Not thread-safe, like any machine.
/// Cost of a step: O(members + entries moved).
class replica : public replica_types {
public:
  /// Continues from the stored state.
  /// @throws std::invalid_argument if an option is outside its bounds
  replica(member_id self, const options& how, const stored_state& stored, time_point now)
    : self_(self),
      options_(detail::checked(how)),
      step_(how.first_step),
      now_(now),
      disk_(stored),
      commit_(known_commit(stored)),
      delivered_(stored.base.index),
      noted_(commit_),
      elections_(random_source{random_source{how.seed}.next() ^ self.value}),
      heard_at_(now),
      told_time_(std::max(stored.marked, log().last_at())),
      told_at_(now),
      solitude_(now, options_) {
    await_leader();
    if (own().is_alone())
      elections_.stand_at(solitude_.stands_from(true));
  }

  void step(time_point now, request_id id, const event& what, effects& out) {
    now_ = std::max(now_, now);
    out_ = &out;
    troupe::visit([&](const auto& each) { handle(id, each); }, what);
    finish();
  }

  void tick(time_point now, effects& out) {
    now_ = std::max(now_, now);
    out_ = &out;
    if (leading_)
      lead_on();
    else if (now_ >= elections_.due())
      stand();
    finish();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = leading_ ? leading_->next_deadline(self_, members(), options_) : elections_.due();
    return std::min(next, disk_.next_deadline().value_or(next));
  }

  // -- questions ----------------------------------------------------------------------

  [[nodiscard]] role current_role() const {
    return role_;
  }

  [[nodiscard]] term_number term() const {
    return disk_.term();
  }

  [[nodiscard]] member_id leader() const {
    return leader_;
  }

  [[nodiscard]] member_id self() const {
    return self_;
  }

  [[nodiscard]] log_index commit_index() const {
    return commit_;
  }

  [[nodiscard]] log_index last_index() const {
    return log().last_index();
  }

  /// Returns the term of the entry at `index`; nothing if the log here does not have it.
  [[nodiscard]] std::optional<term_number> term_of(log_index index) const {
    return log().term_at(index);
  }

  /// @pre term_of(index), and index is not that of the snapshot below the log
  [[nodiscard]] const entry& entry_at(log_index index) const {
    return log().at(index);
  }

  [[nodiscard]] const configuration& members() const {
    return log().members();
  }

  /// Whether it is leader and has committed an entry of its own term. From then on its commit index
  /// covers all entries committed in earlier terms.
  [[nodiscard]] bool is_settled() const {
    return leading_ && log().term_at(commit_) == term();
  }

  /// The header of a snapshot of the state after entry `index`.
  /// @pre base <= index <= commit_index()
  [[nodiscard]] snapshot_header header_at(log_index index) const {
    assert(log().term_at(index));
    return {index, *log().term_at(index),
            index == log().base_index() ? log().base_at() : log().at(index).at,
            planted_flaw == flaw::latest_members_saved ? members() : log().members_at(index)};
  }

  /// The group's time as estimated here: the leader's last value plus the time since. Never
  /// below the last entry's.
  [[nodiscard]] group_time time_of_group(time_point now) const {
    if (planted_flaw == flaw::time_goes_back)
      return group_time{now.time_since_epoch()};
    return std::max(told_time_ + (now - told_at_), log().last_at());
  }

  /// Returns up to which entry a disk may drop the log once it has a snapshot of the state after
  /// entry `snapshot`. Memory keeps more during a snapshot transfer.
  [[nodiscard]] log_index expendable(log_index snapshot) const {
    return kept_behind(snapshot, 1);
  }

  [[nodiscard]] status look(time_point now) const {
    status found{
      self_,   role_,     term(), leader_, log().base_index() + 1, last_index(), disk_.synced(),
      commit_, members(), {},     {},      log().last_term()};
    if (leading_) {
      found.others = leading_->others().look(log(), now);
      found.members_for = leading_->members_for(now);
    }
    return found;
  }

private:
  [[nodiscard]] const detail::entry_log& log() const {
    return disk_.log();
  }

  /// The committed log of this replica.
  [[nodiscard]] detail::ledger own() const {
    return {self_, log(), commit_};
  }

  /// The context of the current step for the parts.
  [[nodiscard]] detail::turn turn() {
    return {self_, options_, now_, time_of_group(now_), disk_, commit_, *out_};
  }

  template <class Effect>
  void put(Effect what) {
    out_->push_back(std::move(what));
  }

  void refuse(request_id id, problem why) {
    put(refused{id, std::move(why), leading_ ? member_id{} : leader_});
  }

  /// Ends each step: writes, sends and delivers.
  void finish() {
    if (leading_ && leading_->advance_commit(turn()) && !members().members.contains(self_)
        && log().members_index() <= commit_)
      change_role(role::follower, {}, "it was removed from the group");
    begin_write();
    while (auto each = disk_.release())
      each->to == self_ ? receive(self_, each->what) : put(send{each->to, std::move(each->what)});
    begin_write(); // its own vote may have made it leader
    if (leading_)
      leading_->send_on(turn());
    deliver();
    tell_commit();
    out_ = nullptr;
  }

  void deliver() {
    delivered_ = std::max(delivered_, log().base_index()); // in an installed snapshot
    auto last = std::min(commit_, disk_.synced());
    while (delivered_ < last) {
      auto next = log().slice(delivered_ + 1, last, 4'096, std::size_t{16} * 1024 * 1024);
      delivered_ += next.size();
      put(committed{std::move(next)});
    }
  }

  // -- the disk -----------------------------------------------------------------------

  void begin_write() {
    if (auto what = disk_.begin_write(now_)) {
      what->committed = noted_ = commit_;
      put(*std::move(what));
    }
  }

  /// The commit index is stored, as in etcd's HardState. Otherwise replicas that start at the same
  /// time would accept a leader whose disk has lost committed entries.
  void tell_commit() {
    auto index = std::min(commit_, disk_.synced()); // the disk may have other entries after synced
    if (index <= noted_ || disk_.is_writing() || now_ < note_at_)
      return;
    noted_ = index;
    note_at_ = now_ + options_.heartbeat;
    put(note_commit{index});
  }

  [[nodiscard]] log_index known_commit(const stored_state& stored) const {
    auto known = planted_flaw == flaw::commit_forgotten ? 0 : stored.committed;
    return std::max(stored.base.index, std::min(known, log().last_index()));
  }

  void handle(request_id, const written& what) {
    if (auto state = disk_.written(what.number))
      put(installed{*std::move(state)});
  }

  void handle(request_id, const not_written& what) {
    if (!disk_.not_written(now_))
      return;
    if (leading_ && leading_->take_back(what.why, turn()))
      return;
    if (leading_)
      change_role(role::follower, {}, "the disk refuses to write: " + what.why.detail);
    await_leader(); // lets other voters stand first
  }

  /// Keeps recent entries for slow followers, and more during a snapshot transfer: otherwise the
  /// follower would need another snapshot at once. The size of the snapshot is enough, because
  /// that many bytes of entries take no longer to send.
  void handle(request_id, const compacted& what) {
    auto index = expendable(what.index);
    if (auto* sent = leading_ ? leading_->others().on_its_way() : nullptr) {
      auto times = std::max<std::uint64_t>(10, sent->bytes->size() / options_.keep_bytes + 1);
      index = std::max(std::min(index, sent->header.index), kept_behind(what.index, times));
    }
    disk_.compact(index);
    if (leading_)
      leading_->renew_snapshot();
  }

  [[nodiscard]] log_index kept_behind(log_index snapshot, std::uint64_t times) const {
    return log().keeping(std::min(snapshot, delivered_), times * options_.keep_entries,
                         times * options_.keep_bytes);
  }

  // -- roles and terms ----------------------------------------------------------------

  void change_role(role now, member_id leader, std::string cause) {
    if (leading_ && now != role::leader)
      stop_leading();
    auto same = role_ == now && leader_ == leader && said_term_ == term();
    role_ = now;
    leader_ = leader;
    said_term_ = term();
    if (!same)
      put(changed_role{now, term(), leader, std::move(cause)});
  }

  void enter_term(term_number next) {
    disk_.enter_term(next);
    following_.enter_term();
    elections_.clear();
  }

  void follow(term_number next, member_id leader, const std::string& cause) {
    if (next > term())
      enter_term(next);
    change_role(role::follower, leader, cause);
  }

  void lead() {
    keep_time(time_of_group(now_));
    auto votes = elections_.granted();
    leads_alone_ = own().is_alone();
    change_role(role::leader, self_, votes == 1 ? "1 vote" : std::to_string(votes) + " votes");
    elections_.clear();
    leading_.emplace(last_round_, turn());
  }

  void stop_leading() {
    last_round_ = leading_->end(turn());
    leading_.reset();
    keep_time(time_of_group(now_));
    heard_at_ = now_;
    await_leader();
  }

  void lead_on() {
    if (leading_->has_lost_quorum(turn()))
      return change_role(role::follower, {}, "it does not reach a majority");
    leading_->tick(turn());
  }

  /// Sets the group's time, which continues by the local clock until the leader's next value.
  /// Taking the larger of the two would let the fastest clock in the group win, and end every
  /// lease when its replica becomes leader.
  void keep_time(group_time time) {
    told_time_ = planted_flaw == flaw::own_time_kept ? std::max(time_of_group(now_), time) : time;
    told_at_ = now_;
  }

  // -- elections ----------------------------------------------------------------------

  void await_leader() {
    elections_.await_leader(now_, options_.election_timeout);
  }

  /// Begins a pre-vote, so that a replica that was cut off does not disturb the group with a
  /// higher term (thesis 9.6). Who does not vote only knows of no leader any more.
  void stand() {
    await_leader();
    auto cause = leader_ == member_id{} ? std::string{"nobody leads"} : "the leader is silent";
    if (!detail::elections::may_stand(turn()) || disk_.is_resting(now_) || !may_lead_alone()) {
      if (role_ == role::follower && !has_leader())
        change_role(role::follower, {}, cause);
      return;
    }
    change_role(role::pre_candidate, {}, cause);
    elections_.clear();
    elections_.add(self_, true);
    if (elections_.outcome(members()) == election::won)
      return campaign(false, cause);
    detail::elections::ask_whether(turn());
  }

  [[nodiscard]] bool may_lead_alone() {
    if (auto from = solitude_.stands_from(own().is_alone()); now_ < from)
      elections_.stand_at(from);
    return solitude_.may_stand(now_, own());
  }

  void hear_of_more() {
    if (own().is_alone() && !leading_)
      solitude_.hear_of_more(now_, options_);
  }

  void campaign(bool forced, const std::string& cause) {
    await_leader();
    enter_term(term() + std::exchange(step_, 1));
    disk_.vote_for(self_);
    change_role(role::candidate, {}, cause);
    detail::elections::ask(forced, turn());
  }

  /// Whether this replica leads, or has recently heard the leader. It then grants no vote to
  /// others.
  [[nodiscard]] bool has_leader() const {
    return leading_
           || (leader_ != member_id{} && !misses_leader_
               && now_ < heard_at_ + options_.election_timeout);
  }

  void handle_body(member_id from, term_number wanted, const vote_request& what) {
    if (!what.trial && detail::elections::is_newer(what, log()))
      hear_of_more();
    // The only voter votes for no other replica.
    if (own().is_alone())
      return turn().tell(from, vote_answer{what.trial, false});
    elections_.answer(from, wanted, what, leader_, has_leader(), turn());
  }

  void handle_body(member_id from, term_number voted, const vote_answer& what) {
    auto expected = what.trial ? role::pre_candidate : role::candidate;
    if (role_ != expected || (what.granted && voted != term() + (what.trial ? 1 : 0)))
      return;
    elections_.add(from, what.granted);
    switch (elections_.outcome(members())) {
      case election::pending:
        return;
      case election::won:
        return what.trial ? campaign(false, "a majority would vote for it") : lead();
      case election::lost:
        return change_role(role::follower, {}, "a majority votes otherwise");
    }
  }

  void handle_body(member_id from, term_number, const take_over&) {
    if (from == leader_ && members().votes(self_))
      campaign(true, "the leader hands over");
  }

  // -- messages -----------------------------------------------------------------------

  void handle(request_id, const received& what) {
    if (auto why = detail::check(what.what, options_))
      return put(ignored{what.from, why});
    if (what.from == self_ || what.from == member_id{})
      return put(ignored{what.from, {errc::bad_argument, "a message of oneself"}});
    if (auto why = detail::check_term(what.what, term()))
      return put(ignored{what.from, why});
    receive(what.from, what.what);
  }

  void receive(member_id from, const message& what) {
    auto* wish = std::get_if<vote_request>(&what.body);
    if (is_of_another_alone(from, what) || is_alone_astray(from, what))
      return;
    if (wish && has_lost(from, *wish))
      return turn().tell(from, vote_answer{wish->trial, false, true});
    if (wish && !wish->trial && !wish->forced && what.term > term() && has_leader())
      return; // the candidate was cut off, or believes so; there is a leader (thesis 4.2.3)
    if (what.term > term() && !detail::elections::is_trial(what)) {
      auto leads = detail::follower::is_of_leader(what);
      // Its vote is told once that is synced, and an answer may come before it.
      auto is_asked_for = leading_ && ((wish && wish->forced) || leading_->hands_over_to(from));
      follow(what.term, leads ? from : member_id{},
             leads          ? "it won a later election"
             : is_asked_for ? handed_over
                            : "there is a later term");
    }
    if (what.term < term() && detail::follower::is_of_leader(what)) {
      if (auto found = leads_alone() ? own().lost_alone(what) : std::nullopt)
        doubt(from, *found);
      // The sender does not know that there is a later term.
      return turn().tell(from, append_answer{false, 0, 0, 0, 0, last_index()});
    }
    if (what.term < term() && !wish)
      return;
    troupe::visit([&](const auto& body) { handle_body(from, what.term, body); }, what.body);
  }

  /// Takes a message of the leader `from`. Returns false if another replica leads this term.
  bool hear_leader(member_id from) {
    if (leading_ || (leader_ != member_id{} && leader_ != from)) {
      put(ignored{from, {errc::damaged, "two leaders of one term"}});
      return false;
    }
    if (role_ != role::follower || leader_ != from)
      change_role(role::follower, from, "it won the election");
    await_leader();
    misses_leader_ = false;
    heard_at_ = now_;
    return true;
  }

  void handle_body(member_id from, term_number term, const append& what) {
    if (auto found = own().contradicts(what, term, leading_.has_value()))
      return disown(from, *found);
    if (!hear_leader(from) || is_astray(what.commit))
      return;
    keep_time(what.now);
    take_from_leader(from, what, what.commit);
  }

  void handle_body(member_id from, term_number, const snapshot_part& what) {
    if (auto found = own().contradicts(what.header))
      return disown(from, *found);
    if (hear_leader(from) && !is_astray(what.header.index))
      take_from_leader(from, what, what.header.index);
  }

  template <class News>
  void take_from_leader(member_id from, const News& what, log_index known) {
    auto before = commit_;
    following_.take(from, what, turn());
    if (commit_ > before)
      solitude_.follow();
    solitude_.hear(known);
    if (solitude_.is_behind(own()))
      hear_of_more();
  }

  // -- disks that have lost synced entries ------------------------------------------------------

  /// Whether it leads by its own vote alone. If other replicas voted for it, its committed entries
  /// were not on its disk alone.
  [[nodiscard]] bool leads_alone() const {
    return leading_ && leads_alone_;
  }

  static bool is_told_alone(const message& what) {
    auto* news = std::get_if<append>(&what.body);
    return news != nullptr && news->alone;
  }

  /// Both replicas are the only voter by their own logs: one log is an older copy, and the logs do
  /// not tell which. Neither replica ends the other's term. A message of an earlier term may be
  /// late, from before the other replica was removed.
  [[nodiscard]] bool is_of_another_alone(member_id from, const message& what) {
    if (!is_told_alone(what) || !own().is_left_alone())
      return false;
    if (what.term >= term())
      put(ignored{from,
                  {errc::damaged,
                   "two nodes lead by their own votes alone, and one of their folders is an older "
                   "copy: find out which, and stop that node, before you move any log away"},
                  true});
    return true;
  }

  /// The only voter begins a later term whenever it hears of one. If its log contradicts entries
  /// committed here, its messages are dropped, so that the two do not keep ending each other's
  /// terms.
  [[nodiscard]] bool is_alone_astray(member_id from, const message& what) {
    if (what.term == term())
      return false;
    auto found = own().contradicts_alone(what);
    if (!found || found->is_own)
      return false;
    if (what.term > term()) // an earlier term may be a late message
      put(ignored{from, found->why(), true});
    return true;
  }

  void disown(member_id from, const detail::loss& found) {
    doubt(from, found);
    if (role_ == role::follower && leader_ == from)
      change_role(role::follower, {}, "its log contradicts what is committed here");
  }

  /// No other leader can be elected while this replica is the only voter, so its disk has lost the
  /// entries that made others voters. It does not know what else it acknowledged: it needs a new
  /// member id.
  [[nodiscard]] bool is_astray(log_index known) {
    if (!own().is_alone() || !log().nobody_else_voted(self_))
      return false;
    solitude_.hear(known);
    solitude_.go_astray(now_, options_);
    put(forgot{self_, known, last_index()});
    return true;
  }

  /// Reports a contradiction between the two logs. A leader steps down, also within its own term,
  /// before others hear of that term and callers of both have to look for a leader.
  void doubt(member_id from, const detail::loss& found) {
    put(ignored{from, found.why(), true});
    if (leading_ && found.ends_lead)
      change_role(role::follower, {}, "another replica contradicts what is committed here");
    if (!found.is_own)
      return;
    await_leader();
    solitude_.go_astray(now_, options_);
    // Nothing is committed without the only voter, so it has lost the entry. If there ever were
    // other voters, their disks may be the ones that lost entries.
    if (own().is_alone() && log().nobody_else_voted(self_))
      put(forgot{self_, found.index, last_index()});
  }

  /// Whether the disk of this replica or of the candidate has lost committed entries. The candidate
  /// gets no vote then.
  [[nodiscard]] bool has_lost(member_id from, const vote_request& what) {
    if (has_leader() && !leads_alone() && !what.forced)
      return false; // the candidate gets no vote anyway
    // It led its own term alone, so it has all entries of earlier terms. From its term on, voters
    // that it has added may have committed entries without it.
    auto alone = own().is_alone() || (leads_alone() && what.commit_term < term());
    auto found = own().lost_by(what, alone);
    if (!found)
      return false;
    solitude_.hear(what.commit_index);
    doubt(from, *found);
    return true;
  }

  void handle_body(member_id from, term_number, const append_answer& what) {
    if (leading_)
      leading_->take(from, what, turn());
  }

  void handle_body(member_id from, term_number, const snapshot_answer& what) {
    if (leading_)
      leading_->take(from, what, turn());
  }

  void handle(request_id, const lost_link& what) {
    if (leading_)
      return leading_->lose_link(what.seat);
    if (role_ != role::follower || what.seat != leader_)
      return;
    misses_leader_ = true;
    elections_.stand_soon(leader_, turn());
  }

  /// Stands soon: a leader would be heard over the link within a heartbeat. A replica that leads by
  /// its own vote alone so learns what is committed here before others accept it as leader.
  void handle(request_id, const found_link&) {
    auto waits = role_ == role::follower || role_ == role::pre_candidate;
    if (waits && !has_leader() && members().votes(self_))
      elections_.stand_soon({}, turn());
  }

  void handle(request_id, const loaded& what) {
    if (leading_)
      leading_->take(what, turn());
  }

  // -- requests -----------------------------------------------------------------------

  void handle(request_id id, const found_group& what) {
    if (last_index() != 0 || term() != 0)
      return refuse(id, {errc::in_use, "there is a log already; found a group on an empty one"});
    enter_term(1);
    disk_.vote_for(self_);
    elections_.add(self_, true);
    disk_.push({1, 1, time_of_group(now_), configuration{{{self_, {true, what.contact}}}}});
    lead();
    put(proposed{id, 1, 1});
  }

  /// Returns whether this replica leads; refuses the request if not.
  bool leads(request_id id) {
    if (leading_)
      return true;
    refuse(id, {errc::not_leader, leader_ == member_id{} ? "nobody leads now; retry with backoff"
                                                         : "another replica leads; ask that one"});
    return false;
  }

  void handle(request_id id, const propose& what) {
    if (leads(id))
      leading_->propose(id, what.commands, turn());
  }

  void handle(request_id id, const read& what) {
    if (leads(id))
      leading_->read(id, what, turn());
  }

  void handle(request_id id, const transfer& what) {
    if (leads(id))
      leading_->hand_over(id, what.to, turn());
  }

  void handle(request_id, const change_seat& what) {
    if (role_ != role::follower)
      change_role(role::follower, {}, "it has lost what it had synced");
    disk_.forget_answers();
    self_ = what.seat;
  }

  void handle(request_id, const say_about& what) {
    if (what.about.size() <= detail::max_about)
      options_.about = what.about;
  }

  /// Changes of the members. Answered once the change is in the log.
  template <class Change>
  requires requires(configuration members, const Change& what) {
    detail::changed(members, what);
  }
  void handle(request_id id, const Change& what) {
    if (!leads(id))
      return;
    auto next = detail::changed(members(), what);
    if (!next)
      return refuse(id, next.error());
    if constexpr (std::is_same_v<Change, promote>)
      if (!leading_->is_changing(turn()) && leading_->is_behind(what.seat, turn()))
        return refuse(id,
                      {errc::busy, "that learner has not caught up, or not acknowledged yet that "
                                   "it is a member; retry when it has"});
    leading_->change_members(id, *std::move(next), turn());
  }

  member_id self_;
  options options_;
  std::uint32_t step_; // how far the next candidacy raises the term
  time_point now_{};
  effects* out_ = nullptr; // of the current step

  detail::stable_storage disk_;
  log_index commit_ = 0;
  log_index delivered_ = 0;
  log_index noted_ = 0; // commit index that was last stored
  time_point note_at_{};

  role role_ = role::follower;
  member_id leader_;
  bool misses_leader_ = false; // the link to the leader is lost, and it was not heard since
  bool leads_alone_ = false;   // it was the only voter when it was elected
  term_number said_term_ = 0;
  detail::elections elections_;
  detail::follower following_;
  std::optional<detail::leadership> leading_; // while it leads
  std::uint64_t last_round_ = 0;              // of heartbeats in its last lead

  time_point heard_at_{};  // when the leader was last heard, or this replica last led
  group_time told_time_{}; // the leader's last value of the group's time
  time_point told_at_{};   // local time when that was received

  detail::solitude solitude_;
};

} // namespace troupe::raft
