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
  CHECK_FALSE(it.ends());
  CHECK_FALSE(it.next_deadline());
  it.compared(begun, {node_number(1), node_number(2)});
  CHECK_FALSE(it.ends());
  it.await_no_more(node_number(1));
  CHECK_FALSE(it.ends());
  it.await_no_more(node_number(2));
  CHECK(it.ends());
  CHECK_FALSE(it.ends()); // once
  CHECK_FALSE(it.next_deadline());
  it.compared(begun, {node_number(3)});
  CHECK_FALSE(it.next_deadline());
}

TEST_CASE("all is here once the comparison has ended if nothing is missing", "[node][catch_up]") {
  catch_up it{5s};
  it.compared(begun, {});
  CHECK(it.ends());
}

TEST_CASE("records that do not come are not waited for for ever", "[node][catch_up]") {
  catch_up it{5s};
  it.compared(begun, {node_number(1)});
  CHECK(it.next_deadline() == begun + 5s);
  it.compared(begun + 1s, {node_number(2)}); // only the first comparison counts
  CHECK(it.next_deadline() == begun + 5s);
  it.tick(begun + 5s - 1ns);
  CHECK_FALSE(it.ends());
  it.tick(begun + 5s);
  CHECK(it.ends());
}

TEST_CASE("who leads and is alone waits for nobody", "[node][catch_up]") {
  catch_up it{5s};
  it.leads(begun, true);
  CHECK_FALSE(it.next_deadline());
  CHECK(it.ends());
  it.compared(begun, {node_number(1)});
  it.leads(begun, false);
  CHECK_FALSE(it.next_deadline());
  CHECK_FALSE(it.ends());
}

TEST_CASE("who leads others compares first", "[node][catch_up]") {
  catch_up it{5s};
  it.leads(begun, false);
  CHECK_FALSE(it.ends());
  it.compared(begun + 1s, {node_number(1)});
  CHECK_FALSE(it.ends());
  it.await_no_more(node_number(1));
  CHECK(it.ends());
}

TEST_CASE("who leads others that tell nothing waits so long from its beginning",
          "[node][catch_up]") {
  catch_up it{5s};
  it.leads(begun, false);
  CHECK(it.next_deadline() == begun + 5s);
  it.leads(begun + 1s, false);
  it.compared(begun + 4s, {node_number(1)});
  CHECK(it.next_deadline() == begun + 5s);
  it.tick(begun + 5s - 1ns);
  CHECK_FALSE(it.ends());
  it.tick(begun + 5s);
  CHECK_FALSE(it.next_deadline());
  CHECK(it.ends());
}

TEST_CASE("who follows again waits for a comparison without end", "[node][catch_up]") {
  catch_up it{5s};
  it.leads(begun, false);
  it.follows();
  CHECK_FALSE(it.next_deadline());
  it.tick(begun + 5s);
  CHECK_FALSE(it.ends());
  SECTION("but not longer for the records, once it had one") {
    it.compared(begun + 6s, {node_number(1)});
    it.leads(begun + 7s, false);
    it.follows();
    CHECK(it.next_deadline() == begun + 11s);
  }
}

} // namespace catch_up_test
