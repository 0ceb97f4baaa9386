#include "troupe/channel/latest_map.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>

using troupe::channel::latest_map;

TEST_CASE("those that were put first give way, and one that is put again is the latest",
          "[channel]") {
  latest_map<int, std::string> kept{2};
  kept.put(1, "one");
  kept.put(2, "two");
  kept.put(1, "one again");
  kept.put(3, "three");
  CHECK(kept.size() == 2);
  CHECK(!kept.take(2));
  CHECK(kept.take(1) == "one again");
  CHECK(!kept.take(1));
  kept.put(4, "four");
  CHECK(kept.take(3) == "three");
  kept.clear();
  CHECK(kept.size() == 0);
}
