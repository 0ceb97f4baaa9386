#include "troupe/sim/laws/lease_model.hpp"

#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lease_model_test {

using namespace troupe::sim;

namespace {

/// Leases of 100 ns, on clocks that may be twice as fast: over after 50 at the earliest.
constexpr lease_model rules{500'000'000};

operation acquired(std::string token, std::int64_t call, std::int64_t end) {
  return {"c", "k", {"acquire", {}, "100", std::move(token), outcome::ok, call}, end};
}

operation done(std::string verb, std::string token, std::int64_t call, std::int64_t end,
               outcome how = outcome::ok) {
  auto ended = how == outcome::unknown ? std::nullopt : std::optional{end};
  return {"c", "k", {std::move(verb), std::move(token), "100", {}, how, call}, ended};
}

verdict of(const std::vector<operation>& lines) {
  history all;
  for (auto& each : lines)
    all.add(each);
  return judge(rules, all).outcome;
}

} // namespace

TEST_CASE("a lease may be granted to another once the one before could have ended") {
  CHECK(of({acquired("1", 0, 10), acquired("2", 40, 50)}) == verdict::linearizable);
  CHECK(of({acquired("1", 0, 10), acquired("2", 40, 49)}) == verdict::violated);
}

TEST_CASE("tokens of leases rise, and each is granted once") {
  CHECK(of({acquired("1", 0, 10), acquired("1", 200, 210)}) == verdict::violated);
  CHECK(of({acquired("2", 0, 10), acquired("1", 200, 210)}) == verdict::violated);
}

TEST_CASE("a renewal counts from when it was asked for") {
  CHECK(of({acquired("1", 0, 10), done("renew", "1", 40, 60), acquired("2", 70, 89)})
        == verdict::violated);
  CHECK(of({acquired("1", 0, 10), done("renew", "1", 40, 60), acquired("2", 70, 90)})
        == verdict::linearizable);
}

TEST_CASE("a lease that was given back is free at once, and is nobody's any more") {
  CHECK(of({acquired("1", 0, 10), done("release", "1", 15, 20), acquired("2", 21, 25)})
        == verdict::linearizable);
  CHECK(of({acquired("1", 0, 10), done("release", "1", 15, 20), done("renew", "1", 21, 25)})
        == verdict::violated);
}

TEST_CASE("a holder is called stale only where its lease may have ended") {
  CHECK(of({acquired("1", 0, 10), done("renew", "1", 20, 30, outcome::fail)}) == verdict::violated);
  CHECK(of({acquired("1", 0, 10), done("renew", "1", 20, 50, outcome::fail)})
        == verdict::linearizable);
}

TEST_CASE("nobody renews or gives back a lease after the next grant") {
  for (auto* verb : {"renew", "release"})
    CHECK(of({acquired("1", 0, 10), acquired("2", 100, 110), done(verb, "1", 111, 115)})
          == verdict::violated);
}

TEST_CASE("a release of unknown outcome may have freed the lock at once, a refused one has not") {
  auto unsure = done("release", "1", 20, 0, outcome::unknown);
  CHECK(of({acquired("1", 0, 10), unsure, acquired("2", 15, 25)}) == verdict::linearizable);
  auto refused = done("release", "1", 20, 25, outcome::fail);
  CHECK(of({acquired("1", 0, 10), refused, acquired("2", 15, 22)}) == verdict::violated);
}

TEST_CASE("a renewal of unknown outcome may have been carried out, or not") {
  auto unsure = done("renew", "1", 40, 0, outcome::unknown);
  CHECK(of({acquired("1", 0, 10), unsure, acquired("2", 60, 70)}) == verdict::linearizable);
  CHECK(of({acquired("1", 0, 10), unsure, done("renew", "1", 80, 85), acquired("2", 90, 131)})
        == verdict::linearizable);
}

} // namespace lease_model_test
