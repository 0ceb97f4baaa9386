#include "troupe/cluster/service_search.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "support/take.hpp"

namespace service_search_test {

using namespace std::literals;
using namespace troupe;
using cluster::finder_effects;
using cluster::service_search;
using net::address;
using stage = service_search::stage;

namespace {

const address a{"a", 1};
const address b{"b", 1};
const address c{"c", 1};

/// A search among some addresses.
struct searching {
  explicit searching(std::vector<address> all) : addresses(std::move(all), 10) {
    it.begin(now, std::nullopt, out);
  }

  /// Where it dials now: all earlier dials have failed.
  std::vector<address> dialled() {
    std::vector<address> found;
    check();
    for (auto& each : test::take<finder_effects::dial>(out)) {
      found.push_back(each.where);
      requests.dials().take(each.id);
    }
    return found;
  }

  /// The node that it dials cannot be reached; passes until it dials the next.
  void fail() {
    it.again(now, {errc::unreachable, "for the test"}, out);
    REQUIRE(it.at() == stage::pausing);
    now = *it.next_deadline();
    it.dial_next(now, out);
  }

  /// A node on that link points elsewhere.
  void follow(net::connection_id link, const address& from, const std::optional<address>& there) {
    it.ask(now, link, from, out);
    it.end_question();
    it.follow(now, {link, from, 1}, there, out);
  }

  void check() const {
    CHECK(it.flaws([](auto) { return true; }) == std::vector<std::string>{});
  }

  cluster::finder_options options;
  cluster::service_addresses addresses;
  cluster::finder_requests requests{1min, 10};
  time_point now{1h};
  service_search it{options, addresses, requests, 1};
  finder_effects::effects out;
};

} // namespace

TEST_CASE("a search asks all in turn, and passes over the one that was silent for a while",
          "[node][finder]") {
  searching s{{a, b, c}};
  CHECK(s.dialled() == std::vector{a});
  s.it.is_silent(b);
  s.fail();
  CHECK(s.dialled() == std::vector{c});
  s.fail();
  CHECK(s.dialled() == std::vector{a});
  for (auto tries = 0; tries < 3; ++tries) {
    s.fail();
    s.dialled();
  }
  CHECK_FALSE(s.it.silent()); // it may only have been slow
}

TEST_CASE("the pauses of a search grow up to two seconds", "[node][finder]") {
  searching s{{a}};
  s.it.again(s.now, {errc::unreachable, "for the test"}, s.out);
  CHECK(*s.it.next_deadline() <= s.now + 200ms);
  for (auto tries = 0; tries < 20; ++tries) {
    CHECK(*s.it.next_deadline() <= s.now + 2s);
    s.it.again(s.now, {errc::unreachable, "for the test"}, s.out);
  }
  CHECK(*s.it.next_deadline() > s.now + 500ms);
}

TEST_CASE("the pauses of a search are short again once the services were found", "[node][finder]") {
  searching s{{a}};
  auto first_pause = [&s] {
    s.it.again(s.now, {errc::unreachable, "for the test"}, s.out);
    return *s.it.next_deadline() - s.now;
  };
  auto longest = 0ns;
  for (auto tries = 0; tries < 20; ++tries)
    longest = std::max<duration>(longest, first_pause());
  CHECK(longest > 500ms);
  s.it.succeed();
  s.it.begin(s.now, std::nullopt, s.out);
  CHECK(first_pause() <= 200ms);
}

TEST_CASE("searches that follow each other for what was found are one loss", "[node][finder]") {
  searching s{{a}};
  auto fails = [&s] {
    s.it.again(s.now, {errc::unreachable, "for the test"}, s.out);
    return test::take<finder_effects::failed>(s.out).back().lasts;
  };
  s.it.succeed();
  s.it.begin(s.now, std::nullopt, s.out);
  CHECK_FALSE(fails());
  s.now += 1s;
  s.it.begin(s.now, std::nullopt, s.out);
  s.now += 1s;
  CHECK(fails());
  s.it.succeed();
  s.it.begin(s.now, std::nullopt, s.out);
  CHECK_FALSE(fails());
}

TEST_CASE("who answers late has not been named by the node that has shown the way",
          "[node][finder]") {
  searching s{{a, b, c}};
  s.dialled();
  s.follow(7, a, b);
  CHECK(s.dialled() == std::vector{b});
  s.it.take_late(s.now, 8, c, s.out);
  CHECK(s.it.shown_by().link == 0);
  s.it.end_question();
  s.it.again(s.now, {errc::unreachable, "for the test"}, s.out);
  CHECK(s.it.at() == stage::pausing);
  SECTION("and its steps are counted anew") {
    s.it.dial_next(s.now, s.out);
    s.dialled();
    for (net::connection_id link = 1; link <= 3; ++link)
      s.follow(link, link % 2 == 1 ? a : b, link % 2 == 1 ? b : a);
    s.dialled();
    s.it.take_late(s.now, 9, c, s.out);
    s.follow(9, c, b);
    CHECK(s.dialled() == std::vector{b});
  }
}

TEST_CASE("a node that has shown the way is asked again when that leads nowhere",
          "[node][finder]") {
  searching s{{a, b}};
  s.dialled();
  s.follow(7, a, b);
  CHECK(s.dialled() == std::vector{b});
  CHECK(s.it.shown_by().link == 7);
  s.out.clear();
  s.it.again(s.now, {errc::unreachable, "for the test"}, s.out);
  CHECK(s.it.at() == stage::waiting);
  auto asked = test::take<finder_effects::ask>(s.out);
  REQUIRE(asked.size() == 1);
  CHECK(asked.front().link == 7);
  CHECK(asked.front().known == 1); // until it knows better
}

TEST_CASE("nodes that point at each other are left after three steps", "[node][finder]") {
  searching s{{a, b}};
  s.dialled();
  for (net::connection_id link = 1; link <= 3; ++link) {
    s.follow(link, link % 2 == 1 ? a : b, link % 2 == 1 ? b : a);
    CHECK(s.dialled().size() == 1);
  }
  s.follow(4, b, a);
  CHECK(s.dialled().empty());
  CHECK(s.it.at() == stage::pausing);
}

} // namespace service_search_test
