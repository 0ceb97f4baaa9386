#include "troupe/node/link_rules.hpp" // the header under test

#include "troupe/service.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>

namespace link_rules_test {

using namespace troupe;
using net::need;

/// A command of one service, and a query of another one.
struct sale {
  using result = std::uint64_t;
  TROUPE_FIELDS(sale);
};

struct tally {
  using result = std::uint64_t;
  TROUPE_FIELDS(tally);
};

TROUPE_MESSAGES(link_rules_messages, sale, tally);

struct till_rules : host::plain_machine<till_rules, std::uint64_t, host::commands<sale>> {
  std::uint64_t apply(const sale&) {
    return ++state();
  }
};

struct till : host::plain_service<till_rules> {
  using plain_service::plain_service;
  static constexpr const char* name = "till";
};

struct book_rules
  : host::plain_machine<book_rules, std::uint64_t, host::commands<>, host::queries<sale, tally>> {
  std::uint64_t answer(const sale&) const {
    return state();
  }
  std::uint64_t answer(const tally&) const {
    return state();
  }
};

struct book : host::plain_service<book_rules> {
  using plain_service::plain_service;
  static constexpr const char* name = "book";
};

TEST_CASE("who may only read asks the queries of a program's services, but none that is a command "
          "of another one",
          "[node]") {
  cluster::service_options services;
  services.add<till>("till");
  services.add<book>("book");
  auto rules = cluster::link_rules(services);
  CHECK(rules->need_of(caf::type_id_v<tally>) == need::read);
  CHECK(rules->need_of(caf::type_id_v<sale>) == need::use);
}

} // namespace link_rules_test
