#include "troupe/cluster/owner_id.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include "router/named_nodes.hpp"

namespace owner_id_test {

using namespace std::literals;
using namespace troupe;
using cluster::owner_id;
using test::operator""_node;

TEST_CASE("a text that a service has of a node means that node", "[node]") {
  auto node = "n1"_node;
  owner_id read{to_string(node)};
  REQUIRE(read.node() != nullptr);
  CHECK(*read.node() == node);
  CHECK(read == owner_id{node});
  CHECK(read != owner_id{"n2"_node});
  CHECK(to_string(read) == to_string(node));
}

TEST_CASE("a text that is no id means no node, and stays as it is", "[node]") {
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

} // namespace owner_id_test
