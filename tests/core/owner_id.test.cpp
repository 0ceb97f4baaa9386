#include "troupe/core/owner_id.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "router/named_nodes.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/json.hpp"
#include "troupe/core/msgpack.hpp"

namespace owner_id_test {

using namespace std::literals;
using namespace troupe;
using test::operator""_node;

TEST_CASE("a text that a service has of a node means that node", "[core][ids]") {
  auto node = "n1"_node;
  owner_id read{to_string(node)};
  REQUIRE(read.node() != nullptr);
  CHECK(*read.node() == node);
  CHECK(read == owner_id{node});
  CHECK(read != owner_id{"n2"_node});
  CHECK(to_string(read) == to_string(node));
}

TEST_CASE("a text that is no id means no node, and stays as it is", "[core][ids]") {
  auto digits = to_string(node_id::from(std::vector(32, std::byte{0xab})));
  auto text
    = GENERATE_COPY(""s, "a program"s, digits.substr(1), digits + '0', "x" + digits.substr(1),
                    std::string(64, 'A'), digits.substr(0, 63) + '\0');
  owner_id read{text};
  CHECK(read.node() == nullptr);
  CHECK(to_string(read) == text);
  CHECK(read != owner_id{node_id{}});
  CHECK(read == owner_id{text});
}

TEST_CASE("whose something is, is written as its text in every form", "[core][ids]") {
  auto text = GENERATE_COPY(""s, "a program"s, to_string("n1"_node), std::string(64, 'A'),
                            std::string(64, '0'));
  owner_id owner{text};
  CHECK(owner.text() == text);
  CHECK(owner.empty() == text.empty());
  std::pair same{owner, owner};
  std::pair texts{text, text};
  CHECK(to_bytes(same) == to_bytes(texts));
  CHECK(*to_json(same) == *to_json(texts));
  CHECK(*to_msgpack(same) == *to_msgpack(texts));
  CHECK(from_bytes<std::pair<owner_id, owner_id>>(to_bytes(texts)) == same);
  CHECK(*from_json<std::pair<owner_id, owner_id>>(*to_json(texts)) == same);
  CHECK(*from_msgpack<std::pair<owner_id, owner_id>>(*to_msgpack(texts)) == same);
}

TEST_CASE("what belongs to nobody is the empty text", "[core][ids]") {
  CHECK(owner_id{} == owner_id{""});
  CHECK(owner_id{}.empty());
  CHECK(owner_id{} != owner_id{node_id{}});
}

TEST_CASE("a node speaks for itself and for programs, and not for what may be another node",
          "[core][ids]") {
  auto self = to_string("n1"_node);
  CHECK(may_speak_for(owner_id{"n1"_node}, self));
  CHECK(may_speak_for(owner_id{"a program"}, self));
  CHECK(may_speak_for(owner_id{}, self));
  CHECK_FALSE(may_speak_for(owner_id{"n2"_node}, self));
  CHECK_FALSE(may_speak_for(owner_id{node_id{}}, self));
  CHECK_FALSE(may_speak_for(owner_id{std::string(64, 'A')}, self)); // digits, in another way
}

} // namespace owner_id_test
