#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/seat_cards.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::cluster {

/// What is wished of the members of a group, who waits for it, and when that is made or cannot be.
/// Of two wishes for a node the later one counts. Part of `seats`; empty where that does not lead.
/// Cost of a call: O(changes + wishes + members), of end_changes once for each change.
class seat_wishes {
public:
  /// Somebody waits for it.
  struct asked_change {
    request_id asker = 0;
    change_voters what;
    node_id node; // its id
    time_point asked{};
  };

  explicit seat_wishes(std::size_t voters) {
    wishes_.voters = std::max<std::size_t>(voters, 1);
  }

  // -- wishes ----------------------------------------------------------------------------------

  /// `since` is that of the last set_time.
  [[nodiscard]] const voter_wishes& all() const {
    return wishes_;
  }

  void set_time(time_point now) {
    wishes_.since = wished_at_ ? now - *wished_at_ : duration::max();
  }

  /// These voters go once there are more than so many, see voter_losses.
  void replace(const std::map<node_id, std::size_t>& which, time_point now) {
    for (auto& [node, voters] : which)
      if (!wishes_.replaced.contains(node))
        wished_at_ = now;
    wishes_.replaced = which;
  }

  /// These nodes, and no others, are revoked.
  void bar(std::set<node_id> nodes) {
    wishes_.revoked = std::move(nodes);
  }

  /// This node does not lead: the next leader is asked anew.
  void forget() {
    auto revoked = std::move(wishes_.revoked);
    wishes_ = {.voters = wishes_.voters};
    wishes_.revoked = std::move(revoked);
    boots_.clear();
    wished_at_.reset();
  }

  /// A node has said that it leaves. `boot`: its boot number; zero: unknown.
  void depart(const node_id& node, boot_number boot, time_point now) {
    wishes_.leave.insert(node);
    boots_[node] = boot;
    wishes_.forced.insert(node); // it is gone, replaced or not
    wished_at_ = now;
  }

  /// A node that has left may come back as any other.
  void end_leave(const node_id& node) {
    wishes_.leave.erase(node);
    forget_wishes_away();
  }

  /// A node is linked. If it was stopped before it had left, and has started again, it stays: calls
  /// `answer` with who waits for its leave.
  template <class Answer>
  void end_leave_of_earlier_boot(const node_id& node, boot_number boot, Answer answer) {
    auto asked = boots_.find(node);
    if (asked == boots_.end() || boot == 0)
      return;
    if (asked->second == 0)
      asked->second = boot;
    if (boot <= asked->second)
      return;
    end_leave(node);
    std::erase_if(changes_, [&](auto& each) {
      auto is_over = each.node == node && each.what.what == voter_change::leave;
      if (is_over)
        answer(each.asker);
      return is_over;
    });
  }

  [[nodiscard]] bool is_wished_away(const node_id& node) const {
    return wishes_.remove.contains(node) || wishes_.leave.contains(node);
  }

  // -- silent replicas -------------------------------------------------------------------------

  /// Linked nodes whose replicas have said nothing for so long get no vote before they are linked
  /// anew, or speak: where a disk has failed, the process has to end first.
  void hear(const std::vector<raft::replica_types::member_status>& others, duration for_so_long,
            const seat_cards& cards) {
    for (auto& each : others)
      if (auto node = to_seat_contact(each.who.contact).node;
          each.silent_for >= for_so_long && cards.is_linked(node))
        wishes_.silent.insert(node);
      else
        wishes_.silent.erase(node);
  }

  /// That node is linked, or was.
  void forget_silence(const node_id& node) {
    wishes_.silent.erase(node);
  }

  // -- void seats ------------------------------------------------------------------------------

  /// Returns whether that is new.
  bool make_void(raft::member_id seat) {
    return wishes_.forgotten.insert(seat).second;
  }

  /// Returns whether the disk of its node has lost what it had synced under it.
  [[nodiscard]] bool is_void(raft::member_id seat) const {
    return wishes_.forgotten.contains(seat);
  }

  /// Where more than so many are void, forgets those that nobody has: one stays void while its node
  /// is away, too.
  void drop_void(const raft::configuration& members, const seat_cards& cards, std::size_t most) {
    if (wishes_.forgotten.size() <= most)
      return;
    std::set<raft::member_id> held;
    for (auto& [node, each] : cards.links())
      held.insert(each.seat);
    std::erase_if(wishes_.forgotten, [&](raft::member_id each) {
      return !members.members.contains(each) && !held.contains(each);
    });
  }

  // -- changes ---------------------------------------------------------------------------------

  [[nodiscard]] const std::list<asked_change>& changes() const {
    return changes_;
  }

  /// Nobody waits any more. Returns who has.
  std::list<asked_change> end_all() {
    return std::exchange(changes_, {});
  }

  /// Why nobody needs to wait for that, as it cannot be made; none: it may be asked for.
  [[nodiscard]] problem refusal(const change_voters& what, const node_id& node,
                                const seat_cards& cards, std::size_t most_removals) const {
    auto shows_none = node != cards.self() && !cards.has_card(node) && !cards.seat_of(node);
    auto has_no_card = shows_none && cards.has_no_card(node);
    if (what.what == voter_change::add) {
      if (wishes_.revoked.contains(node))
        return revoked(cards.name_of(node));
      if (shows_none && !cards.is_linked(node))
        return {errc::unreachable, "node " + what.node
                                     + " cannot vote, as the leader has no link to it; start it, "
                                       "or repair the network between them, then ask again"};
      if (has_no_card)
        return {errc::bad_argument, "node " + what.node
                                      + " cannot vote: it has no data folder; start it with one "
                                        "(node_options::data)"};
      if (shows_none)
        return {errc::busy, "node " + what.node
                              + " has not told the leader yet whether it has a data folder, "
                                "without which it cannot vote; ask again in a moment"};
    }
    if (what.what == voter_change::remove && has_no_card)
      return {errc::not_found, "node " + what.node
                                 + " has no vote and gets none, as it has no data folder; there "
                                   "is nothing to remove"};
    if (what.what == voter_change::remove && wishes_.remove.size() >= most_removals
        && !wishes_.remove.contains(node))
      return {errc::limit_reached, "too many removals are under way; retry once some are made, "
                                   "see troupe voters"};
    return {};
  }

  /// `boot`: the boot number of that node; zero: unknown.
  /// @pre there is room, and no refusal
  void ask(request_id asker, change_voters what, const node_id& node, boot_number boot,
           time_point now) {
    changes_.push_back({asker, std::move(what), node, now});
    auto& asked = changes_.back().what;
    if (asked.what == voter_change::lead)
      return;
    for (auto* other : {&wishes_.add, &wishes_.remove, &wishes_.leave, &wishes_.let_in})
      other->erase(node);
    auto& wanted = asked.what == voter_change::add      ? wishes_.add
                   : asked.what == voter_change::remove ? wishes_.remove
                                                        : wishes_.leave;
    wanted.insert(node);
    if (takes_seat(asked.what)) {
      wished_at_ = now;
      wishes_.forced.erase(node);
      if (asked.force)
        wishes_.forced.insert(node);
    }
    if (asked.what == voter_change::leave)
      boots_[node] = boot;
    forget_wishes_away();
  }

  [[nodiscard]] bool is_asked_to_lead(const node_id& node) const {
    return std::ranges::any_of(changes_, [&](auto& each) {
      return each.what.what == voter_change::lead && each.node == node;
    });
  }

  /// Calls `answer` with each asker whose change is made, or cannot be and why, and forgets wishes
  /// that have ended.
  template <class Answer>
  void end_changes(const raft::replica_types::status& group, const seat_cards& cards,
                   const voter_plan& plan, time_point now, Answer answer) {
    for (auto each = changes_.begin(); each != changes_.end();) {
      auto why = problem_with(*each, group, cards, plan, now);
      if (!is_made(*each, group, cards) && !why) {
        ++each;
        continue;
      }
      answer(each->asker, why);
      // Who leaves has gone on by then; who is to be removed need not be there.
      auto goes_on = each->what.what == voter_change::remove && why.code == errc::timed_out;
      if (!goes_on && each->what.what != voter_change::lead && !is_wished_by_others(each))
        forget_wish(each->node, group, why.code);
      each = changes_.erase(each);
    }
    forget_made(group, cards);
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    if (!std::ranges::all_of(wishes_.forced, [this](auto& node) { return is_wished_away(node); }))
      found.emplace_back("a node is forced out that is not wished away");
    if (!std::ranges::all_of(boots_,
                             [this](auto& each) { return wishes_.leave.contains(each.first); }))
      found.emplace_back("the boot number of a node is kept that does not leave");
    std::set<request_id> askers;
    for (auto& each : changes_)
      if (!askers.insert(each.asker).second)
        found.emplace_back("an asker waits for two changes");
    return found;
  }

private:
  /// Why a node of that name gets no seat.
  static problem revoked(const std::string& name) {
    return {errc::denied, "node " + name
                            + " is revoked, and gets no seat; make a new identity for it (troupe "
                              "ca issue)"};
  }

  static bool takes_seat(voter_change what) {
    return what == voter_change::remove || what == voter_change::leave;
  }

  static bool has_seat(const node_id& node, const raft::configuration& members) {
    return std::ranges::any_of(members.members, [&](auto& each) {
      return to_seat_contact(each.second.contact).node == node;
    });
  }

  /// Whether it votes, and is to go on so.
  static bool is_voter(const node_id& node, const raft::configuration& members) {
    return !keeps_out(members, node) && std::ranges::any_of(members.members, [&](auto& each) {
      return each.second.votes && to_seat_contact(each.second.contact).node == node;
    });
  }

  /// Whether another one waits for the same, or has asked for something else of its node since.
  [[nodiscard]] bool is_wished_by_others(std::list<asked_change>::const_iterator which) const {
    auto is_later = false;
    for (auto each = changes_.begin(); each != changes_.end(); ++each)
      if (each == which)
        is_later = true;
      else if (each->node == which->node && each->what.what != voter_change::lead
               && (is_later || each->what.what == which->what.what))
        return true;
    return false;
  }

  [[nodiscard]] bool is_asked_for_nothing(const node_id& node) const {
    return std::ranges::none_of(changes_, [&](auto& each) { return each.node == node; });
  }

  /// What is known of wishes that have ended.
  void forget_wishes_away() {
    std::erase_if(wishes_.forced, [this](auto& node) { return !is_wished_away(node); });
    std::erase_if(boots_, [this](auto& each) { return !wishes_.leave.contains(each.first); });
  }

  void forget_made(const raft::replica_types::status& group, const seat_cards& cards) {
    auto& members = group.members;
    std::erase_if(wishes_.let_in, [&](auto& node) { return !keeps_out(members, node); });
    std::erase_if(wishes_.remove, [&](auto& node) {
      return keeps_out(members, node) && keeps_out(cards.members(), node)
             && !has_seat(node, members) && is_asked_for_nothing(node);
    });
    std::erase_if(wishes_.leave, [&](auto& node) {
      return !cards.is_linked(node) && node != cards.self() && !has_seat(node, members)
             && is_asked_for_nothing(node);
    });
    forget_wishes_away();
  }

  /// From here on the node counts as any other, or as one that is kept out. Not that, if its
  /// removal was refused. Who leaves is wished away until its link is gone.
  void forget_wish(const node_id& node, const raft::replica_types::status& group, errc why) {
    auto was_removed = wishes_.remove.erase(node) > 0;
    wishes_.add.erase(node);
    if (why != errc::none)
      wishes_.leave.erase(node);
    if (was_removed && why != errc::none && keeps_out(group.members, node))
      wishes_.let_in.insert(node);
  }

  /// By what is committed, too: another leader may not have the change otherwise.
  [[nodiscard]] static bool is_made(const asked_change& each,
                                    const raft::replica_types::status& group,
                                    const seat_cards& cards) {
    auto& committed = cards.members();
    switch (each.what.what) {
      case voter_change::add:
        return is_voter(each.node, group.members) && is_voter(each.node, committed);
      case voter_change::remove:
        return !has_seat(each.node, group.members) && keeps_out(committed, each.node);
      case voter_change::leave:
        return !has_seat(each.node, group.members) && !has_seat(each.node, committed);
      case voter_change::lead:
        return each.node == cards.self();
    }
    return false;
  }

  [[nodiscard]] problem problem_with(const asked_change& each,
                                     const raft::replica_types::status& group,
                                     const seat_cards& cards, const voter_plan& plan,
                                     time_point now) const {
    if (is_made(each, group, cards))
      return {};
    auto name = cards.name_of(each.node);
    auto seat = cards.seat_of(each.node);
    auto votes = seat && group.members.votes(*seat);
    if (takes_seat(each.what.what) && votes) {
      if (group.members.voters().size() == 1)
        return {errc::in_use, "node " + name
                                + " is the only voter and keeps all that the cluster has; add "
                                  "another one first"};
      if (is_wished_away(each.node) && !plan.is_forced(each.node) && !plan.has_replacement())
        return {errc::in_use,
                "no node could take the place of voter " + name
                  + ", and the cluster would tolerate fewer losses; start one with a data folder, "
                    "or let one vote again that was removed (troupe voters add), or force it "
                    "(leave_options::force, "
                    "change_voters::force)"};
    }
    if (each.what.what == voter_change::remove && !plan.can_keep_out(each.node))
      return {errc::limit_reached, std::to_string(raft::max_kept_out)
                                     + " removed nodes that are there are kept out of the group; "
                                       "stop those that are not needed, or add one of them again"};
    if (each.what.what == voter_change::lead && !votes)
      return {errc::bad_argument,
              "node " + name + " does not vote, so it cannot lead; add it first"};
    if (each.what.what == voter_change::lead && !cards.is_linked(each.node))
      return {errc::unreachable, "node " + name
                                   + " cannot lead, as the leader has no link to it; start it, or "
                                     "repair the network between them, then ask again"};
    if (each.what.what == voter_change::add && plan.is_revoked(each.node))
      return revoked(name);
    auto waits = now - each.asked;
    if (takes_seat(each.what.what) && votes && !plan.goes_on_without(each.node)
        && waits >= held_within) {
      auto why = "voter " + name
                 + " is needed: too few of the other voters are there and have all entries, so "
                   "that without it nothing could be written; ";
      if (each.what.what == voter_change::leave)
        return {errc::in_use, why + "ask again once they are back, see troupe voters"};
      return {errc::timed_out,
              why + "it goes once they are back, or removed themselves, see troupe voters"};
    }
    if (waits < change_within)
      return {};
    if (each.what.what == voter_change::remove && !wishes_.remove.contains(each.node))
      return {errc::timed_out, "another change of node " + name
                                 + " was asked for since, and counts; see troupe voters"};
    switch (each.what.what) {
      case voter_change::remove:
        return {errc::timed_out, "the change is not made yet and goes on; see troupe voters"};
      case voter_change::leave:
        return {errc::timed_out, "the vote could not be given up in time; ask again"};
      default:
        return {errc::timed_out, "the change could not be made in time; what the node has learned "
                                 "stays, so ask again"};
    }
  }

  static constexpr duration change_within = std::chrono::seconds{30};
  /// Others may be catching up; who asks waits no longer than commands do.
  static constexpr duration held_within = std::chrono::seconds{5};

  voter_wishes wishes_;
  /// Of nodes that leave, when that was wished.
  std::map<node_id, boot_number> boots_;
  std::optional<time_point> wished_at_; // when somebody was last wished away
  std::list<asked_change> changes_;
};

} // namespace troupe::cluster
