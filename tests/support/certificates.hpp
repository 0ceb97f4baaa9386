#pragma once

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "troupe/platform/calendar.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/testing/throwaway_ca.hpp"

namespace troupe::test {

/// A CA that lasts as long as a test, and what it gives out.
class throwaway_ca : public testing::throwaway_ca {
public:
  [[nodiscard]] std::shared_ptr<security::credentials>
  issue(const std::string& name, security::role as = security::role::member,
        security::rights may = security::rights::operate) const {
    return make_credentials(name, as, may);
  }

  /// Whose time is `late` after now; before it they are not valid, an hour later not any more.
  [[nodiscard]] std::shared_ptr<security::credentials> issue_for(const std::string& name,
                                                                 duration late) const {
    auto key = security::key_pair::make();
    auto then = read_calendar() + late;
    auto issued = authority().issue(
      key.public_half(),
      {name, security::role::member, security::rights::operate, std::chrono::hours{1}}, then);
    REQUIRE(issued);
    auto made = security::credentials::make(std::move(key), *issued, authority().own(), then);
    REQUIRE(made);
    static_cast<void>((*made)->context(then)); // its TLS key is of that time, too
    return *made;
  }

  /// From now on `by` refuses the certificate of `whom`, or all of its identity.
  static void revoke(security::credentials& by, const security::facts& whom,
                     bool all_of_it = false) {
    security::revocation_list list{1, read_calendar(), {}, {}};
    if (all_of_it)
      list.identities.emplace(whom.node, list.made);
    else
      list.certificates.emplace(whom.serial, list.made);
    by.revoked()->set(std::make_shared<const security::revocation_list>(std::move(list)));
  }
};

} // namespace troupe::test
