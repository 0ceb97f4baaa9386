#include "troupe/core/result.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <concepts>
#include <memory>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

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

TEST_CASE("what a call has returned may be looped over", "[core][result]") {
  auto numbers = [] { return result<std::vector<int>>{{1, 2, 3}}; };
  auto sum = 0;
  for (auto each : numbers().value())
    sum += each;
  for (auto each : *numbers())
    sum += each;
  CHECK(sum == 12);
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

TEST_CASE("a result is made of what converts to its value", "[core][result]") {
  auto name = []() -> result<std::string> { return "anna"; }();
  CHECK(*name == "anna");
}

TEST_CASE("the value of a result that has none is an exception with the problem",
          "[core][result]") {
  CHECK(half_of(4).value() == 2);
  auto refused = half_of(3);
  try {
    half_of(4).value(); // may stand alone, only to throw
    refused.value();
    FAIL("no exception");
  } catch (const bad_result_access& thrown) {
    CHECK(thrown.error() == refused.error());
    CHECK(std::string{thrown.what()} == "bad_argument: odd");
  }
  CHECK(half_of(3).value_or(7) == 7);
  CHECK(half_of(4).value_or(7) == 2);
  CHECK(result<std::string>{problem{errc::failed, ""}}.value_or("none") == "none");
}

TEST_CASE("results are chained until the first problem", "[core][result]") {
  CHECK(half_of(8).and_then(half_of) == result<int>{2});
  CHECK(half_of(6).and_then(half_of).error().detail == "odd");
  auto calls = 0;
  auto counted = [&](int number) {
    ++calls;
    return half_of(number);
  };
  CHECK_FALSE(half_of(5).and_then(counted));
  CHECK(calls == 0);
  const auto kept = half_of(8);
  CHECK(kept.and_then(counted) == result<int>{2});
  CHECK(*kept == 4);
}

TEST_CASE("the value of a result is transformed, also to nothing", "[core][result]") {
  auto as_text = [](int number) { return std::to_string(number); };
  CHECK(half_of(8).transform(as_text) == result<std::string>{"4"});
  CHECK(half_of(7).transform(as_text).error().detail == "odd");
  auto seen = 0;
  auto noted = half_of(8).transform([&](int number) { seen = number; });
  STATIC_REQUIRE(std::same_as<decltype(noted), result<void>>);
  CHECK(noted);
  CHECK(seen == 4);
  result<std::unique_ptr<int>> owned{std::make_unique<int>(7)};
  auto taken = std::move(owned).transform([](std::unique_ptr<int> what) { return *what; });
  CHECK(*taken == 7);
}

TEST_CASE("a problem is mended, or said in other words", "[core][result]") {
  CHECK(half_of(3).or_else([](const problem&) -> result<int> { return 0; }) == result<int>{0});
  CHECK(half_of(4).or_else([](const problem&) -> result<int> { return 0; }) == result<int>{2});
  auto with_place = [](problem why) {
    why.detail = "line 3: " + why.detail;
    return why;
  };
  CHECK(half_of(3).transform_error(with_place).error().detail == "line 3: odd");
  CHECK(half_of(4).transform_error(with_place) == result<int>{2});
  CHECK(half_of(3).error_or().detail == "odd");
  CHECK_FALSE(half_of(4).error_or());
}

TEST_CASE("results are equal when their values or their problems are", "[core][result]") {
  CHECK_FALSE(half_of(8) == half_of(6));
  CHECK_FALSE(half_of(4) == half_of(3));
  CHECK_FALSE(half_of(3) == result<int>{problem{errc::bad_argument, "even"}});
  CHECK_FALSE(result<void>{} == result<void>{problem{errc::failed, ""}});
}

TEST_CASE("whoever asks a result for its problem may have another for none", "[core][result]") {
  const problem other{errc::not_found, "none"};
  CHECK(half_of(4).error_or(other) == other);
  CHECK(half_of(3).error_or(other).detail == "odd");
  CHECK(result<void>{}.error_or(other) == other);
  CHECK(result<void>{problem{errc::in_use, ""}}.error_or(other).code == errc::in_use);
}

TEST_CASE("a result that ends gives its value on, and keeps no copy", "[core][result]") {
  using owned = result<std::unique_ptr<int>>;
  auto made = [] { return owned{std::make_unique<int>(7)}; };
  auto same = [](problem why) { return why; };
  CHECK(*made().and_then([](std::unique_ptr<int> what) { return result<int>{*what}; }) == 7);
  CHECK(**made().or_else([](const problem&) { return owned{nullptr}; }) == 7);
  CHECK(**made().transform_error(same) == 7);
  CHECK(*made().value_or(nullptr) == 7);
}

TEST_CASE("a result without a value says whether it was done", "[core][result]") {
  result<void> done;
  CHECK(done);
  CHECK_NOTHROW(done.value());
  CHECK(result<void>{problem{}} == done);
  result<void> refused{problem{errc::in_use, "port 6767"}};
  CHECK_FALSE(refused);
  CHECK(refused.error().code == errc::in_use);
  CHECK_THROWS_AS(refused.value(), bad_result_access);
  CHECK(done.and_then([] { return half_of(4); }) == result<int>{2});
  CHECK(done.transform([] { return 3; }) == result<int>{3});
  CHECK(refused.transform([] { return 3; }).error().code == errc::in_use);
  CHECK(refused.or_else([](const problem&) { return result<void>{}; }));
}

TEST_CASE("a problem is true when there is one, and prints", "[core][result]") {
  CHECK_FALSE(problem{});
  CHECK(problem{errc::not_found, "no agent 'x'"});
  std::ostringstream out;
  out << problem{errc::not_found, "no agent 'x'"} << '\n' << problem{} << '\n';
  CHECK(out.str() == "not_found: no agent 'x'\nnone\n");
}

} // namespace result_test
