#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/raft/replica.hpp"
#include "troupe/sim/world/raft_process.hpp"

namespace troupe::sim {

/// Checks after every step of every replica: Raft's five safety properties (Ongaro and Ousterhout,
/// "In search of an understandable consensus algorithm", USENIX ATC 2014, figure 3); that reads see
/// all entries committed before they were asked; that new voters know that they are members; and
/// that no replica reports another one as wrong, since all are correct and their disks keep synced
/// entries, but for those that were put back. A process that takes part under several member ids is
/// one for each: the number of a member id, less one.
///
/// Collects violations as sentences; throws nothing.
class raft_laws {
public:
  /// Call with all effects of a step, also as a group_core passes them on.
  template <class Effects>
  void stepped(process_id who, const raft::replica& replica, const Effects& out) {
    auto look = overloaded{
      [&](const raft::replica::changed_role& change) {
        if (change.now == raft::role::leader)
          leads(who, change.term);
      },
      [&](const raft::replica::write& what) { writes(who, replica, what); },
      [&](const raft::replica::taken_back& what) { takes_back(who, replica.term(), what.first); },
      [&](const raft::replica::forgot& what) {
        if (!put_back_.contains(static_cast<process_id>(what.seat.value - 1)))
          broken("honest disks: process " + std::to_string(who) + " misses entries up to "
                 + std::to_string(what.synced) + " at process "
                 + std::to_string(what.seat.value - 1));
      },
      [&](const raft::replica::ignored& what) {
        if (put_back_.empty()) // otherwise it may be right
          broken("honest members: process " + std::to_string(who) + " ignores process "
                 + std::to_string(what.from.value - 1) + ": " + what.why.detail);
      },
      [](const auto&) {},
    };
    for (auto& what : out)
      troupe::visit(look, what);
    check_end(who, replica);
    if (replica.current_role() == raft::role::leader) {
      check_leader(who, replica);
      commits(replica);
    } else {
      led_.erase(who);
    }
  }

  /// The disk of this process is an older copy from here on, with entries up to `last`.
  void put_back(process_id who, raft::log_index last) {
    put_back_.insert(who);
    led_.erase(who);
    installed_[who] = std::min(installed_[who], last);
    for (auto each = entries_.upper_bound({last, raft::max_number}); each != entries_.end(); ++each)
      each->second.writers.erase(who);
  }

  void applied(process_id who, const raft::entry& line, const applied_state& state) {
    auto found = applied_.try_emplace(line.index, state).first;
    if (auto& last = last_at_[who]; line.index > last.first) {
      if (line.at < last.second)
        broken("time: entry " + std::to_string(line.index)
               + " is stamped before the one before it");
      last = {line.index, line.at};
    }
    if (found->second != state)
      broken("state machine safety: process " + std::to_string(who) + " applies another entry "
             + std::to_string(line.index));
    highest_ = std::max(highest_, line.index);
  }

  /// The highest entry that any process has applied.
  [[nodiscard]] raft::log_index highest() const {
    return highest_;
  }

  void read(process_id who, raft::log_index at, raft::log_index asked_after) {
    ++reads_;
    if (at < asked_after)
      broken("stale read: process " + std::to_string(who) + " answers from entry "
             + std::to_string(at) + " where " + std::to_string(asked_after)
             + " had been applied before");
  }

  void broken(std::string what) {
    if (violations_.size() < 10)
      violations_.push_back(std::move(what));
  }

  [[nodiscard]] const std::vector<std::string>& violations() const {
    return violations_;
  }

  [[nodiscard]] std::size_t elections() const {
    return leaders_.size();
  }

  [[nodiscard]] std::size_t reads() const {
    return reads_;
  }

private:
  struct known {
    std::uint64_t hash = 0;
    raft::term_number before = 0;
    /// Replicas that wrote it and have not taken it back.
    std::set<process_id> writers;
  };

  struct commitment {
    raft::term_number term = 0;
    /// Term of the first replica that knew it as committed. Leaders of earlier terms may still lack
    /// it: elected by late votes, they cannot commit anything.
    raft::term_number known_in = 0;
  };

  void leads(process_id who, raft::term_number term) {
    auto [found, is_new] = leaders_.try_emplace(term, who);
    if (!is_new && found->second != who)
      broken("election safety: processes " + std::to_string(found->second) + " and "
             + std::to_string(who) + " lead term " + std::to_string(term));
  }

  /// An entry counts as committed as soon as a leader knows it, sent to others or not.
  void commits(const raft::replica& replica) {
    auto index = committed_.empty() ? 0 : committed_.rbegin()->first;
    while (++index <= replica.commit_index())
      if (auto term = replica.term_of(index))
        committed_.try_emplace(index, commitment{*term, replica.term()});
  }

  /// Entries with the same index and term are equal in all logs, and so are all before them.
  void writes(process_id who, const raft::replica& replica, const raft::replica::write& what) {
    auto before = what.first > 0 ? replica.term_of(what.first - 1) : std::nullopt;
    for (auto& line : what.entries) {
      encoder bytes;
      bytes.put(line);
      rolling_hash hash;
      hash.add(bytes.bytes());
      known mine{hash.value(), before.value_or(0), {}};
      auto [found, is_new] = entries_.try_emplace({line.index, line.term}, mine);
      auto& first = found->second;
      if (!is_new && (first.hash != mine.hash || (before && first.before != mine.before)))
        broken("log matching: entry " + std::to_string(line.index) + " of term "
               + std::to_string(line.term) + " differs at process " + std::to_string(who));
      first.writers.insert(who);
      before = line.term;
      if (auto* members = std::get_if<raft::configuration>(&line.what))
        check_new_voters(replica, {line.index, line.term}, *members);
    }
    if (what.base)
      installed_[who] = std::max(installed_[who], what.base->header.index);
  }

  /// The last entry of a log, written or not, follows the same entry as in other logs.
  void check_end(process_id who, const raft::replica& replica) {
    auto last = replica.last_index();
    auto term = replica.term_of(last);
    auto before = last > 0 ? replica.term_of(last - 1) : std::nullopt;
    auto found = term ? entries_.find({last, *term}) : entries_.end();
    if (before && found != entries_.end() && found->second.before != *before)
      broken("log matching: entry " + std::to_string(last) + " of term " + std::to_string(*term)
             + " stands behind another one at process " + std::to_string(who));
  }

  using place = std::pair<raft::log_index, raft::term_number>;

  /// A learner that becomes a voter has written the configuration in which it is a member. Checked
  /// when the leader writes it: later its disk may be an older copy.
  void check_new_voters(const raft::replica& replica, place where,
                        const raft::configuration& members) {
    auto [next, is_new] = configurations_.try_emplace(where, members);
    while (is_new && next != configurations_.begin()) {
      auto& [before, members_before] = *--next;
      if (replica.term_of(before.first) != before.second)
        continue; // `replica` has another entry there, or has compacted it
      for (auto& [seat, each] : members_before.members) {
        auto who = static_cast<process_id>(seat.value - 1);
        if (!each.votes && members.votes(seat) && installed_[who] < before.first
            && !entries_[before].writers.contains(who))
          broken("new voters know that they are members: process " + std::to_string(who)
                 + " votes by entry " + std::to_string(where.first));
      }
      return;
    }
  }

  /// The leader of a term may reuse indexes of entries that only it had.
  void takes_back(process_id who, raft::term_number term, raft::log_index first) {
    if (auto led = led_.find(who); led != led_.end())
      led->second.second = first - 1;
    for (auto each = entries_.lower_bound({first, 0}); each != entries_.end();) {
      auto& [where, what] = *each;
      if (where.second == term)
        what.writers.erase(who);
      each = what.writers.empty() ? entries_.erase(each) : std::next(each);
    }
  }

  void check_leader(process_id who, const raft::replica& replica) {
    auto now = std::pair{replica.term(), replica.last_index()};
    auto [found, is_new] = led_.try_emplace(who, now);
    if (!is_new && found->second.first == now.first) {
      if (now.second < found->second.second)
        broken("leader append-only: process " + std::to_string(who) + " cut its log");
      found->second = now;
      return;
    }
    found->second = now;
    for (auto& [index, entry] : committed_)
      if (auto mine = replica.term_of(index);
          replica.term() > entry.known_in
          && (index > replica.last_index() || (mine && *mine != entry.term)))
        return broken("leader completeness: process " + std::to_string(who) + " leads term "
                      + std::to_string(now.first) + " without the committed entry "
                      + std::to_string(index));
  }

  std::map<raft::term_number, process_id> leaders_;
  std::map<place, known> entries_;
  std::map<place, raft::configuration> configurations_;
  std::map<process_id, raft::log_index> installed_;
  std::set<process_id> put_back_;
  std::map<raft::log_index, applied_state> applied_;
  std::map<raft::log_index, commitment> committed_;
  std::map<process_id, std::pair<raft::term_number, raft::log_index>> led_;
  std::map<process_id, std::pair<raft::log_index, raft::group_time>> last_at_;
  raft::log_index highest_ = 0;
  std::size_t reads_ = 0;
  std::vector<std::string> violations_;
};

} // namespace troupe::sim
