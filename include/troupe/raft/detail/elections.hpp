#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <variant>

#include "troupe/core/flaw.hpp"
#include "troupe/core/random.hpp"
#include "troupe/raft/detail/turn.hpp"
#include "troupe/raft/quorum.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// Elections of one replica: when it stands, its requests for votes, the votes it got, and
/// whether it votes for another (thesis 3.4, 3.6.1, 9.6).
class elections {
public:
  explicit elections(random_source random) : random_(random) {}

  // -- the time-out -----------------------------------------------------------------------

  /// Waits for a leader until one to one and a half election time-outs after `from`, at random, so
  /// that two replicas rarely stand at the same time.
  void await_leader(time_point from, duration timeout) {
    auto extra = random_.below(static_cast<std::uint64_t>(timeout.count() / 2));
    due_ = from + timeout + duration{static_cast<std::int64_t>(extra)};
  }

  void stand_at(time_point when) {
    due_ = when;
  }

  /// Shortens the wait after a lost link to the leader. When its process dies, all voters lose
  /// their links at once, so they stand one after the other, a heartbeat apart, instead of waiting
  /// for the whole time-out. A leader that is alive has that time to be heard again, and voters
  /// that still hear it grant no vote (thesis 9.6). Goes beyond the thesis, which has no links.
  void stand_soon(member_id leader, const turn& t) {
    auto place = 1;
    for (auto seat : t.members().voters())
      place += seat < t.self && seat != leader ? 1 : 0;
    due_ = std::min(due_, t.now + place * t.how.heartbeat);
  }

  [[nodiscard]] time_point due() const {
    return due_;
  }

  // -- its own candidacy ------------------------------------------------------------------

  void clear() {
    votes_.clear();
  }

  void add(member_id from, bool granted) {
    votes_.emplace(from, granted);
  }

  [[nodiscard]] std::size_t granted() const {
    return static_cast<std::size_t>(
      std::ranges::count_if(votes_, [](const auto& vote) { return vote.second; }));
  }

  [[nodiscard]] election outcome(const configuration& members) const {
    return count(members.voters(), votes_);
  }

  /// Asks the other voters for a pre-vote in the next term.
  static void ask_whether(const turn& t) {
    auto what = request(true, false, t);
    for (auto seat : t.members().voters())
      if (seat != t.self)
        t.put(replica_types::send{seat, {t.disk.term() + 1, what}});
  }

  /// Asks for votes in this term once its own vote is on the disk, which it counts then.
  static void ask(bool forced, const turn& t) {
    auto what = request(false, forced, t);
    for (auto seat : t.members().voters())
      if (seat != t.self)
        planted_flaw == flaw::votes_asked_early ? t.tell(seat, what)
                                                : t.tell_when_written(seat, what);
    t.tell_when_written(t.self, vote_answer{false, true});
  }

  // -- the votes of others ----------------------------------------------------------------

  /// Answers a request for a vote in the term `wanted`. A trial changes no state. One vote is
  /// granted per term, and only to a candidate that has all entries that may be committed.
  void answer(member_id from, term_number wanted, const vote_request& what, member_id leader,
              bool has_leader, const turn& t) {
    auto term = t.disk.term();
    if (what.trial) {
      auto granted = wanted > term && !has_leader && is_up_to_date(what, t.log());
      return t.put(
        replica_types::send{from, {granted ? wanted : term, vote_answer{true, granted}}});
    }
    if (wanted < term)
      return t.tell(from, vote_answer{false, false});
    auto vote = t.disk.vote();
    auto is_free = vote == from || (vote == member_id{} && leader == member_id{});
    auto granted = is_free && is_up_to_date(what, t.log());
    if (granted) {
      t.disk.vote_for(from);
      await_leader(t.now, t.how.election_timeout);
    }
    if (planted_flaw == flaw::vote_told_early)
      return t.tell(from, vote_answer{false, granted});
    t.tell_when_written(from, vote_answer{false, granted});
  }

  /// Whether the candidate's log is newer than this one.
  [[nodiscard]] static bool is_newer(const vote_request& what, const entry_log& log) {
    return std::pair{what.last_term, what.last_index}
           > std::pair{log.last_term(), log.last_index()};
  }

  /// Whether this replica is a voter in a configuration that may be committed. A voter that is
  /// being removed may still be needed as leader (thesis 4.2.2), and after a restart the commit
  /// index may be lower than it was.
  [[nodiscard]] static bool may_stand(const turn& t) {
    return t.log().votes_since(t.commit, t.self);
  }

  /// Whether the term of a message is that of a trial, which has not begun.
  [[nodiscard]] static bool is_trial(const message& what) {
    if (auto* wish = std::get_if<vote_request>(&what.body))
      return wish->trial;
    auto* answer = std::get_if<vote_answer>(&what.body);
    return answer && answer->trial && answer->granted;
  }

private:
  static vote_request request(bool trial, bool forced, const turn& t) {
    auto& log = t.log();
    return {log.last_index(), log.last_term(), trial,
            forced,           t.commit,        log.term_at(t.commit).value_or(0)};
  }

  [[nodiscard]] static bool is_up_to_date(const vote_request& what, const entry_log& log) {
    return std::pair{what.last_term, what.last_index}
             >= std::pair{log.last_term(), log.last_index()}
           || planted_flaw == flaw::logs_not_compared;
  }

  random_source random_;
  time_point due_{};
  std::map<member_id, bool> votes_;
};

} // namespace troupe::raft::detail
