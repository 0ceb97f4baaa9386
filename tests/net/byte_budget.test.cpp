#include "troupe/net/byte_budget.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>

using namespace troupe;
using net::budget_share;
using net::byte_budget;

namespace {

node_id user_number(std::uint8_t number) {
  node_id made{};
  made.bytes.back() = std::byte{number};
  return made;
}

} // namespace

SCENARIO("of all links the one that holds most gives way", "[net]") {
  GIVEN("a budget of 100 bytes of which three links hold 90") {
    byte_budget budget{100};
    CHECK_FALSE(budget.hold(1, user_number(1), 20));
    CHECK_FALSE(budget.hold(2, user_number(2), 40));
    CHECK_FALSE(budget.hold(3, user_number(3), 30));
    CHECK(budget.all() == 90);
    WHEN("a small one takes as much as is left") {
      THEN("there is enough") {
        CHECK_FALSE(budget.hold(1, user_number(1), 30));
        CHECK(budget.all() == 100);
      }
    }
    WHEN("a small one takes more than is left") {
      auto gives_way = budget.hold(1, user_number(1), 31);
      THEN("the largest gives way, once, and counts no more") {
        CHECK(gives_way == 2);
        CHECK(budget.all() == 61);
        CHECK_FALSE(budget.hold(2, user_number(2), 90));
        CHECK(budget.all() == 61);
        CHECK(budget.hold(1, user_number(1), 71) == 1);
        CHECK(budget.all() == 30);
      }
    }
    WHEN("links get rid of bytes, or end") {
      CHECK_FALSE(budget.hold(2, user_number(2), 0));
      budget.release(3);
      budget.release(9);
      THEN("others may have them") {
        CHECK(budget.all() == 20);
        CHECK_FALSE(budget.hold(1, user_number(1), 100));
        CHECK(budget.hold(1, user_number(1), 101) == 1);
      }
    }
  }
}

SCENARIO("who has many links does not have an honest one closed by them", "[net]") {
  GIVEN("a budget of 100 bytes, and somebody whose four links hold 78") {
    byte_budget budget{100};
    auto eve = user_number(1);
    for (net::connection_id each : {1U, 2U, 3U})
      CHECK_FALSE(budget.hold(each, eve, 19));
    CHECK_FALSE(budget.hold(4, eve, 21));
    WHEN("another one holds more than each of these, and less than all") {
      auto gives_way = budget.hold(5, user_number(2), 30);
      THEN("the largest of the many gives way") {
        CHECK(gives_way == 4);
        CHECK(budget.all() == 87);
      }
    }
    WHEN("another one holds more than all of them") {
      THEN("it gives way itself") {
        CHECK(budget.hold(5, user_number(2), 79) == 5);
      }
    }
    WHEN("one of its links ends, and another one gives way") {
      budget.release(3);
      CHECK_FALSE(budget.hold(5, user_number(2), 41));
      CHECK(budget.hold(1, eve, 20) == 4); // of eve's 60 bytes
      THEN("they count no more") {
        CHECK(budget.all() == 80);
        CHECK(budget.hold(6, user_number(3), 21) == 5); // eve holds 39
      }
    }
  }
}

SCENARIO("a link tells a budget what it holds in steps", "[net]") {
  GIVEN("a budget of four steps") {
    byte_budget budget{4 * budget_share::step};
    WHEN("two links hold more") {
      budget_share first{budget, 1, user_number(1)};
      {
        budget_share second{budget, 2, user_number(2)};
        CHECK_FALSE(first.hold(budget_share::step - 1));
        CHECK(budget.all() == 0);
        CHECK_FALSE(first.hold(3 * budget_share::step));
        CHECK_FALSE(second.hold(budget_share::step));
        CHECK(second.hold(2 * budget_share::step) == 1);
      }
      THEN("the end of one frees what it held") {
        CHECK(budget.all() == 0);
      }
    }
  }
}
