#include "troupe/node/unheard_reports.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

namespace unheard_reports_test {

TEST_CASE("reports are waited for until each has been heard, whatever was heard before", "[node]") {
  troupe::cluster::unheard_reports it;
  CHECK(it.empty());
  it.heard(); // of which nobody knows
  it.heard();
  it.add();
  CHECK_FALSE(it.empty());
  it.add();
  it.heard();
  CHECK_FALSE(it.empty());
  it.heard();
  CHECK(it.empty());
}

} // namespace unheard_reports_test
