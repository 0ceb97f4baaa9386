#include "troupe/cluster/cards/introductions.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

namespace introductions_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::cluster;

namespace {

node_id id(std::uint8_t number) {
  node_id made;
  made.bytes.back() = std::byte{number};
  return made;
}

} // namespace

TEST_CASE("who has dialled shows its card at once, the other one after a while", "[node]") {
  introductions it;
  auto first = it.link_up(id(1), true);
  auto second = it.link_up(id(2), false);
  CHECK(first.pause == 0s);
  CHECK(second.pause == introductions::other_side_after);
  CHECK(it.still_wants(id(1), first.ticket));
  it.met(id(2), second.ticket);
  CHECK_FALSE(it.still_wants(id(2), second.ticket));
  CHECK_FALSE(it.tried(id(2), second.ticket));
  CHECK(it.still_wants(id(1), first.ticket));
}

TEST_CASE("a card is shown again until that of the other one has come", "[node]") {
  introductions it;
  auto next = it.link_up(id(1), true);
  std::vector<duration> pauses;
  for (auto count = 0; count < 8; ++count) {
    auto again = it.tried(id(1), next.ticket);
    REQUIRE(again);
    CHECK(again->ticket == next.ticket);
    pauses.push_back(again->pause);
  }
  CHECK(pauses == std::vector<duration>{250ms, 500ms, 1s, 2s, 4s, 8s, 8s, 8s});
  it.met(id(1), next.ticket);
  CHECK_FALSE(it.tried(id(1), next.ticket));
}

TEST_CASE("a later link begins anew, and what was tried over the earlier one ends", "[node]") {
  introductions it;
  auto early = it.link_up(id(1), true);
  it.met(id(1), early.ticket);
  auto late = it.link_up(id(1), false);
  it.met(id(1), early.ticket);
  CHECK_FALSE(it.still_wants(id(1), early.ticket));
  CHECK_FALSE(it.tried(id(1), early.ticket));
  CHECK(it.still_wants(id(1), late.ticket)); // it may be another life
  CHECK(it.tried(id(1), late.ticket)->pause == introductions::first_pause);
  CHECK(it.ticket_of(id(1)) == late.ticket);
  it.link_down(id(1));
  CHECK_FALSE(it.still_wants(id(1), late.ticket));
  it.met(id(1), it.ticket_of(id(1))); // of a node without a link nothing is kept
  CHECK(it.still_wants(id(1), it.link_up(id(1), true).ticket));
}

TEST_CASE("a node that begins shows its card to all that it is linked to, whoever has dialled",
          "[node]") {
  introductions it;
  auto first = it.link_up(id(1), false);
  auto second = it.link_up(id(2), true);
  it.met(id(2), second.ticket);
  it.met(id(3), it.ticket_of(id(3))); // without a link
  std::vector<std::pair<node_id, duration>> begun;
  it.begin_anew([&](const node_id& node, const introductions::try_later& what) {
    begun.emplace_back(node, what.pause);
    CHECK(it.still_wants(node, what.ticket));
  });
  CHECK(begun == std::vector<std::pair<node_id, duration>>{{id(1), 0s}, {id(2), 0s}});
  CHECK_FALSE(it.still_wants(id(1), first.ticket));
  it.met(id(1), first.ticket); // it has seen the earlier life of this node
  CHECK(it.still_wants(id(1), it.ticket_of(id(1))));
}

} // namespace introductions_test
