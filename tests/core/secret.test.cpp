#include "troupe/core/secret.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <new>
#include <ostream>
#include <type_traits>

namespace secret_test {

using namespace troupe;

namespace {

constexpr std::array key{std::byte{1}, std::byte{2}, std::byte{3}};

template <class T>
concept can_be_printed = requires(std::ostream& out, const T& what) {
  out << what;
};

struct any_inspector {};

template <class T>
concept can_be_inspected = requires(any_inspector& f, T& what) {
  inspect(f, what);
};

bool is_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](auto each) { return each == std::byte{0}; });
}

} // namespace

TEST_CASE("a secret cannot be copied, compared, printed or written to a message", "[core]") {
  STATIC_CHECK_FALSE(std::is_copy_constructible_v<secret>);
  STATIC_CHECK_FALSE(std::is_copy_assignable_v<secret>);
  STATIC_CHECK_FALSE(std::equality_comparable<secret>);
  STATIC_CHECK_FALSE(can_be_printed<secret>);
  STATIC_CHECK_FALSE(can_be_inspected<secret>);
}

TEST_CASE("a secret takes bytes and leaves zeros behind", "[core]") {
  auto source = key;
  auto taken = secret::take(source);
  CHECK(is_zero(source));
  CHECK(std::ranges::equal(taken.bytes(), key));
  auto moved = std::move(taken);
  CHECK(std::ranges::equal(moved.bytes(), key));
  CHECK(taken.size() == 0); // NOLINT(bugprone-use-after-move)
  moved = secret{};
  CHECK(moved.bytes().empty());
}

TEST_CASE("bytes that are wiped are zero", "[core]") {
  auto source = key;
  secret::wipe(source);
  CHECK(is_zero(source));
  secret::wipe({}); // a secret of no bytes
}

} // namespace secret_test
