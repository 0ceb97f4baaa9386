#include "troupe/core/msgpack.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/everything.hpp"
#include "support/seeds.hpp"
#include "troupe/core/codec.hpp"

namespace msgpack_test {

using namespace std::literals;
using namespace troupe;
using tree = nlohmann::json;

namespace {

/// Reads "d6-ff-5a".
std::string from_dashed_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 3) {
    unsigned value = 0;
    std::from_chars(text.data() + at, text.data() + at + 2, value, 16);
    bytes += static_cast<char>(value);
  }
  return bytes;
}

/// The value of a case of the suite, made by what the case says of its kind.
tree value_of(const tree& row) {
  if (row.contains("bignum")) {
    auto text = row["bignum"].get<std::string>();
    return text.starts_with('-') ? tree(std::stoll(text)) : tree(std::stoull(text));
  }
  for (auto kind : {"nil", "bool", "number", "string", "array", "map"})
    if (row.contains(kind))
      return row[kind];
  if (row.contains("timestamp"))
    return from_timestamp({row["timestamp"][0], row["timestamp"][1]});
  auto extended = row.contains("ext");
  auto bytes = from_dashed_hex(extended ? row["ext"][1].get<std::string>()
                                        : row["binary"].get<std::string>());
  auto binary = tree::binary({bytes.begin(), bytes.end()});
  if (extended)
    binary.get_binary().set_subtype(row["ext"][0]);
  return binary;
}

/// An integer may be written as a real number, and is still the same number.
bool decodes_to(std::string_view bytes, const tree& expected) {
  if (expected.is_number_unsigned())
    return *from_msgpack<std::uint64_t>(bytes) == expected.get<std::uint64_t>();
  if (expected.is_number_integer())
    return *from_msgpack<std::int64_t>(bytes) == expected.get<std::int64_t>();
  if (expected.is_number_float())
    return *from_msgpack<double>(bytes) == expected.get<double>();
  return *parse_msgpack(bytes) == expected;
}

bool is_real(std::string_view bytes) {
  return bytes.front() == '\xca' || bytes.front() == '\xcb';
}

/// Checks every case of the suite; returns how many encodings it had.
std::size_t check_suite(const std::filesystem::path& file) {
  std::ifstream in{file};
  REQUIRE(in);
  auto suite = parse_json(std::string{std::istreambuf_iterator<char>{in}, {}});
  REQUIRE(suite);
  std::size_t encodings = 0;
  for (auto& [group, rows] : suite->items())
    for (auto& row : rows) {
      INFO(group << ": " << row);
      auto expected = value_of(row);
      auto written = write_msgpack(expected);
      bool listed = false;
      for (auto& text : row["msgpack"]) {
        auto bytes = from_dashed_hex(text.get<std::string>());
        ++encodings;
        CHECK(decodes_to(bytes, expected));
        if (row.contains("timestamp"))
          CHECK(to_timestamp(*parse_msgpack(bytes)) == to_timestamp(expected));
        listed = listed || written == bytes;
        if (expected.is_number_float() || !is_real(bytes)) // we keep integers integers
          CHECK(written.size() <= bytes.size());
        for (std::size_t size = 0; size < bytes.size(); ++size)
          CHECK_FALSE(parse_msgpack(std::string_view{bytes}.substr(0, size)));
        CHECK_FALSE(parse_msgpack(bytes + "\xc0"));
      }
      CHECK(listed);
    }
  return encodings;
}

template <class T>
std::string refusal(std::string_view bytes) {
  auto read = from_msgpack<T>(bytes);
  return read ? "read" : std::string{name_of(read.error().code)} + ": " + read.error().detail;
}

} // namespace

TEST_CASE("MessagePack is read and written as others do, in short", "[core][msgpack]") {
  CHECK(check_suite(TROUPE_TESTS_DIR "/data/msgpack/msgpack-test-suite.json") == 55);
}

TEST_CASE("MessagePack is read and written as others do, in full", "[core][msgpack]") {
  auto folder = std::filesystem::path{TROUPE_TEST_DATA};
  if (folder.empty())
    SKIP("TROUPE_TEST_DATA is not set");
  CHECK(check_suite(folder / "msgpack/msgpack-test-suite.json") == 130);
}

TEST_CASE("whatever MessagePack says is read back the same", "[core][msgpack]") {
  test::for_each_seed(500, [](test::random_source random) {
    auto original = test::maker{random}.all();
    auto bytes = to_msgpack(original);
    REQUIRE(bytes);
    auto read = from_msgpack<test::everything>(*bytes);
    REQUIRE(read);
    CHECK(to_bytes(*read) == to_bytes(original));
    CHECK(*to_msgpack(*read) == *bytes);
  });
}

TEST_CASE("no bytes bring the MessagePack reader down", "[core][msgpack]") {
  test::for_each_seed(1'000, [](test::random_source random) {
    auto bytes = *to_msgpack(test::maker{random}.all());
    for (auto flips = 1 + random.below(4); flips > 0; --flips)
      bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    if (auto read = from_msgpack<test::everything>(bytes); !read)
      CHECK(is_utf8(read.error().detail));
  });
}

TEST_CASE("MessagePack has bytes and numbers that JSON has not", "[core][msgpack]") {
  CHECK(*to_msgpack(std::vector{std::byte{0}, std::byte{255}}) == "\xc4\x02\x00\xff"s);
  CHECK(*to_msgpack(std::map<std::string, int>{{"a", -1}})
        == "\x81\xa1"
           "a\xff");
  auto infinity = std::numeric_limits<double>::infinity();
  CHECK(*from_msgpack<double>(*to_msgpack(infinity)) == infinity);
  CHECK(*from_msgpack<float>(*to_msgpack(-std::numeric_limits<float>::infinity())) == -infinity);
  CHECK(std::isnan(*from_msgpack<double>(*to_msgpack(std::nan("")))));
}

TEST_CASE("MessagePack that is not a value of ours is refused with its place", "[core][msgpack]") {
  CHECK(refusal<int>("")
        == "bad_argument: byte 0: syntax error while parsing MessagePack value: "
           "unexpected end of input");
  CHECK(refusal<int>("\xc1").starts_with("bad_argument: byte 1: "));
  CHECK(refusal<int>("\x81\x01\x02").starts_with("bad_argument: byte 2: ")); // key is no text
  CHECK(refusal<int>("\x82\xa1x\x01\xa1x\x02")
        == R"(bad_argument: byte 6: the key "x" is given twice)");
  CHECK(refusal<std::string>("\xa1\xff") == "bad_argument: byte 2: a text that is not UTF-8");
  CHECK(refusal<int>("\x81\xa1\xff\x01") == "bad_argument: byte 3: a key that is not UTF-8");
  CHECK(refusal<std::vector<std::byte>>("\xd4\x01\x10")
        == "bad_argument: expected bytes, found an extension");
  CHECK(refusal<std::array<std::byte, 2>>("\xc4\x01\x10")
        == "bad_argument: expected 2 bytes, found 1 bytes");
  CHECK(refusal<test::square>("\x81\xa4side\xff")
        == "bad_argument: side: expected an integer from 0 to 4294967295, found -1");
  CHECK_FALSE(to_msgpack("\xff"s));
}

TEST_CASE("sizes that lie and deep nests cost nothing", "[core][msgpack]") {
  for (auto head : {"\xdd"s, "\xdf"s, "\xdb"s, "\xc6"s}) // an array, map, text, bytes of 2^32 - 1
    CHECK(refusal<int>(head + "\xff\xff\xff\xff").starts_with("bad_argument: byte 5: "));
  CHECK(parse_msgpack(std::string(64, '\x91') + "\xc0"));
  CHECK(refusal<int>(std::string(65, '\x91') + "\xc0")
        == "too_large: byte 65: nested deeper than json_limits::max_depth = 64");
  CHECK(refusal<int>(std::string(10'000'000, '\x91')).starts_with("too_large: byte 65: "));
  CHECK(refusal<int>(std::string(10'000'000, '\xdd')).starts_with("too_large: byte 325: "));
}

TEST_CASE("only extensions of the three sizes are moments in time", "[core][msgpack]") {
  CHECK_FALSE(to_timestamp(tree(1)));
  CHECK_FALSE(to_timestamp(*parse_msgpack("\xd6\x01\x00\x00\x00\x00"s))); // another type
  CHECK_FALSE(to_timestamp(*parse_msgpack("\xd5\xff\x00\x00"s)));         // another size
  CHECK_FALSE(to_timestamp(*parse_msgpack("\xd7\xff\xff\xff\xff\xff\x00\x00\x00\x00"s))); // > 10^9
}

TEST_CASE("a moment is written in the shortest form that holds it", "[core][msgpack]") {
  constexpr std::int64_t one = 1;
  struct row {
    msgpack_timestamp moment;
    std::size_t bytes;
  };
  for (auto& [moment, bytes] :
       {row{{0, 0}, 4}, row{{(one << 32U) - 1, 0}, 4}, row{{one << 32U, 0}, 8}, row{{0, 1}, 8},
        row{{(one << 34U) - 1, 999'999'999}, 8}, row{{one << 34U, 0}, 12}, row{{-1, 0}, 12},
        row{{std::numeric_limits<std::int64_t>::min(), 999'999'999}, 12},
        row{{std::numeric_limits<std::int64_t>::max(), 0}, 12}}) {
    auto written = from_timestamp(moment);
    CHECK(written.get_binary().size() == bytes);
    CHECK(to_timestamp(*parse_msgpack(write_msgpack(written))) == moment);
  }
}

} // namespace msgpack_test
