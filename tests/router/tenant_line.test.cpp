#include "troupe/router/tenant_line.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace tenant_line_test {

using namespace troupe::router;

namespace {

struct entry {
  char what = ' ';
  std::size_t bytes = 1;
};

using line = tenant_line<entry>;

void push(line& to, std::string_view tenant, std::string_view entries, std::size_t bytes = 1) {
  for (auto each : entries)
    to.push(tenant, {each, bytes});
}

std::string all_of(line& from) {
  std::string result;
  while (!from.empty())
    result += from.take_next().what;
  return result;
}

} // namespace

TEST_CASE("tenants take turns, and of one what came first goes first", "[router]") {
  tenant_weights none;
  line it{none};
  push(it, "a", "123456");
  push(it, "b", "xy");
  push(it, "", "-");
  CHECK(all_of(it) == "1x-2y3456");
}

TEST_CASE("a tenant has as many in its turn as its weight says", "[router]") {
  tenant_weights weights{{"a", 3}, {"b", 1}, {"nobody", 9}};
  line it{weights};
  push(it, "b", "wxyz");
  push(it, "a", "1234567");
  push(it, "c", "..");
  CHECK(all_of(it) == "w123.x456.y7z");
}

TEST_CASE("a tenant for which nothing waits keeps no turn", "[router]") {
  tenant_weights weights{{"a", 3}};
  line it{weights};
  push(it, "a", "1");
  push(it, "b", "wxyz");
  CHECK(it.take_next().what == '1'); // two more would go in its turn
  push(it, "a", "2345");
  CHECK(all_of(it) == "w234x5yz");
}

TEST_CASE("of the tenant that has most for its weight the oldest gives way", "[router]") {
  tenant_weights weights{{"b", 4}};
  line it{weights};
  push(it, "a", "12");
  push(it, "b", "vwxyz");
  CHECK(it.take_oldest(&waiting_amount::bytes).what == '1');
  CHECK(it.take_oldest(&waiting_amount::bytes).what == 'v');
  CHECK(it.take_oldest(&waiting_amount::bytes).what
        == '2'); // 1 of 1, and 4 of 4: the one whose turn is sooner
  CHECK(all_of(it) == "wxyz");
  push(it, "a", "1", 100);
  push(it, "b", "vwxyz", 10);
  CHECK(it.take_oldest(&waiting_amount::bytes).what == '1');
  for (auto count = 0; count < 5; ++count)
    static_cast<void>(it.take_oldest(&waiting_amount::bytes));
  CHECK(it.empty());
  push(it, "a", "1", 100);
  push(it, "b", "vwxyz", 10);
  CHECK(it.take_oldest(&waiting_amount::messages).what == 'v'); // 4 of 4 are as much as 1 of 1
  CHECK(it.take_oldest(&waiting_amount::messages).what == '1');
  CHECK(all_of(it) == "wxyz");
  push(it, "a", "1");
  CHECK(all_of(it) == "1");
}

TEST_CASE("what waits of each tenant is known", "[router]") {
  tenant_weights none;
  line it{none};
  push(it, "a", "12", 7);
  push(it, "b", "x", 5);
  push(it, "", "--", 3);
  auto amount = [&](std::string_view tenant) {
    waiting_amount sum{.messages = 1, .bytes = 1};
    it.add_to(sum, tenant);
    return std::pair{sum.messages, sum.bytes};
  };
  CHECK(amount("a") == std::pair<std::size_t, std::size_t>{3, 15});
  CHECK(amount("b") == std::pair<std::size_t, std::size_t>{2, 6});
  CHECK(amount("c") == std::pair<std::size_t, std::size_t>{1, 1});
  CHECK(amount("") == std::pair<std::size_t, std::size_t>{3, 7});
  static_cast<void>(it.take_next());
  static_cast<void>(it.take_next());
  CHECK(amount("a") == std::pair<std::size_t, std::size_t>{2, 8});
  CHECK(amount("b") == std::pair<std::size_t, std::size_t>{1, 1});
}

TEST_CASE("more tenants than a line has wait with what has none", "[router]") {
  tenant_weights weights;
  line it{weights};
  for (std::size_t count = 0; count < line::max_tenants; ++count)
    push(it, "t" + std::to_string(count), "t");
  push(it, "late", "12");
  push(it, "", "-");
  push(it, "later", "3");
  CHECK(all_of(it) == std::string(line::max_tenants, 't') + "12-3");
  push(it, "late", "12");
  push(it, "a", "x");
  CHECK(all_of(it) == "1x2");
}

TEST_CASE("a tenant that has a weight has its turns however many names others give", "[router]") {
  tenant_weights weights{{"named", 2}};
  line it{weights};
  for (std::size_t count = 0; count < line::max_tenants; ++count)
    push(it, "t" + std::to_string(count), "tt");
  push(it, "", "-");
  push(it, "late", "++");
  waiting_amount named{};
  it.add_to(named, "named");
  CHECK(named.messages == 0);
  push(it, "named", "123");
  CHECK(all_of(it).substr(line::max_tenants, 3) == "-12");
}

TEST_CASE("what would wait with what has no tenant counts that", "[router]") {
  tenant_weights none;
  line it{none};
  push(it, "", "--");
  auto amount = [&](std::string_view tenant) {
    waiting_amount sum{};
    it.add_to(sum, tenant);
    return sum.messages;
  };
  for (std::size_t count = 1; count < line::max_tenants; ++count) {
    CHECK(amount("late") == 0);
    push(it, "t" + std::to_string(count), "t");
  }
  CHECK(amount("late") == 2);
  push(it, "late", "1");
  CHECK(amount("late") == 3);
}

TEST_CASE("a tenant beyond those that a line has keeps its order once there is room again",
          "[router]") {
  tenant_weights none;
  line it{none};
  for (std::size_t count = 0; count < line::max_tenants; ++count)
    push(it, "t" + std::to_string(count), "t");
  push(it, "late", "12");
  push(it, "", "-");
  for (auto count = 0; count < 3; ++count)
    CHECK(it.take_next().what == 't'); // which was the only one of its tenant
  push(it, "late", "3");
  push(it, "early", "x");
  waiting_amount together;
  it.add_to(together, "late");
  CHECK(together.messages == 5); // else it would have any number of them
  waiting_amount own;
  it.add_to(own, "t255");
  CHECK(own.messages == 1);
  for (auto left = line::max_tenants - 3; left > 0; --left)
    CHECK(it.take_next().what == 't');
  CHECK(it.take_next().what == '1');
  push(it, "late", "4");
  CHECK(all_of(it) == "2-3x4");
  push(it, "", "-");
  push(it, "late", "12");
  CHECK(all_of(it) == "-12");
  push(it, "", "---");
  push(it, "late", "12");
  CHECK(all_of(it) == "-1-2-"); // nobody is among those without a tenant any more
}

} // namespace tenant_line_test
