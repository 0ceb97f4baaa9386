// Which dead letter a user of the command means, and what it says of those that were to go again.

#include "../../examples/troupe/letter_choice.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <string>
#include <vector>

namespace letter_choice_test {

using namespace troupe;
using namespace std::literals;

const std::string first = "3fa94c5e00000000000000000000abcd:2:17";
const std::string second = "3fa94c5e00000000000000000000abcd:2:171";
const std::string third = "3fa94c5e00000000000000000000abcd:3:4";
const std::string fourth = "91b0000000000000000000000000000f:3:4";
const std::set<std::string> all{first, second, third, fourth};

TEST_CASE("a dead letter is meant by the beginning of its id, or with fewer digits of its node",
          "[cluster][cli]") {
  CHECK(cli::choose_letter("91b0", all).value() == fourth);
  CHECK(cli::choose_letter("3fa94c5e00000000000000000000abcd:3", all).value() == third);
  CHECK(cli::choose_letter("3fa94:3:4", all).value() == third);
  CHECK(cli::choose_letter("3fa94:2:171", all).value() == second);
  CHECK(cli::choose_letter("3fa94:2:17", all).value() == first); // no beginning of the second
}

TEST_CASE("what may mean several dead letters is refused with two of them", "[cluster][cli]") {
  auto two = cli::choose_letter("3fa94c5e00000000000000000000abcd:2", all).error();
  CHECK(two.code == errc::bad_argument);
  CHECK(two.detail
        == "2 dead letters are meant by '3fa94c5e00000000000000000000abcd:2': " + first + " and "
             + second + "; give more of the id");
  auto three = cli::choose_letter("3fa9", all).error();
  CHECK(three.detail
        == "3 dead letters are meant by '3fa9': " + first + ", " + second
             + " and 1 other; give more of the id");
}

TEST_CASE("no dead letter is meant by what is short, or fits none", "[cluster][cli]") {
  for (auto& called : {"91b"s, "91b1"s, "91b0:4"s, "91b0:3:41"s, ":3:4"s, "91b:3:4"s, ""s})
    CHECK(cli::choose_letter(called, all).error().code == errc::not_found);
  CHECK(cli::may_begin_letter("91b0:3"));
  for (auto* called : {"91b", "nonsense", "91b0 "})
    CHECK_FALSE(cli::may_begin_letter(called));
}

TEST_CASE("of dead letters that go again only that is said which has happened", "[cluster][cli]") {
  using lines = std::vector<std::string>;
  CHECK(cli::in_lines({}, "all", "n1").empty());
  CHECK(cli::in_lines({.redriven = 1}, "all", "n1")
        == lines{"1 message is on the way again at n1"});
  CHECK(cli::in_lines({.applied_already = 1}, first, "n1")
        == lines{first + " was applied already, at n1"});
  CHECK(cli::in_lines({.refused = 2, .unreadable = 1}, "all", "n1")
        == lines{"2 messages are refused at n1: no room, so try again, or too old (class once)",
                 "1 message cannot be read at n1, send it again"});
}

} // namespace letter_choice_test
