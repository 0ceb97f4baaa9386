#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "caf/message.hpp"
#include "caf/sec.hpp"
#include "caf/type_id.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "core/everything.hpp"
#include "support/seeds.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/message_tree.hpp"
#include "troupe/core/caf/numbers.hpp"
#include "troupe/core/caf/stored_message.hpp"
#include "troupe/core/random.hpp"
#include "troupe/node/init.hpp"
#include "troupe/router/messages.hpp"

namespace every_message_test {

using namespace troupe;

/// Fills a value of any type.
class filler final : public detail::number_reader<filler> {
public:
  explicit filler(random_source random) : make_(random), random_(random) {}

  bool fetch_next_object_type(caf::type_id_t&) override {
    return false;
  }

  bool begin_object(caf::type_id_t type, caf::string_view) override {
    ++depth_;
    return !detail::is_of_process(type) && depth_ < max_nesting;
  }

  bool end_object() override {
    --depth_;
    return true;
  }

  bool begin_field(caf::string_view) override {
    return true;
  }

  bool begin_field(caf::string_view, bool& is_present) override {
    is_present = random_.one_in(2);
    return true;
  }

  bool begin_field(caf::string_view, caf::span<const caf::type_id_t> types,
                   std::size_t& index) override {
    index = random_.below(types.size());
    return true;
  }

  bool begin_field(caf::string_view name, bool& is_present, caf::span<const caf::type_id_t> types,
                   std::size_t& index) override {
    return begin_field(name, is_present) && begin_field(name, types, index);
  }

  bool end_field() override {
    return true;
  }

  bool begin_tuple(std::size_t) override {
    return true;
  }

  bool end_tuple() override {
    return true;
  }

  bool begin_sequence(std::size_t& size) override {
    size = depth_ < 8 ? random_.below(3) : 0;
    return true;
  }

  bool end_sequence() override {
    return true;
  }

  using detail::number_reader<filler>::value;

  bool value(long double&) override {
    return true;
  }

  bool value(std::string& x) override {
    x = make_.text();
    return true;
  }

  bool value(std::u16string& x) override {
    x = u"tea";
    return true;
  }

  bool value(std::u32string& x) override {
    x = U"tea";
    return true;
  }

  bool value(caf::span<caf::byte> x) override {
    return std::ranges::all_of(x, [this](caf::byte& each) { return value(each); });
  }

private:
  friend class detail::number_reader<filler>;

  template <class T>
  bool get(T& x) {
    if constexpr (std::is_same_v<T, bool>)
      x = random_.one_in(2);
    else if constexpr (std::is_same_v<T, std::uint8_t>)
      x = static_cast<std::uint8_t>(random_.below(3)); // enums are among them
    else if constexpr (std::is_floating_point_v<T>)
      x = make_.real<T>();
    else
      x = make_.whole<T>();
    return true;
  }

  test::maker make_;
  random_source random_;
  std::size_t depth_ = 0;
};

std::vector<caf::type_id_t> all_types() {
  troupe::init<>();
  std::vector<caf::type_id_t> all;
  for (std::size_t each = 0; each < caf::detail::global_meta_objects().size(); ++each)
    if (auto type = static_cast<caf::type_id_t>(each); !caf::query_type_name(type).empty())
      all.push_back(type);
  return all;
}

caf::message plain(caf::type_id_t type) {
  return compat::load_elements({type}, [](std::size_t, auto) { return true; }).value();
}

std::optional<caf::message> filled(caf::type_id_t type, random_source random) {
  return compat::load_elements({type}, [random](std::size_t, auto read) {
    filler from{random};
    return read(from);
  });
}

/// False of those of CAF that are written in another order each time, as their maps have none.
bool has_order(std::string_view name) {
  return name != "caf::uri" && name != "caf::node_id" && name != "caf::config_value"
         && name != "caf::dictionary<caf::config_value>";
}

/// Checks that each form takes it and gives it back as a disk does. Returns false if that does not.
bool comes_back(const caf::message& what, bool in_order = true) {
  auto stored = to_stored(what);
  auto text = to_json(what);
  auto bytes = to_msgpack(what);
  if (!stored) {
    CHECK(!text);
    CHECK(!bytes);
    return false;
  }
  INFO((text ? "" : text.error().detail));
  REQUIRE(text);
  REQUIRE(bytes);
  auto from_text = message_from_json(*text);
  INFO((from_text ? "" : from_text.error().detail));
  auto from_bytes = message_from_msgpack(*bytes);
  INFO((from_bytes ? "" : from_bytes.error().detail));
  // What its own type does not take comes back in no form.
  if (auto from_disk = from_stored(*stored); !from_disk) {
    CHECK(!from_text);
    CHECK(!from_bytes);
    return false;
  }
  REQUIRE(from_text);
  REQUIRE(from_bytes);
  if (in_order) {
    CHECK((to_stored(*from_text).value() == *stored));
    CHECK((to_stored(*from_bytes).value() == *stored));
    CHECK((to_json(*from_text).value() == *text));
    CHECK((to_msgpack(*from_bytes).value() == *bytes));
  }
  return true;
}

bool is_ours(std::string_view name) {
  return name.starts_with("troupe::");
}

TEST_CASE("each message of each part comes back from JSON and MessagePack") {
  std::size_t ours = 0;
  std::size_t others = 0;
  std::set<std::string> only_plain;
  for (auto type : all_types()) {
    auto view = caf::query_type_name(type);
    std::string name{view.begin(), view.end()};
    INFO(name);
    if (comes_back(plain(type), has_order(name)))
      ++(is_ours(name) ? ours : others);
    else
      continue; // with a handle, an error or a message in it
    auto is_filled = false;
    for (std::uint64_t seed = 1; seed <= 20; ++seed)
      if (auto made = filled(type, random_source{seed}))
        is_filled = comes_back(*made, has_order(name)) || is_filled;
    if (!is_filled)
      only_plain.insert(name);
  }
  CHECK(ours > 100);
  CHECK(others > 30);
  // In our own form within CAF's.
  CHECK(only_plain
        == std::set<std::string>{"troupe::router::confirm_word", "troupe::router::dead_letter_page",
                                 "troupe::router::inbox_page"});
}

TEST_CASE("what goes through CAF in our own form comes back from JSON and MessagePack") {
  troupe::init<>();
  router::dead_letter_page letters;
  letters.letters.push_back({.why = "late", .to = agent_id{"echo"}, .bytes = 1U << 31U});
  CHECK(comes_back(caf::make_message(letters)));
  router::inbox_page inboxes;
  inboxes.inboxes.emplace_back().agent = agent_id{"echo"};
  auto what = caf::make_message(inboxes, std::uint64_t{1});
  CHECK(comes_back(what));
  auto again = message_from_json(to_json(what).value());
  REQUIRE(again);
  CHECK(again->get_as<router::inbox_page>(0).inboxes == inboxes.inboxes);
  auto tree = to_json_value(what).value();
  tree[0]["value"] = "AAAA"; // bytes, but no page
  CHECK_THAT(to_message(tree).error().detail, Catch::Matchers::ContainsSubstring("[0].value"));
}

TEST_CASE("no tree of a stranger harms a message of any type") {
  std::size_t read = 0;
  for (auto type : all_types()) {
    auto view = caf::query_type_name(type);
    INFO(std::string(view.begin(), view.end()));
    for (auto* value :
         {"null", "{}", "[]", "[[]]", "1", "\"x\"", "[0,0]", R"({"value":{"0":{}}})"}) {
      nlohmann::json element;
      element["type"] = std::string{view.begin(), view.end()};
      element["value"] = nlohmann::json::parse(value);
      auto list = nlohmann::json::array();
      list.push_back(std::move(element));
      if (auto made = to_message(list)) {
        ++read;
        static_cast<void>(to_json(*made)); // no crash
      }
    }
  }
  CHECK(read > 100);
}

} // namespace every_message_test
