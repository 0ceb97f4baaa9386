#include "troupe/cluster/finder_guide.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <string>
#include <vector>

#include "support/take.hpp"

namespace finder_guide_test {

using namespace std::literals;
using namespace troupe;
using cluster::finder_effects;
using cluster::finder_guide;
using cluster::whereabouts;
using net::address;

namespace {

const address a{"a", 1};
const address b{"b", 1};
const address c{"c", 1};

struct guided {
  /// Whom it dials, if anybody.
  std::vector<address> dialled() {
    std::vector<address> found;
    for (auto& each : test::take<finder_effects::dial>(out)) {
      found.push_back(each.where);
      requests.dials().take(each.id);
    }
    return found;
  }

  void pass(duration span) {
    now += span;
    it.tick(now, out);
  }

  cluster::finder_options options;
  cluster::service_addresses addresses{{a, b, c}, 10};
  cluster::finder_requests requests{1min, 10};
  finder_guide it{options, addresses, requests};
  finder_effects::effects out;
  time_point now{1h};
};

} // namespace

TEST_CASE("the guide is the node that has shown the way, else the first that is not the host",
          "[node][finder]") {
  guided g;
  SECTION("there is one") {
    g.it.have(g.now, a, c, g.out);
    CHECK(g.dialled() == std::vector{c});
  }
  SECTION("there is none") {
    g.it.have(g.now, a, std::nullopt, g.out);
    CHECK(g.dialled() == std::vector{b});
  }
}

TEST_CASE("a client that calls once needs no guide", "[node][finder]") {
  guided g;
  g.options.guide_after = 2s;
  g.it.have(g.now, a, std::nullopt, g.out);
  CHECK(g.dialled().empty());
  CHECK(g.it.next_deadline() == g.now + 2s);
  g.pass(2s);
  CHECK(g.dialled() == std::vector{b});
}

TEST_CASE("a guide that serves stays until the services come to it", "[node][finder]") {
  guided g;
  g.it.have(g.now, a, std::nullopt, g.out);
  g.dialled();
  g.it.dialled(g.now, b, net::connection_id{7}, g.out);
  CHECK(g.it.serves_over(7));
  g.it.have(g.now, c, std::nullopt, g.out);
  CHECK(g.dialled().empty());
  g.it.have(g.now, b, std::nullopt, g.out);
  CHECK(g.dialled() == std::vector{a});
}

TEST_CASE("a guide that does not answer is replaced after a pause", "[node][finder]") {
  guided g;
  g.it.have(g.now, a, std::nullopt, g.out);
  g.dialled();
  g.it.dialled(g.now, b, net::connection_id{7}, g.out);
  SECTION("its link ends") {
    g.it.link_down(g.now, 7);
  }
  SECTION("it is silent") {
    g.pass(3s);
  }
  SECTION("it refuses") {
    CHECK_FALSE(g.it.heard(g.now, problem{errc::failed, "for the test"}, g.out));
  }
  CHECK_FALSE(g.it.serves());
  CHECK(g.dialled().empty());
  g.pass(5s);
  CHECK(g.dialled() == std::vector{c});
}

TEST_CASE("a guide that cannot be dialled yet is dialled later", "[node][finder]") {
  guided g;
  cluster::finder_requests full{1min, 1};
  REQUIRE(full.dial(g.now, {"other", 1}, g.out) != nullptr);
  finder_guide it{g.options, g.addresses, full};
  it.have(g.now, a, std::nullopt, g.out);
  CHECK(test::take<finder_effects::dial>(g.out).size() == 1); // the other one
  CHECK(full.dials().take_due(g.now + 1min).size() == 1);
  REQUIRE(it.next_deadline());
  it.tick(*it.next_deadline(), g.out);
  CHECK(test::take<finder_effects::dial>(g.out).size() == 1);
}

TEST_CASE("where there is no guide at rest there is one soon after a doubt, until that is over",
          "[node][finder]") {
  guided g;
  g.options.has_guide = false;
  g.it.have(g.now, a, c, g.out);
  CHECK_FALSE(g.it.is_wanted());
  g.it.doubt(g.now, a);
  CHECK(g.dialled().empty());
  SECTION("it begins once") {
    g.pass(150ms);
    CHECK(g.dialled().empty());
    g.it.doubt(g.now, a);
    g.pass(50ms);
    CHECK(g.dialled() == std::vector{b});
    g.it.doubt(g.now, a);
    CHECK(g.dialled().empty());
  }
  SECTION("the doubt is over before") {
    g.it.end_doubt();
    g.pass(1h);
    CHECK(g.dialled().empty());
  }
  SECTION("the services are elsewhere") {
    g.pass(200ms);
    g.it.have(g.now, c, std::nullopt, g.out);
    CHECK_FALSE(g.it.is_wanted());
  }
}

TEST_CASE("a guide that there is at rest stays as it is through a doubt", "[node][finder]") {
  guided g;
  g.it.have(g.now, a, std::nullopt, g.out);
  g.dialled();
  g.it.dialled(g.now, b, net::connection_id{7}, g.out);
  g.it.doubt(g.now, a);
  g.it.end_doubt();
  g.pass(200ms);
  CHECK(g.it.serves_over(7));
  CHECK(g.dialled().empty());
}

TEST_CASE("a guide has news when it has changed its mind", "[node][finder]") {
  guided g;
  g.it.have(g.now, a, std::nullopt, g.out);
  g.it.dialled(g.now, b, net::connection_id{7}, g.out);
  CHECK(g.it.heard(g.now, whereabouts{.address = "c:1", .revision = 4}, g.out));
  CHECK_FALSE(g.it.heard(g.now, whereabouts{.address = "c:1", .revision = 4}, g.out));
  CHECK(test::take<finder_effects::ask>(g.out).back().known == 4);
}

} // namespace finder_guide_test
