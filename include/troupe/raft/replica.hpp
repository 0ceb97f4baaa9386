#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/checksum.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/random.hpp"
#include "troupe/raft/detail/checks.hpp"
#include "troupe/raft/detail/entry_log.hpp"
#include "troupe/raft/detail/progress.hpp"
#include "troupe/raft/detail/read_rounds.hpp"
#include "troupe/raft/quorum.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft {

/// One replica of a group that agrees on a log: Raft with pre-vote, check-quorum, pipelined
/// appends, learners, one-server membership changes, leadership transfer, ReadIndex and
/// snapshots in parts. No disk, no network, no clock: it says what is to be written and sent,
/// and is told what was written and received.
///
/// All its effects may be carried out at once, in order: whatever has to wait for the disk
/// is kept back here until `written`. One write is out at a time; what comes meanwhile is the
/// next. A leader sends entries while it writes them (thesis 10.2.1) and counts itself only
/// when they are synced. An entry is delivered when it is committed and synced here, so that
/// no state is ahead of its own disk.
///
/// The time of its steps is local and steady and means nothing to other replicas; entries
/// carry the time of the group (group_time), which goes on over changes of the leader.
///
/// Safe as long as a disk keeps what it said was synced; live as long as a majority of the
/// voters reach each other within the election time-out. Not thread-safe, like any machine.
/// Cost of a step: O(members + entries moved).
class replica {
public:
  // -- events ---------------------------------------------------------------------

  /// Makes a group of this replica alone. Refused unless the log is empty.
  struct found_group {
    std::string contact;
  };

  struct received {
    seat_id from;
    message what;
  };

  /// Put these commands into the log, one entry each, all or none.
  struct propose {
    std::vector<std::string> commands;
  };

  /// Answered by read_at once this replica is known to lead still.
  struct read {};

  struct add_learner {
    seat_id seat;
    std::string contact;
  };

  /// A learner that has caught up becomes a voter.
  struct promote {
    seat_id seat;
  };

  struct remove {
    seat_id seat;
  };

  /// Where a member is found from now on.
  struct move {
    seat_id seat;
    std::string contact;
  };

  /// Hands leadership over; nobody in particular: whoever has the longest log.
  struct transfer {
    seat_id to;
  };

  /// The write of this number is synced.
  struct written {
    std::uint64_t number = 0;
  };

  /// It is not, nor any part of it; it comes again after a rest.
  struct not_written {
    problem why;
  };

  /// A snapshot up to `index` is synced, so that the log before it is not needed.
  struct compacted {
    log_index index = 0;
  };

  /// What was asked by load_snapshot.
  struct loaded {
    snapshot what;
  };

  /// The link to this member is gone, with whatever was on the way.
  struct lost_link {
    seat_id seat;
  };

  using event = std::variant<found_group, received, propose, read, add_learner, promote, remove,
                             move, transfer, written, not_written, compacted, loaded, lost_link>;

  // -- effects --------------------------------------------------------------------

  struct send {
    seat_id to;
    message what;
  };

  /// Write all this as one, sync it, then step `written`.
  struct write {
    std::uint64_t number = 0;
    std::optional<ballot> vote;
    /// Takes the place of the whole log and of every older snapshot.
    std::optional<snapshot> base;
    /// Entries from here on are replaced by `entries`.
    log_index first = 0;
    std::vector<entry> entries;
  };

  /// Apply these; each entry comes once, in order.
  struct committed {
    std::vector<entry> entries;
  };

  /// The state is this now; what is committed next follows it.
  struct installed {
    snapshot what;
  };

  /// The commands are entries from `first` on, of this term. They count once they are
  /// committed; entries of another term in their place say that they never will.
  struct proposed {
    request_id id = 0;
    log_index first = 0;
    term_number term = 0;
  };

  struct refused {
    request_id id = 0;
    problem why;
    /// Who may do better; nobody if that is not known.
    seat_id leader;
  };

  /// A state with all up to `index` applied answers this read.
  struct read_at {
    request_id id = 0;
    log_index index = 0;
  };

  struct changed_role {
    role now = role::follower;
    term_number term = 0;
    seat_id leader;
    /// For people.
    std::string cause;
  };

  /// A member needs the newest snapshot: step `loaded`.
  struct load_snapshot {};

  /// This member had synced entries that it has no more: take its seat away.
  struct forgot {
    seat_id seat;
    log_index synced = 0;
    log_index found = 0;
  };

  /// A message that no replica sends; dropped.
  struct ignored {
    seat_id from;
    problem why;
  };

  using effects = std::vector<std::variant<send, write, committed, installed, proposed, refused,
                                           read_at, changed_role, load_snapshot, forgot, ignored>>;

  // -- what can be seen ---------------------------------------------------------------

  struct member_status {
    seat_id seat;
    member who;
    log_index match = 0;
    duration silent_for{};
    bool by_snapshot = false;
  };

  struct status {
    seat_id self;
    role now = role::follower;
    term_number term = 0;
    seat_id leader;
    log_index first = 0;
    log_index last = 0;
    log_index synced = 0;
    log_index commit = 0;
    configuration members;
    /// Of the leader only.
    std::vector<member_status> others;
  };

  /// Goes on from what the disk had.
  /// @throws std::invalid_argument if an option is outside its bounds
  replica(seat_id self, const options& how, const stored_state& stored, time_point now)
    : self_(self), options_(detail::checked(how)), random_(how.seed ^ self.value) {
    now_ = heard_at_ = now;
    restore(stored);
    await_leader(now);
    if (members().votes(self_) && members().voters().size() == 1)
      election_at_ = now; // nobody else to wait for
  }

  void step(time_point now, request_id id, const event& what, effects& out) {
    now_ = std::max(now_, now);
    out_ = &out;
    std::visit([&](const auto& each) { handle(id, each); }, what);
    finish();
  }

  void tick(time_point now, effects& out) {
    now_ = std::max(now_, now);
    out_ = &out;
    if (role_ == role::leader)
      lead_on();
    else if (now_ >= election_at_)
      stand();
    finish();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = election_at_;
    if (role_ == role::leader) {
      next = std::min(heartbeat_at_, quorum_lost_at());
      if (transferee_ != seat_id{})
        next = std::min(next, transfer_ends_);
    }
    if (is_dirty() && !under_way_)
      next = std::min(next, rests_until_);
    return next;
  }

  // -- questions ----------------------------------------------------------------------

  [[nodiscard]] role current_role() const {
    return role_;
  }

  [[nodiscard]] term_number term() const {
    return ballot_.term;
  }

  [[nodiscard]] seat_id leader() const {
    return leader_;
  }

  [[nodiscard]] seat_id self() const {
    return self_;
  }

  [[nodiscard]] log_index commit_index() const {
    return commit_;
  }

  [[nodiscard]] log_index last_index() const {
    return log_.last_index();
  }

  /// Returns the term of the entry at `index`, nothing if it is not known here (any more).
  [[nodiscard]] std::optional<term_number> term_of(log_index index) const {
    return log_.term_at(index);
  }

  [[nodiscard]] const configuration& members() const {
    return log_.members();
  }

  /// Whether a leader has committed an entry of its own term: it knows all that is committed.
  [[nodiscard]] bool is_settled() const {
    return role_ == role::leader && log_.term_at(commit_) == ballot_.term;
  }

  /// The header of a snapshot of the state after entry `index`.
  /// @pre base <= index <= commit_index()
  [[nodiscard]] snapshot_header header_at(log_index index) const {
    assert(log_.term_at(index));
    return {index, *log_.term_at(index),
            index == log_.base_index() ? log_.base_at() : log_.at(index).at,
            log_.members_at(index)};
  }

  /// The group's time as far as it is known here.
  [[nodiscard]] group_time time_of_group(time_point now) const {
    if (planted_flaw == flaw::time_goes_back)
      return group_time{now.time_since_epoch()};
    auto known
      = role_ == role::leader ? led_from_ + (now - led_since_) : heard_time_ + (now - heard_at_);
    return std::max(known, log_.last_at());
  }

  [[nodiscard]] status look(time_point now) const {
    status found{self_,   role_,   ballot_.term, leader_, log_.base_index() + 1, log_.last_index(),
                 synced_, commit_, members(),    {}};
    if (role_ == role::leader)
      for (auto& [seat, peer] : peers_)
        found.others.push_back({seat, members().members.at(seat), peer.match, now - peer.heard,
                                peer.state == detail::progress::pace::snapshot});
    return found;
  }

private:
  using progress = detail::progress;

  /// Not sent before the disk has what it tells of. To oneself: one's own vote.
  struct held {
    std::uint64_t need = 0;
    seat_id to;
    message what;
  };

  struct under_way {
    std::uint64_t number = 0;
    log_index valid_to = 0;
    std::optional<snapshot> base;
  };

  struct arriving {
    snapshot_header header;
    std::uint32_t sum = 0;
    std::string bytes;
  };

  void restore(const stored_state& stored) {
    ballot_ = stored.last_ballot;
    log_.reset(stored.base);
    auto& lines = stored.entries;
    if (!lines.empty() && lines.front().index <= stored.base.index) {
      auto& first = lines.front(); // kept for followers: what was before it, nobody asks
      log_.reset({first.index, first.term, first.at, stored.base.members});
    }
    for (auto& line : lines)
      if (line.index > log_.base_index())
        log_.push(line);
    synced_ = log_.last_index();
    unwritten_ = synced_ + 1;
    commit_ = delivered_ = stored.base.index;
    heard_time_ = std::max(stored.marked, log_.last_at());
  }

  // -- effects --------------------------------------------------------------------------

  template <class Effect>
  void put(Effect what) {
    out_->push_back(std::move(what));
  }

  void refuse(request_id id, problem why) {
    put(refused{id, std::move(why), leader_ == self_ ? seat_id{} : leader_});
  }

  template <class Body>
  void tell(seat_id to, Body body, term_number term) {
    put(send{to, {term, std::move(body)}});
  }

  template <class Body>
  void tell(seat_id to, Body body) {
    tell(to, std::move(body), ballot_.term);
  }

  /// Says it when all that is known now is on the disk.
  template <class Body>
  void tell_when_written(seat_id to, Body body) {
    held_.push_back(
      {is_dirty() ? write_number_ + 1 : write_number_, to, {ballot_.term, std::move(body)}});
  }

  void change_role(role now, seat_id leader, std::string cause) {
    if (role_ == role::leader && now != role::leader)
      stop_leading();
    auto same = role_ == now && leader_ == leader && said_term_ == ballot_.term;
    role_ = now;
    leader_ = leader;
    said_term_ = ballot_.term;
    if (!same)
      put(changed_role{now, ballot_.term, leader, std::move(cause)});
  }

  /// The end of each step: writes, sends and delivers what it has led to.
  void finish() {
    if (role_ == role::leader)
      advance_commit();
    begin_write();
    release();
    if (role_ == role::leader)
      for (auto& [seat, peer] : peers_)
        replicate(seat, peer);
    deliver();
    out_ = nullptr;
  }

  // -- the disk ---------------------------------------------------------------------------

  [[nodiscard]] bool is_dirty() const {
    return ballot_dirty_ || base_.has_value() || unwritten_ <= log_.last_index();
  }

  void begin_write() {
    if (under_way_ || !is_dirty() || now_ < rests_until_)
      return;
    write what;
    what.number = ++write_number_;
    if (std::exchange(ballot_dirty_, false) && planted_flaw != flaw::vote_not_persisted)
      what.vote = ballot_;
    what.base = std::exchange(base_, {});
    what.first = unwritten_;
    what.entries
      = log_.slice(unwritten_, log_.last_index(), std::numeric_limits<std::size_t>::max(),
                   std::numeric_limits<std::size_t>::max());
    unwritten_ = log_.last_index() + 1;
    under_way_ = under_way{what.number, log_.last_index(), what.base};
    if (planted_flaw == flaw::sync_skipped) {
      written_ = what.number;
      synced_ = what.base ? synced_ : log_.last_index();
    }
    for (auto& each : held_)
      each.need = std::min(each.need, what.number); // all that is known goes with it
    put(std::move(what));
  }

  /// Entries at and behind `from` have changed in memory.
  void changed_from(log_index from) {
    unwritten_ = std::min(unwritten_, from);
    synced_ = std::min(synced_, from - 1);
    if (under_way_)
      under_way_->valid_to = std::min(under_way_->valid_to, from - 1);
  }

  void handle(request_id, const written& what) {
    if (!under_way_ || under_way_->number != what.number)
      return;
    auto done = *std::exchange(under_way_, {});
    written_ = done.number;
    if (done.base && done.base->header.index == installing_) {
      installing_ = 0;
      put(installed{*done.base});
    }
    synced_ = std::max(synced_, done.valid_to);
  }

  void handle(request_id, const not_written& what) {
    if (!under_way_)
      return;
    auto lost = *std::exchange(under_way_, {});
    --write_number_;
    ballot_dirty_ = true;
    if (lost.base && !base_ && installing_ == lost.base->header.index)
      base_ = lost.base;
    unwritten_ = std::min({unwritten_, synced_ + 1, log_.last_index() + 1});
    unwritten_ = std::max(unwritten_, log_.base_index() + 1);
    rests_until_ = now_ + rest;
    if (role_ == role::leader)
      change_role(role::follower, {}, "the disk refuses to write: " + what.why.detail);
    await_leader(now_); // and lets the others go first
  }

  void release() {
    while (!held_.empty() && held_.front().need <= written_) {
      auto each = std::move(held_.front());
      held_.pop_front();
      if (each.to == self_)
        receive(self_, each.what);
      else
        put(send{each.to, std::move(each.what)});
    }
    begin_write(); // one's own vote may have made a leader
  }

  void deliver() {
    auto last = std::min(commit_, synced_);
    while (delivered_ < last) {
      auto next = log_.slice(delivered_ + 1, last, 4'096, 16U * 1024 * 1024);
      delivered_ += next.size();
      put(committed{std::move(next)});
    }
  }

  // -- elections ----------------------------------------------------------------------------

  void await_leader(time_point from) {
    auto bound = static_cast<std::uint64_t>(options_.election_timeout.count() / 2);
    election_at_ = from + options_.election_timeout
                   + duration{static_cast<std::int64_t>(random_.below(bound))};
  }

  void enter_term(term_number term) {
    assert(term > ballot_.term);
    ballot_ = {term, {}};
    ballot_dirty_ = true;
    said_ = {};
    held_.clear(); // answers of an older term might tell of what is gone since
    votes_.clear();
  }

  void follow(term_number term, seat_id leader, const std::string& cause) {
    if (term > ballot_.term)
      enter_term(term);
    change_role(role::follower, leader, cause);
  }

  /// Who is about to be removed may be the only one that can go on (thesis 4.2.2).
  [[nodiscard]] bool may_lead() const {
    return members().votes(self_) || log_.members_at(commit_).votes(self_);
  }

  /// Asks first whether there would be votes, so that who was cut off does not disturb the
  /// group by its higher term (thesis 9.6).
  void stand() {
    await_leader(now_);
    if (!may_lead() || now_ < rests_until_)
      return;
    auto cause = leader_ == seat_id{} ? std::string{"nobody leads"} : "the leader is silent";
    change_role(role::pre_candidate, {}, cause);
    votes_.clear();
    votes_[self_] = true;
    if (count(members().voters(), votes_) == election::won)
      return campaign(false, cause);
    for (auto seat : members().voters())
      if (seat != self_)
        tell(seat, vote_request{log_.last_index(), log_.last_term(), true, false},
             ballot_.term + 1);
  }

  void campaign(bool forced, const std::string& cause) {
    await_leader(now_);
    enter_term(ballot_.term + 1);
    ballot_.vote = self_;
    change_role(role::candidate, {}, cause);
    for (auto seat : members().voters())
      if (seat != self_)
        tell_when_written(seat, vote_request{log_.last_index(), log_.last_term(), false, forced});
    tell_when_written(self_, vote_answer{false, true});
  }

  /// Whether this replica has a leader that it hears of: then it helps nobody to overthrow it.
  [[nodiscard]] bool has_leader() const {
    if (role_ == role::leader)
      return true;
    return leader_ != seat_id{} && !misses_leader_ && now_ < heard_at_ + options_.election_timeout;
  }

  [[nodiscard]] bool is_up_to_date(const vote_request& what) const {
    return std::pair{what.last_term, what.last_index}
             >= std::pair{log_.last_term(), log_.last_index()}
           || planted_flaw == flaw::logs_not_compared;
  }

  void handle_body(seat_id from, term_number term, const vote_request& what) {
    if (what.trial) {
      auto granted = term > ballot_.term && !has_leader() && is_up_to_date(what);
      return tell(from, vote_answer{true, granted}, granted ? term : ballot_.term);
    }
    if (term < ballot_.term)
      return tell(from, vote_answer{false, false});
    auto free = ballot_.vote == from || (ballot_.vote == seat_id{} && leader_ == seat_id{});
    if (!free || !is_up_to_date(what))
      return tell_when_written(from, vote_answer{false, false});
    if (ballot_.vote != from) {
      ballot_.vote = from;
      ballot_dirty_ = true;
    }
    await_leader(now_);
    tell_when_written(from, vote_answer{false, true});
  }

  void handle_body(seat_id from, term_number term, const vote_answer& what) {
    auto expected = what.trial ? role::pre_candidate : role::candidate;
    if (role_ != expected || (what.granted && term != ballot_.term + (what.trial ? 1 : 0)))
      return;
    votes_.emplace(from, what.granted);
    switch (count(members().voters(), votes_)) {
      case election::pending:
        return;
      case election::won:
        return what.trial ? campaign(false, "a majority would vote for it") : lead();
      case election::lost:
        return change_role(role::follower, {}, "a majority votes otherwise");
    }
  }

  void handle_body(seat_id from, term_number term, const take_over&) {
    if (term == ballot_.term && from == leader_ && members().votes(self_))
      campaign(true, "the leader hands over");
  }

  // -- messages -------------------------------------------------------------------------------

  void handle(request_id, const received& what) {
    if (auto why = detail::check(what.what, options_); why.code != errc::none)
      return put(ignored{what.from, why});
    if (what.from == self_ || what.from == seat_id{})
      return put(ignored{what.from, {errc::bad_argument, "a message of oneself"}});
    receive(what.from, what.what);
  }

  void receive(seat_id from, const message& what) {
    auto* wish = std::get_if<vote_request>(&what.body);
    if (wish && !wish->trial && !wish->forced && what.term > ballot_.term && has_leader())
      return; // it was cut off, or thinks so; the group is well (thesis 4.2.3)
    if (what.term > ballot_.term && !is_trial(what)) {
      auto leads = is_of_leader(what);
      follow(what.term, leads ? from : seat_id{},
             leads ? "it leads a later term" : "there is a later term");
    }
    if (what.term < ballot_.term && is_of_leader(what)) // it does not know that its time is over
      return tell(from, append_answer{false, 0, 0, 0, 0, log_.last_index()});
    if (what.term < ballot_.term && !wish)
      return;
    std::visit([&](const auto& body) { handle_body(from, what.term, body); }, what.body);
  }

  [[nodiscard]] static bool is_trial(const message& what) {
    if (auto* wish = std::get_if<vote_request>(&what.body))
      return wish->trial;
    auto* answer = std::get_if<vote_answer>(&what.body);
    return answer && answer->trial && answer->granted;
  }

  [[nodiscard]] static bool is_of_leader(const message& what) {
    return std::holds_alternative<append>(what.body)
           || std::holds_alternative<snapshot_part>(what.body);
  }

  /// Returns whether `from` leads this term; it is heard, then.
  bool hear_leader(seat_id from) {
    if (role_ == role::leader) {
      put(ignored{from, {errc::damaged, "two leaders of one term"}});
      return false;
    }
    if (role_ != role::follower || leader_ != from)
      change_role(role::follower, from, "it won the election");
    await_leader(now_);
    misses_leader_ = false;
    heard_time_ = time_of_group(now_); // it never runs back
    heard_at_ = now_;
    return true;
  }

  // -- following --------------------------------------------------------------------------------

  void handle_body(seat_id from, term_number, const append& what) {
    if (!hear_leader(from))
      return;
    heard_time_ = std::max(heard_time_, what.now);
    auto last = what.previous_index + what.entries.size();
    if (last <= commit_) // old news
      return answer_append(from, commit_, what);
    auto known = log_.term_at(what.previous_index);
    auto follows = what.previous_index <= commit_ || known == what.previous_term;
    if (!follows
        && !(planted_flaw == flaw::entries_unchecked && what.previous_index <= log_.last_index()))
      return refuse_append(from, what);
    take_entries(what);
    commit_ = std::max(commit_, std::min(what.commit, last));
    answer_append(from, last, what);
  }

  /// @pre the entry before the first is as the leader has it, or committed
  void take_entries(const append& what) {
    for (auto& line : what.entries) {
      if (line.index <= commit_)
        continue;
      if (line.index <= log_.last_index()) {
        if (log_.term_at(line.index) == line.term)
          continue;
        log_.truncate(line.index);
        changed_from(line.index);
      }
      log_.push(line);
    }
  }

  /// A heartbeat is answered at once, with what is synced; entries when they are.
  void answer_append(seat_id from, log_index last, const append& what) {
    auto found = append_answer{true, last, 0, 0, what.round, log_.last_index()};
    if (ballot_dirty_ || !what.entries.empty()) {
      said_ = found; // the commit that follows has no other answer
      return tell_when_written(from, found);
    }
    found.index = std::min(last, synced_);
    if (std::exchange(said_, found) != found) // else it was sent to tell of commits
      tell(from, found);
  }

  void refuse_append(seat_id from, const append& what) {
    said_ = {};
    auto place = log_.last_not_above(what.previous_index, what.previous_term);
    auto found = append_answer{false,      what.previous_index, place, *log_.term_at(place),
                               what.round, log_.last_index()};
    ballot_dirty_ ? tell_when_written(from, found) : tell(from, found);
  }

  void handle_body(seat_id from, term_number, const snapshot_part& what) {
    if (!hear_leader(from))
      return;
    auto& header = what.header;
    if (header.index <= commit_ || log_.term_at(header.index) == header.term) {
      arriving_.reset();
      commit_ = std::max(commit_, header.index);
      return tell_when_written(from, append_answer{true, header.index, 0, 0, 0, log_.last_index()});
    }
    if (!arriving_ || arriving_->header != header || arriving_->sum != what.sum || what.offset == 0)
      arriving_ = arriving{header, what.sum, {}};
    if (what.offset == arriving_->bytes.size())
      arriving_->bytes += what.bytes;
    if (arriving_->bytes.size() < what.size)
      return tell(from, snapshot_answer{header.index, arriving_->bytes.size()});
    auto bytes = std::move(arriving_->bytes);
    arriving_.reset();
    if (crc32c(bytes) != what.sum) {
      put(ignored{from,
                  {errc::damaged, "the snapshot at entry " + std::to_string(header.index)
                                    + " arrived with a wrong checksum; it is asked for again"}});
      return tell(from, snapshot_answer{header.index, 0});
    }
    install({header, std::make_shared<const std::string>(std::move(bytes))});
    tell_when_written(from, append_answer{true, header.index, 0, 0, 0, log_.last_index()});
  }

  void install(snapshot what) {
    auto& header = what.header;
    log_.reset(header);
    commit_ = delivered_ = installing_ = header.index;
    synced_ = 0;
    unwritten_ = header.index + 1;
    if (under_way_)
      under_way_->valid_to = 0;
    base_ = std::move(what);
  }

  // -- leading ----------------------------------------------------------------------------------

  void lead() {
    auto time = time_of_group(now_);
    auto granted = static_cast<std::size_t>(
      std::ranges::count_if(votes_, [](const auto& vote) { return vote.second; }));
    change_role(role::leader, self_, std::to_string(granted) + " votes");
    led_from_ = time;
    led_since_ = now_;
    votes_.clear();
    uncommitted_bytes_ = 0;
    for (auto index = commit_ + 1; index <= log_.last_index(); ++index)
      uncommitted_bytes_ += size_of(log_.at(index));
    confirmed_ = round_;
    update_peers();
    push(no_op{});
    term_start_ = log_.last_index();
    begin_round();
  }

  void stop_leading() {
    for (auto& each : reads_.take_all())
      put(refused{each.id, {errc::not_leader, "it leads no more; ask the new leader"}, {}});
    peers_.clear();
    outgoing_.reset();
    loading_ = false;
    transferee_ = {};
    heard_time_ = std::max(heard_time_, led_from_ + (now_ - led_since_));
    heard_at_ = now_;
    await_leader(now_);
  }

  template <class What>
  void push(What what) {
    entry line{log_.last_index() + 1, ballot_.term, time_of_group(now_), std::move(what)};
    uncommitted_bytes_ += size_of(line);
    log_.push(std::move(line));
  }

  void lead_on() {
    if (now_ >= quorum_lost_at())
      return change_role(role::follower, {}, "it does not reach a majority");
    if (transferee_ != seat_id{} && now_ >= transfer_ends_)
      transferee_ = {};
    if (now_ >= heartbeat_at_)
      begin_round();
  }

  /// A leader that a majority has not answered for so long may not be one any more.
  [[nodiscard]] time_point quorum_lost_at() const {
    std::map<seat_id, duration::rep> heard{{self_, duration::max().count()}};
    for (auto& [seat, peer] : peers_)
      heard.emplace(seat, peer.heard.time_since_epoch().count());
    auto last = duration{agreed(members().voters(), heard)};
    return last == duration::max() ? time_point::max()
                                   : time_point{last + options_.election_timeout};
  }

  void update_peers() {
    std::erase_if(peers_, [&](auto& each) { return !members().members.contains(each.first); });
    for (auto& [seat, who] : members().members)
      if (seat != self_ && !peers_.contains(seat)) {
        auto& peer = peers_[seat];
        peer.next = log_.last_index() + 1;
        peer.heard = now_;
      }
  }

  void begin_round() {
    ++round_;
    heartbeat_at_ = now_ + options_.heartbeat;
    for (auto& [seat, peer] : peers_) {
      peer.waits = peer.waits && peer.state == progress::pace::snapshot
                   && now_ < peer.sent + options_.election_timeout;
      if (peer.state != progress::pace::snapshot) {
        send_entries(seat, peer, true);
        continue;
      }
      tell(seat, append{0, 0, 0, time_of_group(now_), round_, {}}); // parts are no heartbeats
      ask_for_snapshot();
    }
    confirm_reads();
  }

  /// Sends what this member lacks, as far as its answers allow.
  void replicate(seat_id seat, progress& peer) {
    switch (peer.state) {
      case progress::pace::probe:
        if (!peer.waits)
          send_entries(seat, peer, true);
        return;
      case progress::pace::snapshot:
        if (!peer.waits && outgoing_)
          send_part(seat, peer);
        return;
      case progress::pace::stream:
        while (peer.state == progress::pace::stream && peer.next <= log_.last_index()
               && peer.in_flight.size() < options_.max_in_flight)
          send_entries(seat, peer, false);
        if (peer.state == progress::pace::stream && peer.told_commit < commit_
            && peer.next > log_.last_index())
          send_entries(seat, peer, true);
    }
  }

  /// A probe, and what is sent though there are no entries, carries none.
  void send_entries(seat_id seat, progress& peer, bool without) {
    auto previous = peer.next - 1;
    auto term = log_.term_at(previous);
    if (!term)
      return send_snapshot(peer);
    append what{previous, *term, commit_, time_of_group(now_), round_, {}};
    if (!without) {
      what.entries = log_.slice(peer.next, log_.last_index(), options_.max_message_entries,
                                options_.max_message_bytes);
      peer.next += what.entries.size();
      peer.in_flight.push_back(peer.next - 1);
    }
    peer.told_commit = commit_;
    peer.waits = peer.state == progress::pace::probe;
    peer.sent = now_;
    tell(seat, std::move(what));
  }

  void send_snapshot(progress& peer) {
    peer.begin_snapshot();
    ask_for_snapshot();
  }

  /// Sees to one that the log goes on from.
  void ask_for_snapshot() {
    if (outgoing_ && outgoing_->header.index < log_.base_index())
      outgoing_.reset();
    if (!outgoing_ && !std::exchange(loading_, true))
      put(load_snapshot{});
  }

  void handle(request_id, const loaded& what) {
    loading_ = false;
    if (role_ != role::leader || what.what.header.index < log_.base_index())
      return;
    outgoing_ = what.what;
    outgoing_sum_ = crc32c(*outgoing_->bytes);
  }

  void send_part(seat_id seat, progress& peer) {
    auto& bytes = *outgoing_->bytes;
    if (peer.snapshot_index != outgoing_->header.index)
      peer.offset = 0;
    peer.snapshot_index = outgoing_->header.index;
    peer.waits = true;
    peer.sent = now_;
    auto offset = static_cast<std::size_t>(std::min<std::uint64_t>(peer.offset, bytes.size()));
    tell(seat, snapshot_part{outgoing_->header, offset, bytes.size(), outgoing_sum_,
                             bytes.substr(offset, options_.max_message_bytes)});
  }

  void handle_body(seat_id from, term_number, const snapshot_answer& what) {
    auto found = peers_.find(from);
    if (role_ != role::leader || found == peers_.end())
      return;
    auto& peer = found->second;
    peer.heard = now_;
    if (peer.state != progress::pace::snapshot || peer.snapshot_index != what.index)
      return;
    peer.offset = what.offset;
    peer.waits = false;
  }

  void handle_body(seat_id from, term_number, const append_answer& what) {
    auto found = peers_.find(from);
    if (role_ != role::leader || found == peers_.end())
      return;
    auto& peer = found->second;
    peer.heard = now_;
    peer.round = std::max(peer.round, std::min(what.round, round_));
    if (what.accepted)
      accepted(from, peer, what.index);
    else
      refused_by(from, peer, what);
    confirm_reads();
  }

  void accepted(seat_id from, progress& peer, log_index index) {
    if (index > log_.last_index())
      return put(ignored{from, {errc::damaged, "it has entries that no leader sent"}});
    if (index > peer.match) {
      peer.match = index;
      peer.match_round = round_;
    }
    peer.answered_up_to(index);
    peer.next = std::max(peer.next, peer.match + 1);
    if (peer.state == progress::pace::probe)
      peer.begin_stream();
    if (peer.state == progress::pace::snapshot && log_.term_at(peer.match)) {
      peer.begin_probe(peer.match + 1);
      auto waits = [](auto& each) { return each.second.state == progress::pace::snapshot; };
      if (std::ranges::none_of(peers_, waits))
        outgoing_.reset();
    }
    if (from == transferee_ && peer.match == log_.last_index())
      tell(from, take_over{});
  }

  /// Goes back as far as the two logs may agree, at most one message for each term that
  /// they disagree on.
  void refused_by(seat_id from, progress& peer, const append_answer& what) {
    if (what.last_index < peer.match && what.round > peer.match_round)
      return put(forgot{from, peer.match, what.last_index});
    auto is_old = peer.state == progress::pace::stream ? what.index <= peer.match
                                                       : what.index != peer.next - 1;
    if (is_old || peer.state == progress::pace::snapshot)
      return;
    auto place = log_.last_not_above(what.hint_index, what.hint_term);
    if (what.hint_index < log_.base_index() || *log_.term_at(place) > what.hint_term)
      return send_snapshot(peer);
    peer.begin_probe(std::min(what.index, place + 1));
  }

  void handle(request_id, const lost_link& what) {
    if (role_ == role::follower && what.seat == leader_)
      miss_leader();
    auto found = peers_.find(what.seat);
    if (found == peers_.end())
      return;
    auto& peer = found->second;
    peer.waits = false;
    if (peer.state == progress::pace::stream)
      peer.begin_probe(peer.match + 1);
  }

  /// A leader whose process has died is missed by all at once, and nobody has to wait for the
  /// whole time-out: the voters stand one after the other, a heartbeat apart. If it lives, it
  /// has that time to be heard again, and those that still hear it would not vote (thesis
  /// 9.6). Beyond the thesis, which knows no links.
  void miss_leader() {
    misses_leader_ = true;
    auto turn = 1;
    for (auto seat : members().voters())
      turn += seat < self_ && seat != leader_ ? 1 : 0;
    election_at_ = std::min(election_at_, now_ + turn * options_.heartbeat);
  }

  /// Only entries of one's own term are counted (thesis 3.6.2).
  void advance_commit() {
    std::map<seat_id, log_index> reached{{self_, synced_}};
    for (auto& [seat, peer] : peers_)
      reached.emplace(seat, peer.match);
    auto index = std::min(agreed(members().voters(), reached), log_.last_index());
    auto is_own = log_.term_at(index) == ballot_.term || planted_flaw == flaw::old_terms_counted;
    if (index <= commit_ || !is_own)
      return;
    for (auto each = commit_ + 1; each <= index; ++each)
      uncommitted_bytes_ -= size_of(log_.at(each));
    commit_ = index;
    if (!members().members.contains(self_) && log_.members_index() <= commit_)
      change_role(role::follower, {}, "it was removed from the group");
  }

  // -- requests -----------------------------------------------------------------------------------

  [[nodiscard]] problem not_the_leader() const {
    return {errc::not_leader, leader_ == seat_id{} ? "nobody leads now; retry with backoff"
                                                   : "another replica leads; ask that one"};
  }

  /// Returns why nothing new may enter the log, if so.
  [[nodiscard]] problem closed() const {
    if (role_ != role::leader)
      return not_the_leader();
    if (transferee_ != seat_id{})
      return {errc::busy, "leadership is handed over; retry in a moment"};
    return {};
  }

  void handle(request_id id, const found_group& what) {
    if (log_.last_index() != 0 || ballot_.term != 0)
      return refuse(id, {errc::in_use, "there is a log already; found a group on an empty one"});
    ballot_ = {1, self_};
    ballot_dirty_ = true;
    log_.push({1, 1, time_of_group(now_), configuration{{{self_, {true, what.contact}}}}});
    votes_[self_] = true;
    lead();
    put(proposed{id, 1, 1});
  }

  void handle(request_id id, const propose& what) {
    if (auto why = closed(); why.code != errc::none)
      return refuse(id, why);
    std::uint64_t bytes = 0;
    for (auto& each : what.commands) {
      if (each.size() > options_.max_command_bytes)
        return refuse(
          id, {errc::too_large, "a command has " + std::to_string(each.size()) + " bytes, at most "
                                  + std::to_string(options_.max_command_bytes) + " are taken"});
      bytes += each.size();
    }
    if (log_.last_index() - commit_ + what.commands.size() > options_.max_uncommitted
        || uncommitted_bytes_ + bytes > options_.max_uncommitted_bytes)
      return refuse(
        id, {errc::limit_reached, std::to_string(log_.last_index() - commit_)
                                    + " entries are not committed yet; retry with backoff"});
    auto first = log_.last_index() + 1;
    for (auto& each : what.commands)
      push(each);
    put(proposed{id, first, ballot_.term});
  }

  void handle(request_id id, const read&) {
    if (role_ != role::leader)
      return refuse(id, not_the_leader());
    if (reads_.size() >= options_.max_reads)
      return refuse(id,
                    {errc::limit_reached, std::to_string(reads_.size())
                                            + " reads wait for their round; retry with backoff"});
    if (planted_flaw == flaw::stale_reads)
      return put(read_at{id, commit_});
    reads_.add(id, std::max(commit_, term_start_), round_ + 1);
    if (confirmed_ == round_)
      begin_round();
  }

  /// Answers reads that a majority has confirmed, and sees to the round of those that wait.
  void confirm_reads() {
    std::map<seat_id, std::uint64_t> rounds{{self_, round_}};
    for (auto& [seat, peer] : peers_)
      rounds.emplace(seat, peer.round);
    confirmed_ = std::max(confirmed_, std::min(agreed(members().voters(), rounds), round_));
    for (auto& each : reads_.confirm(confirmed_))
      put(read_at{each.id, each.index});
    if (!reads_.empty() && confirmed_ == round_)
      begin_round();
  }

  void handle(request_id id, const add_learner& what) {
    auto next = members();
    if (what.seat == seat_id{}
        || !next.members.try_emplace(what.seat, member{false, what.contact}).second)
      return refuse(id, {errc::bad_argument, "that seat is none, or in the group already"});
    change_members(id, std::move(next));
  }

  void handle(request_id id, const promote& what) {
    auto next = members();
    auto found = next.members.find(what.seat);
    if (found == next.members.end())
      return refuse(id, {errc::not_found, "that seat is not in the group; add it as a learner"});
    if (found->second.votes)
      return refuse(id, {errc::bad_argument, "that member votes already"});
    auto peer = peers_.find(what.seat);
    if (role_ == role::leader && peer != peers_.end()
        && peer->second.match + options_.max_message_entries < log_.last_index())
      return refuse(id, {errc::busy, "that learner has not caught up; retry when it has"});
    found->second.votes = true;
    change_members(id, std::move(next));
  }

  void handle(request_id id, const remove& what) {
    auto next = members();
    if (next.members.erase(what.seat) == 0)
      return refuse(id, {errc::not_found, "that seat is not in the group"});
    if (next.voters().empty())
      return refuse(id, {errc::bad_argument, "the last voter stays; promote another one first"});
    change_members(id, std::move(next));
  }

  void handle(request_id id, const move& what) {
    auto next = members();
    auto found = next.members.find(what.seat);
    if (found == next.members.end())
      return refuse(id, {errc::not_found, "that seat is not in the group"});
    if (found->second.contact == what.contact)
      return refuse(id, {errc::bad_argument, "that member is found there already"});
    found->second.contact = what.contact;
    change_members(id, std::move(next));
  }

  /// One at a time, and none before an entry of one's own term is committed: else two
  /// majorities may not meet (thesis 4.1; Ongaro, raft-dev, July 2015).
  void change_members(request_id id, configuration next) {
    if (auto why = closed(); why.code != errc::none)
      return refuse(id, why);
    auto is_free = is_settled() && log_.members_index() <= commit_;
    if (!is_free && planted_flaw != flaw::careless_changes)
      return refuse(id, {errc::busy, "another change is under way; retry when it is done"});
    if (next.members.size() > options_.max_members)
      return refuse(id, {errc::limit_reached, "a group has at most "
                                                + std::to_string(options_.max_members)
                                                + " members; remove one first"});
    push(std::move(next));
    update_peers();
    put(proposed{id, log_.last_index(), ballot_.term});
  }

  void handle(request_id id, const transfer& what) {
    if (auto why = closed(); why.code != errc::none)
      return refuse(id, why);
    auto to = what.to;
    if (to == seat_id{})
      for (auto& [seat, peer] : peers_)
        if (members().votes(seat) && (to == seat_id{} || peer.match > peers_.at(to).match))
          to = seat;
    if (!peers_.contains(to) || !members().votes(to))
      return refuse(id, {errc::bad_argument, "there is no other voter of that seat to lead"});
    transferee_ = to;
    transfer_ends_ = now_ + options_.election_timeout;
    put(proposed{id, log_.last_index(), ballot_.term});
    if (peers_.at(to).match == log_.last_index())
      tell(to, take_over{});
  }

  /// Keeps a little for followers that are behind, and more while one gets a snapshot, or
  /// it would be of no use when it has arrived.
  void handle(request_id, const compacted& what) {
    auto keep = std::uint64_t{options_.keep_entries};
    auto behind = [&](std::uint64_t count) { return what.index > count ? what.index - count : 0; };
    auto index = behind(keep);
    if (outgoing_)
      index = std::max(std::min(index, outgoing_->header.index), behind(10 * keep));
    log_.compact(std::min(index, delivered_));
  }

  /// After a clean failure nothing is written, and no election begun, for so long.
  static constexpr duration rest = std::chrono::milliseconds{100};

  seat_id self_;
  options options_;
  random_source random_;
  time_point now_{};
  effects* out_ = nullptr; // of the step under way

  // -- on the disk, or on its way ---------------------------------------------------------
  ballot ballot_;
  detail::entry_log log_;

  // -- the disk -----------------------------------------------------------------------------
  bool ballot_dirty_ = false;
  std::optional<snapshot> base_; // to be written
  log_index installing_ = 0;     // the snapshot that takes the place of the state, once written
  log_index unwritten_ = 1;      // the first entry that no write has taken yet
  log_index synced_ = 0;
  std::uint64_t write_number_ = 0;
  std::uint64_t written_ = 0;
  std::optional<under_way> under_way_;
  std::deque<held> held_;
  time_point rests_until_ = time_point::min();

  // -- any role -----------------------------------------------------------------------------
  role role_ = role::follower;
  seat_id leader_;
  term_number said_term_ = 0;
  log_index commit_ = 0;
  log_index delivered_ = 0;
  time_point election_at_{};
  group_time heard_time_{}; // of the group, at heard_at_
  time_point heard_at_{};   // from the leader
  std::map<seat_id, bool> votes_;
  std::optional<arriving> arriving_;
  append_answer said_; // to what the leader sent last
  /// The link to the leader is lost, and nothing was heard of it since.
  bool misses_leader_ = false;

  // -- a leader's ---------------------------------------------------------------------------
  std::map<seat_id, progress> peers_;
  group_time led_from_{};
  time_point led_since_{};
  log_index term_start_ = 0;
  std::uint64_t uncommitted_bytes_ = 0;
  std::uint64_t round_ = 0;
  std::uint64_t confirmed_ = 0;
  time_point heartbeat_at_{};
  detail::read_rounds reads_;
  seat_id transferee_;
  time_point transfer_ends_{};
  std::optional<snapshot> outgoing_;
  std::uint32_t outgoing_sum_ = 0;
  bool loading_ = false;
};

} // namespace troupe::raft
