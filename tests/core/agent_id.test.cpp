#include "troupe/core/agent_id.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "troupe/core/codec.hpp"
#include "troupe/core/json.hpp"
#include "troupe/core/msgpack.hpp"

namespace agent_id_test {

using namespace std::literals;
using namespace troupe;

static_assert(std::is_convertible_v<const char*, agent_id>);
static_assert(std::is_convertible_v<std::string, agent_id>);
static_assert(std::is_convertible_v<const std::string&, agent_id>);
static_assert(std::is_constructible_v<agent_id, std::string_view>);
static_assert(!std::is_convertible_v<agent_id, std::string>, "no id is a capability by mistake");
static_assert(!std::is_convertible_v<agent_id, std::string_view>);
static_assert(!std::is_constructible_v<std::string, agent_id>);
static_assert(!std::is_constructible_v<agent_id, std::set<std::string>>);
static_assert(!std::is_constructible_v<agent_id, std::nullptr_t>);
static_assert(!std::is_convertible_v<std::nullptr_t, agent_id>);
static_assert(std::is_same_v<decltype(std::declval<const agent_id>().text()), std::string>,
              "nobody keeps the text of an id that is gone");
static_assert(sizeof(agent_id) == sizeof(std::string));
static_assert(std::is_nothrow_move_constructible_v<agent_id>);
static_assert(std::is_nothrow_move_assignable_v<agent_id>);

/// What is written of ids, with them and with texts in their place.
template <class Id>
struct roll {
  Id one;
  std::vector<Id> many;
  std::set<Id> each_once;
  std::map<Id, int> counted;
  std::optional<Id> perhaps;
  std::pair<Id, Id> two;

  TROUPE_FIELDS(roll, one, many, each_once, counted, perhaps, two);
};

template <class Id>
roll<Id> make_roll(const Id& id) {
  return {id, {id, "b"}, {"a", id}, {{id, 1}, {"d", 2}}, id, {"", id}};
}

TEST_CASE("an id of an agent is written as its text in every form", "[core][ids]") {
  for (auto& text :
       {"echo"s, "a name that is longer than what fits into a string"s, ""s, "\xc3\xa9"s}) {
    auto ids = make_roll<agent_id>(text);
    auto texts = make_roll<std::string>(text);
    CHECK(to_bytes(ids) == to_bytes(texts));
    CHECK(*to_json(ids) == *to_json(texts));
    CHECK(*to_msgpack(ids) == *to_msgpack(texts));
    auto again = [&](const std::optional<roll<agent_id>>& read) {
      return read && to_bytes(*read) == to_bytes(texts);
    };
    CHECK(again(from_bytes<roll<agent_id>>(to_bytes(texts))));
    CHECK(again(*from_json<roll<agent_id>>(*to_json(texts))));
    CHECK(again(*from_msgpack<roll<agent_id>>(*to_msgpack(texts))));
  }
  CHECK(*to_json(make_roll<agent_id>("echo"))
        == R"({"counted":{"d":2,"echo":1},"each_once":["a","echo"],"many":["echo","b"],)"
           R"("one":"echo","perhaps":"echo","two":["","echo"]})");
}

TEST_CASE("what is no text is no id of an agent", "[core][ids]") {
  CHECK(from_json<agent_id>("7").error().detail == "expected a text, found 7");
  CHECK(to_json(agent_id{"\xff"}).error().code == errc::bad_argument);
  CHECK_FALSE(from_bytes<agent_id>(to_bytes("echo"s).substr(0, 7)));
}

TEST_CASE("an id of an agent compares and prints as its text", "[core][ids]") {
  agent_id id{"b"};
  CHECK(id == "b");
  CHECK("b"s == id);
  CHECK(id != "B"sv);
  CHECK(id < "ba");
  CHECK("a" < id);
  CHECK(id < agent_id{"c"});
  CHECK(id == agent_id{"b"s});
  CHECK_FALSE(id.empty());
  CHECK(agent_id{}.empty());
  CHECK(id.text() == "b");
  std::ostringstream printed;
  printed << id;
  CHECK(printed.str() == "b");
  std::map<agent_id, int, std::less<>> found{{"a", 1}, {"b", 2}};
  CHECK(found.find("b"sv)->second == 2);
}

TEST_CASE("a text that is moved into an id keeps its memory", "[core][ids]") {
  auto text = std::string(100, 'x');
  const auto* where = text.data();
  agent_id id = std::move(text);
  CHECK(id.text().data() == where);
  auto other = std::move(id);
  CHECK(other.text().data() == where);
  CHECK(std::move(other).text().data() == where);
}

TEST_CASE("an agent has a name of 1 to 255 bytes without control characters", "[core][ids]") {
  for (auto& good : {"a"s, "temp.1"s, "echo@n1"s, "\xe6\xbc\xa2"s, std::string(255, 'x'), " "s})
    CHECK_FALSE(check(good));
  for (auto& bad : {""s, std::string(256, 'x'), "a\nb"s, "\x7f"s, "\xff"s, "a\0b"s})
    CHECK(check(bad).code == errc::bad_argument);
  CHECK(check(std::string(300, 'x')).detail
        == "agent id of 300 bytes is not a valid name; give 1 to 255 bytes of UTF-8 without "
           "control characters");
}

} // namespace agent_id_test
