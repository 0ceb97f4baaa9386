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
#include "troupe/host/group_options.hpp"
#include "troupe/raft/quorum.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::host {

/// What one replica knows of the quorum of its group.
struct quorum_view {
  struct voter {
    raft::seat_id seat;
    /// As raft::member has it.
    std::string contact;
    /// This replica itself, or one that it has heard of within quorum_watch's patience.
    bool is_reached = false;
    /// It answers, but has lost what was committed here, or the other way round: it gives no vote.
    bool is_astray = false;
  };

  /// The leader that this replica knows; seat 0 if it knows none.
  raft::seat_id leader;
  /// Time since it knew one; zero while it knows one.
  duration leaderless_for{};
  /// By the newest configuration in its log. Empty if it is no member of a group yet.
  std::vector<voter> voters;
  /// Time since a majority was reached last; zero unless `why` is set.
  duration lost_for{};
  /// no_quorum and who is missing, once fewer than a majority of the voters was reached for the
  /// patience. errc::none otherwise: then an election may still succeed.
  problem why;

  [[nodiscard]] std::size_t reached() const {
    return static_cast<std::size_t>(
      std::ranges::count_if(voters, [](auto& each) { return each.is_reached; }));
  }

  /// "1 of 3 voters reachable, not B, C"; `name_of(contact)` is what people call a node.
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

  /// What callers are told once too few are reached.
  template <class Name>
  [[nodiscard]] problem no_quorum(Name name_of) const {
    return {errc::no_quorum, "no majority of the voters answers: " + standing(name_of)
                               + "; start them or mend the network, then retry"};
  }
};

/// Finds out when a replica reaches fewer than a majority of its voters, and which ones it
/// misses. Machine: no clock, and it reads only what the replica hears.
///
/// The evidence is whatever a voter says. A leader hears all voters: they answer its heartbeats.
/// A follower hears its leader, which steps down without a majority, so that its heartbeats stand
/// for one. A voter without a leader asks all others for (pre-)votes every 1 to 1.5 election
/// time-outs, and they answer whatever they think of it; one that says that its vote is not to be
/// had, as one of the two disks has lost something, is no help, and is not reached. Only voters
/// ask: other replicas have no evidence, and are never said to have lost the quorum.
///
/// A process that was stopped for a while has heard nobody in that time, which says nothing of the
/// others: it counts anew. Cost: O(1) for a message, O(voters) for a look.
class quorum_watch {
public:
  /// Below this a lost vote or a stall of the machine would be taken for a lost majority.
  static constexpr duration min_patience = std::chrono::seconds{2};

  /// `name_of`: null for the contact itself.
  quorum_watch(raft::seat_id self, const raft::options& how, contact_naming name_of, time_point now)
    : self_(self),
      name_of_(name_of),
      patience_(std::max(min_patience, 2 * how.election_timeout)),
      stepped_at_(now),
      counts_from_(now),
      leaderless_since_(now),
      review_at_(now + patience_) {}

  /// Time without a majority until `quorum_view::why` says so.
  [[nodiscard]] duration patience() const {
    return patience_;
  }

  // -- what happens -----------------------------------------------------------------------

  /// Comes before anything else of each step.
  void time_is(time_point now) {
    if (now > stepped_at_ + patience_ / 8 * 7) // a replica has something to do more often
      counts_from_ = now;
    stepped_at_ = std::max(stepped_at_, now);
  }

  /// This replica has another seat from here on.
  void self_is(raft::seat_id seat) {
    self_ = seat;
  }

  /// A message of this member has come.
  void heard(raft::seat_id from, const raft::message& what) {
    auto& peer = peers_[from];
    if (auto* vote = std::get_if<raft::vote_answer>(&what.body))
      peer.is_astray = vote->astray;
    else if (!std::holds_alternative<raft::vote_request>(what.body))
      peer.is_astray = false; // two that contradict each other ask each other, too
    if (peer.is_astray)
      return; // no majority can be had with it
    peer.heard = stepped_at_;
    peer.has_ended = false;
    auto is_of_leader = std::holds_alternative<raft::append>(what.body)
                        || std::holds_alternative<raft::snapshot_part>(what.body);
    if (from == leader_ && is_of_leader)
      counts_from_ = stepped_at_;
  }

  /// There is a link to this member.
  void linked(raft::seat_id which) {
    auto& peer = peers_[which];
    peer.is_linked = true;
    peer.has_ended = false;
  }

  /// There is none any more.
  void lost_link(raft::seat_id which) {
    auto& peer = peers_[which];
    peer.is_linked = false;
    peer.has_ended = true;
    peer.is_astray = false; // who follows says nothing to others, also when it has been mended
  }

  /// After each step: this one leads as far as the replica knows, and these are the members.
  /// Returns what to tell whoever wants something of the group, if that has changed: no_quorum, or
  /// errc::none once a majority is reached again.
  std::optional<problem> review(raft::seat_id leader, const raft::configuration& members) {
    if (leader == raft::seat_id{} && leader_ != raft::seat_id{})
      leaderless_since_ = stepped_at_;
    if (leader != leader_ && leader != raft::seat_id{} && leader != self_)
      counts_from_ = stepped_at_; // by its first heartbeat
    leader_ = leader;
    if (why_.code == errc::none && stepped_at_ < review_at_)
      return std::nullopt;
    std::erase_if(peers_, [&](auto& each) {
      return !each.second.is_linked && !members.members.contains(each.first);
    });
    // Also where it is certain for now: who leads alone or learns may be one of several voters
    // soon.
    review_at_ = std::min(last_majority(members), stepped_at_) + patience_;
    auto found = review_at_ <= stepped_at_ ? missing(members) : problem{};
    if (found == why_)
      return std::nullopt;
    why_ = found;
    return found;
  }

  /// When review() wants to be called again, if nothing happens before.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return why_.code == errc::none ? std::optional{review_at_} : std::nullopt;
  }

  // -- what is known ------------------------------------------------------------------------

  [[nodiscard]] quorum_view look(const raft::configuration& members, time_point now) const {
    quorum_view found;
    found.leader = leader_;
    if (leader_ == raft::seat_id{})
      found.leaderless_for = std::max(now - leaderless_since_, duration::zero());
    for (auto seat : members.voters())
      found.voters.push_back(
        {seat, members.members.at(seat).contact, is_reached(seat, now), is_astray(seat)});
    if (why_.code != errc::none)
      found.lost_for = std::max(now - last_majority(members), duration::zero());
    found.why = why_;
    return found;
  }

private:
  struct evidence {
    time_point heard = time_point::min();
    bool is_linked = false;
    /// Its link has ended, and nothing came since.
    bool has_ended = false;
    /// By its last answer on this link.
    bool is_astray = false;
  };

  /// When a majority of the voters was heard last. The far future where it is certain, or where
  /// there is no evidence.
  [[nodiscard]] time_point last_majority(const raft::configuration& members) const {
    auto voters = members.voters();
    if (!voters.contains(self_))
      return far_future;
    std::map<raft::seat_id, duration::rep> heard;
    for (auto seat : voters)
      heard[seat] = counts_from_.time_since_epoch().count();
    for (auto& [seat, each] : peers_)
      if (auto known = heard.find(seat); known != heard.end())
        known->second = std::max(known->second, each.heard.time_since_epoch().count());
    heard[self_] = far_future.time_since_epoch().count();
    return time_point{duration{raft::agreed(voters, heard)}};
  }

  [[nodiscard]] bool is_reached(raft::seat_id seat, time_point now) const {
    if (seat == self_)
      return true;
    auto found = peers_.find(seat);
    if (found == peers_.end() || found->second.has_ended)
      return false;
    auto follows = leader_ != raft::seat_id{} && leader_ != self_; // then others are silent
    return (follows && found->second.is_linked) || found->second.heard > now - patience_;
  }

  [[nodiscard]] bool is_astray(raft::seat_id seat) const {
    auto found = peers_.find(seat);
    return found != peers_.end() && found->second.is_astray;
  }

  [[nodiscard]] problem missing(const raft::configuration& members) const {
    return look(members, stepped_at_).no_quorum([this](const std::string& contact) {
      return name_of_ != nullptr ? name_of_(contact) : contact;
    });
  }

  /// Sums of it and a span do not overflow.
  static constexpr time_point far_future{duration::max() / 2};

  raft::seat_id self_;
  contact_naming name_of_;
  duration patience_;
  time_point stepped_at_;
  /// The least that counts as the last word of everybody: since the start, a stall, or the last
  /// heartbeat of a leader.
  time_point counts_from_;
  time_point leaderless_since_;
  time_point review_at_;
  raft::seat_id leader_;
  std::map<raft::seat_id, evidence> peers_;
  problem why_;
};

} // namespace troupe::host
