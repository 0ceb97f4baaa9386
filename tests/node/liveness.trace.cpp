// Replays traces/liveness/*.trace against liveness.

#include "troupe/cluster/liveness.hpp"
#include "support/traces.hpp"
#include "troupe/core/overloaded.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

namespace liveness_trace {

using namespace std::literals;
using namespace troupe;
using cluster::liveness;
using cluster::member_status;

namespace {

/// A node that others are told to. Understands:
///   lead [NAME BOOT]... | follow | up NAME BOOT | down NAME BOOT | leaves NAME | shown NAME BOOT
///   alive|suspect|dead|left NAME BOOT | forgotten NAME BOOT | expelled [NAME]...
///   ill NAME NODE | well NAME NODE | pong ID yes|no | claims ID [NAME NODE BOOT fleeting|kept]...
///   pass MILLISECONDS
/// Answers with effects and the milliseconds since it began.
class liveness_interpreter {
public:
  std::string answer(const std::string& command) {
    text_.str({});
    std::istringstream in{command};
    auto verb = test::read_word(in);
    if (verb == "pass")
      pass(std::chrono::milliseconds{test::read_number(in)});
    else if (verb == "pong")
      answer_ping(in);
    else if (verb == "claims")
      answer_list(in);
    else
      step(read_event(verb, in));
    for (auto& flaw : it_.flaws())
      text_ << "flaw: " << flaw << '\n';
    return text_.str().empty() ? "(nothing)\n" : text_.str();
  }

private:
  static liveness::event read_event(const std::string& verb, std::istream& in) {
    if (verb == "follow")
      return liveness::follow{};
    if (verb == "lead")
      return read_lead(in);
    if (verb == "expelled")
      return read_expelled(in);
    auto name = test::read_word(in);
    if (verb == "leaves")
      return liveness::left{name};
    if (verb == "ill")
      return liveness::ill{agent(name, in), name};
    if (verb == "well")
      return liveness::well{agent(name, in)};
    auto boot = test::read_number(in);
    if (verb == "up")
      return liveness::link_up{name, boot};
    if (verb == "down")
      return liveness::link_down{name, boot, "closed"};
    if (verb == "shown")
      return liveness::shown{name, boot};
    if (verb == "forgotten")
      return liveness::forgotten{name, boot};
    for (auto is :
         {member_status::alive, member_status::suspect, member_status::dead, member_status::left})
      if (verb == name_of(is))
        return liveness::seen{name, boot, is};
    throw std::invalid_argument{"unknown command: " + verb};
  }

  static liveness::lead read_lead(std::istream& in) {
    liveness::lead made;
    made.self = "self";
    for (std::string name; in >> name;)
      made.known[name] = test::read_number(in);
    return made;
  }

  static liveness::expelled read_expelled(std::istream& in) {
    liveness::expelled made;
    for (std::string name; in >> name;)
      made.nodes.insert(name);
    return made;
  }

  static registry::record_key agent(const std::string& name, std::istream& in) {
    return {registry::record_kind::agent, name, test::read_word(in)};
  }

  void answer_ping(std::istream& in) {
    auto id = test::read_number(in);
    step(liveness::pong{test::read_word(in) == "yes"}, id);
  }

  void answer_list(std::istream& in) {
    auto id = test::read_number(in);
    registry::names::claim_page page;
    for (std::string name; in >> name;) {
      registry::names::name_claim claim{.name = name, .owner = test::read_word(in)};
      claim.boot = test::read_number(in);
      claim.is_fleeting = test::read_word(in) == "fleeting";
      page.claimed.push_back(std::move(claim));
    }
    step(liveness::names_listed{std::move(page)}, id);
  }

  void step(liveness::event what, request_id id = 0) {
    liveness::effects out;
    it_.step(now_, id, std::move(what), out);
    print(out);
  }

  void pass(duration span) {
    auto until = now_ + span;
    for (auto due = it_.next_deadline(); due && *due <= until; due = it_.next_deadline()) {
      now_ = std::max(now_, *due);
      liveness::effects out;
      it_.tick(now_, out);
      print(out);
    }
    now_ = until;
  }

  void print(const liveness::effects& out) {
    for (auto& each : out) {
      text_
        << std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count()
        << " ms: ";
      std::visit(
        overloaded{
          [&](const liveness::give_up& what) {
            text_ << "give up " << what.node << " boot " << what.boot;
          },
          [&](const liveness::free_names& what) {
            text_ << "free names of " << what.node << " boot " << what.boot;
          },
          [&](const liveness::list_names& what) {
            text_ << "list names " << what.id << " after '" << what.what.after.text() << '\'';
          },
          [&](const liveness::ping& what) {
            text_ << "ping " << what.id << ' ' << what.agent.text() << " of " << what.node;
          },
          [&](const liveness::recovered& what) { text_ << "recovered " << what.what.name; },
          [&](const liveness::warn& what) { text_ << "warn " << what.text; },
        },
        each);
      text_ << '\n';
    }
  }

  cluster::known_nodes nodes_;
  liveness it_{nodes_, {}};
  time_point now_{};
  std::ostringstream text_;
};

} // namespace

TEST_CASE("who is alive is decided as its golden traces say", "[node][liveness][trace]") {
  for (auto& file : test::traces_in(TROUPE_TESTS_DIR "/node/traces/liveness")) {
    liveness_interpreter node;
    test::replay_trace(file, [&](const std::string& command) { return node.answer(command); });
  }
}

} // namespace liveness_trace
