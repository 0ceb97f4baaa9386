#include "troupe/registry/record_set.hpp" // the header under test
#include "registry/clocked_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <vector>

namespace record_set_test {

using namespace troupe;
using namespace troupe::registry;
using namespace troupe::test;

namespace {

record_set set_of(std::vector<record> all, std::uint64_t floor = 0) {
  record_set made{floor, {}};
  for (auto& each : all)
    made.records.push_back(std::make_shared<const record>(each));
  return made;
}

std::vector<std::uint64_t> versions(const record_page& page) {
  std::vector<std::uint64_t> found;
  for (auto& each : page.records)
    found.push_back(each.version);
  return found;
}

records_digest digest_in(const clocked_table& of) {
  set_digest whole;
  of.table.for_each_of("n1"_node,
                       [&](const record&, const records_digest& each) { whole.add(each); });
  return whole.finish();
}

constexpr std::size_t ample = 1'000'000;

} // namespace

TEST_CASE("a digest is that of the records, however they have come", "[registry]") {
  clocked_table one;
  one.put({node("n1"), agent("b", "n1", 2), agent("a", "n1", 3)});
  clocked_table other;
  other.put({agent("a", "n1", 3)});
  other.put({agent("b", "n1", 2), agent("c", "n1", 4)});
  CHECK(digest_in(one) != digest_in(other));
  other.put({node("n1")});
  other.put({removal(agent("c", "n1", 4))});
  CHECK(digest_in(one) == digest_in(other));
  auto changed = agent("b", "n1", 5);
  changed.load = 1;
  other.put({changed});
  CHECK(digest_in(one) != digest_in(other));
  CHECK(set_digest{}.finish() == set_digest{}.finish());
  CHECK(digest_in(clocked_table{}) == set_digest{}.finish());
}

TEST_CASE("each field of a record is in its digest", "[registry]") {
  auto plain = agent("a", "n1");
  auto differs = [&](auto change) {
    auto other = plain;
    change(other);
    CHECK(digest_of(other) != digest_of(plain));
  };
  differs([](record& each) { each.boot = 2; });
  differs([](record& each) { each.version = 2; });
  differs([](record& each) { each.token = 2; });
  differs([](record& each) { each.load = 2; });
  differs([](record& each) { each.status = record_status::maintenance; });
  differs([](record& each) { each.metadata["a"] = "b"; });
  CHECK(digest_of(plain) == digest_of(agent("a", "n1")));
}

TEST_CASE("a page has what has changed, in the order of versions", "[registry]") {
  auto all = set_of({agent("a", "n1", 5), removal(agent("b", "n1", 2)), node("n1", 1)});
  auto whole = page_of(all, 0, ample);
  CHECK(whole.after == 0);
  CHECK(whole.upto == 5);
  CHECK(whole.is_last);
  CHECK(versions(whole) == std::vector<std::uint64_t>{1, 5}); // no removals: there is nothing yet
  auto news = page_of(all, 1, ample);
  CHECK(news.after == 1);
  CHECK(versions(news) == std::vector<std::uint64_t>{3, 5});
  CHECK(page_of(all, 5, ample).records.empty());
  CHECK(page_of(all, 5, ample).is_last);
  CHECK(page_of({}, 0, ample).is_last);
}

TEST_CASE("who may have missed a removal gets all", "[registry]") {
  auto all = set_of({node("n1", 1), agent("a", "n1", 5), removal(agent("b", "n1", 8))}, 4);
  CHECK(page_of(all, 3, ample).after == 0);
  CHECK(versions(page_of(all, 3, ample)) == std::vector<std::uint64_t>{1, 5});
  CHECK(page_of(all, 4, ample).after == 4);
  CHECK(versions(page_of(all, 4, ample)) == std::vector<std::uint64_t>{5, 9});
}

TEST_CASE("pages end, whatever their room, and have all together", "[registry]") {
  std::vector<record> some;
  for (std::uint64_t each = 1; each <= 10; ++each)
    some.push_back(agent("a" + std::to_string(each), "n1", each));
  auto all = set_of(some);
  auto one = transfer_size(some.front());
  for (auto room : {std::size_t{0}, std::size_t{1}, one, 3 * one, ample}) {
    std::vector<std::uint64_t> together;
    std::uint64_t after = 0;
    for (auto rounds = 0; rounds < 11; ++rounds) {
      auto page = page_of(all, after, room);
      REQUIRE_FALSE(page.records.empty()); // at least one
      CHECK(page.after == after);
      CHECK(page.upto == page.records.back().version);
      for (auto each : versions(page))
        together.push_back(each);
      after = page.upto;
      if (page.is_last)
        break;
    }
    CHECK(together == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  }
  CHECK(page_of(all, 0, 3 * one + one / 2).records.size() == 3);
}

} // namespace record_set_test
