#include "troupe/registry/own_records.hpp" // the header under test
#include "registry/clocked_table.hpp"

#include <catch2/catch_test_macros.hpp>

namespace own_records_test {

using namespace troupe;
using namespace troupe::registry;
using namespace troupe::test;

TEST_CASE("every change of a node's own records has a higher version", "[registry]") {
  own_records book{"n1"_node, 3};
  auto first = book.put(agent("a", "n1"));
  CHECK(first.boot == 3);
  CHECK(first.version == 1);
  auto changed = *book.find(record_kind::agent, agent("a", "n1").key.name);
  changed.capabilities.insert("draw");
  CHECK(book.put(changed).version == 2);
  auto gone = book.remove(record_kind::agent, agent("a", "n1").key.name);
  REQUIRE(gone);
  CHECK(gone->version == 3);
  CHECK(gone->removed);
  CHECK_FALSE(book.remove(record_kind::agent, agent("a", "n1").key.name));
  CHECK(book.size() == 0);
  CHECK(book.put(agent("a", "n1")).version == 4);
  CHECK(book.version() == 4);
}

TEST_CASE("a removal carries the token of its claim", "[registry]") {
  own_records book{"n1"_node, 3};
  book.put(claimed("a", "n1", 7));
  CHECK(book.remove(record_kind::agent, "a")->token == 7);
}

TEST_CASE("a node that hears of itself with a higher boot goes above it", "[registry]") {
  clocked_table others;
  others.put({node("n1", 1, 9), agent("ghost", "n1", 2, 9)}); // before its disk was restored
  own_records book{"n1"_node, 4};
  book.put(node("n1"));
  CHECK(others.put(book.all()).stale == 1);
  book.rise_above(2); // that is past
  CHECK(book.boot() == 4);
  book.rise_above(9);
  CHECK(book.boot() == 10);
  CHECK(others.put(book.all()).merged == 1);
  CHECK(others.find({}) == std::vector<std::string>{"n1"});
}

} // namespace own_records_test
