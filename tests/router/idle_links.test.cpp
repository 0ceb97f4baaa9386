#include "troupe/router/idle_links.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>

namespace idle_links_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

TEST_CASE("a use that is told late does not take back a later one", "[router]") {
  idle_links links{"a", {.idle_after = 60s}};
  idle_links::effects out;
  auto at = [](duration since) { return time_point{since}; };
  links.step(at(0s), idle::linked{"b"}, out);
  links.step(at(50s), idle::used{"b", at(50s)}, out);
  links.step(at(55s), idle::used{"b", at(10s)}, out);
  links.tick(at(60s), out);
  CHECK(links.next_deadline() == at(110s));
  CHECK(out.empty());
}

} // namespace idle_links_test
