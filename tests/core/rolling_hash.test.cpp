#include "troupe/core/rolling_hash.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/seeds.hpp"
#include "troupe/core/codec.hpp"

namespace rolling_hash_test {

using namespace troupe;

namespace {

std::uint64_t hash_of(const std::vector<std::string>& entries) {
  rolling_hash line;
  for (auto& each : entries)
    line.add(each);
  return line.value();
}

} // namespace

TEST_CASE("the numbers of a rolling hash stay as they are", "[core][rolling_hash]") {
  CHECK(hash_of({}) == 0);
  CHECK(hash_of({""}) == 0xa706dd2f4d197e6fU);
  CHECK(hash_of({"acquire"}) == 0xe0a426c2f8093888U);
  CHECK(hash_of({"acquire", "eighteen bytes now"}) == 0x53030f3851820ff9U);
}

TEST_CASE("a rolling hash tells order and ends of entries", "[core][rolling_hash]") {
  std::set<std::uint64_t> seen;
  auto lines = std::vector<std::vector<std::string>>{{},
                                                     {""},
                                                     {"", ""},
                                                     {"ab"},
                                                     {"a", "b"},
                                                     {"b", "a"},
                                                     {"ab", ""},
                                                     {"", "ab"},
                                                     {"a"},
                                                     {"a", "bb"},
                                                     {"aa", "b"},
                                                     {std::string(1, '\0')},
                                                     {std::string(8, '\0')},
                                                     {std::string(9, '\0')}};
  for (auto& each : lines)
    seen.insert(hash_of(each));
  CHECK(seen.size() == lines.size());
}

TEST_CASE("one flipped bit shows for ever after", "[core][rolling_hash]") {
  test::for_each_seed(500, [](test::random_source random) {
    std::vector<std::string> entries(1 + random.below(5));
    for (auto& each : entries)
      for (auto length = 1 + random.below(30); length > 0; --length)
        each += static_cast<char>(random.below(256));
    auto flipped = entries;
    auto& entry = flipped[random.below(flipped.size())];
    auto& byte = entry[random.below(entry.size())];
    byte = static_cast<char>(byte ^ (1 << random.below(8)));
    CHECK(hash_of(flipped) != hash_of(entries));
  });
}

TEST_CASE("a rolling hash goes on from where it was saved", "[core][rolling_hash]") {
  rolling_hash line;
  line.add("one");
  auto saved = from_bytes<rolling_hash>(to_bytes(line));
  REQUIRE(saved);
  line.add("two");
  saved->add("two");
  CHECK(*saved == line);
}

} // namespace rolling_hash_test
