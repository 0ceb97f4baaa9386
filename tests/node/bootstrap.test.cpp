#include "troupe/cluster/bootstrap.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <variant>

namespace bootstrap_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::cluster;
using Catch::Matchers::ContainsSubstring;

namespace {

node_id node_of(std::uint8_t number) {
  node_id made;
  made.bytes.front() = static_cast<std::byte>(number);
  return made;
}

/// Node 2 of three, which asks at b:1 and c:1.
struct founding_node {
  explicit founding_node(std::uint8_t number = 2, founding_record saved = {}, bool waits = true,
                         std::uint32_t expect = 3)
    : it({.self = node_of(number),
          .boot = 4,
          .process = 40,
          .expect = expect,
          .places = {"b:1", "c:1"},
          .waits = waits},
         std::move(saved), now) {}

  /// What a node with the same number says that hears of `sees` nodes.
  static net::founding_word word(std::uint8_t number, std::uint8_t candidate = 0,
                                 std::uint32_t sees = 3) {
    return {.node = node_of(number),
            .boot = 1,
            .process = number,
            .expect = 3,
            .sees = sees,
            .candidate = candidate == 0 ? node_id{} : node_of(candidate)};
  }

  void step(const bootstrap::event& what) {
    out.clear();
    it.step(now, what, out);
    look();
  }

  void hear(const net::founding_word& what, const std::string& place = {},
            const std::string& name = {}) {
    step(bootstrap::heard{what, name, place, 0});
  }

  /// Returns what it answers.
  net::founding_word asked(const net::founding_word& what) {
    step(bootstrap::heard{what, {}, {}, 7});
    for (auto& each : out)
      if (auto* said = std::get_if<bootstrap::reply>(&each))
        return said->word;
    return {};
  }

  void pass(duration span) {
    for (auto end = now + span; now < end;) {
      now += 100ms;
      out.clear();
      it.tick(now, out);
      look();
    }
  }

  void look() {
    for (auto& each : out)
      if (auto* what = std::get_if<bootstrap::standing>(&each))
        standing = what->why;
  }

  template <class Effect>
  [[nodiscard]] std::optional<Effect> has() const {
    for (auto& each : out)
      if (auto* what = std::get_if<Effect>(&each))
        return *what;
    return std::nullopt;
  }

  /// The nodes 1 and 3 are there, and take node `candidate` for the one that founds.
  void meet(std::uint8_t candidate, std::uint8_t smaller = 1) {
    hear(word(smaller, candidate), "b:1", "bert");
    hear(word(3, candidate), "c:1");
  }

  time_point now{1h};
  bootstrap it;
  bootstrap::effects out;
  problem standing;
};

/// Node 1 of three, which is the candidate.
struct candidate_node : founding_node {
  explicit candidate_node(founding_record saved = {}) : founding_node(1, std::move(saved)) {}

  void meet() {
    founding_node::meet(1, 2);
  }

  /// It begins a round.
  void begin() {
    meet();
    for (auto tries = 0; tries < 30 && !it.word().asks; ++tries) {
      meet();
      pass(100ms);
    }
    REQUIRE(it.word().asks);
  }

  [[nodiscard]] net::founding_word promise(std::uint8_t of) const {
    auto made = word(of, 1);
    made.promised = node_of(1);
    made.promised_round = it.word().round;
    return made;
  }
};

} // namespace

SCENARIO("three nodes found a cluster with the promises of all three", "[cluster][bootstrap]") {
  GIVEN("the node with the smallest id") {
    candidate_node n;
    WHEN("all of them hear of each other and name it") {
      n.meet();
      THEN("it waits a second, so that one too many is noticed") {
        n.pass(900ms);
        CHECK_FALSE(n.it.word().asks);
        n.meet();
        n.pass(200ms);
        CHECK(n.it.word().asks);
        CHECK(n.it.record() == founding_record{1, founding_promise{node_of(1), 1, {}}});
      }
    }
    WHEN("one of them takes another one for it") {
      n.hear(n.word(2, 1), "b:1");
      n.hear(n.word(3, 2), "c:1");
      n.pass(4s);
      THEN("it begins no round") {
        CHECK_FALSE(n.it.word().asks);
      }
    }
    WHEN("it has a majority of the promises") {
      n.begin();
      n.hear(n.promise(2));
      THEN("it does not found; with all of them it does") {
        CHECK_FALSE(n.has<bootstrap::found>());
        auto of_last_round = n.promise(3);
        --of_last_round.promised_round;
        n.hear(of_last_round);
        CHECK_FALSE(n.has<bootstrap::found>());
        auto of_another = n.promise(3);
        of_another.promised = node_of(2);
        n.hear(of_another);
        CHECK_FALSE(n.has<bootstrap::found>());
        n.hear(n.promise(3));
        auto founds = n.has<bootstrap::found>();
        REQUIRE(founds);
        CHECK(founds->with == std::set{node_of(1), node_of(2), node_of(3)});
        CHECK_THAT(founds->text, ContainsSubstring("'bert' (02000000) at b:1"));
        CHECK_FALSE(n.it.next_deadline());
      }
    }
    WHEN("a fourth one comes while its round runs") {
      n.begin();
      auto round = n.it.word().round;
      n.hear(n.word(4));
      THEN("it gives the round up on its disk, before it says so") {
        REQUIRE(n.has<bootstrap::write>());
        CHECK(n.has<bootstrap::write>()->what == founding_record{round + 1, {}});
        CHECK_FALSE(n.it.word().asks);
        n.hear(n.promise(2));
        n.hear(n.promise(3));
        CHECK_FALSE(n.has<bootstrap::found>());
      }
    }
    WHEN("another one takes the place of a node that has gone, while its round runs") {
      n.begin(); // they were last heard of 100 ms ago
      auto round = n.it.word().round;
      for (auto each = 0; each < 48; ++each) {
        n.now += 100ms;
        n.hear(n.word(2, 1));
      }
      CHECK(n.it.word().round == round);
      n.now += 100ms;
      n.hear(n.word(4, 1));
      THEN("it gives the round up") {
        CHECK(n.it.word().sees == 3);
        CHECK(n.it.word().round == round + 1);
      }
    }
    WHEN("it begins another round after one that it has given up") {
      n.begin();
      n.hear(n.promise(2));
      auto round = n.it.word().round;
      auto other = n.word(4);
      other.expect = 5;
      n.hear(other);
      CHECK(n.it.word().round == round + 1); // as long as that one is heard of
      for (auto each = 0; each < 70 && !n.it.word().asks; ++each) {
        n.meet();
        n.pass(100ms);
      }
      REQUIRE(n.it.word().round == round + 2);
      THEN("promises of the one before do not count") {
        n.hear(n.promise(3));
        CHECK_FALSE(n.has<bootstrap::found>());
        n.hear(n.promise(2));
        CHECK(n.has<bootstrap::found>());
      }
    }
    WHEN("one of the others begins to join a cluster") {
      n.begin();
      auto round = n.it.word().round;
      auto joins = n.promise(2);
      joins.expect = 0;
      n.hear(joins);
      THEN("it does not count any more, whatever it has promised") {
        CHECK(n.it.word().sees == 2);
        CHECK(n.it.word().round == round + 1);
      }
    }
    WHEN("the others come after a while") {
      n.pass(5s);
      n.meet();
      n.pass(900ms);
      THEN("it waits for a second from then on") {
        CHECK_FALSE(n.it.word().asks);
        n.meet();
        n.pass(200ms);
        CHECK(n.it.word().asks);
      }
    }
    WHEN("its disk fails as it begins") {
      n.begin();
      n.step(bootstrap::not_written{{errc::storage_full, "no space"}});
      THEN("it begins nothing for two seconds, and tries again then") {
        CHECK_FALSE(n.has<bootstrap::write>());
        n.meet();
        n.pass(1'900ms);
        CHECK_FALSE(n.it.word().asks);
        CHECK(n.standing.detail == "no space");
        n.meet();
        n.pass(200ms);
        CHECK(n.it.word().asks);
        CHECK_FALSE(n.standing);
      }
    }
    WHEN("its disk fails as it gives a round up") {
      n.begin();
      auto begun = n.it.record();
      n.hear(n.word(4));
      REQUIRE(n.has<bootstrap::write>());
      n.step(bootstrap::not_written{{errc::storage_full, "no space"}});
      THEN("its record is the one before, and that round founds nothing") {
        CHECK(n.it.record() == begun);
        CHECK_FALSE(n.it.word().asks);
        n.hear(n.promise(2));
        n.hear(n.promise(3));
        CHECK_FALSE(n.has<bootstrap::found>());
      }
    }
    WHEN("a round takes too long") {
      n.begin();
      auto round = n.it.word().round;
      for (auto each = 0; each < 100; ++each) {
        n.meet();
        n.pass(100ms);
      }
      THEN("it is given up, so that its promises are free, and another one begins a second later") {
        CHECK(n.it.word().round == round + 1);
        n.meet();
        n.pass(800ms);
        CHECK_FALSE(n.it.word().asks);
        n.meet();
        n.pass(200ms);
        CHECK(n.it.word().asks);
      }
    }
  }
  GIVEN("the same node, started again in the middle of a round") {
    candidate_node n{{5, founding_promise{node_of(1), 5, {}}}};
    n.pass(100ms);
    THEN("it gives that round up at once") {
      CHECK(n.it.record() == founding_record{6, {}});
    }
  }
  GIVEN("a node that was promised more than its folder knows of") {
    candidate_node n;
    n.meet();
    auto old = n.word(2, 1);
    old.promised = node_of(1);
    old.promised_round = 9;
    for (auto each = 0; each < 12; ++each) {
      n.hear(old, "b:1");
      n.hear(n.word(3, 1), "c:1");
      n.pass(100ms);
    }
    THEN("its round is above that") {
      CHECK(n.it.word().round == 10);
    }
  }
  GIVEN("a node of which another one says what cannot be") {
    candidate_node n;
    n.meet();
    auto false_word = n.word(2, 1);
    false_word.promised = node_of(1);
    false_word.promised_round = std::numeric_limits<std::uint64_t>::max();
    for (auto each = 0; each < 12; ++each) {
      n.hear(false_word, "b:1");
      n.hear(n.word(3, 1), "c:1");
      n.pass(100ms);
    }
    THEN("it counts on as before") {
      CHECK(n.it.word().round == 1);
    }
  }
}

SCENARIO("a node gives one promise at a time", "[cluster][bootstrap]") {
  auto asks = founding_node::word(1, 1);
  asks.asks = true;
  asks.round = 5;
  GIVEN("a node that hears of its candidate and of a third node") {
    founding_node n;
    n.meet(1);
    THEN("it promises when it is asked, and writes that before it says so") {
      auto said = n.asked(asks);
      CHECK(said.promised == node_of(1));
      CHECK(said.promised_round == 5);
      REQUIRE(n.out.size() == 2);
      CHECK(std::get<bootstrap::write>(n.out[0]).what
            == founding_record{0, founding_promise{node_of(1), 5, "'bert' (01000000) at b:1"}});
      CHECK(std::holds_alternative<bootstrap::reply>(n.out[1]));
    }
    THEN("it does not where the disk fails") {
      n.asked(asks);
      n.step(bootstrap::not_written{{errc::storage_full, "no space"}});
      CHECK(n.it.word().promised == node_id{});
      CHECK(n.standing.detail == "no space");
    }
    THEN("it promises nothing to one that is not its candidate") {
      auto other = n.word(3, 3);
      other.asks = true;
      other.round = 5;
      CHECK(n.asked(other).promised == node_id{});
    }
  }
  GIVEN("a node that has promised one in an earlier life") {
    founding_node n{2, {0, founding_promise{node_of(1), 5, "'bert'"}}};
    WHEN("that one does not come back") {
      n.hear(n.word(3), "c:1");
      n.hear(n.word(4), "b:1");
      THEN("it promises another one nothing, and says whom it waits for") {
        auto other = n.word(3, 3);
        other.asks = true;
        other.round = 8;
        for (auto each = 0; each < 40; ++each) {
          CHECK(n.asked(other).promised == node_of(1));
          n.hear(n.word(4), "b:1");
          n.pass(100ms);
        }
        CHECK(n.it.word().candidate == node_id{});
        CHECK(n.standing.code == errc::unreachable);
        CHECK_THAT(n.standing.detail, ContainsSubstring("promised node 'bert'")
                                        && ContainsSubstring("start that node again"));
      }
    }
    WHEN("that one says that it asks for the same round") {
      n.meet(1);
      auto said = n.asked(asks);
      THEN("the promise stays") {
        CHECK(said.promised_round == 5);
      }
    }
    WHEN("a late word of that one asks for an earlier round") {
      n.meet(1);
      auto late = asks;
      late.round = 4;
      auto said = n.asked(late);
      THEN("the promise stays as it is") {
        CHECK(said.promised_round == 5);
        CHECK_FALSE(n.has<bootstrap::write>());
      }
    }
    WHEN("that one says that it has given up that round") {
      auto gives_up = n.word(1, 1);
      gives_up.round = 6;
      auto said = n.asked(gives_up);
      THEN("the promise is void") {
        CHECK(said.promised == node_id{});
        CHECK(n.has<bootstrap::write>());
      }
      AND_WHEN("an old word of it comes late") {
        n.meet(1);
        n.hear(gives_up, "b:1");
        THEN("it counts for nothing") {
          CHECK(n.asked(asks).promised == node_id{});
        }
      }
    }
  }
}

SCENARIO("a node joins a cluster that it hears of", "[cluster][bootstrap]") {
  GIVEN("a node that waits for others") {
    founding_node n;
    n.meet(1);
    n.step(bootstrap::cluster_seen{"b:1"});
    THEN("it joins, and promises nothing any more") {
      REQUIRE(n.has<bootstrap::join>());
      CHECK(n.has<bootstrap::join>()->place == "b:1");
      auto asks = n.word(1, 1);
      asks.asks = true;
      asks.round = 1;
      CHECK(n.asked(asks).promised == node_id{});
    }
    THEN("it says that it does not count, and joins once") {
      auto said = n.asked(n.word(1, 1));
      CHECK(said.node == node_of(2));
      CHECK(said.expect == 0);
      n.step(bootstrap::cluster_seen{"c:1"});
      CHECK(n.out.empty());
    }
  }
  GIVEN("a node that founds alone, or not at all") {
    founding_node n{2, {}, false, 1};
    n.pass(100ms);
    CHECK(n.has<bootstrap::ask>());
    WHEN("no place has an answer") {
      n.step(bootstrap::unanswered{"b:1", {errc::unreachable, "no answer"}});
      CHECK_FALSE(n.has<bootstrap::found>());
      n.step(bootstrap::unanswered{"c:1", {errc::timed_out, "hangs"}});
      THEN("it founds at once") {
        CHECK(n.has<bootstrap::found>());
      }
    }
    WHEN("there is a cluster") {
      n.step(bootstrap::cluster_seen{"b:1"});
      THEN("it gives up") {
        REQUIRE(n.has<bootstrap::refuse>());
        CHECK(n.has<bootstrap::refuse>()->why.code == errc::conflict);
        CHECK_THAT(
          n.has<bootstrap::refuse>()->why.detail,
          ContainsSubstring("a cluster was found at b:1; leave out node_options::bootstrap"));
      }
    }
    WHEN("others are about to found one") {
      n.hear(n.word(3), "b:1");
      n.step(bootstrap::unanswered{"c:1", {errc::unreachable, "no answer"}});
      THEN("it gives up") {
        REQUIRE(n.has<bootstrap::refuse>());
        CHECK_THAT(n.has<bootstrap::refuse>()->why.detail,
                   ContainsSubstring("expects 3 nodes, and this one expects 1"));
      }
    }
    WHEN("it finds another one like itself") {
      auto other = n.word(3);
      other.expect = 1;
      other.sees = 1;
      n.hear(other, "b:1");
      n.step(bootstrap::unanswered{"c:1", {errc::unreachable, "no answer"}});
      THEN("neither founds") {
        REQUIRE(n.has<bootstrap::refuse>());
        CHECK_THAT(n.has<bootstrap::refuse>()->why.detail, ContainsSubstring("are 2 nodes"));
      }
    }
  }
}

TEST_CASE("a node that would found alone keeps what it has promised", "[cluster][bootstrap]") {
  founding_node n{2, {0, founding_promise{node_of(1), 5, "'bert'"}}, false, 1};
  n.pass(100ms);
  for (auto* place : {"b:1", "c:1"})
    n.step(bootstrap::unanswered{place, {errc::unreachable, "no answer"}});
  std::optional<bootstrap::refuse> refused;
  for (auto each = 0; each < 40 && !refused; ++each) {
    CHECK_FALSE(n.has<bootstrap::found>());
    n.pass(100ms);
    refused = n.has<bootstrap::refuse>();
  }
  REQUIRE(refused);
  CHECK_THAT(refused->why.detail, ContainsSubstring("promised node 'bert'"));
}

SCENARIO("people hear what keeps a cluster from being founded", "[cluster][bootstrap]") {
  GIVEN("the candidate of three nodes") {
    candidate_node n;
    WHEN("one of them is missing") {
      n.hear(n.word(2, 0, 2), "b:1", "bert");
      n.step(bootstrap::unanswered{"c:1", {errc::unreachable, "no answer"}});
      n.pass(3s);
      THEN("it says who is there, and where nobody is") {
        CHECK(n.standing.code == errc::unreachable);
        CHECK_THAT(n.standing.detail, ContainsSubstring("2 of the 3 nodes")
                                        && ContainsSubstring("this one, 'bert' (02000000) at b:1")
                                        && ContainsSubstring("no answer from c:1")
                                        && ContainsSubstring("node_options::join"));
      }
    }
    WHEN("there are four, who agree that it is to found") {
      n.meet();
      n.hear(n.word(4, 1));
      THEN("it says so, and begins nothing") {
        CHECK(n.standing.code == errc::conflict);
        CHECK_THAT(n.standing.detail, ContainsSubstring("are 4 nodes")
                                        && ContainsSubstring("node_options::bootstrap_expect 4"));
        n.meet();
        n.pass(2s);
        CHECK_FALSE(n.it.word().asks);
        AND_THEN("three again found a second after the fourth is silent") {
          while (n.it.word().sees > 3) {
            n.meet();
            n.pass(100ms);
          }
          n.pass(900ms);
          CHECK_FALSE(n.it.word().asks);
          n.meet();
          n.pass(100ms);
          CHECK(n.it.word().asks);
        }
      }
    }
    WHEN("only another one knows of the fourth") {
      n.hear(n.word(2, 0, 4), "b:1", "bert");
      n.hear(n.word(3, 1), "c:1");
      THEN("it says that, too") {
        CHECK_THAT(n.standing.detail, ContainsSubstring("'bert' (02000000) at b:1 knows of 4"));
      }
    }
    WHEN("one expects another number") {
      n.meet();
      auto other = n.word(3);
      other.expect = 5;
      n.hear(other, "c:1");
      THEN("it says which") {
        CHECK(n.standing.code == errc::conflict);
        CHECK_THAT(n.standing.detail,
                   ContainsSubstring("03000000 at c:1 expects 5 nodes, and this one expects 3")
                     && ContainsSubstring("node_options::bootstrap_expect"));
      }
    }
    WHEN("a place answers what no node of its CA would") {
      n.meet();
      n.step(bootstrap::unanswered{"c:1", {errc::bad_argument, "c:1 cannot be linked securely"}});
      THEN("it says what, and what they need") {
        CHECK_THAT(n.standing.detail, ContainsSubstring("a process answers at c:1")
                                        && ContainsSubstring("cannot be linked securely")
                                        && ContainsSubstring("certificates of one CA"));
        n.pass(2s);
        CHECK_FALSE(n.it.word().asks);
      }
    }
    WHEN("another one was started again a while ago, and a late word of its last life comes") {
      n.meet();
      n.pass(4s);
      auto again = n.word(2, 1);
      again.boot = 2;
      again.process = 22;
      n.hear(again, "b:1");
      n.hear(n.word(2, 1));
      THEN("that is no second process") {
        CHECK_FALSE(n.standing);
        n.hear(n.word(3, 1), "c:1");
        CHECK(n.it.word().candidate == node_of(1));
      }
    }
    WHEN("two processes are the same node") {
      n.meet();
      auto twin = n.word(2);
      twin.process = 99;
      n.hear(twin);
      THEN("it says which, and begins nothing") {
        CHECK(n.standing.code == errc::conflict);
        CHECK_THAT(n.standing.detail, ContainsSubstring("two processes are node")
                                        && ContainsSubstring("must not be copied"));
        n.meet();
        n.pass(2s);
        CHECK_FALSE(n.it.word().asks);
      }
    }
    WHEN("a node has started again") {
      n.meet();
      auto later = n.word(2, 1);
      later.boot = 2;
      later.process = 99;
      n.hear(later, "b:1");
      n.hear(n.word(2, 1)); // a word of the last life
      THEN("that is no second one") {
        CHECK_FALSE(n.standing);
      }
    }
    WHEN("another process is this node") {
      auto twin = n.word(1);
      twin.process = 99;
      n.hear(twin, "b:1");
      THEN("it gives up") {
        CHECK(n.standing.code == errc::in_use);
        CHECK_THAT(n.standing.detail, ContainsSubstring("at b:1"));
      }
    }
    WHEN("it finds itself at a place") {
      auto own = n.it.word();
      n.hear(n.word(2, 1), "b:1");
      n.hear(n.word(3, 1));
      n.hear(own, "c:1");
      THEN("that is as good as any other answer") {
        for (auto each = 0; each < 12; ++each) {
          n.hear(n.word(2, 1), "b:1");
          n.hear(n.word(3, 1));
          n.pass(100ms);
        }
        CHECK(n.it.word().asks);
      }
    }
    WHEN("the others do not agree for long") {
      for (auto each = 0; each < 110; ++each) {
        n.hear(n.word(2, 1), "b:1");
        n.hear(n.word(3, 2), "c:1");
        n.pass(100ms);
      }
      THEN("it says with whom") {
        CHECK_THAT(n.standing.detail, ContainsSubstring("03000000 at c:1 does not agree"));
      }
    }
    WHEN("one of the others has promised a node that is lost") {
      for (auto each = 0; each < 110; ++each) {
        n.hear(n.word(2, 1), "b:1");
        auto bound = n.word(3);
        bound.promised = node_of(9);
        n.hear(bound, "c:1");
        n.pass(100ms);
      }
      THEN("it says which") {
        CHECK_THAT(n.standing.detail,
                   ContainsSubstring("03000000 at c:1 has promised node 09000000")
                     && ContainsSubstring("start that one again"));
      }
    }
    WHEN("one of the others cannot promise") {
      for (auto each = 0; each < 110; ++each) {
        n.hear(n.it.word().asks ? n.promise(2) : n.word(2, 1), "b:1");
        n.hear(n.word(3, 1), "c:1");
        n.pass(100ms);
      }
      THEN("it says which") {
        CHECK_THAT(n.standing.detail,
                   ContainsSubstring("03000000 at c:1 has not promised yet to found no cluster "
                                     "without this node"));
      }
    }
  }
  GIVEN("another one than the candidate") {
    founding_node n;
    WHEN("all have promised, and the candidate does not found") {
      auto asks = n.word(1, 1);
      asks.asks = true;
      asks.round = 1;
      asks.promised = node_of(1);
      asks.promised_round = 1;
      auto third = n.word(3, 1);
      third.promised = node_of(1);
      third.promised_round = 1;
      for (auto each = 0; each < 110; ++each) {
        n.hear(asks, "b:1", "bert");
        n.hear(third, "c:1");
        n.pass(100ms);
      }
      THEN("it says that") {
        CHECK_THAT(n.standing.detail, ContainsSubstring("all 3 nodes are there, and wait for node "
                                                        "'bert' (01000000) at b:1 to found"));
      }
    }
    WHEN("nothing is known of a place") {
      for (auto each = 0; each < 110; ++each) {
        n.hear(n.word(1, 1), "b:1");
        n.hear(n.word(3, 1));
        n.pass(100ms);
      }
      THEN("it says of which") {
        CHECK_THAT(n.standing.detail, ContainsSubstring("not known yet whether a node is at c:1"));
      }
    }
    WHEN("it has promised a node that is there, and another one is the candidate now") {
      founding_node bound{2, {0, founding_promise{node_of(3), 5, "'carl'"}}};
      for (auto each = 0; each < 110; ++each) {
        bound.hear(n.word(1, 1), "b:1");
        bound.hear(n.word(3, 1), "c:1");
        bound.pass(100ms);
      }
      THEN("it says for whom it waits") {
        CHECK_THAT(bound.standing.detail,
                   ContainsSubstring("promised node 'carl'") && ContainsSubstring("gives it up"));
      }
    }
  }
}

TEST_CASE("a flood of nodes takes no more memory than is allowed", "[cluster][bootstrap]") {
  founding_node n;
  for (std::uint8_t each = 3; each < 250; ++each)
    n.hear(n.word(each));
  CHECK(n.it.word().sees == 128);
}

TEST_CASE("who only joins does not count", "[cluster][bootstrap]") {
  candidate_node n;
  n.meet();
  auto joins = n.word(4);
  joins.expect = 0;
  n.hear(joins);
  CHECK(n.it.word().sees == 3);
  CHECK_FALSE(n.standing);
}

} // namespace bootstrap_test
