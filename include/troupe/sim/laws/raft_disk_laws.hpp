#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <variant>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/raft/replica.hpp"
#include "troupe/sim/world/raft_process.hpp"

namespace troupe::sim {

/// Compares the messages of replicas with their disks after every step of every replica: a vote is
/// on the disk before it is sent, acknowledged entries and snapshots are there, a candidate has
/// voted for itself, committed entries are on the disks of a majority, and a snapshot has the
/// configuration of its index. These laws do not rely on what a replica believes.
class raft_disk_laws {
public:
  using teller = std::function<void(std::string)>;

  /// `disk_of` returns the disk of each process, running or not. `broken` is called with each
  /// violation.
  raft_disk_laws(std::function<const raft_disk&(process_id)> disk_of, teller broken)
    : disk_of_(std::move(disk_of)), broken_(std::move(broken)) {}

  /// Call with all effects of a step, also as a group_core passes them on.
  template <class Effects>
  void stepped(process_id who, const raft::replica& replica, const Effects& out) {
    auto& seen = seen_[who];
    check_kept(who, seen, replica);
    auto look = overloaded{
      [&](const raft::replica::send& letter) {
        troupe::visit([&](auto& body) { check_said(who, replica, letter, body); },
                      letter.what.body);
      },
      [&](const raft::replica::write& what) { check_write(who, what); },
      [](const auto&) {},
    };
    for (auto& what : out)
      troupe::visit(look, what);
    auto leads = replica.current_role() == raft::role::leader;
    auto led = leads || seen.leads == replica.term(); // it may have removed itself
    if (led && replica.commit_index() > seen.commit)
      check_commit(who, replica);
    if (leads && seen.leads == replica.term() && replica.members() != seen.members
        && replica.term_of(replica.commit_index()) != replica.term())
      broken_("members change once their leader knows what is committed: " + name(who)
              + " changes them in term " + std::to_string(replica.term()) + " before");
    seen.members = replica.members();
    seen.commit = replica.commit_index();
    seen.leads = leads ? replica.term() : 0;
  }

  /// The disk of this process is an older copy from here on.
  void put_back(process_id who) {
    seen_.erase(who);
  }

  void applied(const raft::entry& line) {
    if (auto* members = std::get_if<raft::configuration>(&line.what))
      members_.try_emplace(line.index, *members);
  }

private:
  /// What one process has done so far.
  struct history {
    raft::log_index commit = 0;
    raft::term_number leads = 0;
    raft::configuration members;
    /// The term of its last acknowledgement, and the index acknowledged in it.
    raft::term_number acknowledged_in = 0;
    raft::log_index acknowledged = 0;
  };

  static std::string name(process_id who) {
    return "process " + std::to_string(who);
  }

  template <class Body>
  void check_said(process_id, const raft::replica&, const raft::replica::send&, const Body&) {}

  void check_said(process_id who, const raft::replica&, const raft::replica::send& letter,
                  const raft::vote_answer& what) {
    if (what.granted && !what.trial && ballot(who) != raft::ballot{letter.what.term, letter.to})
      broken_("votes are on the disk: " + name(who) + " tells of one in term "
              + std::to_string(letter.what.term) + " that it would not know of after a restart");
  }

  void check_said(process_id who, const raft::replica& replica, const raft::replica::send& letter,
                  const raft::vote_request& what) {
    if (!what.trial && ballot(who) != raft::ballot{letter.what.term, replica.self()})
      broken_("votes are on the disk: " + name(who) + " asks for some in term "
              + std::to_string(letter.what.term) + " before it has written down its own");
  }

  void check_said(process_id who, const raft::replica& replica, const raft::replica::send& letter,
                  const raft::append_answer& what) {
    if (!what.accepted)
      return;
    auto term = replica.term_of(what.index);
    if (!disk_of_(who).has(what.index, term) || (term && *term > letter.what.term))
      broken_("what is acknowledged is on the disk: " + name(who) + " acknowledges entry "
              + std::to_string(what.index) + " without");
    auto& seen = seen_[who];
    if (std::exchange(seen.acknowledged_in, letter.what.term) != letter.what.term)
      seen.acknowledged = 0;
    seen.acknowledged = std::max(seen.acknowledged, what.index);
  }

  void check_said(process_id who, const raft::replica&, const raft::replica::send&,
                  const raft::snapshot_part& what) {
    auto after = members_.upper_bound(what.header.index);
    if (after == members_.begin() || std::prev(after)->second != what.header.members)
      broken_("a snapshot has the members of its place: " + name(who) + " sends one of entry "
              + std::to_string(what.header.index) + " with others");
  }

  /// Within a term a replica keeps the entries that it has acknowledged.
  void check_kept(process_id who, const history& before, const raft::replica& replica) {
    if (replica.term() == before.acknowledged_in && replica.last_index() < before.acknowledged)
      broken_("what is acknowledged is kept: " + name(who) + " has no entry "
              + std::to_string(before.acknowledged) + " any more");
  }

  void check_write(process_id who, const raft::replica::write& what) {
    if (!what.base && !what.entries.empty() && what.first > disk_of_(who).last_index() + 1)
      broken_("logs have no gaps: " + name(who) + " writes entry " + std::to_string(what.first)
              + " behind entry " + std::to_string(disk_of_(who).last_index()));
  }

  /// A leader commits only entries that a majority of the voters would have after a restart, and
  /// only by entries of its own term.
  void check_commit(process_id who, const raft::replica& replica) {
    auto index = replica.commit_index();
    auto term = replica.term_of(index);
    if (term != replica.term())
      broken_("a leader counts its own entries: " + name(who) + " commits entry "
              + std::to_string(index) + " of another term");
    std::size_t have = 0;
    auto voters = replica.members().voters();
    for (auto seat : voters)
      have += disk_of_(static_cast<process_id>(seat.value - 1)).has(index, term) ? 1 : 0;
    if (have <= voters.size() / 2)
      broken_("what is committed is on the disks of a majority: " + name(who) + " commits entry "
              + std::to_string(index) + ", and " + std::to_string(have) + " of "
              + std::to_string(voters.size()) + " have it");
  }

  [[nodiscard]] const raft::ballot& ballot(process_id who) const {
    return disk_of_(who).stored().last_ballot;
  }

  std::function<const raft_disk&(process_id)> disk_of_;
  teller broken_;
  std::map<process_id, history> seen_;
  std::map<raft::log_index, raft::configuration> members_; // committed
};

} // namespace troupe::sim
