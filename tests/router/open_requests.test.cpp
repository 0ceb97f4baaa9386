#include "troupe/router/detail/open_requests.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace open_requests_test {

using namespace std::literals;
using namespace troupe;

namespace {

constexpr time_point zero{};

/// Requests to nodes, over links.
struct asked : router::detail::open_requests<std::string, std::uint64_t, std::string> {
  std::vector<std::string> ended;

  std::size_t lose(std::uint64_t link) {
    return lost(link, [this](const std::string& who, const std::string& whom) {
      ended.push_back(who + " to " + whom);
    });
  }

  void expire_at(time_point now) {
    expire(now, [this](std::uint64_t number, const std::string& who, const std::string& whom) {
      ended.push_back(who + " of " + std::to_string(number) + " to " + whom);
    });
  }
};

} // namespace

TEST_CASE("a lost link ends the requests that went over it, not those of another to the same node",
          "[router]") {
  asked all;
  for (std::uint64_t each = 1; each <= 4; ++each)
    all.open(each, "caller " + std::to_string(each), "n1");
  all.sent(1, 7);
  all.sent(2, 8);
  all.sent(3, 7);
  CHECK(all.waits_for(7));
  CHECK(all.lose(7) == 2);
  CHECK(all.ended == std::vector{"caller 1 to n1"s, "caller 3 to n1"s});
  CHECK_FALSE(all.waits_for(7));
  CHECK(all.lose(7) == 0);
  CHECK(all.waits_for(8));
  CHECK(all.is_open(2));
  CHECK(all.is_open(4)); // it waits yet
  CHECK(all.size() == 2);
}

TEST_CASE("a link waits for no answer once all have come", "[router]") {
  asked all;
  auto ignore = [](const std::string&, const std::string&) {};
  all.open(1, "caller", "n1");
  all.open(2, "caller", "n1");
  all.sent(1, 7);
  all.sent(2, 7);
  CHECK_FALSE(all.finish_by("n2", 1, ignore)); // it was not asked
  CHECK(all.finish_by("n1", 1, ignore));
  CHECK_FALSE(all.finish(1, ignore));
  CHECK(all.waits_for(7));
  CHECK(all.finish(2, ignore));
  CHECK_FALSE(all.waits_for(7));
  all.sent(2, 7); // it is over
  CHECK_FALSE(all.waits_for(7));
}

TEST_CASE("what waits too long ends with its number, sent or not", "[router]") {
  asked all;
  all.open(1, "a", "n1", zero + 2s);
  all.open(2, "b", "n2", zero + 1s);
  all.open(3, "c", "n1");
  all.sent(1, 7);
  CHECK(all.next_deadline() == zero + 1s);
  all.expire_at(zero + 999ms);
  CHECK(all.ended.empty());
  all.expire_at(zero + 2s);
  CHECK(all.ended == std::vector{"b of 2 to n2"s, "a of 1 to n1"s});
  CHECK(all.next_deadline() == std::nullopt);
  CHECK_FALSE(all.waits_for(7));
  CHECK(all.size() == 1);
}

} // namespace open_requests_test
