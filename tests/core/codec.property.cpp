#include "troupe/core/codec.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/everything.hpp"
#include "support/seeds.hpp"

namespace codec_property {

using namespace std::literals;
using namespace troupe;

TEST_CASE("whatever is encoded is decoded the same", "[core][codec]") {
  test::for_each_seed(500, [](test::random_source random) {
    auto original = test::maker{random}.all();
    auto bytes = to_bytes(original);
    auto read = from_bytes<test::everything>(bytes);
    REQUIRE(read);
    CHECK(*read == original);
    CHECK(to_bytes(*read) == bytes);
  });
}

TEST_CASE("bytes that are cut short, or go on after the end, are refused", "[core][codec]") {
  auto bytes = to_bytes(std::vector{test::maker{random_source{7}}.all()});
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(from_bytes<std::vector<test::everything>>(bytes.substr(0, size)));
  CHECK_FALSE(from_bytes<std::vector<test::everything>>(bytes + "x"));
}

TEST_CASE("what hostile bytes turn into survives another round trip", "[core][codec]") {
  test::for_each_seed(2'000, [](test::random_source random) {
    auto bytes = to_bytes(test::maker{random}.all());
    for (auto flips = 1 + random.below(4); flips > 0; --flips)
      bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    if (auto read = from_bytes<test::everything>(bytes)) {
      auto again = to_bytes(*read);
      CHECK(to_bytes(*from_bytes<test::everything>(again)) == again);
    }
  });
}

TEST_CASE("a struct may hold itself down to the documented depth", "[core][codec]") {
  auto deepest = test::branch(max_nesting);
  auto read = from_bytes<test::tree>(to_bytes(deepest));
  REQUIRE(read);
  CHECK(*read == deepest);
}

TEST_CASE("bytes that nest too deep are refused, however deep", "[core][codec]") {
  // A tree is the length of its body, its label (none) and the count of its children.
  auto nested = [](std::size_t depth) {
    std::string bytes;
    auto size = [](std::size_t value) {
      auto text = to_bytes(static_cast<std::uint32_t>(value));
      return text.substr(1);
    };
    for (auto level = depth; level > 0; --level) {
      bytes += size(12 * level - 4);
      bytes += size(0);
      bytes += size(level > 1 ? 1 : 0);
    }
    return static_cast<char>(codec_format) + bytes;
  };
  REQUIRE(nested(3) == to_bytes(test::branch(3)));
  CHECK(from_bytes<test::tree>(nested(max_nesting)));
  CHECK_FALSE(from_bytes<test::tree>(nested(max_nesting + 1)));
  CHECK_FALSE(from_bytes<test::tree>(nested(1'000'000)));
  CHECK(try_to_bytes(test::branch(max_nesting)).value() == nested(max_nesting));
  auto refused = try_to_bytes(test::branch(max_nesting + 1));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::too_large);
}

TEST_CASE("a count beyond the bytes that follow allocates nothing", "[core][codec]") {
  std::vector<std::byte> bytes;
  CHECK_FALSE(decoder{"\xff\xff\xff\x7f"}.get(bytes));
  CHECK(bytes.capacity() == 0);
  std::vector<std::uint64_t> numbers;
  CHECK_FALSE(decoder{"\xff\xff\xff\x7f"}.get(numbers));
  CHECK(numbers.capacity() == 0);
  CHECK_FALSE(from_bytes<std::string>("\x01\x02\x00\x00\x00z"s));
}

TEST_CASE("arrays and tuples have no bytes of their own", "[core][codec]") {
  CHECK(to_bytes(std::array<std::uint8_t, 2>{1, 2}) == "\x01\x01\x02");
  CHECK(to_bytes(std::array{std::byte{1}, std::byte{2}}) == "\x01\x01\x02");
  CHECK(to_bytes(std::pair<std::uint8_t, bool>{1, true}) == "\x01\x01\x01");
  CHECK(to_bytes(std::vector{std::byte{7}}) == "\x01\x01\x00\x00\x00\x07"s);
  CHECK(to_bytes(1.5) == "\x01\x00\x00\x00\x00\x00\x00\xf8\x3f"s);
}

} // namespace codec_property
