// Replays traces/departure/*.trace against the departure of a node called n.

#include "troupe/cluster/departure.hpp"
#include "support/traced_machine.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace departure_trace {

using namespace troupe;
using cluster::departure;

namespace {

using enum departure::stage;

constexpr std::array<std::pair<departure::stage, std::string_view>, 15> stages{{
  {deliver, "deliver"},
  {give_up_vote, "give_up_vote"},
  {end_workers, "end_workers"},
  {deliver_rest, "deliver_rest"},
  {take_back, "take_back"},
  {deliver_memory, "deliver_memory"},
  {turn_away, "turn_away"},
  {hand_over, "hand_over"},
  {say_farewell, "say_farewell"},
  {fall_silent, "fall_silent"},
  {end_sessions, "end_sessions"},
  {end_links, "end_links"},
  {end_agents, "end_agents"},
  {end_services, "end_services"},
  {end_router, "end_router"},
}};

/// ID is that of a leave or stop. A node has no log of the group, unless it is seated or knows a
/// leader. Understands:
///   leave ID [alone|force]... | stop ID
///   done ID STAGE [CODE | services | seated | knows_leader]
class traced_departure : public test::traced_machine<departure> {
  departure& machine() override {
    return it_;
  }

  void perform(const std::string& verb, std::istream& in) override {
    auto id = test::read_number(in);
    if (verb == "leave")
      step(read_leave(in), id);
    else if (verb == "stop")
      step(departure::stop{}, id);
    else if (verb == "done")
      step(read_done(in), id);
    else
      refuse(verb);
  }

  static departure::leave read_leave(std::istream& in) {
    departure::leave made{.name = "n", .deliver_within = std::chrono::seconds{20}};
    for (std::string word; in >> word;) {
      made.force |= word == "force";
      made.hosts_alone |= word == "alone";
    }
    return made;
  }

  static departure::done read_done(std::istream& in) {
    departure::done made;
    auto word = test::read_word(in);
    for (auto& [which, name] : stages)
      if (name == word)
        made.which = which;
    auto more = test::read_more(in);
    made.has_services = more == "services";
    made.is_seated = more == "seated";
    made.knows_leader = more == "knows_leader";
    made.has_log = made.is_seated || made.knows_leader;
    if (made.has_services || made.has_log)
      return made;
    if (!more.empty())
      made.why = {test::to_code(more), "so it ended"};
    return made;
  }

  std::string to_words(const departure::effect& what) override {
    std::ostringstream text;
    troupe::visit(overloaded{
                    [&](const departure::run& each) {
                      text << each.id << " runs ";
                      for (auto& [which, name] : stages)
                        if (which == each.which)
                          text << name;
                      if (each.within > duration::zero())
                        text << " within " << troupe::to_string(each.within);
                      text << (each.force ? ", forced" : "");
                    },
                    [&](const departure::over& each) {
                      text << each.id << " is over";
                      if (each.why)
                        text << ": " << to_string(each.why);
                    },
                  },
                  what);
    if (it_.is_ending() && !std::exchange(was_ending_, true))
      text << "; the node ends";
    return text.str();
  }

  departure it_;
  bool was_ending_ = false;
};

} // namespace

TEST_CASE("a node ends as golden traces say", "[node][departure][trace]") {
  test::replay_traces<traced_departure>("node/traces/departure");
}

} // namespace departure_trace
