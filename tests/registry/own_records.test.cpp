#include "troupe/registry/own_records.hpp" // the header under test
#include "registry/clocked_table.hpp"

#include <catch2/catch_test_macros.hpp>

namespace own_records_test {

using namespace troupe;
using namespace troupe::registry;
using namespace troupe::test;

TEST_CASE("every change of a node's own records has a higher version", "[registry]") {
  own_records book{"n1", 3};
  auto first = book.put(agent("a", "n1"));
  CHECK(first.boot == 3);
  CHECK(first.version == 1);
  auto changed = *book.find(record_kind::agent, "a@n1");
  changed.capabilities.insert("draw");
  CHECK(book.put(changed).version == 2);
  auto gone = book.remove(record_kind::agent, "a@n1");
  REQUIRE(gone);
  CHECK(gone->version == 3);
  CHECK(gone->removed);
  CHECK_FALSE(book.remove(record_kind::agent, "a@n1"));
  CHECK(book.put(agent("a", "n1")).version == 4);
}

TEST_CASE("a registry that missed everything catches up from the book", "[registry]") {
  clocked_table registry;
  own_records book{"n1", 1};
  registry.put({book.put(node("n1")), book.put(agent("a", "n1"))});
  book.remove(record_kind::agent, "a@n1"); // the link is down
  book.put(agent("b", "n1"));
  registry.put(book.all());
  CHECK(registry.find({}) == std::vector<std::string>{"n1", "b@n1"});
  CHECK(book.all().size() == 3);
  book.confirm(book.version());
  CHECK(book.all().size() == 2);
}

TEST_CASE("a node that hears of itself with a higher boot goes above it", "[registry]") {
  clocked_table registry;
  registry.put({node("n1", 1, 9), agent("ghost", "n1", 2, 9)}); // before its disk was restored
  own_records book{"n1", 4};
  book.put(node("n1"));
  book.put(agent("gone", "n1"));
  book.remove(record_kind::agent, "gone@n1");
  CHECK(registry.put(book.all()).stale == 2);
  auto heard = registry.table.answer(find_owner{"n1"});
  REQUIRE(book.is_outlived(heard));
  book.rise_above(heard.boot);
  CHECK(book.boot() == 10);
  CHECK(book.all().size() == 1); // a new boot ends the rest anyway
  CHECK(registry.put(book.all()).merged == 1);
  CHECK(registry.find({}) == std::vector<std::string>{"n1"});
}

TEST_CASE("a node starts with its own count unless it was heard of", "[registry]") {
  CHECK(boot_above(0, {}) == 1);
  CHECK(boot_above(5, {}) == 5);
  CHECK(boot_above(5, {.boot = 4}) == 5);
  CHECK(boot_above(5, {.boot = 5}) == 6);
  CHECK(boot_above(1, {.boot = 9}) == 10);
}

TEST_CASE("late news of its own make no node start a new boot", "[registry]") {
  clocked_table registry;
  own_records book{"n1", 4};
  auto first = book.put(node("n1"));
  registry.put({book.put(node("n1"))});
  CHECK(registry.put({first}).stale == 1);
  CHECK_FALSE(book.is_outlived(registry.table.answer(find_owner{"n1"})));
  registry.ask(forget{"n1", 4});
  CHECK(book.is_outlived(registry.table.answer(find_owner{"n1"})));
  book.rise_above(4);
  CHECK(registry.put(book.all()).merged == 1);
}

} // namespace own_records_test
