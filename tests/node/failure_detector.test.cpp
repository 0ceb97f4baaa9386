#include "troupe/node/failure_detector.hpp" // the header under test

#include "node/part_fixture.hpp"
#include "registry/clocked_table.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <string>

using namespace std::literals;
using namespace troupe;
using cluster::failure_detector;

namespace {

/// A host, and one node that it has heard of, called n1.
struct watched_node : test::clocked_cluster {
  watched_node() {
    REQUIRE(ask(registry_actor, host::call{}, registry::put_records{{test::node("n1")}}));
    detector.run([](failure_detector& it) {
      it.begin();
      it.link_up("n1", 1);
    });
    REQUIRE(status() == registry::record_status::active);
  }

  registry::record_status status() {
    return look(registry_actor, registry::get_record{registry::record_kind::node, "n1"})
      .found->status;
  }

  void lose_link() {
    detector.run([](failure_detector& it) { it.link_down("n1", 1, "closed"); });
  }

  bool is_fleeting = false;
  hosted<failure_detector> detector{
    *this, [this](auto* self, auto& part) {
      part.emplace(self,
                   failure_detector::setup{5s,
                                           registry,
                                           names,
                                           scheduler,
                                           {},
                                           [](const std::string& node) { return node; },
                                           [this](const std::string&) { return is_fleeting; }});
    }};
};

} // namespace

TEST_CASE_METHOD(watched_node, "a node is lost once its link has been away for a while",
                 "[node][failure]") {
  lose_link();
  world.advance(5s - 1ms);
  CHECK(status() == registry::record_status::active);
  world.advance(1ms);
  CHECK(status() == registry::record_status::disconnected);
  SECTION("until it is linked again") {
    detector.run([](failure_detector& it) { it.link_up("n1", 1); });
    CHECK(status() == registry::record_status::active);
  }
}

TEST_CASE_METHOD(watched_node, "a node that comes back in time is not lost", "[node][failure]") {
  lose_link();
  world.advance(4s);
  detector.run([](failure_detector& it) { it.link_up("n1", 1); });
  world.advance(4s);
  CHECK(status() == registry::record_status::active);
}

TEST_CASE_METHOD(watched_node, "a node that has left is not lost", "[node][failure]") {
  SECTION("whose link ends then") {
    detector.run([](failure_detector& it) { it.left("n1"); });
    lose_link();
  }
  SECTION("whose link has ended before") {
    lose_link();
    detector.run([](failure_detector& it) { it.left("n1"); });
  }
  world.advance(10s);
  CHECK(status() == registry::record_status::active); // the registry heard it from the node
}

TEST_CASE_METHOD(watched_node, "a lost node keeps its names, unless it cannot come back",
                 "[node][failure]") {
  REQUIRE(ask(names_actor, host::call{}, registry::names::claim{{"painter"}, "n1", 1}));
  is_fleeting = GENERATE(true, false);
  lose_link();
  world.advance(5s);
  auto claimed = look(names_actor, registry::names::find_claim{"painter"}).found;
  CHECK(claimed.has_value() == !is_fleeting);
}
