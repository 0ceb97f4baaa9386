#include "node/node_fixture.hpp"
#include "troupe/core/caf/message_block.hpp" // the header under test
#include "troupe/core/fields.hpp"

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>

#include "caf/deep_to_string.hpp"
#include "caf/message.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

namespace block_test {

template <int>
struct empty {
  TROUPE_FIELDS(empty);
};

struct order {
  std::uint32_t pieces = 0;
  std::string article;

  bool operator==(const order&) const = default;

  TROUPE_FIELDS(order, pieces, article);
};

namespace shop {

TROUPE_MESSAGES(tickets, order, empty<0>);
TROUPE_MESSAGES(calls, empty<1>, empty<2>);

} // namespace shop

// Two names with one place.
TROUPE_MESSAGES(cars, empty<3>);
TROUPE_MESSAGES_AT(moved_cars, 9'000, empty<4>, std::map<std::string, order>, empty<5>);
TROUPE_MESSAGES_AT(wide, 8'990, empty<6>, empty<7>, empty<8>, empty<9>, empty<10>, empty<11>,
                   empty<12>, empty<13>, empty<14>, empty<15>, empty<16>, empty<17>);

// Those of `cars`, and those that the tests have registered.
TROUPE_MESSAGES_AT(other_cars, 58'600, empty<19>);
TROUPE_MESSAGES_AT(of_the_tests, troupe::test::node_test::begin, empty<20>);

} // namespace block_test

CAF_BEGIN_TYPE_ID_BLOCK(block_test_by_caf, 9'002)

  CAF_ADD_TYPE_ID(block_test_by_caf, (block_test::empty<18>))

CAF_END_TYPE_ID_BLOCK(block_test_by_caf)

using namespace std::literals;
using namespace troupe;
using namespace block_test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

// As they are on the wire.
static_assert(message_slot("tickets") == 47'080);
static_assert(message_slot("orders") == 64'872);
static_assert(message_slot("") >= type_ids::end);
static_assert(caf::type_id_v<order> == 47'080);
static_assert(caf::type_id_v<empty<0>> == 47'081);
static_assert(caf::type_id_v<empty<5>> == 9'002);

TEST_CASE("a message type is known to CAF by its C++ name", "[node][message_blocks]") {
  CHECK(caf::to_string(caf::type_name_v<order>) == "block_test::order");
  CHECK(caf::to_string(caf::type_name_v<empty<5>>) == "block_test::empty<5>");
  auto id = caf::type_id_v<test::tile>;
  CHECK(caf::to_string(caf::query_type_name(id)) == "troupe::test::tile");
  CHECK(caf::query_type_id("troupe::test::tile") == id);
}

TEST_CASE("a message type that names its fields is printed with them", "[node][message_blocks]") {
  CHECK(caf::deep_to_string(order{3, "bread"}) == R"(block_test::order(3, "bread"))");
  auto sent = caf::make_message(test::tile{7, {"red"}});
  CHECK(caf::to_string(sent) == R"(message(troupe::test::tile(7, ["red"])))");
}

TEST_CASE("a message type that names its fields arrives at another node as it was",
          "[node][message_blocks]") {
  testing::cluster c{2};
  REQUIRE(c[1].agent("mirror", [](const test::tile& what) { return what; }));
  REQUIRE(c.until([&] { return c[0].find("mirror").has_value(); }));
  test::tile what{7, {"red", "green"}};
  auto answer = c[0].request<test::tile>(to_agent("mirror"), 5s, what);
  REQUIRE(answer);
  CHECK(*answer == what);
  SECTION("unless no init() was given its block, which is said to the sender") {
    auto why = c[0].request<order>(to_agent("mirror"), 5s, order{});
    REQUIRE_FALSE(why);
    CHECK(why.error().code == errc::bad_argument);
    CHECK_THAT(why.error().detail, ContainsSubstring("TROUPE_MESSAGES"));
  }
}

TEST_CASE("two blocks with the same type IDs are refused, with the names of both",
          "[node][message_blocks]") {
  CHECK_THROWS_WITH((troupe::init<shop::calls, cars>()),
                    Equals("the message blocks block_test::shop::calls (type IDs 58600 to 58601) "
                           "and block_test::cars (type IDs 58600 to 58600) collide; give one of "
                           "them other type IDs with TROUPE_MESSAGES_AT, the same in all programs "
                           "of the cluster"));
  CHECK_THROWS_AS((init_messages<cars, shop::calls>()), std::logic_error);
  SECTION("also where one begins inside another, or is a block of CAF's macros") {
    CHECK_THROWS_WITH((init_messages<moved_cars, cars, wide>()),
                      ContainsSubstring("block_test::wide (type IDs 8990 to 9001)")
                        && ContainsSubstring("block_test::moved_cars (type IDs 9000 to 9002)"));
    CHECK_THROWS_AS((init_messages<cars, other_cars>()), std::logic_error);
    CHECK_THROWS_WITH((init_messages<moved_cars, caf::id_block::block_test_by_caf>()),
                      ContainsSubstring("caf::id_block::block_test_by_caf"));
  }
  SECTION("also where one was given to an earlier init()") {
    CHECK_THROWS_WITH(troupe::init<of_the_tests>(),
                      ContainsSubstring("block_test::of_the_tests")
                        && ContainsSubstring("troupe::test::node_test"));
  }
  SECTION("but not one block twice, nor a neighbour") {
    message_blocks list;
    list.add<caf::id_block::block_test_by_caf>();
    list.add<shop::calls>();
    list.add<wide>();
    list.add<shop::calls>();
    list.add<shop::tickets>();
    CHECK_NOTHROW(list.refuse_collisions());
  }
}
