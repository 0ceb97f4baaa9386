#include "troupe/cluster/cards/first_comparison.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include "support/node_number.hpp"

namespace first_comparison_test {

using namespace troupe;
using cluster::first_comparison;
using test::node_number;

TEST_CASE("a comparison that tells of nobody new ends with its pages", "[node][swim]") {
  first_comparison it;
  CHECK_FALSE(it.ends());
  CHECK_FALSE(it.has_pages());
  CHECK(it.pages_came());
  CHECK(it.has_pages());
  CHECK(it.ends());
  CHECK_FALSE(it.ends()); // once
}

TEST_CASE("the first comparison waits for the cards of those of whom it has told", "[node][swim]") {
  first_comparison it;
  it.misses(node_number(1));
  it.misses(node_number(2));
  it.misses(node_number(2));
  CHECK(it.pages_came());
  CHECK_FALSE(it.ends());
  it.has_asked(node_number(1));
  it.has_asked(node_number(9)); // nobody has told of it
  CHECK_FALSE(it.ends());
  it.has_asked(node_number(2));
  CHECK(it.ends());
}

TEST_CASE("of strangers without end so many are waited for", "[node][swim]") {
  first_comparison it;
  constexpr auto most = static_cast<unsigned>(first_comparison::max_missing);
  for (auto each = 1U; each <= most + 1; ++each)
    it.misses(node_number(each));
  CHECK(it.pages_came());
  for (auto each = 1U; each < most; ++each)
    it.has_asked(node_number(each));
  CHECK_FALSE(it.ends());
  it.has_asked(node_number(most));
  CHECK(it.ends());
}

TEST_CASE("cards that come before the last page end nothing", "[node][swim]") {
  first_comparison it;
  it.misses(node_number(1));
  it.has_asked(node_number(1));
  CHECK_FALSE(it.ends());
  CHECK(it.pages_came());
  CHECK(it.ends());
}

TEST_CASE("members of whom a node hears after its first comparison are not waited for",
          "[node][swim]") {
  first_comparison it;
  it.misses(node_number(1));
  CHECK(it.pages_came());
  it.misses(node_number(2));
  it.has_asked(node_number(1));
  CHECK(it.ends());
}

TEST_CASE("cards that do not come are given up", "[node][swim]") {
  first_comparison it;
  it.misses(node_number(1));
  CHECK(it.pages_came());
  it.give_up_cards();
  CHECK(it.ends());
  it.give_up_cards();
  CHECK_FALSE(it.ends());
}

TEST_CASE("only the first comparison counts", "[node][swim]") {
  first_comparison it;
  CHECK(it.pages_came());
  CHECK(it.ends());
  CHECK_FALSE(it.pages_came()); // two were under way
  CHECK_FALSE(it.ends());
}

} // namespace first_comparison_test
