#include "troupe/cluster/boot_rise.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

#include "router/named_nodes.hpp"
#include "support/take.hpp"

namespace boot_rise_test {

using namespace std::literals;
using namespace troupe;
using cluster::boot_rise;
using cluster::claims_types;
using test::operator""_node;

namespace {

/// Node n1 in its fifth life.
struct living {
  std::vector<boot_number> wished() {
    std::vector<boot_number> found;
    for (auto& each : test::take<claims_types::rise>(out))
      found.push_back(each.boot);
    return found;
  }

  cluster::claims_options options{.max_rises = 2};
  registry::own_records book{"n1"_node, 5};
  cluster::service_questions questions{10s};
  boot_rise it{options, book, questions};
  claims_types::effects out;
  time_point now{1h};
};

} // namespace

TEST_CASE("a node goes above a later boot once its host has kept that", "[node][registry]") {
  living n;
  n.it.outlived(n.now, 5, false, n.out); // its own
  CHECK(n.wished().empty());
  n.it.outlived(n.now, 8, false, n.out);
  CHECK(n.wished() == std::vector<boot_number>{9});
  CHECK(n.book.boot() == 5);
  n.it.outlived(n.now, 7, false, n.out); // that is gone above already
  CHECK(n.wished().empty());
  CHECK(n.it.risen(9, n.out));
  CHECK(n.book.boot() == 9);
  CHECK_FALSE(n.it.risen(8, n.out));
  CHECK(n.it.flaws() == std::vector<std::string>{});
}

TEST_CASE("a boot that the disk does not keep is wished for again", "[node][registry]") {
  living n;
  n.it.outlived(n.now, 8, false, n.out);
  CHECK(n.wished().size() == 1);
  n.now = *n.it.next_deadline();
  n.it.end_wish_if_due(n.now);
  CHECK_FALSE(n.it.next_deadline());
  n.it.outlived(n.now, 8, false, n.out);
  CHECK(n.wished() == std::vector<boot_number>{9});
}

TEST_CASE("two processes with one identity do not go above each other for ever",
          "[node][registry]") {
  living n;
  for (boot_number heard : {6, 8}) {
    n.it.outlived(n.now, heard, false, n.out);
    REQUIRE(n.it.risen(heard + 1, n.out));
  }
  n.out.clear();
  n.it.outlived(n.now, 10, false, n.out);
  CHECK(n.wished().empty());
  CHECK(test::take<claims_types::complain>(n.out).size() == 1);
  CHECK(n.it.flaws() == std::vector<std::string>{});
}

TEST_CASE("a boot counts that the disk has kept late, or of which a link has told",
          "[node][registry]") {
  living n;
  SECTION("late") {
    for (boot_number heard : {6, 8}) {
      n.it.outlived(n.now, heard, false, n.out);
      n.now = n.it.next_deadline().value();
      n.it.end_wish_if_due(n.now);
      REQUIRE(n.it.risen(heard + 1, n.out));
    }
  }
  SECTION("by a link") {
    for (boot_number boot : {7, 8, 9})
      REQUIRE(n.it.risen(boot, n.out));
  }
  n.out.clear();
  n.it.outlived(n.now, 10, false, n.out);
  CHECK(n.wished().empty());
  CHECK(test::take<claims_types::complain>(n.out).size() == 1);
  CHECK(n.it.flaws() == std::vector<std::string>{});
}

TEST_CASE("a boot that the disk has kept late ends no wish for a later one", "[node][registry]") {
  living n;
  n.it.outlived(n.now, 6, false, n.out);
  n.it.outlived(n.now, 8, false, n.out);
  CHECK(n.wished() == std::vector<boot_number>{7, 9});
  CHECK(n.it.risen(7, n.out));
  n.it.outlived(n.now, 8, false, n.out);
  CHECK(n.wished().empty());
  CHECK(n.it.risen(9, n.out));
  CHECK_FALSE(n.it.next_deadline());
}

TEST_CASE("another life of the same boot is gone above", "[node][registry]") {
  living n;
  n.it.outlived(n.now, 4, true, n.out);
  CHECK(n.wished().empty());
  n.it.outlived(n.now, 5, true, n.out);
  CHECK(n.wished() == std::vector<boot_number>{6});
  n.it.outlived(n.now, 5, true, n.out); // that is gone above already
  CHECK(n.wished().empty());
}

TEST_CASE("the service of names is asked once at a time for a later boot", "[node][names]") {
  living n;
  auto asked = [&] { return test::take<claims_types::ask>(n.out).size(); };
  n.it.look_for_claims(n.now, n.out);
  CHECK(asked() == 1);
  n.it.look_for_claims(n.now, n.out);
  CHECK(asked() == 0);
  n.it.found(n.now, {}, n.out);
  n.it.found(n.now, {{{"x", "n1"_node, 5, 1}}}, n.out);
  CHECK(n.wished().empty());
  n.it.found(n.now, {{{"x", "n1"_node, 6, 1}}}, n.out);
  CHECK(n.wished() == std::vector<boot_number>{7});
}

} // namespace boot_rise_test
