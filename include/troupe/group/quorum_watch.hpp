#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/group/group_options.hpp"
#include "troupe/raft/quorum.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::host {

/// What one replica knows about the quorum of its group.
struct quorum_view {
  struct voter {
    raft::member_id seat;
    /// See raft::member.
    std::string contact;
    /// True for this replica itself, and for a voter that was heard within quorum_watch::patience()
    /// and has not lost its link since. On a replica that follows a leader, a link is enough.
    bool is_reached = false;
    /// It refuses its vote, because its disk or the one of this replica has lost committed entries.
    bool is_astray = false;
  };

  /// The leader that this replica knows; seat 0 if it knows none.
  raft::member_id leader;
  /// Time since this replica last knew a leader; zero while it knows one.
  duration leaderless_for{};
  /// By the latest configuration in its log. Empty if it is not in a group yet.
  std::vector<voter> voters;
  /// Time since a majority was last reached; zero unless `why` is set.
  duration lost_for{};
  /// no_quorum with the missing voters, once no majority was reached for quorum_watch::patience().
  /// errc::none otherwise: an election may still succeed.
  problem why;

  [[nodiscard]] std::size_t reached() const {
    return static_cast<std::size_t>(
      std::ranges::count_if(voters, [](auto& each) { return each.is_reached; }));
  }

  /// Returns a text like "1 of 3 voters reachable, not B, C". `name_of(contact)` names a node.
  template <class Name>
  [[nodiscard]] std::string standing(Name name_of) const {
    auto text
      = std::to_string(reached()) + " of " + std::to_string(voters.size()) + " voters reachable";
    auto between = ", not ";
    for (auto& each : voters)
      if (!each.is_reached) {
        text += between + name_of(each.contact) + (each.is_astray ? astray : "");
        between = ", ";
      }
    return text;
  }

  static constexpr const char* astray = " whose log lacks or contradicts what is committed here";

  /// Returns the error for clients while no majority is reached.
  template <class Name>
  [[nodiscard]] problem no_quorum(Name name_of) const {
    return {errc::no_quorum,
            "no majority of the voters answers: " + standing(name_of)
              + "; start those that are down, and again those that cannot vote until "
                "then (troupe voters), or repair the network, then retry"};
  }
};

/// Notices when a replica no longer reaches a majority of the voters, and names those that it
/// misses. It has no clock, like a machine; its only input is what the replica hears.
///
/// Each message of a voter shows that it is reached. A leader hears all voters, because they answer
/// its heartbeats. A follower hears its leader, which steps down without a majority, so that its
/// heartbeats count as a majority. A voter without a leader asks all other voters for (pre-)votes
/// every 1 to 1.5 election time-outs, and they answer whether they grant them or not. A voter that
/// answers that one of the two disks has lost entries does not count as reached. Replicas that do
/// not vote ask for no votes, so they cannot know, and never report a lost quorum.
///
/// A process that was stopped for a while heard nothing in that time, which says nothing about the
/// others: the patience begins again. Cost: a look-up in a map for a message; O(voters log voters)
/// for look(), and for review() when it is due or while the quorum is lost.
class quorum_watch {
public:
  /// With less, a lost message or a stall of the machine would be taken for a lost quorum.
  static constexpr duration min_patience = std::chrono::seconds{2};

  /// `name_of`: see group_options::name_of.
  quorum_watch(raft::member_id self, const raft::options& how, contact_naming name_of,
               time_point now)
    : self_(self),
      name_of_(name_of),
      patience_(std::max(min_patience, 2 * how.election_timeout)),
      stepped_at_(now),
      counts_from_(now),
      leaderless_since_(now),
      review_at_(now + patience_) {}

  /// Time without a majority after which `quorum_view::why` is set.
  [[nodiscard]] duration patience() const {
    return patience_;
  }

  // -- what happens -----------------------------------------------------------------------

  /// Call it first in each step.
  void time_is(time_point now) {
    if (now > stepped_at_ + patience_ / 8 * 7) // a stall: timers step it more often
      counts_from_ = now;
    stepped_at_ = std::max(stepped_at_, now);
  }

  /// This replica has another member id from here on.
  void self_is(raft::member_id seat) {
    self_ = seat;
  }

  /// A message of this member has arrived.
  void heard(raft::member_id from, const raft::message& what) {
    auto& peer = peers_[from];
    if (auto* vote = std::get_if<raft::vote_answer>(&what.body))
      peer.is_astray = vote->astray;
    else if (!std::holds_alternative<raft::vote_request>(what.body))
      peer.is_astray = false; // a request for a vote shows no agreement
    if (peer.is_astray)
      return; // its vote is refused, so it counts for no majority
    peer.heard = stepped_at_;
    peer.has_ended = false;
    auto is_of_leader = std::holds_alternative<raft::append>(what.body)
                        || std::holds_alternative<raft::snapshot_part>(what.body);
    if (from == leader_ && is_of_leader)
      counts_from_ = stepped_at_;
  }

  /// A link to this member was established.
  void linked(raft::member_id which) {
    auto& peer = peers_[which];
    peer.is_linked = true;
    peer.has_ended = false;
  }

  /// The link to this member was lost.
  void lost_link(raft::member_id which) {
    auto& peer = peers_[which];
    peer.is_linked = false;
    peer.has_ended = true;
    peer.is_astray = false; // repaired, it may follow, and a follower would send nothing to say so
  }

  /// Call it after each step, with the leader that the replica knows (zero if none) and the
  /// members. Returns what to tell clients, if that has changed: no_quorum with the missing voters,
  /// or errc::none once a majority is reached again.
  std::optional<problem> review(raft::member_id leader, const raft::configuration& members) {
    if (leader == raft::member_id{} && leader_ != raft::member_id{})
      leaderless_since_ = stepped_at_;
    if (leader != leader_ && leader != raft::member_id{} && leader != self_)
      counts_from_ = stepped_at_; // its first heartbeat
    leader_ = leader;
    if (!why_ && stepped_at_ < review_at_)
      return std::nullopt;
    std::erase_if(peers_, [&](auto& each) {
      return !each.second.is_linked && !members.members.contains(each.first);
    });
    // Also for an only voter or a learner, which miss no quorum now: they may soon be one of
    // several voters.
    review_at_ = std::min(last_majority(members), stepped_at_) + patience_;
    auto found = review_at_ <= stepped_at_ ? missing(members) : problem{};
    if (found == why_)
      return std::nullopt;
    why_ = found;
    return found;
  }

  /// When to call review() again if nothing happens before; nothing while the quorum is lost.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return !why_ ? std::optional{review_at_} : std::nullopt;
  }

  // -- what is known ------------------------------------------------------------------------

  [[nodiscard]] quorum_view look(const raft::configuration& members, time_point now) const {
    quorum_view found;
    found.leader = leader_;
    if (leader_ == raft::member_id{})
      found.leaderless_for = std::max(now - leaderless_since_, duration::zero());
    for (auto seat : members.voters())
      found.voters.push_back(
        {seat, members.members.at(seat).contact, is_reached(seat, now), is_astray(seat)});
    if (why_)
      found.lost_for = std::max(now - last_majority(members), duration::zero());
    found.why = why_;
    return found;
  }

private:
  struct evidence {
    time_point heard = time_point::min();
    bool is_linked = false;
    /// Its link was lost, and no link or message has come since.
    bool has_ended = false;
    /// See quorum_view::voter. By its last answer over this link.
    bool is_astray = false;
  };

  /// When a majority of the voters was last heard. The far future if this replica is a majority by
  /// itself, or does not vote and so cannot know.
  [[nodiscard]] time_point last_majority(const raft::configuration& members) const {
    auto voters = members.voters();
    if (!voters.contains(self_))
      return far_future;
    std::map<raft::member_id, duration::rep> heard;
    for (auto seat : voters)
      heard[seat] = counts_from_.time_since_epoch().count();
    for (auto& [seat, each] : peers_)
      if (auto known = heard.find(seat); known != heard.end())
        known->second = std::max(known->second, each.heard.time_since_epoch().count());
    heard[self_] = far_future.time_since_epoch().count();
    return time_point{duration{raft::agreed(voters, heard)}};
  }

  [[nodiscard]] bool is_reached(raft::member_id seat, time_point now) const {
    if (seat == self_)
      return true;
    auto found = peers_.find(seat);
    if (found == peers_.end() || found->second.has_ended)
      return false;
    auto follows = leader_ != raft::member_id{} && leader_ != self_; // followers are silent
    return (follows && found->second.is_linked) || found->second.heard > now - patience_;
  }

  [[nodiscard]] bool is_astray(raft::member_id seat) const {
    auto found = peers_.find(seat);
    return found != peers_.end() && found->second.is_astray;
  }

  [[nodiscard]] problem missing(const raft::configuration& members) const {
    return look(members, stepped_at_).no_quorum([this](const std::string& contact) {
      return name_of_ != nullptr ? name_of_(contact) : contact;
    });
  }

  /// Half of the range, so that adding a duration does not overflow.
  static constexpr time_point far_future{duration::max() / 2};

  raft::member_id self_;
  contact_naming name_of_;
  duration patience_;
  time_point stepped_at_;
  /// Each voter counts as heard at this time: that of the start, of the end of a stall, or of the
  /// last heartbeat of the leader.
  time_point counts_from_;
  time_point leaderless_since_;
  time_point review_at_;
  raft::member_id leader_;
  std::map<raft::member_id, evidence> peers_;
  problem why_;
};

} // namespace troupe::host
