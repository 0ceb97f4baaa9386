#include "troupe/router/priority_line.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <string_view>
#include <vector>

#include "troupe/router/message_options.hpp"
#include "troupe/router/tenant_line.hpp"

namespace priority_line_test {

using namespace troupe::router;

namespace {

struct entry {
  int what = 0;
  std::size_t bytes = 1;
};

const tenant_weights none;

class line : public priority_line<entry> {
public:
  line() : priority_line<entry>(none) {}

  void push(message_priority at, int what, std::string_view tenant = {}) {
    priority_line<entry>::push({at, tenant}, {what});
  }

  int take_next() {
    return priority_line<entry>::take_next().what;
  }

  int take_oldest_of_lowest() {
    return priority_line<entry>::take_oldest_of_lowest(&waiting_amount::bytes).what;
  }
};

std::vector<int> all_of(line& from) {
  std::vector<int> result;
  while (!from.empty())
    result.push_back(from.take_next());
  return result;
}

} // namespace

TEST_CASE("the highest priority goes first, and in order within one", "[router]") {
  line it;
  it.push(message_priority::low, 1);
  it.push(message_priority::critical, 2);
  it.push(message_priority::normal, 3);
  it.push(message_priority::critical, 4);
  it.push(message_priority::high, 5);
  it.push(message_priority::normal, 6);
  CHECK(it.size() == 6);
  CHECK(all_of(it) == std::vector{2, 4, 5, 3, 6, 1});
}

TEST_CASE("a priority of a later release is normal", "[router]") {
  line it;
  it.push(message_priority::low, 1);
  it.push(static_cast<message_priority>(4), 2);
  it.push(static_cast<message_priority>(255), 3);
  it.push(message_priority::high, 4);
  CHECK(all_of(it) == std::vector{4, 2, 3, 1});
}

TEST_CASE("each priority gets its turn, however many of others come", "[router]") {
  line it;
  constexpr int levels = 4;
  for (auto each = 0; each < levels; ++each)
    for (auto count = 0; count < 100; ++count)
      it.push(static_cast<message_priority>(each), each);
  std::vector<std::size_t> since(levels, 0);
  for (auto count = 0; count < 1'000; ++count) {
    auto got = it.take_next();
    it.push(static_cast<message_priority>(got), got);
    for (auto each = 0; each < levels; ++each) {
      auto& waits = since.at(static_cast<std::size_t>(each));
      waits = each == got ? 0 : waits + 1;
      REQUIRE(waits < line::patience + levels);
    }
  }
}

TEST_CASE("what gives way is the oldest of the lowest priority", "[router]") {
  line it;
  it.push(message_priority::high, 1);
  it.push(message_priority::normal, 2);
  it.push(message_priority::normal, 3);
  CHECK(it.take_oldest_of_lowest() == 2);
  CHECK(it.take_oldest_of_lowest() == 3);
  CHECK(it.take_oldest_of_lowest() == 1);
  CHECK(it.empty());
}

TEST_CASE("tenants take turns at each priority", "[router]") {
  line it;
  for (auto* tenant : {"a", "b"})
    for (auto priority : {message_priority::normal, message_priority::high})
      for (auto count = 0; count < 2; ++count)
        it.push(priority, (*tenant == 'a' ? 10 : 20) + static_cast<int>(priority), tenant);
  CHECK(it.of("a").messages == 4);
  CHECK(it.of("a").bytes == 4);
  CHECK(it.of("").messages == 0);
  CHECK(all_of(it) == std::vector{12, 22, 12, 22, 11, 21, 11, 21});
}

} // namespace priority_line_test
