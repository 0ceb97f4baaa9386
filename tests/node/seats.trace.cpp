// Replays traces/seats/*.trace against the seats of node n1.

#include "troupe/cluster/seats.hpp"
#include "node/seats_fixture.hpp"
#include "support/traced_machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <deque>
#include <sstream>
#include <string>
#include <utility>
#include <variant>

namespace seats_trace {

using namespace std::literals;
using namespace troupe;
using cluster::seats;
using cluster::voter_change;
using seats_fixture::seat_of;

namespace {

/// Node n1 in a group that commits at once what it is asked for. Node n2 has seat 2, and so on. ID
/// is that of a request. Understands:
///   voters NODE... | leads [NODE] | lag NODE ENTRIES | silent NODE | refuses CODE | disk CODE
///   name NODE | link NODE [BOOT] | unlink NODE | card NODE SEAT [by NODE] | void NODE SEAT
///   shows NODE there|gone | left NODE | forgot NODE | wants NODE | stopped | renewed ID SEAT
///   add|remove|lead|leave ID NODE [force] | hand_over ID | pending
class traced_seats : public test::traced_machine<seats> {
  seats& machine() override {
    return group_.it;
  }

  void perform(const std::string& verb, std::istream& in) override {
    if (verb == "voters" || verb == "leads" || verb == "lag" || verb == "silent"
        || verb == "refuses")
      return change_group(verb, in);
    if (verb == "pending")
      return show_pending();
    if (verb == "disk")
      return step(seats::disk_room{read_problem(in)});
    if (verb == "stopped")
      return step(seats::stopped{{errc::damaged, "the log is damaged"}});
    if (verb == "hand_over")
      return step(seats::hand_over{}, test::read_number(in));
    if (verb == "renewed") {
      auto id = test::read_number(in);
      group_.group.self = raft::member_id{test::read_number(in)};
      return step(seats::renewed{{}, group_.status()}, id);
    }
    for (auto each :
         {voter_change::add, voter_change::remove, voter_change::lead, voter_change::leave})
      if (verb == cluster::name_of(each)) {
        auto id = test::read_number(in);
        auto node = test::read_word(in);
        return step(
          seats::change{{each, seats_fixture::id_of(node), test::read_more(in) == "force"}}, id);
      }
    step(read_event(verb, test::read_word(in), in), 900);
  }

  static problem read_problem(std::istream& in) {
    auto code = test::read_code(in);
    return code == errc::none ? problem{} : problem{code, "so it is said"};
  }

  static seats::event read_event(const std::string& verb, const std::string& name,
                                 std::istream& in) {
    auto node = test::node_named(name);
    if (verb == "name")
      return seats::node_is{node, seats_fixture::name_of(name), seats_fixture::address_of(name)};
    if (verb == "link") {
      auto boot = test::read_more(in);
      return seats::link_up{node, boot.empty() ? 0 : std::stoull(boot)};
    }
    if (verb == "unlink")
      return seats::link_down{node};
    if (verb == "left")
      return seats::node_left{node, 0};
    if (verb == "shows")
      return seats::member_shows{node, test::read_word(in) == "there"};
    if (verb == "forgot")
      return seats::forgot{seat_of(name)};
    if (verb == "wants")
      return seats::wants_peer{seats_fixture::contact_of(name)};
    raft::member_id seat{test::read_number(in)};
    if (verb == "card") {
      auto by = test::read_more(in).empty() ? node : test::node_named(test::read_word(in));
      return seats::exchanged{{node, seat}, {}, by};
    }
    if (verb == "void")
      return seats::exchanged{{node, seat_of(name)}, seat, node, seat_of("n1"), seat_of(name)};
    refuse(verb);
  }

  // -- the group ---------------------------------------------------------------------------

  void change_group(const std::string& verb, std::istream& in) {
    if (verb == "refuses") {
      group_.refuses = read_problem(in);
    } else if (verb == "leads") {
      follow(test::read_more(in));
    } else if (verb == "lag") {
      auto node = test::read_word(in);
      group_.lag[node] = test::read_number(in);
    } else if (verb == "silent") {
      group_.silent.insert(test::read_word(in));
    } else {
      for (std::string node; in >> node;) {
        group_.seat(node, true);
        step(seats::member_shows{test::node_named(node), true});
      }
      commit();
    }
  }

  void follow(const std::string& leader) {
    auto& now = group_.group;
    now.term += 1;
    now.leader = leader.empty() ? raft::member_id{} : seat_of(leader);
    now.now = leader == "n1" ? raft::role::leader : raft::role::follower;
    group_.quorum.leader = now.leader;
    step(seats::changed_role{now.now, now.term, now.leader, "it has won an election"});
  }

  void commit() {
    if (group_.group.members == group_.committed)
      return;
    group_.committed = group_.group.members;
    step(seats::members_are{group_.committed, group_.status()});
  }

  /// The group answers at once.
  void go_on() override {
    while (!asked_.empty()) {
      auto next = std::move(asked_.front());
      asked_.pop_front();
      if (auto* look = std::get_if<seats::look>(&next)) {
        step(seats::seen{group_.status(), group_.quorum, "h1:1"}, look->id);
      } else if (auto* asked = std::get_if<seats::propose>(&next)) {
        auto why = group_.apply(asked->what);
        step(seats::answered{why}, asked->id);
        commit();
      }
    }
  }

  // -- answers -----------------------------------------------------------------------------

  void show_pending() {
    for (auto& each : machine().view(group_.status(), group_.quorum).pending)
      text_ << test::short_name(each.node) << ": " << each.what << ": " << each.why << '\n';
  }

  static std::string to_text(const cluster::voters_view& now) {
    std::string text;
    for (auto& each : now.seats)
      text += ' ' + test::short_name(each.node) + (each.votes ? "" : " (learns)");
    return text;
  }

  static std::string to_text(raft::member_id seat) {
    return "seat " + std::to_string(seat.value);
  }

  std::string to_words(const seats::effect& what) override {
    if (std::holds_alternative<seats::look>(what) || std::holds_alternative<seats::propose>(what))
      asked_.push_back(what);
    std::ostringstream text;
    troupe::visit(
      overloaded{
        [&](const seats::look&) {},
        [&](const seats::propose& each) {
          text << "group: " << seats_fixture::to_words(each.what);
        },
        [&](const seats::renew& each) {
          text << "renew " << each.id << ": take another seat than " << to_text(each.lost);
        },
        [&](const seats::trust& each) { text << "trust " << to_text(each.seat); },
        [&](const seats::distrust& each) { text << "distrust " << to_text(each.seat); },
        [&](const seats::greet& each) {
          text << "greet " << test::name_of(each.node);
          if (each.forgotten != raft::member_id{})
            text << ", whose " << to_text(each.forgotten) << " is void";
        },
        [&](const seats::reach& each) {
          text << "reach " << test::name_of(each.where.node) << " at " << each.where.address;
        },
        [&](const seats::watch_closely& each) {
          text << "watch " << test::name_of(each.node)
               << " closely: " << troupe::to_string(each.silence);
        },
        [&](const seats::show_card&) { text << "show card"; },
        [&](const seats::refuse& each) {
          text << "refuse " << each.id << ": " << to_string(each.why);
        },
        [&](const seats::made& each) { text << "made " << each.id << ':' << to_text(each.now); },
        [&](const seats::handed_over& each) { text << "handed over " << each.id; },
        [&](const seats::lead& each) { text << "lead, turn " << each.turn; },
        [&](const seats::follow& each) {
          text << "follow " << (each.address.empty() ? "nobody" : each.address) << ", turn "
               << each.turn;
        },
        [&](const seats::others& each) {
          text << "others:";
          for (auto& one : each.addresses)
            text << ' ' << one;
        },
        [&](const seats::keep_links& each) {
          text << "keep links:" << (each.all ? " all" : each.peers.empty() ? " none" : "");
          for (auto& one : each.peers)
            text << ' ' << test::name_of(one);
        },
        [&](const seats::seated& each) {
          text << (each.is_seated ? "has a seat" : "has no seat")
               << (each.votes ? " and votes" : "");
        },
        [&](const seats::without_quorum& each) {
          text << "quorum: " << (each.why ? to_string(each.why) : "may be there");
        },
        [&](const seats::inform& each) { text << "inform: " << each.text; },
        [&](const seats::warn& each) { text << "warn: " << each.text; },
        [&](const seats::fail& each) { text << "fail: " << each.text; },
        [&](const seats::complain& each) {
          text << "complain: " << each.topic << ": " << each.detail;
        },
        [&](const seats::settle& each) { text << "settle: " << each.topic; },
      },
      what);
    return text.str();
  }

  seats_fixture::seated_node group_;
  std::deque<seats::effect> asked_;
};

} // namespace

TEST_CASE("who has a seat and a vote goes as golden traces say", "[node][seats][trace]") {
  test::replay_traces<traced_seats>("node/traces/seats");
}

} // namespace seats_trace
