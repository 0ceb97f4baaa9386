#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/behavior.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/response_promise.hpp"
#include "caf/result.hpp"
#include "caf/typed_response_promise.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/core/caf/ignore_strays.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/timer_queue.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/result.hpp"
#include "troupe/group/group.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/change_pace.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::cluster {

/// What a node's part in the group has to know and whom it tells. All functions are called on
/// its actor; none may block.
struct voters_setup {
  /// The id of this node.
  std::string node;
  /// Where this node takes links; asked for when there are some.
  std::function<std::string()> address;
  /// Voters that the cluster should have, as far as it goes by this node.
  std::size_t voters = 3;
  host::group group;
  /// Who sends a command of another process.
  node_finder nodes;
  /// This node leads from here on. Turns rise with each change of who leads, as far as this
  /// node knows.
  std::function<void(std::uint64_t turn)> lead;
  /// It does not: another leads at that address; empty: nobody that is known.
  std::function<void(std::uint64_t turn, const std::string&)> follow;
  /// These are the addresses of all other members.
  std::function<void(const std::vector<std::string>&)> others;
  /// Make a link to that node.
  std::function<void(const seat_contact&)> reach;
  /// That link is one between members: it may be silent for so long.
  std::function<void(const net::link_ptr&, duration)> set_timeout;
  /// This node has or has not a seat in the group, and a vote.
  std::function<void(bool is_seated, bool votes)> seated;
  /// Nobody leads, and fewer than a majority of the voters are reached: no_quorum, with who is
  /// missing. errc::none: it is over.
  std::function<void(const problem&)> without_quorum;
  node_log log;
};

/// A node's part in the group of nodes that keeps the services of its cluster: finds the
/// other members, says who leads, and, where it leads itself, keeps the group as large as it
/// should be (see voter_plan).
class voters_state {
public:
  static inline const char* name = voters_name;

  voters_state(caf::event_based_actor* self, voters_setup setup)
    : self_(self), setup_(std::move(setup)), timers_(self) {
    wishes_.voters = std::max<std::size_t>(setup_.voters, 1);
  }

  caf::behavior make_behavior() {
    ignore_strays(self_);
    return {
      [this](const exchange_seats& what) -> caf::result<seat_card> {
        if (is_over_link_of(what.mine.node)) // else it is asked for its card once it has a link
          know(what.mine);
        if (what.forgotten != 0)
          return give_up_seat(what);
        return card();
      },
      [this](const list_voters&) {
        auto promise = self_->make_response_promise<voters_view>();
        look([this, promise](const host::group_status& now) mutable {
          promise.deliver(view_of(now));
        });
        return promise;
      },
      [this](const change_voters& what) { return change(what); },
      [this](const make_backup&) { return back_up(); },
      [this](const read_backup& what) -> caf::result<std::string> {
        if (!backup_ || backup_index_ != what.index || what.offset > backup_->size())
          return to_error({errc::not_found, "that backup is gone; make another one"});
        return backup_->substr(what.offset, backup_piece);
      },
    };
  }

  // -- what the group says: see host::group_listener ----------------------------------------

  void changed_role(const host::group_core::changed_role& what) {
    auto has_led = std::exchange(role_, what.now) == raft::role::leader;
    auto turn = ++turn_;
    if (what.now == raft::role::leader) {
      setup_.log("leads the cluster in term " + std::to_string(what.term) + ": " + what.cause);
      said_leader_ = {what.term, setup_.node};
      say_members();
      setup_.lead(turn);
      watch_quorum();
      return review();
    }
    if (has_led && what.cause == raft::replica::handed_over)
      setup_.log(leads_no_more + what.cause);
    else if (has_led)
      setup_.log.warn(
        leads_no_more
        + (what.leader == raft::seat_id{} ? what.cause : "another node leads a later term"));
    cause_ = what.cause;
    tell_who_leads(turn);
  }

  void members_are(const raft::configuration& members) {
    members_ = members;
    say_members();
    tell_others(members);
    say_seated();
    for (auto& [node, link] : links_)
      watch_closely(node, link);
    if (role_ != raft::role::leader)
      tell_who_leads(++turn_); // where it is stands in the members
    review();
  }

  void wants_peer(raft::seat_id, const std::string& contact) {
    auto where = to_seat_contact(contact);
    auto now = self_->clock().now();
    if (auto& again = reach_again_[where.node]; again <= now) {
      again = now + reach_every;
      if (auto link = links_.find(where.node); link != links_.end())
        meet(link->second); // what was asked over it got no answer
      else
        setup_.reach(where);
    }
  }

  void forgot(raft::seat_id seat) {
    if (seat == setup_.group.seat())
      return change_seat([](const problem&) {});
    if (seat == given_up_)
      return;
    if (!wishes_.forgotten.insert(seat).second)
      return; // said with each answer of that seat
    setup_.log.warn(
      "a member has lost what it had synced; its seat is taken away, and its node comes "
      "back as a learner with another one");
    review();
  }

  /// Whoever sends such a message sends it again.
  void ignored(const host::group_core::ignored& what) {
    auto detail = what.why.detail;
    if (what.contradicts && has_given_up_seat())
      detail += ". By what this node has heard it is its own: move its log away (group.db and what "
                "begins with that name), start it with the address of one of the others "
                "(node_options::join), and it comes back with their state";
    setup_.log.complain("drops messages of " + name_of_seat(what.from), detail);
    if (!what.contradicts)
      return;
    obstacle_ = std::move(detail);
    obstacle_until_ = self_->clock().now() + obstacle_for;
  }

  void warned(const problem& why) {
    setup_.log.fail(why.detail);
  }

  void disk_room(const problem& why) {
    is_disk_full_ = why.code != errc::none;
    constexpr const char* topic = "writes nothing new to its data folder";
    if (!why)
      setup_.log.settle(topic);
    else
      setup_.log.complain(topic, why.detail);
  }

  void stopped(const problem& why) {
    setup_.log.fail("this node takes part in the cluster's group no more: " + why.detail);
    role_ = raft::role::follower;
    setup_.follow(++turn_, {});
    for (auto& each : std::exchange(changes_, {}))
      each.promise.deliver(to_error({errc::not_leader, why.detail}));
    finish_hand_over();
  }

  // -- what the node says ------------------------------------------------------------------

  /// A link to another node is up.
  void link_up(const net::link_ptr& which) {
    auto node = to_string(which->peer().node);
    links_[node] = which;
    reach_again_.erase(node);
    meet(which);
  }

  void link_down(const std::string& node) {
    links_.erase(node);
    cards_.erase(node);
    if (!seat_of(node))
      wishes_.leave.erase(node); // it may come back as any other
  }

  /// What the registry says of another node.
  void node_is(const std::string& node, const std::string& called, const std::string& address) {
    known_[node] = {called, address};
  }

  void node_left(const std::string& node) {
    if (role_ == raft::role::leader && seat_of(node)) {
      wishes_.leave.insert(node);
      wished_at_ = self_->clock().now();
      review();
    }
    known_.erase(node);
  }

  /// Calls `then` with what this node knows of the group, whoever leads: also what callers are to
  /// be told where no majority is reached, and why a leader is not followed.
  void show(std::function<void(const voters_view&, const problem&)> then) {
    look([this, then = std::move(then)](const host::group_status& now) {
      then(view_of(now), obstacle(setup_.group.quorum()));
    });
  }

  /// Has another node lead, if this one does and there is another; `done` is called when that is
  /// so, or it took too long.
  void hand_over(std::function<void()> done) {
    if (role_ != raft::role::leader || members_.voters().size() < 2)
      return done();
    handed_over_ = std::move(done);
    timers_.after(hand_over_within, [this] { finish_hand_over(); });
    ask_to_hand_over();
  }

  void stop() {
    self_->quit();
  }

private:
  struct known_node {
    std::string called;
    std::string address;
  };

  /// Somebody waits for it.
  struct asked_change {
    change_voters what;
    std::string node; // its id
    caf::typed_response_promise<voters_view> promise;
    caf::actor_clock::time_point asked;
  };

  // -- jobs on the group ---------------------------------------------------------------------

  /// Returns a function for any thread that runs `job` here.
  template <class What>
  std::function<void(const What&)> on_self(std::function<void(const What&)> job) {
    return [home = caf::weak_actor_ptr{self_->ctrl()}, job = std::move(job)](const What& what) {
      run_on(home, [job, what] { job(what); });
    };
  }

  void look(std::function<void(const host::group_status&)> then) {
    setup_.group.look(on_self<host::group_status>(std::move(then)));
  }

  // -- who leads ---------------------------------------------------------------------------

  void tell_others(const raft::configuration& members) {
    std::vector<std::string> others;
    for (auto& [seat, who] : members.members)
      if (seat != setup_.group.seat())
        others.push_back(to_seat_contact(who.contact).address);
    setup_.others(others);
  }

  /// @pre it is not this node
  void tell_who_leads(std::uint64_t turn) {
    look([this, turn](const host::group_status& now) {
      if (turn != turn_)
        return;
      tell_others(now.consensus.members);
      auto& members = now.consensus.members.members;
      auto found = members.find(now.consensus.leader);
      auto where = found != members.end() ? to_seat_contact(found->second.contact) : seat_contact{};
      auto leader = std::pair{now.consensus.term, where.node};
      if (!where.node.empty() && leader != said_leader_) {
        setup_.log("node " + name_of_node(where.node) + " leads the cluster in term "
                   + std::to_string(now.consensus.term) + ": " + cause_);
        said_leader_ = std::move(leader);
        say_members();
      }
      setup_.follow(turn, where.address);
      watch_quorum();
      settle_lost(where.node, now.consensus);
    });
  }

  // -- whether a majority is reached ------------------------------------------------------------

  /// For a contact: "n0 (127.0.0.1:1)".
  [[nodiscard]] auto name_at() const {
    return [this](const std::string& contact) {
      auto where = to_seat_contact(contact);
      return name_of_node(where.node) + " (" + where.address + ")";
    };
  }

  /// While nobody is known to lead: tells the node, and its operator.
  void watch_quorum() {
    timers_.cancel(quorum_timer_);
    auto known = setup_.group.quorum();
    if (auto why = refusal(known); why != said_quorum_)
      setup_.without_quorum(said_quorum_ = why);
    if (known.leader != raft::seat_id{} || known.voters.empty()) {
      setup_.log.settle(no_leader);
      said_missing_.clear();
      return;
    }
    if (auto missing = known.standing(name_at());
        known.leaderless_for >= say_leaderless_after && missing != said_missing_)
      setup_.log.complain(no_leader, said_missing_ = std::move(missing));
    if (has_given_up_seat() && show_card_at_ <= self_->clock().now())
      show_card();
    quorum_timer_ = timers_.after(watch_quorum_every, [this] { watch_quorum(); });
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

  /// The same, or what keeps this node from following a leader that it hears.
  [[nodiscard]] problem obstacle(const host::quorum_view& known) const {
    if (known.leader != raft::seat_id{} || known.why)
      return refusal(known);
    if (self_->clock().now() < obstacle_until_)
      return {errc::no_quorum, "nobody leads this node: " + obstacle_};
    if (has_given_up_seat())
      return {
        errc::no_quorum,
        "the disk of this node has lost what it had synced (is its folder an older copy?): it "
        "has given up its seat, and waits for a leader that gives it another one"};
    return {};
  }

  /// By its own log, which may not have heard yet that it has another one.
  [[nodiscard]] bool has_given_up_seat() const {
    auto own = seat_of(setup_.node);
    return own && *own != setup_.group.seat() && !members_.members.contains(setup_.group.seat());
  }

  [[nodiscard]] std::string name_of_seat(raft::seat_id seat) const {
    for (auto& [node, card] : cards_)
      if (card.seat == seat.value)
        return name_of_node(node);
    auto found = members_.members.find(seat);
    return found == members_.members.end() ? "member " + std::to_string(seat.value)
                                           : name_at()(found->second.contact);
  }

  // -- the other members -------------------------------------------------------------------

  [[nodiscard]] seat_card card() const {
    return {setup_.node, setup_.group.seat().value,
            caf::actor_cast<caf::strong_actor_ptr>(setup_.group.handle())};
  }

  /// Asks the node behind a link for its seat. No answer: asked again when something is to be sent
  /// to that seat.
  void meet(const net::link_ptr& which) {
    if (which->entry_point())
      self_
        ->request(caf::actor_cast<caf::actor>(which->entry_point()), answer_within,
                  router::find_service{seat_name})
        .then([this, node = to_string(which->peer().node)](
                const router::service_place& place) { greet(node, place.handle); },
              [](const caf::error&) {}); // has no seat
  }

  void greet(const std::string& node, const caf::strong_actor_ptr& other) {
    if (other)
      self_
        ->request(caf::actor_cast<caf::actor>(other), answer_within,
                  exchange_seats{card(), seat_lost_by(node)})
        .then(
          [this, node](const seat_card& theirs) {
            if (theirs.node == node)
              know(theirs);
          },
          [](const caf::error&) {});
  }

  void know(const seat_card& theirs) {
    if (!theirs.group || theirs.node == setup_.node)
      return;
    auto member = members_.members.find(raft::seat_id{theirs.seat});
    if (member != members_.members.end()
        && to_seat_contact(member->second.contact).node != theirs.node)
      return; // the group says whose seat that is
    cards_[theirs.node] = theirs;
    setup_.group.set_peer(raft::seat_id{theirs.seat}, theirs.group);
    if (auto link = links_.find(theirs.node); link != links_.end())
      watch_closely(theirs.node, link->second);
    review();
  }

  // -- disks that forget ---------------------------------------------------------------------

  /// Returns the seat of a node whose disk has lost what it had synced under it; zero: none.
  [[nodiscard]] std::uint64_t seat_lost_by(const std::string& node) const {
    auto theirs = cards_.find(node);
    auto is_lost
      = theirs != cards_.end() && wishes_.forgotten.contains(raft::seat_id{theirs->second.seat});
    return is_lost ? theirs->second.seat : 0;
  }

  /// Tells nodes which of their seats are void, until they have others. Such a seat stays void
  /// while its node is away, too.
  void settle_forgotten(const raft::configuration& members) {
    std::erase_if(told_void_, [&](auto& each) { return seat_lost_by(each.first) == 0; });
    if (wishes_.forgotten.empty())
      return;
    std::set<raft::seat_id> held;
    auto now = self_->clock().now();
    for (auto& [node, theirs] : cards_) {
      held.insert(raft::seat_id{theirs.seat});
      auto link = links_.find(node);
      if (seat_lost_by(node) == 0 || link == links_.end())
        continue;
      // Not the pace of wants_peer(): that has just asked for its seat when it comes back.
      if (auto& again = told_void_[node]; again <= now) {
        again = now + reach_every;
        meet(link->second);
      }
    }
    if (wishes_.forgotten.size() > max_forgotten)
      std::erase_if(wishes_.forgotten, [&](raft::seat_id each) {
        return !members.members.contains(each) && !held.contains(each);
      });
  }

  /// The leader has seen that the disk of this node lost what it had synced: it takes part as a
  /// newcomer, under a seat that has promised nothing. Answered with the card of that.
  ///
  /// The leader takes the seat away first, so this node may hear of no leader by then, nor after a
  /// restart. Then the word of any node counts that it is linked to: what a seat has lost stays
  /// lost, whoever leads.
  caf::result<seat_card> give_up_seat(const exchange_seats& what) {
    auto lost = setup_.group.seat();
    if (what.forgotten != lost.value)
      return card(); // it has another one by now
    if (!may_void_seat(what.mine))
      return to_error({errc::bad_argument,
                       "a node is told that its seat is void by the one that leads the group, over "
                       "the link of that; by another linked node only while it knows no leader"});
    auto promise = self_->make_response_promise<seat_card>();
    change_seat([this, promise](const problem& why) mutable {
      if (!why)
        promise.deliver(card());
      else
        promise.deliver(to_error(why));
    });
    return promise;
  }

  /// To all, again and again until it is a member's.
  void show_card() {
    show_card_at_ = self_->clock().now() + show_card_every;
    for (auto& [node, link] : links_)
      meet(link);
  }

  void change_seat(std::function<void(const problem&)> done) {
    auto now = self_->clock().now();
    if (now < change_seat_at_)
      return done({errc::busy, "this node has just taken another seat; ask again"});
    change_seat_at_ = now + change_seat_every;
    auto lost = setup_.group.seat();
    given_up_ = lost; // what is said of it while the disk writes is of this node
    setup_.group.change_seat(
      lost, on_self<problem>([this, done](const problem& why) {
        const std::string what
          = "the disk of this node has lost what it had synced (is its folder an older copy?); ";
        if (!why) {
          setup_.log.warn(what + "it has given up its seat, and learns before it votes again");
          say_seated();
          show_card();
        } else {
          setup_.log.warn(what + "it cannot give up its seat: " + why.detail);
        }
        done(why);
      }));
  }

  /// Whether the message being handled came over the link of its node, and that leads, or nobody
  /// is known to. An old log may not have the leader among the members, so its card counts.
  [[nodiscard]] bool may_void_seat(const seat_card& from) const {
    raft::seat_id leader;
    setup_.group.look([&](const host::group_status& now) { leader = now.consensus.leader; });
    return (leader == raft::seat_id{} || leader.value == from.seat) && is_over_link_of(from.node);
  }

  /// Whether the message being handled came from that node itself.
  [[nodiscard]] bool is_over_link_of(const std::string& node) const {
    auto link = links_.find(node);
    if (link == links_.end())
      return false;
    auto entry = link->second->entry_point();
    auto& sender = self_->current_sender();
    return entry && sender && sender->node() == entry->node();
  }

  /// Links between members end sooner: the group waits for them.
  void watch_closely(const std::string& node, const net::link_ptr& link) {
    if (seat_of(node) && members_.members.contains(setup_.group.seat()))
      setup_.set_timeout(link, member_silence);
  }

  [[nodiscard]] std::optional<raft::seat_id> seat_of(const std::string& node) const {
    for (auto& [seat, who] : members_.members)
      if (to_seat_contact(who.contact).node == node)
        return seat;
    return std::nullopt;
  }

  /// By the log, committed or not: after a start, while there is no majority, nobody says how far
  /// the log is committed.
  void say_seated() {
    auto seat = setup_.group.seat();
    auto members = members_;
    setup_.group.look([&](const host::group_status& now) { members = now.consensus.members; });
    setup_.seated(members.members.contains(seat), members.votes(seat));
  }

  /// Not while this node only reads what was, as after its start.
  void say_members() {
    if (said_leader_.second.empty() || members_.members.empty())
      return;
    if (auto text = describe(members_); text != said_members_)
      setup_.log(said_members_ = std::move(text));
  }

  /// Who votes and who learns, for people.
  [[nodiscard]] std::string describe(const raft::configuration& members) const {
    std::string voters;
    std::string learners;
    for (auto& [seat, who] : members.members) {
      auto& list = who.votes ? voters : learners;
      auto node = to_seat_contact(who.contact).node;
      list += (list.empty() ? "" : ", ") + (node == setup_.node ? "this node" : name_of_node(node));
    }
    auto text = "voters of the cluster: " + voters;
    return learners.empty() ? text : text + "; learners: " + learners;
  }

  [[nodiscard]] std::string name_of_node(const std::string& node) const {
    auto found = known_.find(node);
    return found != known_.end() ? found->second.called : node.substr(0, 8);
  }

  // -- the leader's part -----------------------------------------------------------------------

  /// Looks at the group and makes the next change, now and then again.
  void review() {
    if (role_ != raft::role::leader || std::exchange(reviewing_, true))
      return;
    look([this](const host::group_status& now) {
      reviewing_ = false;
      auto& group = now.consensus;
      if (role_ != raft::role::leader || group.now != raft::role::leader)
        return;
      settle_forgotten(group.members);
      wishes_.since = self_->clock().now() - wished_at_;
      auto linked = candidates();
      settle(group, voter_plan{group, setup_.node, linked, wishes_});
      auto next = voter_plan{group, setup_.node, linked, wishes_}.next();
      if (next)
        make(*next);
      review_in(next || !changes_.empty() ? soon : told_void_.empty() ? sometimes : reach_every);
    });
  }

  void make(const voter_plan::change& what) {
    auto now = self_->clock().now();
    auto moment = time_point{now.time_since_epoch()};
    if (pace_.is_free(moment))
      return setup_.group.ask(what, on_self<problem>([this, moment](const problem& why) {
                                if (!why) // refused: it comes again
                                  pace_.count(moment);
                              }));
    if (now < say_pace_at_)
      return;
    say_pace_at_ = now + change_pace::span;
    setup_.log("the members of the group have changed " + std::to_string(change_pace::max_changes)
               + " times within " + troupe::to_string(change_pace::span)
               + "; the next change waits. See who comes and goes with troupe voters");
  }

  void review_in(duration span) {
    timers_.cancel(review_timer_);
    review_timer_ = timers_.after(span, [this] { review(); });
  }

  [[nodiscard]] std::map<std::string, voter_plan::candidate> candidates() const {
    std::map<std::string, voter_plan::candidate> found;
    for (auto& [node, theirs] : cards_)
      if (auto where = known_.find(node); where != known_.end() && links_.contains(node))
        found[node] = {raft::seat_id{theirs.seat}, where->second.address};
    found[setup_.node] = {setup_.group.seat(), setup_.address()};
    return found;
  }

  caf::result<voters_view> change(const change_voters& what) {
    if (role_ != raft::role::leader)
      return to_error({errc::not_leader, "this node follows; ask the one that leads"});
    auto node = find_node(what.node);
    if (!node)
      return to_error(node.error());
    if (changes_.size() >= max_changes)
      return to_error({errc::limit_reached, "too many changes are under way; retry later"});
    if (what.what == voter_change::add && *node != setup_.node && !cards_.contains(*node)
        && !seat_of(*node))
      return to_error({errc::bad_argument, "node " + what.node
                                             + " cannot vote: it has no data folder, or there is "
                                               "no link to it; start it with a data folder "
                                               "(node_options::data)"});
    changes_.push_back(
      {what, *node, self_->make_response_promise<voters_view>(), self_->clock().now()});
    wish(what.what, *node);
    auto promise = changes_.back().promise;
    review_in(duration::zero());
    return promise;
  }

  void wish(voter_change what, const std::string& node) {
    if (what == voter_change::lead)
      return ask_to_lead(node);
    for (auto* other : {&wishes_.add, &wishes_.remove, &wishes_.leave, &wishes_.let_in})
      other->erase(node);
    auto& wanted = what == voter_change::add      ? wishes_.add
                   : what == voter_change::remove ? wishes_.remove
                                                  : wishes_.leave;
    wanted.insert(node);
    if (takes_seat(what))
      wished_at_ = self_->clock().now();
  }

  /// As long as somebody waits for it and another hand-over is under way, that may fail.
  void ask_to_lead(const std::string& node) {
    auto seat = seat_of(node);
    auto is_asked = std::ranges::any_of(changes_, [&](auto& each) {
      return each.what.what == voter_change::lead && each.node == node;
    });
    if (!is_asked || !seat || node == setup_.node)
      return;
    setup_.group.ask(raft::replica::transfer{*seat},
                     on_self<problem>([this, node](const problem& why) {
                       if (why.code == errc::busy)
                         timers_.after(soon, [this, node] { ask_to_lead(node); });
                     }));
  }

  /// Of all that is committed now.
  caf::result<backup_receipt> back_up() {
    auto promise = self_->make_response_promise<backup_receipt>();
    setup_.group.back_up(on_self<result<host::group_backup>>(
      [this, promise](const result<host::group_backup>& made) mutable {
        if (!made)
          return promise.deliver(to_error(made.error()));
        auto what = *made;
        what.made = read_calendar();
        backup_ = std::make_shared<const std::string>(host::to_file(what));
        backup_index_ = what.index;
        timers_.cancel(backup_timer_);
        backup_timer_ = timers_.after(backup_stays, [this] { backup_ = nullptr; });
        promise.deliver(backup_receipt{what.index, backup_->size()});
      }));
    return promise;
  }

  /// Returns the id of the node of that name, id or address.
  [[nodiscard]] result<std::string> find_node(const std::string& called) const {
    if (called == setup_.node || known_.contains(called))
      return called;
    std::set<std::string> found;
    for (auto& [node, who] : known_)
      if (who.called == called)
        found.insert(node);
    for (auto& [seat, who] : members_.members) // it may be gone for good
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
  void settle(const raft::replica::status& now, const voter_plan& plan) {
    for (auto each = changes_.begin(); each != changes_.end();) {
      auto why = problem_with(*each, now, plan);
      if (!is_made(*each, now) && !why) {
        ++each;
        continue;
      }
      if (!why)
        each->promise.deliver(view_of(now));
      else
        each->promise.deliver(to_error(why));
      // Who leaves has gone on by then; who is to be removed need not be there.
      auto goes_on = each->what.what == voter_change::remove && why.code == errc::timed_out;
      if (!goes_on && each->what.what != voter_change::lead)
        forget_wish(each->node, now, why.code);
      each = changes_.erase(each);
    }
    std::erase_if(wishes_.let_in, [&](auto& node) { return !now.members.kept_out.contains(node); });
    std::erase_if(wishes_.leave, [&](auto& node) {
      return !links_.contains(node) && node != setup_.node && !has_seat(node, now.members)
             && std::ranges::none_of(changes_, [&](auto& each) { return each.node == node; });
    });
  }

  static bool has_seat(const std::string& node, const raft::configuration& members) {
    return std::ranges::any_of(members.members, [&](auto& each) {
      return to_seat_contact(each.second.contact).node == node;
    });
  }

  static bool takes_seat(voter_change what) {
    return what == voter_change::remove || what == voter_change::leave;
  }

  /// From here on the node counts as any other, or as one that is kept out. Not that, if its
  /// removal was refused. Who leaves is wished away until its link is gone.
  void forget_wish(const std::string& node, const raft::replica::status& now, errc why) {
    auto was_removed = wishes_.remove.erase(node) > 0;
    wishes_.add.erase(node);
    if (why != errc::none)
      wishes_.leave.erase(node);
    if (was_removed && why != errc::none && now.members.kept_out.contains(node))
      wishes_.let_in.insert(node);
  }

  [[nodiscard]] bool is_made(const asked_change& each, const raft::replica::status& now) const {
    auto is_there = false;
    auto votes = false;
    for (auto& [seat, who] : now.members.members)
      if (to_seat_contact(who.contact).node == each.node) {
        is_there = true;
        votes = who.votes;
      }
    switch (each.what.what) {
      case voter_change::add:
        return votes && !now.members.kept_out.contains(each.node);
      case voter_change::remove:
        return !is_there && members_.kept_out.contains(each.node);
      case voter_change::leave:
        return !is_there;
      case voter_change::lead:
        return each.node == setup_.node;
    }
    return false;
  }

  [[nodiscard]] problem problem_with(const asked_change& each, const raft::replica::status& now,
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
      if (!each.what.force && !plan.has_replacement())
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
    auto waits = self_->clock().now() - each.asked;
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

  /// This node does not lead any more: whoever waits asks the next leader.
  void settle_lost(const std::string& leader, const raft::replica::status& now) {
    for (auto& each : std::exchange(changes_, {}))
      if (each.what.what == voter_change::lead && each.node == leader)
        each.promise.deliver(view_of(now));
      else
        each.promise.deliver(to_error({errc::not_leader, "leadership has moved; ask again"}));
    wishes_ = {.voters = wishes_.voters};
    finish_hand_over();
  }

  /// Another hand-over may be under way, and fail: then this one is next.
  void ask_to_hand_over() {
    if (!handed_over_)
      return;
    setup_.group.ask(raft::replica::transfer{}, on_self<problem>([this](const problem& why) {
                       if (why.code == errc::busy)
                         timers_.after(soon, [this] { ask_to_hand_over(); });
                       else if (why)
                         finish_hand_over();
                     }));
  }

  void finish_hand_over() {
    if (auto done = std::exchange(handed_over_, nullptr))
      done();
  }

  [[nodiscard]] voters_view view_of(const host::group_status& now) const {
    auto made = view_of(now.consensus);
    auto& members = now.consensus.members.members;
    auto nodes_of = [&](const std::vector<raft::seat_id>& seats) {
      std::vector<std::string> nodes;
      for (auto& each : seats)
        if (auto found = members.find(each); found != members.end())
          nodes.push_back(to_seat_contact(found->second.contact).node);
      return nodes;
    };
    for (auto& each : now.own)
      made.services.push_back(
        {each.title.name, each.title.type, each.why, nodes_of(each.lacking), nodes_of(each.older)});
    return made;
  }

  [[nodiscard]] voters_view view_of(const raft::replica::status& now) const {
    auto& kept_out = now.members.kept_out;
    voters_view made{
      now.term, now.commit, now.last, wishes_.voters, {}, {kept_out.begin(), kept_out.end()}, {}};
    std::map<raft::seat_id, const raft::replica::member_status*> others;
    for (auto& each : now.others)
      others[each.seat] = &each;
    std::map<raft::seat_id, bool> is_reached;
    for (auto& each : setup_.group.quorum().voters)
      is_reached[each.seat] = each.is_reached;
    for (auto& [seat, who] : now.members.members) {
      auto where = to_seat_contact(who.contact);
      seat_view each{where.node, where.address, seat.value, who.votes, seat == now.leader, {}, {}};
      auto known = is_reached.find(seat);
      each.is_reached = known != is_reached.end()
                          ? known->second
                          : where.node == setup_.node || links_.contains(where.node);
      if (seat == now.self && now.now == raft::role::leader)
        each.lag = 0;
      if (auto found = others.find(seat); found != others.end()) {
        if (found->second->match > 0 || found->second->by_snapshot)
          each.lag = now.last - std::min(now.last, found->second->match);
        each.silent_for = found->second->silent_for;
      }
      made.seats.push_back(std::move(each));
    }
    return made;
  }

  static inline const std::string leads_no_more = "leads the cluster no more: ";
  static constexpr const char* no_leader = "no leader";
  /// An election takes less.
  static constexpr duration say_leaderless_after = std::chrono::seconds{2};
  /// It is repeated more often while it is true.
  static constexpr duration obstacle_for = std::chrono::seconds{30};
  static constexpr duration watch_quorum_every = std::chrono::milliseconds{250};
  static constexpr duration answer_within = std::chrono::seconds{5};
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
  static constexpr std::size_t max_changes = 100;
  /// Void seats that nobody holds and nobody misses are remembered up to so many.
  static constexpr std::size_t max_forgotten = 1'000;
  /// Heartbeats pass between pieces of this size.
  static constexpr std::size_t backup_piece = 256ULL * 1024;
  static constexpr duration backup_stays = std::chrono::minutes{5};

  caf::event_based_actor* self_;
  voters_setup setup_;
  timer_queue<caf::event_based_actor> timers_;
  timer_queue<caf::event_based_actor>::id review_timer_ = 0;
  raft::role role_ = raft::role::follower;
  std::uint64_t turn_ = 0;
  raft::configuration members_; // committed
  voter_wishes wishes_;
  caf::actor_clock::time_point wished_at_{}; // when somebody was last wished away
  change_pace pace_;
  caf::actor_clock::time_point say_pace_at_{};
  caf::actor_clock::time_point change_seat_at_{};
  caf::actor_clock::time_point show_card_at_{};
  raft::seat_id given_up_; // what this node had last
  std::list<asked_change> changes_;
  std::map<std::string, net::link_ptr> links_;
  std::map<std::string, seat_card> cards_;
  std::map<std::string, known_node> known_;
  std::map<std::string, caf::actor_clock::time_point> reach_again_;
  /// When nodes whose seats are void are told again.
  std::map<std::string, caf::actor_clock::time_point> told_void_;
  std::pair<raft::term_number, std::string> said_leader_;
  problem said_quorum_;
  bool is_disk_full_ = false;
  /// What was heard last of a leader that this node cannot follow, and until when it counts.
  std::string obstacle_;
  caf::actor_clock::time_point obstacle_until_{};
  std::string said_missing_;
  timer_queue<caf::event_based_actor>::id quorum_timer_ = 0;
  std::string cause_;
  std::string said_members_;
  std::function<void()> handed_over_;
  bool reviewing_ = false;
  std::shared_ptr<const std::string> backup_;
  raft::log_index backup_index_ = 0;
  timer_queue<caf::event_based_actor>::id backup_timer_ = 0;
};

} // namespace troupe::cluster
