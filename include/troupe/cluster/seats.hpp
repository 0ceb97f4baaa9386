#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/change_pace.hpp"
#include "troupe/cluster/seats_types.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
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
///   voter_plan finds, one at a time, and not more often than the change_pace allows. Who asks for
///   a change is answered once it is made, or cannot be; of two wishes for a node the later one
///   counts.
/// - The leader tells nodes whose disks have forgotten that their seats are void, until they have
///   others. A node believes that only of the one that leads, or, while it knows no leader, of a
///   node that it is linked to.
/// - Every node is told who leads, where, and, while nobody does, whom it misses.
///
/// Steps like any machine. No snapshot: the group keeps what has to be kept. Not thread-safe. Cost
/// of a step: O(links + members), of a review O(links + members^2).
///
/// It counts on this of its host: each `look`, `propose` and `renew` is answered once, and not
/// within the step.
class seats : public seats_types {
public:
  /// `node` is the id of this node, `self` its seat.
  seats(std::string node, raft::seat_id self, const seats_options& options)
    : node_(std::move(node)), options_(options), self_(self) {
    wishes_.voters = std::max<std::size_t>(options_.voters, 1);
  }

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    std::visit([&](auto& each) { handle(id, each); }, what);
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
    if (!leaving_.empty() && leave_at_ <= now)
      end_hand_over();
    std::vector<std::string> again;
    for (auto& [node, each] : transfers_)
      if (is_due(each.again))
        again.push_back(node);
    for (auto& node : again)
      transfer(node);
    if (is_due(review_at_))
      review();
    if (is_due(quorum_at_) && look_ == 0)
      look_anew();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    std::optional<time_point> next;
    auto no_later = [&next](const std::optional<time_point>& when) {
      if (when)
        next = std::min(next.value_or(*when), *when);
    };
    if (!leaving_.empty())
      no_later(leave_at_);
    for (auto& [node, each] : transfers_)
      no_later(each.again);
    no_later(review_at_);
    no_later(quorum_at_);
    return next;
  }

  /// The members as this node sees them, whoever leads.
  [[nodiscard]] voters_view view(const raft::replica_types::status& now,
                                 const host::quorum_view& quorum) const {
    auto& kept_out = now.members.kept_out;
    voters_view all{
      now.term, now.commit, now.last, wishes_.voters, {}, {kept_out.begin(), kept_out.end()}, {}};
    std::map<raft::seat_id, const raft::replica_types::member_status*> progress;
    for (auto& each : now.others)
      progress[each.seat] = &each;
    std::map<raft::seat_id, bool> is_reached;
    for (auto& each : quorum.voters)
      is_reached[each.seat] = each.is_reached;
    for (auto& [seat, who] : now.members.members) {
      auto where = to_seat_contact(who.contact);
      seat_view each{where.node, where.address, seat.value, who.votes, seat == now.leader, {}, {}};
      auto known = is_reached.find(seat);
      each.is_reached = known != is_reached.end()
                          ? known->second
                          : where.node == node_ || links_.contains(where.node);
      if (seat == now.self && now.now == raft::role::leader)
        each.lag = 0;
      if (auto found = progress.find(seat); found != progress.end()) {
        if (found->second->match > 0 || found->second->by_snapshot)
          each.lag = now.last - std::min(now.last, found->second->match);
        each.silent_for = found->second->silent_for;
      }
      all.seats.push_back(std::move(each));
    }
    all.pending = now.now == raft::role::leader ? pending_here(now) : pending_elsewhere(now);
    return all;
  }

  /// What callers are to be told where no majority is reached, or what keeps this node from
  /// following a leader that it hears.
  [[nodiscard]] problem obstacle(const host::quorum_view& known, time_point now) const {
    if (known.leader != raft::seat_id{} || known.why)
      return refusal(known);
    if (now < obstacle_until_)
      return {errc::no_quorum, "nobody leads this node: " + obstacle_};
    if (has_given_up_seat())
      return {
        errc::no_quorum,
        "the disk of this node has lost what it had synced (is its folder an older copy?): it "
        "has given up its seat, and waits for a leader that gives it another one"};
    return {};
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, std::string what) {
      if (!holds)
        found.push_back(std::move(what));
    };
    expect(links_.size() <= options_.max_nodes, "more links than allowed");
    expect(known_.size() <= options_.max_nodes, "more nodes than allowed");
    expect(reach_again_.size() <= options_.max_nodes, "more nodes to be reached than allowed");
    expect(changes_.size() + leaving_.size() <= options_.max_changes, "more changes than allowed");
    expect(wishes_.remove.size() <= options_.max_wishes, "more removals than allowed");
    expect(std::ranges::all_of(wishes_.forced, [this](auto& node) { return is_wished_away(node); }),
           "a node is forced out that is not wished away");
    expect(transfers_.size() <= options_.max_changes + 1, "more transfers than allowed");
    expect(!links_.contains(node_), "a link to itself");
    std::set<request_id> lives;
    for (auto& [node, each] : links_)
      expect(each.life <= last_id_ && lives.insert(each.life).second, "two links are one: " + node);
    std::set<request_id> askers;
    for (auto& each : changes_)
      expect(askers.insert(each.asker).second, "an asker waits for two changes");
    for (auto& [node, each] : transfers_) {
      expect((each.open == 0) == each.again.has_value(), "a transfer waits for nothing: " + node);
      expect(each.open <= last_id_, "a transfer has a number that was not given: " + node);
      expect(node.empty() ? !leaving_.empty() : is_asked_to_lead(node),
             "nobody waits for a transfer: " + node);
    }
    auto leads = role_ == raft::role::leader;
    expect(!leads || look_ != 0 || review_at_, "who leads looks no more");
    expect(leads || !review_at_, "who follows reviews the members");
    expect(!tells_ || look_ != 0, "who leads is not told");
    expect(leads || tells_ || (changes_.empty() && leaving_.empty()), "who follows is waited for");
    expect(look_ <= last_id_ && proposed_ <= last_id_ && renewing_ <= last_id_,
           "a question has a number that was not given");
    expect(renewing_ != 0 || renew_asker_ == 0, "a seat is waited for that is not asked");
    return found;
  }

private:
  /// Its number is that of its greetings: an answer over an earlier link does not count.
  struct linked_node {
    request_id life = 0;
    /// What it has said. Zero: nothing.
    raft::seat_id seat{};
    /// When it is told again that its seat is void.
    std::optional<time_point> told_void{};
  };

  struct known_node {
    std::string called;
    std::string address;
  };

  /// Somebody waits for it.
  struct asked_change {
    request_id asker = 0;
    change_voters what;
    std::string node; // its id
    time_point asked{};
  };

  /// Of leadership: the open question, or when it is asked again.
  struct hand_to {
    request_id open = 0;
    std::optional<time_point> again{};
  };

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
    auto has_led = std::exchange(role_, what.now) == raft::role::leader;
    ++turn_;
    if (what.now == raft::role::leader) {
      emit(inform{"leads the cluster in term " + std::to_string(what.term) + ": " + what.cause});
      said_leader_ = {what.term, node_};
      say_members();
      tells_ = false;
      are_cards_old_ = true;
      emit(lead{turn_});
      return look_anew();
    }
    review_at_.reset();
    if (has_led && what.cause == raft::replica_types::handed_over)
      emit(inform{leads_no_more + what.cause});
    else if (has_led)
      emit(
        warn{leads_no_more
             + (what.leader == raft::seat_id{} ? what.cause : "another node leads a later term")});
    cause_ = what.cause;
    tells_ = true;
    look_anew();
  }

  void handle(request_id, members_are& what) {
    members_ = std::move(what.committed);
    self_is(what.now);
    say_members();
    tell_others(members_);
    say_seated(what.now.members);
    for (auto& [node, each] : links_)
      watch(node);
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
    emit(follow{++turn_, {}});
    for (auto& each : std::exchange(changes_, {}))
      emit(refuse{each.asker, {errc::not_leader, what.why.detail}});
    forget_wishes();
  }

  void handle(request_id id, const seen& what) {
    if (id != look_)
      return; // the group stands otherwise since
    look_ = 0;
    self_is(what.now);
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

  void self_is(const raft::replica_types::status& now) {
    if (now.self != raft::seat_id{}) // the group has started
      self_ = now.self;
  }

  void tell_others(const raft::configuration& members) {
    others found;
    for (auto& [seat, who] : members.members)
      if (seat != self_)
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
    auto leader = std::pair{now.term, where.node};
    if (!where.node.empty() && leader != said_leader_) {
      emit(inform{"node " + name_of_node(where.node) + " leads the cluster in term "
                  + std::to_string(now.term) + ": " + cause_});
      said_leader_ = std::move(leader);
      say_members();
    }
    emit(follow{turn_, where.address});
    for (auto& each : std::exchange(changes_, {}))
      if (each.what.what == voter_change::lead && each.node == where.node)
        emit(made{each.asker, view(now, what.quorum)});
      else if (planted_flaw != flaw::asker_dropped)
        emit(refuse{each.asker, {errc::not_leader, "leadership has moved; ask again"}});
    forget_wishes();
  }

  /// This node does not lead: the next leader is asked anew.
  void forget_wishes() {
    wishes_ = {.voters = wishes_.voters};
    wished_at_.reset();
    transfers_.clear();
    end_hand_over();
  }

  /// By the log, committed or not: after a start, while there is no majority, nobody says how far
  /// the log is committed.
  void say_seated(const raft::configuration& logged) {
    emit(seated{logged.members.contains(self_), logged.votes(self_)});
  }

  /// Not while this node only reads what was, as after its start.
  void say_members() {
    if (said_leader_.second.empty() || members_.members.empty())
      return;
    if (auto text = describe(members_); text != said_members_)
      emit(inform{said_members_ = std::move(text)});
  }

  /// Who votes and who learns, for people.
  [[nodiscard]] std::string describe(const raft::configuration& members) const {
    std::string voters;
    std::string learners;
    for (auto& [seat, who] : members.members) {
      auto& list = who.votes ? voters : learners;
      auto node = to_seat_contact(who.contact).node;
      list += (list.empty() ? "" : ", ") + (node == node_ ? "this node" : name_of_node(node));
    }
    auto text = "voters of the cluster: " + voters;
    return learners.empty() ? text : text + "; learners: " + learners;
  }

  // -- whether a majority is reached ------------------------------------------------------------

  /// For a contact: "n0 (127.0.0.1:1)".
  [[nodiscard]] auto name_at() const {
    return [this](const std::string& contact) {
      auto where = to_seat_contact(contact);
      return name_of_node(where.node) + " (" + where.address + ")";
    };
  }

  /// While no leader is known: tells the node, and its operator.
  void watch_quorum(const host::quorum_view& known) {
    quorum_at_.reset();
    if (auto why = refusal(known); why != said_quorum_)
      emit(without_quorum{said_quorum_ = std::move(why)});
    if (known.leader != raft::seat_id{} || known.voters.empty()) {
      if (!std::exchange(said_missing_, {}).empty())
        emit(settle{no_leader});
      return;
    }
    if (auto missing = known.standing(name_at());
        known.leaderless_for >= say_leaderless_after && missing != said_missing_)
      emit(complain{no_leader, said_missing_ = std::move(missing)});
    if (has_given_up_seat() && show_card_at_ <= now_)
      greet_all();
    quorum_at_ = now_ + watch_quorum_every;
  }

  /// As the group has it, but with the names of nodes.
  [[nodiscard]] problem refusal(const host::quorum_view& known) const {
    if (!known.why)
      return {};
    auto why = known.no_quorum(name_at());
    if (is_disk_full_)
      why.detail += "; the disk of this node is full, too: make room there";
    return why;
  }

  void handle(request_id, const disk_room& what) {
    is_disk_full_ = what.why.code != errc::none;
    constexpr const char* topic = "writes nothing new to its data folder";
    if (!is_disk_full_)
      emit(settle{topic});
    else
      emit(complain{topic, what.why.detail});
  }

  /// The sender repeats such a message.
  void handle(request_id, const ignored& what) {
    auto detail = what.why.detail;
    if (what.contradicts && has_given_up_seat())
      detail += ". By what this node has heard it is its own: move its log away (group.db and what "
                "begins with that name), start it with the address of one of the others "
                "(node_options::join), and it comes back with their state";
    emit(complain{"drops messages of " + name_of_seat(what.from), detail});
    if (!what.contradicts)
      return;
    obstacle_ = std::move(detail);
    obstacle_until_ = now_ + obstacle_for;
  }

  /// By its own log, which may not have heard yet that it has another one.
  [[nodiscard]] bool has_given_up_seat() const {
    auto own = seat_of(node_);
    return own && *own != self_ && !members_.members.contains(self_);
  }

  [[nodiscard]] std::string name_of_seat(raft::seat_id seat) const {
    for (auto& [node, each] : links_)
      if (each.seat == seat && seat != raft::seat_id{})
        return name_of_node(node);
    auto found = members_.members.find(seat);
    return found == members_.members.end() ? "member " + std::to_string(seat.value)
                                           : name_at()(found->second.contact);
  }

  // -- the other nodes ----------------------------------------------------------------------

  void handle(request_id, const link_up& what) {
    if (what.node == node_ || (links_.size() >= options_.max_nodes && !links_.contains(what.node)))
      return;
    links_[what.node] = {++last_id_};
    end_leave(what.node); // it may have ended and begun again before its link was lost
    reach_again_.erase(what.node);
    ask_card(what.node);
  }

  void handle(request_id, const link_down& what) {
    links_.erase(what.node);
    end_leave(what.node);
  }

  /// A node that has left may come back as any other.
  void end_leave(const std::string& node) {
    if (!seat_of(node))
      wishes_.leave.erase(node);
    forget_force();
  }

  void handle(request_id, node_is& what) {
    if (known_.size() >= options_.max_nodes && !known_.contains(what.node) && !forget_a_node())
      return;
    known_[what.node] = {std::move(what.called), std::move(what.address)};
  }

  /// Returns whether one could be forgotten.
  bool forget_a_node() {
    for (auto each = known_.begin(); each != known_.end(); ++each)
      if (!links_.contains(each->first) && !seat_of(each->first)) {
        known_.erase(each);
        return true;
      }
    return false;
  }

  void handle(request_id, const node_left& what) {
    if (role_ == raft::role::leader && seat_of(what.node)) {
      wishes_.leave.insert(what.node);
      wishes_.forced.insert(what.node); // it is gone, replaced or not
      wished_at_ = now_;
      review();
    }
    known_.erase(what.node);
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
    if (links_.contains(where.node))
      ask_card(where.node); // what was asked over that link got no answer
    else
      emit(reach{std::move(where)});
  }

  /// Asks the node behind a link for its seat. No answer: asked again when something is to be sent
  /// to that seat.
  void ask_card(const std::string& node) {
    emit(greet{links_.at(node).life, node, seat_lost_by(node)});
  }

  /// To all, again and again until it is a member's.
  void greet_all() {
    show_card_at_ = now_ + show_card_every;
    for (auto& [node, each] : links_)
      ask_card(node);
  }

  void handle(request_id id, const exchanged& what) {
    auto link = links_.find(what.theirs.node);
    auto is_proven = what.is_proven || planted_flaw == flaw::foreign_card_believed;
    if (is_proven && link != links_.end()) // else it is asked once it has a link
      know(what.theirs, link->second);
    if (what.forgotten == raft::seat_id{})
      return emit(show_card{id});
    if (what.self != raft::seat_id{})
      self_ = what.self;
    give_up_seat(id, what);
  }

  void handle(request_id id, const greeted& what) {
    auto link = links_.find(what.theirs.node);
    if (link != links_.end() && link->second.life == id)
      know(what.theirs, link->second);
  }

  void know(const card& theirs, linked_node& link) {
    if (!theirs.is_reachable || theirs.seat == raft::seat_id{}
        || is_of_another(theirs.seat, theirs.node, members_))
      return; // the group says whose seat that is
    link.seat = theirs.seat;
    emit(trust{theirs.seat});
    watch(theirs.node);
    review();
  }

  /// What a node has said before this one led is no ground to take its seat away: an earlier leader
  /// may have given it that since. It is asked again.
  void doubt_cards(const raft::configuration& members) {
    for (auto& [seat, who] : members.members) {
      auto link = links_.find(to_seat_contact(who.contact).node);
      if (link == links_.end() || link->second.seat == seat || link->second.seat == raft::seat_id{})
        continue;
      link->second.seat = {};
      ask_card(link->first);
    }
  }

  static bool is_of_another(raft::seat_id seat, const std::string& node,
                            const raft::configuration& members) {
    auto found = members.members.find(seat);
    return found != members.members.end() && to_seat_contact(found->second.contact).node != node;
  }

  /// Links between members end sooner: the group waits for them.
  void watch(const std::string& node) {
    if (seat_of(node) && members_.members.contains(self_))
      emit(watch_closely{node, member_silence});
  }

  [[nodiscard]] std::optional<raft::seat_id> seat_of(const std::string& node) const {
    for (auto& [seat, who] : members_.members)
      if (to_seat_contact(who.contact).node == node)
        return seat;
    return std::nullopt;
  }

  [[nodiscard]] std::string name_of_node(const std::string& node) const {
    auto found = known_.find(node);
    return found != known_.end() ? found->second.called : node.substr(0, 8);
  }

  // -- disks that forget -----------------------------------------------------------------------

  void handle(request_id, const forgot& what) {
    if (what.seat == raft::seat_id{})
      return;
    if (what.seat == self_) {
      change_seat(0);
      return;
    }
    if (what.seat == given_up_ || planted_flaw == flaw::forgotten_kept)
      return;
    if (!wishes_.forgotten.insert(what.seat).second)
      return; // said with each answer of that seat
    drop_forgotten(members_);
    emit(warn{"a member has lost what it had synced; its seat is taken away, and its node comes "
              "back as a learner with another one"});
    review();
  }

  /// Returns the seat of a node whose disk has lost what it had synced under it; zero: none.
  [[nodiscard]] raft::seat_id seat_lost_by(const std::string& node) const {
    auto link = links_.find(node);
    return link != links_.end() && wishes_.forgotten.contains(link->second.seat) ? link->second.seat
                                                                                 : raft::seat_id{};
  }

  /// Such a seat stays void while its node is away, too.
  void drop_forgotten(const raft::configuration& members) {
    if (wishes_.forgotten.size() <= options_.max_forgotten)
      return;
    std::set<raft::seat_id> held;
    for (auto& [node, each] : links_)
      held.insert(each.seat);
    std::erase_if(wishes_.forgotten, [&](raft::seat_id each) {
      return !members.members.contains(each) && !held.contains(each);
    });
  }

  /// Tells nodes which of their seats are void, until they have others. Returns whether there are
  /// such.
  bool tell_void_seats() {
    auto any = false;
    for (auto& [node, each] : links_) {
      if (seat_lost_by(node) == raft::seat_id{}) {
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

  /// The leader has seen that the disk of this node lost what it had synced: it takes part as a
  /// newcomer, under a seat that has promised nothing. Answered with the card of that.
  ///
  /// The leader takes the seat away first, so this node may hear of no leader by then, nor after a
  /// restart. Then the word of any node counts that it is linked to: what a seat has lost stays
  /// lost, whoever leads. An old log may not have the leader among the members, so its card counts.
  void give_up_seat(request_id id, const exchanged& what) {
    if (what.forgotten != self_)
      return emit(show_card{id}); // it has another one by now
    auto is_heard = what.leader == raft::seat_id{} || what.leader == what.theirs.seat;
    if (!what.is_proven || !is_heard || !links_.contains(what.theirs.node))
      return emit(refuse{id,
                         {errc::bad_argument,
                          "a node is told that its seat is void by the one that leads the group, "
                          "over the link of that; by another linked node only while it knows no "
                          "leader"}});
    if (!change_seat(id))
      emit(refuse{id, {errc::busy, "this node has just taken another seat; ask again"}});
  }

  /// Returns whether it does.
  bool change_seat(request_id asker) {
    if (renewing_ != 0 || now_ < change_seat_at_)
      return false;
    change_seat_at_ = now_ + change_seat_every;
    given_up_ = self_; // what is said of it while the disk writes is of this node
    renewing_ = ++last_id_;
    renew_asker_ = asker;
    emit(renew{renewing_, self_});
    return true;
  }

  void handle(request_id id, const renewed& what) {
    if (id != renewing_)
      return;
    renewing_ = 0;
    auto asker = std::exchange(renew_asker_, 0);
    self_is(what.now);
    const std::string lost
      = "the disk of this node has lost what it had synced (is its folder an older copy?); ";
    if (!what.why) {
      emit(warn{lost + "it has given up its seat, and learns before it votes again"});
      say_seated(what.now.members);
      greet_all();
    } else {
      emit(warn{lost + "it cannot give up its seat: " + what.why.detail});
    }
    if (asker != 0 && what.why)
      emit(refuse{asker, what.why});
    else if (asker != 0)
      emit(show_card{asker});
  }

  // -- the leader's part -------------------------------------------------------------------------

  /// Looks at the group and makes the next change, now and then again.
  void review() {
    if (role_ == raft::role::leader && look_ == 0)
      look_anew();
  }

  void make_next(const seen& what) {
    auto& group = what.now;
    drop_forgotten(group.members);
    if (std::exchange(are_cards_old_, false))
      doubt_cards(group.members);
    auto any_void = tell_void_seats();
    wishes_.since = wished_at_ ? now_ - *wished_at_ : duration::max();
    auto linked = candidates(group, what.address);
    end_changes(what, voter_plan{group, node_, linked, wishes_});
    auto next = proposed_ == 0 ? voter_plan{group, node_, linked, wishes_}.next() : std::nullopt;
    if (next)
      make(*next);
    review_at_ = now_
                 + (next || proposed_ != 0 || !changes_.empty() ? soon
                    : any_void                                  ? reach_every
                                                                : sometimes);
  }

  void make(const voter_plan::change& what) {
    if (pace_.is_free(now_)) {
      proposed_ = ++last_id_;
      return emit(propose{proposed_, what});
    }
    if (now_ < say_pace_at_)
      return;
    say_pace_at_ = now_ + change_pace::span;
    emit(inform{"the members of the group have changed " + std::to_string(change_pace::max_changes)
                + " times within " + troupe::to_string(change_pace::span)
                + "; the next change waits. See who comes and goes with troupe voters"});
  }

  void handle(request_id id, const answered& what) {
    if (id == proposed_) {
      proposed_ = 0;
      if (!what.why) // refused: it comes again
        pace_.count(now_);
      return;
    }
    auto found
      = std::ranges::find_if(transfers_, [id](auto& each) { return each.second.open == id; });
    if (found == transfers_.end())
      return;
    if (what.why.code == errc::busy || planted_flaw == flaw::hand_over_repeated) {
      found->second = {0, now_ + soon}; // another hand-over is under way, and may fail
      return;
    }
    auto is_own = found->first.empty();
    transfers_.erase(found);
    if (is_own && what.why)
      end_hand_over();
  }

  [[nodiscard]] std::map<std::string, voter_plan::candidate>
  candidates(const raft::replica_types::status& now, const std::string& address) const {
    std::map<std::string, voter_plan::candidate> found;
    for (auto& [node, each] : links_)
      if (auto where = known_.find(node); where != known_.end() && each.seat != raft::seat_id{}
                                          && !is_of_another(each.seat, node, now.members))
        found[node] = {each.seat, where->second.address};
    found[node_] = {now.self, address};
    return found;
  }

  // -- what is shown -----------------------------------------------------------------------------

  static constexpr const char* removal = "removal";
  static constexpr const char* void_seat = "void seat";
  static constexpr const char* handing_over = "hand-over";

  /// @pre this node leads
  [[nodiscard]] std::vector<pending_view>
  pending_here(const raft::replica_types::status& now) const {
    std::vector<pending_view> found;
    auto linked = candidates(now, {});
    voter_plan plan{now, node_, linked, wishes_};
    for (auto& [seat, who] : now.members.members) {
      auto node = to_seat_contact(who.contact).node;
      auto there = linked.find(node);
      if (wishes_.forgotten.contains(seat))
        found.push_back({node, void_seat,
                         "its disk has lost what it had synced; it is taken away next, and the "
                         "node learns under another one"});
      else if (there != linked.end() && there->second.seat != seat)
        found.push_back(
          {node, void_seat, "its node has another one by now; it is taken away next"});
      else if (plan.is_unwanted(node))
        found.push_back({node, removal, who.votes ? reason(plan, node) : goes_next()});
    }
    for (auto& [node, each] : links_)
      if (wishes_.forgotten.contains(each.seat) && !now.members.members.contains(each.seat))
        found.push_back({node, void_seat,
                         "its disk has lost what it had synced; the node gets a seat once it has "
                         "taken another member id, which it is asked to"});
    for (auto& [node, each] : transfers_)
      found.push_back({node.empty() ? node_ : node, handing_over, reason(node, each)});
    return found;
  }

  /// By the log of a node that follows.
  [[nodiscard]] std::vector<pending_view>
  pending_elsewhere(const raft::replica_types::status& now) const {
    std::vector<pending_view> found;
    for (auto& [seat, who] : now.members.members)
      if (auto node = to_seat_contact(who.contact).node; now.members.kept_out.contains(node))
        found.push_back({node, removal, "the leader sees to it, and knows what it waits for"});
    if (has_given_up_seat())
      found.push_back({node_, void_seat,
                       "the disk of this node has lost what it had synced; it waits for a leader "
                       "that gives it another seat"});
    return found;
  }

  [[nodiscard]] std::string reason(const voter_plan& plan, const std::string& node) const {
    switch (plan.held_by(node)) {
      case voter_plan::hold::nothing:
        return node == node_ ? "it leads, and hands over first" : goes_next();
      case voter_plan::hold::only_voter:
        return "it is the only voter, and goes once another one votes";
      case voter_plan::hold::needed:
        return "it is needed: too few of the other voters are there and have all entries; it goes "
               "once they are back";
      case voter_plan::hold::no_replacement:
        return "waits for a replacement: no node is free to vote; start one with a data folder";
      case voter_plan::hold::replacement_learns:
        return "waits for a replacement: a node that can vote has to catch up first";
      case voter_plan::hold::others_learn:
        return "it is forced, and goes once the nodes vote that can; they have to catch up first";
    }
    return {};
  }

  [[nodiscard]] std::string goes_next() const {
    return pace_.is_free(now_) ? "it goes next"
                               : "it goes within " + troupe::to_string(change_pace::span)
                                   + ": the members have changed too often lately";
  }

  [[nodiscard]] static std::string reason(const std::string& to, const hand_to& each) {
    if (each.again)
      return "another hand-over is under way; it is asked for again";
    return to.empty() ? "this node ends once another one leads, or in 3 s"
                      : "it leads once it has all entries";
  }

  // -- what people ask for -----------------------------------------------------------------------

  void handle(request_id id, change& what) {
    auto& asked = what.what;
    if (role_ != raft::role::leader)
      return emit(refuse{id, {errc::not_leader, "this node follows; ask the one that leads"}});
    auto node = find_node(asked.node);
    if (!node)
      return emit(refuse{id, node.error()});
    if (changes_.size() + leaving_.size() >= options_.max_changes)
      return emit(refuse{id, {errc::limit_reached, "too many changes are under way; retry later"}});
    if (asked.what == voter_change::add && *node != node_ && !has_card(*node) && !seat_of(*node))
      return emit(refuse{
        id,
        {errc::bad_argument, "node " + asked.node
                               + " cannot vote: it has no data folder, or there is no link to it; "
                                 "start it with a data folder (node_options::data)"}});
    if (asked.what == voter_change::remove && wishes_.remove.size() >= options_.max_wishes
        && !wishes_.remove.contains(*node))
      return emit(refuse{id,
                         {errc::limit_reached, "too many removals are under way; retry once some "
                                               "are made, see troupe voters"}});
    changes_.push_back({id, std::move(asked), *node, now_});
    wish(changes_.back().what, *node);
    review();
  }

  [[nodiscard]] bool has_card(const std::string& node) const {
    auto link = links_.find(node);
    return link != links_.end() && link->second.seat != raft::seat_id{};
  }

  void wish(const change_voters& asked, const std::string& node) {
    auto what = asked.what;
    if (what == voter_change::lead) {
      if (!transfers_.contains(node))
        transfer(node);
      return;
    }
    for (auto* other : {&wishes_.add, &wishes_.remove, &wishes_.leave, &wishes_.let_in})
      other->erase(node);
    auto& wanted = what == voter_change::add      ? wishes_.add
                   : what == voter_change::remove ? wishes_.remove
                                                  : wishes_.leave;
    wanted.insert(node);
    if (takes_seat(what)) {
      wished_at_ = now_;
      wishes_.forced.erase(node);
      if (asked.force)
        wishes_.forced.insert(node);
    }
    forget_force();
  }

  [[nodiscard]] bool is_wished_away(const std::string& node) const {
    return wishes_.remove.contains(node) || wishes_.leave.contains(node);
  }

  /// Of nodes that are not wished away any more.
  void forget_force() {
    std::erase_if(wishes_.forced, [this](auto& node) { return !is_wished_away(node); });
  }

  [[nodiscard]] bool is_asked_to_lead(const std::string& node) const {
    return std::ranges::any_of(changes_, [&](auto& each) {
      return each.what.what == voter_change::lead && each.node == node;
    });
  }

  /// Asks for a hand-over to that node, or to any if it is empty, as long as somebody waits for it.
  void transfer(const std::string& node) {
    auto seat = node.empty() ? raft::seat_id{} : seat_of(node).value_or(raft::seat_id{});
    auto is_wanted = node.empty()
                     || (is_asked_to_lead(node) && seat != raft::seat_id{} && node != node_)
                     || planted_flaw == flaw::hand_over_repeated;
    if (!is_wanted) {
      transfers_.erase(node);
      return;
    }
    auto id = ++last_id_;
    transfers_[node] = {id};
    emit(propose{id, raft::replica_types::transfer{seat}});
  }

  void handle(request_id id, const hand_over&) {
    if (role_ != raft::role::leader || members_.voters().size() < 2
        || changes_.size() + leaving_.size() >= options_.max_changes)
      return emit(handed_over{id});
    leaving_.push_back(id);
    if (leaving_.size() > 1)
      return;
    leave_at_ = now_ + hand_over_within;
    transfer({});
  }

  void end_hand_over() {
    transfers_.erase(std::string{});
    for (auto each : std::exchange(leaving_, {}))
      emit(handed_over{each});
  }

  /// Returns the id of the node of that name, id or address.
  [[nodiscard]] result<std::string> find_node(const std::string& called) const {
    if (called == node_ || known_.contains(called))
      return called;
    std::set<std::string> found;
    for (auto& [node, who] : known_)
      if (who.called == called)
        found.insert(node);
    for (auto& [seat, who] : members_.members) // it may never come back
      if (auto where = to_seat_contact(who.contact);
          where.node == called || where.address == called)
        found.insert(where.node);
    if (found.size() == 1)
      return *found.begin();
    auto shown = "'" + called.substr(0, 64) + "'";
    if (found.empty())
      return problem{errc::not_found,
                     "no node " + shown + " is known; see troupe status for their names"};
    return problem{errc::bad_argument,
                   std::to_string(found.size()) + " nodes are called " + shown
                     + "; give the id of the one you mean, see troupe voters --json"};
  }

  /// Answers those whose change is made, or cannot be.
  void end_changes(const seen& what, const voter_plan& plan) {
    auto& now = what.now;
    for (auto each = changes_.begin(); each != changes_.end();) {
      auto why = problem_with(*each, now, plan);
      if (!is_made(*each, now) && !why) {
        ++each;
        continue;
      }
      if (!why)
        emit(made{each->asker, view(now, what.quorum)});
      else
        emit(refuse{each->asker, why});
      // Who leaves has gone on by then; who is to be removed need not be there.
      auto goes_on = each->what.what == voter_change::remove && why.code == errc::timed_out;
      if (!goes_on && each->what.what != voter_change::lead && !is_wished_by_others(each))
        forget_wish(each->node, now, why.code);
      each = changes_.erase(each);
    }
    std::erase_if(transfers_, [&](auto& each) {
      return !each.first.empty() && !is_asked_to_lead(each.first)
             && planted_flaw != flaw::hand_over_repeated;
    });
    std::erase_if(wishes_.let_in, [&](auto& node) { return !now.members.kept_out.contains(node); });
    std::erase_if(wishes_.remove, [&](auto& node) {
      return now.members.kept_out.contains(node) && members_.kept_out.contains(node)
             && !has_seat(node, now.members) && is_asked_for_nothing(node);
    });
    std::erase_if(wishes_.leave, [&](auto& node) {
      return !links_.contains(node) && node != node_ && !has_seat(node, now.members)
             && is_asked_for_nothing(node);
    });
    forget_force();
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

  [[nodiscard]] bool is_asked_for_nothing(const std::string& node) const {
    return std::ranges::none_of(changes_, [&](auto& each) { return each.node == node; });
  }

  static bool has_seat(const std::string& node, const raft::configuration& members) {
    return std::ranges::any_of(members.members, [&](auto& each) {
      return to_seat_contact(each.second.contact).node == node;
    });
  }

  /// Whether it votes, and is to go on so.
  static bool is_voter(const std::string& node, const raft::configuration& members) {
    return !members.kept_out.contains(node)
           && std::ranges::any_of(members.members, [&](auto& each) {
                return each.second.votes && to_seat_contact(each.second.contact).node == node;
              });
  }

  static bool takes_seat(voter_change what) {
    return what == voter_change::remove || what == voter_change::leave;
  }

  /// From here on the node counts as any other, or as one that is kept out. Not that, if its
  /// removal was refused. Who leaves is wished away until its link is gone.
  void forget_wish(const std::string& node, const raft::replica_types::status& now, errc why) {
    auto was_removed = wishes_.remove.erase(node) > 0;
    wishes_.add.erase(node);
    if (why != errc::none)
      wishes_.leave.erase(node);
    if (was_removed && why != errc::none && now.members.kept_out.contains(node))
      wishes_.let_in.insert(node);
  }

  /// By what is committed, too: another leader may not have the change otherwise.
  [[nodiscard]] bool is_made(const asked_change& each,
                             const raft::replica_types::status& now) const {
    switch (each.what.what) {
      case voter_change::add:
        return is_voter(each.node, now.members) && is_voter(each.node, members_);
      case voter_change::remove:
        return !has_seat(each.node, now.members) && members_.kept_out.contains(each.node);
      case voter_change::leave:
        return !has_seat(each.node, now.members) && !has_seat(each.node, members_);
      case voter_change::lead:
        return each.node == node_;
    }
    return false;
  }

  [[nodiscard]] problem problem_with(const asked_change& each,
                                     const raft::replica_types::status& now,
                                     const voter_plan& plan) const {
    if (is_made(each, now))
      return {};
    auto seat = seat_of(each.node);
    auto votes = seat && now.members.votes(*seat);
    if (takes_seat(each.what.what) && votes) {
      if (now.members.voters().size() == 1)
        return {errc::in_use, "node " + name_of_node(each.node)
                                + " is the only voter and keeps all that the cluster has; add "
                                  "another one first"};
      if (is_wished_away(each.node) && !plan.is_forced(each.node) && !plan.has_replacement())
        return {errc::in_use, "no node could take the place of voter " + name_of_node(each.node)
                                + ", and the cluster would stand fewer losses; add one with a data "
                                  "folder first, or force it (leave_options::force, "
                                  "change_voters::force)"};
    }
    if (each.what.what == voter_change::remove && !plan.can_keep_out(each.node))
      return {errc::limit_reached, std::to_string(raft::max_kept_out)
                                     + " removed nodes that are there are kept out of the group; "
                                       "stop those that are not needed, or add one of them again"};
    if (each.what.what == voter_change::lead && !votes)
      return {errc::bad_argument, "node " + name_of_node(each.node)
                                    + " does not vote, so it cannot lead; add it first"};
    auto waits = now_ - each.asked;
    if (takes_seat(each.what.what) && votes && !plan.goes_on_without(each.node)
        && waits >= held_within) {
      auto why = "voter " + name_of_node(each.node)
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
      return {errc::timed_out, "another change of node " + name_of_node(each.node)
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

  static inline const std::string leads_no_more = "leads the cluster no more: ";
  /// An election takes less.
  static constexpr duration say_leaderless_after = std::chrono::seconds{2};
  /// It is repeated more often while it is true.
  static constexpr duration obstacle_for = std::chrono::seconds{30};
  static constexpr duration watch_quorum_every = std::chrono::milliseconds{250};
  static constexpr duration reach_every = std::chrono::milliseconds{500};
  static constexpr duration member_silence = std::chrono::seconds{2};
  static constexpr duration hand_over_within = std::chrono::seconds{3};
  static constexpr duration change_within = std::chrono::seconds{30};
  /// Others may be catching up; who asks waits no longer than commands do.
  static constexpr duration held_within = std::chrono::seconds{5};
  /// Whoever says so, a seat is not given up more often.
  static constexpr duration change_seat_every = std::chrono::seconds{10};
  static constexpr duration show_card_every = std::chrono::seconds{3};
  static constexpr duration soon = std::chrono::milliseconds{50};
  static constexpr duration sometimes = std::chrono::seconds{1};

  const std::string node_;
  const seats_options options_;
  raft::seat_id self_;
  raft::role role_ = raft::role::follower;
  std::uint64_t turn_ = 0;
  raft::configuration members_; // committed
  std::map<std::string, linked_node> links_;
  std::map<std::string, known_node> known_;
  std::map<std::string, time_point> reach_again_;

  /// The question whose answer counts; zero: none. So are the next ones.
  request_id look_ = 0;
  request_id proposed_ = 0;
  request_id renewing_ = 0;
  request_id renew_asker_ = 0;
  request_id last_id_ = 0;

  /// Whether it is to be told who leads.
  bool tells_ = false;
  /// Whether the nodes have shown their cards before this one led.
  bool are_cards_old_ = false;
  std::pair<raft::term_number, std::string> said_leader_;
  std::string said_members_;
  std::string cause_;

  std::optional<time_point> quorum_at_;
  problem said_quorum_;
  std::string said_missing_;
  bool is_disk_full_ = false;
  /// What was heard last of a leader that this node cannot follow, and until when it counts.
  std::string obstacle_;
  time_point obstacle_until_{};

  raft::seat_id given_up_; // what this node had last
  time_point change_seat_at_{};
  time_point show_card_at_{};

  std::optional<time_point> review_at_;
  voter_wishes wishes_;
  std::optional<time_point> wished_at_; // when somebody was last wished away
  change_pace pace_;
  time_point say_pace_at_{};
  std::list<asked_change> changes_;
  /// By node; empty: to any, as this one is about to end.
  std::map<std::string, hand_to> transfers_;
  std::vector<request_id> leaving_;
  time_point leave_at_{};

  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
};

} // namespace troupe::cluster
