#include "troupe/core/rising_map.hpp" // the header under test

#include "support/seeds.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace rising_map_test {

using namespace troupe;

namespace {

using map = rising_map<std::string>;
using model = std::map<std::uint64_t, std::string>;

std::vector<std::pair<std::uint64_t, std::string>> all_of(const map& from) {
  std::vector<std::pair<std::uint64_t, std::string>> result;
  for (auto& [number, what] : from)
    result.emplace_back(number, what);
  return result;
}

std::vector<std::pair<std::uint64_t, std::string>> all_of(const model& from) {
  return {from.begin(), from.end()};
}

void check_same(const map& it, const model& as) {
  REQUIRE(it.size() == as.size());
  REQUIRE(it.empty() == as.empty());
  REQUIRE(all_of(it) == all_of(as));
}

/// What is found at and behind a number.
void check_found(map& it, const model& as, std::uint64_t number) {
  REQUIRE(it.contains(number) == as.contains(number));
  auto found = it.find(number);
  REQUIRE((found == it.end()) == !as.contains(number));
  if (found != it.end())
    REQUIRE(found->second == as.at(number));
  auto next = it.lower_bound(number);
  auto expected = as.lower_bound(number);
  REQUIRE((next == it.end()) == (expected == as.end()));
  if (next != it.end())
    REQUIRE(next->first == expected->first);
  auto above = std::as_const(it).upper_bound(number);
  auto expected_above = as.upper_bound(number);
  REQUIRE((above == std::as_const(it).end()) == (expected_above == as.end()));
  if (expected_above != as.end())
    REQUIRE(above->first == expected_above->first);
}

} // namespace

TEST_CASE("values by rising numbers are those that a map has, whatever goes and comes", "[core]") {
  test::for_each_seed(200, [](test::random_source random) {
    map it;
    model as;
    std::uint64_t last = 0;
    auto gaps = random.below(3) == 0 ? 5U : 1U;
    auto comes_late = random.below(4) == 0;
    auto leaves_first = 1 + random.below(4);
    for (auto step = 0; step < 1'000; ++step) {
      auto text = std::to_string(step);
      switch (random.below(8)) {
        case 0:
        case 1:
        case 2:
        case 3: {
          auto number = comes_late && random.below(8) == 0 ? random.below(last + 1)
                                                           : (last += 1 + random.below(gaps));
          auto [place, is_new] = it.emplace(number, text);
          auto [expected, expected_new] = as.emplace(number, text);
          REQUIRE(is_new == expected_new);
          REQUIRE(place->second == expected->second);
          break;
        }
        case 4:
        case 5:
        case 6: {
          if (as.empty())
            break;
          auto which = as.lower_bound(random.below(last + 1));
          if (which == as.end() || random.below(leaves_first) == 0)
            which = as.begin();
          if (which == as.begin() && random.below(2) == 0) {
            auto [number, what] = it.take_first();
            REQUIRE(number == which->first);
            REQUIRE(what == which->second);
          } else {
            REQUIRE(it.take(which->first) == which->second);
          }
          as.erase(which);
          break;
        }
        default:
          check_found(it, as, random.below(last + 3));
      }
      if (step % 50 == 0)
        check_same(it, as);
    }
    check_same(it, as);
  });
}

TEST_CASE("one that is put between others has its place, however full the map is", "[core]") {
  test::for_each_seed(300, [](test::random_source random) {
    map it;
    model as;
    auto count = 1 + random.below(40);
    for (std::uint64_t each = 1; each <= count; ++each) {
      it.emplace(10 * each, "put first");
      as.emplace(10 * each, "put first");
      if (each > 1 && random.below(3) == 0) { // a gap that is not at an end
        auto gone = 10 * (1 + random.below(each - 1));
        REQUIRE(it.erase(gone) == as.erase(gone));
      }
    }
    for (auto step = 0; step < 40; ++step) {
      auto number = random.below(10 * count + 10);
      auto text = std::to_string(step);
      REQUIRE(it.emplace(number, text).second == as.emplace(number, text).second);
      check_same(it, as);
      if (random.below(2) == 0) {
        auto which = as.lower_bound(random.below(10 * count + 10));
        if (which != as.end()) {
          REQUIRE(it.erase(which->first) == 1);
          as.erase(which);
        }
      }
      check_found(it, as, random.below(10 * count + 10));
    }
    std::vector<std::uint64_t> backwards;
    if (!it.empty())
      for (auto each = it.end(); each != it.begin();)
        backwards.push_back((--each)->first);
    std::vector<std::uint64_t> expected;
    for (auto each = as.rbegin(); each != as.rend(); ++each)
      expected.push_back(each->first);
    REQUIRE(backwards == expected);
  });
}

TEST_CASE("a map by rising numbers gives back the room of those that have gone", "[core]") {
  auto is_fair = [](const map& it) { return it.room() <= 16 * it.size() + 128; };
  for (auto kept : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{500}, std::uint64_t{999}}) {
    map it;
    for (std::uint64_t each = 0; each < 1'000; ++each) {
      it.emplace(each, "");
      REQUIRE(it.room() <= 4 * it.size());
    }
    for (std::uint64_t each = 0; each < 1'000; ++each) {
      if (each != kept)
        it.erase(each);
      REQUIRE(is_fair(it));
    }
    CHECK(it.begin()->first == kept);
    it.erase(kept);
    CHECK(it.room() <= 16);
  }
  map down;
  for (std::uint64_t each = 1'000; each-- > 0;) {
    down.emplace(each, "");
    REQUIRE(down.room() <= 4 * down.size());
  }
  for (std::uint64_t each = 1'000; each-- > 0;) {
    down.erase(each);
    REQUIRE(is_fair(down));
  }
}

TEST_CASE("one that stays costs no room for those that have gone since", "[core]") {
  rising_map<std::vector<char>> it;
  it.emplace(1, std::vector<char>(100));
  for (std::uint64_t each = 2; each < 100'000; ++each) {
    it.emplace(each, std::vector<char>(100));
    REQUIRE(it.take(each));
  }
  CHECK(it.size() == 1);
  CHECK(it.begin()->first == 1);
  CHECK(++it.begin() == it.end());
  CHECK_FALSE(it.take(2));
  CHECK(it.erase(2) == 0);
  CHECK_THROWS(it.at(2));
  it.clear();
  CHECK(it.begin() == it.end());
  CHECK_FALSE(it.contains(1));
}

TEST_CASE("a map by rising numbers that was moved from is empty, and can be used", "[core]") {
  map from;
  from.emplace(7, "seven");
  from.emplace(9, "nine");
  auto to = std::move(from);
  check_same(to, {{7, "seven"}, {9, "nine"}});
  check_same(from, {});
  from.emplace(3, "three");
  check_same(from, {{3, "three"}});
  to = std::move(from);
  check_same(to, {{3, "three"}});
  check_same(from, {});
  CHECK_FALSE(from.contains(3));
}

TEST_CASE("numbers by which a map rises may be far from each other", "[core]") {
  constexpr auto highest = std::numeric_limits<std::uint64_t>::max();
  map it;
  model as;
  for (auto each : {highest, std::uint64_t{0}, highest / 2, std::uint64_t{1}, highest - 1}) {
    it.emplace(each, std::to_string(each));
    as.emplace(each, std::to_string(each));
    check_same(it, as);
    for (auto number : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, highest / 2 - 1,
                        highest / 2, highest - 2, highest - 1, highest})
      check_found(it, as, number);
  }
  for (auto each : {highest, std::uint64_t{1}, std::uint64_t{0}, highest - 1, highest / 2}) {
    CHECK(it.erase(each) == 1);
    as.erase(each);
    check_same(it, as);
  }
}

TEST_CASE("a value that cannot be made leaves a map by rising numbers as it was", "[core]") {
  struct picky {
    explicit picky(int made) : number(made) {
      if (made < 0)
        throw std::invalid_argument{"below zero"};
    }
    int number;
  };
  rising_map<picky> it;
  for (std::uint64_t each : {10, 20, 30})
    it.emplace(each, static_cast<int>(each));
  it.erase(20);
  for (std::uint64_t each : {40, 20, 15, 5})
    CHECK_THROWS_AS(it.emplace(each, -1), std::invalid_argument);
  CHECK(it.size() == 2);
  for (std::uint64_t each : {40, 20, 15, 5})
    CHECK(it.emplace(each, static_cast<int>(each)).second);
  std::vector<int> seen;
  for (auto& [number, what] : it)
    seen.push_back(what.number);
  CHECK(seen == std::vector{5, 10, 15, 20, 30, 40});
}

TEST_CASE("a set of rising numbers has each once, in order", "[core]") {
  rising_set all;
  for (auto each : {4U, 2U, 9U, 4U})
    all.insert(each);
  CHECK(all.size() == 3);
  CHECK(all.first() == 2);
  CHECK(all.contains(9));
  CHECK(all.erase(2) == 1);
  CHECK(all.erase(2) == 0);
  std::vector<std::uint64_t> seen;
  all.for_each([&](auto each) { seen.push_back(each); });
  CHECK(seen == std::vector<std::uint64_t>{4, 9});
}

} // namespace rising_map_test
