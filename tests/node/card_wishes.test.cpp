#include "troupe/cluster/cards/card_wishes.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <set>
#include <vector>

#include "support/node_number.hpp"
#include "troupe/core/ids.hpp"

namespace card_wishes_test {

using namespace troupe;
using namespace cluster;
using test::node_number;

namespace {

const node_id a = node_number(60'001);
const node_id b = node_number(60'002);
const node_id c = node_number(60'003);

} // namespace

TEST_CASE("a peer is asked one question at a time, about fifty nodes at most", "[node][swim]") {
  card_wishes it;
  for (auto each = 0U; each < 120; ++each)
    it.want(a, node_number(each), a);
  it.want(a, node_number(0), a); // waits already
  CHECK(it.peers() == std::vector<node_id>{a});
  for (auto size : {50U, 50U, 20U}) {
    auto wanted = it.next(a);
    REQUIRE(wanted.size() == size);
    CHECK(it.next(a).empty()); // it has not answered
    auto next = it.end(a, wanted, {});
    CHECK(next == (size == 50 ? std::vector{a} : std::vector<node_id>{}));
  }
  CHECK(it.peers().empty());
  CHECK(it.next(a).empty());
  CHECK(it.size() == 0);
}

TEST_CASE("what a peer does not know, whoever spoke of it is asked for, once", "[node][swim]") {
  card_wishes it;
  it.want(a, node_number(1), b);
  it.want(a, node_number(2), b);
  it.want(a, node_number(3), a);
  auto wanted = it.next(a);
  REQUIRE(wanted.size() == 3);
  CHECK(it.end(a, wanted, {node_number(1), node_number(3)}) == std::vector{b});
  CHECK(it.next(a).empty());
  auto second = it.next(b);
  CHECK(second == std::vector<node_id>{node_number(1)});
  CHECK(it.end(b, second, {node_number(1)}).empty());
  CHECK(it.size() == 0);
  CHECK(it.peers().empty());
}

TEST_CASE("what is wanted while a peer is asked waits for its answer", "[node][swim]") {
  card_wishes it;
  it.want(a, node_number(1), a);
  auto wanted = it.next(a);
  it.want(a, node_number(2), c);
  CHECK(it.next(a).empty());
  CHECK(it.end(a, wanted, {node_number(1)}) == std::vector{a});
  CHECK(it.next(a) == std::vector<node_id>{node_number(2)});
}

TEST_CASE("of peers without a link one is asked at a time, beside those that have one",
          "[node][swim]") {
  card_wishes it;
  for (auto peer : {a, b, c})
    it.want(peer, node_number(peer == c ? 3 : 1), peer);
  auto first = it.next(a, false);
  CHECK(first.size() == 1);
  CHECK(it.next(b, false).empty());
  CHECK(it.next(c, true) == std::vector<node_id>{node_number(3)});
  CHECK(it.end(c, {node_number(3)}, {}).empty());
  CHECK(it.end(a, first, {node_number(1)}) == std::vector{b});
  CHECK(it.next(b, false) == std::vector<node_id>{node_number(1)});
  CHECK(it.end(b, {node_number(1)}, {}).empty());
  CHECK(it.peers().empty());
}

TEST_CASE("one without a link of which more and more is wanted leaves others their turn",
          "[node][swim]") {
  card_wishes it;
  auto number = 0U;
  auto tell = [&](const node_id& by) {
    for (auto more = 0; more < 60; ++more, ++number)
      it.want(by, node_number(number), by);
  };
  for (auto peer : {a, b, c})
    tell(peer);
  std::map<node_id, int> asked;
  std::vector<node_id> due{a, b, c};
  for (auto turns = 0; turns < 9; ++turns) {
    std::vector<node_id> wanted;
    node_id whom;
    for (auto& peer : due) {
      wanted = it.next(peer, false);
      whom = peer;
      if (!wanted.empty())
        break;
    }
    REQUIRE_FALSE(wanted.empty());
    ++asked[whom];
    tell(whom);
    due = it.end(whom, wanted, {});
  }
  CHECK(asked == std::map<node_id, int>{{a, 3}, {b, 3}, {c, 3}});
}

TEST_CASE("a card that has come is wanted of nobody any more", "[node][swim]") {
  card_wishes it;
  it.want(a, node_number(1), b);
  it.want(a, node_number(2), a);
  it.want(b, node_number(1), b);
  auto wanted = it.next(a);
  it.want(a, node_number(1), a);
  it.came(node_number(1));
  CHECK(it.peers() == std::vector<node_id>{a}); // whose answer is to come
  CHECK(it.next(b).empty());
  CHECK(it.end(a, wanted, {node_number(1)}).empty());
  CHECK(it.size() == 0);
}

TEST_CASE(
  "one that tells of strangers without end, and answers late, takes so much room and no more",
  "[node][swim]") {
  card_wishes it;
  it.want(a, node_number(0), a);
  auto asked = it.next(a);
  for (auto each = 1U; each < 20'000; ++each) {
    it.want(a, node_number(each), each % 2 == 0 ? a : b);
    REQUIRE(it.size() <= 2 * card_wishes::max_of_one);
  }
  it.want(b, node_number(30'000), b); // there is room at others
  CHECK(it.next(b) == std::vector<node_id>{node_number(30'000)});
  std::size_t answered = 0;
  while (!it.end(a, asked, {}).empty()) {
    asked = it.next(a);
    answered += asked.size();
  }
  CHECK(answered == card_wishes::max_of_one);
  it.want(a, node_number(19'999), a); // has been dropped, and is wanted again
  CHECK(it.next(a) == std::vector<node_id>{node_number(19'999)});
}

} // namespace card_wishes_test
