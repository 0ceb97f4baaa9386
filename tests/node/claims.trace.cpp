// Replays traces/*.trace against the claims of node n1, boot 5.

#include "troupe/cluster/claims.hpp"
#include "router/named_nodes.hpp"
#include "support/traced_machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <variant>

namespace claims_trace {

using namespace std::literals;
using namespace troupe;
using cluster::claims;
using test::operator""_node;
namespace names = registry::names;

namespace {

/// Spans are in milliseconds, Q is the number of a question. Understands:
///   bound | leave ID | outlived BOOT [twin] | dead | risen BOOT | pass SPAN
///   put NAME ID | add NAME ID | claim NAME ID | remove NAME [ID] | seen NAME OWNER TOKEN [taken]
///   granted Q TOKEN… | freed Q | has Q BOOT [NAME…] | refused Q CODE
class claims_interpreter {
public:
  std::string answer(const std::string& command) {
    std::istringstream in{command};
    std::string verb;
    in >> verb;
    claims::effects out;
    if (verb == "pass")
      pass(std::chrono::milliseconds{read_number(in)}, out);
    else
      step(verb, in, out);
    for (auto& flaw : it_.flaws())
      throw std::logic_error{flaw};
    return to_text(out);
  }

private:
  static std::uint64_t read_number(std::istream& in) {
    std::uint64_t result = 0;
    in >> result;
    return result;
  }

  static std::string read_word(std::istream& in) {
    std::string result;
    in >> result;
    return result;
  }

  static registry::record read_agent(std::istream& in) {
    registry::record made;
    made.key = {registry::record_kind::agent, test::with_whole_id(read_word(in)), "n1"_node};
    return made;
  }

  void pass(duration span, claims::effects& out) {
    auto end = now_ + span;
    while (it_.next_deadline() && *it_.next_deadline() <= end) {
      now_ = std::max(now_, *it_.next_deadline());
      it_.tick(now_, out);
    }
    now_ = end;
  }

  void step(const std::string& verb, std::istream& in, claims::effects& out) {
    if (verb == "put" || verb == "add" || verb == "claim") {
      auto what = read_agent(in);
      auto id = read_number(in);
      if (verb == "put")
        it_.step(now_, id, claims::put{what}, out);
      else
        it_.step(now_, id, claims::add{what, verb == "claim"}, out);
    } else if (verb == "remove") {
      claims::remove what{read_word(in)};
      it_.step(now_, read_number(in), what, out);
    } else if (verb == "leave") {
      it_.step(now_, read_number(in), claims::leave{}, out);
    } else if (verb == "bound" || verb == "outlived" || verb == "dead" || verb == "risen"
               || verb == "seen") {
      it_.step(now_, 0, read_event(verb, in), out);
    } else {
      auto id = read_number(in);
      it_.step(now_, id, read_answer(verb, asked_.at(id), in), out);
    }
  }

  static claims::event read_event(const std::string& verb, std::istream& in) {
    if (verb == "bound")
      return claims::bound{};
    if (verb == "outlived") {
      auto boot = read_number(in);
      return claims::outlived{boot, read_word(in) == "twin"};
    }
    if (verb == "dead")
      return claims::given_up{};
    if (verb == "risen")
      return claims::risen{read_number(in)};
    claims::seen what;
    what.holder = "somebody";
    what.name = read_word(in);
    what.owner = test::node_named(read_word(in));
    in >> what.token;
    what.taken = read_word(in) == "taken";
    return what;
  }

  static claims::event read_answer(const std::string& verb, const claims::ask& to,
                                   std::istream& in) {
    if (verb == "freed")
      return claims::heard<names::freed>{names::freed{}};
    if (verb == "granted") {
      auto& asked = std::get<names::claim>(to.what);
      names::claims given;
      for (auto& each : asked.names)
        given.claimed.push_back({each, asked.owner, asked.boot, read_number(in)});
      return claims::heard<names::claims>{given};
    }
    if (verb == "has") {
      auto boot = read_number(in);
      names::claim_page page;
      for (std::string name; in >> name;)
        page.claimed.push_back({name, "n1"_node, boot, 1});
      return claims::heard<names::claim_page>{page};
    }
    if (verb != "refused")
      throw std::invalid_argument{"unknown command: " + verb};
    problem why{test::read_code(in), "refused"};
    return troupe::visit(
      [&]<class Words>(const Words&) -> claims::event {
        return claims::heard<typename Words::result>{result<typename Words::result>{why}};
      },
      to.what);
  }

  static std::string words_of(const registry::record& what) {
    auto text = what.key.name + " version " + std::to_string(what.version);
    if (what.token != 0)
      text += " token " + std::to_string(what.token);
    return text + (what.removed ? " removed" : "");
  }

  std::string to_text(const claims::effects& out) {
    if (out.empty())
      return "(nothing)\n";
    std::ostringstream text;
    auto list = [&](const std::vector<agent_id>& names, boot_number boot) {
      for (auto& each : names)
        text << ' ' << each.text();
      text << ", boot " << boot;
    };
    auto ask = overloaded{
      [&](const names::list_claims&) { text << "which names does this node have"; },
      [&](const names::claim& what) {
        text << "claim";
        list(what.names, what.boot);
      },
      [&](const names::release& what) {
        text << "release";
        list(what.names, what.boot);
      },
      [&](const names::owner_gone& what) { text << "release all, boot " << what.boot; },
    };
    auto print = overloaded{
      [&](const claims::ask& what) {
        asked_[what.id] = what;
        text << "ask " << what.id << ": ";
        troupe::visit(ask, what.what);
      },
      [&](const claims::says& what) {
        text << "say";
        for (auto& each : what.what)
          text << (&each == &what.what.front() ? " " : "; ") << words_of(each);
        text << ", boot " << what.what.front().boot;
      },
      [&](const claims::done& what) {
        text << "done " << what.id << (what.why ? ": " + to_string(what.why) : "");
      },
      [&](const claims::lost_name& what) {
        text << "lost " << what.name.text() << ", added by " << what.added;
      },
      [&](const claims::show& what) { text << "show " << what.what.key.name; },
      [&](const claims::hide& what) { text << "hide " << what.what.key.name; },
      [&](const claims::rise& what) { text << "rise to " << what.boot; },
      [&](const claims::warn& what) { text << "warn: " << what.text; },
      [&](const claims::complain& what) {
        text << "complain: " << what.topic << ": " << what.detail;
      },
      [&](const claims::settle& what) { text << "settle: " << what.topic; },
    };
    for (auto& what : out) {
      troupe::visit(print, what);
      text << '\n';
    }
    return test::with_short_names(text.str());
  }

  claims it_{"n1"_node, 5, {.is_fleeting = true}};
  std::map<request_id, claims::ask> asked_;
  time_point now_{};
};

} // namespace

TEST_CASE("the claims of a node answer as their golden traces say", "[node][names][trace]") {
  for (auto& file : test::traces_in(TROUPE_TESTS_DIR "/node/traces")) {
    claims_interpreter node;
    test::replay_trace(file, [&](const std::string& command) { return node.answer(command); });
  }
}

} // namespace claims_trace
