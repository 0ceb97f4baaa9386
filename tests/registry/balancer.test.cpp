#include "troupe/registry/balancer.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <limits>
#include <map>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::registry;

namespace {

using candidates = std::vector<candidate>;

std::string chosen(balancer& policy, const candidates& among, const work& what = {}) {
  auto position = policy.choose(among, what);
  return position ? among[*position].id : "nobody";
}

} // namespace

TEST_CASE("nobody is chosen only if nobody is there", "[registry][balancer]") {
  for (auto policy : {balancing::round_robin, balancing::random, balancing::least_loaded,
                      balancing::resource_aware, balancing::consistent_hash}) {
    INFO(name_of(policy));
    balancer subject{policy};
    CHECK(chosen(subject, {}) == "nobody");
    CHECK(chosen(subject, {{"a"}}) == "a");
    CHECK(chosen(subject, {}) == "nobody");
  }
}

TEST_CASE("round robin passes over nobody when others come and go", "[registry][balancer]") {
  balancer subject{balancing::round_robin};
  CHECK(chosen(subject, {{"c"}, {"a"}, {"b"}}) == "a");
  CHECK(chosen(subject, {{"c"}, {"b"}}) == "b"); // a has left
  CHECK(chosen(subject, {{"b"}, {"a"}, {"c"}, {"d"}}) == "c");
  CHECK(chosen(subject, {{"d"}, {"a"}}) == "d");
  CHECK(chosen(subject, {{"d"}, {"a"}}) == "a");
}

TEST_CASE("random choices reach everybody alike and repeat with their seed",
          "[registry][balancer]") {
  balancer subject{balancing::random, 7};
  balancer twin{balancing::random, 7};
  std::map<std::string, int> times;
  for (int each = 0; each < 3000; ++each) {
    auto first = chosen(subject, {{"a"}, {"b"}, {"c"}});
    CHECK(first == chosen(twin, {{"a"}, {"b"}, {"c"}}));
    ++times[first];
  }
  for (auto& [id, count] : times)
    CHECK((count > 900 && count < 1100));
}

TEST_CASE("the least loaded is chosen, equals share", "[registry][balancer]") {
  balancer subject{balancing::least_loaded};
  CHECK(chosen(subject, {{"a", 3}, {"b", 1}, {"c", 2}}) == "b");
  std::map<std::string, int> times;
  for (int each = 0; each < 3000; ++each)
    ++times[chosen(subject, {{"a", 1}, {"b", 5}, {"c", 1}, {"d", 1}})];
  CHECK_FALSE(times.contains("b"));
  for (auto id : {"a", "c", "d"})
    CHECK((times[id] > 900 && times[id] < 1100));
}

TEST_CASE("work goes where it takes the smallest part of what is left", "[registry][balancer]") {
  constexpr std::uint64_t gib = std::uint64_t{1} << 30U;
  balancer subject{balancing::resource_aware};
  candidates among{{"small", 0, {2'000, 4 * gib, 0}},
                   {"large", 9, {16'000, 64 * gib, 0}},
                   {"gpu", 0, {4'000, 16 * gib, 1}}};
  CHECK(chosen(subject, among, {.needs = {1'000, gib, 0}}) == "large");
  CHECK(chosen(subject, among, {.needs = {1'000, gib, 1}}) == "gpu");
  CHECK(chosen(subject, among, {.needs = {1'000, 128 * gib, 0}}) == "nobody");
  CHECK(chosen(subject, among, {.needs = {2'000, 4 * gib, 0}}) == "large"); // an exact fit counts
  candidates equals{{"a", 2, {4'000, gib, 0}}, {"b", 1, {4'000, gib, 0}}};
  CHECK(chosen(subject, equals, {.needs = {1'000, 0, 0}}) == "b"); // then the load decides
}

TEST_CASE("shares are compared exactly, however large", "[registry][balancer]") {
  using detail::share;
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  CHECK(share{most - 1, most} < share{most, most});
  CHECK(share{most - 2, most - 1} < share{most - 1, most});
  CHECK_FALSE(share{most - 1, most} < share{most - 2, most - 1});
  CHECK_FALSE(share{1, 3} < share{most / 3, most}); // equal
  CHECK_FALSE(share{most / 3, most} < share{1, 3});
  for (std::uint64_t a = 0; a < 12; ++a)
    for (std::uint64_t b = 1; b < 12; ++b)
      for (std::uint64_t c = 0; c < 12; ++c)
        for (std::uint64_t d = 1; d < 12; ++d)
          REQUIRE((share{a, b} < share{c, d}) == (a * d < c * b));
}

TEST_CASE("a key stays with its candidate while that is there", "[registry][balancer]") {
  balancer subject{balancing::consistent_hash};
  candidates all{{"a"}, {"b"}, {"c"}, {"d"}};
  candidates fewer{{"d"}, {"a"}, {"b"}};
  for (int each = 0; each < 200; ++each) {
    work what{.key = "key" + std::to_string(each)};
    auto before = chosen(subject, all, what);
    auto without = chosen(subject, fewer, what);
    if (before != "c")
      CHECK(without == before);
    CHECK(chosen(subject, all, what) == before);
  }
}
