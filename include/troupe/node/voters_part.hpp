#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_clock.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message_handler.hpp"
#include "caf/result.hpp"
#include "caf/sec.hpp"
#include "caf/typed_response_promise.hpp"
#include "troupe/cluster/kept_backup.hpp"
#include "troupe/cluster/seats.hpp"
#include "troupe/core/caf/deadline_timer.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/shell.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/result.hpp"
#include "troupe/group/group.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/node/messages.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/router/messages.hpp"

namespace troupe::cluster {

/// What a node's part in the group has to know and whom it tells. All functions are called on its
/// actor; none may block.
struct voters_setup {
  /// This node.
  node_id node;
  /// Where this node takes links; asked for when there are some.
  std::function<std::string()> address;
  /// Voters that the cluster should have, as far as it goes by this node.
  std::size_t voters = 3;
  /// See seats_options::replace_after.
  duration replace_after{};
  host::group group;
  /// Who sends a command of another process.
  node_finder nodes;
  /// This node leads from here on. Turns rise with each change of who leads, as far as this
  /// node knows.
  std::function<void(std::uint64_t turn, bool is_alone)> lead;
  /// It does not: another leads at that address; empty: nobody that is known.
  std::function<void(std::uint64_t turn, const std::string&)> follow;
  /// These are the addresses of all other members.
  std::function<void(const std::vector<std::string>&)> others;
  /// Make a link to that node.
  std::function<void(const seat_contact&)> reach;
  /// That link is one between members: it may be silent for so long.
  std::function<void(const net::link_ptr&, duration)> set_timeout;
  /// This node needs all its links from here on, or those to these nodes, used or not; no others.
  std::function<void(bool all, const std::set<node_id>& peers)> keep_links;
  /// This node has or has not a seat in the group, and a vote.
  std::function<void(bool is_seated, bool votes)> seated;
  /// Nobody leads, and fewer than a majority of the voters are reached: no_quorum, with who is
  /// missing. errc::none: it is over.
  std::function<void(const problem&)> without_quorum;
  /// The replica of this node has ended.
  std::function<void()> ended;
  node_log log;
};

/// A node's part in the group of nodes that keeps the services of its cluster: the shell of its
/// `seats`. Finds the actors of the other members, and makes backups of what the group keeps.
/// Part of a node_shell.
class voters_part {
public:
  voters_part(caf::event_based_actor* self, voters_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      seats_(self, this, setup_.node, setup_.group.seat(),
             seats_options{.voters = setup_.voters, .replace_after = setup_.replace_after},
             random_seed()) {}

  /// For what members and operators ask it.
  caf::message_handler handlers() {
    return {
      [this](const exchange_seats& what) { return exchange(what); },
      [this](const list_voters&) {
        auto promise = self_->make_response_promise<voters_view>();
        look([this, promise](const host::group_status& now) mutable {
          promise.deliver(view_of(now));
        });
        return promise;
      },
      [this](const change_voters& what) {
        auto promise = self_->make_response_promise<voters_view>();
        changes_.emplace(++last_asker_, promise);
        seats_.step(seats::change{what}, last_asker_);
        return promise;
      },
      [this](const make_backup&) { return back_up(); },
      [this](const read_backup& what) -> caf::result<std::string> {
        auto piece = backup_.read(what.index, what.offset);
        if (!piece)
          return to_error(piece.error());
        return std::move(*piece);
      },
    };
  }

  // -- what the group says: see host::group_listener ----------------------------------------

  void changed_role(const host::group_core::changed_role& what) {
    seats_.step(what);
  }

  void members_are(const raft::configuration& members) {
    seats_.step(seats::members_are{members, status()});
  }

  void wants_peer(raft::member_id, const std::string& contact) {
    seats_.step(seats::wants_peer{contact});
  }

  void forgot(raft::member_id seat) {
    seats_.step(seats::forgot{seat});
  }

  void ignored(const host::group_core::ignored& what) {
    seats_.step(what);
  }

  void warned(const problem& why) {
    setup_.log.fail(why.detail);
  }

  void disk_room(const problem& why) {
    seats_.step(seats::disk_room{why});
  }

  void stopped(const problem& why) {
    seats_.step(seats::stopped{why});
    setup_.ended();
  }

  // -- what the node says ------------------------------------------------------------------

  /// A link to another node is up.
  void link_up(const net::link_ptr& which) {
    auto& node = which->peer().node;
    links_[node] = which;
    auto& proven = which->proven();
    seats_.step(seats::link_up{node, which->peer().boot, proven ? proven->name : std::string{}});
  }

  void link_down(const node_id& node) {
    links_.erase(node);
    seats_.step(seats::link_down{node});
  }

  /// What the registry says of another node.
  void node_is(const node_id& node, const std::string& called, const std::string& address) {
    seats_.step(seats::node_is{node, called, address});
  }

  void node_left(const node_id& node, boot_number boot) {
    seats_.step(seats::node_left{node, boot});
  }

  /// The members show that node alive, or suspect it; or not.
  void member_shows(const node_id& node, bool is_there) {
    seats_.step(seats::member_shows{node, is_there});
  }

  /// The identities of these nodes are revoked, and no others.
  void revoked(const std::set<node_id>& nodes) {
    seats_.step(seats::revoked{nodes});
  }

  /// Calls `then` with what this node knows of the group, whoever leads: also what callers are to
  /// be told where no majority is reached, and why a leader is not followed.
  void show(std::function<void(const voters_view&, const problem&)> then) {
    look([this, then = std::move(then)](const host::group_status& now) {
      then(view_of(now), seats_.machine().obstacle(setup_.group.quorum(), seats_.now()));
    });
  }

  /// Has another node lead, if this one does and there is another; `done` is called when that is
  /// so, or it took too long.
  void hand_over(std::function<void()> done) {
    hand_overs_.emplace(++last_asker_, std::move(done));
    seats_.step(seats::hand_over{}, last_asker_);
  }

private:
  friend class shell<seats, voters_part>;

  /// Returns a function for any thread that runs `job` here.
  template <class What>
  std::function<void(const What&)> on_self(std::function<void(const What&)> job) {
    return [home = caf::weak_actor_ptr{self_->ctrl()}, job = std::move(job)](const What& what) {
      run_on(home, [job, what] { job(what); });
    };
  }

  // -- the group -----------------------------------------------------------------------------

  void look(std::function<void(const host::group_status&)> then) {
    setup_.group.look(on_self<host::group_status>(std::move(then)));
  }

  /// As of now.
  [[nodiscard]] raft::replica::status status() const {
    raft::replica::status found;
    setup_.group.look([&](const host::group_status& now) { found = now.consensus; });
    return found;
  }

  void perform(const seats::look& what) {
    look([this, id = what.id](const host::group_status& now) {
      auto leads = now.consensus.now == raft::role::leader;
      seats_.step(
        seats::seen{now.consensus, setup_.group.quorum(), leads ? setup_.address() : std::string{}},
        id);
    });
  }

  void perform(const seats::propose& what) {
    setup_.group.ask(what.what, on_self<problem>([this, id = what.id](const problem& why) {
                       seats_.step(seats::answered{why}, id);
                     }));
  }

  void perform(const seats::renew& what) {
    setup_.group.change_seat(what.lost, on_self<problem>([this, id = what.id](const problem& why) {
                               seats_.step(seats::renewed{why, status()}, id);
                             }));
  }

  void perform(const seats::trust& what) {
    setup_.group.set_peer(what.seat, offered_);
  }

  void perform(const seats::distrust& what) {
    setup_.group.set_peer(what.seat, nullptr);
  }

  [[nodiscard]] voters_view view_of(const host::group_status& now) const {
    auto made = seats_.machine().view(now.consensus, setup_.group.quorum());
    auto& members = now.consensus.members.members;
    auto nodes_of = [&](const std::vector<raft::member_id>& which) {
      std::vector<std::string> nodes;
      for (auto& each : which)
        if (auto found = members.find(each); found != members.end())
          nodes.push_back(to_string(to_seat_contact(found->second.contact).node));
      return nodes;
    };
    for (auto& each : now.own)
      made.services.push_back(
        {each.title.name, each.title.type, each.why, nodes_of(each.lacking), nodes_of(each.older)});
    return made;
  }

  // -- the other nodes -----------------------------------------------------------------------

  [[nodiscard]] seat_card card() const {
    auto now = status();
    seat_card made{to_string(setup_.node), setup_.group.seat().value,
                   caf::actor_cast<caf::strong_actor_ptr>(setup_.group.handle()), now.last_term,
                   now.members.promotions};
    for (auto each : now.members.voters())
      made.voters.insert(each.value);
    return made;
  }

  /// One that names no node is as if nobody had shown it.
  static seats::card to_card(const seat_card& from) {
    auto node = node_id::from_string(from.node);
    seats::card shown{node ? *node : node_id{}, raft::member_id{from.seat}, from.group != nullptr,
                      from.term, from.promotions};
    for (auto each : from.voters)
      shown.voters.insert(raft::member_id{each});
    return shown;
  }

  /// A step with a card, whose actor is the one to be trusted.
  template <class Event>
  void step_with(const caf::strong_actor_ptr& offered, Event what, request_id id) {
    offered_ = offered;
    seats_.step(std::move(what), id);
    offered_ = nullptr;
  }

  caf::typed_response_promise<seat_card> exchange(const exchange_seats& what) {
    seats::exchanged heard{to_card(what.mine), raft::member_id{what.forgotten}, sender(),
                           setup_.group.seat()};
    auto promise = self_->make_response_promise<seat_card>(); // takes the sender away
    cards_.emplace(++last_asker_, promise);
    if (what.forgotten != 0)
      heard.leader = status().leader;
    step_with(what.mine.group, heard, last_asker_);
    return promise;
  }

  /// The node behind the link over which the message that is being handled came; all zero: none.
  /// Cost: O(links).
  [[nodiscard]] node_id sender() const {
    auto& from = self_->current_sender();
    for (auto& [node, link] : links_)
      if (auto entry = link->entry_point(); from && entry && from->node() == entry->node())
        return node;
    return {};
  }

  void perform(const seats::greet& what) {
    auto link = links_.find(what.node);
    auto entry = link != links_.end() ? link->second->entry_point() : nullptr;
    if (!entry)
      return no_card(what.id, {errc::unreachable, "no link"});
    self_
      ->request(caf::actor_cast<caf::actor>(entry), answer_within, router::find_service{seat_name})
      .then([this, what](const router::service_place& place) { greet(what, place.handle); },
            [this, id = what.id](const caf::error& why) { no_card(id, to_problem(why)); });
  }

  void greet(const seats::greet& what, const caf::strong_actor_ptr& other) {
    if (!other)
      return no_card(what.id, {errc::not_found, "no seat"});
    self_
      ->request(caf::actor_cast<caf::actor>(other), answer_within,
                exchange_seats{card(), what.forgotten.value})
      .then(
        [this, id = what.id](const seat_card& theirs) {
          step_with(theirs.group, seats::greeted{to_card(theirs)}, id);
        },
        [this, id = what.id](const caf::error& why) { no_card(id, to_problem(why)); });
  }

  void no_card(request_id id, problem why) {
    seats_.step(seats::unanswered{std::move(why)}, id);
  }

  void perform(const seats::reach& what) {
    setup_.reach(what.where);
  }

  void perform(const seats::watch_closely& what) {
    if (auto link = links_.find(what.node); link != links_.end())
      setup_.set_timeout(link->second, what.silence);
  }

  // -- answers -------------------------------------------------------------------------------

  void perform(const seats::show_card& what) {
    if (auto found = cards_.extract(what.id))
      found.mapped().deliver(card());
  }

  void perform(const seats::refuse& what) {
    if (auto found = cards_.extract(what.id))
      found.mapped().deliver(to_error(what.why));
    else if (auto change = changes_.extract(what.id))
      change.mapped().deliver(to_error(what.why));
  }

  void perform(const seats::made& what) {
    if (auto found = changes_.extract(what.id))
      found.mapped().deliver(what.now);
  }

  void perform(const seats::handed_over& what) {
    if (auto found = hand_overs_.extract(what.id))
      found.mapped()();
  }

  struct backup_file {
    raft::log_index index = 0;
    std::shared_ptr<std::string> bytes;
  };

  /// Made of it on the thread that it comes on: it may be as large as all that the group keeps.
  static result<backup_file> to_file(result<host::group_backup> made) {
    if (!made)
      return made.error();
    made->made = read_calendar();
    return backup_file{made->index, std::make_shared<std::string>(host::to_file(*made))};
  }

  /// Of all that is committed now.
  caf::result<backup_receipt> back_up() {
    auto asked = self_->make_response_promise<backup_receipt>();
    // It stays here: CAF counts who has it without a lock.
    backups_.emplace(++last_asker_, asked);
    auto keep
      = on_self<result<backup_file>>([this, asker = last_asker_](const result<backup_file>& made) {
          auto found = backups_.extract(asker);
          if (!found)
            return;
          auto& promise = found.mapped();
          if (!made)
            return promise.deliver(to_error(made.error()));
          auto size = made->bytes->size();
          auto number = backup_.keep(seats_.now(), made->index, std::move(*made->bytes));
          wake_for_backup();
          promise.deliver(backup_receipt{number, size});
        });
    setup_.group.back_up(
      [keep](result<host::group_backup> made) { keep(to_file(std::move(made))); });
    return asked;
  }

  void wake_for_backup() {
    if (auto due = backup_.next_deadline())
      backup_timer_.arm(self_, caf::actor_clock::time_point{due->time_since_epoch()}, [this] {
        backup_.tick(seats_.now());
        wake_for_backup();
      });
  }

  // -- the rest of the node ------------------------------------------------------------------

  void perform(const seats::lead& what) {
    setup_.lead(what.turn, status().members.members.size() <= 1);
  }

  void perform(const seats::follow& what) {
    setup_.follow(what.turn, what.address);
  }

  void perform(const seats::others& what) {
    setup_.others(what.addresses);
  }

  void perform(const seats::keep_links& what) {
    setup_.keep_links(what.all, what.peers);
  }

  void perform(const seats::seated& what) {
    setup_.seated(what.is_seated, what.votes);
  }

  void perform(const seats::without_quorum& what) {
    setup_.without_quorum(what.why);
  }

  template <class Words>
  requires requires(const node_log& log, const Words& what) {
    log.perform(what);
  }
  void perform(const Words& what) {
    setup_.log.perform(what);
  }

  static constexpr duration answer_within = std::chrono::seconds{5};

  caf::event_based_actor* self_;
  voters_setup setup_;
  shell<seats, voters_part> seats_;
  std::map<node_id, net::link_ptr> links_;
  caf::strong_actor_ptr offered_; // during a step
  /// Who waits for an answer of the machine.
  request_id last_asker_ = 0;
  std::map<request_id, caf::typed_response_promise<seat_card>> cards_;
  std::map<request_id, caf::typed_response_promise<voters_view>> changes_;
  std::map<request_id, caf::typed_response_promise<backup_receipt>> backups_;
  std::map<request_id, std::function<void()>> hand_overs_;
  kept_backup backup_;
  deadline_timer backup_timer_;
};

} // namespace troupe::cluster
