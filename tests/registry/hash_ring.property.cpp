#include "troupe/registry/hash_ring.hpp" // the header under test
#include "support/seeds.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <string>
#include <vector>

namespace hash_ring_property {

using namespace troupe;
using namespace troupe::registry;

namespace {

constexpr std::size_t keys = 10'000;

std::string key(std::size_t number) {
  return "key " + std::to_string(number);
}

std::vector<std::string> owners(const hash_ring& ring) {
  std::vector<std::string> result;
  for (std::size_t each = 0; each < keys; ++each)
    result.push_back(*ring.owner_of(key(each)));
  return result;
}

} // namespace

TEST_CASE("hashes are the same in every release", "[registry][hash]") {
  CHECK(stable_hash("") == 0xf52a15e9a9b5e89bU);
  CHECK(stable_hash("troupe") == 0x8fa135807c3e489bU);
}

// How: rings of 3 to 20 members with random names; one leaves, one comes.
TEST_CASE("only the keys of the member that left move, one n-th of all",
          "[registry][hash][property]") {
  test::for_each_seed(20, [](test::random_source random) {
    auto count = 3 + random.below(18);
    hash_ring ring;
    while (ring.members().size() < count)
      ring.add("node" + std::to_string(random.below(1'000'000)));
    auto before = owners(ring);
    auto leaver = before[random.below(keys)];
    ring.remove(leaver);
    auto after = owners(ring);
    std::size_t moved = 0;
    for (std::size_t each = 0; each < keys; ++each) {
      REQUIRE((before[each] == leaver || after[each] == before[each]));
      REQUIRE(after[each] != leaver);
      moved += before[each] == leaver ? 1U : 0U;
    }
    INFO(count << " members, " << moved << " of " << keys << " keys moved");
    CHECK(moved < keys / count * 3 / 2);
    ring.add(leaver);
    CHECK(owners(ring) == before); // however the ring came to be
  });
}

TEST_CASE("no member has much more than its share", "[registry][hash]") {
  for (std::size_t count : {2U, 10U, 50U}) {
    hash_ring ring;
    for (std::size_t each = 0; each < count; ++each)
      ring.add("n" + std::to_string(each));
    std::map<std::string, std::size_t> shares;
    for (auto& each : owners(ring))
      ++shares[each];
    CHECK(shares.size() == count);
    for (auto& [member, share] : shares) {
      INFO(member << " of " << count << " has " << share);
      CHECK(share < keys / count * 3 / 2);
      CHECK(share > keys / count / 2);
    }
  }
}

TEST_CASE("the second owner of a key is who gets it when the first leaves",
          "[registry][hash][property]") {
  test::for_each_seed(20, [](test::random_source random) {
    hash_ring ring{16};
    for (int each = 0; each < 8; ++each)
      ring.add("n" + std::to_string(random.below(1000)));
    auto what = key(random.below(keys));
    auto all = ring.owners_of(what, 100);
    REQUIRE(all.size() == ring.members().size());
    for (auto& each : all) {
      REQUIRE(ring.owner_of(what) == each);
      ring.remove(each);
    }
    REQUIRE_FALSE(ring.owner_of(what));
  });
}

} // namespace hash_ring_property
