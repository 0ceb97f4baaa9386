#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <utility>

#include "troupe/cluster/change_pace.hpp"
#include "troupe/cluster/seat_cards.hpp"
#include "troupe/cluster/seats_types.hpp"
#include "troupe/cluster/voter_losses.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::cluster {

/// Says in the log who leads a group, who its members are, and what the leader does to them: each
/// thing once. Part of `seats`. Cost of a call: O(members * log n).
class seat_news {
public:
  using types = seats_types;

  explicit seat_news(const seat_cards& cards) : cards_(cards) {}

  // -- who leads, and the members ------------------------------------------------------------

  /// This node leads.
  void leads(const types::changed_role& what, types::effects& out) {
    out.push_back(
      types::inform{"leads the cluster in term " + std::to_string(what.term) + ": " + what.cause});
    said_leader_ = {what.term, cards_.self()};
    members(cards_.members(), out);
  }

  /// It leads no more.
  static void follows(const types::changed_role& what, types::effects& out) {
    std::string text = "leads the cluster no more: ";
    if (what.cause == raft::replica_types::handed_over)
      out.push_back(types::inform{text + what.cause});
    else
      out.push_back(types::warn{
        text
        + (what.leader == raft::member_id{} ? what.cause : "another node leads a later term")});
  }

  /// That node leads; all zero: it is not known who does.
  void other_leads(const raft::replica_types::status& now, const node_id& node,
                   const std::string& cause, types::effects& out) {
    if (node == node_id{} || said_leader_ == std::pair{now.term, node})
      return;
    out.push_back(types::inform{"node " + cards_.name_of(node) + " leads the cluster in term "
                                + std::to_string(now.term) + (cause.empty() ? "" : ": ") + cause});
    said_leader_ = {now.term, node};
    members(now.members, out);
  }

  /// `in_log`: the last ones in its log. Not while this node only reads what was, as after its
  /// start, or where it learns: the log goes on then.
  void members(const raft::configuration& in_log, types::effects& out) {
    if (said_leader_.second == node_id{} || cards_.members().members.empty()
        || cards_.members() != in_log)
      return;
    if (auto text = cards_.describe_members(); text != said_members_)
      out.push_back(types::inform{said_members_ = std::move(text)});
  }

  // -- what the leader does to them ----------------------------------------------------------

  void is_back(const node_id& node, types::effects& out) const {
    out.push_back(types::inform{"voter " + cards_.name_of(node) + " is back, and keeps its seat"});
  }

  /// More than so many members are there.
  void leaves_out(std::size_t max_nodes, types::effects& out) {
    if (!std::exchange(says_left_out_, true))
      out.push_back(types::warn{"more than " + std::to_string(max_nodes)
                                + " members are there: a voter of which they say nothing is taken "
                                  "to be there, and not replaced; see troupe voters"});
  }

  /// Of those that are revoked.
  void are_revoked(const std::set<node_id>& which, types::effects& out) {
    std::set<node_id> found;
    for (auto& [seat, who] : cards_.members().members)
      if (auto node = to_seat_contact(who.contact).node;
          which.contains(node) && node != cards_.self())
        found.insert(node);
    for (auto& node : found)
      if (!said_revoked_.contains(node))
        out.push_back(types::warn{"member " + cards_.name_of(node)
                                  + " is revoked: it loses its seat, and another node takes its "
                                    "place if one can vote"});
    said_revoked_ = std::move(found);
  }

  /// That voter is to be replaced.
  void is_lost(const node_id& node, duration gone_for, bool is_silent, const voter_plan& plan,
               types::effects& out) const {
    auto can_be = plan.held_by(node) != voter_plan::hold::no_replacement;
    out.push_back(types::warn{"voter " + cards_.name_of(node)
                              + (is_silent ? " has said nothing in the group, though its process "
                                             "is there (see its log), for "
                                           : " has been gone for ")
                              + in_words(gone_for)
                              + (can_be ? "; another node takes its place"
                                        : "; another node takes its place once one is free to "
                                          "vote; start one with a data folder")});
  }

  /// The next change waits, see change_pace.
  void change_waits(time_point now, types::effects& out) {
    if (now < say_pace_at_)
      return;
    say_pace_at_ = now + change_pace::span;
    out.push_back(types::inform{
      "the members of the group have changed " + std::to_string(change_pace::max_changes)
      + " times within " + in_words(change_pace::span)
      + "; the next change waits. See who comes and goes with troupe voters"});
  }

private:
  const seat_cards& cards_;
  std::pair<raft::term_number, node_id> said_leader_;
  std::string said_members_;
  std::set<node_id> said_revoked_;
  bool says_left_out_ = false;
  time_point say_pace_at_{};
};

} // namespace troupe::cluster
