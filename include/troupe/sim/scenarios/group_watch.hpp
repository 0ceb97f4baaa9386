#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/raft/replica.hpp"
#include "troupe/raft/types.hpp"
#include "troupe/sim/laws/raft_disk_laws.hpp"
#include "troupe/sim/laws/raft_laws.hpp"
#include "troupe/sim/world/group_seat.hpp"
#include "troupe/sim/world/raft_process.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// The Raft group of a world whose nodes have a group_seat: its laws, who leads it, and which disks
/// may be lost or put back without the loss of what is committed. A Process has `group()`, null
/// if it has no seat; its disk is a raft_disk, and its setting a seats_shared.
template <class Process>
class group_watch {
public:
  /// `watched` outlives this, and runs no process yet.
  explicit group_watch(world<Process>& watched) : world_(watched), olds_(watched.size()) {
    auto& shared = world_.setting();
    shared.on_disk = [this](raft::member_id seat) {
      return world_.disk(raft_process::process_of(seat)).last_index();
    };
    shared.stepped = [this](auto, auto& replica, auto& out) {
      auto seat = static_cast<process_id>(replica.self().value - 1);
      note_members(replica);
      laws_.stepped(seat, replica, out);
      disk_laws_.stepped(seat, replica, out);
    };
  }

  group_watch(const group_watch&) = delete;
  group_watch& operator=(const group_watch&) = delete;

  /// The first process founds the group without faults; the others start within 3 s, under faults
  /// from 0.5 s on.
  void begin() {
    world_.start(0);
    world_.at(0)->found();
    world_.arm(0);
    for (process_id which = 1; which < world_.size(); ++which)
      world_.after(std::chrono::milliseconds{0}, std::chrono::seconds{3},
                   [this, which] { world_.start_if_down(which); });
    world_.run_until(std::chrono::milliseconds{500});
    world_.begin_faults();
  }

  [[nodiscard]] const std::vector<std::string>& violations() const {
    return laws_.violations();
  }

  /// The node that leads the latest term, if it knows what is committed; null: none does.
  Process* leader(process_id& where) {
    Process* found = nullptr;
    for (process_id who = 0; who < world_.size(); ++who)
      if (auto* node = world_.at(who);
          node != nullptr && node->group() != nullptr && node->group()->consensus().is_settled()
          && node->group()->consensus().term() == world_.setting().latest) {
        found = node;
        where = who;
      }
    return found;
  }

  /// Whether its configuration is committed.
  static bool is_committed(const raft::replica& replica) {
    return replica.header_at(replica.commit_index()).members == replica.members();
  }

  // -- disks -------------------------------------------------------------------------------------

  /// Keeps a copy of what is on its disk, whether it runs or not.
  void back_up(process_id which) {
    olds_[which] = world_.disk(which);
    olds_[which].crash(world_.random());
  }

  [[nodiscard]] const typename Process::disk& copy_of(process_id which) const {
    return olds_[which];
  }

  /// Whether all that the seats of this process have promised is on the disks of all other voters,
  /// so that nothing is lost with its disk, and the group goes on. Its own links have ended by now,
  /// so what it has acknowledged last does not come any more.
  [[nodiscard]] bool may_lose(process_id which) {
    process_id where = 0;
    auto* leads = leader(where);
    if (leads == nullptr)
      return false;
    auto& replica = leads->group()->consensus();
    auto commit = replica.commit_index();
    if (commit < world_.disk(which).last_index() || !is_committed(replica))
      return false;
    auto latest = world_.setting().latest;
    for (process_id each = 0; each < world_.size(); ++each)
      if (world_.disk(each).stored().last_ballot.term > latest)
        return false;
    auto voters = replica.members().voters();
    auto is_whole = [&](raft::member_id seat) {
      auto who = raft_process::process_of(seat);
      auto* node = world_.at(who);
      return who == which
             || (node != nullptr && node->group()->self() == seat
                 && world_.disk(who).has(commit, replica.term_of(commit)));
    };
    auto stay = std::ranges::count_if(
      voters, [&](raft::member_id seat) { return raft_process::process_of(seat) != which; });
    return std::ranges::all_of(voters, is_whole)
           && 2 * static_cast<std::size_t>(stay) > voters.size();
  }

  /// Puts the copy in the place of its disk, if that is older, and nothing is lost by it. Returns
  /// whether it has done so.
  /// @pre may_lose(which)
  bool put_back(process_id which) {
    auto& disk = world_.disk(which);
    if (olds_[which].last_index() >= disk.last_index() || !may_put_back(which))
      return false;
    disk = olds_[which];
    world_.setting().facts.put_back(disk.seat());
    auto seat = static_cast<process_id>(disk.seat().value - 1);
    laws_.put_back(seat, disk.last_index());
    disk_laws_.put_back(seat);
    return true;
  }

private:
  /// Whether the older copy helps nobody to lead who lacks what is committed. A node that has not
  /// heard that it was removed would need its vote, by the members that it knows of; and so would
  /// it need theirs.
  [[nodiscard]] bool may_put_back(process_id which) {
    process_id where = 0;
    auto& replica = leader(where)->group()->consensus();
    auto commit = replica.commit_index();
    for (process_id each = 0; each < world_.size(); ++each) {
      auto voters = members_on(each == which ? olds_[which] : world_.disk(each)).voters();
      auto lacking = std::ranges::count_if(voters, [&](raft::member_id seat) {
        auto who = raft_process::process_of(seat);
        return who == which || !world_.disk(who).has(commit, replica.term_of(commit));
      });
      if (2 * static_cast<std::size_t>(lacking) > voters.size())
        return false;
    }
    return true;
  }

  static raft::configuration members_on(const raft_disk& disk) {
    auto& kept = disk.stored();
    for (auto line = kept.entries.rbegin(); line != kept.entries.rend(); ++line)
      if (auto* members = std::get_if<raft::configuration>(&line->what))
        return *members;
    return kept.base.members;
  }

  /// What is committed says who the members are.
  void note_members(const raft::replica& replica) {
    if (replica.commit_index() <= noted_)
      return;
    auto first = replica.look(time_point{}).first;
    while (noted_ < replica.commit_index())
      if (++noted_ >= first)
        disk_laws_.applied(replica.entry_at(noted_));
  }

  world<Process>& world_;
  raft_laws laws_;
  raft_disk_laws disk_laws_{[this](process_id seat) -> const raft_disk& {
                              return world_.disk(
                                raft_process::process_of({std::uint64_t{seat} + 1}));
                            },
                            [this](std::string what) { laws_.broken(std::move(what)); }};
  raft::log_index noted_ = 0;
  std::vector<typename Process::disk> olds_;
};

} // namespace troupe::sim
