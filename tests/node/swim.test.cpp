#include "troupe/cluster/swim.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/swim_fixture.hpp"
#include "troupe/core/codec.hpp"

namespace swim_test {

using namespace std::literals;
using namespace troupe;
using namespace cluster;
using test::one_member;
using Member = one_member;

namespace {

/// What of the mail that went out lately is said of `name`.
std::vector<rumour> said_of(Member& it, const std::string& name) {
  std::vector<rumour> found;
  for (auto& each : it.take<swim::send>())
    for (auto& what : each.what.rumours)
      if (subject_of(what) == Member::id(name))
        found.push_back(what);
  return found;
}

swim_options quiet() {
  swim_options made;
  made.sync_every = made.first_sync = made.revisit_every = 1h;
  return made;
}

struct among_others : one_member {
  among_others() : one_member(quiet()) {
    knows({"a", "b", "c", "d"});
  }
};

} // namespace

// -- pings -------------------------------------------------------------------------------------

TEST_CASE("in each round each member is pinged once, one in each period", "[node][swim]") {
  Member it{quiet()};
  std::vector<std::string> names{"a", "b", "c", "d", "e"};
  it.knows(names);
  it.pass(1s); // the first ping comes somewhere in the first period
  std::map<node_id, int> pinged;
  for (auto& [to, what] : it.sent<swim_ping>())
    ++pinged[to];
  for (std::size_t each = 1; each < 3 * names.size(); ++each) {
    it.pass(1s);
    auto now = it.sent<swim_ping>();
    REQUIRE(now.size() == 1);
    ++pinged[now.front().first];
  }
  for (auto& name : names) {
    CHECK(pinged[Member::id(name)] == 3);
    CHECK(it.state_of(name) == member_status::alive);
  }
}

TEST_CASE_METHOD(among_others, "who does not answer is pinged by others, and over its link",
                 "[node][swim]") {
  auto number = ping("a");
  pass(500ms - 1ns);
  CHECK(sent<swim_ping_request>().empty());
  CHECK(take<swim::reach>().empty());
  pass(1ns);
  auto links = take<swim::reach>();
  auto helpers = sent<swim_ping_request>();
  REQUIRE(helpers.size() == 3);
  for (auto& [to, what] : helpers) {
    CHECK(to != id("a"));
    CHECK(what.whom == id("a"));
    CHECK(what.number == number);
  }
  REQUIRE(links.size() == 1);
  CHECK(links.front().whom == id("a"));
  CHECK(links.front().wait == 500ms);
  pass(500ms - 1ns);
  CHECK(state_of("a") == member_status::alive);
  pass(1ns);
  CHECK(state_of("a") == member_status::suspect);
  auto shown = take<swim::shows>();
  REQUIRE(shown.size() == 1);
  CHECK(shown.front().by == id("self"));
  CHECK(shown.front().when == incarnation{1, 0});
}

TEST_CASE_METHOD(among_others, "an answer, whichever way it comes, ends the ping", "[node][swim]") {
  auto way = GENERATE("itself"s, "late"s, "helper"s, "link"s);
  auto number = ping("a");
  if (way == "itself")
    mail("a", swim_ack{number});
  pass(600ms);
  auto helpers = sent<swim_ping_request>();
  REQUIRE(helpers.empty() == (way == "itself"));
  if (way == "late")
    mail("a", swim_ack{number});
  else if (way == "helper")
    step(swim::heard{helpers.front().first, {swim_ack{number}, {}}});
  else if (way == "link")
    step(swim::reached{number, true});
  CHECK(take<swim::no_datagrams>().empty()); // one is nothing to speak of
  pass(600ms);
  CHECK(state_of("a") == member_status::alive);
}

TEST_CASE_METHOD(among_others, "who has spoken meanwhile is not accused for an old ping",
                 "[node][swim]") {
  ping("a");
  pass(900ms);
  hear("b", {told_itself{said("a", {1, 1})}});
  pass(100ms);
  CHECK(state_of("a") == member_status::alive);
}

TEST_CASE_METHOD(among_others, "nobody answers for another who was not asked", "[node][swim]") {
  auto number = ping("a");
  mail("b", swim_ack{number}); // before anybody was asked
  pass(500ms);
  std::set<node_id> asked;
  for (auto& [to, what] : sent<swim_ping_request>())
    asked.insert(to);
  for (auto name : {"b", "c", "d"})
    if (!asked.contains(id(name)))
      mail(name, swim_ack{number});
  mail("a", swim_ack{number + 1});
  step(swim::reached{number, false});
  step(swim::reached{number + 1, true});
  pass(500ms);
  CHECK(state_of("a") == member_status::suspect);
}

TEST_CASE_METHOD(among_others, "a helper tells what comes of its ping", "[node][swim]") {
  silent.insert(id("a"));
  mail("b", swim_ping_request{77, id("a")});
  auto pings = sent<swim_ping>();
  REQUIRE(pings.size() == 1);
  CHECK(pings.front().first == id("a"));
  auto number = pings.front().second.number;
  SECTION("an answer") {
    mail("c", swim_ack{number}); // it is not c that was asked
    CHECK(sent<swim_ack>().empty());
    mail("a", swim_ack{number});
    auto told = sent<swim_ack>();
    REQUIRE(told.size() == 1);
    CHECK(told.front().first == id("b"));
    CHECK(told.front().second.number == 77);
    pass(400ms);
    CHECK(sent<swim_nack>().empty());
  }
  SECTION("none, before who asks gives up") {
    pass(400ms - 1ns);
    CHECK(sent<swim_nack>().empty());
    pass(1ns);
    auto told = sent<swim_nack>();
    REQUIRE(told.size() == 1);
    CHECK(told.front().first == id("b"));
    CHECK(told.front().second.number == 77);
    CHECK(state_of("a") == member_status::alive); // that is for b to say
  }
  SECTION("it does not know the member") {
    mail("b", swim_ping_request{78, id("stranger")});
    auto told = sent<swim_nack>();
    REQUIRE(told.size() == 1);
    CHECK(told.front().second.number == 78);
  }
}

TEST_CASE("of too many errands the oldest gives way", "[node][swim]") {
  auto how = quiet();
  how.max_errands = 2;
  Member it{how};
  it.knows({"a", "b"});
  it.silent.insert(Member::id("a"));
  for (auto number : {1U, 2U, 3U})
    it.mail("b", swim_ping_request{number, Member::id("a")});
  auto told = it.sent<swim_nack>();
  REQUIRE(told.size() == 1);
  CHECK(told.front().second.number == 1);
}

TEST_CASE_METHOD(among_others, "a lost link has its node pinged at once, once", "[node][swim]") {
  silent.insert(id("b"));
  step(swim::doubted{id("b")});
  auto pings = sent<swim_ping>();
  REQUIRE(pings.size() == 1);
  CHECK(pings.front().first == id("b"));
  step(swim::doubted{id("b")});
  step(swim::doubted{id("stranger")});
  CHECK(sent<swim_ping>().empty());
}

TEST_CASE_METHOD(among_others, "a member that answers is alive, whatever its link says",
                 "[node][swim]") {
  for (auto time = 0; time < 3; ++time) {
    sent<swim_ping>();
    step(swim::doubted{id("b")});
    auto pings = sent<swim_ping>();
    REQUIRE(pings.size() == 1);
    CHECK(pings.front().first == id("b"));
    pass(3s);
  }
  CHECK(state_of("b") == member_status::alive);
  CHECK(take<swim::shows>().empty());
  CHECK(take<swim::reach>().empty());
  CHECK(it().doubt() == 0);
}

TEST_CASE_METHOD(among_others, "what it could not send counts against itself, and others are asked",
                 "[node][swim]") {
  auto number = ping("a");
  CHECK(it().doubt() == 0);
  step(swim::not_sent{id("a")});
  CHECK(it().doubt() == 1);
  CHECK(take<swim::reach>().size() == 1);
  step(swim::reached{number, true});
  pass(3s);
  CHECK(state_of("a") == member_status::alive);
}

// -- suspects ----------------------------------------------------------------------------------

TEST_CASE_METHOD(among_others, "the more agree, the less time a suspect has", "[node][swim]") {
  // Six members: two periods at least, three times that at most.
  knows({"e"});
  auto [agree, span] = GENERATE(std::pair{0, 6'000ms}, std::pair{1, 4'000ms}, std::pair{2, 2'832ms},
                                std::pair{3, 2'000ms});
  pass(1ms);
  accuse("b", "a");
  auto began = now;
  std::vector<std::string> others{"c", "d", "e"};
  for (auto each = 0; each < agree; ++each)
    hear("b", {accusation{id("a"), {1, 0}, id(others[static_cast<std::size_t>(each)]), false}});
  accuse("b", "a");                               // the same again is no news
  while (state_of("a") == member_status::suspect) // it answers this one, and contradicts nowhere
    pass(1ms);
  CHECK(state_of("a") == member_status::dead);
  CHECK(now - began >= span - 2ms);
  CHECK(now - began <= span + 2ms);
}

TEST_CASE("where nobody else could agree a suspect has no more time than need be", "[node][swim]") {
  Member it{quiet()};
  it.knows({"a"});
  it.silent.insert(Member::id("a"));
  while (it.state_of("a") == member_status::alive)
    it.pass(1ms);
  it.pass(2s - 2ms);
  CHECK(it.state_of("a") == member_status::suspect);
  it.pass(2ms);
  CHECK(it.state_of("a") == member_status::dead);
}

TEST_CASE_METHOD(among_others, "what was said before, by the same, is not told again",
                 "[node][swim]") {
  auto is_dead = GENERATE(false, true);
  silent.insert(id("a"));
  accuse("b", "a", is_dead);
  for (auto rest = 10; rest > 0; --rest)
    mail("c", swim_ping{1});
  out.clear();
  accuse("b", "a", is_dead);
  mail("c", swim_ping{1});
  CHECK(said_of(*this, "a").empty());
}

TEST_CASE_METHOD(among_others, "a suspect that contradicts in time is alive", "[node][swim]") {
  accuse("b", "a");
  CHECK(state_of("a") == member_status::suspect);
  hear("c", {told_itself{said("a", {1, 1})}});
  CHECK(state_of("a") == member_status::alive);
  accuse("b", "a"); // of what it said before
  accuse("b", "a", true);
  CHECK(state_of("a") == member_status::alive);
  pass(1ms);
  hear("c", {told_itself{said("a", {1, 0})}});
  CHECK(it().find(id("a"))->when == incarnation{1, 1});
}

TEST_CASE_METHOD(among_others, "the dead come back with what they say later, and only with that",
                 "[node][swim]") {
  bury("b", "a");
  CHECK(state_of("a") == member_status::dead);
  CHECK(it().present() == 4);
  hear("b", {told_itself{said("a", {1, 0})}});
  accuse("c", "a");
  CHECK(state_of("a") == member_status::dead);
  hear("b", {told_itself{said("a", {2, 0})}});
  CHECK(state_of("a") == member_status::alive);
  CHECK(it().present() == 5);
}

TEST_CASE_METHOD(among_others, "of a life that nobody has spoken of nothing is believed, and asked",
                 "[node][swim]") {
  accuse("b", "a", true, {7, 3});
  CHECK(state_of("a") == member_status::alive);
  auto asked = take<swim::ask>();
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().whom == id("a"));
  CHECK(asked.front().from == id("b"));
  accuse("b", "a", true, {7, 3});
  CHECK(take<swim::ask>().empty()); // it is under way
  step(swim::introduced{key("a"), said("a", {7, 3})});
  CHECK(it().find(id("a"))->when == incarnation{7, 3});
  hear("b", {accusation{id("a"), {7, 3}, id("stranger"), true}});
  hear("b", {accusation{id("a"), {7, 3}, id("a"), true}}); // it would not say so
  CHECK(state_of("a") == member_status::alive);
}

TEST_CASE_METHOD(among_others, "a suspect hears of it with each mail", "[node][swim]") {
  accuse("b", "a");
  for (auto rest = 20; rest > 0; --rest) { // the rumour is old by then
    mail("c", swim_ping{1});
    mail("d", swim_ping{1});
  }
  out.clear();
  mail("a", swim_ping{9});
  auto said = said_of(*this, "a");
  REQUIRE(said.size() == 1);
  CHECK(std::get<accusation>(said.front()).by == id("b"));
  mail("c", swim_ping{9});
  CHECK(said_of(*this, "a").empty());
}

// -- this node itself --------------------------------------------------------------------------

TEST_CASE_METHOD(among_others, "a node contradicts what is said of it, once", "[node][swim]") {
  accuse("b", "self", false, {boot, 0});
  auto wanted = take<swim::sign>();
  REQUIRE(wanted.size() == 1);
  CHECK(wanted.front().what.when == incarnation{boot, 1});
  CHECK(it().doubt() == 1);
  accuse("c", "self", true, {boot, 0}); // while it signs
  accuse("c", "self", true, {boot, 1});
  CHECK(take<swim::sign>().empty());
  step(swim::stated{{wanted.front().what, {}}});
  accuse("c", "self", true, {boot, 0});
  CHECK(take<swim::sign>().empty());
  out.clear();
  mail("b", swim_ping{1});
  auto told = said_of(*this, "self");
  REQUIRE(told.size() == 1);
  CHECK(std::get<told_itself>(told.front()).what.what.when == incarnation{boot, 1});
}

TEST_CASE_METHOD(among_others, "of itself a node believes nobody else", "[node][swim]") {
  accuse("b", "self", true, {boot, 7});
  accuse("b", "self", true, {boot + 1, 0});
  accuse("b", "self", true, {~boot_number{0}, ~std::uint32_t{0}});
  CHECK(take<swim::sign>().empty());
  CHECK(take<swim::complain>().size() == 3);
  accuse("b", "self", true, {boot - 1, 9});
  CHECK(take<swim::complain>().empty());
  hear("b", {told_itself{said("self", {boot + 1, 0})}, told_itself{said("self", {boot, 0}, true)}});
  CHECK(take<swim::complain>().size() == 2);
  CHECK(take<swim::shows>().empty());
}

TEST_CASE_METHOD(among_others, "who leaves says so, judges nobody and contradicts nothing",
                 "[node][swim]") {
  step(swim::leave{});
  step(swim::leave{});
  auto wanted = take<swim::sign>();
  REQUIRE(wanted.size() == 1);
  CHECK(wanted.front().what.leaves);
  step(swim::stated{{wanted.front().what, {}}});
  accuse("b", "self", false, {boot, 0});
  accuse("b", "a");
  for (auto name : {"a", "b", "c", "d"})
    silent.insert(id(name));
  pass(30s);
  for (auto name : {"b", "c", "d"})
    CHECK(state_of(name) == member_status::alive);
  CHECK(take<swim::sign>().empty());
  for (auto name : {"a", "b", "c", "d"})
    CHECK(state_of(name) != member_status::dead);
}

TEST_CASE_METHOD(among_others, "a node that moves says so", "[node][swim]") {
  step(swim::moved{"self:1"});
  CHECK(take<swim::sign>().empty());
  step(swim::moved{"self:2"});
  step(swim::moved{"self:3"});
  auto wanted = take<swim::sign>();
  REQUIRE(wanted.size() == 2);
  step(swim::stated{{wanted.front().what, {}}}); // too late
  CHECK(it().own()->what.address == "self:1");
  step(swim::stated{{wanted.back().what, {}}});
  CHECK(it().own()->what.address == "self:3");
  CHECK(it().own()->what.when == incarnation{boot, 2});
}

TEST_CASE_METHOD(among_others, "a node that was stopped judges nobody by what it missed",
                 "[node][swim]") {
  for (auto name : {"a", "b", "c", "d"})
    silent.insert(id(name));
  accuse("b", "a");
  ping("c");
  auto before = it().doubt();
  now += 1min; // and nothing was done
  pass(1ms);
  CHECK(state_of("a") == member_status::suspect);
  CHECK(state_of("c") == member_status::alive);
  CHECK(it().doubt() > before);
  hear("b", {told_itself{said("a", {1, 1})}});
  CHECK(state_of("a") == member_status::alive);
}

// -- doubt -------------------------------------------------------------------------------------

TEST_CASE_METHOD(among_others, "a node that is accused without end, and hears well, stays fast",
                 "[node][swim]") {
  auto liars = GENERATE(1U, 4U);
  std::vector<std::string> names{"a", "b", "c", "d"};
  std::uint32_t most = 0;
  for (auto time = 0U; time < 6'000; ++time) {
    accuse(names[time % liars], "self", false, it().own()->what.when);
    sign();
    pass(10ms);
    most = std::max(most, it().doubt());
    out.clear();
  }
  CHECK(it().own()->what.when.refutation == 6'000); // it has contradicted each time
  CHECK(most >= 1);
  CHECK(most <= 2);
}

TEST_CASE_METHOD(among_others, "a node that hears nobody becomes slow to accuse", "[node][swim]") {
  CHECK(it().doubt() == 0);
  for (auto name : {"b", "c", "d"})
    silent.insert(id(name));
  ping("a");
  pass(1s);
  CHECK(it().doubt() >= 3); // none of three helpers says a word
  while (it().doubt() < 8)
    pass(1s);
  hear("b", {told_itself{said("b", {2, 0})}});
  pass(20s);
  hear("b", {told_itself{said("b", {3, 0})}});
  std::vector<std::pair<node_id, swim_ping>> pings;
  for (; pings.empty(); std::erase_if(pings, [](auto& each) { return each.first != id("b"); })) {
    pass(10ms); // until no earlier one is under way
    out.clear();
    step(swim::doubted{id("b")});
    pings = sent<swim_ping>();
  }
  auto number = pings.front().second.number;
  pass(9 * 500ms - 1ms);
  auto reached_early = take<swim::reach>();
  CHECK(std::ranges::none_of(reached_early, [&](auto& each) { return each.number == number; }));
  pass(1ms);
  auto reached = take<swim::reach>();
  CHECK(std::ranges::any_of(reached, [&](auto& each) { return each.number == number; }));
  mail("b", swim_ack{number});
  CHECK(it().doubt() == 7);
}

TEST_CASE_METHOD(among_others, "helpers that say that they hear nothing either cost no doubt",
                 "[node][swim]") {
  auto number = ping("a");
  pass(500ms);
  auto helpers = sent<swim_ping_request>();
  REQUIRE(helpers.size() == 3);
  for (auto& [to, what] : helpers)
    step(swim::heard{to, {swim_nack{number}, {}}});
  pass(500ms);
  CHECK(state_of("a") == member_status::suspect);
  CHECK(it().doubt() == 0);
}

TEST_CASE("without helpers a ping that fails costs one doubt, up to a bound", "[node][swim]") {
  auto how = quiet();
  how.most_doubt = 2;
  Member it{how};
  it.knows({"a"});
  it.silent.insert(Member::id("a"));
  for (auto each : {1U, 2U, 2U}) {
    while (it.state_of("a") == member_status::alive)
      it.pass(1ms);
    CHECK(it.it().doubt() == each);
    auto seconds = static_cast<std::uint32_t>(it.now.time_since_epoch() / 1s);
    it.hear("a", {told_itself{Member::said("a", {1, seconds})}});
  }
}

// -- who is a member ---------------------------------------------------------------------------

TEST_CASE_METHOD(among_others, "strangers are asked about, at who spoke of them", "[node][swim]") {
  hear("b", {told_itself{said("e")}});
  CHECK_FALSE(state_of("e"));
  auto asked = take<swim::ask>();
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().from == id("b"));
  hear("c", {told_itself{said("e")}});
  CHECK(take<swim::ask>().empty());
  pass(5s);
  hear("c", {told_itself{said("e")}}); // b has not answered
  CHECK(take<swim::ask>().size() == 1);
  out.clear();
  step(swim::introduced{key("e"), said("e"), false});
  CHECK(state_of("e") == member_status::alive);
  mail("b", swim_ping{1});
  CHECK(said_of(*this, "e").size() == 1); // as a rumour it is to be passed on
}

TEST_CASE_METHOD(among_others, "whom a comparison has shown is no news", "[node][swim]") {
  step(swim::told{id("b"), {told_itself{said("e")}}});
  CHECK(take<swim::ask>().size() == 1);
  step(swim::introduced{key("e"), said("e")});
  CHECK(state_of("e") == member_status::alive);
  mail("b", swim_ping{1});
  CHECK(said_of(*this, "e").empty());
}

TEST_CASE_METHOD(among_others, "a stranger who writes is asked who it is, and gets no answer",
                 "[node][swim]") {
  mail("e", swim_ping{1});
  CHECK(sent<swim_ack>().empty());
  auto asked = take<swim::ask>();
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().whom == id("e"));
  CHECK(asked.front().from == id("e"));
}

TEST_CASE("of strangers and of members there are so many at most", "[node][swim]") {
  auto how = quiet();
  how.max_members = 3;
  how.max_strangers = 2;
  Member it{how};
  it.knows({"a", "b"});
  for (auto name : {"x", "y", "z"})
    it.hear("a", {told_itself{Member::said(name)}});
  CHECK(it.take<swim::ask>().size() == 2);
  it.pass(5s);
  it.hear("a", {told_itself{Member::said("z")}});
  CHECK(it.take<swim::ask>().size() == 1);
  for (auto name : {"x", "y"})
    it.step(swim::introduced{Member::key(name), Member::said(name)});
  CHECK(it.state_of("x"));
  CHECK_FALSE(it.state_of("y"));
  CHECK(it.take<swim::complain>().size() == 1);
}

TEST_CASE_METHOD(among_others, "who is introduced has that id, and has signed it", "[node][swim]") {
  step(swim::introduced{key("f"), said("e")});
  CHECK_FALSE(state_of("e"));
  CHECK_FALSE(state_of("f"));
  auto forged = said("e");
  forged.what.address = "elsewhere:1";
  step(swim::introduced{key("e"), forged});
  CHECK_FALSE(state_of("e"));
  CHECK(take<swim::complain>().size() == 1);
  step(swim::introduced{key("self"), said("self", {boot + 1, 0})});
  CHECK(take<swim::shows>().empty());
}

TEST_CASE_METHOD(among_others, "what a member is said to have said must be signed by it",
                 "[node][swim]") {
  auto forged = said("a", {1, 1});
  forged.what.address = "elsewhere:1";
  hear("b", {told_itself{forged}});
  CHECK(it().find(id("a"))->when == incarnation{1, 0});
  auto complaints = take<swim::complain>();
  REQUIRE(complaints.size() == 1);
  CHECK(complaints.front().of == id("b"));
  hear("b", {told_itself{forged}, told_itself{forged}, told_itself{said("c", {1, 1})}});
  CHECK(take<swim::complain>().size() == 1);
  CHECK(it().find(id("c"))->when == incarnation{1, 0}); // what is behind a lie is not looked at
  hear("b", {told_itself{said("a", {1, 0}, false, "elsewhere:1")}}); // it has said two things
  complaints = take<swim::complain>();
  REQUIRE(complaints.size() == 1);
  CHECK(complaints.front().of == id("a"));
  CHECK(it().find(id("a"))->address == "there:1");
}

TEST_CASE_METHOD(among_others, "who leaves is not dead, and stays away until its next life",
                 "[node][swim]") {
  accuse("b", "a");
  hear("b", {told_itself{said("a", {1, 0}, true)}});
  CHECK(state_of("a") == member_status::left);
  accuse("c", "a", true);
  hear("c", {told_itself{said("a", {1, 0})}});
  CHECK(take<swim::complain>().empty()); // that was so, once
  CHECK(state_of("a") == member_status::left);
  pass(1min);
  CHECK(state_of("a") == member_status::left);
  hear("c", {told_itself{said("a", {2, 0})}});
  CHECK(state_of("a") == member_status::alive);
}

TEST_CASE_METHOD(among_others, "one that has left and writes some time later is asked who it is",
                 "[node][swim]") {
  hear("b", {told_itself{said("a", {1, 0}, true)}});
  pass(5s - 1ns); // it may not have gone yet
  mail("a", swim_ping{1});
  CHECK(take<swim::ask>().empty());
  pass(1ns); // it has started again, and its first word got lost
  mail("b", swim_ping{1});
  CHECK(take<swim::ask>().empty());
  mail("a", swim_ping{2});
  auto asked = take<swim::ask>();
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().whom == id("a"));
  CHECK(asked.front().from == id("a"));
  CHECK(state_of("a") == member_status::left); // until it says so itself
  SECTION("it is asked again if it has not answered, and not for each mail") {
    pass(5s - 1ns);
    mail("a", swim_ping{3});
    CHECK(take<swim::ask>().empty());
    step(swim::introduced{key("a"), said("a", {1, 0}, true)}); // it has not gone
    mail("a", swim_ping{4});
    CHECK(take<swim::ask>().empty());
    pass(1ns);
    mail("a", swim_ping{5});
    CHECK(take<swim::ask>().size() == 1);
  }
  SECTION("its answer has it back") {
    step(swim::introduced{key("a"), said("a", {2, 0}, false, "there:2")});
    CHECK(state_of("a") == member_status::alive);
    pass(10s);
    out.clear();
    mail("a", swim_ping{3});
    CHECK(take<swim::ask>().empty());
  }
  SECTION("a mail that says so itself costs no question") {
    pass(10s);
    hear("a", {told_itself{said("a", {2, 0})}});
    CHECK(state_of("a") == member_status::alive);
    CHECK(take<swim::ask>().empty());
  }
}

// -- rumours -----------------------------------------------------------------------------------

TEST_CASE_METHOD(among_others, "news goes to some others as long as there is any", "[node][swim]") {
  CHECK(take<swim::send>().empty());
  hear("b", {told_itself{said("a", {2, 0})}});
  std::size_t times = 0;
  for (auto tick = 0; tick < 20; ++tick) {
    pass(200ms);
    auto went = take<swim::send>();
    for (auto& each : went)
      for (auto& what : each.what.rumours)
        times += subject_of(what) == id("a") ? 1 : 0;
  }
  CHECK(times == 9); // seven, and two for five members
  pass(1min);
  for (auto& each : take<swim::send>()) // pings, and nothing else
    CHECK_FALSE(std::holds_alternative<swim_news>(each.what.what));
}

TEST_CASE("a mail is no larger than a datagram may be", "[node][swim]") {
  auto how = quiet();
  how.max_mail = GENERATE(range(std::size_t{600}, std::size_t{1'200}, std::size_t{17}));
  Member it{how};
  std::vector<std::string> names;
  for (auto each = 0; each < 30; ++each)
    names.push_back("member" + std::to_string(each));
  it.knows(names);
  for (auto& each : names)
    it.hear("member0", {told_itself{Member::said(each, {2, 0})}});
  it.accuse("member0", "member1", false, {2, 0});
  it.out.clear();
  it.mail("member1", swim_ping{1});
  it.pass(1s);
  auto went = it.take<swim::send>();
  REQUIRE(went.size() >= 3);
  for (auto& each : went) {
    CHECK(to_bytes(each.what).size() <= how.max_mail);
    CHECK(each.what.rumours.size() >= 3);
  }
}

TEST_CASE("a later rumour of a node takes the place of the one before", "[node][swim]") {
  gossip_queue queue;
  std::vector<rumour> taken;
  auto of = [](const std::string& name, bool is_dead) {
    return accusation{Member::id(name), {1, 0}, Member::id("by"), is_dead};
  };
  queue.put(of("a", false));
  queue.put(of("b", false));
  queue.put(of("a", true));
  CHECK(queue.size() == 2);
  queue.take(1'000, 2, taken);
  REQUIRE(taken.size() == 2);
  CHECK(taken.front() == rumour{of("a", true)}); // the newest first
  queue.put(of("c", false));
  taken.clear();
  queue.take(100, 2, taken);
  REQUIRE(taken.size() == 1);
  CHECK(taken.front() == rumour{of("c", false)}); // what was told least first
  taken.clear();
  queue.take(1'000, 2, taken);
  CHECK(taken.size() == 3);
  CHECK(queue.empty());
  queue.put(of("a", false));
  queue.drop(Member::id("a"));
  CHECK(queue.empty());
}

TEST_CASE("a rumour that a mail has already is not told in it twice", "[node][swim]") {
  gossip_queue queue;
  auto of = [](const std::string& name) {
    return accusation{Member::id(name), {1, 0}, Member::id("by"), false};
  };
  std::vector<rumour> taken{of("a")};
  queue.put(of("a"));
  queue.take(1'000, 1, taken);
  CHECK(taken == std::vector<rumour>{of("a")});
  CHECK(queue.empty()); // and counts as told
}

// -- now and then ------------------------------------------------------------------------------

TEST_CASE("whom a node meets first it asks for all that it knows", "[node][swim]") {
  Member it{quiet()};
  it.step(swim::introduced{Member::key("a"), Member::said("a")});
  auto wanted = it.take<swim::sync>();
  REQUIRE(wanted.size() == 1);
  CHECK(wanted.front().with == Member::id("a"));
  it.step(swim::introduced{Member::key("b"), Member::said("b")});
  CHECK(it.take<swim::sync>().empty());
}

TEST_CASE("now and then all is compared with one that is alive", "[node][swim]") {
  auto how = quiet();
  how.sync_every = 30s;
  Member it{how};
  it.knows({"a", "b"});
  it.accuse("b", "a", true);
  it.pass(30s); // somewhere in the first span
  it.take<swim::sync>();
  it.pass(30s);
  auto wanted = it.take<swim::sync>();
  REQUIRE(wanted.size() == 1);
  CHECK(wanted.front().with == Member::id("b"));
}

TEST_CASE("all that a member knows is told in pages, and says as much elsewhere", "[node][swim]") {
  Member it{quiet()};
  std::vector<std::string> names{"a", "b", "c", "d", "e"};
  it.knows(names);
  it.bury("a", "c");
  it.accuse("a", "b");
  it.hear("a", {told_itself{Member::said("d", {1, 0}, true)}});
  Member other{quiet()};
  other.knows(names);
  auto limit = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{100});
  std::size_t pages = 0;
  std::set<node_id> told;
  for (node_id after{};; ++pages) {
    auto [some, last] = it.it().page(after, limit);
    if (some.empty())
      break;
    CHECK(last > after);
    for (auto& each : some) {
      told.insert(subject_of(each));
      auto* death = std::get_if<past_death>(&each);
      if (auto* one = death != nullptr ? &death->what : std::get_if<accusation>(&each);
          one != nullptr && one->by == Member::id("self"))
        one->by = Member::id("a"); // not of the one that is told
    }
    other.step(swim::told{Member::id("a"), some});
    after = last;
    REQUIRE(pages < 20);
  }
  CHECK(told.size() == 6); // itself, too
  CHECK(pages == (limit == 100 ? 1 : pages));
  CHECK(it.state_of("c") == member_status::dead);
  CHECK(other.state_of("c") == member_status::suspect); // it waits for itself
  for (auto& name : {"a", "b", "d", "e"})
    CHECK(other.state_of(name) == it.state_of(name));
}

TEST_CASE("the dead are tried now and then, and compared with when they answer", "[node][swim]") {
  auto how = quiet();
  how.revisit_every = 30s;
  Member it{how};
  it.knows({"a", "b"});
  it.silent.insert(Member::id("a"));
  it.accuse("a", "a"); // nobody accuses itself
  CHECK(it.state_of("a") == member_status::alive);
  auto began = it.now;
  it.bury("b", "a");
  CHECK(it.state_of("a") == member_status::dead);
  it.out.clear();
  it.pass(began + 30s - 1ns - it.now);
  auto to_a = [&] {
    auto all = it.sent<swim_ping>();
    std::erase_if(all, [](auto& each) { return each.first != Member::id("a"); });
    return all;
  };
  CHECK(to_a().empty());
  it.pass(1ns);
  auto tries = to_a();
  REQUIRE(tries.size() == 1);
  it.out.clear();
  it.mail("a", swim_ack{tries.front().second.number});
  auto wanted = it.take<swim::sync>();
  REQUIRE(wanted.size() == 1);
  CHECK(wanted.front().with == Member::id("a"));
  CHECK(it.state_of("a") == member_status::dead); // until it says so itself
}

TEST_CASE_METHOD(among_others, "whoever is shown dead is told so at once when it shows life",
                 "[node][swim]") {
  auto way = GENERATE("news"s, "request"s, "question"s, "card"s, "contradiction"s);
  silent.insert(id("a"));
  silent.insert(id("c"));
  bury("b", "a");
  pass(10s); // what was begun before is over
  out.clear();
  if (way == "news")
    hear("a", {});
  else if (way == "request")
    mail("a", swim_ping_request{9, id("c")});
  else if (way == "question")
    mail("a", swim_ping{9});
  else if (way == "card")
    step(swim::introduced{key("a"), said("a")});
  else
    hear("a", {told_itself{said("a", {1, 1})}});
  auto went = take<swim::send>();
  std::erase_if(went, [](auto& each) { return each.to != id("a"); });
  if (way == "contradiction") {
    CHECK(went.empty());
    return;
  }
  REQUIRE(went.size() == 1);
  CHECK(std::holds_alternative<swim_ping>(went.front().what.what) == (way != "question"));
  REQUIRE(!went.front().what.rumours.empty());
  CHECK(went.front().what.rumours.front() == rumour{accusation{id("a"), {1, 0}, id("self"), true}});
}

TEST_CASE("who is gone for long is forgotten", "[node][swim]") {
  auto how = quiet();
  how.keep_gone = 24h;
  Member it{how};
  it.knows({"a", "b"});
  it.accuse("b", "a", true);
  it.hear("a", {told_itself{Member::said("b", {1, 0}, true)}});
  it.pass(24h - 1min);
  CHECK(it.state_of("a") == member_status::dead);
  it.pass(1h + 2min);
  CHECK_FALSE(it.state_of("a"));
  CHECK_FALSE(it.state_of("b"));
  CHECK(it.take<swim::forgot>().size() == 2);
}

/// What a member has to tell that knows b, of which a is dead and c has left for so long.
std::vector<rumour> told_after(duration gone) {
  Member other{quiet()};
  other.knows({"a", "b", "c"});
  other.bury("b", "a");
  other.hear("b", {told_itself{Member::said("c", {1, 0}, true)}});
  other.pass(gone);
  REQUIRE(other.state_of("a") == member_status::dead);
  REQUIRE(other.state_of("c") == member_status::left);
  return other.it().page({}, 100).first;
}

TEST_CASE("who is forgotten does not become a member again by what others still know",
          "[node][swim]") {
  auto all = told_after(22h); // the time is that of its last tick
  Member it{quiet()};
  it.knows({"b"});
  it.step(swim::told{Member::id("b"), all});
  CHECK(it.take<swim::ask>().empty());
  SECTION("but who knows it can hear that it is dead") {
    auto is_of_a = [](const rumour& each) {
      auto* what = std::get_if<past_death>(&each);
      return what != nullptr && what->what.node == Member::id("a") && what->what.is_dead;
    };
    CHECK(std::ranges::count_if(all, is_of_a) == 1);
  }
  SECTION("and by its own word it does") {
    it.step(swim::introduced{Member::key("a"), Member::said("a")});
    CHECK(it.state_of("a") == member_status::alive);
  }
}

TEST_CASE("who comes later learns of the dead, and forgets them when others do", "[node][swim]") {
  Member it{quiet()};
  it.knows({"b"});
  it.step(swim::told{Member::id("b"), told_after(20h)});
  auto asked = it.take<swim::ask>();
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().whom == Member::id("a"));
  CHECK(asked.front().from == Member::id("b"));
  it.pass(2s); // until the answer comes
  it.out.clear();
  it.step(swim::introduced{Member::key("a"), Member::said("a"), false});
  auto shown = it.take<swim::shows>();
  REQUIRE(shown.size() == 1);
  CHECK(shown.front().is == member_status::dead);
  CHECK(shown.front().from == Member::id("b"));
  CHECK(it.out.empty()); // nobody is asked, or told
  CHECK(it.it().present() == 2);
  it.pass(4h - 1min);
  CHECK(it.state_of("a") == member_status::dead);
  it.pass(1h + 2min); // looks each hour
  CHECK_FALSE(it.state_of("a"));
}

TEST_CASE("who was not there is not taken for dead against what others know", "[node][swim]") {
  Member it{quiet()};
  it.knows({"b", "c"});
  auto is_dead = past_death{{Member::id("a"), {1, 0}, Member::id("b"), true}, 1h};
  auto told = [&](const rumour& what) { it.step(swim::told{Member::id("b"), {what}}); };
  told(is_dead);
  SECTION("if somebody shows it alive") {
    it.step(swim::told{Member::id("c"), {told_itself{Member::said("a")}}});
    told(is_dead);
    it.step(swim::introduced{Member::key("a"), Member::said("a"), false});
    CHECK(it.state_of("a") == member_status::alive);
  }
  SECTION("if somebody has shown it alive, and did not answer who it is") {
    it.pass(5s);
    it.step(swim::told{Member::id("c"), {told_itself{Member::said("a")}}});
    it.pass(5s);
    told(is_dead);
    it.step(swim::introduced{Member::key("a"), Member::said("a"), false});
    CHECK(it.state_of("a") == member_status::alive);
  }
  SECTION("if it has said something since") {
    it.step(swim::introduced{Member::key("a"), Member::said("a", {1, 1}), false});
    CHECK(it.state_of("a") == member_status::alive);
  }
  SECTION("if it has left") {
    it.step(swim::introduced{Member::key("a"), Member::said("a", {1, 0}, true), false});
    CHECK(it.state_of("a") == member_status::left);
  }
  SECTION("if it says itself that it is there") {
    it.step(swim::introduced{Member::key("a"), Member::said("a"), true});
    CHECK(it.state_of("a") == member_status::alive);
  }
  SECTION("and is asked whether it is there once somebody shows it alive") {
    it.step(swim::introduced{Member::key("a"), Member::said("a"), false});
    REQUIRE(it.state_of("a") == member_status::dead);
    it.out.clear();
    it.step(swim::told{Member::id("c"), {told_itself{Member::said("a")}}});
    auto went = it.take<swim::send>();
    REQUIRE(went.size() == 1);
    CHECK(went.front().to == Member::id("a"));
    REQUIRE_FALSE(went.front().what.rumours.empty());
    CHECK(went.front().what.rumours.front()
          == rumour{accusation{Member::id("a"), {1, 0}, Member::id("b"), true}});
    it.hear("a", {told_itself{Member::said("a", {1, 1})}});
    CHECK(it.state_of("a") == member_status::alive);
  }
}

TEST_CASE("of a death that makes no sense nobody is asked", "[node][swim]") {
  Member it{quiet()};
  it.knows({"b"});
  past_death what{{Member::id("a"), {1, 0}, Member::id("b"), true}, 1h};
  SECTION("for longer than it would be remembered") {
    what.gone_for = duration::max();
  }
  SECTION("in the future") {
    what.gone_for = -1ns;
  }
  SECTION("of one that is not dead") {
    what.what.is_dead = false;
  }
  SECTION("that was not told in a comparison") {
    it.hear("b", {what});
  }
  if (what != past_death{{Member::id("a"), {1, 0}, Member::id("b"), true}, 1h})
    it.step(swim::told{Member::id("b"), {what}});
  CHECK(it.take<swim::ask>().empty());
}

TEST_CASE("a node compares soon after its start, and then less and less often", "[node][swim]") {
  swim_options how;
  how.revisit_every = 1h;
  Member it{how};
  it.knows({"a", "b", "c"});
  std::vector<duration> spans;
  auto last = it.now;
  for (auto end = it.now + 5min; it.now < end;) {
    it.pass(100ms);
    for (auto& each : it.take<swim::sync>()) {
      spans.push_back(it.now - last);
      last = it.now;
      CHECK(each.or_any == (spans.size() <= 4)); // while many may start at once
    }
    it.out.clear();
    for (auto* name : {"a", "b", "c"}) // which answer nothing, but go on to be there
      it.hear(name, {told_itself{Member::said(name)}});
  }
  REQUIRE(spans.size() > 8);
  CHECK(spans.front() <= how.first_sync);
  for (std::size_t each = 1; each <= 4; ++each)
    CHECK(spans[each] <= how.first_sync * (1 << each) + 100ms);
  for (std::size_t each = 5; each < spans.size(); ++each)
    CHECK(spans[each] >= how.sync_every - 100ms);
}

namespace {

/// Compares with a or b each 30 s, after the first time.
struct seldom : Member {
  seldom() : Member{how()} {
    knows({"a", "b"});
    pass(30s); // somewhere in it, it compares
    mine = digest();
    out.clear();
  }

  static swim_options how() {
    auto made = quiet();
    made.sync_every = made.first_sync = 30s;
    made.period = 10h; // they answer nothing, but go on to be there
    made.most_agreed = 3;
    return made;
  }

  /// What it would tell others.
  std::uint64_t digest() {
    mail("a", swim_ping{1});
    auto found = take<swim::send>();
    REQUIRE(!found.empty());
    return found.back().what.digest;
  }

  void hear_digest(const std::string& from, std::uint64_t digest) {
    step(swim::heard{id(from), {swim_ack{}, {}, digest}});
    out.clear();
  }

  /// Whom it compares with in the next span.
  std::vector<node_id> compared() {
    pass(30s);
    std::vector<node_id> found;
    for (auto& each : take<swim::sync>())
      found.push_back(each.with);
    return found;
  }

  std::uint64_t mine = 0;
};

} // namespace

TEST_CASE_METHOD(seldom, "members that write that they see the same are compared with seldom",
                 "[node][swim]") {
  for (auto times = 0; times < 3; ++times) {
    for (std::uint32_t each = 0; each < how().most_agreed; ++each) {
      hear_digest("a", mine);
      CHECK(compared().empty());
    }
    hear_digest("a", mine);
    CHECK(compared().size() == 1);
  }
}

TEST_CASE_METHOD(seldom, "one that writes that it sees others is compared with", "[node][swim]") {
  for (auto times = 0; times < 8; ++times) {
    hear_digest("a", mine);
    hear_digest("b", mine + 1);
    CHECK(compared() == std::vector{id("b")});
  }
}

TEST_CASE_METHOD(seldom, "what members wrote of who is there counts while it is young",
                 "[node][swim]") {
  hear_digest("a", mine);
  CHECK(compared().empty());
  CHECK(compared().size() == 1); // nobody has written since
  hear_digest("b", mine + 1);
  hear_digest("a", 0); // it does not say
  CHECK(compared() == std::vector{id("b")});
  CHECK(compared().size() == 1);
  hear_digest("b", 1);
  hear_digest("a", mine);
  hear("a", {told_itself{Member::said("b", {1, 1})}}); // others have learned it later or earlier
  CHECK(compared().size() == 1);                       // nobody agrees with what it sees now
  mine = digest();
  hear_digest("b", 1); // it may not have heard that yet
  hear_digest("a", mine);
  pass(10s);
  hear_digest("a", mine);
  CHECK(compared() == std::vector{id("b")}); // as it had, and it has not said so since
}

TEST_CASE_METHOD(seldom, "what a member wrote long ago, or does not say, is no difference",
                 "[node][swim]") {
  hear_digest("b", mine + 1);
  CHECK(compared() == std::vector{id("b")});
  hear_digest("a", mine);
  CHECK(compared().empty()); // b has not written since
  hear_digest("b", 0);       // as a member of an older release
  hear_digest("a", mine);
  CHECK(compared().empty());
}

TEST_CASE_METHOD(seldom, "a member may not have heard yet what this node has learned or said",
                 "[node][swim]") {
  SECTION("of another") {
    hear("a", {told_itself{Member::said("b", {1, 1})}});
  }
  SECTION("of itself") {
    step(swim::moved{"elsewhere:1"});
    sign();
  }
  auto before = std::exchange(mine, digest());
  REQUIRE(mine != before);
  hear_digest("b", before);
  hear_digest("a", mine);
  CHECK(compared().empty());
}

TEST_CASE("a node that has just begun compares whatever others write", "[node][swim]") {
  auto how = seldom::how();
  how.first_sync = 2s;
  how.most_agreed = 9;
  Member it{how};
  it.knows({"a", "b"});
  it.mail("a", swim_ping{1});
  auto mine = it.take<swim::send>().back().what.digest;
  std::size_t compared = 0;
  for (auto second = 0; second < 15; ++second) {
    it.step(swim::heard{Member::id("a"), {swim_ack{}, {}, mine}});
    it.pass(1s);
    compared += it.take<swim::sync>().size();
  }
  CHECK(compared == 3);
}

} // namespace swim_test
