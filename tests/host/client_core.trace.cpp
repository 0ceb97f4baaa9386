// Replays traces/client/*.trace against the core of a client.

#include "troupe/host/client_core.hpp"
#include "support/traced_machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <variant>

namespace client_core_trace {

using namespace std::literals;
using namespace troupe;
using namespace troupe::host;

namespace {

/// At most four requests wait. ID is the number of a request, which waits for so many MILLISECONDS.
/// Sessions have letters, in the order in which they are met. Understands:
///   command|question ID MILLISECONDS [hurries]
///   reached [RECORD] | lost | refuse CODE | hinder CODE | close
///   answered|unheard|misunderstood ID TRY | said ID TRY CODE
///   opened LINE TURN NUMBER | not_opened LINE TURN CODE
class traced_client : public test::traced_machine<client_core> {
  client_core& machine() override {
    return it_;
  }

  void perform(const std::string& verb, std::istream& in) override {
    if (verb == "reached") {
      auto record = test::read_more(in);
      step(client_core::reached{record.empty() ? 0 : std::stoull(record)});
    } else if (verb == "lost") {
      step(client_core::lost{});
    } else if (verb == "refuse") {
      step(client_core::refuse{read_problem(in)});
    } else if (verb == "hinder") {
      step(client_core::hinder{read_problem(in)});
    } else if (verb == "close") {
      step(client_core::close{});
    } else if (auto number = test::read_number(in); verb == "opened" || verb == "not_opened") {
      step(read_opening(verb, number, in));
    } else {
      step(read_event(verb, in), number);
    }
  }

  [[nodiscard]] client_core::event read_event(const std::string& verb, std::istream& in) const {
    if (verb == "command" || verb == "question") {
      client_core::ask made{now_ + std::chrono::milliseconds{test::read_number(in)}};
      made.numbered = verb == "command";
      made.hurries = test::read_more(in) == "hurries";
      return made;
    }
    auto attempt = static_cast<std::uint32_t>(test::read_number(in));
    using kind = client_core::failed::kind;
    if (verb == "answered")
      return client_core::answered{attempt};
    if (verb == "said")
      return client_core::failed{attempt, read_problem(in), kind::said};
    if (verb == "unheard")
      return client_core::failed{attempt, {errc::unreachable, "the link ended"}, kind::unheard};
    if (verb == "misunderstood")
      return client_core::failed{
        attempt, {errc::incompatible, "no such request"}, kind::misunderstood};
    refuse(verb);
  }

  static client_core::event read_opening(const std::string& verb, std::uint64_t line,
                                         std::istream& in) {
    auto turn = test::read_number(in);
    if (verb == "opened")
      return client_core::opened{line, turn, {test::read_number(in)}};
    return client_core::not_opened{line, turn, read_problem(in)};
  }

  static problem read_problem(std::istream& in) {
    auto code = test::read_code(in);
    return code == errc::none ? problem{} : problem{code, "so says the service"};
  }

  std::string name_of(const session_id& which) {
    auto letter = static_cast<char>('A' + sessions_.size());
    auto& name = sessions_.try_emplace(which, letter).first->second;
    return std::string{"session "} + name;
  }

  std::string to_words(const client_core::effect& what) override {
    std::ostringstream text;
    troupe::visit(
      overloaded{
        [&](const client_core::send& each) {
          text << "send " << each.id << ", try " << each.attempt;
          auto& who = each.who;
          if (has_session(who))
            text << ": " << name_of(who.session) << " number " << who.number << ", has "
                 << who.acked;
          if (who.begins_after != 0)
            text << ", begins after record " << who.begins_after;
        },
        [&](const client_core::open& each) {
          text << "open a session: line " << each.line << ", turn " << each.turn;
        },
        [&](const client_core::keep& each) { text << "keep " << name_of(each.what.id); },
        [&](const client_core::end& each) { text << "end " << name_of(each.what.id); },
        [&](const client_core::done& each) {
          text << "done " << each.id << (each.repeated ? ", repeated" : "");
        },
        [&](const client_core::ended& each) {
          text << "ended " << each.id << ": " << to_string(each.why);
        },
        [&](const client_core::doubt&) { text << "doubt"; },
      },
      what);
    return text.str();
  }

  client_core it_{{.max_pending = 4, .doubt_after = 2s}, 7};
  std::map<session_id, char> sessions_;
};

} // namespace

TEST_CASE("a client sends as golden traces say", "[host][client][trace]") {
  test::replay_traces<traced_client>("host/traces/client");
}

} // namespace client_core_trace
