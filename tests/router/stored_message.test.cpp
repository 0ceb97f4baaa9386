#include "troupe/core/caf/stored_message.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scoped_actor.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "router/mixed_message.hpp"
#include "router/named_nodes.hpp"
#include "support/seeds.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/random.hpp"
#include "troupe/registry/messages.hpp"

namespace stored_message_test {

using namespace mixed_message;
using namespace std::literals;
using Catch::Matchers::ContainsSubstring;

/// As the next release of the program has it.
struct longer_order {
  std::uint32_t pieces = 0;
  std::string article;
  std::vector<std::string> notes{};
  std::uint32_t table = 7;
  order instead{1, "bread"};

  friend bool operator==(const longer_order&, const longer_order&) = default;

  TROUPE_FIELDS(longer_order, pieces, article, notes, table, instead);
};

struct wide_texts {
  std::u16string units;
  std::u32string points;
  std::uint8_t last = 0;

  friend bool operator==(const wide_texts&, const wide_texts&) = default;

  TROUPE_FIELDS(wide_texts, units, points, last);
};

/// What is written in the place of a record_key.
struct key_in_words {
  registry::record_kind kind{};
  std::string name;
  std::string owner;

  TROUPE_FIELDS(key_in_words, kind, name, owner);
};

template <class T>
std::string stored(T what) {
  detail::stored_writer sink;
  REQUIRE(static_cast<caf::serializer&>(sink).apply(what));
  return sink.take();
}

template <class T>
bool read(std::string_view bytes, T& into) {
  detail::stored_reader from{bytes};
  return static_cast<caf::deserializer&>(from).apply(into) && from.at_end();
}

TEST_CASE("a stored value is read as it was, and is written as an encoder does") {
  encoder ours;
  ours.put(order{2, "soup"});
  CHECK(stored(order{2, "soup"}) == ours.take());
  test::for_each_seed(100, [](random_source random) {
    auto made = some(random);
    auto bytes = stored(made);
    mixed again;
    REQUIRE(read(bytes, again));
    CHECK(again == made);
  });
}

TEST_CASE("a stored value that was cut short or changed is refused, or read as another one") {
  test::for_each_seed(100, [](random_source random) {
    auto bytes = stored(some(random));
    auto cut = bytes.substr(0, random.below(bytes.size()));
    mixed again;
    CHECK(!read(cut, again));
    bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    mixed other;
    static_cast<void>(read(bytes, other)); // no crash
  });
}

TEST_CASE("texts of wide letters are read as they were stored") {
  const wide_texts made{u"ab", U"\U0001F600c", 9};
  auto bytes = stored(made);
  wide_texts again{u"what was there before", U"it", 0};
  REQUIRE(read(bytes, again));
  CHECK(again == made);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    CHECK_FALSE(read(bytes.substr(0, cut), again));
  auto longer = bytes;
  longer.replace(0, 4, "\xFF\xFF\xFF\xFF"); // so long it says that it is
  CHECK_FALSE(read(longer, again));
}

TEST_CASE("a text that stands for a value is refused where it stands for none") {
  const registry::record_key key{registry::record_kind::node, "n1", test::node_named("n1")};
  const key_in_words words{key.kind, key.name, to_string(key.owner)};
  REQUIRE(stored(words) == stored(key));
  registry::record_key again;
  REQUIRE(read(stored(key), again));
  CHECK(again == key);
  for (auto& text : {"n1"s, std::string(64, '0'), words.owner + "0", words.owner.substr(1)})
    CHECK_FALSE(read(stored(key_in_words{key.kind, key.name, text}), again));
}

TEST_CASE("a later release reads what an earlier one has stored, and the other way round") {
  longer_order longer{2, "soup", {"hot"}, 9, {3, "salt"}};
  longer_order read_longer;
  REQUIRE(read(stored(order{2, "soup"}), read_longer));
  CHECK(read_longer == longer_order{2, "soup", {}, 7, {1, "bread"}});
  order read_shorter;
  REQUIRE(read(stored(longer), read_shorter));
  CHECK(read_shorter == order{2, "soup"});
}

TEST_CASE("a message is read as it was stored, each element by the name of its type") {
  init();
  auto what = caf::make_message(order{3, "tea"}, "sweet"s, std::uint16_t{5}, order{1, ""});
  auto bytes = to_stored(what);
  REQUIRE(bytes);
  CHECK_THAT(*bytes, ContainsSubstring("mixed_message::order"));
  auto again = from_stored(*bytes);
  REQUIRE(again);
  REQUIRE(again->match_elements<order, std::string, std::uint16_t, order>());
  CHECK(again->get_as<order>(0) == order{3, "tea"});
  CHECK(again->get_as<std::string>(1) == "sweet");
  CHECK(again->get_as<order>(3) == order{1, ""});
  auto nothing = from_stored(to_stored(caf::message{}).value());
  REQUIRE(nothing);
  CHECK(nothing->empty());
}

TEST_CASE("what cannot be stored, or is not known here, is refused in words") {
  init();
  caf::actor_system_config how;
  caf::actor_system sys{how};
  caf::scoped_actor self{sys};
  auto refused = [](const caf::message& what) { return to_stored(what).error().detail; };
  CHECK_THAT(refused(caf::make_message(call{caf::actor_cast<caf::actor>(self), "now"})),
             ContainsSubstring("mixed_message::call cannot be stored"));
  CHECK_THAT(refused(caf::make_message(caf::make_error(caf::sec::bad_function_call))),
             ContainsSubstring("cannot be stored"));
  CHECK_THAT(refused(caf::make_message(caf::make_message(1))),
             ContainsSubstring("cannot be stored"));
  auto bytes = to_stored(caf::make_message(order{3, "tea"})).value();
  auto of_another = bytes;
  of_another.replace(of_another.find("order"), 5, "brief");
  auto why = from_stored(of_another).error();
  CHECK(why.code == errc::incompatible);
  CHECK_THAT(why.detail, ContainsSubstring("mixed_message::brief"));
  encoder nameless;
  nameless.put(std::vector<detail::stored_element>{{"", "x"}});
  CHECK(from_stored(nameless.take()).error().code == errc::incompatible);
  CHECK(from_stored(bytes.substr(0, bytes.size() - 1)).error().code == errc::damaged);
  CHECK(from_stored(bytes + "?").error().code == errc::damaged);
}

} // namespace stored_message_test
