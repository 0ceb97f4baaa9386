#include "troupe/router/peer_lines.hpp" // the header under test
#include "router/peer_lines_text.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace peer_lines_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

const auto a = test::node_named("a");
const auto b = test::node_named("b");
const problem nobody{errc::unreachable, "nobody answers there"};

using texts = std::vector<std::string>;

/// The lines of node m. A letter has 10 bytes, was taken for 15, and a window has room for 100.
struct host {
  peer_lines lines;
  time_point now{};
  peer_lines::effects last{};

  explicit host(const lines::options& how
                = {.idle = {.idle_after = 60s, .unused_after = 0s}, .window_bytes = 100})
    : lines(test::node_named("m"), how) {}

  texts step(const lines::event& what) {
    last.clear();
    lines.step(now, what, last);
    return test::to_texts(last);
  }

  texts pass(duration span) {
    last.clear();
    now += span;
    lines.tick(now, last);
    return test::to_texts(last);
  }

  texts enclose(const node_id& peer, std::uint64_t request = 0, std::size_t bytes = 10) {
    return step(lines::enclosed{peer, bytes, bytes + 5, request});
  }

  texts turn_over() {
    return step(lines::turn_over{});
  }

  /// All that it wanted done last of that kind.
  template <class Effect>
  [[nodiscard]] std::vector<Effect> said() const {
    std::vector<Effect> found;
    for (auto& each : last)
      if (auto* which = std::get_if<Effect>(&each))
        found.push_back(*which);
    return found;
  }
};

} // namespace

// -- letters --------------------------------------------------------------------------

TEST_CASE("the letters of a turn go in one bundle to each peer, at its end", "[router]") {
  host m;
  CHECK(m.step(lines::link_up{a, 1}).empty());
  CHECK(m.step(lines::link_up{b, 2}).empty());
  CHECK(m.enclose(a) == texts{"await turn"});
  CHECK(m.enclose(b, 1).empty());
  CHECK(m.enclose(a, 2).empty());
  CHECK(m.turn_over() == texts{"send a#1: parcel 1 of 2 asks 2", "send b#2: parcel 2 of 1 asks 1"});
  CHECK(m.said<lines::send>().front().taken == 30);
  CHECK(m.turn_over().empty());
  CHECK(m.enclose(a) == texts{"await turn"}); // the next turn
}

TEST_CASE(
  "at the end of a turn peers get their letters in the order of the first ones of that turn",
  "[router]") {
  host m;
  m.step(lines::link_up{a, 1});
  m.step(lines::link_up{b, 2});
  m.enclose(a);
  m.enclose(b);
  m.turn_over();
  m.enclose(b);
  m.enclose(a);
  CHECK(m.turn_over() == texts{"send b#2: parcel 3 of 1", "send a#1: parcel 4 of 1"});
}

TEST_CASE("a full parcel goes before the end of the turn, and the next letter lies in another",
          "[router]") {
  host m;
  m.step(lines::link_up{a, 1});
  CHECK(m.lines.parcel_for(a) == 1);
  m.enclose(a);
  CHECK(m.lines.parcel_for(a) == 1);
  CHECK(m.lines.parcel_for(b) == 2);
  CHECK(m.step(lines::parcel_full{a}) == texts{"send a#1: parcel 1 of 1"});
  CHECK(m.lines.parcel_for(a) == 2);
  CHECK(m.step(lines::parcel_full{a}).empty());
  CHECK(m.step(lines::parcel_full{b}).empty()); // nothing was ever sent there
}

TEST_CASE("after many letters all go, also to peers to whom there is less to say", "[router]") {
  host m{{.window_bytes = 1'000, .max_turn_letters = 3}};
  m.step(lines::link_up{a, 1});
  m.step(lines::link_up{b, 2});
  m.enclose(a);
  m.enclose(b);
  CHECK(m.enclose(b) == texts{"send a#1: parcel 1 of 1", "send b#2: parcel 2 of 2"});
  CHECK(m.enclose(b).empty()); // the end of the turn is still to come
  CHECK(m.turn_over() == texts{"send b#2: parcel 3 of 1"});
}

TEST_CASE("what is sent before there is a link waits for it, which is asked for once", "[router]") {
  host m;
  CHECK(m.enclose(a, 1) == texts{"want a", "await turn"});
  CHECK(m.enclose(a, 2).empty());
  CHECK(m.turn_over().empty());
  m.step(lines::parcel_full{a});
  m.enclose(a);
  CHECK(m.lines.waiting() == 3);
  CHECK(m.step(lines::link_up{a, 7})
        == texts{"send a#7: parcel 1 of 2 asks 1,2", "send a#7: parcel 2 of 1, mark 1"});
  CHECK(m.lines.waiting() == 0);
  CHECK(m.turn_over().empty());
  m.step(lines::link_full{a, 7, true});
  m.enclose(a);
  CHECK(m.step(lines::link_down{a, 7}) == texts{"lost a#7: outcome_unknown", "want a"});
  CHECK(m.enclose(a).empty());
}

TEST_CASE("what waits is refused if there will be no link, in its order", "[router]") {
  host m;
  m.enclose(a, 1);
  m.enclose(a);
  m.step(lines::visit{a, 5});
  m.enclose(a, 2);
  CHECK(m.step(lines::link_failed{a, nobody})
        == texts{"refuse a: parcel 1 of 2 asks 1, unreachable", "turn away a: 5, unreachable",
                 "refuse a: parcel 2 of 1 asks 2, unreachable"});
  CHECK(m.said<lines::refuse>().front().taken == 30);
  CHECK(m.lines.waiting() == 0);
  CHECK(m.turn_over().empty());
  CHECK(m.step(lines::link_up{a, 1}).empty());
  m.step(lines::link_down{a, 1});
  CHECK(m.enclose(a) == texts{"want a", "await turn"}); // it is asked for anew
}

TEST_CASE("that a link could not be made refuses nothing if there is one by then", "[router]") {
  host m;
  m.enclose(a);
  m.step(lines::link_up{a, 1});
  m.step(lines::link_full{a, 1, true});
  m.enclose(a);
  CHECK(m.step(lines::link_failed{a, nobody}).empty());
  CHECK(m.step(lines::link_full{a, 1, false}) == texts{"send a#1: parcel 2 of 1"});
  CHECK(m.step(lines::link_failed{b, nobody}).empty());
}

// -- callers that have been told ------------------------------------------------------

TEST_CASE("nothing is sent after its caller was told that it timed out", "[router]") {
  host m;
  m.enclose(a, 1);
  m.enclose(a);
  m.enclose(a, 2);
  m.step(lines::parcel_full{a});
  m.enclose(a);
  m.step(lines::parcel_full{a});
  m.enclose(a, 3);
  m.step(lines::parcel_full{a});
  m.enclose(a, 4);
  SECTION("where others lie beside it") {
    CHECK(m.step(lines::withdrawn{a, 1}) == texts{"cut 1 from parcel 1"});
    CHECK(m.said<lines::cut>().front().taken == 15);
    CHECK(m.step(lines::withdrawn{a, 1}).empty());
    CHECK(m.step(lines::link_up{a, 1}).front() == "send a#1: parcel 1 of 2 asks 2");
    CHECK(m.said<lines::send>().front().taken == 30);
  }
  SECTION("where it is alone") {
    CHECK(m.step(lines::withdrawn{a, 3}) == texts{"cut 3 from parcel 3, the last"});
    m.step(lines::link_up{a, 1});
    CHECK(m.said<lines::send>().size() == 3);
    CHECK(m.said<lines::send>().back().parcel == 4);
  }
  SECTION("where it would go at the end of the turn") {
    CHECK(m.step(lines::withdrawn{a, 4}) == texts{"cut 4 from parcel 4, the last"});
    CHECK(m.lines.parcel_for(a) == 5);
    m.enclose(a, 5);
    m.step(lines::link_up{a, 1});
    CHECK(m.said<lines::send>().back().parcel == 5);
    CHECK(m.said<lines::send>().back().taken == 15);
  }
  SECTION("where all are") {
    for (std::uint64_t each = 1; each <= 4; ++each)
      m.step(lines::withdrawn{a, each});
    CHECK(m.lines.waiting() == 2);
    CHECK(m.step(lines::link_up{a, 1})
          == texts{"send a#1: parcel 1 of 1", "send a#1: parcel 2 of 1"});
  }
}

TEST_CASE("that a caller was told changes nothing of what has gone out", "[router]") {
  host m;
  m.step(lines::link_up{a, 1});
  m.enclose(a, 1);
  m.turn_over();
  CHECK(m.step(lines::withdrawn{a, 1}).empty());
  CHECK(m.step(lines::withdrawn{b, 1}).empty());
  m.enclose(a, 2);
  CHECK(m.step(lines::withdrawn{a, 1}).empty());
  CHECK(m.turn_over() == texts{"send a#1: parcel 2 of 1 asks 2"});
}

TEST_CASE("the bytes of a letter that was cut do not count on the link", "[router]") {
  host m;
  m.enclose(a, 1, 90);
  m.enclose(a, 2, 10);
  m.step(lines::withdrawn{a, 1});
  m.step(lines::link_up{a, 1});
  m.enclose(a, 3, 80);
  CHECK(m.turn_over().size() == 1); // 10 are on the link
  m.enclose(a, 4, 10);
  CHECK(m.turn_over().size() == 1); // 90
  m.enclose(a, 5, 10);
  CHECK(m.turn_over().empty()); // 100: it is full
}

// -- visits ---------------------------------------------------------------------------

TEST_CASE("a visit gets the link behind all that waits for it", "[router]") {
  host m;
  CHECK(m.enclose(a) == texts{"want a", "await turn"});
  CHECK(m.step(lines::visit{a, 5}).empty());
  m.enclose(a);
  CHECK(m.lines.waiting() == 3);
  CHECK(m.step(lines::link_up{a, 1})
        == texts{"send a#1: parcel 1 of 1", "admit a#1: 5", "send a#1: parcel 2 of 1"});
  CHECK(m.step(lines::visit{a, 6}) == texts{"admit a#1: 6"});
  CHECK(m.step(lines::visit{b, 7}) == texts{"want b"});
  CHECK(m.lines.waiting() == 1);
}

TEST_CASE("a visit needs no room on the link, but what waits for some goes first", "[router]") {
  host m;
  m.step(lines::link_up{a, 1});
  m.step(lines::link_full{a, 1, true});
  CHECK(m.step(lines::visit{a, 5}) == texts{"admit a#1: 5"});
  m.enclose(a);
  CHECK(m.step(lines::visit{a, 6}).empty());
  CHECK(m.step(lines::link_full{a, 1, false}) == texts{"send a#1: parcel 1 of 1", "admit a#1: 6"});
}

TEST_CASE("a visit does not wait for room once nothing is left before it", "[router]") {
  host m;
  m.step(lines::link_up{a, 1});
  m.step(lines::link_full{a, 1, true});
  m.enclose(a, 1);
  m.enclose(a, 2);
  CHECK(m.step(lines::visit{a, 5}).empty());
  CHECK(m.step(lines::withdrawn{a, 1}) == texts{"cut 1 from parcel 1"});
  CHECK(m.step(lines::withdrawn{a, 2}) == texts{"cut 2 from parcel 1, the last", "admit a#1: 5"});
}

TEST_CASE("a visit whose caller was told why it gets no link is turned away", "[router]") {
  host m;
  m.enclose(a, 1);
  m.step(lines::visit{.peer = a, .number = 5, .request = 2});
  m.step(lines::visit{.peer = a, .number = 6, .request = 3});
  CHECK(m.step(lines::withdrawn{a, 2}) == texts{"turn away a: 5, timed_out"});
  CHECK(m.lines.waiting() == 2);
  CHECK(m.step(lines::link_up{a, 1}) == texts{"send a#1: parcel 1 of 1 asks 1", "admit a#1: 6"});
}

TEST_CASE("a full queue of visits answers the caller with the problem", "[router]") {
  host m{{.max_visits = 2}};
  m.step(lines::visit{a, 1});
  m.step(lines::visit{.peer = a, .number = 2, .request = 1});
  CHECK(m.step(lines::visit{a, 3}) == texts{"turn away a: 3, limit_reached"});
  auto why = m.said<lines::turn_away>().front().why;
  CHECK(why.detail.find("router_options::max_pending") != std::string::npos);
  CHECK(m.step(lines::visit{b, 4}) == texts{"want b"}); // each peer has its own
  m.step(lines::withdrawn{a, 1});
  CHECK(m.step(lines::visit{a, 5}).empty());
  CHECK(m.step(lines::link_up{a, 1}) == texts{"admit a#1: 1", "admit a#1: 5"});
  CHECK(m.step(lines::visit{a, 6}) == texts{"admit a#1: 6"});
}

// -- room -----------------------------------------------------------------------------

TEST_CASE("what a link has no room for waits until the peer has what is on it", "[router]") {
  host m;
  m.step(lines::link_up{a, 1});
  m.enclose(a, 0, 100);
  CHECK(m.turn_over() == texts{"send a#1: parcel 1 of 1, mark 1"});
  m.enclose(a, 0, 30);
  CHECK(m.turn_over().empty());
  m.enclose(a, 0, 30); // still in the parcel that waits
  CHECK(m.turn_over().empty());
  CHECK(m.step(lines::received{a, 1, 2}).empty()); // which was never sent
  CHECK(m.step(lines::received{a, 2, 1}).empty()); // nor was there such a link
  CHECK(m.step(lines::received{b, 1, 1}).empty());
  CHECK(m.step(lines::received{a, 1, 1}) == texts{"send a#1: parcel 2 of 2, mark 2"});
  CHECK(m.step(lines::received{a, 1, 1}).empty());
}

TEST_CASE("the word that a peer has a parcel is of those before it, too", "[router]") {
  host m;
  m.step(lines::link_up{a, 1});
  for (auto each = 0; each < 3; ++each) {
    m.enclose(a, 0, 30);
    CHECK(m.turn_over().size() == 1);
  }
  m.enclose(a, 0, 30);
  CHECK(m.turn_over().size() == 1); // 120 of 100 bytes, marks 1 to 4
  m.enclose(a, 0, 100);
  CHECK(m.turn_over().empty());
  CHECK(m.step(lines::received{a, 1, 3}) == texts{"send a#1: parcel 5 of 1, mark 5"});
  m.enclose(a, 0, 10);
  CHECK(m.turn_over().empty()); // 30 and 100 are on the link
  CHECK(m.step(lines::received{a, 1, 2}).empty());
  CHECK(m.step(lines::received{a, 1, 1}).empty());
  CHECK(m.step(lines::received{a, 1, 5}) == texts{"send a#1: parcel 6 of 1"});
}

TEST_CASE("nothing goes over a link that others have filled", "[router]") {
  host m;
  m.step(lines::link_up{a, 7});
  m.step(lines::link_full{a, 6, true}); // of an earlier link
  m.enclose(a);
  CHECK(m.turn_over() == texts{"send a#7: parcel 1 of 1"});
  CHECK(m.step(lines::link_full{a, 7, true}).empty());
  m.enclose(a);
  CHECK(m.turn_over().empty());
  CHECK(m.step(lines::link_full{a, 6, false}).empty());
  CHECK(m.step(lines::link_full{a, 7, false}) == texts{"send a#7: parcel 2 of 1"});
  CHECK(m.step(lines::link_full{b, 1, true}).empty());
}

// -- links that come and go -----------------------------------------------------------

TEST_CASE("a link that is up before the one it replaces is down fails the requests of that one",
          "[router]") {
  host m;
  m.step(lines::link_up{a, 7});
  m.enclose(a, 1);
  m.turn_over();
  CHECK(m.step(lines::link_up{a, 8}) == texts{"lost a#7: outcome_unknown"});
  m.enclose(a, 2);
  CHECK(m.turn_over() == texts{"send a#8: parcel 2 of 1 asks 2"});
  CHECK(m.step(lines::link_down{a, 7}).empty()); // the requests of the other stay
  CHECK(m.lines.link_to(a) == 8);
  CHECK(m.step(lines::link_up{a, 8}).empty()); // that is known
  CHECK(m.step(lines::link_down{a, 8}) == texts{"lost a#8: outcome_unknown"});
  CHECK(m.lines.link_to(a) == std::nullopt);
}

TEST_CASE("letters that waited for room on a replaced link go over the next", "[router]") {
  host m;
  m.step(lines::link_up{a, 7});
  m.enclose(a, 1, 100);
  m.turn_over();
  m.enclose(a, 2);
  m.step(lines::visit{a, 5});
  m.turn_over();
  SECTION("which is up before the end of the other is told") {
    CHECK(m.step(lines::link_up{a, 8})
          == texts{"lost a#7: outcome_unknown", "send a#8: parcel 2 of 1 asks 2", "admit a#8: 5"});
  }
  SECTION("which is made then") {
    CHECK(m.step(lines::link_down{a, 7}) == texts{"lost a#7: outcome_unknown", "want a"});
    CHECK(m.step(lines::link_up{a, 8}) == texts{"send a#8: parcel 2 of 1 asks 2", "admit a#8: 5"});
  }
  SECTION("and are refused if there is none") {
    m.step(lines::link_down{a, 7});
    CHECK(m.step(lines::link_failed{a, nobody})
          == texts{"refuse a: parcel 2 of 1 asks 2, unreachable", "turn away a: 5, unreachable"});
  }
  CHECK(m.step(lines::received{a, 7, 1}).empty()); // of the link before
}

TEST_CASE("a new link begins with nothing on it", "[router]") {
  host m;
  m.step(lines::link_up{a, 7});
  m.enclose(a, 0, 100);
  CHECK(m.turn_over() == texts{"send a#7: parcel 1 of 1, mark 1"});
  m.step(lines::link_full{a, 7, true});
  m.step(lines::link_up{a, 8});
  m.enclose(a, 0, 100);
  CHECK(m.turn_over() == texts{"send a#8: parcel 2 of 1, mark 2"});
  m.enclose(a);
  CHECK(m.step(lines::received{a, 8, 1}).empty()); // of the link before, in whose name ever
  CHECK(m.step(lines::received{a, 8, 2}) == texts{"send a#8: parcel 3 of 1"});
}

TEST_CASE("a link that ended before it could be used is made again if something waits",
          "[router]") {
  host m;
  CHECK(m.step(lines::link_missed{a}).empty()); // nobody wanted it
  m.enclose(a, 1);
  CHECK(m.step(lines::link_missed{a}) == texts{"want a"});
  m.step(lines::withdrawn{a, 1});
  CHECK(m.step(lines::link_missed{a}).empty());
  CHECK(m.enclose(a, 2) == texts{"want a"});
  m.step(lines::link_up{a, 7});
  CHECK(m.step(lines::link_missed{a}) == texts{"lost a#7: outcome_unknown"}); // and any before
  CHECK(m.lines.links().empty());
}

TEST_CASE("a link on which nothing waits is not made again", "[router]") {
  host m;
  m.step(lines::link_up{a, 7});
  CHECK(m.lines.links() == std::vector<std::pair<node_id, lines::link_number>>{{a, 7}});
  CHECK(m.step(lines::link_down{a, 6}).empty());
  CHECK(m.step(lines::link_down{a, 7}) == texts{"lost a#7: outcome_unknown"});
  CHECK(m.step(lines::link_down{a, 7}).empty());
  CHECK(m.step(lines::link_down{b, 1}).empty());
}

// -- links that rest ------------------------------------------------------------------

TEST_CASE("a link that nobody uses rests: nothing is sent behind the question, nor after it closes",
          "[router]") {
  const auto z = test::node_named("z"); // the smaller id asks
  host m;
  m.step(lines::link_up{z, 1});
  CHECK(m.pass(59s).empty());
  CHECK(m.pass(1s) == texts{"ask z#1"});
  m.enclose(z);
  CHECK(m.step(lines::visit{z, 5}).empty());
  CHECK(m.turn_over().empty());
  CHECK(m.step(lines::parcel_full{z}).empty());
  SECTION("the peer agrees") {
    CHECK(m.step(lines::rest_answered{z, 1, true}) == texts{"close z#1"});
    m.enclose(z);
    CHECK(m.turn_over().empty());
    CHECK(m.step(lines::link_down{z, 1}) == texts{"lost z#1: outcome_unknown", "want z"});
    CHECK(m.step(lines::link_up{z, 2})
          == texts{"send z#2: parcel 1 of 1", "admit z#2: 5", "send z#2: parcel 2 of 1"});
  }
  SECTION("the peer does not") {
    CHECK(m.step(lines::rest_answered{z, 2, true}).empty()); // of another link
    CHECK(m.step(lines::rest_answered{z, 1, false})
          == texts{"send z#1: parcel 1 of 1", "admit z#1: 5"});
  }
  SECTION("the peer says nothing") {
    CHECK(m.pass(5s) == texts{"send z#1: parcel 1 of 1", "admit z#1: 5"});
  }
  SECTION("another link takes its place meanwhile") {
    CHECK(m.step(lines::link_up{z, 2}).size() == 3);
    CHECK(m.step(lines::rest_answered{z, 1, true}).empty());
    CHECK(m.step(lines::rest_answered{z, 2, true}).empty()); // nobody asked
  }
}

TEST_CASE("whoever agrees to let a link rest sends nothing behind the answer", "[router]") {
  host m;
  m.step(lines::link_up{a, 1});
  CHECK(m.step(lines::rest_asked{b, 1}) == texts{"answer b: no"}); // there is no link
  m.now += 29s;
  CHECK(m.step(lines::rest_asked{a, 1}) == texts{"answer a: no"}); // too early
  m.now += 1s;
  CHECK(m.step(lines::rest_asked{a, 2})
        == texts{"answer a: no"});                              // that was not said over its link
  CHECK(m.step(lines::rest_asked{a}) == texts{"answer a: no"}); // nor over any
  CHECK(m.step(lines::rest_asked{a, 1}) == texts{"answer a: yes"});
  m.enclose(a);
  CHECK(m.turn_over().empty());
  CHECK(m.step(lines::received{a, 1, 1}).empty());
  CHECK(m.step(lines::link_full{a, 1, false}).empty());
  CHECK(m.pass(15s) == texts{"send a#1: parcel 1 of 1"}); // it was not closed
}

TEST_CASE("a link that is in use does not rest", "[router]") {
  host m;
  m.step(lines::link_up{a, 1});
  SECTION("as a letter has gone out") {
    m.now += 30s;
    m.enclose(a);
    m.turn_over();
  }
  SECTION("as a visit has had it") {
    m.now += 50s;
    m.step(lines::visit{a, 5});
    m.now += 10s;
  }
  SECTION("as a letter that had waited has gone out") {
    m.step(lines::link_full{a, 1, true});
    m.enclose(a);
    m.now += 50s;
    CHECK(m.step(lines::link_full{a, 1, false}).size() == 1);
    m.now += 10s;
  }
  SECTION("as a letter waits for room") {
    m.step(lines::link_full{a, 1, true});
    m.enclose(a);
    m.now += 60s;
  }
  SECTION("as the peer has not said that it has all") {
    m.enclose(a, 0, 30);
    m.turn_over();
    m.now += 60s;
  }
  SECTION("as a visit holds it") {
    m.step(lines::visit{.peer = a, .number = 5, .holds = true});
    m.now += 60s;
    CHECK(m.step(lines::rest_asked{a, 1}) == texts{"answer a: no"});
    m.step(lines::visit{a, 6}); // one that does not hold it takes nothing away
    m.now += 60s;
  }
  SECTION("as its host says") {
    m.now += 60s;
    CHECK(m.lines.looks_at_uses(m.now, lines::rest_asked{a, 1}));
    m.step(lines::used{a});
    CHECK(m.step(lines::used{b}).empty());
  }
  SECTION("as this side needs all its links") {
    m.now += 60s;
    m.step(lines::keep_links{true});
  }
  SECTION("as this side needs that link") {
    m.now += 60s;
    m.step(lines::keep_links{false, {a}});
  }
  CHECK(m.step(lines::rest_asked{a, 1}) == texts{"answer a: no"});
}

TEST_CASE("what holds a link does not hold the next", "[router]") {
  host m;
  m.step(lines::link_up{a, 1});
  m.step(lines::visit{.peer = a, .number = 5, .holds = true});
  m.step(lines::link_up{a, 2});
  m.now += 60s;
  CHECK(m.step(lines::rest_asked{a, 2}) == texts{"answer a: yes"});
}

TEST_CASE("what is said late about one link finds the uses of all", "[router]") {
  const auto y = test::node_named("y");
  const auto z = test::node_named("z");
  host m;
  m.step(lines::link_up{y, 1});
  m.step(lines::link_up{z, 2});
  m.now += 50s;
  m.enclose(y);
  m.turn_over();
  const std::vector<lines::event> of_links{lines::link_up{a, 3}, lines::link_down{y, 1},
                                           lines::link_missed{z}, lines::keep_links{true},
                                           lines::rest_answered{z, 2, true}};
  for (auto& each : of_links)
    CHECK_FALSE(m.lines.looks_at_uses(m.now, each));
  m.now += 10s;
  for (auto& each : of_links)
    CHECK(m.lines.looks_at_uses(m.now, each));
  CHECK_FALSE(m.lines.looks_at_uses(m.now, lines::turn_over{})); // no letter looks at all links
  CHECK(m.step(lines::link_up{a, 3}) == texts{"ask z#2"});       // not y, which was used
}

} // namespace peer_lines_test
