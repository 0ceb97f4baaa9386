// What a node waits for before it ends: parts of the messages that its router has accepted.

#include "router/live_confirms.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/router/router.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <utility>

#include "caf/message.hpp"
#include "troupe/router/detail/confirm_desk.hpp"
#include "troupe/testing/comes_true.hpp"

namespace confirms_test {

namespace {

using part = router::detail::confirm_desk::part;

/// Four are accepted: the first is kept, the others are in memory. Their agents are nowhere yet.
struct four_accepted : live_confirms {
  four_accepted() {
    REQUIRE(go_on(folder / "outbox.db") == 0);
    REQUIRE(!keep("a", 1));
    REQUIRE(!send("b", 2));
    REQUIRE(!send("c", 3));
    REQUIRE(!send("c", 4));
    REQUIRE(testing::comes_true([this] { return last() == 4; }));
  }

  std::uint64_t last() {
    return on(*here, [](router_state& state) { return state.accepted().last(); });
  }

  /// How many of those are left, and for whom the first one is.
  std::string left(const part& which) {
    return on(*here, [which](router_state& state) {
      auto [count, first] = state.accepted().left_of(which);
      CHECK(state.accepted().have_ended(which) == (count == 0));
      return std::to_string(count) + ' ' + first.text();
    });
  }

  test::temporary_folder folder;
};

} // namespace

TEST_CASE_METHOD(four_accepted, "of what is accepted some is waited for", "[router]") {
  CHECK(left({}) == "4 a");
  CHECK(left({.in_memory = true}) == "3 b");
  CHECK(left({.up_to = 0}) == "0 ");
  CHECK(left({.up_to = 1}) == "1 a");
  CHECK(left({.up_to = 1, .in_memory = true}) == "0 ");
  CHECK(left({.up_to = 3}) == "3 a");
  CHECK(left({.up_to = 3, .in_memory = true}) == "2 b");
  SECTION("until it has ended") {
    add_counting(*here, "c");
    REQUIRE(testing::comes_true([&] { return statistics(*here).confirms == 2; }));
    CHECK(left({}) == "2 a");
    CHECK(left({.in_memory = true}) == "1 b");
    CHECK(left({.up_to = 2}) == "2 a");
    add_counting(*here, "a");
    REQUIRE(testing::comes_true([&] { return statistics(*here).confirms == 1; }));
    CHECK(left({}) == "1 b");
    CHECK(left({.up_to = 1}) == "0 ");
    CHECK(left({.up_to = 2}) == "1 b");
  }
  SECTION("and what is accepted later is no part of it") {
    auto before = last();
    REQUIRE(!send("d", 5));
    REQUIRE(testing::comes_true([&] { return last() == before + 1; }));
    CHECK(left({.up_to = before}) == "4 a");
    CHECK(left({}) == "5 a");
  }
}

} // namespace confirms_test
