#include "troupe/cluster/datagram_ways.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>

namespace datagram_ways_test {

using namespace troupe;
using cluster::datagram_ways;
using news = datagram_ways::news;

namespace {

node_id member(int number) {
  node_id made;
  made.bytes.fill(static_cast<std::byte>(number));
  return made;
}

} // namespace

TEST_CASE("that no datagrams come from some members is said of each, until it is of many",
          "[node]") {
  datagram_ways it;
  for (auto round = 0; round < 5; ++round) {
    CHECK(it.lost(member(1)) == news::of_one);
    CHECK(it.lost(member(2)) == news::of_one);
  }
  CHECK(it.lost(member(3)) == news::of_all);
  for (auto each = 1; each < 30; ++each)
    CHECK(it.lost(member(each)) == news::none);
}

TEST_CASE("where datagrams of some members come those that do not are named, however many",
          "[node]") {
  datagram_ways it;
  for (auto each = 1; each < 30; ++each) {
    CHECK(it.lost(member(each)) == news::of_one);
    CHECK_FALSE(it.heard());
  }
}

TEST_CASE("that datagrams come again is said once, and then it may begin anew", "[node]") {
  datagram_ways it;
  for (auto round = 0; round < 2; ++round) {
    CHECK(it.lost(member(1)) == news::of_one);
    CHECK(it.lost(member(2)) == news::of_one);
    CHECK(it.lost(member(3)) == news::of_all);
    CHECK(it.heard());
    CHECK_FALSE(it.heard());
  }
}

} // namespace datagram_ways_test
