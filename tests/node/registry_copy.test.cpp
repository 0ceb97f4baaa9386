#include "troupe/cluster/registry_copy.hpp" // the header under test

#include "registry/clocked_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <optional>
#include <set>
#include <string>

using namespace std::literals;
using namespace troupe;
using cluster::registry_copy;

namespace {

std::set<std::string> names_in(const registry_copy& copy) {
  std::set<std::string> found;
  copy.for_each([&](const registry::record_view& each) { found.insert(each.value.key.name); });
  return found;
}

registry::change added(std::uint64_t revision, const std::string& name) {
  return {revision, registry::change_kind::added, {test::claimed(name, "n1", 1, revision)}};
}

constexpr time_point start_of_copy{1s};

} // namespace

TEST_CASE("a copy of the registry has what was told last, and keeps it", "[node][registry]") {
  registry_copy copy{{}};
  CHECK(copy.take(start_of_copy, {10, true, {added(9, "a"), added(10, "b")}}).code == errc::none);
  CHECK(names_in(copy) == std::set<std::string>{"a", "b"});
  auto gone = added(11, "a");
  gone.kind = registry::change_kind::removed;
  gone.what.value.removed = true;
  CHECK(copy.take(start_of_copy + 1h, {12, false, {gone, added(12, "c")}}).code == errc::none);
  CHECK(names_in(copy) == std::set<std::string>{"b", "c"});
  CHECK(copy.table().answer(registry::count_records{}).agents.active == 2);
}

TEST_CASE("a copy of the registry shows the old records until the last page of a new snapshot",
          "[node][registry]") {
  registry_copy copy{{}};
  REQUIRE(copy.take(start_of_copy, {10, true, {added(9, "a"), added(10, "b")}}).code == errc::none);
  auto rest = registry::record_key{registry::record_kind::agent, "a", "n1"};
  CHECK(copy.take(start_of_copy, {20, true, {added(19, "a")}, rest, true}).code == errc::none);
  CHECK(names_in(copy) == std::set<std::string>{"a", "b"});
  CHECK(copy.take(start_of_copy, {21, false, {added(21, "z")}, std::nullopt, false}).code
        == errc::none);
  CHECK(names_in(copy) == std::set<std::string>{"a", "z"});
}

TEST_CASE("a copy of the registry says which bound keeps it from being whole", "[node][registry]") {
  registry_copy copy{{.max_records = 2}};
  auto why = copy.take(start_of_copy, {10, true, {added(8, "a"), added(9, "b"), added(10, "c")}});
  CHECK(why.code == errc::limit_reached);
  CHECK(why.detail.find("max_records") != std::string::npos);
  CHECK(names_in(copy) == std::set<std::string>{"a", "b"});
}

TEST_CASE("a copy of many records is read to its end", "[node][registry]") {
  registry_copy copy{{}};
  registry::record_changes news{5'000, true, {}};
  for (std::uint64_t each = 1; each <= 2'500; ++each)
    news.changes.push_back(added(each, "agent " + std::to_string(each)));
  REQUIRE(copy.take(start_of_copy, news).code == errc::none);
  CHECK(names_in(copy).size() == 2'500);
}

TEST_CASE("a copy of the registry knows since when a node is lost, whoever leads",
          "[node][registry]") {
  registry_copy copy{{}};
  auto lost = added(9, "a");
  lost.what.liveness = registry::record_status::disconnected;
  auto now = start_of_copy;
  REQUIRE(copy.take(now, {9, true, {lost}}).code == errc::none);
  CHECK(copy.lost_for(now + 3min, "n1", 1) == 3min);
  // Another leader tells all anew.
  REQUIRE(copy.take(now + 5min, {30, true, {lost}}).code == errc::none);
  CHECK(copy.lost_for(now + 6min, "n1", 1) == 6min);
  CHECK(copy.lost_for(now + 6min, "n1", 2) == 0s);
  CHECK(copy.lost_for(now + 6min, "n9", 1) == 0s);
  auto back = added(31, "a");
  back.kind = registry::change_kind::updated;
  REQUIRE(copy.take(now + 7min, {31, false, {back}}).code == errc::none);
  CHECK(copy.lost_for(now + 8min, "n1", 1) == 0s);
}
