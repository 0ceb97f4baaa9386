#include "troupe/durable.hpp" // the header under test
#include "node/node_fixture.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/host/client.hpp"
#include "troupe/service.hpp"

#include <chrono>
#include <cstdint>
#include <string>

#include <catch2/matchers/catch_matchers_string.hpp>

namespace durable_test {

struct take_number {
  using result = std::uint64_t;
  TROUPE_FIELDS(take_number);
};

TROUPE_MESSAGES(durable_test_numbers, take_number);

struct number_rules
  : troupe::host::plain_machine<number_rules, std::uint64_t, troupe::host::commands<take_number>> {
  std::uint64_t apply(const take_number&) {
    return ++state();
  }
};

struct number_service : troupe::host::plain_service<number_rules> {
  using plain_service::plain_service;
  static constexpr const char* name = "numbers";
};

inline const bool is_initialised = (troupe::init<durable_test_numbers>(), true);

} // namespace durable_test

using namespace std::literals;
using namespace troupe;
using namespace durable_test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a service of one node goes on from its file, which it has for itself", "[node]") {
  test::temporary_folder folder;
  const auto file = folder / "numbers.db";
  {
    testing::cluster c{1};
    auto service = troupe::spawn<number_service>(c[0].system(), {}, troupe::durable{file});
    REQUIRE(service);
    host::client<host::protocol_of<number_service>> client{c[0].system(), *service};
    CHECK(client.ask(take_number{}, 10s).value() == 1);
    CHECK(client.ask(take_number{}, 10s).value() == 2);
    auto second = troupe::spawn<number_service>(c[0].system(), {}, troupe::durable{file});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == errc::in_use);
    CHECK_THAT(second.error().detail, ContainsSubstring("numbers.db"));
  }
  testing::cluster c{1};
  auto service = troupe::spawn<number_service>(c[0].system(), {}, troupe::durable{file.string()});
  REQUIRE(service);
  host::client<host::protocol_of<number_service>> client{c[0].system(), *service};
  CHECK(client.ask(take_number{}, 10s).value() == 3);
  auto nowhere = troupe::spawn<number_service>(c[0].system(), {}, troupe::durable{"no/such/f.db"});
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().code == errc::bad_argument);
}
