// Replays traces/idle*.trace against idle_links.

#include "troupe/router/idle_links.hpp"
#include "router/named_nodes.hpp"
#include "support/traces.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <sstream>
#include <stdexcept>
#include <string>
#include <variant>

namespace idle_links_trace {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

/// Plays node m; links rest after 60 s, used or not. Understands, with spans in seconds:
///   linked PEER | unlinked PEER | used PEER | asked PEER | answered PEER yes|no | pass SPAN
///   host (it keeps all links) | keep yes|no (it does so from here on, or no more)
class idle_interpreter {
public:
  std::string answer(const std::string& command) {
    std::istringstream in{command};
    std::string verb;
    std::string peer;
    in >> verb >> peer;
    idle_links::effects out;
    if (verb == "pass")
      links_.tick(now_ += std::chrono::seconds{std::stoi(peer)}, out);
    else if (verb == "host")
      links_ = idle_links{self, {.unused_after = 0s, .keeps_all = true}};
    else
      links_.step(now_, read_event(verb, peer, in), out);
    return to_text(out);
  }

private:
  [[nodiscard]] idle::event read_event(const std::string& verb, const std::string& peer,
                                       std::istream& in) const {
    if (verb == "linked")
      return idle::linked{test::node_named(peer)};
    if (verb == "unlinked")
      return idle::unlinked{test::node_named(peer)};
    if (verb == "used")
      return idle::used{test::node_named(peer), now_};
    if (verb == "asked")
      return idle::asked{test::node_named(peer)};
    if (verb == "keep")
      return idle::keep{peer == "yes"};
    if (verb == "answered") {
      std::string word;
      in >> word;
      return idle::answered{test::node_named(peer), word == "yes"};
    }
    throw std::invalid_argument{"unknown command: " + verb};
  }

  static std::string to_text(const idle_links::effects& out) {
    if (out.empty())
      return "(nothing)\n";
    std::string text;
    auto print = overloaded{
      [&](const idle::ask& what) { text += "ask " + test::name_of(what.peer) + '\n'; },
      [&](const idle::answer& what) {
        text += "answer " + test::name_of(what.peer) + (what.agrees ? ": yes\n" : ": no\n");
      },
      [&](const idle::close& what) { text += "close " + test::name_of(what.peer) + '\n'; },
      [&](const idle::go_on& what) { text += "go on with " + test::name_of(what.peer) + '\n'; },
    };
    for (auto& what : out)
      troupe::visit(print, what);
    return text;
  }

  inline static const auto self = test::node_named("m");
  idle_links links_{self, {.unused_after = 0s}};
  time_point now_{};
};

} // namespace

TEST_CASE("links are left to rest as the golden traces say", "[router][trace]") {
  for (auto& file : test::traces_in(TROUPE_TESTS_DIR "/router/traces")) {
    idle_interpreter links;
    test::replay_trace(file, [&](const std::string& command) { return links.answer(command); });
  }
}

} // namespace idle_links_trace
