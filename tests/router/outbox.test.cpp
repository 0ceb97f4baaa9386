#include "troupe/router/outbox.hpp" // the header under test
#include "router/named_nodes.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <variant>

#include "troupe/core/overloaded.hpp"
#include "troupe/core/visit.hpp"

namespace outbox_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

const auto me = test::node_named("me");
const auto n1 = test::node_named("n1");
const auto n2 = test::node_named("n2");

/// An outbox whose agents are where the test says. Says in a word each what it wants done.
class outbox_rig {
public:
  std::map<agent_id, node_id> places;
  time_point now{1h};
  outbox subject{me, 5, {}, 7, [this](const agent_id& agent) {
                   auto found = places.find(agent);
                   return found != places.end() ? found->second : node_id{};
                 }};

  std::string take(const std::string& agent, std::uint64_t what, std::optional<duration> ttl = {},
                   std::optional<duration> patience = {}) {
    auto at = [&](auto span) { return span ? std::optional{now + *span} : std::nullopt; };
    outbox::effects out;
    outbox::item it{agent, 1, at(ttl), at(patience), keeps, notes, {}, is_from_before};
    it.ends = ends;
    it.is_on_probation = is_on_probation;
    subject.take(now, what, std::move(it), out);
    return text(out);
  }

  /// One that an earlier process had accepted when it was killed, and that had ended so often with
  /// it.
  std::string take_again(const std::string& agent, std::uint64_t what, std::uint32_t times = 0,
                         std::optional<duration> ttl = {}) {
    keeps = is_from_before = is_on_probation = true;
    ends = times;
    auto said = take(agent, what, ttl);
    keeps = is_from_before = is_on_probation = false;
    ends = 0;
    return said;
  }

  std::string noted(const node_id& to, std::uint64_t what, bool is_written = true,
                    std::uint32_t times = 0) {
    outbox::effects out;
    subject.noted(now, {to, what, times}, is_written, out);
    return text(out);
  }

  std::string forgotten(std::uint64_t what) {
    outbox::effects out;
    subject.forgotten(now, what, out);
    return text(out);
  }

  std::string up(const node_id& node) {
    outbox::effects out;
    subject.link_up(now, node, out);
    return text(out);
  }

  std::string down(const node_id& node) {
    outbox::effects out;
    subject.link_down(now, node, out);
    return text(out);
  }

  /// A probe was answered: what is below `came` has come.
  std::string answered(const node_id& node, channel::sequence_number came = 1) {
    return heard(node, {boot, life, last_probe[node], came, {}, {}});
  }

  std::string handled(const node_id& node, channel::sequence_number number) {
    return heard(node, {boot, 1, 0, 0, {{number, number + 1}}, {}});
  }

  std::string ended(const node_id& node, channel::sequence_number number, channel::outcome how,
                    problem why = {}, std::uint32_t times = 0) {
    return heard(node, {boot, life, 0, 0, {}, {{number, how, std::move(why), times}}});
  }

  std::string failed(const node_id& node, channel::sequence_number number, const std::string& why,
                     std::uint32_t times = 0, bool is_passed = false) {
    return heard(node, {boot, 1, 0, 0, {}, {}, {{number, {errc::failed, why}, times, is_passed}}});
  }

  std::string heard(const node_id& node, const channel::acknowledgement& what) {
    outbox::effects out;
    verdict = subject.heard(now, node, what, out);
    return text(out);
  }

  std::string go_on_as(boot_number next) {
    outbox::effects out;
    boot = next;
    subject.go_on_as(now, boot, out);
    return text(out);
  }

  std::string refused(const node_id& node) {
    outbox::effects out;
    subject.refused(node, {errc::incompatible, "old"}, out);
    return text(out);
  }

  std::string let_go(const std::string& agent) {
    outbox::effects out;
    let_go_of = subject.let_go(now, agent, out);
    return text(out);
  }

  std::string pass(duration span) {
    outbox::effects out;
    now += span;
    subject.tick(now, out);
    return text(out);
  }

  /// Sends to n1, whose receiver has answered.
  void open() {
    up(n1);
    places["a"] = n1;
    REQUIRE(take("a", 1) == "ask n1");
    REQUIRE(answered(n1) == "send n1 1");
  }

  channel::verdict verdict = channel::verdict::taken;
  boot_number boot = 5;
  /// Of the receivers.
  boot_number life = 1;
  /// Whether what it takes is kept.
  bool keeps = false;
  /// Whether it is to write where that goes.
  bool notes = false;
  /// Whether an earlier start may have sent it.
  bool is_from_before = false;
  /// Whether that did not end cleanly, and how often it has ended.
  bool is_on_probation = false;
  std::uint32_t ends = 0;
  /// Of the last message that was sent.
  channel::frame_header head;
  /// By contents, as they were sent last.
  std::map<std::uint64_t, std::uint32_t> failures;
  /// Of the last one that has ended.
  outbox::death dead;
  /// Messages that let_go() has ended.
  std::size_t let_go_of = 0;

private:
  static std::string name(const node_id& node) {
    return node == me ? "me" : node == n1 ? "n1" : "n2";
  }

  std::string text(const outbox::effects& out) {
    std::ostringstream all;
    for (auto& each : out) {
      all << (all.str().empty() ? "" : ", ");
      troupe::visit(overloaded{[&](const outbox::transmit& x) {
                                 all << "send " << name(x.to) << ' ' << x.what.what;
                                 head = x.what.head;
                                 failures[x.what.what] = head.failures;
                               },
                               [&](const outbox::ask& x) {
                                 last_probe[x.to] = x.what.number;
                                 all << "ask " << name(x.to);
                               },
                               [&](const outbox::ended& x) {
                                 all << "end " << x.what << ' ' << name_of(x.why.code);
                                 if (x.dead)
                                   all << ", dead: " << name_of(x.dead->reason);
                                 dead = x.dead.value_or(outbox::death{});
                               },
                               [&](const outbox::late& x) {
                                 all << "late " << x.what
                                     << (x.why ? ": " + x.why.detail : std::string{});
                               },
                               [&](const outbox::note& x) {
                                 all << "note " << x.what << " for " << name(x.to);
                                 if (x.ends > 0)
                                   all << ' ' << x.ends;
                               }},
                    each);
    }
    return all.str();
  }

  std::map<node_id, std::uint64_t> last_probe;
};

} // namespace

TEST_CASE("a message goes to the node of its agent and ends once that has handled it", "[router]") {
  outbox_rig rig;
  rig.open();
  CHECK(rig.take("a", 2) == "send n1 2");
  CHECK(rig.handled(n1, 1) == "end 1 none");
  CHECK(rig.handled(n1, 1).empty());
  CHECK(rig.subject.size() == 1);
}

TEST_CASE("a process that goes on as a later start sends again what was on its way", "[router]") {
  outbox_rig rig;
  rig.open();
  rig.places["b"] = me;
  CHECK(rig.take("a", 2) == "send n1 2");
  CHECK(rig.take("b", 3) == "ask me");
  CHECK(rig.take("nobody", 4).empty());
  CHECK(rig.go_on_as(8) == "ask me, ask n1");
  CHECK(rig.heard(n1, {5, 1, 0, 0, {{1, 3}}, {}}).empty()); // of the start before
  CHECK(rig.verdict == channel::verdict::repeated);
  CHECK(rig.answered(n1) == "send n1 1, send n1 2");
  CHECK(rig.answered(me) == "send me 3");
  CHECK(rig.handled(n1, 1) == "end 1 none");
  rig.places["nobody"] = n1;
  CHECK(rig.pass(200ms) == "send n1 4");
}

TEST_CASE("a message for an agent of this node goes without a link", "[router]") {
  outbox_rig rig;
  rig.places["a"] = me;
  CHECK(rig.take("a", 1) == "ask me");
  CHECK(rig.answered(me) == "send me 1");
}

TEST_CASE("a message waits for its agent, in order, and for a link", "[router]") {
  outbox_rig rig;
  CHECK(rig.take("a", 1).empty());
  CHECK(rig.take("a", 2).empty());
  CHECK(rig.pass(200ms).empty());
  rig.places["a"] = n1;
  CHECK(rig.take("a", 3).empty()); // behind them
  CHECK(rig.pass(200ms) == "ask n1");
  CHECK(rig.up(n1) == "ask n1");
  CHECK(rig.answered(n1) == "send n1 1, send n1 2, send n1 3");
}

TEST_CASE("of each agent it is known where its first message is, and how that fails", "[router]") {
  outbox_rig rig;
  auto standing = [&rig](const std::string& agent) {
    auto found = rig.subject.standing_of(agent);
    if (!found)
      return std::string{"nothing"};
    auto where = found->to == node_id{} ? "nowhere" : found->to == me ? "me" : "n1";
    return std::to_string(found->what) + ' ' + where + (found->is_linked ? " linked" : "") + ' '
           + std::to_string(found->failures) + ' ' + found->last_failure.detail;
  };
  CHECK(standing("a") == "nothing");
  rig.take("a", 1);
  rig.take("a", 2);
  CHECK(standing("a") == "1 nowhere 0 ");
  rig.places["a"] = n1;
  CHECK(standing("a") == "1 n1 0 ");
  rig.pass(200ms);
  CHECK(standing("a") == "1 n1 0 ");
  rig.up(n1);
  CHECK(standing("a") == "1 n1 linked 0 ");
  REQUIRE(rig.answered(n1) == "send n1 1, send n1 2");
  CHECK(standing("a") == "1 n1 linked 0 ");
  rig.heard(n1, {5, 1, 0, 0, {}, {}, {{1, {errc::failed, "dropped it"}, 3}}});
  CHECK(standing("a") == "1 n1 linked 3 dropped it");
  rig.down(n1);
  CHECK(standing("a") == "1 n1 3 dropped it");
  rig.heard(n1, {5, 1, 0, 0, {{1, 2}}, {}});
  CHECK(standing("a") == "2 n1 0 ");
  rig.heard(n1, {5, 1, 0, 0, {{2, 3}}, {}});
  CHECK(standing("a") == "nothing");
  rig.places["b"] = me;
  rig.take("b", 3);
  CHECK(standing("b") == "3 me linked 0 ");
}

TEST_CASE("a message that waits ends when its time is over", "[router]") {
  outbox_rig rig;
  CHECK(rig.take("a", 1, 1s).empty());
  CHECK(rig.take("a", 2).empty());
  CHECK(rig.pass(999ms).empty());
  CHECK(rig.pass(1ms) == "end 1 expired, dead: expired");
  CHECK(rig.pass(8'760h).empty()); // without a ttl it waits on
  CHECK(rig.subject.size() == 1);
}

TEST_CASE("what waits for an agent that is nowhere ends when an operator lets go of it",
          "[router]") {
  outbox_rig rig;
  CHECK(rig.take("a", 1).empty());
  CHECK(rig.take("b", 2).empty());
  CHECK(rig.take("a", 3, 1s).empty());
  CHECK(rig.let_go("c").empty());
  CHECK(rig.let_go("a") == "end 1 expired, dead: expired, end 3 expired, dead: expired");
  CHECK(rig.let_go_of == 2);
  CHECK(rig.dead.why.detail.starts_with("an operator has let go of the message"));
  CHECK(rig.pass(1s).empty()); // its time is over
  CHECK(rig.let_go("a").empty());
  CHECK(rig.let_go_of == 0);
  CHECK(rig.subject.size() == 1);
  rig.places["a"] = me;
  CHECK(rig.take("a", 4) == "ask me"); // as if nothing had waited
}

TEST_CASE("what goes to an agent in reach is not let go of", "[router]") {
  outbox_rig rig;
  rig.open();
  rig.places["b"] = me;
  CHECK(rig.take("b", 2) == "ask me");
  rig.keeps = rig.notes = true;
  CHECK(rig.take("c", 3).empty()); // waits, as its agent is nowhere yet
  rig.places["c"] = n1;
  for (auto* each : {"a", "b", "c"}) {
    CHECK(rig.let_go(each).empty());
    CHECK(rig.let_go_of == 0);
  }
  CHECK(rig.subject.size() == 3);
}

TEST_CASE("of what goes to a node that is lost it is unknown what was on its way when it is let go "
          "of",
          "[router]") {
  outbox_rig rig;
  rig.open();
  rig.down(n1);
  CHECK(rig.take("a", 2).empty()); // never sent
  CHECK(rig.let_go("a") == "end 1 outcome_unknown, dead: unknown, end 2 expired, dead: expired");
  CHECK(rig.up(n1).empty());
  CHECK(rig.handled(n1, 1).empty());
}

TEST_CASE("one that was on its way to a node before its agent was elsewhere may have been handled",
          "[router]") {
  outbox_rig rig;
  rig.open();
  CHECK(rig.take("a", 2, 1s) == "send n1 2");
  rig.down(n1);
  rig.places["a"] = n2;
  CHECK(rig.pass(200ms) == "ask n2"); // it goes there, which has no link either
  rig.places["a"] = node_id{};
  CHECK(rig.pass(800ms).find("end 2 outcome_unknown, dead: unknown") != std::string::npos);
}

TEST_CASE("who waits for an end waits as long as they said, and the message is kept", "[router]") {
  outbox_rig rig;
  rig.open();
  CHECK(rig.take("a", 2, {}, 500ms) == "send n1 2");
  CHECK(rig.pass(500ms) == "late 2");
  CHECK(rig.handled(n1, 2) == "end 2 none");
  CHECK(rig.take("a", 3, {}, 500ms) == "send n1 3");
  CHECK(rig.handled(n1, 3) == "end 3 none");
  CHECK(rig.pass(700ms).find("late") == std::string::npos);
}

TEST_CASE("who waits too short a time for an end hears how its message failed last", "[router]") {
  outbox_rig rig;
  rig.open();
  CHECK(rig.failed(n1, 1, "nobody waits").empty());
  CHECK(rig.take("a", 2, {}, 500ms) == "send n1 2");
  CHECK(rig.failed(n1, 2, "first").empty());
  CHECK(rig.failed(n1, 2, "second").empty());
  CHECK(rig.pass(500ms) == "late 2: second");
  CHECK(rig.failed(n1, 2, "third").empty());
  CHECK(rig.handled(n1, 2) == "end 2 none");
  CHECK(rig.failed(n1, 2, "fourth").empty());
}

TEST_CASE("what an agent failed to handle ends with what it said", "[router]") {
  outbox_rig rig;
  rig.open();
  CHECK(rig.ended(n1, 1, channel::outcome::given_up, {errc::denied, "no"}) == "end 1 denied");
  rig.take("a", 2);
  CHECK(rig.ended(n1, 2, channel::outcome::given_up) == "end 2 failed");
  rig.take("a", 3);
  CHECK(rig.ended(n1, 3, channel::outcome::expired) == "end 3 expired");
  rig.take("a", 4);
  CHECK(rig.ended(n1, 4, channel::outcome::lost) == "end 4 outcome_unknown, dead: unknown");
}

TEST_CASE("messages follow an agent that is not there any more, in order", "[router]") {
  outbox_rig rig;
  rig.open();
  CHECK(rig.take("a", 2) == "send n1 2");
  CHECK(
    rig
      .heard(n1,
             {5, 1, 0, 0, {}, {{1, channel::outcome::not_here}, {2, channel::outcome::not_here}}})
      .empty());
  CHECK(rig.take("a", 3).empty());
  rig.places["a"] = n2;
  CHECK(rig.pass(200ms) == "ask n2");
  rig.up(n2);
  CHECK(rig.answered(n2) == "send n2 1, send n2 2, send n2 3");
}

TEST_CASE("the next message goes to where its agent is by then", "[router]") {
  outbox_rig rig;
  rig.open();
  CHECK(rig.handled(n1, 1) == "end 1 none");
  rig.places["a"] = n2;
  CHECK(rig.take("a", 2) == "ask n2");
  CHECK(rig.pass(200ms).empty());
}

TEST_CASE("messages leave a node that cannot be reached once their agent is elsewhere",
          "[router]") {
  outbox_rig rig;
  rig.open();
  rig.places["b"] = n1;
  CHECK(rig.take("b", 9) == "send n1 9");
  rig.places["a"] = n2;
  CHECK(rig.pass(200ms).empty()); // the node is there, and will say so itself
  CHECK(rig.down(n1) == "ask n1");
  rig.up(n2);
  CHECK(rig.pass(200ms) == "ask n2");
  CHECK(rig.answered(n2) == "send n2 1");
  rig.places.erase("b");
  CHECK(rig.pass(200ms).empty()); // nobody else has it: it stays
  CHECK(rig.up(n1) == "ask n1");
  CHECK(rig.answered(n1) == "send n1 9");
}

TEST_CASE("a bound message that may have been handled on one node does not go to another",
          "[router]") {
  outbox_rig rig;
  rig.open();
  rig.subject.bind(2);
  CHECK(rig.take("a", 2) == "send n1 2");
  rig.places["a"] = n2;
  CHECK(rig.down(n1) == "ask n1");
  rig.subject.bind(3);
  CHECK(rig.take("a", 3).empty()); // goes nowhere before the node is left
  rig.up(n2);
  CHECK(rig.pass(200ms) == "ask n2, end 2 outcome_unknown, dead: unknown");
  CHECK(rig.answered(n2) == "send n2 1, send n2 3");
  CHECK(rig.subject.size() == 2);
}

TEST_CASE("a bound message goes elsewhere that its agent has not had, as the only life says that "
          "it was sent to",
          "[router]") {
  outbox_rig rig;
  rig.up(n1);
  rig.up(n2);
  rig.places["a"] = n1;
  rig.subject.bind(1);
  REQUIRE(rig.take("a", 1) == "ask n1");
  REQUIRE(rig.answered(n1) == "send n1 1");
  rig.places["a"] = n2;
  CHECK(rig.ended(n1, 1, channel::outcome::not_here).empty());
  CHECK(rig.pass(200ms) == "ask n2");
  CHECK(rig.answered(n2) == "send n2 1");
}

TEST_CASE("a bound message stays on a node whose earlier life may have handled it", "[router]") {
  outbox_rig rig;
  rig.up(n2);
  rig.up(n1);
  rig.places["a"] = n1;
  rig.subject.bind(1);
  REQUIRE(rig.take("a", 1) == "ask n1");
  REQUIRE(rig.answered(n1) == "send n1 1");
  rig.down(n1);
  CHECK(rig.up(n1) == "ask n1");
  rig.life = 2;
  CHECK(rig.answered(n1) == "send n1 1"); // it is the same node
  CHECK(rig.ended(n1, 1, channel::outcome::not_here).empty());
  rig.places["a"] = n2;
  CHECK(rig.pass(200ms) == "end 1 outcome_unknown, dead: unknown");
}

TEST_CASE("a bound message goes on on its node when the process goes on as a later start",
          "[router]") {
  outbox_rig rig;
  rig.up(n1);
  rig.places["a"] = n1;
  rig.subject.bind(1);
  REQUIRE(rig.take("a", 1) == "ask n1");
  REQUIRE(rig.answered(n1) == "send n1 1");
  CHECK(rig.go_on_as(6) == "ask n1");
  CHECK(rig.answered(n1) == "send n1 1");
}

TEST_CASE("a message that an earlier start may have sent to a node goes to no other", "[router]") {
  outbox_rig rig;
  rig.up(n1);
  rig.up(n2);
  rig.places["a"] = n1;
  rig.subject.bind_to(1, n1);
  REQUIRE(rig.take("a", 1) == "ask n1");
  REQUIRE(rig.answered(n1) == "send n1 1");
  rig.places["a"] = n2;
  CHECK(rig.ended(n1, 1, channel::outcome::not_here).empty());
  CHECK(rig.pass(200ms) == "end 1 outcome_unknown, dead: unknown");
  rig.subject.bind_to(2, n1);
  rig.notes = true; // what is on the disk of it stays
  CHECK(rig.take("a", 2) == "end 2 outcome_unknown, dead: unknown");
}

TEST_CASE("where a message goes is written first, and those behind it wait for that", "[router]") {
  outbox_rig rig;
  rig.open();
  rig.places["b"] = n1;
  rig.notes = true;
  CHECK(rig.take("b", 2) == "note 2 for n1");
  CHECK(rig.take("b", 3).empty()); // in line
  rig.notes = false;
  CHECK(rig.take("b", 4).empty());
  CHECK(rig.take("a", 5) == "send n1 5"); // nobody else waits
  SECTION("it is written") {
    CHECK(rig.noted(n1, 2) == "note 3 for n1, send n1 2");
    CHECK(rig.noted(n1, 3) == "send n1 3, send n1 4");
  }
  SECTION("the disk is full for a while") {
    CHECK(rig.noted(n1, 2, false).empty());
    CHECK(rig.pass(200ms).empty());
    CHECK(rig.pass(1s) == "note 2 for n1, note 3 for n1");
    CHECK(rig.noted(n1, 3).empty()); // keeps its place
    CHECK(rig.noted(n1, 2) == "send n1 2, send n1 3, send n1 4");
  }
  SECTION("its agent goes elsewhere meanwhile") {
    rig.up(n2);
    rig.places["b"] = n2;
    CHECK(rig.noted(n1, 2) == "note 2 for n2, note 3 for n2");
    CHECK(rig.noted(n2, 2) == "ask n2");
    CHECK(rig.noted(n2, 3).empty());
    CHECK(rig.answered(n2) == "send n2 2, send n2 3, send n2 4");
  }
  SECTION("it has ended meanwhile") {
    rig.notes = true;
    CHECK(rig.take("c", 6, 1s).empty());
    rig.places["c"] = n1;
    CHECK(rig.pass(200ms) == "note 3 for n1, note 6 for n1");
    CHECK(rig.pass(1s) == "end 6 expired, dead: expired");
    CHECK(rig.noted(n1, 6).empty());
    CHECK(rig.subject.size() == 5);
  }
}

TEST_CASE("few messages are noted at a time, whatever waits", "[router]") {
  outbox_rig rig;
  rig.open();
  rig.notes = true;
  for (std::uint64_t each = 2; each <= 500; ++each)
    rig.take(each <= 250 ? "b" : "c", each);
  rig.places["b"] = rig.places["c"] = n1;
  auto first = rig.pass(200ms);
  CHECK(std::ranges::count(first, ',') == 99);
  CHECK(rig.noted(n1, 2) == "note 102 for n1, send n1 2");
}

TEST_CASE("the node of an agent is to know of a kept message until that is forgotten", "[router]") {
  outbox_rig rig;
  rig.keeps = true;
  rig.open();
  CHECK(rig.handled(n1, 1) == "end 1 none");
  CHECK(rig.take("a", 2) == "send n1 2");
  CHECK(rig.head.base == 1);
  CHECK(rig.forgotten(1).empty());
  CHECK(rig.take("b", 3).empty()); // nowhere
  rig.places["b"] = n1;
  CHECK(rig.pass(200ms) == "send n1 3");
  CHECK(rig.head.base == 2);
}

TEST_CASE(
  "a kept message that is not handled is a dead letter of its sender's node, others are not",
  "[router]") {
  outbox_rig rig;
  rig.keeps = GENERATE(true, false);
  rig.open();
  auto dead = [&](const std::string& reason) { return rig.keeps ? ", dead: " + reason : ""; };
  CHECK(rig.ended(n1, 1, channel::outcome::given_up, {errc::failed, "no"}, 3)
        == "end 1 failed" + dead("failed"));
  CHECK(rig.dead.failures == (rig.keeps ? 3 : 0));
  CHECK(rig.dead.why.detail == (rig.keeps ? "no" : ""));
  CHECK(rig.take("a", 2) == "send n1 2");
  CHECK(rig.ended(n1, 2, channel::outcome::expired) == "end 2 expired" + dead("expired"));
  CHECK(rig.take("a", 3) == "send n1 3");
  CHECK(rig.handled(n1, 3) == "end 3 none");
}

TEST_CASE("nobody says that a message was not delivered which an earlier start may have sent",
          "[router]") {
  outbox_rig rig;
  rig.keeps = true;
  rig.open();
  rig.is_from_before = true;
  SECTION("while its agent is nowhere") {
    CHECK(rig.take("b", 2, 100ms).empty());
    CHECK(rig.pass(100ms) == "end 2 outcome_unknown, dead: unknown");
  }
  SECTION("while it waits for a link") {
    rig.down(n1);
    CHECK(rig.take("a", 2, 100ms).empty());
    CHECK(rig.pass(100ms) == "end 2 outcome_unknown, dead: unknown");
  }
  SECTION("unless the node of its agent says so") {
    CHECK(rig.take("a", 2, 100ms) == "send n1 2");
    CHECK(rig.ended(n1, 2, channel::outcome::expired) == "end 2 expired, dead: expired");
  }
}

TEST_CASE("how often a message has failed goes with it to its next agent", "[router]") {
  outbox_rig rig;
  rig.open();
  CHECK(rig.head.failures == 0);
  rig.places.clear();
  CHECK(rig.ended(n1, 1, channel::outcome::not_here, {}, 2).empty());
  rig.places["a"] = n1;
  CHECK(rig.pass(200ms) == "send n1 1");
  CHECK(rig.head.failures == 2);
}

TEST_CASE("a message has failed on each node that is gone when its agent has moved", "[router]") {
  outbox_rig rig;
  rig.open();
  CHECK(rig.take("a", 2) == "send n1 2");
  rig.places["a"] = n2;
  rig.down(n1);
  rig.up(n2);
  CHECK(rig.pass(200ms) == "ask n2");
  SECTION("the first one, which its agent may have had") {
    CHECK(rig.answered(n2) == "send n2 1, send n2 2");
    CHECK(rig.failures[1] == 1);
    rig.places["a"] = n1; // which has begun anew
    rig.down(n2);
    rig.life = 2;
    rig.up(n1);
    rig.pass(200ms);
    CHECK(rig.answered(n1) == "send n1 1, send n1 2");
    CHECK(rig.failures[1] == 2);
    CHECK(rig.failures[2] == 0);
  }
  SECTION("and not where it did not get it") {
    rig.places["a"] = n1;
    rig.down(n2); // it has not answered
    rig.up(n1);
    rig.pass(200ms);
    REQUIRE(rig.answered(n1) == "send n1 1, send n1 2");
    CHECK(rig.failures[1] == 1);
    CHECK(rig.failures[2] == 0);
  }
}

TEST_CASE("a dead letter says how often its agent has failed, wherever it has ended", "[router]") {
  outbox_rig rig;
  rig.open();
  rig.places.clear();
  rig.take("a", 2, 10s);
  REQUIRE(rig.handled(n1, 1) == "end 1 none");
  CHECK(rig.ended(n1, 2, channel::outcome::not_here, {}, 3).empty());
  SECTION("while it waits") {
    CHECK(rig.pass(10s) == "end 2 expired, dead: expired");
    CHECK(rig.dead.failures == 3);
  }
  SECTION("where it may not go to another node") {
    rig.subject.bind_to(2, n1);
    rig.places["a"] = n2;
    CHECK(rig.pass(200ms) == "end 2 outcome_unknown, dead: unknown");
    CHECK(rig.dead.failures == 3);
  }
  SECTION("at a node that does not know the class") {
    rig.places["a"] = n1;
    CHECK(rig.pass(200ms) == "send n1 2");
    CHECK(rig.refused(n1) == "end 2 incompatible, dead: incompatible");
    CHECK(rig.dead.failures == 3);
  }
}

TEST_CASE("what a process had accepted that was killed goes to each agent of the node one by one, "
          "and is counted first",
          "[router]") {
  outbox_rig rig;
  rig.places["a"] = me;
  CHECK(rig.take_again("a", 1) == "note 1 for me 1");
  CHECK(rig.take_again("a", 2).empty());
  CHECK(rig.take("a", 3).empty());       // of this process, behind them
  CHECK(rig.take_again("b", 4).empty()); // nowhere
  REQUIRE(rig.noted(me, 1, true, 1) == "ask me");
  REQUIRE(rig.answered(me) == "send me 1");
  CHECK(rig.failures[1] == 0); // this process has not ended yet
  auto first = rig.subject.standing_of("a");
  REQUIRE(first);
  CHECK(first->what == 1);
  SECTION("it is handled") {
    CHECK(rig.handled(me, 1) == "end 1 none, note 2 for me 1");
    CHECK(rig.noted(me, 2, true, 1) == "send me 2, send me 3"); // which costs nothing
    CHECK(rig.handled(me, 2) == "end 2 none");
    CHECK(rig.handled(me, 3) == "end 3 none");
    CHECK(rig.take("a", 5) == "send me 5");
    rig.places["b"] = me;
    CHECK(rig.pass(200ms) == "note 4 for me 1");
  }
  SECTION("its agent ends, and is there again") {
    rig.places.clear();
    CHECK(rig.ended(me, 1, channel::outcome::not_here, {}, 1).empty());
    rig.places["a"] = me;
    CHECK(rig.pass(200ms) == "send me 1"); // it is counted already
    CHECK(rig.failures[1] == 1);
    CHECK(rig.handled(me, 2) == "end 1 none, note 2 for me 1");
  }
  SECTION("it fails, and no other may pass it") {
    CHECK(rig.failed(me, 1, "no", 1).empty());
  }
  SECTION("it fails, and its agent asks for no order") {
    CHECK(rig.failed(me, 1, "no", 1, true) == "note 2 for me 1");
  }
  SECTION("it is given up") {
    CHECK(rig.ended(me, 1, channel::outcome::given_up, {errc::failed, "no"}, 8)
          == "end 1 failed, dead: failed, note 2 for me 1");
    CHECK(rig.dead.failures == 8);
  }
}

TEST_CASE("a message at which its node has ended as often as it may be delivered is a dead letter",
          "[router]") {
  outbox_rig rig;
  rig.places["a"] = me;
  CHECK(rig.take_again("a", 1, 8) == "end 1 failed, dead: failed");
  CHECK(rig.dead.failures == 8);
  CHECK(rig.dead.why.detail.starts_with("its node ended without a clean stop 8 times while"));
  CHECK(rig.take_again("a", 2, 7) == "note 2 for me 8");
  REQUIRE(rig.noted(me, 2, true, 8) == "ask me");
  CHECK(rig.answered(me) == "send me 2");
  CHECK(rig.failures[2] == 7);
  CHECK(rig.handled(me, 1) == "end 2 none");
  CHECK(rig.subject.size() == 0);
}

TEST_CASE("what a process had accepted that was killed goes to other nodes as ever", "[router]") {
  outbox_rig rig;
  rig.up(n1);
  rig.places["a"] = n1;
  CHECK(rig.take_again("a", 1, 2) == "ask n1");
  CHECK(rig.take_again("a", 2).empty());
  CHECK(rig.answered(n1) == "send n1 1, send n1 2");
  CHECK(rig.failures[1] == 2); // that node counts on
  rig.notes = true;
  CHECK(rig.take_again("a", 3, 2) == "note 3 for n1 2");
  CHECK(rig.take_again("a", 4).empty());
  CHECK(rig.noted(n1, 3, true, 2) == "note 4 for n1, send n1 3");
}

TEST_CASE("while the disk is full nothing goes that is to be counted first", "[router]") {
  outbox_rig rig;
  rig.places["a"] = rig.places["b"] = me;
  REQUIRE(rig.take_again("a", 1, 4) == "note 1 for me 5");
  CHECK(rig.take_again("b", 2).empty()); // waits for it
  CHECK(rig.noted(me, 1, false, 5).empty());
  SECTION("and it goes then") {
    CHECK(rig.pass(1s) == "note 1 for me 5");
    CHECK(rig.noted(me, 1, true, 5) == "ask me");
  }
  SECTION("and its agent has gone") {
    rig.places.erase("a");
    CHECK(rig.pass(1s) == "note 2 for me 1");
    rig.places.erase("b"); // before it is on the disk
    CHECK(rig.noted(me, 2, true, 1).empty());
    rig.places["a"] = rig.places["b"] = me;
    CHECK(rig.pass(200ms) == "note 1 for me 5");
    CHECK(rig.noted(me, 1, true, 5) == "ask me");
  }
}

TEST_CASE("a message of class once is bound and counted in one", "[router]") {
  outbox_rig rig;
  rig.places["a"] = me;
  rig.notes = true;
  rig.subject.bind(1);
  CHECK(rig.take_again("a", 1) == "note 1 for me 1");
  SECTION("its agent goes elsewhere meanwhile, where it is noted with its count") {
    rig.places.erase("a");
    CHECK(rig.noted(me, 1, true, 1).empty());
    rig.places["a"] = n1;
    CHECK(rig.pass(200ms) == "note 1 for n1 1");
  }
  SECTION("it goes") {
    CHECK(rig.noted(me, 1, true, 1) == "ask me");
    CHECK(rig.answered(me) == "send me 1");
  }
  SECTION("it does not go to another node, whatever was counted") {
    rig.subject.bind_to(2, n1);
    CHECK(rig.take_again("b", 2).empty());
    rig.places["b"] = me;
    CHECK(rig.pass(200ms) == "end 2 outcome_unknown, dead: unknown");
  }
}

TEST_CASE("a clean stop of a process is counted for no message", "[router]") {
  outbox_rig rig;
  CHECK(rig.subject.last_words().is_clean);
  rig.places["a"] = rig.places["b"] = me;
  REQUIRE(rig.take_again("a", 1) == "note 1 for me 1");
  REQUIRE(rig.take_again("a", 2).empty());
  REQUIRE(rig.take("c", 3).empty());
  auto written = GENERATE(true, false);
  if (written)
    REQUIRE(rig.noted(me, 1, true, 1) == "ask me");
  auto said = rig.subject.last_words();
  CHECK(said.is_clean);
  REQUIRE(said.notes.size() == 1);
  CHECK(said.notes.front().what == 1);
  CHECK(said.notes.front().to == me);
  CHECK(said.notes.front().ends == 0);
  REQUIRE(rig.take_again("b", 4, 2) == "note 4 for me 3");
  said = rig.subject.last_words();
  CHECK(!said.is_clean); // an earlier one has ended with it
  REQUIRE(said.notes.size() == 2);
  CHECK(said.notes.back().ends == 2);
}

TEST_CASE("a clean stop does not write that a message of class once went where it did not go last",
          "[router]") {
  outbox_rig rig;
  rig.up(n1);
  rig.places["a"] = me;
  rig.notes = true;
  rig.subject.bind(1);
  REQUIRE(rig.take_again("a", 1) == "note 1 for me 1");
  REQUIRE(rig.noted(me, 1, true, 1) == "ask me");
  REQUIRE(rig.answered(me) == "send me 1");
  rig.places["a"] = n1;
  REQUIRE(rig.ended(me, 1, channel::outcome::not_here).empty());
  REQUIRE(rig.pass(200ms) == "note 1 for n1 1");
  REQUIRE(rig.noted(n1, 1, true, 1) == "ask n1");
  REQUIRE(rig.answered(n1) == "send n1 1");
  auto said = rig.subject.last_words();
  REQUIRE(said.notes.size() == 1);
  CHECK(said.notes.front().to == n1);
  CHECK(said.notes.front().ends == 0);
}

TEST_CASE("a message does not go while it is being written that it goes elsewhere", "[router]") {
  outbox_rig rig;
  rig.up(n1);
  rig.up(n2);
  rig.places["a"] = n1;
  rig.notes = true;
  rig.subject.bind(1);
  REQUIRE(rig.take("a", 1) == "note 1 for n1");
  REQUIRE(rig.noted(n1, 1) == "ask n1");
  REQUIRE(rig.answered(n1) == "send n1 1");
  rig.places["a"] = n2;
  REQUIRE(rig.ended(n1, 1, channel::outcome::not_here).empty());
  REQUIRE(rig.pass(200ms) == "note 1 for n2");
  rig.places["a"] = n1;
  CHECK(rig.pass(200ms).empty());
  CHECK(rig.noted(n2, 1) == "note 1 for n1");
  CHECK(rig.noted(n1, 1) == "send n1 1");
}

TEST_CASE("an agent that takes long holds up what was counted often for a minute only",
          "[router]") {
  outbox_rig rig;
  rig.places["a"] = rig.places["b"] = me;
  REQUIRE(rig.take_again("a", 1) == "note 1 for me 1");
  REQUIRE(rig.take_again("b", 2, 4).empty());
  REQUIRE(rig.noted(me, 1, true, 1) == "ask me");
  REQUIRE(rig.answered(me) == "send me 1");
  rig.pass(59s);
  CHECK(rig.subject.next_deadline() <= rig.now + 1s);
  auto said = rig.pass(1s);
  CHECK(said == "note 2 for me 5");
}

TEST_CASE("a node that does not know the class ends what is for it", "[router]") {
  outbox_rig rig;
  rig.open();
  CHECK(rig.take("a", 2) == "send n1 2");
  CHECK(rig.refused(n1)
        == "end 1 incompatible, dead: incompatible, end 2 incompatible, dead: incompatible");
  CHECK(rig.subject.size() == 0);
  CHECK(rig.refused(n2).empty());
}

TEST_CASE("a node that was sent nothing is not believed", "[router]") {
  outbox_rig rig;
  rig.open();
  CHECK(rig.handled(n2, 1).empty());
  CHECK(rig.verdict == channel::verdict::nonsense);
  CHECK(rig.subject.size() == 1);
}

} // namespace outbox_test
