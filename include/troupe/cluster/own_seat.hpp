#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/seat_cards.hpp"
#include "troupe/cluster/seats_types.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::cluster {

/// The seat of this node, and what happens once that is void. Part of `seats`, like seat_cards.
///
/// - A seat is void once its disk has lost what it had synced under it. The node then takes another
///   one, which has promised nothing, and learns anew: at most one at a time, and one in 10 s.
/// - It sees that itself, or is told so by the node that leads. The leader takes the seat away
///   first, so this node may hear of no leader by then, nor after a restart. Then the word of any
///   node counts that it is linked to: what a seat has lost stays lost, whoever leads.
/// - Its log may be older than that it lost its vote: who is removed hears no more of the group.
///   Cards of other nodes show that. From then on it says nothing of the quorum, until a leader is
///   heard, it is made a voter again, or who has shown that is revoked: no bound tells a term that
///   is made up from one that is only much later.
/// - The other nodes see its card when it has another seat, and every 3 s while no leader is known
///   and its log does not have that seat.
///
/// Cost of a call: O(members).
class own_seat {
public:
  using types = seats_types;

  explicit own_seat(raft::member_id held) : id_(held) {}

  /// Zero: it is not known yet.
  [[nodiscard]] raft::member_id id() const {
    return id_;
  }

  /// The group says which seat it has. Zero: the group has not started.
  void is(raft::member_id held) {
    if (held == raft::member_id{})
      return;
    if (held != id_) { // it was said of the other one
      voted_out_.reset();
      heard_ = 0;
    }
    id_ = held;
  }

  /// Whether this node has given up that seat last.
  [[nodiscard]] bool was(raft::member_id seat) const {
    return seat == given_up_;
  }

  /// Returns whether the group still has this node under another seat, by its own log, which may
  /// not have heard yet that it has this one.
  [[nodiscard]] bool is_unheard_of(const seat_cards& cards) const {
    auto seat = cards.seat_of(cards.self());
    return seat && *seat != id_ && !cards.members().members.contains(id_);
  }

  /// Tells the node whether it has a seat, and a vote. By the log, committed or not: after a start,
  /// while there is no majority, nobody says how far the log is committed. `last_term`: of its last
  /// entry, which this node has of a leader that has it among the members.
  void tell(const raft::configuration& logged, types::effects& out,
            raft::term_number last_term = 0) {
    leave_behind(last_term);
    is_seated_ = logged.members.contains(id_);
    has_vote_ = logged.votes(id_);
    promotions_ = logged.promotions;
    say(out);
  }

  // -- it may have lost its vote unheard -------------------------------------------------------

  /// Another node has shown its card. Returns whether the log of this one is too old from here on,
  /// or no more.
  bool compare(const types::card& theirs, types::effects& out) {
    if (theirs.voters.empty())
      return false;
    auto before = is_outdated();
    auto is_later = !voted_out_ || theirs.promotions > voted_out_->promotions;
    auto has_this = theirs.voters.contains(id_);
    if (has_this && (is_later || theirs.term > voted_out_->term))
      voted_out_.reset();
    else if (!has_this && theirs.term >= std::max(heard_, voted_out_ ? voted_out_->term : 0)) {
      auto promoted_by = is_later ? theirs.node : voted_out_->promoted_by;
      auto promotions = is_later ? theirs.promotions : voted_out_->promotions;
      voted_out_ = {theirs.term, promotions, theirs.node, promoted_by};
    }
    return has_turned(before, out);
  }

  /// These nodes are revoked: what they have shown counts no more. Returns as compare().
  bool disbelieve(const std::set<node_id>& revoked, types::effects& out) {
    auto before = is_outdated();
    if (voted_out_
        && (revoked.contains(voted_out_->shown_by) || revoked.contains(voted_out_->promoted_by)))
      voted_out_.reset();
    return has_turned(before, out);
  }

  /// A leader of that term is heard, or this node leads in it. Of a later term than that log, it
  /// has this node among the members, so that what the log said was never committed, whether it is
  /// shown before or after.
  void follows(raft::term_number term, types::effects& out) {
    auto before = is_outdated();
    leave_behind(term);
    has_turned(before, out);
  }

  /// Whether this node votes by its log, but not by that of another node, which is later: each vote
  /// that is given counts, so that a log with no fewer that lacks this one's has seen it go.
  [[nodiscard]] bool is_outdated() const {
    return has_vote_ && voted_out_ && voted_out_->promotions >= promotions_
           && planted_flaw != flaw::old_vote_believed;
  }

  /// Whether it votes, as far as it knows.
  [[nodiscard]] bool votes() const {
    return has_vote_ && !is_outdated();
  }

  // -- it is void ------------------------------------------------------------------------------

  /// This node has seen itself that its disk has lost what it had synced. `last`: the greatest
  /// number of a question; the next one is taken from it.
  void lost(time_point now, request_id& last, types::effects& out) {
    if (may_change(now))
      change(0, now, last, out);
  }

  /// Another node says that a seat of this one is void: answered with the card of this node once it
  /// has another seat, or refused. An old log may not have the leader among the members, so its
  /// card counts, but for one with the seat of another member.
  void told_void(request_id id, const types::exchanged& what, const seat_cards& cards,
                 time_point now, request_id& last, types::effects& out) {
    if (what.forgotten != id_) // it has another one by now
      out.push_back(types::show_card{id});
    else if (!may_say_so(what, cards))
      out.push_back(types::refuse{
        id,
        {errc::bad_argument,
         "a node is told that its seat is void by the one that leads the group, over the link of "
         "that; by another linked node only while it knows no leader"}});
    else if (!may_change(now))
      out.push_back(
        types::refuse{id, {errc::busy, "this node has just taken another seat; ask again"}});
    else
      change(id, now, last, out);
  }

  /// The answer to the `renew` of that id. Calls `greet_all` if the other nodes are to see the card
  /// of this one.
  template <class GreetAll>
  void renewed(request_id id, const types::renewed& what, time_point now, types::effects& out,
               GreetAll greet_all) {
    if (id != renewing_)
      return;
    renewing_ = 0;
    auto asker = std::exchange(asker_, 0);
    is(what.now.self);
    const std::string lost
      = "the disk of this node has lost what it had synced (is its folder an older copy?); ";
    if (what.why) {
      out.push_back(types::warn{lost + "it cannot give up its seat: " + what.why.detail});
    } else {
      out.push_back(
        types::warn{lost + "it has given up its seat, and learns before it votes again"});
      tell(what.now.members, out);
      show_at_ = now + show_every;
      greet_all();
    }
    if (asker != 0 && what.why)
      out.push_back(types::refuse{asker, what.why});
    else if (asker != 0)
      out.push_back(types::show_card{asker});
  }

  /// No leader is known. Returns whether the other nodes are to see the card of this one again: one
  /// of them may lead later.
  bool is_to_be_shown(const seat_cards& cards, time_point now) {
    if (now < show_at_ || !is_unheard_of(cards))
      return false;
    show_at_ = now + show_every;
    return true;
  }

  // --------------------------------------------------------------------------------------------

  /// What is wrong with its state, in words; empty if all is well. `last`: the greatest number that
  /// was given.
  [[nodiscard]] std::vector<std::string> flaws(request_id last) const {
    std::vector<std::string> found;
    if (renewing_ > last)
      found.emplace_back("another seat is asked for with a number that was not given");
    if (renewing_ == 0 && asker_ != 0)
      found.emplace_back("a seat is waited for that is not asked");
    return found;
  }

private:
  /// Logs before that term that lack this node were never committed.
  void leave_behind(raft::term_number term) {
    heard_ = std::max(heard_, term);
    if (voted_out_ && voted_out_->term < term)
      voted_out_.reset();
  }

  bool has_turned(bool was_outdated, types::effects& out) const {
    if (was_outdated == is_outdated())
      return false;
    say(out);
    return true;
  }

  void say(types::effects& out) const {
    out.push_back(types::seated{is_seated_ && !is_outdated(), votes()});
  }

  [[nodiscard]] static bool may_say_so(const types::exchanged& what, const seat_cards& cards) {
    auto& theirs = what.theirs;
    auto leads = what.leader == theirs.seat
                 && !seat_cards::is_of_another(theirs.seat, theirs.node, cards.members());
    auto is_heard = what.leader == raft::member_id{} || leads;
    return what.is_proven() && is_heard && cards.is_linked(theirs.node);
  }

  [[nodiscard]] bool may_change(time_point now) const {
    return renewing_ == 0 && now >= change_at_;
  }

  /// `asker` 0: nobody waits for it.
  void change(request_id asker, time_point now, request_id& last, types::effects& out) {
    change_at_ = now + change_every;
    given_up_ = id_; // what is said of it while the disk writes is of this node
    renewing_ = ++last;
    asker_ = asker;
    out.push_back(types::renew{renewing_, id_});
  }

  /// Whoever says so, a seat is not given up more often.
  static constexpr duration change_every = std::chrono::seconds{10};
  static constexpr duration show_every = std::chrono::seconds{3};

  raft::member_id id_;
  raft::member_id given_up_; // what this node had last
  // By its log.
  bool is_seated_ = false;
  bool has_vote_ = false;
  std::uint64_t promotions_ = 0;
  struct other_log {
    raft::term_number term = 0;
    std::uint64_t promotions = 0;
    /// Who has shown that term, and who has shown so many promotions.
    node_id shown_by;
    node_id promoted_by;
  };

  /// By that log it has no vote.
  std::optional<other_log> voted_out_;
  /// The last term whose leader was heard under this seat, or that its log has.
  raft::term_number heard_ = 0;
  /// The question whose answer counts, and who waits for it; zero: none.
  request_id renewing_ = 0;
  request_id asker_ = 0;
  time_point change_at_{};
  time_point show_at_{};
};

} // namespace troupe::cluster
