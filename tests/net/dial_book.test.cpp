#include "troupe/net/dial_book.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace dial_book_test {

using namespace std::literals;
using namespace troupe;
using net::connection_id;
using net::verdict;

namespace {

net::endpoint at(std::uint16_t port) {
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  here.sin_port = htons(port);
  return {reinterpret_cast<const sockaddr*>(&here), sizeof(here)};
}

node_id node_of(std::uint8_t number) {
  node_id made{};
  made.bytes.back() = std::byte{number};
  return made;
}

/// Links are numbers.
struct dialling {
  using book = net::dial_book<int>;

  /// Returns the port of the address that is tried; zero for none.
  int attempt(connection_id id, book::job what) {
    auto where = it.attempt(id, std::move(what), [&](const net::endpoint& each) {
      return each.port() == refused_port ? problem{errc::denied, "not there"} : problem{};
    });
    return where ? where->port() : 0;
  }

  int dial(connection_id id, std::vector<net::endpoint> where = {at(1), at(2)}) {
    book::job made{.where = std::move(where)};
    made.done = [this](result<int> got) { results.push_back(std::move(got)); };
    return attempt(id, std::move(made));
  }

  /// The connection `id` ends; the dial goes on under the next number. Returns the port.
  int drop(connection_id id, verdict why, std::optional<node_id> peer = {}) {
    auto next = it.dropped(now, id, why, peer, [&](const node_id& who) {
      return link && who == node_of(1) ? link : std::nullopt;
    });
    return next ? attempt(id + 1, *std::move(next)) : 0;
  }

  /// Returns the code of the only result.
  errc only_refusal() {
    REQUIRE(results.size() == 1);
    REQUIRE_FALSE(results.front());
    return results.front().error().code;
  }

  bool only_result_is(int which) {
    return results.size() == 1 && results.front() && *results.front() == which;
  }

  time_point now{1h};
  int refused_port = -1;
  std::optional<int> link;
  std::vector<result<int>> results;
  net::dial_options options{.gives_up_after = 4s, .max_parked = 2};
  book it{options, 1};
};

} // namespace

SCENARIO("a node is dialled at all its addresses", "[net]") {
  dialling d;
  GIVEN("a dial of two addresses") {
    REQUIRE(d.dial(1) == 1);
    for (auto why : {verdict::unreachable, verdict::timed_out, verdict::closed})
      WHEN("no node answers at the first: " + std::to_string(static_cast<int>(why))) {
        REQUIRE(d.drop(1, why) == 2);
        CHECK(d.results.empty());
        THEN("a link to the second is the result") {
          d.it.linked(2, node_of(1), 7);
          CHECK(d.only_result_is(7));
          CHECK_FALSE(d.it.contains(2));
        }
        THEN("the result is what the last one gave") {
          d.it.note(2, "no route");
          CHECK(d.drop(2, verdict::unreachable) == 0);
          CHECK(d.only_refusal() == errc::unreachable);
          CHECK(d.results.front().error().detail.find(":2 ") != std::string::npos);
          CHECK(d.results.front().error().detail.find("no route") != std::string::npos);
        }
      }
    for (auto why : {verdict::foreign, verdict::duplicate, verdict::full, verdict::bad_greeting,
                     verdict::linked, verdict::crossed})
      WHEN("somebody answers at the first: " + std::to_string(static_cast<int>(why))) {
        THEN("the second is not tried") {
          CHECK(d.drop(1, why) == 0);
          CHECK(d.results.size() == 1);
        }
      }
    for (auto why : {verdict::duplicate, verdict::full})
      WHEN("a node that we know refuses: " + std::to_string(static_cast<int>(why))) {
        THEN("that is the result") {
          CHECK(d.drop(1, why, node_of(1)) == 0);
          CHECK(d.results.size() == 1);
        }
      }
    WHEN("the connection ends while its link comes up") {
      d.it.ended(1);
      THEN("that is the result") {
        CHECK(d.only_refusal() == errc::unreachable);
      }
    }
    WHEN("the node stops") {
      d.it.stop();
      THEN("the dial ends, and so does one that comes later") {
        CHECK(d.only_refusal() == errc::cancelled);
        CHECK(d.dial(2) == 0);
        REQUIRE(d.results.size() == 2);
        CHECK(d.results.back().error().code == errc::cancelled);
      }
    }
  }
  GIVEN("addresses that this node must not dial") {
    d.refused_port = 1;
    THEN("they are passed over") {
      CHECK(d.dial(1) == 2);
    }
    THEN("if there is no other, that is the result") {
      CHECK(d.dial(1, {at(1), at(1)}) == 0);
      CHECK(d.only_refusal() == errc::denied);
    }
  }
  THEN("a dial of no address is refused") {
    CHECK(d.dial(1, {}) == 0);
    CHECK(d.only_refusal() == errc::bad_argument);
  }
  THEN("the end of a connection that is no dial's is nothing") {
    CHECK(d.drop(1, verdict::closed) == 0);
    d.it.ended(1);
    d.it.note(1, "nothing");
    d.it.linked(1, node_of(1), 7);
    CHECK(d.results.empty());
  }
}

SCENARIO("a node that has another connection with us is dialled again", "[net]") {
  dialling d;
  REQUIRE(d.dial(1) == 1);
  for (auto why : {verdict::linked, verdict::greeting, verdict::dialling, verdict::crossed})
    WHEN("it refuses because of that: " + std::to_string(static_cast<int>(why))) {
      REQUIRE(d.drop(1, why, node_of(1)) == 0);
      REQUIRE(d.results.empty());
      auto again = d.it.next_deadline();
      REQUIRE(again);
      THEN("it is tried at the same address, not before its time") {
        CHECK(*again <= d.now + 50ms);
        CHECK(d.it.tick(*again - 1ns).empty());
        auto due = d.it.tick(*again);
        REQUIRE(due.size() == 1);
        CHECK(d.attempt(2, std::move(due.front())) == 1);
        CHECK_FALSE(d.it.next_deadline());
      }
      THEN("the other connection is the result once it is a link") {
        d.it.linked(9, node_of(2), 6); // another node
        CHECK(d.results.empty());
        d.it.linked(9, node_of(1), 7);
        CHECK(d.only_result_is(7));
        CHECK_FALSE(d.it.next_deadline());
      }
      THEN("the dial ends when this node stops") {
        d.it.stop();
        CHECK(d.only_refusal() == errc::cancelled);
        CHECK_FALSE(d.it.next_deadline());
      }
    }
  WHEN("the other connection is a link already") {
    d.link = 7;
    d.drop(1, verdict::linked, node_of(1));
    THEN("that is the result") {
      CHECK(d.only_result_is(7));
    }
  }
  WHEN("it refuses again and again") {
    auto began = d.now;
    auto tries = 0;
    auto longest = duration::zero();
    for (connection_id id = 1; d.results.empty() && tries < 1000; ++id, ++tries) {
      d.drop(id, verdict::linked, node_of(1));
      if (!d.it.next_deadline())
        break;
      longest = std::max<duration>(longest, *d.it.next_deadline() - d.now);
      d.now = *d.it.next_deadline();
      for (auto& each : d.it.tick(d.now))
        CHECK(d.attempt(id + 1, std::move(each)) == 1);
    }
    THEN("it is given up in time, after ever longer waits") {
      CHECK(d.only_refusal() == errc::busy);
      CHECK(d.now == began + 4s);
      CHECK(tries < 40);
      CHECK(longest > 200ms);
    }
  }
  WHEN("as many wait as may") {
    d.drop(1, verdict::linked, node_of(1));
    d.dial(2);
    d.drop(2, verdict::linked, node_of(2));
    CHECK(d.results.empty());
    d.dial(3);
    THEN("the next one gets the refusal") {
      d.drop(3, verdict::linked, node_of(3));
      CHECK(d.only_refusal() == errc::busy);
    }
    THEN("the deadline is that of the first") {
      auto first = d.it.next_deadline();
      REQUIRE(first);
      CHECK(d.it.tick(*first).size() == 1);
      REQUIRE(d.it.next_deadline());
      CHECK(*d.it.next_deadline() > *first);
    }
  }
}

} // namespace dial_book_test
