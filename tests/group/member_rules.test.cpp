#include "troupe/group/member_rules.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <optional>

namespace member_rules_test {

using namespace troupe;
using namespace troupe::host;

namespace {

constexpr raft::member_id a{1};
constexpr raft::member_id b{2};
constexpr raft::member_id c{3};
constexpr service_id locks = 1;
constexpr auto tickets = number_of_own("tickets");
const service_title tickets_title{"tickets", "ticket_service"};

known_rules locks_by(std::uint32_t number) {
  return {{{locks, number}}};
}

/// A leader at seat a that knows rules 3 of locks, b and c which vote or learn.
struct leader {
  member_rules rules{locks_by(3)};
  raft::configuration members{{{a, {true, "A"}}, {b, {true, "B"}}, {c, {false, "C"}}}};

  void told(raft::member_id who, const known_rules& what) {
    rules.told(who, to_bytes(what));
  }

  std::optional<std::uint32_t> allow() {
    return rules.allow(locks, members, a);
  }
};

} // namespace

SCENARIO("rules come into force when all members know them", "[host][group]") {
  GIVEN("a leader that knows rules 3") {
    leader one;
    WHEN("one member has not told anything") {
      one.told(b, locks_by(3));
      THEN("there is nothing new") {
        CHECK_FALSE(one.allow());
      }
    }
    WHEN("all know them, or newer ones") {
      one.told(b, locks_by(4));
      one.told(c, locks_by(3));
      THEN("they come into force, once") {
        CHECK(one.allow() == 3);
        CHECK_FALSE(one.allow());
      }
    }
    WHEN("one knows older ones, though it only learns") {
      one.told(b, locks_by(3));
      one.told(c, locks_by(2));
      THEN("those come into force, and the newer ones when it has gone") {
        CHECK(one.allow() == 2);
        one.members.members.erase(c);
        CHECK(one.allow() == 3);
      }
    }
    WHEN("what a member says cannot be read") {
      one.told(b, locks_by(3));
      one.told(c, locks_by(3));
      one.rules.told(c, "no rules");
      THEN("what it said before counts") {
        CHECK(one.allow() == 3);
      }
    }
  }
  GIVEN("rules that are in force") {
    leader one;
    one.told(b, locks_by(3));
    one.told(c, locks_by(3));
    REQUIRE(one.allow() == 3);
    WHEN("a member joins that has not told anything") {
      one.members.members[{4}] = {};
      THEN("they are not taken back") {
        CHECK_FALSE(one.allow());
      }
    }
    WHEN("the lead ends and another begins") {
      one.rules.end_lead();
      CHECK_FALSE(one.allow()); // members may have been replaced by older releases
      one.told(b, locks_by(3));
      one.told(c, locks_by(3));
      THEN("they are allowed anew") {
        CHECK(one.allow() == 3);
      }
    }
  }
}

TEST_CASE("a leader knows which members lack a service, or know older rules", "[host][group]") {
  leader one;
  auto lacks = [&](raft::member_id who) { return one.rules.lacks(who, tickets, tickets_title); };
  CHECK_FALSE(lacks(b)); // it has not told anything
  CHECK_FALSE(one.rules.is_older(b, locks));
  one.told(b, locks_by(2));
  CHECK(lacks(b));
  CHECK(one.rules.is_older(b, locks));
  one.told(b, {{{locks, 3}}, {{tickets, {"tickets", "raffle_service"}}}});
  CHECK(lacks(b)); // of another type
  CHECK_FALSE(one.rules.is_older(b, locks));
  one.told(b, {{{locks, 4}}, {{tickets, tickets_title}}});
  CHECK_FALSE(lacks(b));
  CHECK_FALSE(one.rules.is_older(b, locks));
}

TEST_CASE("a member tells what it knows in the form that a leader reads", "[host][group]") {
  leader one;
  one.rules.told(b, member_rules{locks_by(3)}.about());
  one.rules.told(c, member_rules{locks_by(3)}.about());
  CHECK(one.allow() == 3);
}

} // namespace member_rules_test
