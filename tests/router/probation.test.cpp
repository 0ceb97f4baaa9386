#include "troupe/router/detail/probation.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace probation_test {

using namespace std::literals;
using namespace troupe;
using router::detail::probation;

namespace {

using agents = std::set<agent_id>;
using counts = std::vector<std::pair<probation::content, std::uint32_t>>;

constexpr time_point start{1h};

/// Of a node whose messages get eight chances.
struct node_probation : probation {
  node_probation() : probation(8) {}

  /// Whether it may go, and does.
  bool goes(content what, time_point now = start) {
    if (!may_go(what))
      return false;
    go(now, what);
    return true;
  }
};

} // namespace

TEST_CASE("of those on probation each agent gets one at a time, all others go as they like",
          "[router]") {
  node_probation subject;
  subject.add(1, "a", 0);
  subject.add(2, "a", 0);
  subject.add(3, "b", 0);
  CHECK(subject.goes(1));
  CHECK(!subject.goes(2));
  CHECK(subject.goes(3));
  CHECK(subject.goes(4)); // of this process
  CHECK(subject.take_freed().empty());
  SECTION("it has ended") {
    subject.end(1);
    CHECK(subject.take_freed() == agents{"a"});
    CHECK(!subject.contains(1));
    CHECK(subject.goes(2));
  }
  SECTION("its agent has failed, and gets it again first") {
    subject.failed(1, false);
    CHECK(!subject.goes(2));
  }
  SECTION("its agent has failed, and gets others meanwhile") {
    subject.failed(1, true);
    CHECK(subject.take_freed() == agents{"a"});
    CHECK(subject.goes(2));
    subject.end(1); // is not the one that the others wait for
    CHECK(subject.take_freed().empty());
    subject.add(5, "a", 0);
    CHECK(!subject.goes(5));
  }
  SECTION("its agent is not there any more") {
    subject.back(1);
    CHECK(subject.goes(1));
  }
  SECTION("one that is not on probation has ended") {
    subject.end(4);
    CHECK(subject.take_freed().empty());
  }
}

TEST_CASE("the end of a process is counted before it can come, and once", "[router]") {
  node_probation subject;
  subject.add(1, "a", 0);
  subject.add(2, "b", 3);
  subject.add(3, "c", 0);
  CHECK(subject.is_counted(4)); // of this process
  CHECK(!subject.is_counted(1));
  CHECK(subject.counted().empty());
  REQUIRE(subject.goes(1));
  CHECK(subject.counted() == counts{{1, 0}}); // it may be on the disk already
  subject.counted(1);
  CHECK(subject.is_counted(1));
  subject.back(1);
  CHECK(subject.is_counted(1)); // also when it goes again
  REQUIRE(subject.goes(2));
  CHECK(subject.counted() == counts{{1, 0}, {2, 3}});
  subject.back(2); // the disk was full
  CHECK(subject.counted() == counts{{1, 0}});
  subject.end(1);
  CHECK(subject.counted().empty());
}

TEST_CASE("a message is given up once it was counted as often as it may be", "[router]") {
  node_probation subject;
  CHECK(!subject.is_over(7));
  CHECK(subject.is_over(8));
  CHECK(subject.is_over(9));
}

TEST_CASE("an earlier process that has ended with a message is not forgotten while that is there",
          "[router]") {
  node_probation subject;
  subject.add(1, "a", 0);
  CHECK(!subject.has_suspects());
  subject.add(2, "a", 1);
  CHECK(subject.has_suspects());
  subject.end(2);
  CHECK(!subject.has_suspects());
}

TEST_CASE("others go on where one that was to go alone has ended before its turn", "[router]") {
  node_probation subject;
  subject.add(1, "a", 0);
  subject.add(2, "b", 4);
  subject.add(3, "c", 0);
  REQUIRE(subject.goes(1));
  CHECK(!subject.goes(2));
  CHECK(!subject.goes(3));
  subject.end(2); // expired
  subject.end(1);
  CHECK(subject.take_freed() == agents{"b"});
  CHECK(subject.take_freed() == agents{"a", "c"}); // as nothing of that one has gone
  CHECK(subject.take_freed().empty());
  CHECK(subject.goes(3));
}

TEST_CASE("a message that has used half of its chances goes alone", "[router]") {
  node_probation subject;
  subject.add(1, "a", 4);
  subject.add(2, "b", 3);
  subject.add(3, "c", 0);
  subject.add(4, "d", 5);
  SECTION("before others") {
    REQUIRE(subject.goes(1));
    CHECK(!subject.goes(2));
    CHECK(!subject.goes(3));
    CHECK(!subject.goes(4));
    CHECK(subject.goes(5)); // of this process
    CHECK(subject.take_freed().empty());
    SECTION("until it has ended") {
      subject.end(1);
      CHECK(subject.take_freed() == agents{"d"});
      CHECK(subject.goes(2));
      CHECK(subject.goes(3));
      CHECK(!subject.goes(4));
    }
    SECTION("until its agent has failed") {
      subject.failed(1, false);
      CHECK(subject.take_freed() == agents{"d"});
      CHECK(subject.goes(4));
    }
    SECTION("until its agent is not there any more") {
      subject.back(1);
      CHECK(subject.take_freed() == agents{"d"});
      CHECK(subject.goes(4));
      CHECK(!subject.goes(1));
    }
  }
  SECTION("after others") {
    REQUIRE(subject.goes(2));
    REQUIRE(subject.goes(3));
    CHECK(!subject.goes(1));
    subject.end(2);
    CHECK(subject.take_freed() == agents{"b"});
    CHECK(!subject.goes(1));
    subject.end(3);
    CHECK(subject.take_freed() == agents{"a"}); // before c
    CHECK(subject.goes(1));
    subject.end(1);
    CHECK(subject.take_freed() == agents{"a", "c"});
  }
}

TEST_CASE("an agent that takes long holds up those of others for a minute only", "[router]") {
  node_probation subject;
  subject.add(1, "a", 4);
  subject.add(2, "a", 0);
  subject.add(3, "b", 0);
  subject.add(4, "c", 4);
  CHECK(!subject.next_deadline());
  auto first = GENERATE(1, 3);
  REQUIRE(subject.goes(first));
  CHECK(subject.next_deadline() == start + 1min);
  CHECK(!subject.goes(4));
  subject.tick(start + 59s);
  CHECK(!subject.goes(4));
  subject.tick(start + 1min);
  CHECK(!subject.next_deadline());
  CHECK(subject.take_freed() == agents{"c"});
  CHECK(subject.goes(4, start + 1min));
  CHECK(!subject.goes(first == 1 ? 2 : 1, start + 1min)); // its own wait, and others for c
  subject.end(first);
  CHECK(!subject.goes(first == 1 ? 3 : 1, start + 1min)); // c goes alone yet
  subject.end(4);
  CHECK(!subject.next_deadline());
}

TEST_CASE("a message that goes alone does not wait for all of those of others", "[router]") {
  node_probation subject;
  subject.add(1, "a", 0);
  subject.add(2, "b", 0);
  subject.add(3, "c", 4);
  subject.add(4, "a", 0);
  subject.add(5, "b", 0);
  REQUIRE(subject.goes(1));
  REQUIRE(subject.goes(2));
  CHECK(!subject.goes(3));
  subject.end(1);
  CHECK(subject.take_freed() == agents{"a"});
  CHECK(!subject.goes(4));
  subject.end(2);
  CHECK(subject.take_freed() == agents{"c"}); // before the others
  CHECK(subject.goes(3));
  CHECK(!subject.goes(4));
  CHECK(!subject.goes(5));
  subject.end(3);
  CHECK(subject.take_freed() == agents{"a", "b", "c"});
  CHECK(subject.goes(4));
  CHECK(subject.goes(5));
}

TEST_CASE("a message that is counted goes although one waits to go alone", "[router]") {
  node_probation subject;
  subject.add(1, "a", 0);
  subject.add(2, "b", 0);
  subject.add(3, "c", 4);
  REQUIRE(subject.goes(1));
  REQUIRE(subject.goes(2));
  CHECK(!subject.goes(3));
  subject.back(1); // it is on the disk
  CHECK(!subject.goes(1));
  subject.counted(1);
  CHECK(subject.goes(1));
}

TEST_CASE("of those that wait to go alone one is freed at a time, and one that does not go then "
          "holds up no others",
          "[router]") {
  node_probation subject;
  subject.add(1, "a", 4);
  subject.add(2, "b", 4);
  subject.add(3, "c", 4);
  subject.add(4, "d", 0);
  REQUIRE(subject.goes(1));
  CHECK(!subject.goes(2));
  CHECK(!subject.goes(3));
  CHECK(!subject.goes(4));
  subject.end(1);
  CHECK(subject.take_freed() == agents{"b"}); // and is nowhere now
  CHECK(subject.goes(4));
  subject.end(4);
  CHECK(subject.take_freed() == agents{"c"});
  CHECK(subject.goes(3));
  subject.end(3);
  CHECK(subject.take_freed() == agents{"a", "c", "d"});
}

TEST_CASE("where there is one chance each message goes alone", "[router]") {
  probation subject{1};
  subject.add(1, "a", 0);
  subject.add(2, "b", 0);
  REQUIRE(subject.may_go(1));
  subject.go(start, 1);
  CHECK(!subject.may_go(2));
}

} // namespace probation_test
