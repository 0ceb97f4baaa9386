#include "troupe/core/utf8.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <string_view>

namespace utf8_test {

using troupe::is_utf8;
using namespace std::literals;

TEST_CASE("well-formed text of every length is taken", "[core][utf8]") {
  for (auto text : {""sv, "a"sv, "\x7f"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv,
                    "\xed\x9f\xbf"sv, "\xee\x80\x80"sv, "\xef\xbf\xbf"sv, "\xf0\x90\x80\x80"sv,
                    "\xf3\xbf\xbf\xbf"sv, "\xf4\x8f\xbf\xbf"sv, "a\0b"sv}) {
    INFO(text);
    CHECK(is_utf8(text));
    CHECK(is_utf8("x" + std::string{text} + "y"));
  }
}

TEST_CASE("text that some reader would take for another is refused", "[core][utf8]") {
  for (auto text :
       {"\x80"sv, "\xbf"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv,
        "\xed\xbf\xbf"sv, "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv,
        "\xff"sv, "\xc3"sv, "\xe1\x80"sv, "\xf1\x80\x80"sv, "\xc3\x28"sv, "\xe2\x28\xa1"sv}) {
    CHECK_FALSE(is_utf8(text));
    CHECK_FALSE(is_utf8("x" + std::string{text}));
    CHECK_FALSE(is_utf8(std::string{text} + "y"));
  }
}

TEST_CASE("the start of a text ends between two characters", "[core][utf8]") {
  CHECK(troupe::utf8_prefix("abc", 3) == "abc");
  CHECK(troupe::utf8_prefix("abc", 2) == "ab");
  CHECK(troupe::utf8_prefix("a\xc3\xbc", 2) == "a");
  CHECK(troupe::utf8_prefix("\xf0\x9f\x98\x80", 3).empty());
}

} // namespace utf8_test
