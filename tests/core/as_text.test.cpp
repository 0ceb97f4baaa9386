#include "troupe/core/as_text.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "support/seeds.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/json.hpp"
#include "troupe/core/msgpack.hpp"

namespace as_text_test {

using namespace std::literals;
using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

struct ticket {
  std::uint32_t number = 0;
  node_id holder{};
  std::uint32_t price = 0;

  friend bool operator==(const ticket&, const ticket&) = default;

  template <class Inspector>
  friend bool inspect(Inspector& f, ticket& x) {
    as_text written{x.holder};
    return f.object(x).fields(f.field("number", x.number), f.field("holder", written),
                              f.field("price", x.price));
  }
};

/// What is written in its place.
struct text_ticket {
  std::uint32_t number = 0;
  std::string holder{};
  std::uint32_t price = 0;

  TROUPE_FIELDS(text_ticket, number, holder, price);
};

node_id node_of(std::byte each) {
  return node_id::from(std::vector(node_id::size, each));
}

} // namespace

TEST_CASE("a field that is written as text has the bytes of its text in every form",
          "[core][ids]") {
  auto node = GENERATE(node_id{}, node_of(std::byte{1}), node_of(std::byte{0xab}));
  ticket id{7, node, 9};
  text_ticket text{7, node == node_id{} ? ""s : to_string(node), 9};
  CHECK(to_bytes(id) == to_bytes(text));
  CHECK(*to_json(id) == *to_json(text));
  CHECK(*to_msgpack(id) == *to_msgpack(text));
  CHECK(from_bytes<ticket>(to_bytes(text)) == id);
  CHECK(*from_json<ticket>(*to_json(text)) == id);
  CHECK(*from_msgpack<ticket>(*to_msgpack(text)) == id);
}

TEST_CASE("a text that is not as it would be written is refused", "[core][ids]") {
  auto digits = to_string(node_of(std::byte{0xab}));
  auto holder = GENERATE_COPY("n1"s, digits.substr(1), digits + '0', "x" + digits.substr(1),
                              std::string(64, 'A'), std::string(64, '0'), "\xff"s);
  text_ticket text{7, holder, 9};
  CHECK_FALSE(from_bytes<ticket>(to_bytes(text)));
  if (holder == "\xff")
    return; // that cannot be in JSON
  auto read = from_json<ticket>(*to_json(text));
  REQUIRE_FALSE(read);
  CHECK(read.error().code == errc::bad_argument);
  CHECK_THAT(read.error().detail, ContainsSubstring("holder") && ContainsSubstring("expected "));
  CHECK_FALSE(from_msgpack<ticket>(*to_msgpack(text)));
}

TEST_CASE("a field that is missing, as it is newer than the bytes, is not set", "[core][ids]") {
  struct {
    std::uint32_t number = 7;
  } only;
  encoder sink;
  sink.put(codec_format);
  sink.put(std::uint32_t{4}); // the bytes of the fields
  sink.put(only.number);
  CHECK(from_bytes<ticket>(sink.take()) == ticket{7, {}, 0});
}

// Pages of records go on behind a key, and digests follow the order of keys.
TEST_CASE("ids are in the order of their texts", "[core][ids]") {
  test::for_each_seed(200, [](random_source random) {
    auto any = [&] {
      node_id made;
      for (auto& each : made.bytes)
        each = static_cast<std::byte>(random.one_in(2) ? random.below(256) : 0);
      return made;
    };
    auto one = any();
    auto other = one;
    if (random.one_in(2))
      other = any();
    else
      other.bytes.at(random.below(node_id::size)) = static_cast<std::byte>(random.below(256));
    auto text = as_text{one}.text();
    auto other_text = as_text{other}.text();
    REQUIRE((one < other) == (text < other_text));
    REQUIRE((one == other) == (text == other_text));
  });
}

} // namespace as_text_test
