#include "troupe/node/own_certificate.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/node/init.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/setup.hpp"

namespace own_certificate_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;

SCENARIO("a node says when its certificate ends, and takes another one", "[node]") {
  GIVEN("a node with a certificate for 30 days") {
    test::temporary_folder folder;
    auto now = read_calendar();
    auto ca = security::authority::make(folder / "ca", now);
    REQUIRE(ca);
    auto key = security::key_pair::make();
    auto put = [&](security::role as, duration lasts) {
      auto issued = ca->issue(key.public_half(), {"n1", as, security::rights::use, lasts}, now);
      REQUIRE(issued);
      REQUIRE(security::put_certificates(folder.path(), ca->own(), *issued));
    };
    put(security::role::member, 30 * 24h);
    auto credentials = security::credentials::load(folder.path(), key, now);
    REQUIRE(credentials);
    troupe::init();
    caf::actor_system_config cfg;
    caf::actor_system sys{cfg};
    std::vector<std::string> lines;
    cluster::node_log log{"n1", [&](const log_line& line) { lines.push_back(line.text); }};
    cluster::own_certificate it{sys, folder.path(), *credentials, log};
    auto* gauge
      = sys.metrics().gauge_singleton("troupe", "certificate-seconds-left", "", "seconds");
    THEN("it says nothing until seven days before the end, and then once a day") {
      it.look(now + 22 * 24h);
      CHECK(lines.empty());
      CHECK(gauge->value() / 3600 == 8 * 24 - 1); // 1 s less, as certificates have whole seconds
      it.look(now + 23 * 24h);
      REQUIRE(lines.size() == 1);
      CHECK_THAT(lines.back(),
                 ContainsSubstring("has to be renewed") && ContainsSubstring("troupe ca renew"));
      it.look(now + 23 * 24h + 1s);
      it.look(now + 24 * 24h - 1s);
      CHECK(lines.size() == 1);
    }
    THEN("it says so when it has ended") {
      it.look(now + 31 * 24h);
      REQUIRE(lines.size() == 1);
      CHECK_THAT(lines.back(), ContainsSubstring("has ended"));
      CHECK(gauge->value() < 0);
    }
    WHEN("a renewed one is put there") {
      it.look(now + 24 * 24h);
      put(security::role::member, 40 * 24h);
      it.look(now + 24 * 24h + 1s);
      THEN("new links have it, and nothing is complained of any more") {
        REQUIRE(lines.size() == 3);
        CHECK_THAT(lines[1],
                   ContainsSubstring("over: the certificate of this node has to be renewed"));
        CHECK_THAT(lines[2], ContainsSubstring("new links prove"));
        CHECK((*credentials)->self().valid_until > now + 39 * 24h);
        it.look(now + 25 * 24h + 2s);
        CHECK(lines.size() == 3);
      }
    }
    WHEN("a renewed one is put there before it looks for the first time") {
      put(security::role::member, 40 * 24h);
      cluster::own_certificate late{sys, folder.path(), *credentials, log};
      late.look(now);
      THEN("new links have that one") {
        CHECK((*credentials)->self().valid_until > now + 39 * 24h);
      }
    }
    WHEN("something else is put there") {
      put(security::role::client, 40 * 24h);
      it.look(now);
      THEN("that is said, and it keeps what it has") {
        REQUIRE(lines.size() == 1);
        CHECK_THAT(lines.back(),
                   ContainsSubstring("not taken") && ContainsSubstring("role client"));
        CHECK((*credentials)->self().as == security::role::member);
        put(security::role::member, 40 * 24h);
        it.look(now + 1s);
        CHECK_THAT(lines.back(), ContainsSubstring("new links prove"));
      }
    }
  }
}

} // namespace own_certificate_test
