#include "router/named_nodes.hpp"
#include "troupe/registry/agent_name.hpp"
#include "troupe/registry/local_records.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <thread>

namespace local_records_test {

using namespace troupe;
using namespace troupe::registry;
using test::operator""_node;

namespace {

record agent(const std::string& name, std::uint64_t version) {
  record made;
  made.key = {record_kind::agent, unclaimed_name(name, "n1"_node), "n1"_node};
  made.boot = 1;
  made.version = version;
  return made;
}

get_record question(const std::string& name) {
  return {record_kind::agent, unclaimed_name(name, "n1"_node), {}};
}

void put(record_table& table, record what) {
  effects none;
  table.step(time_point{}, 0, put_records{{std::move(what)}}, none);
}

} // namespace

TEST_CASE("the records of a node are read while it shows them", "[registry]") {
  record_table table;
  local_records shown;
  CHECK_FALSE(shown.answer(question("a")));
  put(table, agent("a", 1));
  shown.show(&table);
  auto found = shown.answer(question("a"));
  REQUIRE(found);
  CHECK(found->found);
  CHECK_FALSE(shown.answer(question("b"))->found);
  shown.show(nullptr);
  CHECK_FALSE(shown.answer(question("a")));
}

TEST_CASE("records are read on any thread while they change", "[registry]") {
  constexpr std::uint64_t changes = 2'000;
  record_table table;
  local_records shown;
  shown.show(&table);
  std::thread owner{[&] {
    for (std::uint64_t version = 1; version <= changes; ++version) {
      auto held = shown.lock();
      put(table, agent("a", version));
    }
  }};
  std::uint64_t last = 0;
  while (last < changes) {
    auto found = shown.answer(question("a"))->found;
    auto version = found ? found->value.version : 0;
    CHECK(version >= last);
    last = version;
  }
  owner.join();
}

} // namespace local_records_test
