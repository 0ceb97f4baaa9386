#include "troupe/core/random.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstdint>
#include <set>

#include "support/seeds.hpp"
#include "troupe/core/codec.hpp"

namespace random_property {

using namespace troupe;

TEST_CASE("a seed gives the same numbers for ever", "[core][random]") {
  // The first outputs of SplitMix64, as its authors' C code gives them.
  random_source random{1234567};
  for (auto expected : {6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                        4593380528125082431U, 16408922859458223821U})
    CHECK(random.next() == expected);
}

TEST_CASE("a source goes on from its seed and from its bytes", "[core][random]") {
  test::for_each_seed(100, [](random_source random) {
    random.next();
    auto again = random_source{random.seed()};
    auto read = from_bytes<random_source>(to_bytes(random));
    REQUIRE(read);
    for (int count = 0; count < 5; ++count) {
      auto expected = random.next();
      CHECK(again.next() == expected);
      CHECK(read->next() == expected);
    }
  });
}

TEST_CASE("a number below a bound is below it, and any such number comes", "[core][random]") {
  test::for_each_seed(100, [](random_source random) {
    auto bound = 1 + (random.next() >> random.below(64));
    CHECK(random.below(bound) < bound);
    CHECK(random.below(1) == 0);
    CHECK(random.one_in(1));
    std::set<std::uint64_t> seen;
    for (int count = 0; count < 300; ++count)
      seen.insert(random.below(10));
    CHECK(seen.size() == 10);
  });
}

TEST_CASE("numbers below a bound are spread evenly", "[core][random]") {
  std::array<int, 16> counts{};
  random_source random{1};
  for (int count = 0; count < 16'000; ++count)
    ++counts[random.below(counts.size())];
  for (auto each : counts)
    CHECK((each > 850 && each < 1'150)); // five standard deviations
}

} // namespace random_property
