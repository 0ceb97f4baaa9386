#include "troupe/router/dead_letters.hpp"
#include "router/named_nodes.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/page_room.hpp"

namespace dead_letters_test {

using namespace troupe;
using namespace troupe::router;

namespace {

using store = dead_letters<std::string>;

message_id id_of(std::uint64_t number) {
  return {test::node_named("n1"), 1, number};
}

dead_letter letter_of(std::uint64_t number, std::uint64_t bytes = 10) {
  dead_letter made{id_of(number)};
  made.bytes = bytes;
  return made;
}

std::vector<std::uint64_t> numbers_in(const dead_letter_page& page) {
  std::vector<std::uint64_t> result;
  for (auto& each : page.letters)
    result.push_back(each.id.number);
  return result;
}

using numbers = std::vector<std::uint64_t>;

} // namespace

TEST_CASE("dead letters are kept in the order of their ends, and listed page by page", "[router]") {
  store all{10, 1'000};
  for (auto each : {3U, 1U, 2U})
    all.bury(letter_of(each), "text");
  auto first = all.list(0, 2);
  CHECK(numbers_in(first) == numbers{3, 1});
  CHECK(first.more);
  auto rest = all.list(first.letters.back().place, 2);
  CHECK(numbers_in(rest) == numbers{2});
  CHECK_FALSE(rest.more);
  CHECK(all.bytes() == 30);
}

TEST_CASE("who buries a dead letter hears what has given way to it", "[router]") {
  using texts = std::vector<std::string>;
  store all{2, 1'000};
  CHECK(all.bury(letter_of(1), "1").empty());
  CHECK(all.bury(letter_of(2), "2").empty());
  CHECK(all.bury(letter_of(2), "2 again") == texts{"2"});
  CHECK(all.bury(letter_of(3), "3") == texts{"1"});
  CHECK(all.bury(letter_of(4, 995), "4") == texts{"2 again", "3"});
  CHECK(all.bury(letter_of(5, 2'000), "5") == texts{"4", "5"}); // it has no room
}

TEST_CASE("a page of dead letters has a bound in bytes, and always one of them", "[router]") {
  store all{10'000, 1'000'000'000};
  for (std::uint64_t each = 1; each <= 20; ++each) {
    auto made = letter_of(each);
    made.type.assign(200'000, 'x');
    all.bury(std::move(made), "text");
  }
  auto first = all.list(0, 1'000);
  CHECK(first.letters.size() == 6);
  CHECK(first.more);
  CHECK(all.list(first.letters.back().place, 1'000).letters.front().id == id_of(7));
  auto huge = letter_of(21);
  huge.type.assign(3 * max_page_bytes, 'x');
  all.bury(std::move(huge), "text");
  CHECK(all.list(20, 1'000).letters.size() == 1);
  CHECK(all.list(0, 0).letters.size() == 1);
}

TEST_CASE("the oldest dead letters give way and are counted", "[router]") {
  store all{3, 100};
  for (std::uint64_t each = 1; each <= 5; ++each)
    all.bury(letter_of(each), "text");
  CHECK(numbers_in(all.list(0, 9)) == numbers{3, 4, 5});
  CHECK(all.dropped() == 2);
  all.bury(letter_of(6, 85), "text");
  CHECK(numbers_in(all.list(0, 9)) == numbers{5, 6});
  CHECK(all.bytes() == 95);
  CHECK(all.list(0, 9).dropped == 4);
  all.bury(letter_of(7, 101), "text"); // is above the bound itself
  CHECK(all.size() == 0);
  CHECK(all.bytes() == 0);
  CHECK(all.dropped() == 7);
}

TEST_CASE("a dead letter takes the place of an earlier one of the same message", "[router]") {
  store all{10, 1'000};
  all.bury(letter_of(1), "first");
  all.bury(letter_of(2), "other");
  all.bury(letter_of(1, 20), "second");
  CHECK(numbers_in(all.list(0, 9)) == numbers{2, 1});
  CHECK(all.bytes() == 30);
  CHECK(all.dropped() == 0);
  REQUIRE(all.find(id_of(1)) != nullptr);
  CHECK(all.find(id_of(1))->what == "second");
}

TEST_CASE("a dead letter that is delivered again is known to be handled, or comes back",
          "[router]") {
  store all{10, 1'000};
  all.bury(letter_of(1), "text");
  all.bury(letter_of(2), "text");
  all.redrive(id_of(1));
  CHECK(all.find(id_of(1)) == nullptr);
  CHECK(all.is_under_way(id_of(1)));
  CHECK_FALSE(all.is_applied(id_of(1)));
  all.ended(id_of(1), true);
  CHECK_FALSE(all.is_under_way(id_of(1)));
  CHECK(all.is_applied(id_of(1)));
  all.redrive(id_of(2));
  all.bury(letter_of(2), "text");
  CHECK_FALSE(all.is_under_way(id_of(2)));
  all.ended(id_of(2), false);
  CHECK_FALSE(all.is_applied(id_of(2)));
  CHECK(numbers_in(all.list(0, 9)) == numbers{2});
  all.redrive(id_of(2));
  all.ended(id_of(2), false); // elsewhere
  CHECK_FALSE(all.is_under_way(id_of(2)));
  CHECK_FALSE(all.is_applied(id_of(2)));
  all.ended(id_of(3), true); // was never here
  CHECK_FALSE(all.is_applied(id_of(3)));
}

TEST_CASE("how many are known to have been handled is bounded", "[router]") {
  store all{10, 1'000};
  for (std::uint64_t each = 1; each <= store::max_applied + 1; ++each) {
    all.bury(letter_of(each), "text");
    all.redrive(id_of(each));
    all.ended(id_of(each), true);
  }
  CHECK_FALSE(all.is_applied(id_of(1)));
  CHECK(all.is_applied(id_of(2)));
}

} // namespace dead_letters_test
