#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/change_pace.hpp"
#include "troupe/cluster/hand_overs.hpp"
#include "troupe/cluster/lead_obstacles.hpp"
#include "troupe/cluster/needed_links.hpp"
#include "troupe/cluster/own_seat.hpp"
#include "troupe/cluster/seat_cards.hpp"
#include "troupe/cluster/seat_news.hpp"
#include "troupe/cluster/seat_wishes.hpp"
#include "troupe/cluster/seats_types.hpp"
#include "troupe/cluster/seats_view.hpp"
#include "troupe/cluster/voter_losses.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/group/quorum_watch.hpp"
#include "troupe/raft/replica_types.hpp"
#include "troupe/raft/types.hpp"

namespace troupe::cluster {

/// Decides who has a seat in the group that keeps the services of a cluster, and who votes: a
/// node's part in it.
///
/// - Nodes that are linked tell each other their seats. A card counts only for the node behind the
///   link over which it came, as long as that is there, and not against the members of the group.
/// - The leader looks at the group again and again, and proposes the next change that the
///   voter_plan finds, one at a time, and not more often than the change_pace allows; what the
///   group refuses comes again after a rest that grows. Who asks for a change is answered once it
///   is made, or cannot be; of two wishes for a node the later one counts.
/// - A voter that has been gone for long is replaced, see voter_losses. A revoked node loses its
///   seat at once, see voter_plan.
/// - The leader tells nodes whose disks have forgotten that their seats are void, until they have
///   others, see own_seat.
/// - Every node is told who leads, where, and, while nobody does, whom it misses.
/// - Every node is told which links it needs, used or not, see needed_links.
///
/// Steps like any machine. No snapshot: the group keeps what has to be kept. Not thread-safe. Cost
/// of a step: O(links + members), of a review O(links + members^2).
///
/// It counts on this of its host: each `look`, `propose` and `renew` is answered once, and not
/// within the step.
class seats : public seats_types {
public:
  /// `node` is the id of this node, `self` its seat.
  seats(node_id node, raft::member_id self, const seats_options& options, std::uint64_t seed)
    : options_(options),
      own_(self),
      random_(seed),
      cards_(node, options.max_nodes),
      losses_(options),
      wishes_(options.voters) {}

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    troupe::visit([&](auto& each) { handle(id, each); }, what);
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    auto is_due = [now](std::optional<time_point>& when) {
      if (!when || *when > now)
        return false;
      when.reset();
      return true;
    };
    if (hand_overs_.has_waited(now))
      end_hand_over();
    for (auto& node : hand_overs_.take_due(now))
      transfer(node);
    for (auto& node : cards_.take_due(now))
      ask_card(node);
    if (is_due(review_at_))
      review();
    if (is_due(quorum_at_) && look_ == 0)
      look_anew();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    auto next = hand_overs_.next_deadline();
    auto no_later = [&next](const std::optional<time_point>& when) {
      if (when)
        next = std::min(next.value_or(*when), *when);
    };
    no_later(cards_.next_deadline());
    no_later(review_at_);
    no_later(quorum_at_);
    return next;
  }

  /// The members as this node sees them, whoever leads.
  [[nodiscard]] voters_view view(const raft::replica_types::status& now,
                                 const host::quorum_view& quorum) const {
    return seats_view{cards_, wishes_, losses_, hand_overs_, pace_, own_, now_}.of(now, quorum);
  }

  /// What callers are to be told where no majority is reached, or what keeps this node from
  /// following a leader that it hears.
  [[nodiscard]] problem obstacle(const host::quorum_view& known, time_point now) const {
    return obstacles_.now(known, own_, now);
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    auto found = cards_.flaws(last_id_);
    auto expect = [&found](bool holds, std::string what) {
      if (!holds)
        found.push_back(std::move(what));
    };
    for (auto& each : hand_overs_.flaws(last_id_))
      expect(false, each);
    for (auto& each : wishes_.flaws())
      expect(false, each);
    for (auto& each : losses_.flaws())
      expect(false, each);
    for (auto& each : own_.flaws(last_id_))
      expect(false, each);
    expect(reach_again_.size() <= options_.max_nodes, "more nodes to be reached than allowed");
    expect(count_asked() <= options_.max_changes, "more changes than allowed");
    expect(wishes_.all().remove.size() <= options_.max_wishes, "more removals than allowed");
    expect(hand_overs_.all().size() <= options_.max_changes + 1, "more transfers than allowed");
    for (auto& [node, each] : hand_overs_.all())
      expect(node == hand_overs::any_node || wishes_.is_asked_to_lead(node),
             "nobody waits for a transfer: " + to_string(node));
    auto leads = role_ == raft::role::leader;
    expect(!leads || look_ != 0 || review_at_, "who leads looks no more");
    expect(leads || !review_at_, "who follows reviews the members");
    expect(!tells_ || look_ != 0, "who leads is not told");
    expect(leads || tells_ || count_asked() == 0, "who follows is waited for");
    expect(std::ranges::all_of(wishes_.all().silent,
                               [this](auto& node) { return cards_.is_linked(node); }),
           "a node is known as silent that is not linked");
    expect(look_ <= last_id_ && proposed_ <= last_id_,
           "a question has a number that was not given");
    return found;
  }

private:
  template <class Effect>
  void emit(Effect what) {
    out_->push_back(std::move(what));
  }

  void look_anew() {
    look_ = ++last_id_;
    emit(look{look_});
  }

  // -- who leads -----------------------------------------------------------------------------

  void handle(request_id, const changed_role& what) {
    needs_.role_is(what, *out_);
    auto has_led = std::exchange(role_, what.now) == raft::role::leader;
    ++turn_;
    pace_.accept();
    if (what.leader != raft::member_id{})
      own_.follows(what.term, *out_);
    if (what.now == raft::role::leader) {
      news_.leads(what, *out_);
      tells_ = false;
      are_cards_old_ = true;
      losses_.begin(now_);
      emit(lead{turn_});
      return look_anew();
    }
    review_at_.reset();
    if (has_led)
      seat_news::follows(what, *out_);
    losses_.end();
    cause_ = what.cause;
    tells_ = true;
    look_anew();
  }

  void handle(request_id, members_are& what) {
    auto before = cards_.members();
    cards_.members_are(std::move(what.committed));
    losses_.members_are(cards_.members());
    own_.is(what.now.self);
    news_.members(what.now.members, *out_);
    tell_others(cards_.members());
    own_.tell(what.now.members, *out_, what.now.last_term);
    needs_.members_are(what.now.members, own_.id(), *out_);
    reach_members(what.now.members);
    for (auto& [node, each] : cards_.links())
      watch(node);
    pace_.accept();
    tell_removed(before);
    if (role_ == raft::role::leader)
      return review();
    ++turn_; // where the leader is stands in the members
    tells_ = true;
    look_anew();
  }

  void handle(request_id, const stopped& what) {
    emit(fail{"this node takes part in the cluster's group no more: " + what.why.detail});
    role_ = raft::role::follower;
    review_at_.reset();
    tells_ = false;
    losses_.end();
    needs_.stop(*out_);
    emit(follow{++turn_, {}});
    for (auto& each : wishes_.end_all())
      emit(refuse{each.asker, {errc::not_leader, what.why.detail}});
    forget_wishes();
  }

  void handle(request_id id, const seen& what) {
    if (id != look_)
      return; // the group stands otherwise since
    look_ = 0;
    own_.is(what.now.self);
    if (role_ != raft::role::leader && std::exchange(tells_, false))
      tell_who_leads(what);
    watch_quorum(what.quorum);
    if (role_ != raft::role::leader)
      return;
    if (what.now.now == raft::role::leader)
      make_next(what);
    else
      review_at_ = now_ + sometimes; // it will hear that it leads no more
  }

  void tell_others(const raft::configuration& members) {
    others found;
    for (auto& [seat, who] : members.members)
      if (seat != own_.id())
        found.addresses.push_back(to_seat_contact(who.contact).address);
    emit(std::move(found));
  }

  /// @pre it is not this node
  void tell_who_leads(const seen& what) {
    auto& now = what.now;
    tell_others(now.members);
    auto found = now.members.members.find(now.leader);
    auto where = found != now.members.members.end() ? to_seat_contact(found->second.contact)
                                                    : seat_contact{};
    news_.other_leads(now, where.node, cause_, *out_);
    emit(follow{turn_, where.address});
    for (auto& each : wishes_.end_all())
      if (each.what.what == voter_change::lead && each.node == where.node)
        emit(made{each.asker, view(now, what.quorum)});
      else if (planted_flaw != flaw::asker_dropped)
        emit(refuse{each.asker, {errc::not_leader, "leadership has moved; ask again"}});
    forget_wishes();
  }

  /// This node does not lead: the next leader is asked anew.
  void forget_wishes() {
    wishes_.forget();
    hand_overs_.clear();
    end_hand_over();
  }

  // -- whether a majority is reached ------------------------------------------------------------

  /// While no leader is known: tells the node, and its operator.
  void watch_quorum(const host::quorum_view& known) {
    quorum_at_.reset();
    if (!obstacles_.look(known, own_, now_, *out_))
      return;
    if (own_.is_to_be_shown(cards_, now_))
      greet_all();
    quorum_at_ = now_ + watch_quorum_every;
  }

  void handle(request_id, const disk_room& what) {
    obstacles_.disk_is(what.why, *out_);
  }

  void handle(request_id, const ignored& what) {
    obstacles_.ignored(what, own_, now_, *out_);
  }

  // -- the other nodes ----------------------------------------------------------------------

  void handle(request_id, const link_up& what) {
    if (!cards_.may_link(what.node))
      return;
    cards_.link_up(what.node, ++last_id_, what.boot, what.called);
    end_leave(what.node); // it may have ended and begun again before its link was lost
    losses_.came(what.node, now_);
    wishes_.forget_silence(what.node);
    wishes_.end_leave_of_earlier_boot(what.node, what.boot, [&](request_id asker) {
      emit(refuse{asker,
                  {errc::cancelled, "node " + cards_.name_of(what.node)
                                      + " has started again before it had left, and keeps its "
                                        "seat; ask again if it is to leave"}});
    });
    reach_again_.erase(what.node);
    ask_card(what.node);
  }

  void handle(request_id, const link_down& what) {
    cards_.link_down(what.node);
    wishes_.forget_silence(what.node);
    end_leave(what.node);
    look_for_loss(what.node);
  }

  /// A node that has left may come back as any other.
  void end_leave(const node_id& node) {
    if (!cards_.seat_of(node))
      wishes_.end_leave(node);
  }

  void handle(request_id, node_is& what) {
    cards_.node_is(what.node, std::move(what.called), std::move(what.address));
  }

  void handle(request_id, const node_left& what) {
    auto linked = cards_.boot_of(what.node);
    if (what.boot != 0 && what.boot < linked)
      return; // it has started again since
    if (role_ == raft::role::leader && cards_.seat_of(what.node)) {
      wishes_.depart(what.node, std::max(what.boot, linked), now_);
      review();
    }
    cards_.forget_name(what.node);
  }

  void handle(request_id, const member_shows& what) {
    losses_.shows(what.node, what.is_there, now_);
    if (!what.is_there)
      look_for_loss(what.node);
  }

  void handle(request_id, revoked& what) {
    wishes_.bar(std::move(what.nodes));
    review();
    if (!own_.disbelieve(wishes_.all().revoked, *out_))
      return;
    greet_all(); // others may show the same
    if (look_ == 0)
      look_anew();
  }

  /// A member may be gone: its time begins now.
  void look_for_loss(const node_id& node) {
    if (cards_.seat_of(node))
      review();
  }

  void handle(request_id, const wants_peer& what) {
    auto where = to_seat_contact(what.contact);
    if (auto again = reach_again_.find(where.node);
        again != reach_again_.end() && now_ < again->second)
      return;
    if (reach_again_.size() >= options_.max_nodes && !reach_again_.contains(where.node)) {
      std::erase_if(reach_again_, [this](auto& each) { return each.second <= now_; });
      if (reach_again_.size() >= options_.max_nodes)
        return; // the group wants it again
    }
    reach_again_[where.node] = now_ + reach_every;
    if (cards_.is_linked(where.node))
      ask_card(where.node); // what was asked over that link got no answer
    else
      emit(reach{std::move(where)});
  }

  /// A member makes its links to the others before an election needs them.
  void reach_members(const raft::configuration& members) {
    if (members.members.contains(own_.id()))
      for (auto& [seat, who] : members.members)
        if (own_.id() != seat && !cards_.is_linked(to_seat_contact(who.contact).node))
          handle(0, wants_peer{who.contact});
  }

  /// Asks the node behind a link for its seat. No answer: asked again after a while, or when
  /// something is to be sent to that seat.
  void ask_card(const node_id& node) {
    emit(greet{cards_.links().at(node).life, node, seat_lost_by(node)});
  }

  void greet_all() {
    for (auto& [node, each] : cards_.links())
      ask_card(node);
  }

  void handle(request_id id, const exchanged& what) {
    auto* link = cards_.find_link(what.theirs.node);
    auto is_proven = what.is_proven() || planted_flaw == flaw::foreign_card_believed;
    if (is_proven && link != nullptr) // else it is asked once it has a link
      know(what.theirs, *link);
    if (what.forgotten == raft::member_id{})
      return emit(show_card{id});
    own_.is(what.self);
    own_.told_void(id, what, cards_, now_, last_id_, *out_);
  }

  void handle(request_id id, const greeted& what) {
    auto* link = cards_.find_link(what.theirs.node);
    if (link != nullptr && link->life == id)
      know(what.theirs, *link);
  }

  /// A refusal is an answer: the node shows its card when that changes.
  void handle(request_id id, const unanswered& what) {
    if (what.why.code == errc::timed_out)
      cards_.is_silent(id, options_.retry, random_, now_);
    else if (what.why.code == errc::not_found)
      cards_.shows_none(id);
  }

  void know(const card& theirs, seat_cards::link& from) {
    auto is_revoked = wishes_.all().revoked.contains(theirs.node); // its link is about to end
    if (!is_revoked && own_.compare(theirs, *out_) && look_ == 0)
      look_anew();
    auto before = from.seat;
    if (!cards_.believe(theirs, from))
      return;
    if (before != raft::member_id{} && before != theirs.seat)
      emit(distrust{before});
    emit(trust{theirs.seat});
    watch(theirs.node);
    review();
  }

  /// What a node has said before this one led is no ground to take its seat away: an earlier leader
  /// may have given it that since. It is asked again.
  void doubt_cards(const raft::configuration& members) {
    for (auto& node : cards_.doubt(members))
      ask_card(node);
  }

  /// Who has no seat any more hears nothing of the group, so its log may not say so. Each member
  /// shows it its card: the leader may have died since.
  void tell_removed(const raft::configuration& before) {
    for (auto& [seat, who] : before.members)
      if (auto node = to_seat_contact(who.contact).node;
          who.votes && !cards_.members().votes(seat) && !wishes_.is_void(seat)
          && cards_.is_linked(node)) // of a void one it is told that
        ask_card(node);
  }

  /// Links between members end sooner: the group waits for them.
  void watch(const node_id& node) {
    if (cards_.seat_of(node) && cards_.members().members.contains(own_.id()))
      emit(watch_closely{node, member_silence});
  }

  // -- disks that forget -----------------------------------------------------------------------

  void handle(request_id, const forgot& what) {
    if (what.seat == raft::member_id{})
      return;
    if (what.seat == own_.id())
      return own_.lost(now_, last_id_, *out_);
    if (own_.was(what.seat) || planted_flaw == flaw::forgotten_kept)
      return;
    if (!wishes_.make_void(what.seat))
      return; // said with each answer of that seat
    wishes_.drop_void(cards_.members(), cards_, options_.max_forgotten);
    emit(warn{"a member has lost what it had synced; its seat is taken away, and its node comes "
              "back as a learner with another one"});
    review();
  }

  /// Returns the seat of a node whose disk has lost what it had synced under it; zero: none.
  [[nodiscard]] raft::member_id seat_lost_by(const node_id& node) const {
    auto seat = cards_.card_of(node);
    return wishes_.is_void(seat) ? seat : raft::member_id{};
  }

  /// Tells nodes which of their seats are void, until they have others. Returns whether there are
  /// such.
  bool tell_void_seats() {
    auto any = false;
    for (auto& [node, each] : cards_.links()) {
      if (seat_lost_by(node) == raft::member_id{}) {
        each.told_void.reset();
        continue;
      }
      any = true;
      // Not the pace of wants_peer: that has just asked for its seat when it comes back.
      if (each.told_void && now_ < *each.told_void)
        continue;
      each.told_void = now_ + reach_every;
      ask_card(node);
    }
    return any;
  }

  void handle(request_id id, const renewed& what) {
    own_.renewed(id, what, now_, *out_, [this] { greet_all(); });
  }

  // -- the leader's part -------------------------------------------------------------------------

  /// Looks at the group and makes the next change, now and then again.
  void review() {
    if (role_ == raft::role::leader && look_ == 0)
      look_anew();
  }

  void make_next(const seen& what) {
    auto& group = what.now;
    wishes_.drop_void(group.members, cards_, options_.max_forgotten);
    if (std::exchange(are_cards_old_, false))
      doubt_cards(group.members);
    auto any_void = tell_void_seats();
    losses_.hear(group.others, now_);
    wishes_.hear(group.others, options_.silent_after, cards_);
    auto lost = note_losses(group.members);
    news_.are_revoked(wishes_.all().revoked, *out_);
    wishes_.set_time(now_);
    auto linked = cards_.candidates(group, what.address);
    voter_plan plan{group, cards_.self(), linked, wishes_.all()};
    if (lost)
      news_.is_lost(*lost, now_ - losses_.gone().at(*lost), losses_.is_silent(*lost), plan, *out_);
    end_changes(what, plan);
    auto next = proposed_ == 0 ? voter_plan{group, cards_.self(), linked, wishes_.all()}.next()
                               : std::nullopt;
    if (next)
      make(*next, group.members);
    auto is_asked = proposed_ != 0 || !wishes_.changes().empty();
    auto pause = next || is_asked ? soon : any_void ? reach_every : sometimes;
    review_at_ = now_ + pause;
    if (next && !is_asked && now_ < pace_.rests_until())
      review_at_ = pace_.rests_until();
  }

  /// Returns the voter that is to be replaced from here on.
  std::optional<node_id> note_losses(const raft::configuration& members) {
    auto before = losses_.due();
    auto lost = losses_.look(now_, members, proposed_ != 0, [this](auto& node) {
      return node == cards_.self() || cards_.is_linked(node);
    });
    if (before && before != losses_.due() && has_vote(*before, members))
      news_.is_back(*before, *out_);
    if (losses_.has_left_out())
      news_.leaves_out(options_.max_nodes, *out_);
    wishes_.replace(losses_.to_go(), now_);
    return lost;
  }

  static bool has_vote(const node_id& node, const raft::configuration& members) {
    return std::ranges::any_of(members.members, [&](auto& each) {
      return each.second.votes && to_seat_contact(each.second.contact).node == node;
    });
  }

  void make(const voter_plan::change& what, const raft::configuration& members) {
    if (now_ < pace_.rests_until())
      return;
    if (pace_.is_free(now_)) {
      proposed_ = ++last_id_;
      note_promotion(what, members);
      return emit(propose{proposed_, what});
    }
    news_.change_waits(now_, *out_);
  }

  void note_promotion(const voter_plan::change& what, const raft::configuration& members) {
    auto* promotion = std::get_if<raft::replica_types::promote>(&what);
    if (promotion == nullptr)
      return;
    auto node = to_seat_contact(members.members.at(promotion->seat).contact).node;
    if (!wishes_.all().add.contains(node))
      losses_.promotes(node);
  }

  void handle(request_id id, const answered& what) {
    if (id == proposed_) {
      proposed_ = 0;
      if (!what.why)
        pace_.count(now_);
      else // it comes again
        pace_.refuse(now_, random_);
      return;
    }
    if (hand_overs_.is_in_vain(id, what.why, now_))
      end_hand_over();
  }

  // -- what people ask for -----------------------------------------------------------------------

  void handle(request_id id, change& what) {
    auto& asked = what.what;
    if (role_ != raft::role::leader)
      return emit(refuse{id, {errc::not_leader, "this node follows; ask the one that leads"}});
    auto node = cards_.find_node(asked.node, wishes_.all().revoked);
    if (!node)
      return emit(refuse{id, node.error()});
    if (count_asked() >= options_.max_changes)
      return emit(refuse{id, {errc::limit_reached, "too many changes are under way; retry later"}});
    if (auto why = wishes_.refusal(asked, *node, cards_, options_.max_wishes))
      return emit(refuse{id, why});
    auto is_lead = asked.what == voter_change::lead;
    if (asked.what == voter_change::add)
      losses_.wanted(*node);
    wishes_.ask(id, std::move(asked), *node, cards_.boot_of(*node), now_);
    if (is_lead && !hand_overs_.all().contains(*node))
      transfer(*node);
    review();
  }

  /// Changes and hand-overs that somebody waits for.
  [[nodiscard]] std::size_t count_asked() const {
    return wishes_.changes().size() + hand_overs_.waiting();
  }

  /// Asks for a hand-over to that node, or to any_node, as long as somebody waits for it.
  void transfer(const node_id& node) {
    auto is_any = node == hand_overs::any_node;
    auto seat = is_any ? raft::member_id{} : cards_.seat_of(node).value_or(raft::member_id{});
    auto is_wanted
      = is_any
        || (wishes_.is_asked_to_lead(node) && seat != raft::member_id{} && node != cards_.self())
        || planted_flaw == flaw::hand_over_repeated;
    if (!is_wanted)
      return hand_overs_.drop(node);
    auto id = ++last_id_;
    hand_overs_.ask(node, id);
    emit(propose{id, raft::replica_types::transfer{seat}});
  }

  void handle(request_id id, const hand_over&) {
    if (role_ != raft::role::leader || cards_.members().voters().size() < 2
        || count_asked() >= options_.max_changes)
      return emit(handed_over{id});
    if (hand_overs_.wait(id, now_))
      transfer(hand_overs::any_node);
  }

  void end_hand_over() {
    for (auto each : hand_overs_.end())
      emit(handed_over{each});
  }

  /// Answers those whose change is made, or cannot be.
  void end_changes(const seen& what, const voter_plan& plan) {
    wishes_.end_changes(what.now, cards_, plan, now_, [&](request_id asker, const problem& why) {
      if (!why)
        emit(made{asker, view(what.now, what.quorum)});
      else
        emit(refuse{asker, why});
    });
    hand_overs_.keep([this](auto& node) { return wishes_.is_asked_to_lead(node); });
  }

  static constexpr duration watch_quorum_every = std::chrono::milliseconds{250};
  static constexpr duration reach_every = std::chrono::milliseconds{500};
  static constexpr duration member_silence = std::chrono::seconds{2};
  static constexpr duration soon = std::chrono::milliseconds{50};
  static constexpr duration sometimes = std::chrono::seconds{1};

  const seats_options options_;
  own_seat own_;
  random_source random_;
  raft::role role_ = raft::role::follower;
  std::uint64_t turn_ = 0;
  seat_cards cards_;
  std::map<node_id, time_point> reach_again_;

  /// The question whose answer counts; zero: none. So are the next ones.
  request_id look_ = 0;
  request_id proposed_ = 0;
  request_id last_id_ = 0;

  /// Whether it is to be told who leads.
  bool tells_ = false;
  /// Whether the nodes have shown their cards before this one led.
  bool are_cards_old_ = false;
  seat_news news_{cards_};
  std::string cause_;

  std::optional<time_point> quorum_at_;
  std::optional<time_point> review_at_;
  voter_losses losses_;
  seat_wishes wishes_;
  needed_links needs_;
  lead_obstacles obstacles_{cards_, wishes_};
  hand_overs hand_overs_;
  change_pace pace_;

  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
