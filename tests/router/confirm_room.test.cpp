#include "troupe/router/detail/confirm_room.hpp" // the header under test
#include "router/named_nodes.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <string>

namespace confirm_room_test {

using namespace troupe;
using namespace troupe::router;
using router::detail::confirm_room;

namespace {

/// How many of them are taken, each of one byte and for an agent of its own.
std::size_t flood(confirm_room& room, const confirm_room::client& by, std::size_t messages) {
  std::size_t taken = 0;
  for (std::size_t each = 0; each < messages; ++each)
    taken += room.take(std::to_string(each), 1, by) ? 0 : 1;
  return taken;
}

} // namespace

TEST_CASE("a client leaves room for confirms of others, whatever agents its own are for",
          "[router]") {
  confirm_room room{{.max_confirms = 100}};
  auto client = test::node_named("client");
  CHECK(flood(room, client, 100) == 50);
  CHECK(flood(room, test::node_named("other"), 100) == 25);
  CHECK(flood(room, node_id{}, 100) == 13); // nobody knows who that is
  CHECK(room.take("a", 1).code == errc::none);
  CHECK(room.take("b", 1, client).code == errc::limit_reached);
  for (auto agent = 0; agent < 50; ++agent)
    room.give_back(std::to_string(agent), 1, client);
  CHECK(room.take("b", 1, client).code == errc::none);
}

TEST_CASE("a client has its share of the bytes of confirms", "[router]") {
  confirm_room room{{.max_confirm_bytes = 1'000}};
  auto client = test::node_named("client");
  CHECK(room.take("a", 400, client).code == errc::none);
  CHECK(room.take("b", 400, client).code == errc::limit_reached);
  CHECK(room.take("b", 400).code == errc::none);
}

TEST_CASE("the program itself leaves room for confirms to other agents", "[router]") {
  confirm_room room{{.max_confirms = 100}};
  for (auto each = 0; each < 50; ++each)
    CHECK(room.take("a", 1).code == errc::none);
  CHECK(room.take("a", 1).code == errc::limit_reached);
  CHECK(flood(room, {}, 100) == 50);
  CHECK(room.take("new", 1).code == errc::limit_reached);
  room.give_back("a", 1);
  CHECK(room.take("new", 1).code == errc::none);
}

TEST_CASE("a room that is closed takes no more, and says what has not ended", "[router]") {
  confirm_room room{{}};
  CHECK(room.size() == 0);
  CHECK(room.take("a", 1).code == errc::none);
  room.close();
  CHECK(room.take("a", 1).code == errc::cancelled);
  CHECK(room.size() == 1);
  room.give_back("a", 1);
  CHECK(room.size() == 0);
  room.take_again("a", 1, {}); // of an earlier start
  CHECK(room.size() == 1);
}

} // namespace confirm_room_test
