// A workflow is the same, and found to be wrong at the same place, whatever its tasks
// are called and in whatever order they come.

#include "troupe/workflow/dag.hpp"
#include "support/seeds.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace dag_property {

using namespace troupe;
using namespace troupe::workflow;
using troupe::test::random_source;

namespace {

/// Returns 2 to 30 ids that are easily mixed up: few letters, some of them not ASCII,
/// much in common, some the beginning of others.
std::vector<std::string> draw_ids(random_source& random) {
  const std::vector<std::string> letters{"a", "b", "0", "é", "~"};
  auto prefix = std::string(random.below(12), 'p');
  auto longest = 1 + random.below(14);
  std::set<std::string> result;
  auto count = 2 + random.below(29);
  for (std::uint64_t tries = 0; tries < count || result.size() < 2; ++tries) {
    auto id = prefix;
    for (auto length = random.below(longest + 1); length > 0; --length)
      id += letters[random.below(letters.size())];
    if (!id.empty())
      result.insert(id);
  }
  return {result.begin(), result.end()};
}

void shuffle(random_source& random, std::vector<task>& tasks) {
  for (auto left = tasks.size(); left > 1; --left)
    std::swap(tasks[left - 1], tasks[random.below(left)]);
}

} // namespace

TEST_CASE("tasks find their parents whatever they are called", "[workflow][property]") {
  test::for_each_seed(300, [](random_source random) {
    auto ids = draw_ids(random);
    definition written{"w", {}};
    for (std::size_t each = 0; each < ids.size(); ++each) {
      auto& added = written.tasks.emplace_back();
      added.id = ids[each];
      for (std::size_t parent = 0; parent < each; ++parent)
        if (random.one_in(3))
          added.parents.push_back(ids[parent]);
    }
    auto shuffled = written;
    shuffle(random, shuffled.tasks);
    auto flow = make_dag(shuffled);
    REQUIRE(flow);
    REQUIRE(flow->as_definition() == written);
    for (task_index each = 0; each < flow->size(); ++each) {
      REQUIRE(flow->find(ids[each]) == each);
      std::vector<std::string> parents;
      for (auto parent : flow->parents(each))
        parents.push_back(ids[parent]);
      REQUIRE(parents == written.tasks[each].parents);
    }
  });
}

TEST_CASE("a parent that is missing and an id that is there twice are noticed whatever they "
          "are called",
          "[workflow][property]") {
  test::for_each_seed(300, [](random_source random) {
    auto ids = draw_ids(random);
    auto odd = ids[random.below(ids.size())];
    definition written;
    for (auto& id : ids)
      written.tasks.emplace_back().id = id;
    auto twice = written;
    twice.tasks.emplace_back().id = odd;
    shuffle(random, twice.tasks);
    auto refused = make_dag(twice);
    REQUIRE_FALSE(refused);
    REQUIRE(refused.error().detail.find("(\"" + odd + "\"): tasks[") != std::string::npos);
    auto missing = written;
    std::erase_if(missing.tasks, [&](const task& each) { return each.id == odd; });
    missing.tasks.front().parents = {odd};
    shuffle(random, missing.tasks);
    refused = make_dag(missing);
    REQUIRE_FALSE(refused);
    REQUIRE(refused.error().detail.find("parent \"" + odd + "\" is no task") != std::string::npos);
  });
}

} // namespace dag_property
