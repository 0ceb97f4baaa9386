#include "troupe/core/caf/message_tree.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/deserializer.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/serializer.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <nlohmann/json.hpp>

#include "router/mixed_message.hpp"
#include "support/seeds.hpp"
#include "troupe/core/caf/tree_sink.hpp"
#include "troupe/core/caf/tree_source.hpp"
#include "troupe/core/json.hpp"
#include "troupe/core/memory_budget.hpp"
#include "troupe/core/random.hpp"

namespace message_tree_test {

using namespace mixed_message;
using Catch::Matchers::ContainsSubstring;

/// Contains itself.
struct chain {
  std::vector<chain> next;

  TROUPE_FIELDS(chain, next);
};

struct leaf {
  std::uint32_t number = 0;

  TROUPE_FIELDS(leaf, number);
};

struct twig;

struct branch {
  std::vector<twig> twigs;

  TROUPE_FIELDS(branch, twigs);
};

/// Contains itself in a variant.
struct twig {
  std::variant<leaf, branch> what;

  TROUPE_FIELDS(twig, what);
};

struct wide {
  std::map<std::string, order> named;
  std::map<std::string, std::uint8_t> nothing;
  std::vector<std::variant<order, test::square>> shapes;
  std::u16string units;
  std::uint64_t number = 0;
  std::uint32_t kept = 7;
  double real = 0;
  std::vector<order> orders;

  TROUPE_FIELDS(wide, named, nothing, shapes, units, number, kept, real, orders);
};

/// Has more than its fields.
struct bulky {
  std::array<char, 100'000> beside{};
  std::u16string units = u"ab";

  TROUPE_FIELDS(bulky, units);
};

/// No message: CAF's have no place that is aligned for it.
struct of_machine {
  long double weight = 0;

  TROUPE_FIELDS(of_machine, weight);
};

TROUPE_MESSAGES_AT(of_trees, 61'100, chain, wide, bulky, leaf, branch, twig);

void init() {
  init_messages<caf::id_block::troupe_core, of_mixed_messages, of_trees>();
}

template <class T>
T read(std::string_view text) {
  auto made = message_from_json(text);
  INFO((made ? "" : made.error().detail));
  REQUIRE(made);
  REQUIRE(made->match_elements<T>());
  return made->get_as<T>(0);
}

/// Of one element.
std::string with(std::string_view type, std::string_view value) {
  return R"([{"type":")" + std::string{type} + R"(","value":)" + std::string{value} + "}]";
}

std::string why(std::string_view text, json_limits limits = {}) {
  auto made = message_from_json(text, limits);
  REQUIRE(!made);
  return made.error().detail;
}

constexpr auto a_wide = "message_tree_test::wide";
constexpr auto an_order = "mixed_message::order";

TEST_CASE("a message comes back from JSON and from MessagePack as it was") {
  init();
  test::for_each_seed(100, [](random_source random) {
    auto what = caf::make_message(some(random), std::uint16_t{5}, some(random), "tea"s);
    auto text = to_json(what);
    REQUIRE(text);
    auto again = message_from_json(*text);
    INFO((again ? "" : again.error().detail));
    REQUIRE(again);
    REQUIRE(again->match_elements<mixed, std::uint16_t, mixed, std::string>());
    CHECK(again->get_as<mixed>(0) == what.get_as<mixed>(0));
    CHECK(again->get_as<mixed>(2) == what.get_as<mixed>(2));
    CHECK(again->get_as<std::string>(3) == "tea");
    auto bytes = to_msgpack(what);
    REQUIRE(bytes);
    auto packed = message_from_msgpack(*bytes);
    INFO((packed ? "" : packed.error().detail));
    REQUIRE(packed);
    CHECK(packed->get_as<mixed>(0) == what.get_as<mixed>(0));
    CHECK(packed->get_as<mixed>(2) == what.get_as<mixed>(2));
  });
}

TEST_CASE("the tree of a message is as documented") {
  init();
  CHECK(to_json(caf::make_message(order{3, "tea"}, std::uint64_t{18446744073709551615U})).value()
        == R"([{"type":"mixed_message::order","value":{"article":"tea","pieces":3}},)"
           R"({"type":"uint64_t","value":18446744073709551615}])");
  CHECK(to_json(caf::message{}).value() == "[]");
  CHECK(message_from_json("[]")->empty());
  wide what;
  what.named = {{"one", {1, "a"}}};
  what.shapes = {order{2, "b"}, test::square{4}};
  what.units = u"hi";
  what.real = 0.1;
  auto tree = to_json_value(caf::make_message(what)).value().at(0).at("value");
  CHECK(tree.dump()
        == R"({"kept":7,"named":{"one":{"article":"a","pieces":1}},"nothing":{},"number":0,)"
           R"("orders":[],"real":0.1,"shapes":[{"value":{"mixed_message::order":)"
           R"({"article":"b","pieces":2}}},{"value":{"troupe::test::square":{"side":4}}}],)"
           R"("units":[104,105]})");
  mixed other;
  other.bytes = {std::byte{0xff}, std::byte{0}};
  other.lines = {{7, {"x"}}};
  auto in_json = to_json_value(caf::make_message(other)).value().at(0).at("value");
  CHECK(in_json.at("bytes") == "/wA=");
  CHECK(in_json.at("key") == nlohmann::json{0, 0, 0, 0, 0});
  CHECK(in_json.at("lines").dump() == R"([[7,["x"]]])");
  CHECK(!in_json.contains("perhaps"));
  auto packed = parse_msgpack(to_msgpack(caf::make_message(other)).value()).value();
  CHECK(packed.at(0).at("value").at("bytes") == nlohmann::json::binary({0xff, 0}));
  const caf::byte_buffer raw{caf::byte{0xff}, caf::byte{0}};
  CHECK(to_json(caf::make_message(raw)).value()
        == R"([{"type":"caf::byte_buffer","value":[255,0]}])");
  CHECK(read<caf::byte_buffer>(with("caf::byte_buffer", "[255,0]")) == raw);
  // What json.hpp makes of the same struct is read here.
  CHECK(read<order>(with(an_order, to_json(order{9, "é"}).value())) == order{9, "é"});
}

TEST_CASE("who writes a message by hand may leave out, add and choose among forms") {
  init();
  auto made = read<wide>(with(a_wide, R"({"unknown": [1], "number": 3.0, "named": [["k", {}]],
                                          "nothing": [], "shapes": [{"value": {"1": {"side": 2}}}]})"));
  CHECK(made.number == 3);
  CHECK(made.kept == 7);
  CHECK(made.named == std::map<std::string, order>{{"k", {}}});
  CHECK(std::get<test::square>(made.shapes.at(0)).side == 2);
  auto all = read<mixed>(with("mixed_message::mixed", R"({"perhaps": null, "lines": []})"));
  CHECK(all == mixed{});
  CHECK(read<std::string>(with("std::string", R"("\u00e9")")) == "é");
  constexpr auto a_bulky = "message_tree_test::bulky";
  CHECK(read<bulky>(with(a_bulky, R"({"units": [99]})")).units == u"c");
  CHECK(read<bulky>(with(a_bulky, "{}")).units.empty());
}

TEST_CASE("what is not of its type is refused, with its place") {
  init();
  CHECK(why(with(an_order, R"({"pieces": "many"})"))
        == "[0].value.pieces: expected an integer from 0 to 4294967295, found \"many\"");
  CHECK(why(with(an_order, "[]")) == "[0].value: expected an object, found a list of 0");
  CHECK_THAT(why(with(an_order, R"({"pieces": 4294967296})")),
             ContainsSubstring("[0].value.pieces: expected an integer"));
  CHECK_THAT(why(with(an_order, R"({"pieces": 1.5})")), ContainsSubstring("expected an integer"));
  CHECK_THAT(why(with(an_order, R"({"article": null})")),
             ContainsSubstring("[0].value.article: expected a text, found null"));
  CHECK(why(with(a_wide, R"({"orders": [{}, {"pieces": true}]})"))
        == "[0].value.orders[1].pieces: expected an integer from 0 to 4294967295, found true");
  CHECK_THAT(why(with(a_wide, R"({"named": {"a": {}, "b": {"article": 1}}})")),
             ContainsSubstring(R"([0].value.named["b"].article: expected a text, found 1)"));
  CHECK_THAT(why(with(a_wide, R"({"named": [["a", {}], ["b", 2]]})")),
             ContainsSubstring("[0].value.named[1][1]: expected an object, found 2"));
  CHECK_THAT(why(with(a_wide, R"({"named": [["a"]]})")),
             ContainsSubstring("[0].value.named[0]: expected a list of 2, found a list of 1"));
  CHECK_THAT(why(with(a_wide, R"({"named": [["a", {}], ["a", {}]]})")),
             ContainsSubstring("[0].value.named[1]: this key is given twice"));
  CHECK_THAT(why(with(a_wide, R"({"named": [{"a": 1, "b": 2}]})")),
             ContainsSubstring("[0].value.named[0]: expected a list of 2, found an object of 2"));
  CHECK_THAT(why(with(a_wide, R"({"named": 5})")), ContainsSubstring("an object, or a list"));
  CHECK_THAT(why(with(a_wide, R"({"orders": {}})")),
             ContainsSubstring("[0].value.orders: expected a list, found an object of 0"));
  CHECK_THAT(why(with(a_wide, R"({"shapes": [{"value": [{}]}]})")),
             ContainsSubstring("expected an object with one member, found a list of 1"));
  CHECK_THAT(why(R"([{"type":"bool","value":true},{"type":"bool","value":1}])"),
             ContainsSubstring("[1].value: expected true or false"));
  CHECK_THAT(why(with(a_wide, R"({"shapes": [{"value": {"2": {}}}]})")),
             ContainsSubstring("[0].value.shapes[0].value: expected one member of: "
                               "mixed_message::order, troupe::test::square, found \"2\""));
  CHECK_THAT(why(with(a_wide, R"({"shapes": [{"value": {"0": {}, "1": {}}}]})")),
             ContainsSubstring("expected an object with one member"));
  CHECK_THAT(why(with(a_wide, R"({"shapes": [{"value": {"1": {"side": ""}}}]})")),
             ContainsSubstring("[0].value.shapes[0].value.1.side: expected"));
  auto of_mixed = [](std::string_view value) { return why(with("mixed_message::mixed", value)); };
  CHECK_THAT(of_mixed(R"({"bytes": "?"})"),
             ContainsSubstring("[0].value.bytes: expected bytes as padded base64"));
  CHECK_THAT(of_mixed(R"({"key": [1, 2]})"),
             ContainsSubstring("[0].value.key: expected a list of 5"));
  CHECK_THAT(of_mixed(R"({"key": [1, 2, 3, 4, 256]})"),
             ContainsSubstring("[0].value.key[4]: expected an integer from 0 to 255"));
  CHECK_THAT(of_mixed(R"({"code": 255})"),
             ContainsSubstring("[0].value.code: its type does not take this value"));
  CHECK_THAT(of_mixed(R"({"ratio": 1e39})"), ContainsSubstring("of single precision"));
  CHECK_THAT(of_mixed(R"({"lines": {"1": []}})"),
             ContainsSubstring(R"([0].value.lines["1"]: expected an integer)"));
  CHECK_THAT(of_mixed(R"({"two": ["a", -1]})"), ContainsSubstring("[0].value.two[1]: expected"));
  CHECK_THAT(of_mixed(R"({"two": {"a": 1, "b": 2}})"),
             ContainsSubstring("[0].value.two: expected a list of 2, found an object of 2"));
  CHECK_THAT(of_mixed(R"({"flags": [true, 0]})"),
             ContainsSubstring("[0].value.flags[1]: expected true or false"));
}

TEST_CASE("what is no message is refused") {
  init();
  CHECK_THAT(why("{}"), ContainsSubstring("a message is a list"));
  CHECK_THAT(why("[1]"), ContainsSubstring("[0]: expected an object"));
  CHECK_THAT(why(R"([{"type": "std::string"}])"), ContainsSubstring("\"value\""));
  CHECK_THAT(why(R"([{"type": 1, "value": 1}])"), ContainsSubstring("\"type\", a text"));
  CHECK_THAT(why("[1"), ContainsSubstring("line 1, column 2"));
  CHECK_THAT(message_from_msgpack("\xc1").error().detail, ContainsSubstring("byte 1"));
  for (auto* name : {"", "mixed_message::brief", "\\u0000"}) {
    auto made = message_from_json(with(name, "{}"));
    REQUIRE(!made);
    CHECK(made.error().code == errc::incompatible);
    CHECK_THAT(made.error().detail,
               ContainsSubstring("[0].type: this program has no message type"));
  }
  std::string many = "[";
  for (auto index = 0; index < 9; ++index)
    many += std::string{index > 0 ? "," : ""} + R"({"type":"std::string","value":""})";
  CHECK_THAT(why(many + "]"), ContainsSubstring("a message of 9 elements"));
}

TEST_CASE("a long double is refused, both ways") {
  of_machine value;
  troupe::detail::tree_sink sink{troupe::detail::tree_form::json, 0};
  CHECK(!static_cast<caf::serializer&>(sink).apply(value));
  CHECK_THAT(sink.fault("[0]").detail, ContainsSubstring("[0].weight: a long double"));
  auto given = nlohmann::json::parse(R"({"weight": 1})");
  auto memory = memory_budget::unlimited();
  troupe::detail::tree_source source{given, {}, memory};
  CHECK(!static_cast<caf::deserializer&>(source).apply(value));
  CHECK_THAT(source.fault("[0]").detail, ContainsSubstring("[0].weight: a long double"));
}

TEST_CASE("what has no name within a value is refused, both ways") {
  auto refused = [](auto write) {
    troupe::detail::tree_sink sink{troupe::detail::tree_form::json, 0};
    REQUIRE(!write(static_cast<caf::serializer&>(sink)));
    return sink.fault("[0]").detail;
  };
  constexpr auto type = caf::invalid_type_id;
  CHECK_THAT(refused([](auto& to) { return to.value(1) && to.value(2); }),
             ContainsSubstring("[0]: more than one value without a name"));
  CHECK_THAT(refused([](auto& to) { return to.begin_object(type, "x") && to.value(1); }),
             ContainsSubstring("more than one value without a name"));
  CHECK_THAT(refused([](auto& to) { return to.begin_field("a"); }),
             ContainsSubstring("a field outside of an object"));
  CHECK_THAT(refused([](auto& to) {
               return to.begin_object(type, "x") && to.begin_field("a") && to.value(1)
                      && to.end_field() && to.begin_field("a");
             }),
             ContainsSubstring("two fields are called \"a\""));
  auto given = nlohmann::json::parse(R"({"a": 1})");
  auto memory = memory_budget::unlimited();
  troupe::detail::tree_source source{given, {}, memory};
  caf::type_id_t any{};
  CHECK(!static_cast<caf::deserializer&>(source).begin_field("a"));
  CHECK_THAT(source.fault("[0]").detail, ContainsSubstring("a field outside of an object"));
  CHECK(!static_cast<caf::deserializer&>(source).fetch_next_object_type(any));
}

TEST_CASE("a map of which two keys are the same stays a list of pairs") {
  troupe::detail::tree_sink sink{troupe::detail::tree_form::json, 0};
  caf::serializer& to = sink;
  REQUIRE(to.begin_associative_array(2));
  for (auto each : {1, 2})
    REQUIRE((to.begin_key_value_pair() && to.value(caf::string_view{"a"}) && to.value(each)
             && to.end_key_value_pair()));
  REQUIRE(to.end_associative_array());
  CHECK(sink.take().dump() == R"([["a",1],["a",2]])");
}

TEST_CASE("what means nothing elsewhere is refused, both ways") {
  init();
  caf::actor_system_config how;
  caf::actor_system sys{how};
  caf::scoped_actor self{sys};
  auto refused = [](const caf::message& what) {
    auto made = to_json(what);
    REQUIRE(!made);
    REQUIRE(!to_msgpack(what));
    CHECK(made.error().code == errc::bad_argument);
    return made.error().detail;
  };
  CHECK_THAT(refused(caf::make_message(call{caf::actor_cast<caf::actor>(self), "now"})),
             ContainsSubstring("[0].value.whom: the handle of an actor"));
  CHECK_THAT(refused(caf::make_message(1, caf::make_error(caf::sec::bad_function_call))),
             ContainsSubstring("[1].value: an error or another message"));
  CHECK_THAT(refused(caf::make_message(caf::make_message(1))),
             ContainsSubstring("an error or another message"));
  CHECK_THAT(refused(caf::make_message(order{1, "\xff"})),
             ContainsSubstring("[0].value.article: a text that is not UTF-8"));
  CHECK_THAT(why(with("mixed_message::call", R"({"whom": {"aid": 1}})")),
             ContainsSubstring("[0].value.whom: the handle of an actor cannot be read"));
  CHECK_THAT(why(with("caf::error", "{}")), ContainsSubstring("[0].value: an error"));
  CHECK_THAT(why(with("caf::message", "{}")), ContainsSubstring("[0].value: an error"));
  wide real;
  for (auto each :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    real.real = each;
    auto what = caf::make_message(real);
    CHECK_THAT(to_json(what).error().detail,
               ContainsSubstring("[0].value.real: JSON has no number for infinity"));
    auto packed = message_from_msgpack(to_msgpack(what).value());
    REQUIRE(packed);
    auto again = packed->get_as<wide>(0).real;
    CHECK((again == each || (again != again && each != each)));
  }
}

TEST_CASE("how deep and how large a message is has bounds") {
  init();
  auto branch = [](std::size_t depth) {
    chain made;
    for (; depth > 1; --depth) {
      chain parent;
      parent.next.push_back(std::move(made));
      made = std::move(parent);
    }
    return caf::make_message(made);
  };
  // Two for the message, two for each link.
  auto deepest = to_json(branch(31));
  REQUIRE(deepest);
  CHECK(message_from_json(*deepest));
  CHECK(to_json(branch(32)).error().code == errc::too_large);
  nlohmann::json deep = nlohmann::json::object();
  for (auto level = 0; level < 500; ++level) {
    nlohmann::json parent;
    parent["next"] = nlohmann::json::array();
    parent["next"].push_back(std::move(deep));
    deep = std::move(parent);
  }
  nlohmann::json element;
  element["type"] = "message_tree_test::chain";
  element["value"] = std::move(deep);
  auto list = nlohmann::json::array();
  list.push_back(std::move(element));
  CHECK_THAT(to_message(list).error().detail, ContainsSubstring("nested deeper"));
  // However many lie beside each other.
  wide many_orders;
  many_orders.orders.resize(200);
  CHECK(message_from_json(to_json(caf::make_message(many_orders)).value())
          ->get_as<wide>(0)
          .orders.size()
        == 200);
  json_limits narrow;
  narrow.spare_memory = 10'000;
  CHECK(message_from_json(with("message_tree_test::bulky", "{}"), narrow).error().code
        == errc::too_large);
  std::string many = "{}";
  for (auto index = 0; index < 1'000; ++index)
    many += ",{}";
  auto too_many = with(a_wide, R"({"orders": [)" + many + "]}");
  CHECK(message_from_json(too_many)->get_as<wide>(0).orders.size() == 1'001);
  narrow.memory_per_byte = 40; // enough for the tree
  CHECK(parse_json(too_many, narrow));
  auto refused = message_from_json(too_many, narrow);
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::too_large);
  CHECK_THAT(refused.error().detail, ContainsSubstring("json_limits::memory_per_byte"));
  // What has no number or text in it costs memory as well.
  auto links = with("message_tree_test::chain", R"({"next": [)" + many + "]}");
  narrow.memory_per_byte = 24; // enough for the tree
  CHECK(parse_json(links, narrow));
  CHECK(message_from_json(links, narrow).error().code == errc::too_large);
}

TEST_CASE("what surely has more bytes of text than are wanted is not written") {
  init();
  wide made;
  for (std::uint8_t each = 0; each < 200; ++each)
    made.nothing.emplace("a name that is far longer than its value " + std::to_string(each), each);
  auto text = to_json(caf::make_message(made)).value();
  CHECK(to_json(caf::make_message(made), text.size()).value() == text);
  auto why = to_json(caf::make_message(made), text.size() / 2).error();
  CHECK(why.code == errc::too_large);
  CHECK_THAT(why.detail, ContainsSubstring("[0].value.nothing"));
}

TEST_CASE("what is written of variants in each other is read, or refused where it is too deep") {
  init();
  twig made{leaf{1}};
  auto refusals = 0;
  for (auto depth = 1; depth < 40; ++depth) {
    INFO(depth);
    branch parent;
    parent.twigs.push_back(std::move(made));
    made = twig{std::move(parent)};
    if (auto text = to_json(caf::make_message(made))) {
      CHECK(refusals == 0);
      auto again = message_from_json(*text);
      INFO((again ? "" : again.error().detail));
      CHECK(again);
    } else {
      CHECK(text.error().code == errc::too_large);
      ++refusals;
    }
  }
  CHECK(refusals > 0);
}

TEST_CASE("what was changed anywhere is refused, or read as another message") {
  init();
  test::for_each_seed(100, [](random_source random) {
    auto text = to_json(caf::make_message(some(random))).value();
    text[random.below(text.size())] = static_cast<char>(random.below(128));
    if (auto made = message_from_json(text))
      CHECK(to_json(*made));
    auto bytes = to_msgpack(caf::make_message(some(random))).value();
    bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    if (auto made = message_from_msgpack(bytes))
      CHECK(to_msgpack(*made));
  });
}

} // namespace message_tree_test
