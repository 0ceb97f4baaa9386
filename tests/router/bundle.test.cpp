#include "troupe/router/bundle.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/services.hpp"
#include "troupe/router/messages.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

/// What a bundle of routers holds goes over the wire behind its length.
caf::byte_buffer framed(const caf::byte_buffer& content) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  REQUIRE(sink.begin_sequence(content.size()));
  REQUIRE(sink.value(caf::make_span(content)));
  return bytes;
}

caf::byte_buffer content_of(const bundle& value) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  REQUIRE(sink.apply(value));
  caf::binary_deserializer source{nullptr, bytes};
  std::size_t size = 0;
  REQUIRE(source.begin_sequence(size));
  REQUIRE(size == source.remaining());
  return {bytes.end() - static_cast<std::ptrdiff_t>(size), bytes.end()};
}

bundle::content arrive(const caf::byte_buffer& content) {
  auto bytes = framed(content);
  caf::binary_deserializer source{nullptr, bytes};
  bundle received;
  REQUIRE(source.apply(received));
  CHECK(source.remaining() == 0);
  return received.take(nullptr);
}

letter fire(std::string to, std::string text) {
  return {word::nothing, 0, {std::move(to)}, {}, caf::make_message(std::move(text))};
}

bundle bundle_of(const std::vector<letter>& letters) {
  bundle made;
  for (auto& each : letters)
    REQUIRE(made.add(nullptr, each) == bundle::added::yes);
  return made;
}

struct bundle_readers : test::live_system<caf::id_block::troupe_router> {};

} // namespace

TEST_CASE_METHOD(bundle_readers, "letters arrive as they were put into a bundle",
                 "[router][wire]") {
  auto made = bundle_of({fire("a", "one"),
                         {word::answer, 77, {"b"}, "me", caf::make_message("two"s, 2)},
                         {word::receipt, 78, {""}, "", caf::message{}}});
  auto received = arrive(content_of(made));
  CHECK(received.damage.code == errc::none);
  REQUIRE(received.letters.size() == 3);
  CHECK(received.letters[0].wanted == word::nothing);
  CHECK(received.letters[0].to == std::vector<agent_id>{"a"});
  CHECK(to_string(received.letters[0].payload) == to_string(caf::make_message("one"s)));
  CHECK(received.letters[1].wanted == word::answer);
  CHECK(received.letters[1].number == 77);
  CHECK(received.letters[1].from == "me");
  CHECK(to_string(received.letters[1].payload) == to_string(caf::make_message("two"s, 2)));
  CHECK(received.letters[2].wanted == word::receipt);
  CHECK(received.letters[2].payload.empty());
}

/// What is in front of the payload of a letter of which nothing is wanted, made of texts alone.
caf::byte_buffer head_of(std::uint8_t first, const std::vector<std::string>& to,
                         const std::string& from) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  REQUIRE(sink.value(first));
  REQUIRE(sink.apply(to));
  REQUIRE(sink.value(from));
  return bytes;
}

TEST_CASE_METHOD(bundle_readers, "a request is taken out of a bundle, and the others stay",
                 "[router]") {
  letter first{word::answer, 77, {"a"}, "me", caf::make_message("first"s)};
  letter second{word::receipt, 79, {"b"}, "me", caf::make_message(2)};
  letter third{word::answer, 80, {"c"}, "me", caf::make_message("third"s, 3)};
  auto made = bundle_of({first, fire("d", "one"), second, fire("d", "two"), third});
  CHECK(made.remove(77));
  CHECK(content_of(made)
        == content_of(bundle_of({fire("d", "one"), second, fire("d", "two"), third})));
  CHECK(made.letters() == 4);
  CHECK_FALSE(made.remove(77));
  CHECK_FALSE(made.remove(0)); // nothing is wanted of the others
  CHECK(made.remove(80));
  CHECK(content_of(made) == content_of(bundle_of({fire("d", "one"), second, fire("d", "two")})));
  REQUIRE(made.add(nullptr, first) == bundle::added::yes);
  CHECK(made.remove(79));
  CHECK(made.remove(77));
  CHECK(content_of(made) == content_of(bundle_of({fire("d", "one"), fire("d", "two")})));
  CHECK(made.letters() == 2);
}

TEST_CASE_METHOD(bundle_readers, "a letter has ids as texts", "[router][wire]") {
  constexpr std::uint8_t passed_on = 0x80;
  auto n1 = node_id::from_string(std::string(62, '0') + "a1").value();
  auto begins = [](const letter& what, const caf::byte_buffer& with) {
    auto bytes = content_of(bundle_of({what}));
    return bytes.size() > with.size() && std::equal(with.begin(), with.end(), bytes.begin());
  };
  letter what{word::nothing, 0, {"a", "echo@n1"}, "me", caf::make_message("one"s)};
  CHECK(begins(what, head_of(0, {"a", "echo@n1"}, "me")));
  what.from = {};
  CHECK(begins(what, head_of(0, {"a", "echo@n1"}, "")));
  what.is_passed_on = true;
  CHECK(begins(what, head_of(passed_on, {"a", "echo@n1"}, "")));
  what.first = n1;
  CHECK(begins(what, head_of(passed_on, {"a", "echo@n1"}, to_string(n1))));
  auto read = [&](std::uint8_t first, const std::string& from) {
    auto bytes = head_of(first, {"a"}, from);
    caf::binary_serializer sink{nullptr, bytes};
    sink.seek(bytes.size());
    REQUIRE(sink.value(std::uint32_t{1})); // of a message of no types
    REQUIRE(sink.value(std::uint8_t{0}));
    auto arrived = arrive(bytes);
    REQUIRE(arrived.letters.size() == 1);
    return arrived.letters.front();
  };
  CHECK(read(0, to_string(n1)).from == to_string(n1)); // an agent may be called so
  CHECK(read(0, to_string(n1)).first == node_id{});
  CHECK(read(passed_on, to_string(n1)).from.empty());
  CHECK(read(passed_on, to_string(n1)).first == n1);
  for (auto& nobody : {"c1"s, ""s, to_string(node_id{}), to_string(n1) + "0"}) {
    CHECK(read(passed_on, nobody).first == node_id{});
    CHECK(read(passed_on, nobody).from.empty());
  }
}

TEST_CASE_METHOD(bundle_readers, "a bundle has bounds, but takes one letter of any size",
                 "[router]") {
  bundle made;
  REQUIRE(made.add(nullptr, fire("a", std::string(3 * bundle::max_bytes, 'x')))
          == bundle::added::yes);
  CHECK(made.full());
  CHECK(made.add(nullptr, fire("a", "short")) == bundle::added::no_room);
  CHECK(arrive(content_of(made)).letters.size() == 1);

  made = bundle_of({fire("a", "short")});
  auto before = content_of(made);
  CHECK(made.add(nullptr, fire("a", std::string(bundle::max_bytes, 'x')))
        == bundle::added::no_room);
  CHECK(content_of(made) == before);

  made = {};
  while (!made.full())
    REQUIRE(made.add(nullptr, fire("a", "")) == bundle::added::yes);
  CHECK(arrive(content_of(made)).letters.size() == bundle::max_letters);

  letter named{word::nothing, 0, {}, {}, caf::make_message("one"s)};
  named.to.assign(bundle::max_recipients, "a");
  made = bundle_of({fire("a", "short")});
  CHECK(made.add(nullptr, named) == bundle::added::no_room);
  made = bundle_of({named});
  CHECK(made.full());
}

TEST_CASE_METHOD(bundle_readers, "a value that cannot be written leaves a bundle as it was",
                 "[router]") {
  auto made = bundle_of({fire("a", "one")});
  auto before = content_of(made);
  letter local{word::nothing, 0, {"a"}, {}, caf::make_message(caf::make_action([] {}))};
  CHECK(made.add(nullptr, local) == bundle::added::unwritable);
  CHECK(content_of(made) == before);
}

TEST_CASE_METHOD(bundle_readers, "a letter that cannot be read is no harm to the others",
                 "[router][wire]") {
  auto bytes = content_of(bundle_of({fire("a", "one"), fire("b", "two")}));
  // word, count of agents, "a", "", size of the payload, number of its types, then the type
  constexpr auto type_at = 1 + 1 + 2 + 1 + 4 + 1;
  bytes[type_at] = bytes[type_at + 1] = compat::byte{0xFE};
  auto received = arrive(bytes);
  CHECK(received.damage.code == errc::none);
  REQUIRE(received.letters.size() == 2);
  CHECK(received.letters[0].to == std::vector<agent_id>{"a"});
  CHECK(received.letters[0].unreadable.code == errc::incompatible);
  CHECK(received.letters[1].unreadable.code == errc::none);
  CHECK(to_string(received.letters[1].payload) == to_string(caf::make_message("two"s)));
}

TEST_CASE_METHOD(bundle_readers, "a damaged bundle is found out", "[router][wire]") {
  auto one = content_of(bundle_of({{word::answer, 7, {"a"}, "b", caf::make_message("one"s)}}));
  SECTION("cut short anywhere") {
    for (auto size = one.size() - 1; size > 0; --size) {
      INFO(size << " bytes");
      auto received = arrive({one.begin(), one.begin() + static_cast<std::ptrdiff_t>(size)});
      CHECK(received.damage.code == errc::damaged);
      CHECK(received.damage.detail.find("letter 1") != std::string::npos);
      CHECK(received.letters.empty());
    }
  }
  SECTION("shorter than it says") {
    auto bytes = framed(one);
    bytes.pop_back();
    caf::binary_deserializer source{nullptr, bytes};
    bundle received;
    CHECK_FALSE(source.apply(received));
  }
  SECTION("with an unknown word") {
    one.front() = compat::byte{9};
    CHECK(arrive(one).damage.code == errc::damaged);
  }
  SECTION("with too many letters") {
    caf::byte_buffer many;
    for (std::size_t each = 0; each <= bundle::max_letters; ++each)
      many.insert(many.end(), one.begin(), one.end());
    auto received = arrive(many);
    CHECK(received.damage.detail.find(std::to_string(bundle::max_letters)) != std::string::npos);
    CHECK(received.letters.size() == bundle::max_letters);
  }
  SECTION("with a letter for nobody") {
    one[1 + 8 + 4] = compat::byte{0}; // behind the word, the number and the patience
    CHECK(arrive(one).damage.code == errc::damaged);
  }
  SECTION("with an answer that many owe") {
    auto asked = content_of(bundle_of({{word::answer, 7, {"a", "b"}, "c", caf::make_message(1)}}));
    CHECK(arrive(asked).damage.code == errc::damaged);
  }
  SECTION("for too many agents") {
    letter named{word::nothing, 0, {}, {}, caf::make_message("one"s)};
    named.to.assign(bundle::max_recipients, "a");
    CHECK(arrive(content_of(bundle_of({named}))).letters.size() == 1);
    auto two = content_of(bundle_of({named}));
    two.insert(two.end(), one.begin(), one.end());
    CHECK(arrive(two).damage.code == errc::damaged);
    named.to.emplace_back("a");
    CHECK(arrive(content_of(bundle_of({named}))).damage.code == errc::damaged);
  }
  SECTION("inside another, at any depth") {
    auto inner = caf::make_message(bundle_of({fire("a", "one")}));
    for (auto depth = 0; depth < 3; ++depth) {
      inner = caf::make_message(envelope{"a", inner});
      auto received = arrive(content_of(bundle_of({{word::nothing, 0, {"a"}, {}, inner}})));
      REQUIRE(received.letters.size() == 1);
      auto within = received.letters.front().payload;
      while (within.match_elements<envelope>())
        within = within.get_as<envelope>(0).payload;
      auto opened = within.get_mutable_as<bundle>(0).take(nullptr);
      CHECK(opened.damage.code == errc::damaged);
      CHECK(opened.letters.empty());
    }
  }
}
