#include "troupe/net/grants.hpp"
#include "net/raw_peer.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace troupe;
using net::basp_header;
using enum net::basp_header::operation;

namespace {

constexpr std::uint64_t entry_point = 5;
constexpr std::uint64_t answers = std::uint64_t{1} << 63U;
const std::string self = "\x01 the id of this node";

void send(net::grants& to, std::uint64_t from, std::uint64_t number,
          const std::string& payload = {}) {
  auto bytes = test::basp_bytes(
                 {direct_message, 0, static_cast<std::uint32_t>(payload.size()), from, 99}, number)
               + payload;
  to.sent(std::as_bytes(std::span{bytes}));
}

std::string handle_of(std::uint8_t actor) {
  return std::string(7, '\0') + static_cast<char>(actor) + self;
}

bool reaches(net::grants& of, std::uint64_t actor) {
  return of.refusal({direct_message, 0, 10, 1, actor, 0}).empty();
}

bool may_answer(net::grants& of, std::uint64_t actor, std::uint64_t number, std::uint64_t by = 1) {
  return of.refusal({direct_message, 0, 10, by, actor, answers | number}).empty();
}

} // namespace

SCENARIO("a peer reaches the entry point and what this node has told it of", "[net]") {
  GIVEN("a new link") {
    net::grants link{entry_point, self};
    THEN("only the entry point can be reached") {
      CHECK(reaches(link, entry_point));
      CHECK_FALSE(reaches(link, 6));
      CHECK_FALSE(reaches(link, 0));
      CHECK_FALSE(link.refusal({monitor_message, 0, 10, 0, 6}).empty());
      CHECK(link.refusal({monitor_message, 0, 10, 0, entry_point}).empty());
      CHECK(link.refusal({heartbeat}).empty());
    }
    WHEN("an actor sends a message") {
      send(link, 6, 0);
      THEN("it can be reached, and monitored") {
        CHECK(reaches(link, 6));
        CHECK(link.refusal({monitor_message, 0, 10, 0, 6}).empty());
        CHECK_FALSE(reaches(link, 7));
      }
    }
    WHEN("a message holds handles") {
      send(link, entry_point, 0, "some text" + handle_of(8) + handle_of(9) + "more");
      THEN("their actors can be reached") {
        CHECK(reaches(link, 8));
        CHECK(reaches(link, 9));
        CHECK_FALSE(reaches(link, 10));
      }
    }
    WHEN("a message begins with this node's id, or ends within it") {
      send(link, entry_point, 0, "short" + self);
      send(link, entry_point, 0, handle_of(8).substr(0, 20));
      THEN("that is no handle") {
        CHECK_FALSE(reaches(link, 8));
      }
    }
    WHEN("CAF has left a part of a message that it could not write") {
      auto whole = test::basp_bytes({direct_message, 0, 4, 6, 99}) + "abcd";
      auto part = std::string(basp_header::wire_bytes, '\0') + std::string(99, '\2');
      auto all = whole + part;
      THEN("that is told from whole messages, and does not count") {
        CHECK(link.sent(std::as_bytes(std::span{all})) == whole.size());
        CHECK(reaches(link, 6));
      }
    }
    WHEN("several messages go at once") {
      auto first = test::basp_bytes({direct_message, 0, 4, 6, 99}) + "abcd";
      auto second = test::basp_bytes({heartbeat, 0, 0, 0, 0});
      auto third = test::basp_bytes({direct_message, 0, 0, 7, 99}, 3);
      auto all = first + second + third;
      CHECK(link.sent(std::as_bytes(std::span{all})) == all.size());
      THEN("each of them counts") {
        CHECK(reaches(link, 6));
        CHECK(reaches(link, 7));
        CHECK(may_answer(link, 7, 3));
      }
    }
  }
}

TEST_CASE("an answer to what may lie in a message passes, to the entry point and from an actor",
          "[net]") {
  constexpr auto enclosed = enclosed_request | 3;
  net::grants link{entry_point, self};
  CHECK(may_answer(link, entry_point, enclosed));
  CHECK(may_answer(link, entry_point, enclosed)); // the router knows whether it is open
  CHECK_FALSE(may_answer(link, entry_point, 3));
  CHECK_FALSE(may_answer(link, entry_point + 1, enclosed));
  CHECK_FALSE(may_answer(link, entry_point, enclosed, 0)); // in nobody's name
  net::grants none{0, self};
  CHECK_FALSE(may_answer(none, 0, enclosed));
}

TEST_CASE("that an actor has ended lets nobody reach it", "[net]") {
  net::grants link{entry_point, self};
  auto down = test::basp_bytes({down_message, 0, 4, 6, 99}) + "abcd";
  link.sent(std::as_bytes(std::span{down}));
  CHECK_FALSE(reaches(link, 6));
}

TEST_CASE("of a node without an entry point no actor is reached", "[net]") {
  net::grants link{0, self};
  CHECK_FALSE(reaches(link, 0));
}

SCENARIO("a request is answered once, by whoever was asked", "[net]") {
  GIVEN("a link over which an actor has asked") {
    net::grants link{entry_point, self};
    send(link, 6, 3);
    THEN("another number or actor gets no answer") {
      CHECK_FALSE(may_answer(link, 6, 4));
      CHECK_FALSE(may_answer(link, 7, 3));
    }
    THEN("one answer comes in") {
      CHECK(may_answer(link, 6, 3));
      CHECK_FALSE(may_answer(link, 6, 3));
    }
    THEN("an answer of ours opens nothing") {
      send(link, 8, answers | 9);
      CHECK_FALSE(may_answer(link, 8, 9));
    }
    THEN("the category of a message does not count") {
      send(link, 6, 12 | std::uint64_t{1} << 60U);
      CHECK(may_answer(link, 6, 12));
      send(link, 6, 13);
      CHECK(may_answer(link, 6, 13 | std::uint64_t{1} << 60U));
    }
  }
}

SCENARIO("what a peer may address is bounded, and what is in use stays", "[net]") {
  GIVEN("a link over which a handle was sent") {
    net::grants link{entry_point, self};
    send(link, entry_point, 0, handle_of(8));
    WHEN("more actors send than are remembered") {
      for (std::uint64_t actor = 1'000; actor <= 1'001 + net::grants::max_senders; ++actor) {
        send(link, actor, 0);
        CHECK((actor != 1'005 || reaches(link, 1'001))); // so it is used later than the next one
      }
      THEN("those that were used least recently are forgotten, handles are not") {
        CHECK_FALSE(reaches(link, 1'000));
        CHECK_FALSE(reaches(link, 1'002));
        CHECK(reaches(link, 1'001));
        CHECK(reaches(link, 8));
      }
    }
    WHEN("more requests are open than are remembered") {
      for (std::uint64_t number = 1; number <= net::grants::max_requests + 1; ++number)
        send(link, 6, number);
      THEN("the oldest one gets no answer") {
        CHECK_FALSE(may_answer(link, 6, 1));
        CHECK(may_answer(link, 6, 2));
      }
    }
  }
}
