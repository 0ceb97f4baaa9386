// What decoders allocate for bytes that say much with little.

#include "support/counted_memory.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/json.hpp"
#include "troupe/core/msgpack.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/everything.hpp"

namespace memory_test {

using namespace std::literals;
using namespace troupe;

namespace {

/// 352 bytes in memory, and 4 in our form if it says nothing of its fields.
struct wide {
  std::array<std::uint64_t, 40> numbers{};
  std::string text;

  friend bool operator==(const wide&, const wide&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, wide& x) {
  return f.object(x).fields(f.field("numbers", x.numbers), f.field("text", x.text));
}

std::string repeated(const std::string& piece, std::size_t count) {
  std::string made;
  made.reserve(piece.size() * count);
  for (; count > 0; --count)
    made += piece;
  return made;
}

/// A list in our form: its count, and `count` times `element`.
std::string list_of(const std::string& element, std::size_t count) {
  return to_bytes(static_cast<std::uint32_t>(count)).substr(1) + repeated(element, count);
}

/// What hostile bytes may cost, with room for the text of a refusal.
std::size_t bound(std::size_t input) {
  constexpr std::size_t texts = 4'096;
  return 8 * input + (1U << 20U) + texts;
}

template <class T>
void check_our_form(const std::string& body) {
  auto bytes = "\x01" + body;
  CHECK(test::counted_memory::peak_of([&] { from_bytes<T>(bytes); }) <= bound(bytes.size()));
}

template <class T>
void check_json(const std::string& text) {
  auto limits = json_limits{.max_values = text.size()};
  INFO(text.substr(0, 20));
  CHECK(test::counted_memory::peak_of([&] { (void)from_json<T>(text, limits); })
        <= bound(text.size()));
}

template <class T>
void check_msgpack(const std::string& bytes) {
  auto limits = json_limits{.max_values = bytes.size()};
  CHECK(test::counted_memory::peak_of([&] { (void)from_msgpack<T>(bytes, limits); })
        <= bound(bytes.size()));
}

/// The head of a MessagePack list with 32 bits for its count.
std::string msgpack_list(const std::string& element, std::size_t count) {
  auto head = "\xdd"s;
  for (auto shift : {24U, 16U, 8U, 0U})
    head.push_back(static_cast<char>((count >> shift) & 0xffU));
  return head + repeated(element, count);
}

constexpr std::size_t many = 200'000;
const auto nothing = "\0\0\0\0"s; // an empty text, an empty list, a struct without fields

} // namespace

TEST_CASE("our form makes at most 8 bytes of memory of one, and 1 MiB", "[core][memory]") {
  check_our_form<std::vector<wide>>(list_of(nothing, many));
  check_our_form<std::deque<wide>>(list_of(nothing, many));
  check_our_form<std::vector<std::string>>(list_of(nothing, many));
  check_our_form<std::vector<std::string>>(list_of("\x10\0\0\0"s + std::string(16, 'x'), many / 5));
  check_our_form<std::vector<std::optional<wide>>>(list_of("\0"s, many));
  check_our_form<std::vector<std::variant<bool, wide>>>(list_of("\0\0"s, many));
  check_our_form<std::vector<std::vector<wide>>>(list_of(list_of(nothing, 1), many));
  check_our_form<std::vector<std::vector<std::byte>>>(list_of("\x01\0\0\0x"s, many));
  check_our_form<std::vector<std::vector<bool>>>(list_of(list_of("\1"s, 1), many));
  check_our_form<std::vector<test::tree>>(list_of("\x08\0\0\0"s + nothing + nothing, many));
  check_our_form<test::everything>(repeated("\xff\xff\0\0"s, many));
  std::string numbers;
  for (std::uint32_t each = 0; each < many; ++each)
    numbers += to_bytes(each).substr(1);
  auto count = to_bytes(static_cast<std::uint32_t>(many)).substr(1);
  check_our_form<std::set<std::uint32_t>>(count + numbers);
  std::string members;
  for (std::uint32_t each = 0; each < many; ++each)
    members += to_bytes(each).substr(1) + nothing;
  check_our_form<std::map<std::uint32_t, wide>>(count + members);
  check_our_form<std::map<std::uint32_t, std::vector<wide>>>(count + members);
}

TEST_CASE("a list of large structs that say nothing is refused before it is allocated",
          "[core][memory]") {
  auto bytes = "\x01" + list_of(nothing, many);
  CHECK(test::counted_memory::peak_of([&] { CHECK_FALSE(from_bytes<std::vector<wide>>(bytes)); })
        < 4'096);
}

TEST_CASE("our form makes no more of bytes than it has memory for", "[core][memory]") {
  auto costs = [](const auto& value) {
    using type = std::decay_t<decltype(value)>;
    auto bytes = to_bytes(value);
    auto read_with = [&](std::size_t memory) {
      return from_bytes<type>(bytes, memory_budget{0, 0, memory});
    };
    CHECK(read_with(2'000) == value);
    CHECK_FALSE(read_with(999));
    INFO("and what it refuses it does not allocate");
    CHECK(test::counted_memory::peak_of([&] { (void)read_with(999); }) <= 999);
  };
  costs(std::string(1'000, 'x'));
  costs(std::vector(1'000, std::byte{7}));
  costs(std::vector(1'000, true));
  costs(std::vector(125, std::uint64_t{7}));
  costs(std::set<std::uint8_t>{1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                               12, 13, 14, 15, 16, 17, 18, 19, 20, 21});
}

TEST_CASE("JSON makes at most 8 bytes of memory of one, and 1 MiB", "[core][memory]") {
  auto list = [](const std::string& element, std::size_t count) {
    return "[" + repeated(element + ",", count - 1) + element + "]";
  };
  for (auto* element : {"0", "[]", "{}", "\"\"", "null", "1.5", R"({"":0})", R"("\u0001\u0001")",
                        R"({"a":[{}]})", "[[[[[]]]]]", R"("a text that is not short")"}) {
    auto text = list(element, many);
    check_json<std::vector<wide>>(text);
    check_json<std::vector<std::optional<wide>>>(text);
    check_json<std::vector<std::string>>(text);
    check_json<std::vector<std::vector<std::vector<wide>>>>(text);
    check_json<std::set<std::uint64_t>>(text);
  }
  std::string members;
  for (std::size_t each = 0; each < many / 4; ++each)
    members += (each == 0 ? "\"" : ",\"") + std::to_string(each) + "\":{}";
  check_json<std::map<std::string, wide>>("{" + members + "}");
  check_json<wide>("{" + members + "}");
  check_json<std::string>("\"" + std::string(4 * many, 'x') + "\"");
  check_json<std::string>("\"" + repeated("\\u0001", many) + "\"");
  check_json<std::vector<std::byte>>("\"" + std::string(4 * many, 'A') + "\"");
  check_json<wide>("{\"" + std::string(4 * many, 'x') + "\":0}");
}

TEST_CASE("MessagePack makes at most 8 bytes of memory of one, and 1 MiB", "[core][memory]") {
  for (auto& element : {"\0"s, "\xc0"s, "\x90"s, "\x80"s, "\xa0"s, "\xc4\0"s, "\x91\x90"s,
                        "\x81\xa0\0"s, "\xa2xx"s}) {
    auto bytes = msgpack_list(element, many);
    check_msgpack<std::vector<wide>>(bytes);
    check_msgpack<std::vector<std::optional<wide>>>(bytes);
    check_msgpack<std::vector<std::string>>(bytes);
    check_msgpack<std::vector<std::vector<std::byte>>>(bytes);
    check_msgpack<std::vector<std::uint64_t>>(bytes);
  }
  auto text = "\xdb\x00\x0c\x35\x00"s + std::string(4 * many, 'x');
  check_msgpack<std::string>(text);
  text[0] = '\xc6';
  check_msgpack<std::vector<std::byte>>(text);
}

TEST_CASE("a document of many short values says how to read it all the same", "[core][memory]") {
  auto text = "[" + repeated("0,", many) + "0]";
  auto refused = from_json<std::vector<std::uint8_t>>(text);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::too_large);
  CHECK(refused.error().detail.ends_with(
    "needs more memory than json_limits::memory_per_byte = 8 times its bytes and "
    "json_limits::spare_memory = 1048576; raise them, or give it in parts"));
  auto read = from_json<std::vector<std::uint8_t>>(text, {.memory_per_byte = 40});
  REQUIRE(read);
  CHECK(read->size() == many + 1);
}

TEST_CASE("small values may be as dense as they like", "[core][memory]") {
  std::vector<std::optional<wide>> dense(2'500);
  CHECK(from_bytes<decltype(dense)>(to_bytes(dense)) == dense);
  CHECK(*from_json<decltype(dense)>(*to_json(dense)) == dense);
  CHECK(*from_msgpack<decltype(dense)>(*to_msgpack(dense)) == dense);
}

TEST_CASE("large values of the usual density are read", "[core][memory]") {
  std::vector<test::everything> all(3'000);
  CHECK(from_bytes<decltype(all)>(to_bytes(all)) == all);
  std::map<std::uint64_t, std::string> texts;
  for (std::uint64_t each = 0; each < 200'000; ++each)
    texts.emplace(each, std::to_string(each));
  CHECK(from_bytes<decltype(texts)>(to_bytes(texts)) == texts);
}

TEST_CASE("a budget of memory is spent to its last byte, and never overflows", "[core][memory]") {
  memory_budget small{10, 2, 100};
  CHECK(small.left() == 120);
  CHECK_FALSE(small.take(121));
  CHECK(small.take(120));
  CHECK(small.left() == 0);
  CHECK(small.take_text(15)); // has its place in the object
  CHECK_FALSE(small.take_text(16));
  CHECK_FALSE(small.take_elements<std::vector<int>>(1));
  constexpr auto most = std::numeric_limits<std::size_t>::max();
  CHECK(memory_budget{most / 2, 3, 0}.left() == most);
  CHECK(memory_budget{3, most / 2, 100}.left() == most);
  CHECK_FALSE(memory_budget{100}.take_elements<std::vector<wide>>(most / 8));
  CHECK_FALSE(memory_budget{100}.take_elements<std::vector<std::uint64_t>>(most / 8 + 1));
}

} // namespace memory_test
