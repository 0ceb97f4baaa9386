// What makes vector clocks a partial order with a least upper bound.

#include "troupe/state/vector_clock.hpp" // the header under test
#include "support/seeds.hpp"
#include "troupe/core/codec.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace vector_clock_property {

using namespace troupe;
using namespace troupe::state;
using troupe::test::random_source;

namespace {

std::string replica(std::uint64_t number) {
  return std::string(1, static_cast<char>('a' + number));
}

/// Few replicas and low counts, so that all four orders come up often.
vector_clock random_clock(random_source& random) {
  vector_clock result;
  for (std::uint64_t each = 0; each < 3; ++each)
    result.raise(replica(each), random.below(3));
  if (random.one_in(2))
    result.add(replica(random.below(3)), 1 + random.below(4));
  return result;
}

vector_clock merged(vector_clock left, const vector_clock& right) {
  left.merge(right);
  return left;
}

bool precedes(const vector_clock& left, const vector_clock& right) {
  return right.covers(left);
}

} // namespace

TEST_CASE("clocks are ordered in part", "[state][clock][property]") {
  std::vector<int> seen(4);
  test::for_each_seed(2'000, [&](random_source random) {
    auto a = random_clock(random);
    auto b = random_clock(random);
    auto c = random_clock(random);
    ++seen[static_cast<std::size_t>(compare(a, b))];
    REQUIRE(precedes(a, a));
    REQUIRE((precedes(a, b) && precedes(b, a)) == (a == b));
    if (precedes(a, b) && precedes(b, c))
      REQUIRE(precedes(a, c));
    // The four answers exclude each other, and turn around with the question.
    auto there = compare(a, b);
    auto back = compare(b, a);
    REQUIRE((there == clock_order::equal) == (a == b));
    REQUIRE((there == clock_order::before) == (back == clock_order::after));
    REQUIRE((there == clock_order::concurrent) == (back == clock_order::concurrent));
    REQUIRE((there == clock_order::concurrent) == (!precedes(a, b) && !precedes(b, a)));
  });
  if (seen[0] + seen[1] > 1) // not one seed alone
    for (auto each : seen)
      CHECK(each > 20);
}

TEST_CASE("merging clocks gives the least that knows both", "[state][clock][property]") {
  test::for_each_seed(2'000, [](random_source random) {
    auto a = random_clock(random);
    auto b = random_clock(random);
    auto c = random_clock(random);
    REQUIRE(merged(a, b) == merged(b, a));
    REQUIRE(merged(merged(a, b), c) == merged(a, merged(b, c)));
    REQUIRE(merged(a, a) == a);
    REQUIRE(precedes(a, merged(a, b)));
    if (precedes(a, c) && precedes(b, c))
      REQUIRE(precedes(merged(a, b), c));
  });
}

TEST_CASE("a clock is before what was written in its knowledge", "[state][clock][property]") {
  test::for_each_seed(500, [](random_source random) {
    auto seen = random_clock(random);
    auto written = seen;
    auto writer = replica(random.below(3));
    auto number = 10 + random.below(3);
    written.add(writer, number);
    REQUIRE(written.knows(writer, number));
    REQUIRE_FALSE(written.knows(writer, number - 1));
    REQUIRE_FALSE(written.knows(writer, number + 1));
    REQUIRE(compare(seen, written) == clock_order::before);
    // A write that did not know of it is concurrent to it.
    auto other = seen;
    other.increment("z");
    REQUIRE(compare(written, other) == clock_order::concurrent);
  });
}

TEST_CASE("clocks that know the same have the same bytes", "[state][clock]") {
  vector_clock one;
  one.raise("b", 2);
  one.raise("a", 1);
  one.raise("c", 0);
  vector_clock other;
  other.increment("a");
  other.raise("b", 1);
  other.raise("b", 2);
  CHECK(one == other);
  CHECK(to_bytes(one) == to_bytes(other));
  CHECK(from_bytes<vector_clock>(to_bytes(one)) == one);
  CHECK(to_text(one) == "a:1 b:2");
}

TEST_CASE("a single write is known until all up to it are", "[state][clock]") {
  vector_clock clock;
  clock.raise("a", 4);
  clock.add("a", 3); // known already
  clock.add("a", 6);
  clock.add("a", 8);
  clock.add("ab", 5);
  CHECK(to_text(clock) == "a:4 +a:6 +a:8 +ab:5");
  CHECK(clock.knows("a", 6));
  CHECK_FALSE(clock.knows("a", 5));
  clock.raise("a", 7);
  CHECK(to_text(clock) == "a:7 +a:8 +ab:5");
  CHECK(from_bytes<vector_clock>(to_bytes(clock)) == clock);
}

TEST_CASE("a clock from outside is looked at before it is believed", "[state][clock]") {
  vector_clock clock;
  CHECK(clock.check().code == errc::none);
  clock.raise("n1", 7);
  CHECK(clock.check().code == errc::none);
  SECTION("it names no more replicas than a key can have") {
    for (std::size_t each = 1; each < vector_clock::max_replicas; ++each)
      clock.raise("n" + std::to_string(each + 1), 1);
    CHECK(clock.check().code == errc::none);
    clock.raise("one more", 1);
    CHECK(clock.check().code == errc::too_large);
  }
  SECTION("it has no more dots than siblings need") {
    for (std::size_t each = 0; each < vector_clock::max_dots; ++each)
      clock.add("n1", 10 + each);
    CHECK(clock.check().code == errc::none);
    clock.add("n1", 9);
    CHECK(clock.check().code == errc::too_large);
  }
  SECTION("their names are short and UTF-8") {
    auto name = GENERATE(std::string{}, std::string{"\xff"},
                         std::string(vector_clock::max_replica_bytes + 1, 'n'));
    clock.raise(name, 1);
    CHECK(clock.check().code == errc::bad_argument);
  }
  SECTION("a count of zero is not said") {
    auto bytes = to_bytes(clock);
    bytes[bytes.size() - 12] = 0; // the low byte of 7, before the count of dots
    auto forged = from_bytes<vector_clock>(bytes);
    REQUIRE(forged);
    CHECK(forged->check().code == errc::bad_argument);
    CHECK(compare(*forged, vector_clock{}) == clock_order::equal);
  }
}

TEST_CASE("the last write of a replica that a clock knows may be one of its dots",
          "[state][clock]") {
  vector_clock clock;
  CHECK(clock.last_of("b") == 0);
  clock.raise("b", 4);
  CHECK(clock.last_of("b") == 4);
  clock.add("a", 9);
  CHECK(clock.last_of("b") == 4);
  clock.add("b", 6);
  clock.add("b", 8);
  clock.add("c", 7);
  CHECK(clock.last_of("b") == 8);
  CHECK(clock.last_of("a") == 9);
  CHECK(clock.last_of("d") == 0);
}

} // namespace vector_clock_property
