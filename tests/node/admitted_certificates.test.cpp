#include "troupe/cluster/admitted_certificates.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "router/named_nodes.hpp"

namespace admitted_certificates_test {

using namespace std::literals;
using troupe::node_id;
using troupe::wall_time;
using troupe::cluster::admitted_certificates;
using troupe::test::operator""_node;

namespace {

const wall_time noon{12h};

/// The next certificates in turn; empty: no more.
std::string next(admitted_certificates& it) {
  auto found = it.next();
  return found ? found->second : std::string{};
}

} // namespace

TEST_CASE("a certificate that counts is looked at once in a round", "[node][swim]") {
  admitted_certificates it;
  CHECK_FALSE(it.counts("n1"_node, "one"));
  it.admit("n1"_node, "one", noon);
  CHECK(it.counts("n1"_node, "one"));
  CHECK_FALSE(it.counts("n1"_node, "two"));
  CHECK_FALSE(it.counts("n2"_node, "one"));
  it.admit("n1"_node, "two", noon);
  CHECK_FALSE(it.counts("n1"_node, "one"));
  SECTION("and again in the next one") {
    it.begin_round();
  }
  SECTION("and again once its node is back") {
    it.forget("n1"_node);
  }
  CHECK_FALSE(it.counts("n1"_node, "two"));
}

TEST_CASE("who passes on a certificate does not bring back one that its node has replaced",
          "[node][swim]") {
  admitted_certificates it;
  CHECK(it.instead_of("n1"_node, noon) == nullptr);
  CHECK(it.instead_of("n1"_node, std::nullopt) == nullptr);
  it.admit("n1"_node, "renewed", noon);
  for (auto until : {std::optional{noon - 1s}, std::optional{noon}, std::optional<wall_time>{}}) {
    auto* counts = it.instead_of("n1"_node, until);
    REQUIRE(counts != nullptr);
    CHECK(*counts == "renewed");
  }
  CHECK(it.instead_of("n1"_node, noon + 1s) == nullptr); // this node has missed that one
  CHECK(it.instead_of("n2"_node, noon - 1s) == nullptr);
  it.begin_round(); // it may be revoked
  CHECK(it.instead_of("n1"_node, noon - 1s) == nullptr);
}

TEST_CASE("a certificate that has ended counts no more, which is said once", "[node][swim]") {
  admitted_certificates it;
  it.admit("n1"_node, "one", noon);
  it.admit("n2"_node, "two", noon + 1s);
  CHECK(it.take_ended(noon).empty());
  CHECK(it.take_ended(noon + 1s) == std::vector<node_id>{"n1"_node});
  CHECK_FALSE(it.counts("n1"_node, "one"));
  CHECK(it.counts("n2"_node, "two"));
  CHECK(it.take_ended(noon + 1s).empty());
}

TEST_CASE("all certificates are looked at in a round", "[node][swim]") {
  admitted_certificates it;
  CHECK_FALSE(it.has_more());
  it.are_kept(it.begin_round(), {{"n1"_node, "one"}, {"n2"_node, "two"}});
  CHECK(it.has_more());
  CHECK(next(it) == "two");
  CHECK(it.has_more());
  CHECK(next(it) == "one");
  CHECK_FALSE(it.has_more());
  CHECK(next(it).empty());
}

TEST_CASE("a node is not judged by what it has shown before", "[node][swim]") {
  admitted_certificates it;
  auto round = it.begin_round();
  SECTION("where it shows another certificate before its turn") {
    it.are_kept(round, {{"n1"_node, "one"}, {"n2"_node, "two"}});
    it.admit("n2"_node, "renewed", noon);
  }
  SECTION("or before it is known what was kept") {
    it.admit("n2"_node, "renewed", noon);
    it.are_kept(round, {{"n1"_node, "one"}, {"n2"_node, "two"}});
  }
  CHECK(next(it) == "one");
  CHECK(next(it).empty());
  CHECK(it.counts("n2"_node, "renewed"));
}

TEST_CASE("what was kept in an earlier round is not looked at", "[node][swim]") {
  admitted_certificates it;
  auto earlier = it.begin_round();
  SECTION("if it is known late") {
    auto present = it.begin_round();
    it.are_kept(earlier, {{"n1"_node, "one"}});
    CHECK(next(it).empty());
    it.are_kept(present, {{"n1"_node, "renewed"}});
    CHECK(next(it) == "renewed");
  }
  SECTION("if another round begins before its turn") {
    it.are_kept(earlier, {{"n1"_node, "one"}});
    it.begin_round();
    CHECK(next(it).empty());
  }
}

TEST_CASE("so many certificates are known to count", "[node][swim]") {
  admitted_certificates it;
  for (std::size_t each = 0; each < admitted_certificates::max_known; ++each)
    it.admit(troupe::test::node_named(std::to_string(each)), "one", noon);
  CHECK(it.counts(troupe::test::node_named("0"), "one"));
  it.admit(troupe::test::node_named("1"), "renewed", noon); // in the place of another
  CHECK(it.counts(troupe::test::node_named("0"), "one"));
  CHECK(it.counts(troupe::test::node_named("1"), "renewed"));
  it.admit("more"_node, "one", noon);
  CHECK(it.counts("more"_node, "one"));
  CHECK(it.take_ended(noon + 1s).size() <= admitted_certificates::max_known);
}

} // namespace admitted_certificates_test
