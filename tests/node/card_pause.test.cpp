#include "troupe/cluster/cards/card_pause.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

namespace card_pause_test {

using troupe::cluster::card_pause;

TEST_CASE("cards are asked for once no further one was missed for a while", "[node][swim]") {
  card_pause it;
  CHECK(it.misses());
  CHECK(it.ends());
  CHECK(it.misses());
  CHECK_FALSE(it.misses()); // there is a pause already
  CHECK_FALSE(it.ends());
  CHECK(it.ends());
  CHECK(it.misses()); // and the next one begins anew
  CHECK(it.ends());
}

TEST_CASE("cards are asked for after three seconds at the latest", "[node][swim]") {
  static_assert(card_pause::max_spans * card_pause::span == std::chrono::seconds{3});
  card_pause it;
  for (auto round = 0; round < 2; ++round) {
    CHECK(it.misses());
    for (auto each = 0; each < card_pause::max_spans - 1; ++each) {
      CHECK_FALSE(it.misses());
      CHECK_FALSE(it.ends());
    }
    CHECK_FALSE(it.misses());
    CHECK(it.ends());
  }
  CHECK(it.misses());
  CHECK(it.ends()); // what was missed in the last pause is asked for with it
}

} // namespace card_pause_test
