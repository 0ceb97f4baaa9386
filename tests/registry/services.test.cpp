#include "support/services.hpp"
#include "router/named_nodes.hpp"
#include "troupe/registry/name_service.hpp" // a header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace std::literals;
using namespace troupe;
using namespace troupe::registry;
using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;
using host::call;

namespace {

struct fixture : clocked_services<caf::id_block::troupe_registry, name_service> {
  template <class Handle, class T>
  auto ask(const Handle& hdl, const T& what) {
    return clocked_services::ask(hdl, call{}, what);
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "names answer alike on every host", "[registry][names][service]") {
  auto on_disk = GENERATE(false, true);
  INFO((on_disk ? "durable" : "in memory"));
  auto hdl = start<name_service>(on_disk, "names");
  auto first = *ask(hdl, names::claim{{"echo", "ping"}, "n1"_owner, 1});
  REQUIRE(first.claimed.size() == 2);
  auto second = ask(hdl, names::claim{{"echo"}, "n2"_owner, 1});
  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::name_taken);
  CHECK_THAT(second.error().detail, ContainsSubstring("node n1 has the name echo"));
  CHECK(look(hdl, names::find_claim{"echo"}).found->owner == "n1"_owner);
  CHECK(ask(hdl, names::release{{"ping"}, "n1"_owner, 1})->names.size() == 1);
  CHECK(look(hdl, names::list_claims{}).claimed.size() == 1);
  CHECK(ask(hdl, names::owner_gone{"n1"_owner, 1})->names.size() == 1);
  CHECK(ask(hdl, names::claim{{"echo"}, "n2"_owner, 1})->claimed[0].token > first.claimed[1].token);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "names outlive their service", "[registry][names][service]") {
  auto hdl = start_durable<name_service>("names");
  auto first = *ask(hdl, names::claim{{"echo"}, "n1"_owner, 1});
  stop(hdl);
  hdl = start_durable<name_service>("names");
  CHECK(ask(hdl, names::claim{{"echo"}, "n2"_owner, 1}).error().code == errc::name_taken);
  CHECK(*ask(hdl, names::claim{{"echo"}, "n1"_owner, 1}) == first);
  CHECK(ask(hdl, names::claim{{"ping"}, "n2"_owner, 1})->claimed[0].token > first.claimed[0].token);
  stop(hdl);
}

TEST_CASE_METHOD(fixture, "other nodes can spawn the service of names by name",
                 "[registry][names][service]") {
  auto who = start_by_name<names_actor>("troupe.names", names::name_options{});
  CHECK(ask(who, names::claim{{"echo"}, "n1"_owner, 1}));
  stop(who);
}
