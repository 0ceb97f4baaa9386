#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "troupe/core/flaw.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/detail/entry_log.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::raft::detail {

/// A contradiction which shows that a disk has lost entries that it had synced.
struct loss {
  /// The entry that shows it.
  log_index index = 0;
  std::string what;
  /// This replica led by its own vote alone without that entry, or would. So probably its own disk
  /// is the one, and the other members can continue without it.
  bool is_own = false;
  /// Whether this replica steps down if it is leader.
  bool ends_lead = true;

  [[nodiscard]] problem why() const {
    return {errc::damaged, what + (is_own ? own_disk : some_disk)};
  }

private:
  static constexpr const char* own_disk
    = ": the disk of this node has lost what it had synced (is its folder an older copy?), and it "
      "led alone without that, or was about to. If the others' folders are no older copies, move "
      "its log away (group.db and what begins with that name), start it with the address of one of "
      "them (node_options::join), and it comes back with their state";
  static constexpr const char* some_disk
    = ": a disk has lost what it had synced, that of the leader, of this node or of a voter that "
      "elected the leader. Find which folder is an older copy before you move any log away: what "
      "was acknowledged may be here alone";
};

/// Compares the committed log of a replica with what other replicas claim.
///
/// A leader has every committed entry unless a disk has lost synced entries: its own, if it led
/// alone, or that of a voter which elected it. Two logs do not tell which. So this replica ignores
/// leaders, and grants no vote to candidates, that contradict what is committed here. This goes
/// beyond the thesis, which trusts disks. That a replica which has lost entries grants no vote is
/// from Alagappan et al., Protocol-Aware Recovery for Consensus-Based Storage, FAST 2018.
struct ledger {
  member_id self;
  const entry_log& log;
  log_index commit = 0;

  /// Whether this replica is the only voter, by its latest configuration.
  [[nodiscard]] bool is_alone() const {
    return votes_alone_at(log.members());
  }

  /// Whether it is the only voter also by the committed configuration.
  [[nodiscard]] bool is_left_alone() const {
    return is_alone() && votes_alone_at(log.members_at(commit));
  }

  /// The contradiction, if there is one, when a leader has entry `index` of that term.
  [[nodiscard]] std::optional<loss> contradicts(log_index index, term_number of_leader) const {
    auto place = std::max(index, log.base_index());
    auto own = log.term_at(place);
    if (index > commit || !own || *own == of_leader)
      return {};
    if (index < log.base_index() && *own > of_leader)
      return {}; // the log here no longer tells
    auto led_alone = votes_alone_at(log.members_at(place));
    return loss{index,
                "entry " + std::to_string(index) + " is committed here in term "
                  + std::to_string(*own) + ", and there it is of term " + std::to_string(of_leader),
                led_alone, *own >= of_leader || led_alone};
  }

  /// The contradiction in an append of a leader of `term`.
  [[nodiscard]] std::optional<loss> contradicts(const append& what, term_number term,
                                                bool leads) const {
    auto found = ends_early(what.last_index, term);
    if (!found)
      found = contradicts(what.previous_index, what.previous_term);
    for (auto& line : what.entries)
      if (!found)
        found = contradicts(line.index, line.term);
    if (!found && what.alone)
      found = is_older(what.last_index, what.promotions);
    if (!found && leads && what.commit > log.last_index())
      found = loss{what.commit, lacks_entry(what.commit)};
    return found;
  }

  /// The contradiction in a snapshot of a leader.
  [[nodiscard]] std::optional<loss> contradicts(const snapshot_header& header) const {
    auto found = contradicts(header.index, header.term);
    return found ? found : is_older(header.index, header.members.promotions);
  }

  /// The contradiction in a message of a leader that was the only voter when it sent it, or in a
  /// snapshot.
  [[nodiscard]] std::optional<loss> contradicts_alone(const message& what) const {
    if (auto* news = std::get_if<append>(&what.body); news && news->alone)
      return contradicts(*news, what.term, false);
    if (auto* part = std::get_if<snapshot_part>(&what.body))
      return is_older(part->header.index, part->header.members.promotions);
    return {};
  }

  /// Entries committed by leaders of other terms that this replica, which leads by its own vote
  /// alone, does not have. It had all entries that earlier leaders committed, so it has lost them.
  [[nodiscard]] std::optional<loss> lost_alone(const message& what) const {
    std::optional<loss> found;
    auto look_at = [&](log_index index, term_number term) {
      if (!found)
        found = lost(index, term);
    };
    if (auto* news = std::get_if<append>(&what.body)) {
      if (news->previous_index <= news->commit)
        look_at(news->previous_index, news->previous_term);
      for (auto& line : news->entries)
        if (line.index <= news->commit)
          look_at(line.index, line.term);
      if (!found && news->commit > log.last_index())
        found = loss{news->commit, lacks_entry(news->commit), true};
    } else if (auto* part = std::get_if<snapshot_part>(&what.body)) {
      look_at(part->header.index, part->header.term);
    }
    return found;
  }

  /// The contradiction with the commit index of a candidate. If this replica `needs_nobody`, no
  /// entry was committed without it, so it has lost the entry if it lacks it. Otherwise it may just
  /// be behind.
  [[nodiscard]] std::optional<loss> lost_by(const vote_request& what, bool needs_nobody) const {
    if (planted_flaw == flaw::loss_overlooked || planted_flaw == flaw::astray_votes)
      return {};
    if (needs_nobody)
      return lost(what.commit_index, what.commit_term);
    return contradicts(what.commit_index, what.commit_term);
  }

private:
  [[nodiscard]] bool votes_alone_at(const configuration& members) const {
    return members.voters() == std::set<member_id>{self};
  }

  /// A leader has all entries committed in earlier terms, so its log cannot end before them.
  [[nodiscard]] std::optional<loss> ends_early(log_index last, term_number term) const {
    auto own = log.term_at(commit);
    if (last == 0 || last >= commit || !own || *own >= term)
      return {};
    return loss{commit,
                "entry " + std::to_string(commit)
                  + " is committed here, and the log of that leader ends at "
                  + std::to_string(last),
                votes_alone_at(log.members_at(commit))};
  }

  /// Whether the other log has fewer promotions, and is so an older copy. A message that ends
  /// before the commit index here may just be late.
  [[nodiscard]] std::optional<loss> is_older(log_index last, std::uint64_t promotions) const {
    auto own = log.members_at(commit).promotions;
    if (last < commit || promotions >= own)
      return {};
    loss found{last, "at entry " + std::to_string(last) + " voters had been added "
                       + std::to_string(promotions) + " times there, and here "
                       + std::to_string(own) + " times before"};
    found.ends_lead = false; // the older copy is wrong, not this replica
    return found;
  }

  [[nodiscard]] bool lacks(log_index index, term_number term) const {
    if (index < log.base_index())
      return term > *log.term_at(log.base_index()); // terms never fall along a log
    return log.term_at(index) != term;
  }

  [[nodiscard]] std::optional<loss> lost(log_index index, term_number term) const {
    if (!lacks(index, term))
      return {};
    return loss{index,
                "entry " + std::to_string(index) + " was committed in term " + std::to_string(term)
                  + ", and this node does not have it",
                true};
  }

  static std::string lacks_entry(log_index index) {
    return "entry " + std::to_string(index) + " was committed, and this leader does not have it";
  }
};

/// Decides when a replica that is the only voter may lead. It asks no other replica, although its
/// log may be an older copy, from before others became voters.
class solitude {
public:
  solitude(time_point now, const options& how) : alone_from_(now + how.lead_alone_after) {}

  /// How long a replica that has lost entries does not stand for election, in election time-outs.
  static constexpr std::int64_t rest = 100;

  /// It led, or would lead, without entries that others have committed. It rests, so that it does
  /// not lead again while the others elect a leader.
  void go_astray(time_point now, const options& how) {
    astray_until_ = now + rest * how.election_timeout;
  }

  /// It has taken committed entries from a leader, so it need not rest.
  void follow() {
    astray_until_ = {};
  }

  /// Others say that entries up to here are committed.
  void hear(log_index committed) {
    known_ = std::max(known_, committed);
  }

  /// Another replica has more than this log, so there may be other voters: wait for a leader.
  void hear_of_more(time_point now, const options& how) {
    alone_from_
      = std::max(alone_from_, now + std::max(how.lead_alone_after, 3 * how.election_timeout));
  }

  /// The earliest time at which it may stand for election.
  [[nodiscard]] time_point stands_from(bool alone) const {
    auto from = planted_flaw == flaw::astray_stands ? time_point{} : astray_until_;
    return alone ? std::max(from, alone_from_) : from;
  }

  [[nodiscard]] bool may_stand(time_point now, const ledger& own) const {
    auto alone = own.is_alone();
    return now >= stands_from(alone) && (!alone || own.log.last_index() >= known_);
  }

  [[nodiscard]] bool is_behind(const ledger& own) const {
    return own.log.last_index() < known_;
  }

private:
  time_point alone_from_;
  time_point astray_until_{};
  log_index known_ = 0;
};

} // namespace troupe::raft::detail
