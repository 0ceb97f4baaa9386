#pragma once

#include "troupe/cluster/seats.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/raft/detail/member_changes.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "router/named_nodes.hpp"
#include "support/seen_effects.hpp"

namespace seats_fixture {

using namespace std::literals;
using namespace troupe;
using cluster::seats;
using cluster::voter_change;
using test::operator""_node;
using change_of_members = raft::replica_types::event;

/// As commands and views have the id of that node.
inline std::string id_of(const std::string& node) {
  return to_string(test::node_named(node));
}

/// What a node is called that has no name yet: the first digits of its id.
inline std::string digits_of(const std::string& node) {
  return id_of(node).substr(0, 8);
}

/// Node n1 has seat 1, and so on.
inline raft::member_id seat_of(const std::string& node) {
  return raft::member_id{std::stoull(node.substr(1))};
}

inline bool is_node(const std::string& called) {
  return called.size() > 1 && called.front() == 'n'
         && std::ranges::all_of(called.substr(1),
                                [](char each) { return each >= '0' && each <= '9'; });
}

inline std::string node_of(raft::member_id seat) {
  return "n" + std::to_string(seat.value);
}

inline std::string address_of(const std::string& node) {
  return "h" + node.substr(1) + ":1";
}

inline std::string contact_of(const std::string& node) {
  return id_of(node) + "@" + address_of(node);
}

inline std::string name_of(const std::string& node) {
  return "name" + node.substr(1);
}

/// Of a contact: the node as the test calls it, and its address.
inline std::string short_contact(const std::string& contact) {
  auto where = cluster::to_seat_contact(contact);
  return test::name_of(where.node) + '@' + where.address;
}

/// What is asked of the group, in words.
struct change_writer {
  using types = raft::replica_types;

  std::string operator()(const types::add_learner& it) const {
    return "learner " + node_of(it.seat) + " at " + short_contact(it.contact);
  }
  std::string operator()(const types::promote& it) const {
    return "voter " + node_of(it.seat);
  }
  std::string operator()(const types::remove& it) const {
    return "remove " + node_of(it.seat);
  }
  std::string operator()(const types::move& it) const {
    return "move " + node_of(it.seat) + " to " + short_contact(it.contact);
  }
  std::string operator()(const types::keep_out& it) const {
    return (it.forced ? "force out " : "keep out ") + test::short_name(it.name);
  }
  std::string operator()(const types::let_in& it) const {
    return "let in " + test::short_name(it.name);
  }
  std::string operator()(const types::confirm_members&) const {
    return "confirm";
  }
  std::string operator()(const types::transfer& it) const {
    return it.to == raft::member_id{} ? "hand over" : "hand over to " + node_of(it.to);
  }
  template <class Other>
  std::string operator()(const Other&) const {
    return "nonsense";
  }
};

inline std::string to_words(const change_of_members& what) {
  return troupe::visit(change_writer{}, what);
}

/// The part of node n1 in a group that stands as the test says. Looks are answered at once; so are
/// proposals, which take effect, unless they are to wait.
struct seated_node : test::seen_effects<cluster::seats> {
  explicit seated_node(cluster::seats_options how = {}) : it("n1"_node, seat_of("n1"), how, 0) {
    group.self = seat_of("n1");
    group.last = group.commit = 1'000;
    group.members_for = duration::zero();
    seat("n1", true);
  }

  // -- the group ---------------------------------------------------------------------------

  void seat(const std::string& node, bool votes) {
    group.members.members[seat_of(node)] = {votes, contact_of(node)};
  }

  /// What the replica of this node says of it now.
  raft::replica_types::status status() {
    group.others.clear();
    if (group.now == raft::role::leader)
      for (auto& [seat, who] : group.members.members)
        if (seat != group.self) {
          auto found = lag.find(node_of(seat));
          auto behind = found != lag.end() ? found->second : 0;
          group.others.push_back({seat, who, group.last - behind,
                                  silent.contains(node_of(seat)) ? silent_for : 10ms, false, true});
        }
    return group;
  }

  /// What is asked is committed at once.
  problem apply(const change_of_members& what) {
    using types = raft::replica_types;
    if (refuses)
      return refuses;
    if (auto* over = std::get_if<types::transfer>(&what)) {
      handed_to = over->to;
      return {};
    }
    return troupe::visit(
      [this]<class Change>(const Change& each) -> problem {
        if constexpr (requires { raft::detail::changed(group.members, each); }) {
          auto next = raft::detail::changed(group.members, each);
          if (!next)
            return next.error();
          group.members = *next;
          group.members_for = duration::zero();
          return {};
        } else {
          return {errc::bad_argument, "nonsense"};
        }
      },
      what);
  }

  // -- steps ---------------------------------------------------------------------------------

  void step(seats::event what, request_id id = 0) {
    it.step(now, id, std::move(what), out);
    go_on();
  }

  /// Runs all that is due meanwhile.
  void pass(duration span) {
    auto until = now + span;
    for (auto due = it.next_deadline(); due && *due <= until; due = it.next_deadline()) {
      now = std::max(now, *due);
      it.tick(now, out);
      go_on();
    }
    now = until;
  }

  void go_on() {
    check();
    while (answers_looks) {
      auto asked = first<seats::look>();
      if (!asked)
        break;
      last_look = asked->id;
      it.step(now, asked->id, seats::seen{status(), quorum, "h1:1"}, out);
      check();
      while (answers_proposals) {
        auto proposed = first<seats::propose>();
        if (!proposed)
          break;
        asked_for.push_back(to_words(proposed->what));
        it.step(now, proposed->id, seats::answered{apply(proposed->what)}, out);
        check();
        if (commits)
          commit();
      }
    }
  }

  /// The members as they are now are committed.
  void commit() {
    if (group.members == committed)
      return;
    committed = group.members;
    step(seats::members_are{committed, status()});
  }

  void check() {
    for (auto& each : it.flaws())
      FAIL_CHECK(each);
  }

  // -- effects -------------------------------------------------------------------------------

  template <class Effect>
  std::optional<Effect> first() {
    auto found
      = std::ranges::find_if(out, [](auto& each) { return std::holds_alternative<Effect>(each); });
    if (found == out.end())
      return std::nullopt;
    auto what = std::get<Effect>(std::move(*found));
    out.erase(found);
    return what;
  }

  std::vector<std::string> asked() {
    return std::exchange(asked_for, {});
  }

  // -- what often happens ------------------------------------------------------------------------

  /// Its members are committed, and it leads or follows. The members show all of them alive.
  void begin(const std::string& leader = "n1") {
    commit();
    for (auto& [seat, who] : group.members.members)
      step(seats::member_shows{cluster::to_seat_contact(who.contact).node, true});
    role(leader);
    out.clear();
    asked_for.clear();
  }

  void role(const std::string& leader, const std::string& cause = "it has won an election") {
    group.term += 1;
    group.leader = leader.empty() ? raft::member_id{} : seat_of(leader);
    group.now = leader == "n1" ? raft::role::leader : raft::role::follower;
    quorum.leader = group.leader;
    step(seats::changed_role{group.now, group.term, group.leader, cause});
  }

  /// A node is known and linked, and has shown its card.
  void link(const std::string& node, std::uint64_t seat = 0, boot_number boot = 0) {
    step(seats::node_is{test::node_named(node), name_of(node), address_of(node)});
    step(seats::link_up{test::node_named(node), boot});
    show(node, seat);
  }

  /// A node dies, or comes back; the members see it.
  void die(const std::string& node) {
    silent.insert(node);
    step(seats::link_down{test::node_named(node)});
    step(seats::member_shows{test::node_named(node), false});
  }

  void come_back(const std::string& node) {
    silent.erase(node);
    link(node);
    step(seats::member_shows{test::node_named(node), true});
  }

  /// Node shows its card over its link.
  void show(const std::string& node, std::uint64_t seat = 0) {
    auto who = test::node_named(node);
    step(seats::exchanged{{who, seat == 0 ? seat_of(node) : raft::member_id{seat}}, {}, who}, 900);
  }

  /// `called`: n1, n2 ...: by its id; else as it is.
  void ask(voter_change what, const std::string& called, request_id id, bool force = false) {
    step(seats::change{{what, is_node(called) ? id_of(called) : called, force}}, id);
  }

  /// The code with which that request was refused; none: it was made.
  errc end_of(request_id id) {
    for (auto each = out.begin(); each != out.end(); ++each) {
      if (auto* refused = std::get_if<seats::refuse>(&*each); refused && refused->id == id) {
        why = refused->why;
        out.erase(each);
        return why.code;
      }
      if (auto* made = std::get_if<seats::made>(&*each); made && made->id == id) {
        shown = made->now;
        out.erase(each);
        return errc::none;
      }
    }
    FAIL("request " << id << " has no answer");
    return errc::failed;
  }

  bool is_open(request_id id) {
    return std::ranges::none_of(out, [id](auto& each) {
      auto* refused = std::get_if<seats::refuse>(&each);
      auto* made = std::get_if<seats::made>(&each);
      return (refused && refused->id == id) || (made && made->id == id);
    });
  }

  std::set<std::string> voters() const {
    std::set<std::string> found;
    for (auto each : group.members.voters())
      found.insert(node_of(each));
    return found;
  }

  seats it;
  time_point now{1h};
  raft::replica_types::status group;
  host::quorum_view quorum;
  raft::configuration committed;
  std::map<std::string, raft::log_index> lag;
  std::set<std::string> silent;
  duration silent_for = 5s;
  problem refuses; // what the group says to all that it is asked for
  bool answers_looks = true;
  bool answers_proposals = true;
  bool commits = true;
  request_id last_look = 0;
  std::vector<std::string> asked_for;
  std::optional<raft::member_id> handed_to;
  problem why;
  cluster::voters_view shown;
};

} // namespace seats_fixture
