// Replays traces/core/*.trace against the core of node 0, which is called "one".

#include "troupe/cluster/node_core.hpp"
#include "node/record_fixture.hpp"
#include "support/traced_machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace node_core_trace {

using namespace troupe;
using cluster::claims;
using cluster::liveness;
using cluster::member_status;
using cluster::node_core;
using cluster::record_exchange;
using record_fixture::node_number;
using record_fixture::owner;
using registry::record;
using registry::record_kind;
namespace names = registry::names;

namespace {

/// Another node has a number from 1 on, and is told of as it is with `member`. Q is the number of a
/// question, ID of a request. Understands:
///   node N NAME [fleeting|rests] | agent N NAME [TOKEN] | ends N NAME | starts N BOOT
///   member N alive|suspect|dead|left | forgotten N | expelled [N]... | link|unlink N BOOT
///   lead | follow | compared | speaks | bound | outlived BOOT | risen BOOT | signed
///   add ID NAME [shared] | load ID NAME LOAD | remove ID NAME | leave ID | maintain ID on|off
///   granted Q TOKEN | has Q | freed Q | refused Q CODE | told Q [N]... | no_answer Q
///   owns Q [NAME N]... | pong Q yes|no | call N AGENT reached|missed
class traced_core : public test::traced_machine<node_core> {
  node_core& machine() override {
    return it_;
  }

  void perform(const std::string& verb, std::istream& in) override {
    if (verb == "node" || verb == "agent" || verb == "ends" || verb == "starts")
      return change(verb, read_node(in), in);
    if (verb == "member") {
      auto& whom = read_node(in);
      return see(whom, test::read_word(in));
    }
    if (verb == "signed")
      return sign();
    auto what = read_event(verb, in);
    step(std::move(what), id_);
  }

  owner& read_node(std::istream& in) {
    auto number = static_cast<int>(test::read_number(in));
    return others_.try_emplace(number, number).first->second;
  }

  // -- other nodes -----------------------------------------------------------------------

  void change(const std::string& verb, owner& of, std::istream& in) {
    heads_.erase(of.number);
    if (verb == "starts") {
      auto number = of.number;
      others_.erase(number);
      others_.try_emplace(number, number, test::read_number(in));
      return;
    }
    auto name = test::read_word(in);
    if (verb == "ends")
      return of.take_back(name);
    record made;
    made.key = {verb == "node" ? record_kind::node : record_kind::agent, name, {}};
    auto more = test::read_more(in);
    if (more == "fleeting")
      made.metadata[cluster::known_nodes::fleeting_mark] = "yes";
    else if (more == "rests")
      made.status = registry::record_status::maintenance;
    else if (!more.empty())
      made.token = std::stoull(more);
    if (verb == "agent" && made.token == 0)
      made.key.name = registry::unclaimed_name(name, of.who);
    of.put(of.book.put(made));
  }

  void see(owner& whom, const std::string& how) {
    if (!heads_.contains(whom.number))
      heads_[whom.number] = whom.state();
    auto& said = heads_.at(whom.number);
    for (auto is :
         {member_status::alive, member_status::suspect, member_status::dead, member_status::left})
      if (how == name_of(is))
        return step(node_core::member_is{whom.who, said.what.when, is, said,
                                         record_fixture::key_number(whom.number), whom.who});
    refuse(how);
  }

  std::vector<cluster::told_records> read_told(const record_exchange::ask& to, std::istream& in) {
    std::vector<cluster::told_records> made;
    for (int number = 0; in >> number;) {
      auto& of = others_.at(number);
      for (auto& each : to.what)
        if (each.owner == of.who)
          made.push_back(of.page(heads_.at(number), each.boot == of.book.boot() ? each.after : 0));
    }
    return made;
  }

  // -- this node -------------------------------------------------------------------------

  /// What it was to sign last.
  void sign() {
    cluster::statement made{node_number(0), {it_.book().boot(), ++times_}, false, "p:1", to_sign_};
    step(record_exchange::spoke{
      {made, sim::sign_with(record_fixture::key_number(0), cluster::to_be_signed(made))}});
  }

  node_core::event read_event(const std::string& verb, std::istream& in) {
    id_ = 0;
    if (verb == "lead")
      return node_core::lead{};
    if (verb == "follow")
      return node_core::follow{};
    if (verb == "compared")
      return node_core::compared{};
    if (verb == "speaks") {
      record self;
      self.key = {record_kind::node, "one", it_.id()};
      return claims::put{self};
    }
    if (verb == "bound")
      return claims::bound{};
    if (verb == "outlived")
      return claims::outlived{test::read_number(in)};
    if (verb == "risen")
      return claims::risen{test::read_number(in)};
    if (verb == "forgotten")
      return node_core::member_forgotten{read_node(in).who};
    if (verb == "expelled")
      return read_expelled(in);
    if (verb == "call")
      return read_call(in);
    if (verb == "link" || verb == "unlink") {
      auto node = read_node(in).who;
      auto boot = test::read_number(in);
      if (verb == "link")
        return liveness::link_up{node, boot};
      return liveness::link_down{node, boot, "closed"};
    }
    id_ = test::read_number(in);
    return read_numbered(verb, in);
  }

  node_core::event read_expelled(std::istream& in) const {
    node_core::expelled made;
    for (int number = 0; in >> number;)
      made.nodes.insert(node_number(number));
    return made;
  }

  node_core::event read_call(std::istream& in) {
    auto node = read_node(in).who;
    auto agent = test::read_word(in);
    auto is_reached = test::read_word(in) == "reached";
    return node_core::call_ended{node, agent,
                                 is_reached ? registry::call_outcome::succeeded
                                            : registry::call_outcome::timed_out};
  }

  node_core::event read_numbered(const std::string& verb, std::istream& in) {
    if (verb == "leave")
      return claims::leave{};
    if (verb == "maintain")
      return node_core::maintain{test::read_word(in) == "on"};
    if (verb == "pong")
      return liveness::pong{test::read_word(in) == "yes"};
    if (verb == "told")
      return record_exchange::answered{read_told(asks_.at(id_), in)};
    if (verb == "no_answer")
      return record_exchange::answered{};
    if (verb == "owns")
      return read_owned(in);
    if (verb == "granted" || verb == "has" || verb == "freed" || verb == "refused")
      return read_answer(verb, in);
    auto name = test::read_word(in);
    if (verb == "remove")
      return claims::remove{name};
    if (verb == "load") {
      node_core::update_agent what{name, {}};
      what.how.load = static_cast<std::uint32_t>(test::read_number(in));
      return what;
    }
    if (verb != "add")
      refuse(verb);
    node_core::add_agent what;
    what.what.key.name = name;
    what.is_unique = test::read_more(in) != "shared";
    return what;
  }

  node_core::event read_owned(std::istream& in) {
    names::claim_page page;
    for (std::string name; in >> name;) {
      names::name_claim claim{.name = name, .owner = read_node(in).who};
      claim.boot = 1;
      claim.is_fleeting = true;
      page.claimed.push_back(claim);
    }
    return liveness::names_listed{page};
  }

  [[nodiscard]] node_core::event read_answer(const std::string& verb, std::istream& in) const {
    if (verb == "has")
      return claims::heard<names::claim_page>{names::claim_page{}};
    if (verb == "freed")
      return claims::heard<names::freed>{names::freed{}};
    if (verb == "refused")
      return claims::heard<names::claims>{problem{test::read_code(in), "says the service"}};
    auto& asked = std::get<names::claim>(questions_.at(id_).what);
    names::claims given;
    for (auto& each : asked.names)
      given.claimed.push_back({each, asked.owner, asked.boot, test::read_number(in)});
    return claims::heard<names::claims>{given};
  }

  // -- answers ---------------------------------------------------------------------------

  std::string number_of(const owner_id& who) const {
    for (auto number = 0; number < 10; ++number)
      if (who == node_number(number))
        return std::to_string(number);
    return "nobody";
  }

  std::string to_text(const record& what) const {
    auto text = registry::agent_of(what).text() + " of " + number_of(owner_id{what.key.owner})
                + ", version " + std::to_string(what.version);
    if (what.token != 0)
      text += ", token " + std::to_string(what.token);
    if (what.load != 0)
      text += ", load " + std::to_string(what.load);
    return text;
  }

  std::string to_words(const node_core::effect& what) override {
    std::ostringstream text;
    troupe::visit(
      overloaded{
        [&](const node_core::found& each) {
          text << "found " << to_text(each.what) << (each.rests ? ", rests" : "")
               << (each.ill ? ", ill" : "");
        },
        [&](const node_core::gone& each) {
          text << "gone " << each.id.text() << " of " << number_of(each.node);
        },
        [&](const node_core::found_only& each) {
          text << "found only";
          for (auto& [agent, node] : each.agents)
            text << ' ' << agent.text() << " of " << number_of(node);
        },
        [&](const node_core::node_is& each) {
          text << "node " << number_of(each.node) << " is " << each.what.key.name;
        },
        [&](const node_core::node_left& each) {
          text << "node " << number_of(each.node) << " left, " << each.name << " boot "
               << each.boot;
        },
        [&](const node_core::caught_up&) { text << "caught up"; },
        [&](const node_core::presence& each) {
          text << each.there << " of " << each.all << " nodes are there";
        },
        [&](const node_core::inform& each) { text << "inform: " << each.text; },
        [&](const node_core::warn& each) { text << "warn: " << each.text; },
        [&](const node_core::complain& each) {
          text << "complain: " << each.topic << ": " << each.detail;
        },
        [&](const node_core::settle& each) { text << "settle: " << each.topic; },
        [&](const record_exchange::restate& each) {
          to_sign_ = each.what;
          text << "sign version " << each.what.version;
        },
        [&](const record_exchange::ask& each) {
          asks_.insert_or_assign(each.id, each);
          text << "ask " << each.id << " of " << number_of(each.whom) << ':';
          for (auto& one : each.what)
            text << " node " << number_of(one.owner) << " behind " << one.after;
        },
        [&](const record_exchange::reply& each) { text << "reply " << each.id; },
        [&](const record_exchange::learned& each) {
          text << "learned of " << number_of(each.what.what.node);
        },
        [&](const claims::ask& each) {
          questions_.insert_or_assign(each.id, each);
          text << "question " << each.id << " for names: " << words_of(each);
        },
        [&](const claims::done& each) {
          text << "done " << each.id << (each.why ? ": " + to_string(each.why) : "");
        },
        [&](const claims::lost_name& each) {
          text << "lost " << each.name.text() << ", added by " << each.added;
        },
        [&](const claims::rise& each) { text << "rise to boot " << each.boot; },
        [&](const liveness::give_up& each) {
          text << "give up " << number_of(each.owner) << " boot " << each.boot;
        },
        [&](const liveness::free_names& each) {
          text << "free names of " << number_of(each.owner) << " boot " << each.boot;
        },
        [&](const liveness::list_names& each) { text << "list names, question " << each.id; },
        [&](const liveness::list_workers& each) { text << "list workers, question " << each.id; },
        [&](const liveness::ping& each) {
          text << "ping " << each.id << ": " << each.agent.text() << " of " << number_of(each.node);
        },
      },
      what);
    return text.str();
  }

  static std::string words_of(const claims::ask& what) {
    auto list = [](const char* verb, const std::vector<agent_id>& all) {
      std::string text{verb};
      for (auto& each : all)
        text += ' ' + each.text();
      return text;
    };
    return troupe::visit(
      overloaded{
        [&](const names::claim& each) { return list("claim", each.names); },
        [&](const names::release& each) { return list("release", each.names); },
        [&](const names::owner_gone&) { return std::string{"release all"}; },
        [&](const names::list_claims&) { return std::string{"which has this node"}; },
      },
      what.what);
  }

  static cluster::node_core_options options() {
    cluster::node_core_options how;
    how.node = node_number(0);
    how.name = "one";
    how.boot = 1;
    return how;
  }

  node_core it_{options(), &sim::is_signed_with};
  std::map<int, owner> others_;
  std::map<int, cluster::signed_statement> heads_;
  std::map<request_id, record_exchange::ask> asks_;
  std::map<request_id, claims::ask> questions_;
  registry::records_head to_sign_{};
  std::uint32_t times_ = 0;
  /// Of the command.
  request_id id_ = 0;
};

} // namespace

TEST_CASE("what a node knows and says goes as golden traces say", "[node][core][trace]") {
  test::replay_traces<traced_core>("node/traces/core");
}

} // namespace node_core_trace
