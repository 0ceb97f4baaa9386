#include "troupe/core/shares.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <string>

namespace shares_test {

using namespace troupe;

namespace {

/// Ten places.
struct places {
  shares<std::string> taken;
  std::size_t free = 10;

  /// Returns how many `who` gets if it wants `count`.
  std::size_t take(const std::string& who, std::size_t count) {
    std::size_t got = 0;
    for (; got < count && taken.may_take(who, free); ++got, --free)
      taken.take(who);
    return got;
  }
};

} // namespace

TEST_CASE("one alone gets half of what there is, and each later one leaves room for another",
          "[core]") {
  places it;
  CHECK(it.take("ann", 10) == 5);
  CHECK(it.take("bob", 10) == 3);
  CHECK(it.take("carl", 10) == 1);
  CHECK(it.take("ann", 1) == 0);
  CHECK(it.free == 1);
}

TEST_CASE("what is given back can be taken again", "[core]") {
  places it;
  it.take("ann", 10);
  it.taken.give_back("ann");
  ++it.free;
  CHECK(it.taken.of("ann") == 4);
  CHECK(it.take("ann", 10) == 1);
  it.taken.give_back("bob"); // who has none
  CHECK(it.taken.of("bob") == 0);
  it.taken.clear();
  CHECK(it.taken.of("ann") == 0);
}

TEST_CASE("those who are not known share all that there is", "[core]") {
  places it;
  CHECK(it.take("", 20) == 10);
  CHECK(it.taken.of("") == 0);
  CHECK(it.take("ann", 1) == 0);
}

TEST_CASE("of an amount one gets no more than leaves as much for others", "[core]") {
  CHECK(shares<std::string>::may_take(0, 10, 10));
  CHECK_FALSE(shares<std::string>::may_take(0, 10, 11));
  CHECK(shares<std::string>::may_take(4, 10, 6));
  CHECK_FALSE(shares<std::string>::may_take(5, 10, 6));
  CHECK_FALSE(shares<std::string>::may_take(0, 0, 1));
}

} // namespace shares_test
