#include "troupe/net/handshake_turns.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <numeric>
#include <vector>

namespace handshake_turns_test {

using namespace troupe;
using net::connection_id;
using ids = std::vector<connection_id>;

TEST_CASE("a few handshakes go on at a time, each in its turn", "[net]") {
  net::handshake_turns turns;
  ids ready(20);
  std::iota(ready.begin(), ready.end(), connection_id{101});
  CHECK(turns.take(ready) == ids{101, 102, 103, 104, 105, 106, 107, 108});
  CHECK(turns.take(ready) == ids{109, 110, 111, 112, 113, 114, 115, 116});
  CHECK(turns.take(ready) == ids{117, 118, 119, 120});
  CHECK(turns.take(ready) == ids{101, 102, 103, 104, 105, 106, 107, 108});
}

TEST_CASE("a connection made during a round waits for the next one", "[net]") {
  net::handshake_turns turns;
  CHECK(turns.take({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) == ids{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(turns.take({1, 9, 10, 11, 12}) == ids{9, 10});
  CHECK(turns.take({1, 11, 12}) == ids{1, 11, 12});
}

TEST_CASE("each handshake that is ready gets its turn", "[net]") {
  net::handshake_turns turns;
  CHECK(turns.take({}).empty());
  CHECK(turns.take({7}) == ids{7});
  CHECK(turns.take({7, 8, 9}) == ids{7, 8, 9});
  CHECK(turns.take({8}) == ids{8});
}

TEST_CASE("strangers who come all the time do not keep an earlier one from its turns", "[net]") {
  constexpr connection_id earlier = 1;
  net::handshake_turns turns;
  ids strangers; // each of them replaces the oldest
  auto newest = earlier;
  auto served = 0;
  for (auto turn = 0; turn < 30; ++turn) {
    for (auto count = 0; count < 20; ++count)
      strangers.push_back(++newest);
    strangers.erase(strangers.begin(), strangers.end() - 16);
    ids ready{earlier};
    ready.insert(ready.end(), strangers.begin(), strangers.end());
    served += static_cast<int>(std::ranges::count(turns.take(ready), earlier));
  }
  CHECK(served >= 10);
}

} // namespace handshake_turns_test
