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
