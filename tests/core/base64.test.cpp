#include "troupe/core/base64.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "support/seeds.hpp"

namespace base64_test {

using namespace std::literals;
using namespace troupe;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

} // namespace

TEST_CASE("base64 is that of RFC 4648, section 10", "[core][base64]") {
  for (auto& [plain, text] :
       {std::pair{""sv, ""sv}, std::pair{"f"sv, "Zg=="sv}, std::pair{"fo"sv, "Zm8="sv},
        std::pair{"foo"sv, "Zm9v"sv}, std::pair{"foob"sv, "Zm9vYg=="sv},
        std::pair{"fooba"sv, "Zm9vYmE="sv}, std::pair{"foobar"sv, "Zm9vYmFy"sv}}) {
    CHECK(to_base64(bytes_of(plain)) == text);
    auto read = from_base64(text);
    REQUIRE(read);
    CHECK(std::ranges::equal(*read, bytes_of(plain)));
  }
}

TEST_CASE("base64 that is not the one right text is refused", "[core][base64]") {
  for (auto text : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "====", "=Zg=", "Zm9-", "Zm 9",
                    "Zg==\n", "Z\0=="})
    CHECK_FALSE(from_base64(text));
}

TEST_CASE("any bytes come back from base64", "[core][base64]") {
  test::for_each_seed(200, [](test::random_source random) {
    std::vector<std::byte> bytes(random.below(50));
    for (auto& each : bytes)
      each = static_cast<std::byte>(random.below(256));
    CHECK(from_base64(to_base64(bytes)) == bytes);
  });
}

} // namespace base64_test
