#include "troupe/cluster/known_nodes.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <string>

using namespace troupe;
using cluster::known_nodes;

namespace {

void put(known_nodes& nodes, const std::string& id, registry::record_status liveness) {
  registry::record_view seen;
  seen.value.key = {registry::record_kind::node, "place", id};
  seen.liveness = liveness;
  nodes.put(seen);
}

} // namespace

TEST_CASE("nodes are counted, and those that are there", "[node]") {
  using enum registry::record_status;
  using presence = known_nodes::presence;
  known_nodes nodes;
  CHECK(nodes.seen() == presence{0, 0});
  put(nodes, "a", active);
  put(nodes, "b", maintenance);
  put(nodes, "c", disconnected);
  CHECK(nodes.seen() == presence{2, 3});
  put(nodes, "a", disconnected);
  put(nodes, "c", active);
  put(nodes, "c", active);
  CHECK(nodes.seen() == presence{2, 3});
  nodes.remove("a");
  nodes.remove("b");
  nodes.remove("nobody");
  CHECK(nodes.seen() == presence{1, 1});
  put(nodes, "a", disconnected);
  nodes.remove_if([](const std::string& id) { return id == "c"; });
  CHECK(nodes.seen() == presence{0, 1});
}

TEST_CASE("of several nodes of one name one that is there is meant", "[node]") {
  using enum registry::record_status;
  known_nodes nodes;
  auto there = GENERATE("a", "b", "c");
  for (auto* id : {"a", "b", "c"})
    put(nodes, id, id == std::string{there} ? active : disconnected);
  CHECK(nodes.find("place") == there);
  CHECK(nodes.find("b") == "b"); // an id is nobody else's
  put(nodes, there, disconnected);
  CHECK(nodes.find("place").has_value());
  CHECK_FALSE(nodes.find("elsewhere"));
}
