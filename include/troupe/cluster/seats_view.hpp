#pragma once

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/change_pace.hpp"
#include "troupe/cluster/hand_overs.hpp"
#include "troupe/cluster/own_seat.hpp"
#include "troupe/cluster/seat_cards.hpp"
#include "troupe/cluster/seat_wishes.hpp"
#include "troupe/cluster/voter_losses.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/time.hpp"
#include "troupe/group/quorum_watch.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::cluster {

/// Shows the members of a group as a node sees them, and what is to happen to them. Reads the parts
/// of a `seats` and must not outlive them. Cost: O(links + members^2).
class seats_view {
public:
  seats_view(const seat_cards& cards, const seat_wishes& wishes, const voter_losses& losses,
             const hand_overs& transfers, const change_pace& pace, const own_seat& own,
             time_point now)
    : cards_(cards),
      wishes_(wishes),
      losses_(losses),
      transfers_(transfers),
      pace_(pace),
      own_(own),
      now_(now) {}

  [[nodiscard]] voters_view of(const raft::replica_types::status& group,
                               const host::quorum_view& quorum) const {
    auto& kept_out = group.members.kept_out;
    voters_view all{group.term, group.commit,
                    group.last, wishes_.all().voters,
                    {},         {kept_out.begin(), kept_out.end()},
                    {}};
    if (group.leader == raft::member_id{} && !own_.votes()) {
      all.pending = void_seat_of_this_node();
      return all; // whoever votes knows better
    }
    std::map<raft::member_id, const raft::replica_types::member_status*> progress;
    for (auto& each : group.others)
      progress[each.seat] = &each;
    std::map<raft::member_id, bool> is_reached;
    for (auto& each : quorum.voters)
      is_reached[each.seat] = each.is_reached;
    for (auto& [seat, who] : group.members.members) {
      auto where = to_seat_contact(who.contact);
      seat_view each{
        to_string(where.node), where.address, seat.value, who.votes, seat == group.leader, {}, {}};
      auto known = is_reached.find(seat);
      each.is_reached = known != is_reached.end()
                          ? known->second
                          : where.node == cards_.self() || cards_.is_linked(where.node);
      if (seat == group.self && group.now == raft::role::leader)
        each.lag = 0;
      if (auto found = progress.find(seat); found != progress.end()) {
        if (found->second->match > 0 || found->second->by_snapshot)
          each.lag = group.last - std::min(group.last, found->second->match);
        each.silent_for = found->second->silent_for;
      }
      each.name = cards_.name_of(where.node);
      all.seats.push_back(std::move(each));
    }
    if (group.now != raft::role::leader) {
      all.pending = pending_elsewhere(group);
      return all;
    }
    auto linked = cards_.candidates(group, {});
    voter_plan plan{group, cards_.self(), linked, wishes_.all()};
    all.pending = pending_here(group, linked, plan);
    all.spares = spares(group, linked, plan);
    for (auto& each : wishes_.all().revoked)
      std::erase(all.kept_out, to_string(each));
    return all;
  }

private:
  using candidates = std::map<node_id, voter_plan::candidate>;

  static constexpr const char* removal = "removal";
  static constexpr const char* replacement = "replacement";
  static constexpr const char* void_seat = "void seat";
  static constexpr const char* handing_over = "hand-over";
  static constexpr const char* lead_once_ready = "it leads once it has all entries";
  static constexpr const char* start_one
    = "start one with a data folder, or let one vote again that was removed (troupe voters add)";

  /// @pre this node leads
  [[nodiscard]] std::vector<pending_view> pending_here(const raft::replica_types::status& group,
                                                       const candidates& linked,
                                                       const voter_plan& plan) const {
    std::vector<pending_view> found;
    for (auto& [seat, who] : group.members.members) {
      auto node = to_seat_contact(who.contact).node;
      auto there = linked.find(node);
      if (wishes_.is_void(seat))
        found.push_back({to_string(node), void_seat,
                         "its disk has lost what it had synced; it is taken away next, and the "
                         "node learns under another one"});
      else if (there != linked.end() && there->second.seat != seat)
        found.push_back(
          {to_string(node), void_seat, "its node has another one by now; it is taken away next"});
      else if (plan.is_unwanted(node) && !plan.is_replaced(node))
        found.push_back({to_string(node), removal,
                         (plan.is_revoked(node) ? "it is revoked; " : "")
                           + (who.votes ? reason(plan, node) : goes_next())});
      else if (auto gone = losses_.gone().find(node); gone != losses_.gone().end())
        found.push_back({to_string(node), replacement,
                         reason_for_gone(group, linked, plan, gone->first, gone->second)});
      else if (node != cards_.self() && losses_.is_unknown(node) && !cards_.is_linked(node))
        found.push_back({to_string(node), replacement,
                         "it is not known whether it is there, as there are too many members; "
                         "remove it with troupe voters if it is gone"});
      else if (plan.is_replaced(node))
        found.push_back(
          {to_string(node), removal, "it votes in the place of a voter that is back"});
    }
    for (auto& [node, each] : cards_.links())
      if (wishes_.is_void(each.seat) && !group.members.members.contains(each.seat))
        found.push_back({to_string(node), void_seat,
                         "its disk has lost what it had synced; the node gets a seat once it has "
                         "taken another member id, which it is asked to"});
    std::set<node_id> under_way; // the group has the question, and moves leadership, or gives up
    for (auto& each : wishes_.changes())
      if (each.what.what == voter_change::lead && each.node != cards_.self()
          && !transfers_.all().contains(each.node) && under_way.insert(each.node).second)
        found.push_back({to_string(each.node), handing_over, lead_once_ready});
    for (auto& [node, each] : transfers_.all())
      found.push_back({to_string(node == hand_overs::any_node ? cards_.self() : node), handing_over,
                       reason(node, each)});
    return found;
  }

  /// @pre this node leads
  [[nodiscard]] std::vector<std::string> spares(const raft::replica_types::status& group,
                                                const candidates& linked,
                                                const voter_plan& plan) const {
    std::vector<std::string> found;
    for (auto& [node, who] : linked)
      if (!group.members.members.contains(who.seat) && !plan.is_unwanted(node)
          && !wishes_.is_void(who.seat) && !wishes_.all().silent.contains(node))
        found.push_back(to_string(node));
    return found;
  }

  /// By the log of a node that follows.
  [[nodiscard]] std::vector<pending_view>
  pending_elsewhere(const raft::replica_types::status& group) const {
    std::vector<pending_view> found;
    for (auto& [seat, who] : group.members.members)
      if (auto node = to_seat_contact(who.contact).node; keeps_out(group.members, node))
        found.push_back(
          {to_string(node), removal, "the leader sees to it, and knows what it waits for"});
    std::ranges::move(void_seat_of_this_node(), std::back_inserter(found));
    return found;
  }

  [[nodiscard]] std::vector<pending_view> void_seat_of_this_node() const {
    if (!own_.is_unheard_of(cards_))
      return {};
    return {{to_string(cards_.self()), void_seat,
             "the disk of this node has lost what it had synced; it waits for a leader that gives "
             "it another seat"}};
  }

  [[nodiscard]] std::string reason(const voter_plan& plan, const node_id& node) const {
    switch (plan.held_by(node)) {
      case voter_plan::hold::nothing:
        return node == cards_.self() ? "it leads, and hands over first" : goes_next();
      case voter_plan::hold::only_voter:
        return "it is the only voter, and goes once another one votes";
      case voter_plan::hold::needed:
        return "it is needed: too few of the other voters are there and have all entries; it goes "
               "once they are back";
      case voter_plan::hold::no_replacement:
        return "waits for a replacement: no node is free to vote; " + std::string{start_one};
      case voter_plan::hold::replacement_learns:
        return "waits for a replacement: a node that can vote has to catch up first";
      case voter_plan::hold::others_learn:
        return "it is forced, and goes once the nodes vote that can; they have to catch up first";
    }
    return {};
  }

  /// Whether a node that does not vote may do so, or there are enough without one more.
  [[nodiscard]] bool is_replaceable(const raft::replica_types::status& group,
                                    const candidates& linked, const voter_plan& plan) const {
    return group.members.voters().size() > wishes_.all().voters
           || std::ranges::any_of(linked, [&](auto& each) {
                return !group.members.votes(each.second.seat) && !plan.is_unwanted(each.first)
                       && !wishes_.is_void(each.second.seat);
              });
  }

  /// Since when it is gone, and when another node takes its place.
  [[nodiscard]] std::string reason_for_gone(const raft::replica_types::status& group,
                                            const candidates& linked, const voter_plan& plan,
                                            const node_id& node, time_point since) const {
    using std::chrono::seconds;
    auto gone = (losses_.is_silent(node) ? "its process is there, but its replica has said nothing "
                                           "(see its log) for "
                                         : "it has been gone for ")
                + in_words(std::chrono::floor<seconds>(now_ - since));
    auto due = losses_.due_at(since);
    if (plan.is_replaced(node))
      return gone + "; " + reason(plan, node);
    if (due > now_)
      return gone + ", and is replaced in " + in_words(std::chrono::ceil<seconds>(due - now_))
             + " unless it comes back"
             + (is_replaceable(group, linked, plan)
                  ? ""
                  : ", if a node is free to vote by then; none is now: " + std::string{start_one});
    return gone + ", and is replaced after voter " + cards_.name_of(losses_.due().value_or(node));
  }

  [[nodiscard]] std::string goes_next() const {
    return pace_.is_free(now_) ? "it goes next"
                               : "it goes within " + in_words(change_pace::span)
                                   + ": the members have changed too often lately";
  }

  [[nodiscard]] static std::string reason(const node_id& to, const hand_overs::transfer& each) {
    if (each.again)
      return "another hand-over is under way; it is asked for again";
    return to == hand_overs::any_node ? "this node ends once another one leads, or in 3 s"
                                      : lead_once_ready;
  }

  const seat_cards& cards_;
  const seat_wishes& wishes_;
  const voter_losses& losses_;
  const hand_overs& transfers_;
  const change_pace& pace_;
  const own_seat& own_;
  time_point now_;
};

} // namespace troupe::cluster
