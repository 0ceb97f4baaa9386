#include "troupe/cluster/known_nodes.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include "router/named_nodes.hpp"

using namespace troupe;
using cluster::known_nodes;
using test::operator""_node;

namespace {

void put(known_nodes& nodes, const node_id& id, registry::record_status liveness) {
  registry::record_view seen;
  seen.value.key = {registry::record_kind::node, "place", id};
  seen.liveness = liveness;
  nodes.put(id, seen);
}

} // namespace

TEST_CASE("nodes are counted, and those that are there", "[node]") {
  using enum registry::record_status;
  using presence = known_nodes::presence;
  known_nodes nodes;
  CHECK(nodes.seen() == presence{0, 0});
  put(nodes, "a"_node, active);
  put(nodes, "b"_node, maintenance);
  put(nodes, "c"_node, disconnected);
  CHECK(nodes.seen() == presence{2, 3});
  put(nodes, "a"_node, disconnected);
  put(nodes, "c"_node, active);
  put(nodes, "c"_node, active);
  CHECK(nodes.seen() == presence{2, 3});
  nodes.remove("a"_node);
  nodes.remove("b"_node);
  nodes.remove("nobody"_node);
  CHECK(nodes.seen() == presence{1, 1});
  put(nodes, "a"_node, disconnected);
  nodes.remove_if([](const node_id& id) { return id == "c"_node; });
  CHECK(nodes.seen() == presence{0, 1});
}

TEST_CASE("of several nodes of one name one that is there is meant", "[node]") {
  using enum registry::record_status;
  known_nodes nodes;
  auto there = GENERATE("a"_node, "b"_node, "c"_node);
  for (auto& id : {"a"_node, "b"_node, "c"_node})
    put(nodes, id, id == there ? active : disconnected);
  CHECK(nodes.find("place") == there);
  CHECK(nodes.find(to_string("b"_node)) == "b"_node); // an id is nobody else's
  put(nodes, there, disconnected);
  CHECK(nodes.find("place").has_value());
  CHECK_FALSE(nodes.find("elsewhere"));
}

TEST_CASE("a node is found by its id as that is written, and by nothing else like it", "[node]") {
  known_nodes nodes;
  auto node = node_id::from(std::vector(32, std::byte{0xab}));
  put(nodes, node, registry::record_status::active);
  auto id = to_string(node);
  CHECK(nodes.find(id) == node);
  for (auto& each :
       {std::string{}, id.substr(1), id + "0", std::string(64, 'A'), "x" + id.substr(1)})
    CHECK_FALSE(nodes.find(each));
  std::string capitals;
  for (auto i = 0; i < 32; ++i)
    capitals += "AB";
  CHECK_FALSE(nodes.find(capitals));
  CHECK_FALSE(nodes.find(to_string("n1"_node)));
}

TEST_CASE("the address of a node is found by the first digits of its id", "[node]") {
  known_nodes nodes;
  registry::record_view seen;
  seen.value.key = {registry::record_kind::node, "place", "n1"_node};
  seen.value.endpoints = {{"h", 1}};
  nodes.put("n1"_node, seen);
  auto id = to_string("n1"_node);
  net::address where{"h", 1};
  CHECK(nodes.address_of("n1"_node) == where);
  CHECK(nodes.address_of_prefix(id) == where);
  CHECK(nodes.address_of_prefix(id.substr(0, 40)) == where);
  CHECK(nodes.address_of_prefix(id.substr(0, 3)) == where); // an odd number, too
  CHECK(nodes.address_of_prefix("") == where);
  for (auto& each :
       {id + "0", std::string{"6F"}, std::string{"6e32"}, std::string{"6d"}, std::string{"a node"}})
    CHECK_FALSE(nodes.address_of_prefix(each));
}

TEST_CASE("so many nodes are known, and those as they are said to be last", "[node]") {
  using enum registry::record_status;
  known_nodes nodes{2};
  for (auto& id : {"a"_node, "b"_node, "c"_node})
    put(nodes, id, active);
  CHECK(nodes.seen() == known_nodes::presence{2, 2});
  put(nodes, "a"_node, disconnected);
  CHECK(nodes.seen() == known_nodes::presence{1, 2});
  CHECK_FALSE(nodes.find(to_string("c"_node)));
}

TEST_CASE("a node says whether it has a data folder, and what people call it", "[node]") {
  known_nodes nodes;
  put(nodes, "a"_node, registry::record_status::active);
  registry::record_view seen;
  seen.value.key = {registry::record_kind::node, "", "b"_node};
  seen.value.metadata.emplace(known_nodes::fleeting_mark, "");
  nodes.put("b"_node, seen);
  CHECK_FALSE(nodes.is_fleeting("a"_node));
  CHECK(nodes.is_fleeting("b"_node));
  CHECK_FALSE(nodes.is_fleeting("nobody"_node));
  CHECK(nodes.name_of("a"_node) == "place");
  CHECK(nodes.name_of("b"_node) == to_string("b"_node).substr(0, 8)); // it has said none
  CHECK(nodes.name_of("nobody"_node) == to_string("nobody"_node).substr(0, 8));
}
