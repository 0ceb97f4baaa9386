#include "troupe/core/result.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace result_test {

using namespace troupe;

namespace {

result<int> half_of(int number) {
  if (number % 2 != 0)
    return problem{errc::bad_argument, "odd"};
  return number / 2;
}

} // namespace

static_assert(!std::is_default_constructible_v<result<int>>);
static_assert(!std::is_convertible_v<result<int>, bool>);

TEST_CASE("a result is a value or the problem that kept it from being made", "[core][result]") {
  auto made = half_of(4);
  REQUIRE(made);
  CHECK(*made == 2);
  auto refused = half_of(3);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == problem{errc::bad_argument, "odd"});
}

TEST_CASE("a value can be changed in place and moved out", "[core][result]") {
  result<std::string> name{"ann"};
  *name += "a";
  CHECK(name->size() == 4);
  CHECK(*std::move(name) == "anna");
  result<std::unique_ptr<int>> owned{std::make_unique<int>(7)};
  auto taken = *std::move(owned);
  CHECK(*taken == 7);
}

TEST_CASE("a result can be assigned anew", "[core][result]") {
  auto copy = half_of(3);
  copy = half_of(8);
  CHECK(*copy == 4);
}

} // namespace result_test
