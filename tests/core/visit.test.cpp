#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "troupe/core/overloaded.hpp"

namespace visit_test {

using namespace troupe;

namespace {

template <std::size_t I>
struct nth {};

template <std::size_t... I>
std::variant<nth<I>...> many(std::index_sequence<I...>);

using forty = decltype(many(std::make_index_sequence<40>{}));

template <std::size_t... I>
void check_all(std::index_sequence<I...>) {
  auto number = []<std::size_t J>(nth<J>) { return J; };
  CHECK(((troupe::visit(number, forty{nth<I>{}}) == I) && ...));
}

struct throws_when_moved {
  throws_when_moved() = default;
  throws_when_moved(throws_when_moved&&) {
    throw 1;
  }
  throws_when_moved& operator=(throws_when_moved&&) = default;
};

} // namespace

TEST_CASE("each alternative of a long variant is visited as itself") {
  check_all(std::make_index_sequence<40>{});
}

TEST_CASE("a visitor may change what it visits") {
  std::variant<int, std::string> what = std::string{"a"};
  troupe::visit(overloaded{[](int& each) { ++each; }, [](std::string& each) { each += "b"; }},
                what);
  CHECK(std::get<std::string>(what) == "ab");
}

TEST_CASE("a visitor gets what is given away as such") {
  std::variant<int, std::unique_ptr<int>> what = std::make_unique<int>(3);
  auto take = overloaded{[](int&&) { return std::unique_ptr<int>{}; },
                         [](std::unique_ptr<int>&& each) { return std::move(each); }};
  CHECK(*troupe::visit(take, std::move(what)) == 3);
}

TEST_CASE("a visitor sees a const variant as const, and may return a reference into it") {
  const std::variant<int, int> what{std::in_place_index<1>, 4};
  auto look = [](auto& each) -> auto& {
    return each;
  };
  static_assert(std::is_same_v<decltype(troupe::visit(look, what)), const int&>);
  CHECK(&troupe::visit(look, what) == std::get_if<1>(&what));
}

TEST_CASE("a variant that holds nothing is not visited") {
  std::variant<int, throws_when_moved> what = 1;
  CHECK_THROWS_AS(what.emplace<1>(throws_when_moved{}), int);
  CHECK_THROWS_AS(troupe::visit([](auto&) {}, what), std::bad_variant_access);
}

} // namespace visit_test
