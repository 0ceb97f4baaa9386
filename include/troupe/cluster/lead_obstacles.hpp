#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "troupe/cluster/own_seat.hpp"
#include "troupe/cluster/seat_cards.hpp"
#include "troupe/cluster/seat_wishes.hpp"
#include "troupe/cluster/seats_types.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/group/quorum_watch.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::cluster {

/// Says what keeps a group from having a leader, or this node from following it: to callers, and
/// once to the operator. Part of `seats`. Cost of a call: O(links + voters).
class lead_obstacles {
public:
  using types = seats_types;

  /// Both outlive this.
  lead_obstacles(const seat_cards& cards, const seat_wishes& wishes)
    : cards_(cards), wishes_(wishes) {}

  /// Returns what callers are to be told.
  [[nodiscard]] problem now(const host::quorum_view& known, const own_seat& own,
                            time_point now) const {
    if (known.leader != raft::member_id{} || known.why)
      return refusal(known, own);
    if (now < contradicted_until_)
      return {errc::no_quorum, "nobody leads this node: " + contradiction_};
    if (own.is_unheard_of(cards_))
      return {
        errc::no_quorum,
        "the disk of this node has lost what it had synced (is its folder an older copy?): it "
        "has given up its seat, and waits for a leader that gives it another one"};
    if (!said_missing_.empty())
      return {errc::no_quorum, said_missing_};
    return {};
  }

  /// Tells the node, and its operator, what is new. Returns whether no leader is known.
  bool look(const host::quorum_view& known, const own_seat& own, time_point now,
            types::effects& out) {
    if (auto why = refusal(known, own); why != said_refusal_)
      out.push_back(types::without_quorum{said_refusal_ = std::move(why)});
    if (known.leader != raft::member_id{} || known.voters.empty()) {
      end_missing(out);
      too_few_at_.reset();
      return false;
    }
    if (!is_asked(own)) {
      end_missing(out);
      return true; // those that vote by its log may vote no more, so others are asked
    }
    if (!has_majority(known))
      too_few_at_ = now;
    auto missing = standing(known);
    if (has_waited(known, now) && missing != said_missing_)
      out.push_back(types::complain{types::no_leader, said_missing_ = std::move(missing)});
    return true;
  }

  void disk_is(const problem& why, types::effects& out) {
    is_disk_full_ = why.code != errc::none;
    constexpr const char* topic = "writes nothing new to its data folder";
    if (!is_disk_full_)
      out.push_back(types::settle{topic});
    else
      out.push_back(types::complain{topic, why.detail});
  }

  /// A message of a member was ignored. The sender repeats such a message.
  void ignored(const types::ignored& what, const own_seat& own, time_point now,
               types::effects& out) {
    auto detail = what.why.detail;
    if (what.contradicts && own.is_unheard_of(cards_))
      detail += ". By what this node has heard it is its own: move its log away (group.db and what "
                "begins with that name), start it with the address of one of the others "
                "(node_options::join), and it comes back with their state";
    out.push_back(
      types::complain{"drops messages of " + cards_.name_of_seat(what.from, revoked()), detail});
    if (!what.contradicts)
      return;
    contradiction_ = std::move(detail);
    contradicted_until_ = now + contradicted_for;
  }

private:
  [[nodiscard]] const std::set<node_id>& revoked() const {
    return wishes_.all().revoked;
  }

  /// As the group has it, but with the names of nodes.
  [[nodiscard]] problem refusal(const host::quorum_view& known, const own_seat& own) const {
    if (!known.why || !is_asked(own))
      return {};
    auto why = known.no_quorum(
      [this](const std::string& contact) { return cards_.name_at(contact, revoked()); });
    if (is_disk_full_)
      why.detail += "; the disk of this node is full, too: make room there";
    return why;
  }

  void end_missing(types::effects& out) {
    if (!std::exchange(said_missing_, {}).empty())
      out.push_back(types::settle{types::no_leader});
  }

  /// Whether this node is to know who votes.
  [[nodiscard]] bool is_asked(const own_seat& own) const {
    return own.votes() || own.is_unheard_of(cards_);
  }

  static bool has_majority(const host::quorum_view& known) {
    return 2 * known.reached() > known.voters.size();
  }

  /// Whether it is to be said that no leader is known. A majority that has come back elects one
  /// first.
  [[nodiscard]] bool has_waited(const host::quorum_view& known, time_point now) const {
    if (!has_majority(known))
      return known.leaderless_for >= say_leaderless_after;
    return known.leaderless_for >= say_unheard_after
           && (!too_few_at_ || now - *too_few_at_ >= say_unheard_after);
  }

  /// A majority that is reached has a leader, or elects one; this node may only not have heard.
  [[nodiscard]] std::string standing(const host::quorum_view& known) const {
    auto text = known.standing(
      [this](const std::string& contact) { return cards_.name_at(contact, revoked()); });
    if (has_majority(known))
      text += ", and none of them has said to this node that it leads; its log may be older than "
              "theirs, as that of a node that has left: then the leader gives it a seat, if it "
              "may have one (troupe voters, on another node)";
    return text;
  }

  /// An election takes less.
  static constexpr duration say_leaderless_after = std::chrono::seconds{2};
  /// So does the way of a node that was away, or has left, back to a leader.
  static constexpr duration say_unheard_after = std::chrono::seconds{10};
  /// It is repeated more often while it is true.
  static constexpr duration contradicted_for = std::chrono::seconds{30};

  const seat_cards& cards_;
  const seat_wishes& wishes_;
  problem said_refusal_;
  std::string said_missing_;
  /// When no majority was reached last, since no leader is known.
  std::optional<time_point> too_few_at_;
  bool is_disk_full_ = false;
  /// What was heard last of a leader that this node cannot follow, and until when it counts.
  std::string contradiction_;
  time_point contradicted_until_{};
};

} // namespace troupe::cluster
