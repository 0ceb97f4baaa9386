#include "troupe/net/join_search.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "support/seeds.hpp"

namespace join_search_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using net::join_search;

namespace {

net::address at(std::uint16_t port) {
  return {"host", port};
}

std::vector<net::address> at_each(std::vector<std::uint16_t> ports) {
  std::vector<net::address> made;
  for (auto each : ports)
    made.push_back(at(each));
  return made;
}

problem unreachable(std::uint16_t port) {
  return {errc::unreachable, to_string(at(port)) + " cannot be reached"};
}

const problem wrong_cluster{errc::bad_argument, "it is a member of another cluster"};

/// A search whose clock is moved by its pauses.
struct searching {
  explicit searching(std::vector<std::uint16_t> ports, duration wait = 10s)
    : search(at_each(std::move(ports)), now + wait, {.first = 100ms, .max = 1s}, 7) {}

  /// The port that is asked next, after all pauses; zero once it has given up.
  std::uint16_t next() {
    for (;;) {
      auto step = search.next(now);
      if (auto* ask = std::get_if<join_search::ask>(&step)) {
        until = ask->until;
        return ask->where.port;
      }
      if (auto* end = std::get_if<join_search::give_up>(&step)) {
        why = end->why;
        return 0;
      }
      auto end = std::get<join_search::pause>(step).until;
      CHECK(end <= now + 1s);
      now = end;
      ++rounds;
    }
  }

  void hear(join_search::answer what) {
    search.hear(what);
  }

  /// The one that was asked says nothing.
  void be_silent() {
    now = std::max(now, std::min(until, now + 5s));
    hear(join_search::unproven{{errc::timed_out, "gave no answer in time"}});
  }

  time_point now{1h};
  time_point until{};
  int rounds = 0;
  problem why{};
  join_search search;
};

} // namespace

TEST_CASE("all addresses are asked in turn, again and again, until the time is over",
          "[net][join]") {
  searching it{{1, 2}};
  std::vector<std::uint16_t> asked;
  for (auto port = it.next(); port != 0; port = it.next()) {
    asked.push_back(port);
    it.hear(join_search::unproven{unreachable(port)});
  }
  REQUIRE(asked.size() > 10);
  for (std::size_t index = 0; index < asked.size(); ++index)
    CHECK(asked[index] == 1 + index % 2);
  CHECK(it.why.code == errc::unreachable);
  CHECK_THAT(it.why.detail, ContainsSubstring("host:1"));
  CHECK(it.now >= time_point{1h} + 9s);
  CHECK(it.now < time_point{1h} + 10s);
}

TEST_CASE("an address where no member answers does not end the search at the others",
          "[net][join]") {
  searching it{{1, 2}};
  CHECK(it.next() == 1);
  it.hear(join_search::unproven{wrong_cluster});
  CHECK(it.next() == 2);
  it.hear(join_search::unproven{unreachable(2)});
  CHECK(it.next() == 2); // the first one is not asked again
  it.hear(join_search::refused{{errc::denied, "no such token"}});
  CHECK(it.next() == 0);
  CHECK(it.why.code == errc::denied);
  CHECK(it.next() == 0);
}

TEST_CASE("strangers among the addresses delay a search by one time-out each, in whatever order",
          "[net][join]") {
  enum kind : std::uint16_t { member = 1, silent, closed, other_ca, no_node, last_kind };
  std::vector<std::uint16_t> order;
  for (std::uint16_t each = member; each != last_kind; ++each)
    order.push_back(each);
  auto busy_for = GENERATE(0, 1, 4);
  auto tried = 0;
  do {
    searching it{order, 30s};
    auto left = busy_for;
    auto asked_silent = 0;
    for (auto is_in = false; !is_in;) {
      auto port = it.next();
      REQUIRE(port != 0); // no stranger ends it
      switch (port) {
        case member:
          is_in = left-- == 0;
          if (!is_in)
            it.hear(join_search::refused{{errc::busy, "too many others"}});
          break;
        case silent:
          ++asked_silent;
          it.be_silent();
          break;
        case closed:
          it.hear(join_search::unproven{unreachable(port)});
          break;
        case other_ca:
          it.hear(join_search::unproven{wrong_cluster});
          break;
        default:
          it.hear(join_search::unproven{{errc::bad_argument, "it is no node of troupe"}});
      }
    }
    CAPTURE(order);
    CHECK(asked_silent <= 1);
    CHECK(it.now <= time_point{1h} + 5s + busy_for * 1s);
    ++tried;
  } while (std::ranges::next_permutation(order).found);
  CHECK(tried == 120);
}

TEST_CASE("a silent address is asked again while no member is there to wait for", "[net][join]") {
  searching it{{1, 2}, 30s};
  CHECK(it.next() == 1);
  CHECK(it.until == it.now + join_search::patience); // no more, though there is time for it
  it.be_silent();
  CHECK(it.next() == 2);
  it.hear(join_search::refused{{errc::busy, "too many others"}});
  CHECK(it.next() == 2);
  it.hear(join_search::refused{{errc::busy, "too many others"}});
  CHECK(it.next() == 2);
  it.hear(join_search::named{}); // a member that knows no address of the CA: it may be the other
  CHECK(it.next() == 1);         // which is last from now on
  it.be_silent();
  CHECK(it.next() == 2);
  it.hear(join_search::named{});
  CHECK(it.next() == 1);
  it.hear(join_search::unproven{unreachable(1)}); // it speaks again
  CHECK(it.next() == 1);
  it.hear(join_search::unproven{unreachable(1)});
  CHECK(it.next() == 2);
}

TEST_CASE("each address is asked in time, however many before it say nothing", "[net][join]") {
  for (auto silent : {1, 3, 6, 20, 63}) {
    std::vector<std::uint16_t> ports;
    for (auto port = 1; port <= silent; ++port)
      ports.push_back(static_cast<std::uint16_t>(1'000 + port));
    ports.push_back(1);
    searching it{ports, 30s};
    auto port = it.next();
    for (; port > 1'000; port = it.next()) {
      CHECK(it.until > it.now); // each has a part of the time
      it.be_silent();
    }
    CAPTURE(silent);
    CHECK(port == 1);
    CHECK(it.rounds == 0);
    CHECK(it.now + 30s / (silent + 1) - 1ms <= time_point{1h} + 30s);
    CHECK(it.until > it.now);
    CHECK(it.until <= time_point{1h} + 30s);
  }
}

TEST_CASE("a search ends at once where no address has a member", "[net][join]") {
  searching it{{1, 1, 2}};
  CHECK(it.next() == 1);
  it.hear(join_search::unproven{wrong_cluster});
  CHECK(it.next() == 2); // an address that is given twice counts once
  it.hear(join_search::unproven{wrong_cluster});
  CHECK(it.next() == 0);
  CHECK(it.why == wrong_cluster);
  CHECK(it.rounds == 0);
  searching none{{}};
  CHECK(none.next() == 0);
  CHECK(none.why.code == errc::unreachable);
}

TEST_CASE("a member that is busy is asked again, and what it said is kept", "[net][join]") {
  searching it{{1, 2}};
  CHECK(it.next() == 1);
  it.hear(join_search::unproven{unreachable(1)});
  CHECK(it.next() == 2);
  it.hear(join_search::refused{{errc::busy, "too many others"}});
  CHECK(it.next() == 1);
  CHECK(it.search.delayed_by().code == errc::busy);
  CHECK(it.rounds == 1);
}

TEST_CASE("a search follows those that members name, and says who has named them", "[net][join]") {
  searching it{{1}};
  CHECK(it.next() == 1);
  it.hear(join_search::named{at_each({8, 9})});
  CHECK(it.next() == 8);
  it.hear(join_search::unproven{unreachable(8)});
  CHECK(it.next() == 9);
  it.hear(join_search::unproven{wrong_cluster});
  CHECK(it.next() == 1);
  auto why = it.search.delayed_by().detail;
  CHECK_THAT(why, ContainsSubstring("host:1 says"));
  CHECK_THAT(why, ContainsSubstring("host:8 cannot be reached"));
}

TEST_CASE("a member that knows no address of the CA says so", "[net][join]") {
  searching it{{1}};
  CHECK(it.next() == 1);
  it.hear(join_search::named{});
  CHECK(it.next() == 1);
  CHECK(it.search.delayed_by().code == errc::not_found);
  CHECK_THAT(it.search.delayed_by().detail, ContainsSubstring("start that node"));
}

TEST_CASE("members that name each other, or very many, hold nobody up", "[net][join]") {
  searching it{{1, 2}};
  CHECK(it.next() == 1);
  it.hear(join_search::named{at_each({2})});
  CHECK(it.next() == 2);
  it.hear(join_search::named{at_each({1})});
  CHECK(it.rounds == 0);
  CHECK(it.next() == 1); // the next round
  CHECK(it.rounds == 1);
  std::vector<std::uint16_t> many;
  for (std::uint16_t port = 100; port < 400; ++port)
    many.push_back(port);
  it.hear(join_search::named{at_each(many)});
  auto port = it.next();
  for (std::uint16_t index = 0; index < join_search::max_named; ++index) {
    CHECK(port == 100 + index);
    it.hear(join_search::unproven{unreachable(port)});
    port = it.next();
  }
  CHECK(it.rounds == 1);
  REQUIRE(port == 2);
  std::size_t named = 0;
  for (; port != 1 && named <= join_search::max_asked; port = it.next()) {
    ++named;
    it.hear(join_search::named{at_each({static_cast<std::uint16_t>(1'000 + named)})});
  }
  CHECK(port == 1);
  CHECK(named <= join_search::max_asked);
}

TEST_CASE("a round ends when the time is over", "[net][join]") {
  searching it{{1, 2}};
  CHECK(it.next() == 1);
  it.hear(join_search::unproven{unreachable(1)});
  it.now += 10s;
  CHECK(it.next() == 0);
  CHECK_THAT(it.why.detail, ContainsSubstring("host:1"));
}

TEST_CASE("whatever is answered, a search ends in time, and with a reason", "[net][join]") {
  test::for_each_seed(200, [](random_source random) {
    searching it{{1, 2, 3}};
    auto asked = 0;
    for (auto port = it.next(); port != 0; port = it.next()) {
      REQUIRE(++asked < 100'000);
      it.now += std::chrono::milliseconds{1 + random.below(50)};
      switch (random.below(5)) {
        case 0:
          it.hear(join_search::named{
            at_each({static_cast<std::uint16_t>(1 + random.below(6)), std::uint16_t{2}})});
          break;
        case 1:
          it.hear(join_search::refused{{errc::busy, "busy"}});
          break;
        case 2:
          if (random.below(20) == 0)
            it.hear(join_search::unproven{wrong_cluster});
          else
            it.hear(join_search::unproven{{errc::timed_out, "silent"}});
          break;
        default:
          it.hear(join_search::unproven{unreachable(port)});
      }
    }
    CHECK(it.why);
    CHECK(it.now <= time_point{1h} + 11s);
  });
}

} // namespace join_search_test
