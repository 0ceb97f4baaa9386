#include "troupe/core/json.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/everything.hpp"

namespace json_test {

using namespace std::literals;
using namespace troupe;

namespace {

struct task {
  std::string id;
  double runtime_s = 0;
  std::uint8_t retries = 3;
  std::optional<std::string> run;
  std::vector<std::string> parents;
};

struct plan {
  std::string name = "unnamed";
  std::vector<task> tasks;
};

template <class Inspector>
bool inspect(Inspector& f, task& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("runtime_s", x.runtime_s),
                            f.field("retries", x.retries), f.field("run", x.run),
                            f.field("parents", x.parents));
}

template <class Inspector>
bool inspect(Inspector& f, plan& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("tasks", x.tasks));
}

template <class T>
std::string text_of(const T& value) {
  auto text = to_json(value);
  return text ? *text : "refused: " + text.error().detail;
}

/// What reading `text` as a T is refused with.
template <class T>
std::string refusal(std::string_view text, json_limits limits = {}) {
  auto read = from_json<T>(text, limits);
  return read ? "read" : std::string{name_of(read.error().code)} + ": " + read.error().detail;
}

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

} // namespace

TEST_CASE("JSON has the documented form for every shape", "[core][json]") {
  using strings = std::vector<std::string>;
  CHECK(text_of(true) == "true");
  CHECK(text_of(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(text_of(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(text_of(0.1) == "0.1");
  CHECK(text_of(1500ms + duration{1}) == "1500000001");
  CHECK(text_of(time_point{2s}) == "2000000000");
  CHECK(text_of(wall_time{2s}) == "2000000000");
  CHECK(text_of("zürich \"1\"\n"s) == R"("zürich \"1\"\n")");
  CHECK(text_of(std::vector{std::byte{0}, std::byte{255}}) == R"("AP8=")");
  CHECK(text_of(std::array{std::byte{1}}) == R"("AQ==")");
  CHECK(text_of(std::array{1, 2}) == "[1,2]");
  CHECK(text_of(std::pair{1, "b"s}) == R"([1,"b"])");
  CHECK(text_of(std::vector{true, false}) == "[true,false]");
  CHECK(text_of(std::set{2, 1}) == "[1,2]");
  CHECK(text_of(std::map<std::string, int>{{"a", 1}}) == R"({"a":1})");
  CHECK(text_of(std::map<int, strings>{{7, {"x"}}}) == R"([[7,["x"]]])");
  CHECK(text_of(std::map<test::ticket, int>{{{7}, 1}}) == R"({"#7":1})");
  CHECK(text_of(test::ticket{7}) == R"("#7")");
  CHECK(text_of(std::vector<std::optional<int>>{1, {}}) == "[1,null]");
  CHECK(text_of(errc::busy) == R"("busy")");
  CHECK(text_of(test::colour::green) == "300");
  CHECK(text_of(test::form{test::circle{1}}) == R"({"circle":{"radius":1.0}})");
  CHECK(text_of(test::form{test::square{1}}) == R"({"1":{"side":1}})");
  CHECK(text_of(plan{"p", {{"a", 1.5, 0, {}, {}}, {"b", 2, 1, "sleep", {"a"}}}})
        == R"({"name":"p","tasks":[{"id":"a","parents":[],"retries":0,"runtime_s":1.5},)"
           R"({"id":"b","parents":["a"],"retries":1,"run":"sleep","runtime_s":2.0}]})");
}

TEST_CASE("unknown members are passed over, missing ones keep their default", "[core][json]") {
  auto read = from_json<plan>(R"({"tasks":[{"id":"a","colour":[{}]}],"version":2})");
  REQUIRE(read);
  CHECK(read->name == "unnamed");
  CHECK(read->tasks.at(0).id == "a");
  CHECK(read->tasks.at(0).retries == 3);
}

TEST_CASE("null stands for an optional value that is not there, and for no other", "[core][json]") {
  auto read = from_json<task>(R"({"id":"a","run":null})");
  REQUIRE(read);
  CHECK_FALSE(read->run);
  CHECK(refusal<task>(R"({"id":null})") == "bad_argument: id: expected a text, found null");
}

TEST_CASE("JSON keeps 64 bits of an integer and takes a whole real number for one",
          "[core][json]") {
  CHECK(*from_json<std::uint64_t>("18446744073709551615") == 18446744073709551615U);
  CHECK(*from_json<std::uint64_t>("9223372036854775808") == 9223372036854775808U);
  CHECK(*from_json<std::int64_t>("-9223372036854775808")
        == std::numeric_limits<std::int64_t>::min());
  CHECK(*from_json<std::int64_t>("9007199254740993") == 9007199254740993);
  CHECK(*from_json<int>("3.0") == 3);
  CHECK(*from_json<double>("3") == 3.0);
}

TEST_CASE("names and numbers are read where JSON has a choice", "[core][json]") {
  CHECK(*from_json<errc>(R"("conflict")") == errc::conflict);
  CHECK(*from_json<errc>("12") == errc::busy);
  CHECK(*from_json<errc>("200") == static_cast<errc>(200)); // of a newer version
  CHECK(text_of(static_cast<errc>(200)) == "200");
  CHECK(*from_json<test::form>(R"({"circle":{"radius":2}})") == test::form{test::circle{2}});
  CHECK(*from_json<test::form>(R"({"0":{"radius":2}})") == test::form{test::circle{2}});
}

TEST_CASE("a value that does not fit is refused with its place", "[core][json]") {
  struct row {
    std::string given;
    std::string expected;
  };
  for (auto& [given, expected] : {
         row{"[]", "expected an object, found a list of 0"},
         row{R"({"name":7})", "name: expected a text, found 7"},
         row{R"({"tasks":{"a":1}})", "tasks: expected a list, found an object of 1"},
         row{R"({"tasks":[{},{"runtime_s":"long"}]})",
             R"(tasks[1].runtime_s: expected a number, found "long")"},
         row{R"({"tasks":[{"retries":256}]})",
             "tasks[0].retries: expected an integer from 0 to 255, found 256"},
         row{R"({"tasks":[{"retries":-1}]})",
             "tasks[0].retries: expected an integer from 0 to 255, found -1"},
         row{R"({"tasks":[{"retries":1.5}]})",
             "tasks[0].retries: expected an integer from 0 to 255, found 1.5"},
         row{R"({"tasks":[{"parents":["a",true]}]})",
             "tasks[0].parents[1]: expected a text, found true"},
       })
    CHECK(refusal<plan>(given) == "bad_argument: " + expected);
  CHECK(refusal<std::map<std::string, std::pair<int, bool>>>(R"({"a b":[1,2]})")
        == R"(bad_argument: ["a b"][1]: expected true or false, found 2)");
  CHECK(refusal<std::pair<int, bool>>("[1]")
        == "bad_argument: expected a list of 2, found a list of 1");
  CHECK(refusal<test::form>(R"({"triangle":{}})")
        == R"(bad_argument: expected one member of: circle, 1, found "triangle")");
  CHECK(refusal<test::form>(R"({"circle":{},"1":{}})")
        == "bad_argument: expected an object with one member, found an object of 2");
  CHECK(refusal<test::form>(R"({"1":{"side":-1}})")
        == "bad_argument: 1.side: expected an integer from 0 to 4294967295, found -1");
  CHECK(refusal<errc>(R"("buzy")") == R"(bad_argument: expected a known name, found "buzy")");
  CHECK(refusal<test::ticket>(R"("7")") == "bad_argument: a ticket is # and a number");
  CHECK(refusal<std::map<test::ticket, int>>(R"({"#7":1,"#07":2})")
        == R"(bad_argument: ["#7"]: this key is given twice)");
  CHECK(refusal<std::map<int, int>>("[[1,1],[1,2]]")
        == "bad_argument: [1]: this element is given twice");
  CHECK(refusal<std::set<int>>("[1,1]") == "bad_argument: [1]: this element is given twice");
  CHECK(refusal<std::vector<std::byte>>(R"("AP8")")
        == R"(bad_argument: expected bytes as padded base64, found "AP8")");
  CHECK(refusal<std::array<std::byte, 3>>(R"("AP8=")")
        == R"(bad_argument: expected 3 bytes, found "AP8=")");
  CHECK(refusal<float>("1e300")
        == "bad_argument: expected a number of single precision, found 1e+300");
  CHECK(refusal<std::int64_t>("9223372036854775808").starts_with("bad_argument: expected an int"));
  CHECK(
    refusal<std::uint64_t>("18446744073709551616").starts_with("bad_argument: expected an int"));
  CHECK(refusal<std::int64_t>("9007199254740994.0").starts_with("bad_argument: expected an int"));
}

TEST_CASE("a long text in a refusal is cut between two characters", "[core][json]") {
  std::string umlauts;
  for (int count = 0; count < 50; ++count)
    umlauts += "ü";
  CHECK(refusal<int>("\"x" + umlauts + "\"").size() < 150);
  CHECK(is_utf8(refusal<int>("\"x" + umlauts + "\"")));
}

TEST_CASE("what JSON cannot say is refused with its place", "[core][json]") {
  CHECK(text_of(plan{"p", {{"a", std::numeric_limits<double>::quiet_NaN(), 0, {}, {}}}})
          .starts_with("refused: tasks[0].runtime_s: JSON has no number for infinity or NaN"));
  CHECK(text_of(std::numeric_limits<float>::infinity()).starts_with("refused: JSON has no number"));
  CHECK(text_of(plan{"\xff", {}}) == "refused: name: a text that is not UTF-8; send bytes instead");
  CHECK(
    text_of(std::map<std::string, int>{{"\xff", 1}}).starts_with("refused: (key): a text that"));
  CHECK(text_of(test::branch(31)).starts_with("{"));
  CHECK(text_of(test::branch(33)).find("nested deeper than 64") != std::string::npos);
}

TEST_CASE("broken JSON is refused with line and column", "[core][json]") {
  struct row {
    std::string given;
    std::string place;
  };
  for (auto& [given, place] : {
         row{"", "line 1, column 1: "},
         row{"{\n  \"a\": tru\n}", "line 2, column 11: "},
         row{"[1,\n2,\n]", "line 3, column 1: "},
         row{"[\"ü\", x]", "line 1, column 7: "},
         row{"{\"a\":1,\n \"a\":2}", "line 2, column 4: the key \"a\" is given twice"},
         row{"[1] 2", "line 1, column 5: "},
         row{"[1e999]", "line 1, column 7: number overflow"},
         row{"\"\xff\"", "line 1, column "},
         row{"\"\xc0\x80\"", "line 1, column "},
         row{R"("\ud800")", "line 1, column "},
         row{"// no comments\n1", "line 1, column "},
         row{"[NaN]", "line 1, column 2: "},
         row{"'a'", "line 1, column 1: "},
         row{"01", "line 1, column 2: "},
       }) {
    auto read = parse_json(given);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == errc::bad_argument);
    CHECK(read.error().detail.substr(0, place.size()) == place);
    CHECK(is_utf8(read.error().detail));
    CHECK(read.error().detail.size() < 200);
  }
}

TEST_CASE("JSON beyond the limits is refused, not read", "[core][json]") {
  CHECK(parse_json(nested(64)));
  CHECK(refusal<test::tree>(nested(65))
        == "too_large: line 1, column 65: nested deeper than json_limits::max_depth = 64");
  CHECK(refusal<test::tree>(nested(10'000)).starts_with("too_large: line 1, column 65: nested"));
  CHECK(parse_json("[1,2]", {.max_bytes = 5}));
  CHECK(refusal<int>("[1,2]", {.max_bytes = 4})
        == "too_large: 5 bytes are more than json_limits::max_bytes = 4");
  CHECK(parse_json("[1,[],2]", {.max_values = 4}));
  CHECK(refusal<int>("[1,[],2]", {.max_values = 3})
        == "too_large: line 1, column 8: more than json_limits::max_values = 3 values");
}

TEST_CASE("a tree can be read and made without its text", "[core][json]") {
  plan read;
  REQUIRE(from_json_value({{"name", "p"}}, read) == problem{});
  CHECK(read.name == "p");
  CHECK(from_json_value({{"name", 1}}, read).code == errc::bad_argument);
  CHECK(to_json_value(std::map<std::string, int>{{"a", 1}})->at("a") == 1);
}

} // namespace json_test
