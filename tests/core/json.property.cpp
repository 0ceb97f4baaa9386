#include "troupe/core/json.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/everything.hpp"
#include "support/seeds.hpp"
#include "troupe/core/codec.hpp"

namespace json_property {

using namespace troupe;

TEST_CASE("whatever JSON says is read back the same", "[core][json]") {
  test::for_each_seed(500, [](test::random_source random) {
    auto original = test::maker{random}.all();
    auto text = to_json(original);
    REQUIRE(text);
    auto read = from_json<test::everything>(*text);
    REQUIRE(read);
    CHECK(to_bytes(*read) == to_bytes(original)); // tells -0.0 from 0.0
    CHECK(*to_json(*read) == *text);
  });
}

TEST_CASE("a real number comes back bit by bit from at most 17 digits", "[core][json]") {
  test::for_each_seed(5'000, [](test::random_source random) {
    auto number = test::maker{random}.real<double>();
    auto text = *to_json(number);
    CHECK(std::bit_cast<std::uint64_t>(*from_json<double>(text))
          == std::bit_cast<std::uint64_t>(number));
    auto single = test::maker{random}.real<float>();
    CHECK(std::bit_cast<std::uint32_t>(*from_json<float>(*to_json(single)))
          == std::bit_cast<std::uint32_t>(single));
    CHECK(text.size() <= 25);
  });
}

TEST_CASE("no text brings the JSON reader down", "[core][json]") {
  test::for_each_seed(1'000, [](test::random_source random) {
    auto text = *to_json(test::maker{random}.all());
    for (auto flips = 1 + random.below(4); flips > 0; --flips)
      text[random.below(text.size())] = static_cast<char>(random.below(256));
    if (random.one_in(4))
      text.resize(random.below(text.size() + 1));
    auto read = from_json<test::everything>(text);
    if (read)
      CHECK(to_json(*read));
    else
      CHECK(is_utf8(read.error().detail));
  });
}

} // namespace json_property
