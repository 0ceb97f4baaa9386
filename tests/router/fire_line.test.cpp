#include "troupe/router/detail/fire_line.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#include "router/named_nodes.hpp"
#include "troupe/router/detail/agent_table.hpp"
#include "troupe/router/detail/routes.hpp"

namespace fire_line_test {

using namespace troupe;
using namespace troupe::router;
using namespace troupe::router::detail;

namespace {

fire far(std::size_t number) {
  return {far_place{test::node_named("n2"), "far", number}, {}};
}

fire near() {
  return {agent_table::reservation{}, {}};
}

/// A line with the batches that it has brought.
struct hosted {
  fire_line it;
  std::vector<fire_line::ticket> brought{};
  bool has_ended = false;
  bool throws = false;

  bool push(fire what) {
    return it.push(std::move(what), [this](fire_line::ticket which) {
      if (throws)
        throw std::bad_alloc{};
      if (!has_ended)
        brought.push_back(std::move(which));
      return !has_ended;
    });
  }

  /// The numbers of those in a batch.
  std::vector<std::size_t> take(std::size_t which) {
    std::vector<std::size_t> result;
    auto all = it.take(brought.at(which));
    for (auto& each : all)
      result.push_back(std::get<far_place>(each.where).bytes);
    all.clear();
    it.give_back(std::move(all));
    return result;
  }
};

using numbers = std::vector<std::size_t>;

} // namespace

TEST_CASE("what programs send until the router takes it comes to it in one batch", "[router]") {
  hosted line;
  for (std::size_t each = 1; each <= 3; ++each)
    CHECK(line.push(far(each)));
  REQUIRE(line.brought.size() == 1);
  CHECK(line.take(0) == numbers{1, 2, 3});
  CHECK(line.push(far(4)));
  REQUIRE(line.brought.size() == 2);
  CHECK(line.take(1) == numbers{4});
}

TEST_CASE("what is sent after something else has come to the router is in a later batch",
          "[router]") {
  hosted line;
  line.it.seal(); // there is none
  CHECK(line.push(far(1)));
  line.it.seal();
  CHECK(line.push(far(2)));
  REQUIRE(line.brought.size() == 2);
  CHECK(line.take(0) == numbers{1});
  CHECK(line.push(far(3)));
  CHECK(line.take(1) == numbers{2, 3});
}

TEST_CASE("a batch is bounded", "[router]") {
  hosted line;
  for (std::size_t each = 0; each <= fire_line::max_batch; ++each)
    CHECK(line.push(far(each)));
  REQUIRE(line.brought.size() == 2);
  CHECK(line.take(0).size() == fire_line::max_batch);
  CHECK(line.take(1) == numbers{fire_line::max_batch});
}

TEST_CASE("a router that has ended takes no batch", "[router]") {
  hosted line;
  SECTION("it says so") {
    line.has_ended = true;
    CHECK_FALSE(line.push(far(1)));
    line.has_ended = false;
    CHECK(line.push(far(2)));
    CHECK(line.take(0) == numbers{2});
  }
  SECTION("it has closed the line, also where a batch is open") {
    CHECK(line.push(far(1)));
    line.it.close();
    CHECK_FALSE(line.push(far(2)));
    CHECK(line.take(0) == numbers{1});
  }
}

TEST_CASE("a batch for which there is no memory is not open for what comes next", "[router]") {
  hosted line;
  line.throws = true;
  CHECK_THROWS_AS(line.push(far(1)), std::bad_alloc);
  CHECK_THROWS_AS(line.push(near()), std::bad_alloc);
  CHECK(line.it.may_pass());
  line.throws = false;
  CHECK(line.push(far(2)));
  REQUIRE(line.brought.size() == 1);
  CHECK(line.take(0) == numbers{2});
}

TEST_CASE("a message passes by the router if nothing on its way there could be for its agent",
          "[router]") {
  hosted line;
  CHECK(line.it.may_pass());
  CHECK(line.push(far(1)));
  CHECK(line.push({sure_place{"a", 1}, {}})); // who has taken room for it says on_the_way()
  CHECK(line.it.may_pass());
  CHECK(line.push(near()));
  CHECK(line.push({std::vector<stop>{}, {}}));
  line.it.on_the_way(); // a request, say
  for (auto left = 3; left > 0; --left) {
    CHECK_FALSE(line.it.may_pass());
    fire_line::going it{line.it};
  }
  CHECK(line.it.may_pass());
}

} // namespace fire_line_test
