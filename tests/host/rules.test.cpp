#include "troupe/host/rules.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

using namespace troupe;
using namespace troupe::host;

namespace rules_test {

constexpr service_rules old_host{host_rules::first, 3};
constexpr service_rules old_machine{host_rules::begin_with_command, 2};

TEST_CASE("what was written before the host had rules of its own means its first", "[host]") {
  CHECK_FALSE(service_rules{}.has(host_rules::begin_with_command));
  CHECK(service_rules{}.machine() == 1);
  CHECK(old_host.number() == 3);
  CHECK(old_machine.has(host_rules::begin_with_command));
}

TEST_CASE("rules of host and machine are known or not each on its own", "[host]") {
  CHECK_FALSE(old_host.include(old_machine));
  CHECK_FALSE(old_machine.include(old_host));
  CHECK(old_host.include(service_rules{2}));
  CHECK(old_host.in_common_with(old_machine).number() == 2);
  auto both = old_host.together_with(old_machine);
  CHECK(both.include(old_host));
  CHECK(both.include(old_machine));
  CHECK(both.text() == "3 (host 1)");
}

} // namespace rules_test
