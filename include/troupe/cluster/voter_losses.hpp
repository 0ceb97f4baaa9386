#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/seats_types.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::cluster {

/// Knows which voters are gone, as the leader sees it, and which of them is to be replaced. Part of
/// `seats`.
///
/// - A voter is there while this node has a link to it, or the members show it alive or suspect it.
///   Otherwise it is gone: they show it dead, or that it has stopped, or have never met it. A link
///   that is lost proves nothing.
/// - It is gone, too, if its replica has said nothing for `silent_after` while this node led: its
///   process may go on with a disk that has failed.
/// - It is to be replaced once it has been gone for `replace_after` without a break while this node
///   led, and no voter has gone or come back for `calm`, or for `replace_after` if that is shorter.
///   Voters that come and go again and again put it off for `longest_calm` times as long at most.
/// - One at a time: the one that has been gone longest. It goes once there are more voters than
///   before. If it comes back earlier it stays, and a node that votes in its place by then loses
///   its vote, unless it is needed: the other one is gone again, or another voter has been
///   replaced, or all voters are wanted.
/// - A leader counts from its election on. It cannot know for how long a voter was gone before, and
///   where leadership has just moved, another change of the voters is not urgent.
///
/// Cost of a call: O(log n), of look O(members * log n).
class voter_losses {
public:
  /// Voters that come and go at times, as in a rolling restart, put a replacement off for so long.
  static constexpr duration calm = std::chrono::seconds{30};
  /// Ten times `calm` are five minutes, in which a rolling restart of all voters is over.
  static constexpr int longest_calm = 10;

  /// Of members that are there it remembers `seats_options::max_nodes`. If there are more, those
  /// that do not vote give way to those that do. A node that was left out and votes later is
  /// unknown, and taken to be there until the members say something of it.
  explicit voter_losses(const seats_options& how)
    : replace_after_(how.replace_after),
      silent_after_(how.silent_after),
      max_nodes_(how.max_nodes),
      wanted_(how.voters) {}

  // -- what is known of the members ----------------------------------------------------------

  /// The members show that node alive, or suspect it; or not.
  void shows(const node_id& node, bool is_there, time_point now) {
    unknown_.erase(node);
    if (!is_there) {
      shown_.erase(node);
      return;
    }
    came(node, now);
    shown_.insert(node);
    if (shown_.size() <= max_nodes_)
      return;
    has_left_out_ = true;
    auto spare = std::ranges::find_if(shown_, [&](auto& each) { return !voters_.contains(each); });
    if (spare == shown_.end())
      unknown_.insert(node);
    shown_.erase(spare != shown_.end() ? node_id{*spare} : node);
  }

  /// The members of the group are these.
  void members_are(const raft::configuration& members) {
    auto before = std::exchange(voters_, voters_of(members));
    std::erase_if(unknown_, [this](auto& node) { return !voters_.contains(node); });
    for (auto& node : voters_)
      if (has_left_out_ && !before.contains(node) && !shown_.contains(node))
        unknown_.insert(node);
  }

  /// There is a link to it, or the members show it.
  void came(const node_id& node, time_point now) {
    if (!silent_.contains(node) && gone_.erase(node) > 0)
      changed_at_ = now;
  }

  // -- while this node leads -----------------------------------------------------------------

  /// It leads from here on.
  void begin(time_point now) {
    end();
    changed_at_ = now;
  }

  /// It leads no more.
  void end() {
    gone_.clear();
    silent_.clear();
    due_.reset();
    stand_in_.reset();
    to_go_.clear();
  }

  /// How long the replicas of the others have said nothing.
  void hear(const std::vector<raft::replica_types::member_status>& others, time_point now) {
    silent_.clear();
    if (planted_flaw == flaw::silent_voter_kept)
      return;
    for (auto& each : others)
      if (each.silent_for >= silent_after_)
        silent_.emplace(to_seat_contact(each.who.contact).node, now - each.silent_for);
  }

  /// The members are these. `is_open`: a change of them is under way. Returns the voter that is to
  /// be replaced from here on, and was not before.
  template <class IsLinked>
  std::optional<node_id> look(time_point now, const raft::configuration& members, bool is_open,
                              IsLinked is_linked) {
    if (replace_after_ == duration::zero())
      return std::nullopt;
    auto voters = voters_of(members);
    for (auto& node : voters)
      if (auto silent = silent_.find(node); silent != silent_.end())
        changed_at_ = gone_.emplace(node, silent->second).second ? now : changed_at_;
      else if (is_linked(node) || shown_.contains(node) || unknown_.contains(node))
        came(node, now);
      else if (gone_.emplace(node, now).second)
        changed_at_ = now;
    std::erase_if(gone_, [&](auto& each) { return !voters.contains(each.first); });
    auto is_new = choose(now, voters.size());
    judge_stand_in(voters, is_open);
    to_go_.clear();
    if (due_)
      to_go_.insert(*due_);
    else if (stand_in_ && voters.contains(stand_in_->node) && voters.contains(stand_in_->of)
             && !gone_.contains(stand_in_->of))
      to_go_.emplace(stand_in_->node, stand_in_->voters);
    return is_new ? std::optional{due_->first} : std::nullopt;
  }

  /// That node is to become a voter, and nobody has asked for that. If one is to be replaced, it
  /// takes its place.
  void promotes(const node_id& node) {
    if (due_ && !stand_in_)
      stand_in_ = {node, due_->first, due_->second};
  }

  /// Somebody wants that node to vote.
  void wanted(const node_id& node) {
    if (stand_in_ && stand_in_->node == node)
      stand_in_.reset();
  }

  /// By node: voters that go once there are more than so many.
  [[nodiscard]] const std::map<node_id, std::size_t>& to_go() const {
    return to_go_;
  }

  /// Voters that are gone, and since when.
  [[nodiscard]] const std::map<node_id, time_point>& gone() const {
    return gone_;
  }

  /// Whether that voter counts as gone although the members show it.
  [[nodiscard]] bool is_silent(const node_id& node) const {
    return silent_.contains(node) && shown_.contains(node);
  }

  /// When a voter that has been gone `since` then is to be replaced, if nothing changes.
  [[nodiscard]] time_point due_at(time_point since) const {
    if (planted_flaw == flaw::death_rushed)
      return since;
    auto due
      = replace_after_ < time_point::max() - since ? since + replace_after_ : time_point::max();
    auto pause = std::min(replace_after_, calm);
    auto latest = due < time_point::max() - longest_calm * pause ? due + longest_calm * pause
                                                                 : time_point::max();
    return std::max(due, std::min(changed_at_ + pause, latest));
  }

  /// The voter that is to be replaced now.
  [[nodiscard]] std::optional<node_id> due() const {
    return due_ ? std::optional{due_->first} : std::nullopt;
  }

  /// Whether more members were there than it has room for.
  [[nodiscard]] bool has_left_out() const {
    return has_left_out_;
  }

  /// Whether that voter is taken to be there only because it was left out.
  [[nodiscard]] bool is_unknown(const node_id& node) const {
    return unknown_.contains(node);
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    expect(shown_.size() <= max_nodes_, "more members are known than allowed");
    expect(std::ranges::includes(voters_, unknown_), "a node that does not vote is unknown");
    expect(!due_ || replace_after_ != duration::zero(), "a voter is replaced where none is to be");
    expect(to_go_.size() <= 1, "two voters are replaced at a time");
    return found;
  }

private:
  static std::set<node_id> voters_of(const raft::configuration& members) {
    std::set<node_id> found;
    for (auto& [seat, who] : members.members)
      if (who.votes)
        found.insert(to_seat_contact(who.contact).node);
    return found;
  }

  /// A node that was to become a voter in the place of another one.
  struct stand_in {
    node_id node;
    node_id of;
    /// So many there were before.
    std::size_t voters = 0;
  };

  /// Returns whether another one is to be replaced than before.
  bool choose(time_point now, std::size_t voters) {
    if (due_ && gone_.contains(due_->first))
      return false;
    due_.reset();
    auto longest = std::ranges::min_element(gone_, {}, [](auto& each) {
      return std::pair{each.second, each.first};
    });
    if (longest == gone_.end() || due_at(longest->second) > now)
      return false;
    auto has_stand_in = stand_in_ && stand_in_->of == longest->first;
    due_ = {longest->first, has_stand_in ? stand_in_->voters : voters};
    return true;
  }

  /// Its part is over once one of the two does not vote, or both are needed. An even number
  /// tolerates no more failures than the odd number below it.
  void judge_stand_in(const std::set<node_id>& voters, bool is_open) {
    if (!stand_in_ || is_open)
      return;
    auto count = voters.size();
    auto are_wanted = count <= stand_in_->voters || (count <= wanted_ && count % 2 == 1);
    if (are_wanted || !voters.contains(stand_in_->of) || !voters.contains(stand_in_->node))
      stand_in_.reset();
  }

  const duration replace_after_;
  const duration silent_after_;
  const std::size_t max_nodes_;
  const std::size_t wanted_;
  /// Members that are there.
  std::set<node_id> shown_;
  /// There were more of them.
  bool has_left_out_ = false;
  /// By members_are().
  std::set<node_id> voters_;
  std::set<node_id> unknown_;
  std::map<node_id, time_point> gone_;
  /// Nodes whose replicas say nothing, and since when.
  std::map<node_id, time_point> silent_;
  /// When a voter has last gone or come back, or this node has begun to lead.
  time_point changed_at_{};
  /// The voter that is replaced, and how many there were when that began.
  std::optional<std::pair<node_id, std::size_t>> due_;
  std::optional<stand_in> stand_in_;
  std::map<node_id, std::size_t> to_go_;
};

} // namespace troupe::cluster
