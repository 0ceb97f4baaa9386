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

constexpr std::array<std::pair<departure::stage, std::string_view>, 18> stages{{
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
  {tell_program, "tell_program"},
  {report, "report"},
  {reach_leader, "reach_leader"},
}};

/// ID is that of a leave, ask or stop. A node has no log of the group, unless it is seated or knows
/// a leader. Understands:
///   leave ID [alone|force|delivered=N]... | ask ID [the same]... | stop ID
///   done ID STAGE [CODE | services | seated | votes | knows_leader]
///   taken_back ID DELIVERED IN_MEMORY SYNCED
class traced_departure : public test::traced_machine<departure> {
  departure& machine() override {
    return it_;
  }

  void perform(const std::string& verb, std::istream& in) override {
    auto id = test::read_number(in);
    if (verb == "leave")
      step(read_leave(in), id);
    else if (verb == "ask")
      step(departure::ask{read_leave(in)}, id);
    else if (verb == "taken_back")
      step(read_end(in), id);
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
      if (word.starts_with("delivered="))
        made.kept.delivered = std::stoull(word.substr(word.find('=') + 1));
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
    made.has_vote = more == "votes";
    made.is_seated = made.has_vote || more == "seated";
    made.knows_leader = more == "knows_leader";
    made.has_log = made.is_seated || made.knows_leader;
    if (made.has_services || made.has_log)
      return made;
    if (!more.empty())
      made.why = {test::to_code(more), "so it ended"};
    return made;
  }

  static departure::done read_end(std::istream& in) {
    departure::done made{.which = take_back};
    made.kept.delivered = test::read_number(in);
    made.kept.in_memory = test::read_number(in);
    made.kept.synced = test::read_number(in);
    return made;
  }

  static void write(std::ostream& text, const departure_report& what) {
    text << ": delivered " << what.delivered << ", lost " << what.lost << ", synced " << what.synced
         << (what.gave_up_vote ? ", gave up its vote" : "")
         << (what.took_back ? "" : ", did not take back all");
  }

  std::string to_words(const departure::effect& what) override {
    std::ostringstream text;
    troupe::visit(
      overloaded{
        [&](const departure::rest& each) { text << (each.on ? "rests" : "rests no more"); },
        [&](const departure::run& each) {
          text << each.id << " runs ";
          for (auto& [which, name] : stages)
            if (which == each.which)
              text << name;
          if (each.within > duration::zero())
            text << " within " << troupe::to_string(each.within);
          text << (each.force ? ", forced" : "");
        },
        [&](const departure::answer& each) {
          text << each.id << " hears";
          if (each.why)
            text << ": " << to_string(each.why);
          else
            write(text, each.report);
        },
        [&](const departure::over& each) {
          text << each.id << " is over";
          if (each.why)
            text << ": " << to_string(each.why);
          else if (each.report != departure_report{})
            write(text, each.report);
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
