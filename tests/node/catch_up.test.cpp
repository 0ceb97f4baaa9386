#include "troupe/cluster/catch_up.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include "support/node_number.hpp"

namespace catch_up_test {

using namespace std::literals;
using namespace troupe;
using cluster::catch_up;
using test::node_number;

namespace {

const time_point begun{1h};

} // namespace

TEST_CASE("all is here once the records of all that were shown have come", "[node][catch_up]") {
  catch_up it{5s};
  CHECK_FALSE(it.ends(false));
  CHECK_FALSE(it.next_deadline());
  it.compared(begun, {node_number(1), node_number(2)});
  CHECK_FALSE(it.ends(false));
  it.await_no_more(node_number(1));
  CHECK_FALSE(it.ends(false));
  it.await_no_more(node_number(2));
  CHECK(it.ends(false));
  CHECK_FALSE(it.ends(false)); // once
  CHECK_FALSE(it.next_deadline());
  it.compared(begun, {node_number(3)});
  CHECK_FALSE(it.next_deadline());
}

TEST_CASE("all is here once the comparison has ended if nothing is missing", "[node][catch_up]") {
  catch_up it{5s};
  it.compared(begun, {});
  CHECK(it.ends(false));
}

TEST_CASE("records that do not come are not waited for for ever", "[node][catch_up]") {
  catch_up it{5s};
  it.compared(begun, {node_number(1)});
  CHECK(it.next_deadline() == begun + 5s);
  it.compared(begun + 1s, {node_number(2)}); // only the first comparison counts
  CHECK(it.next_deadline() == begun + 5s);
  it.tick(begun + 5s - 1ns);
  CHECK_FALSE(it.ends(false));
  it.tick(begun + 5s);
  CHECK(it.ends(false));
}

TEST_CASE("who leads waits for nobody", "[node][catch_up]") {
  catch_up it{5s};
  CHECK(it.ends(true));
  it.compared(begun, {node_number(1)});
  CHECK_FALSE(it.next_deadline());
  CHECK_FALSE(it.ends(true));
}

} // namespace catch_up_test
