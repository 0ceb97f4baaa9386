#include "troupe/router/priority_line.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <vector>

#include "troupe/router/message_options.hpp"

namespace priority_line_test {

using namespace troupe::router;

namespace {

using line = priority_line<int>;

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

} // namespace priority_line_test
