#include "troupe/sim/lease_laws.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

using namespace troupe::sim;

namespace {

constexpr auto ttl = "100";

operation acquired(std::uint64_t token, std::int64_t call, std::int64_t end) {
  return {"c", "k", {"acquire", {}, ttl, std::to_string(token), outcome::ok, call}, end};
}

operation after(const std::string& verb, std::uint64_t token, std::int64_t call,
                outcome how = outcome::ok) {
  auto second = verb == "renew" ? std::optional<std::string>{ttl} : std::nullopt;
  auto end = how == outcome::unknown ? std::nullopt : std::optional{call + 5};
  return {"c", "k", {verb, std::to_string(token), second, {}, how, call}, end};
}

std::vector<std::string> judged(const std::vector<operation>& lines) {
  history all;
  for (auto& each : lines)
    all.add(each);
  return broken_leases(all);
}

} // namespace

TEST_CASE("leases that follow each other are well") {
  CHECK(judged({}).empty());
  CHECK(judged({acquired(1, 0, 10), acquired(2, 50, 100)}).empty()); // ran out
  CHECK(judged({acquired(1, 0, 10), after("release", 1, 20), acquired(2, 15, 22)}).empty());
  CHECK(judged({acquired(1, 0, 10), after("renew", 1, 50), acquired(2, 60, 150)}).empty());
  CHECK(judged({acquired(1, 0, 10), after("renew", 1, 50, outcome::fail), acquired(2, 20, 110)})
          .empty());
  auto unsure = after("release", 1, 20, outcome::unknown);
  CHECK(judged({acquired(1, 0, 10), unsure, acquired(2, 15, 25)}).empty());
  CHECK(judged({after("renew", 7, 0)}).empty()); // nobody saw the grant
}

TEST_CASE("a lease that ends before its time is found") {
  auto found = judged({acquired(1, 0, 10), acquired(2, 50, 99)});
  REQUIRE(found.size() == 1);
  CHECK(found[0] == "token 2 of k was granted before the lease of token 1 could be over");
  CHECK(judged({acquired(1, 0, 10), after("renew", 1, 50), acquired(2, 60, 149)}).size() == 1);
  auto refused = after("release", 1, 20, outcome::fail);
  CHECK(judged({acquired(1, 0, 10), refused, acquired(2, 15, 22)}).size() == 1);
}

TEST_CASE("tokens that do not rise are found") {
  CHECK(judged({acquired(1, 0, 10), acquired(1, 200, 210)})
        == std::vector<std::string>{"token 1 of k was granted twice"});
  CHECK(judged({acquired(2, 0, 10), acquired(1, 200, 210)})
        == std::vector<std::string>{"token 2 of k was granted before the lower token 1",
                                    "token 2 of k was granted before the lease of token 1 could be "
                                    "over"});
}

TEST_CASE("a lease that lives on after the next grant is found") {
  for (auto* verb : {"renew", "release"}) {
    auto found = judged({acquired(1, 0, 10), acquired(2, 100, 110), after(verb, 1, 111)});
    REQUIRE_FALSE(found.empty());
    CHECK(found[0]
          == std::string{verb} + " of token 1 of k went well after token 2 had been granted");
  }
}
