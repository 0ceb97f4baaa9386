#include "troupe/security/standing.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace standing_test {

using namespace std::literals;
using namespace troupe;
using security::standing_of;

namespace {

constexpr wall_time begin{1000h};

security::facts certified(duration lasts) {
  security::facts made;
  made.name = "ann";
  made.valid_from = begin;
  made.valid_until = begin + lasts;
  return made;
}

} // namespace

TEST_CASE("a peer is trusted for as long as its certificate lasts", "[security]") {
  auto ann = certified(10h);
  CHECK(standing_of(ann, {}, begin).refusal.empty());
  CHECK(standing_of(ann, {}, ann.valid_until).refusal.empty());
  auto late = standing_of(ann, {}, ann.valid_until + 1ns).refusal;
  CHECK(late.find("'ann'") != std::string::npos);
  CHECK(late.find("has expired") != std::string::npos);
}

TEST_CASE("a peer whose certificate is revoked is trusted no more, and hears why", "[security]") {
  CHECK(standing_of(certified(10h), "was revoked", begin).refusal == "was revoked");
}

TEST_CASE("the clock of a peer's machine may be behind, once it was checked", "[security]") {
  CHECK(standing_of(certified(10h), {}, begin - 1h).refusal.empty());
}

TEST_CASE("a certificate is looked at again when it ends, and once a minute at least",
          "[security]") {
  auto ann = certified(10h);
  CHECK(standing_of(ann, {}, begin).look_again == 1min);
  auto last = ann.valid_until - 20s;
  auto again = standing_of(ann, {}, last).look_again;
  CHECK(again < 1min);
  CHECK_FALSE(standing_of(ann, {}, last + again).refusal.empty());
}

} // namespace standing_test
